"""What is chosen more than usual in an hour, on a weekday, in a season, on a device, at a place; never the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import Histories, Queries
from palate.data import Dataset
from palate.data.dataset import DAY
from palate.ranking.circumstances import KINDS, NAMED, Circumstances, CircumstanceSettings, band_of, lifts
from palate.ranking.demand import DemandSettings
from palate.ranking.facts import ItemFacts
from palate.ranking.feature_table import OF_CIRCUMSTANCES, feature_names
from palate.ranking.shares import Happened
from palate.ranking.trend import Trends
from tests.engine_world import wordless
from tests.rhythm_world import CATEGORIES, EACH, HOUR, START, fitted, shop

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 9)), max_size=30)
GROUPS = np.array([0, 0, 1, -1], dtype=np.int32)


def told(dataset: Dataset, **off: bool) -> Circumstances:
    facts = ItemFacts.of(dataset, None, demand=DemandSettings(), circumstances=CircumstanceSettings(**off))
    return facts.circumstances


def asked(when: float, *, device: str = "phone", place: str = "Qingdao", n: int = 1) -> Queries:
    empty = Histories.empty(n)
    return Queries(empty, when=np.full(n, when), devices=(device,) * n, places=(place,) * n)


@settings(max_examples=80)
@given(EVENTS, st.integers(0, 2), st.integers(0, 10))
def test_shares_are_what_counting_by_hand_gives(events: list[tuple[int, int, int]], band: int, now: int) -> None:
    items, bands, ticks = (np.array([event[place] for event in events], dtype=np.int64) for place in range(3))
    counted = Happened(items, ticks, 11, GROUPS).counted(bands, 3)
    own, wider = counted.shares(
        np.arange(5)[None], np.array([[0, 0, 1, 2, 2]]), band=np.array([[band]]), tick=np.array([[now]]), strength=4.0
    )
    before = [event for event in events if event[2] < now]
    usual = (sum(event[1] == band for event in before) + 1) / (len(before) + 3)
    for item in range(5):
        group = int(np.append(GROUPS, -1)[item])
        of_group = [event for event in before if group < 0 or GROUPS[event[0]] == group]
        of_item = [event for event in before if event[0] == item]
        category = (sum(event[1] == band for event in of_group) + 4 * usual) / (len(of_group) + 4)
        share = (sum(event[1] == band for event in of_item) + 4 * category) / (len(of_item) + 4)
        assert wider[0, item] == pytest.approx(np.log(category / usual), abs=1e-5)
        assert own[0, item] == pytest.approx(np.log(share / usual), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_facts_of_everything_know_no_more_of_a_moment_than_those_of_its_past(kind: str) -> None:
    dataset = long_lived()
    moment = START + 500 * DAY + 8 * HOUR
    past = dataset.only(dataset.events["time"].to_numpy() < moment)
    items = np.arange(dataset.n_items, dtype=np.int32)[None]
    columns = [told(data).columns(asked(moment), items, items * 0 - 1)[kind] for data in (dataset, past)]  # type: ignore[index]
    for known, ignorant in zip(*columns, strict=True):
        np.testing.assert_array_equal(known, ignorant)
    assert len(np.unique(columns[0][0])) > 2


def long_lived() -> Dataset:
    """Two years of the same shop, so that seasons come again."""
    dataset = shop()
    later = dataset.events["time"].to_numpy() + np.random.default_rng(0).integers(0, 90, dataset.n_events) * 7 * DAY
    return replace(dataset, events=dataset.events.with_columns(pl.Series("time", later)))


def test_each_circumstance_lifts_what_belongs_to_it() -> None:
    circumstances = told(shop())
    items = np.array([list(range(shop().n_items))], dtype=np.int32)
    names = [name.rstrip("0123456789") for name in shop().item_ids.names]
    groups = ItemFacts.of(shop(), None, demand=DemandSettings(), circumstances=CircumstanceSettings()).categories[
        items
    ][:, :, 0]

    def lift(kind: str, category: str, queries: Queries) -> float:
        own = circumstances.columns(queries, items, groups)[kind][0][0]  # type: ignore[index]
        return float(np.mean([value for value, name in zip(own, names, strict=True) if name == category]))

    saturday, monday = START + 5 * DAY + 119 * DAY, START + 119 * DAY
    assert lift("hour", "breakfast", asked(monday + 8 * HOUR)) > 0 > lift("hour", "dinner", asked(monday + 8 * HOUR))
    assert lift("hour", "dinner", asked(monday + 20 * HOUR)) > 0.3
    assert lift("weekday", "sport", asked(saturday)) > 0 > lift("weekday", "sport", asked(monday))
    assert lift("device", "games", asked(monday)) > 0 > lift("device", "games", asked(monday, device="desktop"))
    assert lift("place", "harbour", asked(monday)) > 0 > lift("place", "harbour", asked(monday, place="Xi'an"))
    unknown = circumstances.columns(Queries(Histories.empty(1)), items, groups)
    assert all(np.isnan(column).all() for own in unknown.values() for column in own)
    never = circumstances.columns(asked(monday, device="fridge", place=""), items, groups)
    assert all(np.isnan(never[kind][0]).all() for kind in NAMED)


def test_data_without_times_has_the_features_it_had() -> None:
    plain = wordless()
    untimed = replace(plain, events=plain.events.with_columns(pl.lit(float("nan")).alias("time")))
    assert not any(getattr(CircumstanceSettings().of(untimed), kind) for kind in KINDS)
    assert not told_names(untimed)
    dates = replace(plain, events=plain.events.with_columns((pl.col("time") // DAY * DAY).alias("time")))
    assert [kind for kind in KINDS if getattr(CircumstanceSettings().of(dates), kind)] == ["weekday"]


def told_names(dataset: Dataset, own: CircumstanceSettings | None = None) -> set[str]:
    told_by = (own or CircumstanceSettings()).told_by(dataset, dataset.catalogue.innermost_categories)
    facts = ItemFacts.of(dataset, None, demand=DemandSettings(), circumstances=told_by)
    return set(feature_names((), (), facts.has)) & {feature.name for feature in OF_CIRCUMSTANCES}


def test_what_tells_items_apart_is_seen_unless_it_is_switched_off() -> None:
    everything = {f"{kind}_{of}" for kind in KINDS if kind != "season" for of in ("item", "category")}
    assert told_names(shop()) == everything
    off = CircumstanceSettings(hour=False, device=False)
    assert told_names(shop(), off) == {name for name in everything if name[:4] not in ("hour", "devi")}


def test_what_tells_nothing_is_left_out() -> None:
    rng = np.random.default_rng(5)  # by chance hours seem to tell something, and more surely than chance should
    columns = [pl.Series(name, rng.permutation(shop().events[name].to_numpy())) for name in ("item", "device")]
    shuffled = replace(shop(), events=shop().events.with_columns(*columns))
    groups = shop().catalogue.innermost_categories
    assert not told_names(shuffled)
    for kind, (mean, error) in lifts(shuffled, groups, CircumstanceSettings()).items():
        assert mean < 0.02, kind
        assert error > 0
    assert lifts(shop(), groups, CircumstanceSettings())["hour"][0] > 0.1


def test_saved_it_says_the_same_and_tells_nothing_of_who_was_where() -> None:
    facts = ItemFacts.of(
        shop(), None, demand=DemandSettings(), circumstances=CircumstanceSettings(season=False)
    ).resting()
    again = ItemFacts.from_arrays(facts.arrays())
    items = np.arange(len(CATEGORIES) * EACH, dtype=np.int32)[None]
    groups = facts.categories[items][:, :, 0]
    for when in (START + 30 * DAY, START + 200 * DAY):
        own, other = (one.circumstances.columns(asked(when), items, groups) for one in (facts, again))
        assert list(own) == list(other)
        for kind in own:
            np.testing.assert_array_equal(own[kind], other[kind])
    for kind in NAMED:
        assert not len(facts.circumstances.kinds[kind].items.keys)
        totals = facts.circumstances.kinds[kind].of_items.totals
        assert ((totals == 0) | (totals >= 10)).all()


def test_a_new_item_is_taken_for_its_categorys_like() -> None:
    facts = ItemFacts.of(shop(), None, demand=DemandSettings(), circumstances=CircumstanceSettings())
    n = shop().n_items
    breakfast = facts.categories[shop().item_ids.position("breakfast0"), 0]
    columns = facts.circumstances.columns(
        asked(START + 200 * DAY + 8 * HOUR), np.array([[n]], np.int32), np.array([[breakfast]], np.int32)
    )
    own, wider = columns["hour"]
    assert own[0, 0] == pytest.approx(wider[0, 0])
    assert own[0, 0] > 0.3


@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=20))
def test_bands_of_a_moment_lie_within_their_kind(times: list[float]) -> None:
    for kind, bands in (("hour", 24), ("weekday", 7), ("season", 24)):
        band = band_of(kind, np.array([*times, np.nan]))  # type: ignore[arg-type]
        assert band[-1] == -1
        assert ((band[:-1] >= 0) & (band[:-1] < bands)).all()


def test_no_events_no_lift() -> None:
    nothing = Circumstances.of(
        shop().only(np.zeros(shop().n_events, dtype=bool)),
        Trends.of(Histories.empty(2), shop().n_items),
        np.zeros(shop().n_items, np.int32),
        CircumstanceSettings(),
    )
    columns = nothing.columns(asked(START), np.zeros((1, 3), np.int32), np.zeros((1, 3), np.int32))
    assert all((columns[kind][0] == 0).all() for kind in ("hour", "weekday", "season"))


def first(category: str, **context: object) -> float:
    """Mean place of a category's items in the list of everything; who asks had two lamps."""
    history = [{"item_id": name, "timestamp": START + 118 * DAY} for name in ("lamps0", "lamps1")]
    items = fitted().recommend(history=history, k=EACH * len(CATEGORIES), context=context).items
    return float(np.mean([place for place, item in enumerate(items) if item.item.startswith(category)]))


def test_the_circumstances_change_the_answer_at_once() -> None:
    usual = {"when": START + 119 * DAY + 8 * HOUR, "device": "desktop", "place": "Xi'an"}
    assert first("breakfast", **usual) < first("breakfast", **{**usual, "when": START + 119 * DAY + 20 * HOUR}) - 3
    assert first("dinner", **{**usual, "when": START + 119 * DAY + 20 * HOUR}) < first("dinner", **usual) - 3
    assert first("sport", **{**usual, "when": START + 124 * DAY + 8 * HOUR}) < first("sport", **usual)
    assert first("games", **{**usual, "device": "phone"}) < first("games", **usual)
    assert first("harbour", **{**usual, "place": "Qingdao"}) < first("harbour", **usual)


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "What people choose at this time of day speaks for it"), ("zh", "大家在这个时段的选择：支持推荐它")],
)
def test_the_explanation_names_the_hour(language: str, words: str) -> None:
    when = {"when": START + 119 * DAY + 8 * HOUR}
    history = [{"item_id": "lamps0", "timestamp": START + 118 * DAY}]
    told_now = fitted().explain("breakfast1", history=history, context=when, language=language)
    assert told_now.context[0]["name"] == "hour"
    assert told_now.context[0]["text"] == words
    assert words in [reason.text for reason in told_now.reasons]
    assert told_now.score > fitted().explain("dinner1", history=history, context=when).score

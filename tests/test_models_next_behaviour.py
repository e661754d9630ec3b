"""The next behaviour: populations, bodies, calibration, and that nothing sees what comes later."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, Histories, Queries, Scorer, UsageError
from palate.data import Dataset
from palate.measure.prediction import auc, log_loss
from palate.measure.reporting import MEASURES, difference, prediction_report
from palate.models.foreseeing.certainty import Certainty
from palate.models.foreseeing.occasions import Occasions, against, in_words, occasions, rating_threshold
from palate.models.foreseeing.settings import BODIES, NextBehaviourSettings
from palate.models.foreseeing.standing import Standing
from palate.models.next_behaviour import NextBehaviour
from palate.testing import FakeEncoder, RecommenderConformance, small_shop
from tests.behaviour_world import DAY, shop

SMALL = NextBehaviourSettings(
    minimum_leaf=20, trees=60, forest_trees=40, epochs=6, width=16, dimensions=8, penalty=5.0, window=24, least=10
)


class TestTreesAreARecommender(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return NextBehaviour(SMALL, FakeEncoder())


class TestGRUIsARecommender(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return NextBehaviour(SMALL.model_copy(update={"body": "gru", "learning_rate": 5e-3}), FakeEncoder())


class TestLinearIsARecommender(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return NextBehaviour(SMALL.model_copy(update={"body": "linear"}), FakeEncoder())


@cache
def taught(body: str) -> NextBehaviour:
    dataset, _ = shop()
    # A few hundred occasions are a few steps an epoch.
    own = SMALL.model_copy(update={"body": body, "learning_rate": 5e-3})
    return NextBehaviour(own, FakeEncoder()).fit(dataset.only(dataset.events["time"].to_numpy() < later()))


def later() -> float:
    return float(np.quantile(shop()[0].events["time"].to_numpy(), 0.75))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_looks_become_purchases_within_the_horizon_alone() -> None:
    frame = pl.DataFrame(
        {
            "user_id": ["a", "a", "a", "b", "b", "b"],
            "item_id": ["x", "y", "x", "x", "x", "y"],
            "kind": ["view", "view", "purchase", "view", "purchase", "view"],
            "timestamp": [0.0, 10.0, 3600.0, 0.0, 2 * DAY, 3 * DAY],
        }
    )
    dataset = Dataset.assemble(frame)
    found = occasions(dataset, "purchase", NextBehaviourSettings(), rng())
    # The last look's horizon reaches beyond the data.
    assert len(found) == 3
    assert outcomes(dataset, found) == {("a", "x"): True, ("a", "y"): False, ("b", "x"): False}
    wide = occasions(dataset, "purchase", NextBehaviourSettings(horizon_days=2.5), rng())
    assert outcomes(dataset, wide) == {("a", "x"): True, ("a", "y"): False, ("b", "x"): True}


def outcomes(dataset: Dataset, found: Occasions) -> dict[tuple[str, str], bool]:
    users, items = dataset.user_ids.externals(found.users), dataset.item_ids.externals(found.items)
    return dict(zip(zip(users, items, strict=True), found.happened.tolist(), strict=True))


def test_clicks_are_asked_among_what_was_shown() -> None:
    frame = pl.DataFrame(
        {
            "user_id": ["a"] * 5,
            "item_id": ["x", "y", "x", "y", "y"],
            "kind": ["impression", "impression", "click", "impression", "click"],
            "timestamp": [0.0, 0.0, 5.0, 9000.0, 20_000.0],
            "impression_id": ["l1", "l1", "l1", "l2", "l3"],
        }
    )
    named = occasions(Dataset.assemble(frame), "click", NextBehaviourSettings(), rng())
    assert named.happened.tolist() == [True, False, False]
    unnamed = occasions(Dataset.assemble(frame.drop("impression_id")), "click", NextBehaviourSettings(), rng())
    assert unnamed.happened.tolist() == [True, False, False]


def test_a_view_is_told_apart_from_others_at_the_same_moment() -> None:
    dataset, _ = shop()
    found = occasions(dataset, "view", NextBehaviourSettings(negatives=3), rng())
    assert found.happened.mean() == pytest.approx(0.25)
    rows = found.items.reshape(-1, 4)
    assert (rows[:, 1:] != rows[:, :1]).all()
    assert (found.stops.reshape(-1, 4) == found.stops.reshape(-1, 4)[:, :1]).all()
    every = np.tile(np.arange(dataset.n_items, dtype=np.int32), (2, 1))
    assert len(against(found.take(np.arange(2)), every)) == 2 * dataset.n_items


def test_ratings_are_high_from_the_threshold_on() -> None:
    dataset, _ = shop()
    assert rating_threshold(dataset, NextBehaviourSettings()) == 3.75
    assert rating_threshold(small_shop(), NextBehaviourSettings(threshold=2.0)) == 2.0
    found = occasions(dataset, "rating", NextBehaviourSettings(), rng())
    assert 0.5 < found.happened.mean() < 1
    assert "3.75" in in_words("rating", NextBehaviourSettings(), 3.75)
    assert "浏览后 1 天内购买" in in_words("purchase", NextBehaviourSettings(), np.nan, "zh")


def test_the_past_of_an_occasion_ends_before_it() -> None:
    dataset, _ = shop()
    for kind in ("view", "purchase", "rating"):
        found = occasions(dataset, kind, NextBehaviourSettings(), rng())
        histories, row = found.known(dataset, 10)
        last = histories.indptr[1:][row] - 1
        some = histories.lengths[row] > 0
        assert (histories.times[last[some]] <= found.times[some]).all()
        assert histories.lengths.max() == 10


def test_items_stand_as_they_stood_before() -> None:
    dataset, _ = shop()
    found = occasions(dataset, "purchase", NextBehaviourSettings(), rng())
    standing = Standing.of(dataset, found, 20.0)
    category = dataset.catalogue.innermost_categories + 1
    before = standing.then(dataset, found, category, found).columns
    assert before[np.argmin(found.times), 3] == 0
    cut = float(np.median(found.times))
    early = found.times < cut
    # What happens after a moment changes nothing of how items stood at it.
    turned = replace(found, happened=np.where(early, found.happened, ~found.happened))
    after = standing.then(dataset, found, category, turned).columns
    assert np.array_equal(before[early], after[early])
    assert not np.array_equal(before[~early], after[~early])


def test_what_comes_later_changes_no_input() -> None:
    dataset, _ = shop()
    model = taught("trees")
    found = occasions(dataset, "purchase", SMALL, rng())
    early = found.take(found.times < later())
    whole = model.occasion_odds(dataset, early, "purchase")
    cut = dataset.only(dataset.events["time"].to_numpy() <= later() + 3 * DAY)
    again = occasions(cut, "purchase", SMALL, rng())
    again = again.take(again.times < later())
    assert len(again) == len(early)
    assert np.array_equal(model.occasion_odds(cut, again, "purchase"), whole)


@pytest.mark.parametrize("body", [*BODIES, "auto"])
def test_every_body_foresees_purchases_better_than_the_base(body: str) -> None:
    dataset, truth = shop()
    model = taught(body)
    assert set(model.kinds) == {"view", "purchase", "rating"}
    found = occasions(dataset, "purchase", SMALL, rng())
    found = found.take(found.times > later())
    probability, low, high = model.certainty("purchase").bounds(model.occasion_odds(dataset, found, "purchase"))
    assert ((low <= probability) & (probability <= high)).all()
    assert (high - low).mean() > 0.005
    base = np.full(len(found), model.usual("purchase"))
    assert log_loss(found.happened, probability) < log_loss(found.happened, base)
    looks = dataset.events.filter(pl.col("kind") == dataset.kinds.position("view"))
    names = {
        (row["user"], row["item"], row["time"]): row["event_id"]
        for row in looks.select("user", "item", "time", "event_id").iter_rows(named=True)
    }
    asked = zip(found.users.tolist(), found.items.tolist(), found.times.tolist(), strict=True)
    oracle = np.array([truth[names[one]] for one in asked])
    assert auc(found.happened, probability) > auc(found.happened, oracle) - 0.13
    assert np.corrcoef(probability, oracle)[0, 1] > 0.45


@pytest.mark.parametrize("body", BODIES)
def test_saved_and_restored_it_says_the_same(body: str) -> None:
    dataset, _ = shop()
    model = taught(body)
    other = NextBehaviour(model.settings).restore(model.arrays())
    queries = replace(dataset.queries(np.arange(4, dtype=np.int32)), when=np.full(4, 1.71e9))
    items = np.tile(np.arange(6, dtype=np.int32), (4, 1))
    for kind in model.kinds:
        first, second = model.probability(queries, items, kind), other.probability(queries, items, kind)
        assert np.array_equal(first.probability, second.probability)
        assert np.array_equal(first.low, second.low)
    assert other.body("view") == body


def test_views_are_a_softmax_over_all_items() -> None:
    dataset, _ = shop()
    model = taught("trees")
    queries = dataset.queries(np.arange(5, dtype=np.int32))
    every = np.tile(np.arange(dataset.n_items, dtype=np.int32), (5, 1))
    told = model.probability(queries, every, "view")
    assert np.allclose(told.probability.sum(axis=1), 1.0)
    # Asked about one item alone, the answer is the same.
    alone = model.probability(queries, every[:, 3:4], "view")
    assert np.allclose(alone.probability[:, 0], told.probability[:, 3])
    assert np.array_equal(np.argsort(-model.score(queries), axis=1)[:, 0], told.probability.argmax(axis=1))


def test_a_lower_price_sells_and_the_inputs_say_so() -> None:
    dataset, _ = shop(240, 3)
    own = SMALL.model_copy(update={"body": "linear"})
    model = NextBehaviour(own, FakeEncoder()).fit(dataset)
    queries = replace(dataset.queries(np.array([0], np.int32)), when=np.array([1.71e9]))
    item = dataset.item_ids.position("garden0")
    items = np.array([[item]], dtype=np.int32)
    full, reduced = (
        model.probability(queries, items, "purchase", np.array([[price]], np.float32)).probability[0, 0]
        for price in (10.0, 7.0)
    )
    assert reduced > full
    behind = {one.name: one for one in model.behind(queries, item, "purchase", 7.0)}
    assert behind["markdown"].value == pytest.approx(np.log(0.7), abs=1e-5)
    assert behind["dearness"].effect + behind["markdown"].effect > 0
    assert abs(next(iter(behind.values())).effect) == max(abs(one.effect) for one in behind.values())


def test_all_bodies_compete_and_the_best_on_validation_answers() -> None:
    model = taught("auto")
    for kind in model.kinds:
        assert set(model.losses[kind]) == set(BODIES)
        assert model.body(kind) == min(BODIES, key=lambda name, kind=kind: model.losses[kind][name])  # type: ignore[misc]
        assert f"{kind}: {model.body(kind)} foresees best" in model.notes


def test_somebody_with_one_event_or_none_gets_an_answer() -> None:
    model = taught("lstm")
    items = np.tile(np.arange(4, dtype=np.int32), (3, 1))
    told = model.probability(Queries(Histories.of([[], [2], [2, 99]])), items, "purchase")
    assert np.isfinite(told.probability).all()
    assert not np.array_equal(told.probability[0], told.probability[1])


def test_what_cannot_be_foreseen_is_said_in_words() -> None:
    dataset, _ = shop()
    with pytest.raises(UsageError, match=r"'click' is not foreseen here.*of 0 occasions"):
        taught("trees").probability(dataset.queries(), np.zeros((dataset.n_users, 1), np.int32), "click")
    with pytest.raises(UsageError, match="language model"):
        NextBehaviour(SMALL).fit(dataset)
    few = dataset.only(dataset.events["user"].to_numpy() == 0)
    with pytest.raises(DataError, match=r"nothing can be foreseen.*view is not foreseen"):
        NextBehaviour(SMALL, FakeEncoder()).fit(few)


def test_without_times_purchases_are_refused_and_views_are_not() -> None:
    dataset, _ = shop()
    unknown = replace(dataset, events=dataset.events.with_columns(pl.lit(float("nan")).alias("time")))
    model = NextBehaviour(SMALL, FakeEncoder()).fit(unknown)
    assert "view" in model.kinds
    assert "purchase" not in model.kinds
    assert any("needs times" in note for note in model.notes)


def test_intervals_narrow_with_evidence() -> None:
    widths = []
    for n in (200, 5000):
        drawn = np.random.default_rng(1)
        odds = drawn.normal(size=n)
        happened = drawn.random(n) < 1 / (1 + np.exp(-odds))
        own = Certainty.of(odds, happened, np.arange(n, dtype=np.int32), straight=True, seed=0)
        _, low, high = own.bounds(np.array([0.0]))
        assert low[0] < high[0]
        widths.append(float(high[0] - low[0]))
    assert widths[1] < widths[0] / 2


def test_a_report_has_every_measure_with_an_interval() -> None:
    drawn = np.random.default_rng(0)
    odds = drawn.normal(size=600)
    truth, chance = drawn.random(600) < 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-odds))
    users = (np.arange(600) // 3).astype(np.int32)
    report = prediction_report(truth, chance, users)
    assert tuple(report) == MEASURES
    assert all(own.low <= own.estimate <= own.high for name, own in report.items() if name != "calibration_error")
    worse = difference(auc, truth, drawn.random(600), chance, users, samples=50)
    assert worse.high < 0
    with pytest.raises(ValueError, match="at least one positive"):
        prediction_report(np.ones(5), np.full(5, 0.5), users[:5])

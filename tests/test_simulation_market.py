"""Markets: reproducible, as they say of themselves, and answering to prices the way they say."""

from __future__ import annotations

import numpy as np
import pytest

from palate.core import Float64Array
from palate.experiments.races import BEST_FIXED, CLAIRVOYANT, RaceSettings, Run, best_fixed, clairvoyant, play, race
from palate.pricing.demand import DemandSettings
from palate.pricing.settings import PolicySettings
from palate.simulation.market import Market, Visitors, make_market
from palate.simulation.market_settings import MARKETS, MarketSettings

SMALL = 2_000


def small(name: str, **changes: object) -> MarketSettings:
    return MARKETS[name].model_copy(update={"rounds": SMALL, **changes})


def earned(market: Market) -> tuple[Visitors, Float64Array]:
    everybody = market.visitors(market.open(), 0, len(market))
    ladder = np.tile(market.ladder, (len(everybody), 1))
    return everybody, market.probability(everybody, ladder) * ladder


def asked(market: Market, relative: float, step: int = 10) -> Run:
    place = int(np.abs(market.ladder - relative).argmin())
    return play(market, lambda visitors, start: np.full(len(visitors), place, dtype=np.int32), lambda *told: None, step)


@pytest.mark.parametrize("name", MARKETS)
def test_the_same_seed_gives_the_same_market(name: str) -> None:
    one, same, other = (make_market(small(name), seed) for seed in (3, 3, 4))
    for values, again in zip(vars(one).values(), vars(same).values(), strict=True):
        assert np.array_equal(values, again) if isinstance(values, np.ndarray) else values == again
    assert not np.array_equal(one.features, other.features)
    assert (one.effect < 0).all()
    assert 1.0 in one.ladder
    assert (one.cost < one.list_price).all()


def test_the_list_price_is_right_for_the_crowd() -> None:
    market = make_market(MarketSettings(rounds=100_000), 1)
    _, revenue = earned(market)
    best = market.ladder[revenue.mean(axis=0).argmax()]
    assert abs(best - 1.0) <= 0.075


def test_the_diverse_market_is_worth_eight_per_cent_to_who_knows() -> None:
    ratios = []
    for seed in range(100, 130):
        _, revenue = earned(make_market(small("diverse", rounds=4_000), seed))
        ratios.append(revenue.max(axis=1).mean() / revenue.mean(axis=0).max())
    assert np.mean(ratios) == pytest.approx(1.08, abs=0.008)


def test_purchases_happen_as_often_as_the_truth_says() -> None:
    for name in ("plain", "shifting"):
        run = asked(make_market(small(name, rounds=40_000), 2), 1.1, 40_000)
        assert run.sold == pytest.approx(run.revenue, abs=4 * 1.1 * 0.5 / np.sqrt(40_000))
        assert run.visits == 1.0


def test_shifting_demand_drifts_and_bends_and_has_seasons() -> None:
    market = make_market(MARKETS["shifting"], 0)
    people = market.features[:, :10].astype(np.float64)
    early, late = (
        np.linalg.lstsq(people[part], market.base[part], rcond=None)[0] for part in (slice(4_000), slice(-4_000, None))
    )
    assert np.linalg.norm(early - late) > 0.2
    still = make_market(MARKETS["plain"], 0)
    flat = np.linalg.lstsq(np.c_[np.ones(20_000), still.features], still.base, rcond=None)[1]
    assert flat[0] == pytest.approx(0.0, abs=1e-3), "plain demand is linear in what is known"
    season = market.features[:, market.names.index("season_sin")].astype(np.float64)
    assert np.corrcoef(season, market.base)[0, 1] > 0.15


def test_satisfaction_falls_with_the_price_and_faster_above_the_list_price() -> None:
    market = make_market(small("plain"), 0)
    everybody, _ = earned(market)
    low, even, high = (market.satisfaction(everybody, np.full(SMALL, at)) for at in (0.9, 1.0, 1.1))
    assert (low > even).all()
    assert (even > high).all()
    assert (even - high).mean() > 2 * (low - even).mean()
    assert ((high > 0) & (low < 1)).all()


def test_rivals_follow_and_undercut() -> None:
    market = make_market(small("rivals"), 0)
    dear, cheap = asked(market, 1.2), asked(market, 0.8)
    alone = make_market(small("plain"), 0)
    # Rivals who follow take the point out of a price: neither a dear shop nor a cheap one stands apart for long.
    assert dear.units > asked(alone, 1.2).units
    assert cheap.units < asked(alone, 0.8).units
    state = market.open()
    for start in range(0, SMALL, 10):
        visitors = market.visitors(state, start, start + 10)
        _, state = market.sell(state, visitors, np.full(len(visitors), 1.2))
    assert (state.rivals > 1.1).all()
    rival = market.visitors(state, 0, 5).features[:, market.names.index("rival")]
    np.testing.assert_allclose(rival, 10 * (state.rivals.min() - 1.0), rtol=1e-5)
    assert not market.features[:, market.names.index("rival")].any(), "what happens leaves the market as it is"


def test_who_is_strategic_waits_for_what_was_cheaper() -> None:
    market = make_market(small("strategic"), 0)
    assert asked(market, 1.0).waited < 0.02, "where prices never change nobody waits"

    def moody(visitors: Visitors, start: int) -> np.ndarray:
        return np.where(visitors.again, 0, 16 if start % 400 < 200 else 0).astype(np.int32) * np.ones(
            len(visitors), np.int32
        )

    run = play(market, moody, lambda *told: None, 10)
    assert run.waited > 0.02
    state = market.open()
    visitors = market.visitors(state, 0, 500)
    sales, state = market.sell(state, visitors, np.full(500, 1.2))
    assert sales.waiting.any()
    assert not (sales.bought & sales.waiting).any()
    assert (sales.expected[sales.waiting] == 0).all()
    assert 0 < len(state.queue) <= sales.waiting.sum(), "some never come back"
    assert (state.due == state.queue + market.settings.delay).all()
    back = market.visitors(state, 500, 800)
    assert back.again.sum() == (state.due < 800).sum()
    sales, state = market.sell(state, back, np.full(len(back), 1.2))
    assert not sales.waiting[back.again].any(), "nobody waits twice"
    assert not np.isin(state.queue, back.rows[back.again]).any()


def test_who_is_unhappy_stays_away() -> None:
    market = make_market(small("unhappy", customers=100), 0)
    dear, fair, cheap = (asked(market, at) for at in (1.2, 1.0, 0.8))
    assert dear.visits < 0.97 * fair.visits
    assert fair.visits == cheap.visits == 1.0
    assert dear.satisfaction < fair.satisfaction < cheap.satisfaction


def test_fairness_is_counted() -> None:
    market = make_market(small("plain"), 0)
    same = asked(market, 1.0)
    assert same.parity == same.dispersion == same.above_list == 0.0

    def by_segment(visitors: Visitors, start: int) -> np.ndarray:
        return np.where(market.segment[visitors.rows] == 1, 16, 8).astype(np.int32)

    told = play(market, by_segment, lambda *heard: None, 10)
    assert told.parity == pytest.approx(0.2)
    assert told.above_list == pytest.approx(market.segment.mean())


def test_who_knows_everything_earns_most_and_a_policy_comes_near() -> None:
    settings = small("varied", rounds=6_000)
    policies = {"greedy": PolicySettings(kind="greedy"), "list": PolicySettings(kind="fixed", exploration=0.0)}
    told = race(settings, policies, seeds=(0, 1), race_settings=RaceSettings(step=50))
    by_name = {one.name: one for one in told}
    assert list(by_name) == [CLAIRVOYANT, BEST_FIXED, "greedy", "list"]
    assert (by_name[CLAIRVOYANT].share == 1.0).all()
    assert (by_name["list"].share <= by_name[BEST_FIXED].share).all()
    assert by_name["greedy"].share.min() > 0.965
    assert by_name["greedy"].share.min() > by_name[BEST_FIXED].share.max()
    greedy = by_name["greedy"]
    assert greedy.slope is not None
    assert greedy.slope < 0.95 < by_name["list"].as_json()["regret_slope"]
    assert (np.diff(greedy.regret) > 0).all()
    again = race(settings, policies, seeds=(0, 1), race_settings=RaceSettings(step=50))
    assert [one.as_json() for one in again] == [one.as_json() for one in told]


def test_steps_make_no_difference_where_nobody_answers() -> None:
    market = make_market(small("plain"), 5)
    assert clairvoyant(market, 10).figures() == pytest.approx(clairvoyant(market, SMALL).figures())
    assert best_fixed(market, 10)[1] == best_fixed(market, SMALL)[1]


def test_what_forgets_beats_a_fixed_price_in_a_market_that_drifts() -> None:
    settings = MARKETS["shifting"].model_copy(update={"rounds": 8_000, "drift": 3.0, "misfit": 0.0})
    policies = {"greedy": PolicySettings(kind="greedy")}
    how, demand = RaceSettings(step=50), DemandSettings(memory=2_500.0)
    _, flat, greedy = race(settings, policies, seeds=(0,), demand=demand, race_settings=how)
    assert greedy.share[0] > max(flat.share[0] + 0.01, 0.93)


def test_who_learns_for_nothing_bounds_who_pays_for_it() -> None:
    settings = MARKETS["plain"].model_copy(update={"rounds": 4_000})
    how = RaceSettings(step=50, informed=True)
    races = race(settings, {"ucb": PolicySettings(kind="ucb")}, seeds=range(3), race_settings=how)
    assert [one.name for one in races] == ["clairvoyant", "best fixed", "informed", "ucb"]
    told, paid = races[2:]
    assert paid.share.mean() < told.share.mean() < 1.0
    assert told.regret[-1] < paid.regret[-1]

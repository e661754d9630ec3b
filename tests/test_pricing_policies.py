"""Policies: what they ask, at which odds, and that the odds are true."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from palate.core import Float64Array, UsageError
from palate.pricing.demand import DemandSettings, LogitDemand, logistic
from palate.pricing.objectives import surplus, worth
from palate.pricing.policies import make_policy
from palate.pricing.settings import LEARNING, ObjectiveSettings, PolicyKind, PolicySettings, Rule
from palate.pricing.terms import PriceAsks

SHARES = np.linspace(0.8, 1.2, 9)
KINDS: tuple[PolicyKind, ...] = get_args(PolicyKind)


def asks_of(n: int, seed: int = 0) -> PriceAsks:
    rng = np.random.default_rng(seed)
    list_price = np.round(np.exp(rng.normal(3, 0.5, n)), 2).astype(np.float64)
    features = np.stack([rng.standard_normal(n), rng.random(n)], axis=1).astype(np.float32)
    items = np.arange(n, dtype=np.int32)
    return PriceAsks(items, list_price, list_price * 0.6, features, ("taste", "score"), (True, True))


def taught(rows: int = 400, seed: int = 0) -> LogitDemand:
    rng = np.random.default_rng(seed)
    features = np.stack([rng.standard_normal(rows), rng.random(rows)], axis=1).astype(np.float32)
    relative = rng.choice(SHARES, rows)
    z = -0.5 + (-2.0 + 1.5 * features[:, 0]) * (relative - 1.0)
    prior = LogitDemand.prior(("taste", "score"), DemandSettings(interaction_spread=1.0))
    return prior.learn(features, relative, (rng.random(rows) < logistic(z)).astype(np.float32))


def prices(asks: PriceAsks) -> Float64Array:
    return asks.list_price[:, None] * SHARES


def shares_asked(settings: PolicySettings, asks: PriceAsks, demand: LogitDemand | None = None) -> Float64Array:
    proposals = make_policy(settings, demand).propose(asks, prices(asks), np.random.default_rng(0))
    return np.asarray(proposals.price / asks.list_price)


def test_plain_rules_ask_what_they_say() -> None:
    asks = asks_of(200)
    score = asks.features[:, 1].astype(np.float64)
    np.testing.assert_allclose(shares_asked(PolicySettings(kind="fixed", factor=0.9), asks), 0.9)
    np.testing.assert_allclose(shares_asked(PolicySettings(kind="cost_plus", markup=0.75), asks), 1.05)
    asked = shares_asked(PolicySettings(kind="score", kappa=0.2), asks)
    np.testing.assert_allclose(asked, 1 + 0.2 * (2 * score - 1), atol=0.025 + 1e-9)
    rules = (Rule(feature="score", least=0.7, factor=1.1), Rule(feature="taste", most=0.0, factor=0.8))
    asked = shares_asked(PolicySettings(kind="rule", rules=rules), asks)
    expected = np.where(score >= 0.7, 1.1, np.where(asks.features[:, 0] <= 0, 0.8, 1.0))
    np.testing.assert_allclose(asked, expected)


def test_a_score_is_ranked_among_the_population() -> None:
    asks = asks_of(100)
    settings = PolicySettings(kind="score", kappa=-0.2, quantiles=(0.0, 0.9, 1.0))
    asked = shares_asked(settings, asks)
    low = asks.features[:, 1] < 0.1
    assert (asked[low] > 1.1).all(), "with kappa below 0, who scores low pays more"
    assert asked[asks.features[:, 1] > 0.97].max(initial=0.0) < 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_known_costs_the_list_price(kind: PolicyKind) -> None:
    asks = asks_of(6)
    cost, list_price, features = asks.cost.copy(), asks.list_price.copy(), asks.features.copy()
    cost[0] = np.nan
    features[1] = np.nan
    ladder = prices(asks)
    list_price[2] = np.nan
    ladder[3, 5:] = np.nan
    ladder[4] = np.nan
    odd = PriceAsks(asks.items, list_price, cost, features, asks.names, asks.personal)
    settings = PolicySettings(kind=kind, exploration=0.5, objective=ObjectiveSettings(revenue=0, margin=1))
    told = make_policy(settings, taught()).propose(odd, ladder, np.random.default_rng(1))
    assert (told.propensity > 0).all()
    if kind not in ("fixed", "rule", "score"):
        assert told.price[0] == ladder[0, 4]
        assert told.propensity[0] == 1.0
    if kind == "score":
        assert told.price[1] == ladder[1, 4]
    assert np.isfinite(told.price[3])
    assert np.isnan(told.price[4])
    assert told.propensity[4] == 1.0


@pytest.mark.parametrize("kind", LEARNING)
def test_policies_that_go_by_demand_ask_less_of_who_minds(kind: PolicyKind) -> None:
    asks = asks_of(300)
    asked = shares_asked(PolicySettings(kind=kind, exploration=0.0), asks, taught(20_000))
    minds = asks.features[:, 0]
    assert asked[minds < -0.7].mean() < 0.9
    assert asked[minds > 0.7].mean() > 1.1


def test_with_enough_data_all_of_them_ask_the_best_price() -> None:
    asks, demand = asks_of(100), taught(400_000)
    probability = demand.upper(asks.features, np.tile(SHARES, (100, 1)), 0.0)
    best = (probability * SHARES).max(axis=1)
    for kind in LEARNING:
        asked = shares_asked(PolicySettings(kind=kind, exploration=0.0), asks, demand)
        column = np.abs(asked[:, None] - SHARES).argmin(axis=1)
        earned = (probability * SHARES)[np.arange(100), column]
        assert (earned / best).min() > 0.995


@pytest.mark.parametrize("kind", LEARNING)
def test_propensities_are_the_odds_of_what_was_drawn(kind: PolicyKind) -> None:
    """Weighed by one over their propensity, prices drawn estimate the mean over the ladder without bias."""
    asks, demand = asks_of(1), taught(150)
    n = 30_000
    features = np.repeat(asks.features, n, axis=0)
    items, list_price, cost = np.repeat(asks.items, n), np.repeat(asks.list_price, n), np.repeat(asks.cost, n)
    many = PriceAsks(items, list_price, cost, features, asks.names, asks.personal)
    settings = PolicySettings(kind=kind, exploration=0.2, draws=8, width=1.0)
    told = make_policy(settings, demand).propose(many, prices(many), np.random.default_rng(3))
    assert told.propensity.min() >= 0.2 / 9 - 1e-12
    for place in range(9):
        weights = (told.chosen == place) / told.propensity
        assert abs(weights.mean() - 1.0) < 5 * weights.std() / np.sqrt(n) + 1e-12, place


@pytest.mark.parametrize("rows", [0, 400, 40_000])
def test_the_ends_are_asked_the_less_the_more_is_known(rows: int) -> None:
    asks, demand = asks_of(1), replace(taught(400), rows=rows)
    n = 20_000
    many = PriceAsks(
        np.repeat(asks.items, n), np.repeat(asks.list_price, n), np.repeat(asks.cost, n),
        np.repeat(asks.features, n, axis=0), asks.names, asks.personal,
    )  # fmt: skip
    settings = PolicySettings(kind="greedy", exploration=0.0, ends=1.0)
    told = make_policy(settings, demand).propose(many, prices(many), np.random.default_rng(3))
    share = min(0.1, 1 / np.sqrt(1 + rows))
    counts = np.bincount(told.chosen, minlength=9)
    best = int(counts.argmax())
    for place in {0, 8} - {best}:
        odds = told.propensity[told.chosen == place]
        np.testing.assert_allclose(odds, share / 2)
        assert abs(counts[place] / n - share / 2) < 5 * np.sqrt(share / 2 / n)
    assert set(np.flatnonzero(counts)) <= {0, 8, best}


@given(st.integers(0, 2**31), st.sampled_from(KINDS), st.integers(1, 12), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_same_generator_gives_the_same_prices_of_the_ladder(
    seed: int, kind: PolicyKind, n: int, exploration: float
) -> None:
    rng = np.random.default_rng(seed)
    asks, demand = asks_of(n, seed), DEMAND
    ladder = np.sort(prices(asks) * rng.uniform(0.9, 1.1, (n, 9)), axis=1)
    ladder[rng.random((n, 9)) < 0.2] = np.nan
    ladder = np.sort(ladder, axis=1)
    policy = make_policy(PolicySettings(kind=kind, exploration=exploration), demand)
    one = policy.propose(asks, ladder, np.random.default_rng(seed))
    other = policy.propose(asks, ladder, np.random.default_rng(seed))
    assert (one.chosen == other.chosen).all()
    assert (one.propensity == other.propensity).all()
    assert ((one.propensity > 0) & (one.propensity <= 1)).all()
    empty = np.isnan(ladder).all(axis=1)
    assert np.isfinite(one.price[~empty]).all()


DEMAND = taught(200)


def test_objectives_lead_where_they_say() -> None:
    asks, demand = asks_of(300), taught(20_000)
    asked = {
        name: shares_asked(
            PolicySettings(kind="greedy", exploration=0.0, objective=ObjectiveSettings(**{"revenue": 0.0, **weights})),
            asks,
            demand,
        ).mean()
        for name, weights in {
            "revenue": {"revenue": 1.0},
            "margin": {"margin": 1.0},
            "units": {"units": 1.0},
            "kind": {"revenue": 1.0, "satisfaction": 0.3},
        }.items()
    }
    assert asked["units"] == pytest.approx(0.8)
    assert asked["units"] < asked["kind"] < asked["revenue"] < asked["margin"]


def test_surplus_is_the_area_under_demand_up_to_the_list_price() -> None:
    ladder = np.linspace(0.7, 1.3, 1_201)[None, :]
    base, effect = -0.5, -3.0
    told = surplus(logistic(base + effect * (ladder - 1.0)), ladder)

    def whole(at: Float64Array) -> Float64Array:
        return np.asarray(np.logaddexp(0.0, base + effect * (at - 1.0)) / -effect)

    np.testing.assert_allclose(told, whole(ladder) - whole(np.ones((1, 1))), atol=1e-6)
    # The list price need not be on the ladder, nor within it.
    coarse = np.array([[0.7, 0.9, 1.2, np.nan], [1.1, 1.2, 1.3, np.nan], [0.7, 0.8, 0.9, np.nan]])
    found = surplus(np.full(coarse.shape, 0.5), coarse)
    np.testing.assert_allclose(found[:, :3], 0.5 * (1.0 - coarse[:, :3]))
    assert np.isnan(found[:, 3]).all()


def test_margin_without_cost_is_worth_nothing_that_is_known() -> None:
    value = worth(ObjectiveSettings(margin=1.0), np.full((1, 2), 0.5), np.array([[0.9, 1.0]]), np.array([np.nan]))
    assert np.isnan(value).all()


def test_what_makes_no_sense_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="fit a demand model"):
        make_policy(PolicySettings(kind="greedy"))
    with pytest.raises(UsageError, match="features are taste, score"):
        shares_asked(PolicySettings(kind="score", score="charm"), asks_of(2))
    with pytest.raises(ValidationError, match="never fall"):
        PolicySettings(quantiles=(1.0, 0.0))
    with pytest.raises(ValidationError, match="every weight is 0"):
        ObjectiveSettings(revenue=0.0)
    with pytest.raises(ValidationError, match="down to"):
        Rule(feature="stock", least=3, most=1, factor=0.9)


def test_large_batches_are_priced_as_small_ones_are() -> None:
    asks, demand = asks_of(5_000), taught(300)
    told = make_policy(PolicySettings(kind="thompson", draws=64), demand).propose(
        asks, prices(asks), np.random.default_rng(0)
    )
    assert (told.propensity > 0).all()
    assert len(told.price) == 5_000

"""Demand: what it learns, what it believes, and that its state is all there is of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import Float64Array, FloatArray, UsageError
from palate.pricing.demand import DemandSettings, LogitDemand, logistic
from palate.pricing.hazard import spells, within

LADDER = np.linspace(0.8, 1.2, 9)
TASTE, CARE = np.array([0.8, -0.5, 0.0]), np.array([0.0, 0.6, -0.4])
NAMES = ("x0", "x1", "x2")


def shop(rows: int, seed: int = 0, shift: float = 0.0) -> tuple[FloatArray, Float64Array, FloatArray]:
    """Features, prices and outcomes of a logit whose weights are known."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((rows, 3)).astype(np.float32)
    relative = rng.choice(LADDER, rows)
    z = -0.7 + shift + features @ TASTE + (-2.5 + features @ CARE) * (relative - 1.0)
    return features, relative, (rng.random(rows) < logistic(z)).astype(np.float32)


Rows = tuple[FloatArray, Float64Array, FloatArray]


def part(rows: Rows, start: int, size: int) -> Rows:
    stop = start + size
    return rows[0][start:stop], rows[1][start:stop], rows[2][start:stop]


def test_the_truth_is_found_within_what_is_believed() -> None:
    demand = LogitDemand.prior(NAMES).learn(*shop(60_000))
    truth = np.concatenate([[-0.7], TASTE, [-2.5], CARE])
    away = (demand.belief.mean - truth) / np.sqrt(np.diag(demand.belief.covariance))
    assert np.abs(away).max() < 3.5
    features = shop(400, 5)[0]
    believed = demand.probability(features, np.tile(LADDER, (400, 1)))
    u = LADDER - 1.0
    true = logistic((-0.7 + features @ TASTE)[:, None] + (-2.5 + features @ CARE)[:, None] * u)
    assert np.abs(believed - true).mean() < 0.01


def test_intervals_of_the_price_effect_cover() -> None:
    """Over 120 shops 95 % intervals hold the truth as often as they say, give or take three standard errors."""
    held = 0
    for seed in range(120):
        demand = LogitDemand.prior(NAMES, DemandSettings(effect_spread=3.0)).learn(*shop(1_500, seed))
        middle, spread = demand.belief.mean[4], np.sqrt(demand.belief.covariance[4, 4])
        held += abs(middle + 2.5) <= 1.96 * spread
    assert 0.89 <= held / 120 <= 1.0


def test_batches_amount_to_the_whole() -> None:
    rows = shop(4_000)
    whole = LogitDemand.prior(NAMES).learn(*rows)
    parts = LogitDemand.prior(NAMES)
    for start in range(0, 4_000, 40):
        parts = parts.learn(*part(rows, start, 40))
    assert parts.rows == whole.rows == 4_000
    np.testing.assert_allclose(parts.belief.mean, whole.belief.mean, atol=0.08)
    np.testing.assert_allclose(np.diag(parts.belief.covariance), np.diag(whole.belief.covariance), rtol=0.1)


def test_data_that_a_line_separates_stay_finite() -> None:
    features = np.array([[1.0, 0, 0], [-1.0, 0, 0]] * 500, dtype=np.float32)
    bought = (features[:, 0] > 0).astype(np.float32)
    demand = LogitDemand.prior(NAMES).learn(features, np.ones(1_000), bought)
    assert np.isfinite(demand.belief.mean).all()
    sure = demand.probability(features[:2], np.ones((2, 1)))[:, 0]
    assert 0.9 < sure[0] < 1.0
    assert 0.0 < sure[1] < 0.1


def test_levels_are_shrunk_by_how_little_is_known_of_them() -> None:
    rng = np.random.default_rng(1)
    truth = 0.8 * rng.standard_normal(60)
    codes = rng.choice(60, 8_000, p=np.arange(1, 61) / np.arange(1, 61).sum())
    features = np.stack([rng.standard_normal(8_000), codes], axis=1).astype(np.float32)
    relative = rng.choice(LADDER, 8_000)
    bought = rng.random(8_000) < logistic(-1.0 + truth[codes] - 2.0 * (relative - 1.0))
    prior = LogitDemand.prior(("x", "item"), DemandSettings(level="item"))
    whole = prior.learn(features, relative, bought.astype(np.float32))
    found = whole.belief.level_mean[:, 0]
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    spread = np.sqrt(whole.belief.level_covariance[:, 0, 0])
    assert spread[:5].mean() > 1.5 * spread[-5:].mean()
    parts = prior
    for start in range(0, 8_000, 100):
        parts = parts.learn(*part((features, relative, bought.astype(np.float32)), start, 100))
    assert np.corrcoef(parts.belief.level_mean[:, 0], found)[0, 1] > 0.97
    # An item that nobody has seen is what its features say, with all the doubt about items.
    new = whole.pairs(np.array([[0.0, 999.0], [0.0, -1.0]], dtype=np.float32))
    np.testing.assert_array_equal(new[0][0], new[0][1])
    assert new[1][0, 0, 0] > whole.settings.level_spread**2


def test_how_far_weights_lie_from_nothing_is_learnt() -> None:
    """Where no feature matters to the price effect, effects shrink together; where all do, they are let apart."""
    rng = np.random.default_rng(0)
    names = tuple(f"x{place}" for place in range(10))
    features = rng.standard_normal((20_000, 10)).astype(np.float32)
    relative = rng.choice(LADDER, 20_000)
    spreads = []
    for care in (0.0, 0.8):
        z = -0.3 + (-2.5 + care * features.sum(axis=1)) * (relative - 1.0)
        bought = (rng.random(20_000) < logistic(z)).astype(np.float32)
        demand = LogitDemand.prior(names)
        for start in range(0, 20_000, 500):
            demand = demand.learn(*part((features, relative, bought), start, 500))
        spreads.append(demand.spreads[1])
        fixed = LogitDemand.prior(names, DemandSettings(spread_weight=None)).learn(features, relative, bought)
        away = [np.abs(one.belief.mean[12:] - care).mean() for one in (demand, fixed)]
        assert away[0] < away[1]
    assert spreads[0] < 0.25
    assert spreads[1] > 0.5


def test_what_changed_is_followed_only_by_who_forgets() -> None:
    before, after = shop(8_000, 1), shop(3_000, 2, shift=1.5)
    errors = []
    for memory in (None, 1_000.0):
        demand = LogitDemand.prior(NAMES, DemandSettings(memory=memory))
        for rows in (before, after):
            for start in range(0, len(rows[1]), 100):
                demand = demand.learn(*part(rows, start, 100))
        errors.append(abs(demand.belief.mean[0] - 0.8))
    assert errors[1] < 0.25 < errors[0]


def test_nothing_is_known_for_ever_nor_unknown_beyond_the_prior() -> None:
    prior = LogitDemand.prior(NAMES, DemandSettings(memory=200.0))
    demand, nothing = prior, (np.zeros((50, 3), dtype=np.float32), np.ones(50), np.zeros(50, dtype=np.float32))
    for _ in range(100):
        demand = demand.learn(*nothing)
    spread, first = np.diag(demand.belief.covariance), np.diag(prior.belief.covariance)
    assert (spread <= first * (1 + 1e-9)).all()
    assert spread[1] == pytest.approx(first[1])


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_demand_falls_with_the_price_and_hope_lies_above_belief(seed: int, rows: int) -> None:
    demand = LogitDemand.prior(NAMES).learn(*shop(rows, seed % 1_000))
    rng = np.random.default_rng(seed)
    features, ladder = (5 * rng.standard_normal((6, 3))).astype(np.float32), np.tile(LADDER, (6, 1))
    for model in (demand, demand.draw(rng, 6), demand.draw(rng, 6, 3.0)):
        falls = np.diff(model.probability(features, ladder), axis=1)
        assert (falls <= 0).all()
    low, high = (demand.upper(features, ladder, width) for width in (0.0, 1.0))
    assert (high >= low).all()
    np.testing.assert_allclose(demand.draw(rng, 6, 0.0).probability(features, ladder), low)


def test_draws_scatter_as_is_believed() -> None:
    demand = LogitDemand.prior(NAMES, DemandSettings(least_effect=0.0)).learn(*shop(300))
    features = np.repeat(np.array([[0.5, -0.2, 0.1]], dtype=np.float32), 40_000, axis=0)
    drawn = demand.draw(np.random.default_rng(0), 40_000).probability(features, np.tile([[1.0, 1.1]], (40_000, 1)))
    z = np.log(drawn / (1 - drawn))
    middle, spread = demand.pairs(features[:1])
    pair = np.stack([z[:, 0], (z[:, 1] - z[:, 0]) / 0.1], axis=1)
    np.testing.assert_allclose(pair.mean(axis=0), middle[0], atol=0.03)
    np.testing.assert_allclose(np.cov(pair.T), spread[0], rtol=0.05, atol=0.005)


def test_a_restored_model_answers_bit_for_bit_and_goes_on_alike() -> None:
    prior = LogitDemand.prior(NAMES, DemandSettings(memory=900.0, level="x2"), shop(50)[0])
    demand = prior.learn(*shop(500))
    again = prior.restore({name: values.copy() for name, values in demand.arrays().items()})
    for one, other in ((demand, again), (demand.learn(*shop(70, 3)), again.learn(*shop(70, 3)))):
        assert all((one.arrays()[name] == values).all() for name, values in other.arrays().items())
        features, ladder = shop(20, 9)[0], np.tile(LADDER, (20, 1))
        assert (one.probability(features, ladder) == other.probability(features, ladder)).all()
    with pytest.raises(UsageError, match="features"):
        LogitDemand.prior(("a",)).restore(demand.arrays())


def test_one_ask_alone_gets_the_bits_it_gets_among_others() -> None:
    demand = LogitDemand.prior(NAMES).learn(*shop(500))
    features, ladder = shop(64, 9)[0], np.tile(LADDER, (64, 1))
    many = demand.probability(features, ladder)
    for row in range(64):
        assert (demand.probability(features[row : row + 1], ladder[:1])[0] == many[row]).all()


def test_what_is_not_known_teaches_nothing_and_what_is_wrong_is_refused() -> None:
    features, relative, bought = shop(100)
    prior = LogitDemand.prior(NAMES)
    odd = relative.copy()
    odd[:50] = [np.nan, 0.0, -1.0, np.inf, np.nan] * 10
    taught = prior.learn(features, odd, bought)
    only = prior.learn(features[50:], relative[50:], bought[50:])
    assert (taught.belief.mean == only.belief.mean).all()
    assert taught.rows == 50
    gaps = features.copy()
    gaps[:, 1] = np.nan
    assert np.isfinite(prior.learn(gaps, relative, bought).probability(gaps, relative[:, None])).all()
    with pytest.raises(UsageError, match="neither"):
        prior.learn(features, relative, bought * 3)
    with pytest.raises(UsageError, match="no column"):
        LogitDemand.prior(NAMES, DemandSettings(level="brand"))


def test_elasticity_is_the_slope_of_log_demand() -> None:
    demand = LogitDemand.prior(NAMES).learn(*shop(2_000))
    features = shop(5, 4)[0]
    around = demand.upper(features, np.tile([[1.05 - 1e-5, 1.05 + 1e-5]], (5, 1)), 0.0)
    slope = (np.log(around[:, 1]) - np.log(around[:, 0])) / (np.log(1.05 + 1e-5) - np.log(1.05 - 1e-5))
    np.testing.assert_allclose(demand.elasticity(features, np.full(5, 1.05)), slope, rtol=1e-5)


def test_a_hazard_is_the_same_logit_step_by_step() -> None:
    """People look for up to four days; each day they buy or not, and prices move."""
    rng = np.random.default_rng(0)
    n, steps = 6_000, 4
    x = rng.standard_normal((n, 1)).astype(np.float32)
    day = np.tile(np.arange(steps, dtype=np.float32) / steps, (n, 1))
    features = np.stack([np.repeat(x, steps, axis=1), day], axis=2)
    relative = rng.choice(LADDER, (n, steps))
    hazard = logistic(-1.5 + 0.7 * x - 0.8 * day - 2.0 * (relative - 1.0))
    happened = rng.random((n, steps)) < hazard
    bought_at = np.where(happened.any(axis=1), happened.argmax(axis=1), -1).astype(np.int32)
    watched = np.full(n, steps, dtype=np.int32)
    rows = spells(features, relative, bought_at, watched)
    assert len(rows[1]) == np.where(bought_at >= 0, bought_at + 1, watched).sum()
    assert rows[2].sum() == (bought_at >= 0).sum()
    demand = LogitDemand.prior(("x", "day")).learn(*rows)
    np.testing.assert_allclose(demand.belief.mean[:3], [-1.5, 0.7, -0.8], atol=0.15)
    believed = within(demand, features[:500], relative[:500])
    np.testing.assert_allclose(believed, 1 - np.prod(1 - hazard[:500], axis=1), atol=0.05)


def test_a_spell_that_contradicts_itself_is_refused() -> None:
    features, relative = np.zeros((1, 3, 1), dtype=np.float32), np.ones((1, 3))
    with pytest.raises(UsageError, match="before it was bought"):
        spells(features, relative, np.array([2], dtype=np.int32), np.array([1], dtype=np.int32))

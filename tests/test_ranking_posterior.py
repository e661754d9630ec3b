"""Ridge regression that forgets: the inverse stays an inverse, late rewards count as if they had been early."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import Float64Array
from palate.ranking.posterior import Posterior, best_shares

LIVES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**31), st.floats(0, 1)), min_size=1, max_size=40)


def context(seed: int) -> Float64Array:
    return np.random.default_rng(seed).random(4)


@settings(max_examples=40, deadline=None)
@given(LIVES, st.sampled_from([3.0, 50.0, 1e9]))
def test_the_inverse_is_the_inverse(life: list[tuple[int, int, float]], memory: float) -> None:
    state = Posterior.prior(3, 4, 0.7, memory)
    for arm, seed, reward in life:
        state = state.seen(arm, context(seed))
        state = state.earned(arm, context(seed), reward, state.tick)
    np.testing.assert_allclose(state.covariance, np.linalg.inv(state.precision), rtol=1e-6, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(LIVES)
def test_a_reward_that_comes_late_counts_as_if_it_had_come_at_once(life: list[tuple[int, int, float]]) -> None:
    early = late = Posterior.prior(3, 4, 1.0, 20.0)
    owed = []
    for arm, seed, reward in life:
        early, late = early.seen(arm, context(seed)), late.seen(arm, context(seed))
        early = early.earned(arm, context(seed), reward, early.tick)
        owed.append((arm, context(seed), reward, late.tick))
    for arm, what, reward, tick in reversed(owed):
        late = late.earned(arm, what, reward, tick)
    np.testing.assert_allclose(late.response, early.response, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(late.covariance, early.covariance)


def test_without_forgetting_it_is_ridge_regression() -> None:
    random = np.random.default_rng(0)
    contexts, rewards = random.random((50, 4)), random.random(50)
    state = Posterior.prior(1, 4, 2.0, 1e12)
    for row, reward in zip(contexts, rewards, strict=True):
        state = state.seen(0, row)
        state = state.earned(0, row, float(reward), state.tick)
    weights = np.linalg.solve(contexts.T @ contexts + 2.0 * np.eye(4), contexts.T @ rewards)
    means, deviations = state.rewards(contexts[:3])
    np.testing.assert_allclose(means[:, 0], contexts[:3] @ weights, rtol=1e-6)
    spread = np.einsum(
        "ni,ij,nj->n", contexts[:3], np.linalg.inv(contexts.T @ contexts + 2.0 * np.eye(4)), contexts[:3]
    )
    np.testing.assert_allclose(deviations[:, 0] ** 2, spread, rtol=1e-6)


def test_a_long_life_stays_bounded_and_exact() -> None:
    memory, state = 100.0, Posterior.prior(3, 4, 1.0, 100.0)
    for step in range(6_000):
        # Arm 1 is never chosen, arm 0 sees one context alone: both would wind up were the prior forgotten.
        state = state.seen(0 if step % 2 else 2, np.array([1.0, 1.0, 0.0, 0.0]) if step % 2 else context(step))
        state = state.earned(0, np.ones(4), 1.0, state.tick)
    assert state.precision.max() <= 1.0 + memory + 1
    assert np.abs(state.response).max() <= memory + 1
    directions = np.linalg.eigvalsh(state.precision)
    assert directions.min() >= np.exp(-4 / memory) - 1e-9, "the prior comes back in every direction"
    np.testing.assert_allclose(state.covariance, np.linalg.inv(state.precision), rtol=1e-7, atol=1e-10)
    np.testing.assert_array_equal(state.covariance, np.swapaxes(state.covariance, 1, 2))


def test_an_arm_not_chosen_becomes_uncertain_again() -> None:
    state = Posterior.prior(2, 4, 1.0, 50.0)
    for step in range(100):
        state = state.seen(0, context(step))
    _, known = state.rewards(np.ones((1, 4)))
    for step in range(300):
        state = state.seen(1, context(step))
    _, forgotten = state.rewards(np.ones((1, 4)))
    assert forgotten[0, 0] > 3 * known[0, 0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
    st.lists(st.floats(0.01, 3), min_size=4, max_size=4),
)
def test_probabilities_of_being_best_are_those_of_drawing(means: list[float], deviations: list[float]) -> None:
    own, spread = np.array([means]), np.array([deviations])
    shares = best_shares(own, spread)
    assert shares.sum() == pytest.approx(1)
    drawn = np.random.default_rng(0).normal(size=(20_000, 4)) * spread + own
    frequencies = np.bincount(drawn.argmax(axis=1), minlength=4) / len(drawn)
    assert np.abs(frequencies - shares[0]).max() < 0.018


def test_two_arms_are_compared_in_closed_form() -> None:
    from scipy.stats import norm

    means, deviations = np.array([[0.3, 0.1], [0.0, 0.0], [5.0, 0.0]]), np.array([[0.5, 0.05], [1.0, 0.01], [0.1, 0.1]])
    exact = norm.cdf((means[:, 0] - means[:, 1]) / np.sqrt((deviations**2).sum(axis=1)))
    np.testing.assert_allclose(best_shares(means, deviations)[:, 0], exact, atol=2e-3)


def test_alike_arms_are_as_likely() -> None:
    np.testing.assert_allclose(best_shares(np.zeros((1, 5)), np.ones((1, 5))), 0.2, atol=1e-9)

"""Looking often: confidence sequences, group-sequential looks, and the gate on the sizes of arms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import Float64Array, UsageError
from palate.experiments.group_sequential import (
    NEVER,
    Spending,
    constant_boundary,
    critical_values,
    crossing,
    drift_for_power,
    sequential_p,
    spent,
)
from palate.experiments.mismatch import any_time_p, mismatch
from palate.experiments.sequential import always_valid_p, half_width, one_sided_p, scale

SPENDINGS: tuple[Spending, ...] = ("obrien-fleming", "pocock")
looks = st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6).map(
    lambda steps: np.cumsum(steps) / sum(steps)  # rises to 1
)


def walks(n: int, fractions: Float64Array, drift: float, seed: int) -> Float64Array:
    """Estimates over their errors at shares of the information; (n, looks)."""
    steps = np.diff(fractions, prepend=0.0)
    moves = np.random.default_rng(seed).normal(size=(n, len(fractions))) * np.sqrt(steps) + drift * steps
    return np.asarray(moves.cumsum(axis=1) / np.sqrt(fractions))


@pytest.mark.parametrize(
    ("power", "table"),
    [
        (0.5, {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555, 20: 2.672}),
        (0.0, {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087, 20: 2.126}),
    ],
    ids=SPENDINGS[::-1],
)
def test_classical_constants_are_those_of_the_tables(power: float, table: dict[int, float]) -> None:
    """Jennison and Turnbull (2000), tables 2.1 and 2.3, two-sided 5 %."""
    for count, value in table.items():
        assert constant_boundary(np.arange(1, count + 1) / count, 0.05, power) == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        ("obrien-fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_spending_boundaries_are_those_published(spending: Spending, published: list[float]) -> None:
    """Five even looks, two-sided 5 %, as other programs for Lan and DeMets (1983) print them."""
    values = critical_values(np.arange(1, 6) / 5, 0.05, spending)
    np.testing.assert_allclose(values, published, atol=2e-4)


@given(looks, st.sampled_from(SPENDINGS), st.sampled_from([0.01, 0.05, 0.2]))
def test_looks_spend_the_whole_error_rate_and_no_more(
    fractions: Float64Array, spending: Spending, alpha: float
) -> None:
    values = critical_values(fractions, alpha, spending)
    chances = crossing(fractions, values)
    assert chances.total == pytest.approx(alpha, rel=1e-4)
    np.testing.assert_allclose(chances.above, chances.below, atol=1e-9)
    np.testing.assert_allclose((chances.above + chances.below).cumsum(), spent(fractions, alpha, spending), atol=1e-6)


@given(looks, st.sampled_from(SPENDINGS))
def test_later_looks_leave_earlier_values_alone(fractions: Float64Array, spending: Spending) -> None:
    whole = critical_values(fractions, 0.05, spending)
    for made in range(1, len(fractions)):
        np.testing.assert_allclose(critical_values(fractions[:made], 0.05, spending), whole[:made], rtol=1e-9)


@settings(max_examples=40)
@given(looks, st.data())
def test_the_sequential_p_is_small_exactly_where_a_value_was_crossed(
    fractions: Float64Array, data: st.DataObject
) -> None:
    z = np.array(data.draw(st.lists(st.floats(-4, 4), min_size=len(fractions), max_size=len(fractions))))
    p = sequential_p(z, fractions)
    for alpha in (0.01, 0.05, 0.2):
        beyond = float(np.max(np.abs(z) - critical_values(fractions, alpha)))
        if abs(beyond) > 1e-3:
            assert (p <= alpha) == (beyond > 0)


def test_integration_agrees_with_simulation() -> None:
    fractions = np.array([0.1, 0.35, 0.5, 0.8, 1.0])
    values = critical_values(fractions, 0.05, "pocock")
    for drift in (0.0, 2.8):
        z = walks(200_000, fractions, drift, seed=1)
        first = np.where((np.abs(z) > values).any(axis=1), (np.abs(z) > values).argmax(axis=1), -1)
        up = z[np.arange(len(z)), first] > 0
        seen = np.array([((first == look) & up).mean() for look in range(5)])
        np.testing.assert_allclose(crossing(fractions, values, drift).above, seen, atol=0.004)


def test_a_few_looks_keep_the_power_of_the_fixed_test() -> None:
    fractions = np.arange(1, 15) / 14
    drift = 1.959964 + 0.841621
    assert crossing(fractions, critical_values(fractions), drift).total / 0.8 >= 0.95
    # Jennison and Turnbull (2000), table 2.2: Pocock's five looks at 90 % power need 1.207 times the units.
    even = np.arange(1, 6) / 5
    constant = constant_boundary(even, 0.05, 0.5)
    inflation = (drift_for_power(even, np.full(5, constant), 0.9) / (1.959964 + 1.281552)) ** 2
    assert inflation == pytest.approx(1.207, abs=1e-3)


def test_the_last_look_spends_what_is_left_and_an_overrun_costs_nothing() -> None:
    early = np.array([0.3, 0.6])
    assert crossing(early, critical_values(early, final=True)).total == pytest.approx(0.05, rel=1e-4)
    over = np.array([0.5, 1.2])
    assert crossing(over, critical_values(over)).total == pytest.approx(0.05, rel=1e-4)


def test_a_look_with_next_to_nothing_to_spend_never_crosses() -> None:
    assert critical_values([0.001, 1.0])[0] == NEVER


@pytest.mark.parametrize("fractions", [[], [0.5, 0.5], [0.5, 0.2], [0.0, 1.0], [math.nan], [1.0, 1.2]])
def test_looks_that_are_none_are_refused(fractions: list[float]) -> None:
    with pytest.raises(UsageError, match="look"):
        critical_values(fractions)


def test_the_sequence_is_narrowest_at_the_planned_end_and_within_its_promise() -> None:
    for alpha in (0.01, 0.05, 0.1):
        best = half_width(1.0, alpha)
        x = scale(alpha) * np.exp(np.linspace(-0.5, 0.5, 11))
        others = np.sqrt((1 + 1 / x) * (np.log1p(x) - 2 * np.log(alpha)))
        assert best == pytest.approx(others.min(), rel=1e-9)
    assert half_width(1.0, 0.05) / 1.959964 <= 1.6


@given(st.floats(0.001, 3.0), st.sampled_from([0.01, 0.05, 0.2]), st.floats(0.0, 8.0))
def test_the_always_valid_p_and_the_sequence_are_two_faces_of_one_thing(at: float, alpha: float, z: float) -> None:
    assert always_valid_p(half_width(at, alpha), at, alpha) == pytest.approx(alpha)
    if abs(z - half_width(at, alpha)) > 1e-9:
        assert bool(always_valid_p(z, at, alpha) <= alpha) == bool(z > half_width(at, alpha))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_an_error_rate_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        half_width(0.5, alpha)


def test_daily_looks_err_at_most_as_often_as_promised() -> None:
    days = np.arange(1, 57) / 28  # twice as long as planned
    z = walks(20_000, days, 0.0, seed=2)
    once = (np.abs(z) > 1.959964).any(axis=1).mean()
    assert once > 0.25, "the walks are such that naive looks fail"
    assert (np.abs(z) > half_width(days)).any(axis=1).mean() <= 0.05
    assert (one_sided_p(z, days) <= 0.05).any(axis=1).mean() <= 0.05
    # What is half-way harmed still does not pass for gain.
    harmed = walks(5_000, days, -2.0, seed=3)
    assert (one_sided_p(harmed, days) <= 0.05).any(axis=1).mean() <= 0.01


def test_a_real_lift_is_found_and_the_sequence_covers_it_at_all_times() -> None:
    days = np.arange(1, 29) / 28
    z = walks(20_000, days, 4.0, seed=4)
    truth = 4.0 * np.sqrt(days)
    assert (np.abs(z - truth) > half_width(days)).any(axis=1).mean() <= 0.05
    assert (z > half_width(days)).any(axis=1).mean() > 0.75


def test_the_gate_finds_what_it_has_to_and_seldom_more() -> None:
    rng = np.random.default_rng(5)
    for first, looks_seen in ((0.503, "found"), (0.5, "alarm")):
        counts = rng.binomial(1_000_000 // 20, first, size=(4_000, 20)).cumsum(axis=1)
        units = 1_000_000 // 20 * np.arange(1, 21)
        both = np.stack([counts, units - counts], axis=-1).astype(np.float64).reshape(-1, 2)
        p = any_time_p(both, np.array([0.5, 0.5]), 1_000_000).reshape(4_000, 20)
        share = (p <= 0.01).any(axis=1).mean()
        assert share >= 0.99 if looks_seen == "found" else share <= 0.01


def test_the_gate_errs_at_most_as_promised_counted_over_all_paths() -> None:
    """A look after every unit, 400 of them, at odds 3 to 1: the chance of any alarm, exactly."""
    odds, alpha = np.array([0.75, 0.25]), 0.05
    alive, alarmed = np.ones(1), 0.0
    for n in range(1, 401):
        alive = np.convolve(alive, odds[::-1])
        first = np.arange(n + 1, dtype=np.float64)
        crossed = any_time_p(np.stack([first, n - first], axis=1), odds, 400) <= alpha
        alarmed += float(alive[crossed].sum())
        alive = np.where(crossed, 0.0, alive)
    assert 0.0 < alarmed <= alpha
    assert alarmed + alive.sum() == pytest.approx(1.0)


def test_the_gate_sees_gross_mismatches_early_and_names_what_it_expected() -> None:
    found = mismatch({"A": 140, "B": 60}, {"A": 2, "B": 2}, 1_000_000)
    assert found.expected == {"A": 100.0, "B": 100.0}
    assert found.found(0.01)
    assert found.p_once == pytest.approx(1.54e-8, rel=0.01)
    assert not mismatch({"A": 0, "B": 0}, {"A": 1, "B": 1}, 1000).found(0.01)
    assert not mismatch({"A": 3, "B": 1, "C": 2}, {"A": 1, "B": 1, "C": 1}, 1000).found(0.01)


@pytest.mark.parametrize(
    ("counts", "shares", "words"),
    [
        ({"A": 1}, {"A": 1.0, "B": 1.0}, "every arm"),
        ({"A": 1}, {"A": 1.0}, "two arms"),
        ({"A": 1, "B": 1}, {"A": 1.0, "B": 0.0}, "above 0"),
    ],
)
def test_the_gate_refuses_arms_without_shares(counts: dict[str, int], shares: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        mismatch(counts, shares, 100)

"""Intervals hold what they promise, and tests find what is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate import measure
from palate.measure.intervals import bounds


def test_bootstrap_interval_covers_the_truth_as_often_as_it_says() -> None:
    """300 studies of 200 users with a skewed measure; a 95 % interval should miss about 15 of them."""
    rng = np.random.default_rng(3)
    studies = (rng.random((200, 300)) < 0.2) / 2.0
    low, high = bounds(measure.resampled_means(studies, samples=400))
    covered = ((low <= 0.1) & (high >= 0.1)).mean()
    assert 0.91 <= covered <= 0.98


def test_questions_of_one_user_stay_together() -> None:
    """40 users asked 25 identical questions each are 40 observations, not 1,000."""
    rng = np.random.default_rng(4)
    user = rng.random(40)
    values, groups = np.repeat(user, 25), np.repeat(np.arange(40, dtype=np.int32), 25)
    naive, honest, reference = (
        measure.mean_interval(values),
        measure.mean_interval(values, groups),
        measure.mean_interval(user),
    )
    assert honest.high - honest.low == pytest.approx(reference.high - reference.low, rel=0.15)
    assert naive.high - naive.low < 0.4 * (honest.high - honest.low)
    alone = measure.mean_interval(values, np.full(1000, -1, dtype=np.int32))
    assert alone.high - alone.low == pytest.approx(naive.high - naive.low, rel=0.1)


def test_groups_of_different_sizes_keep_the_mean_over_questions() -> None:
    values, groups = np.array([1.0, 0.0, 0.0, 0.0]), np.array([5, 2, 2, 2], dtype=np.int32)
    replicates = measure.resampled_means(values[:, None], groups, samples=500)
    assert set(np.round(replicates[:, 0], 6)) == {0.0, 0.25, 1.0}


def test_paired_comparison_sees_a_small_steady_gain() -> None:
    rng = np.random.default_rng(5)
    base = rng.random(500)
    better = base * 1.2 + rng.normal(0, 0.01, 500)
    result = measure.compare(better, base)[0]
    assert result.relative.low < 0.2 < result.relative.high
    assert result.relative.high - result.relative.low < 0.01
    assert result.difference.low > 0.05
    assert result.p < 0.01
    assert measure.t_test(better, base)[0] < 1e-6
    back = measure.compare(base, better)[0]
    assert back.difference.estimate == pytest.approx(-result.difference.estimate)
    assert back.relative.high < 0


def test_no_difference_is_called_none() -> None:
    """Under the null, p below .05 comes up about one time in twenty."""
    rng = np.random.default_rng(6)
    first, second = rng.random((60, 300)), rng.random((60, 300))
    share = (measure.permutation_test(first, second, permutations=400) < 0.05).mean()
    assert 0.02 <= share <= 0.09
    same = measure.compare(first[:, 0], first[:, 0])[0]
    assert same.p == 1.0
    assert (same.difference.low, same.difference.high) == (0.0, 0.0)
    assert measure.t_test(first[:, 0], first[:, 0])[0] == 1.0


def test_against_nothing_the_relative_gain_is_infinite() -> None:
    result = measure.compare(np.ones(10), np.zeros(10))[0]
    assert result.relative.estimate == np.inf
    assert result.relative.low == np.inf


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(7).random(100)
    assert measure.mean_interval(values, seed=1) == measure.mean_interval(values, seed=1)
    assert measure.mean_interval(values, seed=1) != measure.mean_interval(values, seed=2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_definition(p: list[float]) -> None:
    corrected = measure.holm(p)
    order = sorted(range(len(p)), key=lambda i: p[i])
    running = 0.0
    for place, i in enumerate(order):
        running = max(running, min(1.0, p[i] * (len(p) - place)))
        assert corrected[i] == pytest.approx(running)

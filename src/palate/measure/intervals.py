"""How sure a measured mean is: the one library of intervals and tests.

Resampling is over users: a user's questions stay together. Columns that are resampled in one call share their draws, so
replicates of two columns are paired, and a difference or a ratio of them is simply computed replicate by replicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.core import Float64Array, IntArray

SAMPLES = 1000
"""Bootstrap replicates."""

PERMUTATIONS = 2000
"""Random sign flips of the paired permutation test."""

LEVEL = 0.95
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between its bounds."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired comparison of two means over the same users.

    Parameters
    ----------
    difference
        First mean less second mean.
    relative
        First mean over second mean, less 1; infinite where the second is 0 and the first is not.
    p
        Two-sided p of the paired permutation test.
    """

    difference: Interval
    relative: Interval
    p: float


def resampled_means(
    values: ArrayLike, groups: IntArray | None = None, *, samples: int = SAMPLES, seed: int = 0
) -> Float64Array:
    """Bootstrap replicates of column means, drawn over groups (Efron 1979; Field & Welsh 2007 for groups).

    Parameters
    ----------
    values
        float (n, m): n questions, m measures.
    groups
        int32 (n,), the user of each question; negative: a user of its own. None: every question is another user's.

    Returns
    -------
    float64 (samples, m)
    """
    sums, counts = _by_group(np.asarray(values, dtype=np.float64), groups)
    stacked = np.concatenate([sums, counts[:, None]], axis=1)
    n = len(stacked)
    rng = np.random.default_rng(seed)
    replicates = np.empty((samples, stacked.shape[1]))
    step = max(1, _CELLS // max(n, 1))
    for start in range(0, samples, step):
        size = min(step, samples - start)
        drawn = rng.integers(0, n, size=(size, n), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * np.int32(n)
        weights = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        replicates[start : start + size] = weights.astype(np.float64) @ stacked
    return replicates[:, :-1] / replicates[:, -1:]


def bounds(replicates: Float64Array, level: float = LEVEL) -> tuple[Float64Array, Float64Array]:
    """Percentile bounds of each column; two float64 (m,). Infinite replicates stay infinite."""
    tail = (1.0 - level) / 2.0
    # "lower" and "higher" never interpolate, so that an infinite replicate cannot turn into NaN.
    low = np.quantile(replicates, tail, axis=0, method="lower")
    high = np.quantile(replicates, 1.0 - tail, axis=0, method="higher")
    return low, high


def mean_interval(
    values: ArrayLike, groups: IntArray | None = None, *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> Interval:
    """Mean of one measure (n,) with its bootstrap interval over users."""
    column = np.asarray(values, dtype=np.float64)
    low, high = bounds(resampled_means(column[:, None], groups, samples=samples, seed=seed), level)
    return Interval(float(column.mean()), float(low[0]), float(high[0]))


def influence_interval(values: ArrayLike, groups: IntArray | None = None, *, level: float = LEVEL) -> Interval:
    """Mean of influence values (n,) between bounds by Student's t, a group's values together (Liang & Zeger, 1986).

    Without resampling, hence for estimators that are judged over many simulated samples, and for those whose influence
    function is known: their interval is that of the influence values' mean.

    Parameters
    ----------
    groups
        int32 (n,), see ``resampled_means``.
    """
    from scipy.special import stdtrit

    column = np.asarray(values, dtype=np.float64)
    n = len(column)
    estimate = float(column.mean())
    sums, _ = _by_group((column - estimate)[:, None], groups)
    groups_seen = len(sums)
    if groups_seen < 2:
        return Interval(estimate, -np.inf, np.inf)
    error = float(np.sqrt(groups_seen / (groups_seen - 1) * (sums**2).sum()) / n)
    reach = float(stdtrit(groups_seen - 1, 0.5 + level / 2)) * error
    return Interval(estimate, estimate - reach, estimate + reach)


def compare(
    first: ArrayLike,
    second: ArrayLike,
    groups: IntArray | None = None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> list[Comparison]:
    """Paired comparison of columns of two tables, the same questions in the same order.

    Parameters
    ----------
    first, second
        float (n, m), or (n,) for one column.

    Returns
    -------
    One comparison a column.
    """
    a, b = _table(first), _table(second)
    width = a.shape[1]
    replicates = resampled_means(np.concatenate([a, b], axis=1), groups, samples=samples, seed=seed)
    left, right = replicates[:, :width], replicates[:, width:]
    p = permutation_test(a, b, groups, seed=seed)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    difference = bounds(left - right, level)
    relative = bounds(_ratio(left, right), level)
    ratio = _ratio(mean_a, mean_b)
    return [
        Comparison(
            Interval(float(mean_a[i] - mean_b[i]), float(difference[0][i]), float(difference[1][i])),
            Interval(float(ratio[i]), float(relative[0][i]), float(relative[1][i])),
            float(p[i]),
        )
        for i in range(width)
    ]


def permutation_test(
    first: ArrayLike,
    second: ArrayLike,
    groups: IntArray | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Float64Array:
    """Two-sided p that two paired columns have one mean: signs of users' differences are flipped at random.

    p = (1 + flips at least as extreme) / (1 + flips) (Phipson & Smyth 2010), so it is never 0.

    Parameters
    ----------
    first, second
        float (n, m), or (n,).

    Returns
    -------
    float64 (m,)
    """
    differences, _ = _by_group(_table(first) - _table(second), groups)
    observed = np.abs(differences.sum(axis=0))
    n = len(differences)
    rng = np.random.default_rng(seed)
    extreme = np.zeros(differences.shape[1], dtype=np.int64)
    step = max(1, _CELLS // max(n, 1))
    for start in range(0, permutations, step):
        size = min(step, permutations - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes(size * -(-n // 8)), np.uint8).reshape(size, -1), axis=1, count=n)
        # The sum over flipped signs is the plain sum less twice the flipped part.
        sums = differences.sum(axis=0) - 2.0 * (bits.astype(np.float64) @ differences)
        # A tolerance: equal sums must not differ by the order they were added in.
        extreme += (np.abs(sums) >= observed - 1e-9 * np.maximum(observed, 1.0)).sum(axis=0)
    return np.asarray((1.0 + extreme) / (1.0 + permutations), dtype=np.float64)


def t_test(first: ArrayLike, second: ArrayLike) -> Float64Array:
    """Two-sided p of the paired t test for each column; float64 (m,). 1 where nothing differs."""
    from scipy import stats

    differences = _table(first) - _table(second)
    n = len(differences)
    error: Float64Array = np.asarray(differences.std(axis=0, ddof=1) / np.sqrt(n), dtype=np.float64)
    mean = differences.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(error > 0, mean / error, np.where(mean == 0, 0.0, np.inf))
    return np.asarray(2.0 * stats.t.sf(np.abs(statistic), n - 1), dtype=np.float64)


def holm(p: Sequence[float] | Float64Array) -> Float64Array:
    """p corrected for how many comparisons were made (Holm 1979), in the same order."""
    values = np.asarray(p, dtype=np.float64)
    m = len(values)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(m)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * (m - np.arange(m))), 1.0)
    return corrected


def benjamini_hochberg(p: Sequence[float] | Float64Array, tests: int | None = None) -> Float64Array:
    """Smallest share of false discoveries at which each of several tests would be kept (Benjamini & Hochberg, 1995).

    Parameters
    ----------
    p
        Of the tests that are reported.
    tests
        How many were made, those not reported included; as many as reported where None.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    made = len(values) if tests is None else max(tests, len(values))
    stepped = values[order] * made / np.arange(1, len(values) + 1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return corrected


def _table(values: ArrayLike) -> Float64Array:
    table = np.asarray(values, dtype=np.float64)
    return table[:, None] if table.ndim == 1 else table


def _ratio(first: NDArray[np.float64], second: NDArray[np.float64]) -> Float64Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Float64Array = np.where(second != 0, first / second, np.where(first == 0, 1.0, np.inf)) - 1.0
    return ratio


def _by_group(values: Float64Array, groups: IntArray | None) -> tuple[Float64Array, Float64Array]:
    """Sums and counts of questions per user."""
    if groups is None:
        return values, np.ones(len(values))
    alone = groups < 0
    labels = groups.astype(np.int64)
    labels[alone] = int(groups.max(initial=0)) + 1 + np.arange(int(alone.sum()))
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(counts) == len(values):
        return values, np.ones(len(values))
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, place, values)
    return sums, counts.astype(np.float64)

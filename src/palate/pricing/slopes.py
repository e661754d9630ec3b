"""Slopes of residuals on residuals, with errors that know which rows err together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, IntArray


@dataclass(frozen=True)
class Slopes:
    """One slope a group.

    Parameters
    ----------
    slope, error
        float64 (g,), estimate and standard error; NaN where there is nothing to estimate from.
    freedom
        float64 (g,), degrees of freedom of the error (Bell & McCaffrey, 2002).
    clusters, rows
        int64 (g,).
    moved
        float64 (g,), standard deviation of the price residual.
    """

    slope: Float64Array
    error: Float64Array
    freedom: Float64Array
    clusters: IntArray
    rows: IntArray
    moved: Float64Array


def slopes(
    price: Float64Array,
    demand: Float64Array,
    weights: Float64Array,
    *,
    group: IntArray,
    cluster: IntArray,
    groups: int,
) -> Slopes:
    """Slope of demand residuals on price residuals in each group.

    The error is the sandwich over clusters with each cluster's own pull on the slope undone (CR2; Bell & McCaffrey,
    2002; Pustejovsky & Tipton, 2018), and its degrees of freedom are Satterthwaite's under errors that are alike:
    with few clusters, or one that rules the others, the interval widens as it should.

    Parameters
    ----------
    price, demand
        float64 (n,), residuals.
    weights
        float64 (n,).
    group, cluster
        int32 (n,); a cluster within two groups counts as two. Negative groups are left out.
    """
    inside = group >= 0
    price, demand, weights = price[inside], demand[inside], weights[inside]
    group, cluster = group[inside], cluster[inside]
    power = np.bincount(group, weights * price**2, groups)
    rows = np.bincount(group, minlength=groups)
    safe = np.where(power > 0, power, np.nan)
    slope = np.bincount(group, weights * price * demand, groups) / safe
    off = demand - slope[group] * price

    pairs, code = np.unique(group.astype(np.int64) * (int(cluster.max(initial=0)) + 1) + cluster, return_inverse=True)
    owner = (pairs // (int(cluster.max(initial=0)) + 1)).astype(np.int64)
    share = np.bincount(code, weights * price**2, len(pairs)) / safe[owner]
    pull = np.bincount(code, weights * price * off, len(pairs))
    lever = np.clip(1.0 - share, 1e-12, None)
    variance = np.bincount(owner, pull**2 / lever, groups) / safe**2
    clusters = np.bincount(owner, minlength=groups)

    # Of the matrix behind Satterthwaite's approximation, in shares of the power: its diagonal is ``share``, so that its
    # trace is 1, and off the diagonal it is a product of ``outer``.
    outer = share**2 / lever
    total = np.bincount(owner, outer, groups)
    square = np.bincount(owner, share**2, groups) + total**2 - np.bincount(owner, outer**2, groups)
    freedom = 1.0 / np.where(square > 0, square, np.nan)
    known = (clusters >= 2) & np.isfinite(slope) & (np.bincount(owner, share**2, groups) < 1 - 1e-9)
    counts = np.maximum(rows, 1)
    return Slopes(
        slope=slope,
        error=np.where(known, np.sqrt(variance), np.nan),
        freedom=np.where(known, np.maximum(freedom, 1.0), np.nan),
        clusters=clusters.astype(np.int32),
        rows=rows.astype(np.int32),
        moved=np.sqrt(np.bincount(group, price**2, groups) / counts),
    )


def half_width(error: Float64Array, freedom: Float64Array, level: float) -> Float64Array:
    """Half the width of Student's interval; NaN where the error is unknown."""
    from scipy.stats import t

    known = np.isfinite(error) & np.isfinite(freedom)
    width = np.full(np.shape(error), np.nan)
    width[known] = t.ppf((1 + level) / 2, freedom[known]) * error[known]
    return width

"""How far off forecasts were at the past origins, and so how far off the next ones may be."""

from __future__ import annotations

import numpy as np

from palate.core import Float64Array, FloatArray

_STEP = 0.5
"""Share of a miss that the next level makes up for."""
_WIDEST = 0.995
_STEADY = 28.0
"""Days of residuals that the size all series share counts as, beside a series' own."""


def spreads(
    median: FloatArray, truth: FloatArray, scale: Float64Array, ahead: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The size of errors to expect at past origins (n, k, horizon), and ahead (n, horizon).

    A series' own mean absolute residual, steadied by what it is for its scale over all series; larger where more is
    expected, as counts are.

    Parameters
    ----------
    median, truth
        float32 (n, k, horizon), forecasts and what happened.
    scale
        float64 (n,), see ``Panel.scale``.
    ahead
        float64 (n, horizon), the forecast to come.
    """
    residual = np.abs(truth - median).astype(np.float64)
    known = ~np.isnan(residual)
    count = known.sum(axis=(1, 2))
    total = np.where(known, residual, 0.0).sum(axis=(1, 2))
    usual = total.sum() / max((count * scale).sum(), 1e-12)
    size = (total + _STEADY * usual * scale) / (count + _STEADY)
    return size[:, None, None] * _shape(median.astype(np.float64), size), size[:, None] * _shape(ahead, size)


def half_widths(
    median: FloatArray, truth: FloatArray, expected: Float64Array, ahead: Float64Array, level: float
) -> Float64Array:
    """Half the width of intervals ahead, float64 (n, horizon): split conformal prediction on scaled residuals.

    The quantile of |residual| over its expected size at rank ceil((r + 1) level) of r residuals (Vovk et al. 2005; Lei
    et al. 2018), over all series together: intervals cover that share of days over all of them, not of each one. The
    level is raised by what intervals at one past origin, set by the origins before it, missed (adaptive conformal
    inference; Gibbs & Candes 2021).
    """
    score = np.abs(truth - median) / np.maximum(expected, 1e-12)
    # Demand drifts: what past intervals missed, when they were set by what came before them, asks for wider ones.
    asked = level
    for origin in range(1, score.shape[1]):
        bound = _quantile(score[:, :origin], asked)
        later = score[:, origin]
        later = later[~np.isnan(later)]
        if len(later) and np.isfinite(bound):
            asked = float(np.clip(asked + _STEP * (level - (later <= bound).mean()), level, _WIDEST))
    return np.asarray(_quantile(score, asked) * ahead)


def _quantile(score: FloatArray, level: float) -> float:
    """The conformal quantile of what is known; NaN where nothing is."""
    known = np.sort(score[~np.isnan(score)])
    if not len(known):
        return float("nan")
    return float(known[min(int(np.ceil((len(known) + 1) * level)), len(known)) - 1])


def _shape(median: Float64Array, size: Float64Array) -> Float64Array:
    """How much larger than usual errors are on a day, by the root of what is expected of it; about 1 on average."""
    own = size.reshape(-1, *[1] * (median.ndim - 1))
    level = np.nanmean(median, axis=tuple(range(1, median.ndim)), keepdims=True)
    return np.asarray(np.sqrt((np.maximum(median, 0.0) + own) / (np.maximum(level, 0.0) + own)))

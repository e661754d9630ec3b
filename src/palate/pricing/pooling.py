"""Partial pooling: estimates drawn towards what is alike, with intervals that stay honest about the drawing.

The normal means model with variances that differ, shrunk by empirical Bayes. Intervals are robust (Armstrong, Kolesár &
Plagborg-Møller, 2022): on average over the estimates they cover whatever the distribution of the truths is, not only
where it is normal, because their width allows for the largest bias that the truths' spread permits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from palate.core import Float64Array

_FEW = 3
"""Estimates under which nothing says how much they differ: they stand as they are."""


@dataclass(frozen=True)
class Pooled:
    """n shrunk estimates.

    Parameters
    ----------
    estimate, low, high
        float64 (n,).
    own
        float64 (n,), how much of each is its own evidence, 0 to 1; the rest is the centre's.
    centre, centre_error
        What they are drawn to, where none was given, and its standard error.
    spread
        Standard deviation of the truths about the centre.
    """

    estimate: Float64Array
    low: Float64Array
    high: Float64Array
    own: Float64Array
    centre: float
    centre_error: float
    spread: float


def pool(
    estimate: Float64Array,
    error: Float64Array,
    *,
    level: float = 0.95,
    centre: Float64Array | None = None,
    centre_error: Float64Array | None = None,
) -> Pooled:
    """Shrink estimates by how uncertain they are.

    Parameters
    ----------
    estimate, error
        float64 (n,), finite; standard errors above 0. Where errors have few degrees of freedom, give them widened, so
        that 1.96 of them is the half width that is meant.
    centre, centre_error
        float64 (n,), what each is drawn to (a category's items to their category); their precision-weighted mean, given
        how much they differ, where None.
    """
    n = len(estimate)
    if n < _FEW:
        width = critical(0.0, level) * error
        mean = float(estimate.mean()) if n else float("nan")
        return Pooled(estimate, estimate - width, estimate + width, np.ones(n), mean, float("nan"), float("nan"))
    given = centre is not None
    apart = 0.0
    middle = np.asarray(centre, np.float64) if centre is not None else np.zeros(n)
    middle_error = np.zeros(n) if centre_error is None else np.asarray(centre_error, np.float64)
    for _ in range(30):
        precision = 1.0 / (error**2 + apart)
        if not given:
            middle = np.full(n, (precision * estimate).sum() / precision.sum())
            middle_error = np.full(n, precision.sum() ** -0.5)
        before, apart = apart, _apart(estimate - middle, error)
        if abs(apart - before) < 1e-10 * (1.0 + before):
            break
    own = apart / (apart + error**2)
    shrunk = middle + own * (estimate - middle)
    # Its own noise, and that of the centre, which estimates that know little of themselves share.
    noise = np.sqrt((own * error) ** 2 + ((1 - own) * middle_error) ** 2)
    # The truth lies off the centre by apart on average: what shrinking does wrong, in units of the noise that is left.
    bias = ((1 - own) ** 2 * apart) / noise**2
    width = np.array([critical(round(float(value), 6), level) for value in bias]) * noise
    # Robust to any distribution of truths, never worse than not to have shrunk.
    raw = critical(0.0, level) * error
    wider = width > raw
    shrunk, width = np.where(wider, estimate, shrunk), np.where(wider, raw, width)
    return Pooled(
        shrunk,
        shrunk - width,
        shrunk + width,
        np.where(wider, 1.0, own),
        float(middle.mean()),
        float(middle_error.mean()),
        float(np.sqrt(apart)),
    )


def _apart(off: Float64Array, error: Float64Array) -> float:
    """Variance of the truths about the centre, kept off 0 by what a flat prior would say (their equation 19)."""
    precision = error**-2
    weights = precision / precision.sum()
    plain = float((weights * (off**2 - error**2)).sum())
    least = float(2 * (weights**2 * error**4).sum() / (weights * error**2).sum())
    return max(plain, least)


@lru_cache(maxsize=20_000)
def critical(bias: float, level: float) -> float:
    """Half width, in standard errors, that covers whatever biases of this mean square there are.

    Parameters
    ----------
    bias
        Mean of the squared bias over the squared standard error; 0 gives the usual 1.96 at 95 %.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    usual = float(norm.ppf((1 + level) / 2))
    if bias <= 0:
        return usual
    top = np.sqrt((1 + bias) / (1 - level))  # Chebyshev's inequality
    return float(brentq(lambda width: _missed(bias, width) - (1 - level), usual * 0.999, top * 1.001, xtol=1e-7))


def _missed(bias: float, width: float) -> float:
    """The most often that an interval of this half width misses (their proposition 1): the concave hull at ``bias``."""
    from scipy.special import ndtr

    def often(square: Float64Array) -> Float64Array:
        root = np.sqrt(square)
        return np.asarray(ndtr(-root - width) + ndtr(root - width))

    nothing = float(often(np.zeros(1))[0])
    # Beyond what chord touches the curve: points from the mean square on, where mass may be gathered, the rest at 0.
    farther = np.concatenate([[bias], bias + np.geomspace(1e-4, 1.0, 400) * (width + 6.0) ** 2])
    gathered = nothing + (bias / farther) * (often(farther) - nothing)
    return float(gathered.max())

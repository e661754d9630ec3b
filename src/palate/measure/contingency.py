"""Is it more than chance that two things are found together so often?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from palate.core import Float64Array

_NEGLIGIBLE = 1e-17
"""Terms this small beside what was summed change no digit of a double."""


def fisher_greater(both: ArrayLike, left: ArrayLike, right: ArrayLike, total: ArrayLike) -> Float64Array:
    """Chance that two independent things meet at least so often: Fisher's exact test, one-sided (Fisher, 1934).

    Parameters
    ----------
    both, left, right
        Cases with both, with the one and with the other, (m,).
    total
        All cases.

    Returns
    -------
    float64 (m,), the tail of the hypergeometric distribution from ``both`` on.
    """
    both, left, right, total = (np.asarray(value, dtype=np.float64) for value in (both, left, right, total))
    both, left, right, total = np.broadcast_arrays(both, left, right, total)
    first = _log_mass(both, left, right, total)
    # What comes after the first term, relative to it: ratios of neighbouring terms, until they no longer count.
    tail, term, x = np.ones(first.shape), np.ones(first.shape), both.copy()
    going = np.flatnonzero(x < np.minimum(left, right))
    while len(going):
        own = x[going]
        ratio = (left[going] - own) * (right[going] - own)
        ratio /= (own + 1) * (total[going] - left[going] - right[going] + own + 1)
        term[going] *= ratio
        tail[going] += term[going]
        x[going] += 1
        more = (term[going] > _NEGLIGIBLE * tail[going]) | (ratio > 1)
        going = going[more & (x[going] < np.minimum(left, right)[going])]
    return np.minimum(np.exp(first + np.log(tail)), 1.0)


def _log_mass(both: Float64Array, left: Float64Array, right: Float64Array, total: Float64Array) -> Float64Array:
    """Logarithm of the chance that they meet exactly so often."""
    drawn = _log_choose(left, both) + _log_choose(total - left, right - both)
    return np.asarray(drawn - _log_choose(total, right))


def _log_choose(n: Float64Array, k: Float64Array) -> Float64Array:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

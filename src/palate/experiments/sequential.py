"""Statements that hold at every look: confidence sequences and evidence that may be read each day.

An ordinary interval is right once, at the size that was planned; who looks every day and stops when zero is outside
is wrong far more often than promised. The sequences here are right at all times at once, for any estimate that is a
mean of contributions of independent units in the limit: means, ratios, quantiles, with or without a covariate.
Everything is told in standard errors of the estimate and in the share of the planned units that has been seen, so
that it serves one number or twenty thousand simulated experiments alike.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 2024, theorem 2.2, after Robbins (1970).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from palate.core import Float64Array, UsageError

EARLIEST = 1e-6
"""Shares of the planned units below this are taken for this: the sequence is so wide there that it says nothing."""


def scale(alpha: float) -> float:
    """How concentrated the mixture is for the sequence to be narrowest at the planned end.

    The width at the end is ``sqrt((1 + 1/x) (log(1 + x) + 2 log(1/alpha)))`` standard errors; its minimum lies at
    ``x = -W(-alpha^2 / e) - 1`` with the lower branch of Lambert's W (equation 10 there).

    Raises
    ------
    UsageError
        ``alpha`` lies not between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha = {alpha}: an error rate lies between 0 and 1, usually at 0.05")
    return float(-special.lambertw(-(alpha**2) / np.e, -1).real - 1.0)


def half_width(fraction: ArrayLike, alpha: float = 0.05) -> Float64Array:
    """Half the width of the two-sided confidence sequence, in standard errors of the estimate at that time.

    Parameters
    ----------
    fraction
        Share of the planned units that has been seen, any shape; beyond 1 the sequence stays valid.
    alpha
        Chance that the sequence ever leaves out the truth.

    Returns
    -------
    float64 of the same shape.
    """
    x = _concentrated(fraction, alpha)
    return np.asarray(np.sqrt((1.0 + 1.0 / x) * (np.log1p(x) - 2.0 * np.log(alpha))))


def always_valid_p(z: ArrayLike, fraction: ArrayLike, alpha: float = 0.05) -> Float64Array:
    """Two-sided p that may be read at every look: the chance that it is ever p or less is at most p without an effect.

    It falls below a level exactly when the sequence of that level, tuned for ``alpha``, leaves out zero.

    Parameters
    ----------
    z
        Estimate over its standard error, any shape.
    """
    x = _concentrated(fraction, alpha)
    log_evidence = 0.5 * np.square(z) * x / (1.0 + x) - 0.5 * np.log1p(x)
    return np.asarray(np.exp(-np.maximum(log_evidence, 0.0)))


def one_sided_p(z: ArrayLike, fraction: ArrayLike, alpha: float = 0.05) -> Float64Array:
    """The same against "not above zero": small only where ``z`` is large, so that harm and gain are asked about apart.

    The mixture is half a normal distribution over effects above zero, a supermartingale for every effect below it.
    """
    x = _concentrated(fraction, 2.0 * alpha if alpha < 0.5 else alpha)
    return np.asarray(np.exp(-np.maximum(_one_sided_evidence(np.asarray(z, dtype=np.float64), x), 0.0)))


def _concentrated(fraction: ArrayLike, alpha: float) -> Float64Array:
    return np.asarray(scale(alpha) * np.maximum(np.asarray(fraction, dtype=np.float64), EARLIEST))


def _one_sided_evidence(z: Float64Array | np.float64, x: Float64Array) -> Float64Array:
    """Logarithm of the one-sided mixture's evidence."""
    u = z * np.sqrt(x / (1.0 + x))
    return np.asarray(np.log(2.0) - 0.5 * np.log1p(x) + 0.5 * np.square(u) + special.log_ndtr(u))

"""Small readings of numbers that many rooms need."""

from __future__ import annotations

import math

import numpy as np

from palate.core.arrays import Float64Array


def known(value: float, digits: int | None = None) -> float | None:
    """As JSON has it: what is not finite is null; rounded to so many digits where they are told."""
    if not math.isfinite(value):
        return None
    return float(value) if digits is None else round(float(value), digits)


def or_nan(value: float | None) -> float:
    """The other way round: null is not a number."""
    return math.nan if value is None else float(value)


def log_odds(share: Float64Array, edge: float = 1e-6) -> Float64Array:
    """Log-odds of shares, which are held away from 0 and 1 by ``edge``."""
    inside = np.clip(share, edge, 1 - edge)
    return np.asarray(np.log(inside / (1 - inside)))

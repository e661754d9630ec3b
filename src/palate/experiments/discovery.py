"""Correction for many comparisons: which of several metrics and arms really differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from palate.core import Float64Array
from palate.measure import benjamini_hochberg, holm

Correction = Literal["benjamini-hochberg", "benjamini-yekutieli", "holm", "none"]
"""Holds the share of false discoveries among comparisons that are independent or positively dependent, the same among
any, the chance of a single one, or nothing."""


def corrected(p: Sequence[float] | Float64Array, correction: Correction = "benjamini-hochberg") -> Float64Array:
    """p of each comparison after correction for all of them, in the same order; float64 (m,).

    ``benjamini-yekutieli`` (2001) holds whatever the comparisons have to do with each other, for a factor of
    ``1 + 1/2 + ... + 1/m``. p that may be read at every look stay so.
    """
    values = np.asarray(p, dtype=np.float64)
    if correction == "none" or len(values) < 2:
        return values
    if correction == "holm":
        return holm(values)
    stepped = benjamini_hochberg(values)
    if correction == "benjamini-hochberg":
        return stepped
    return np.asarray(np.minimum(stepped * (1.0 / np.arange(1, len(values) + 1)).sum(), 1.0), dtype=np.float64)

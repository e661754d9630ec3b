"""Array types by their element, so that signatures say what they carry."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int32]
"""Positions of items, users or categories; -1 pads."""

Int64Array: TypeAlias = NDArray[np.int64]
"""Offsets of a ragged array, or hashes."""

FloatArray: TypeAlias = NDArray[np.float32]
"""Scores, weights, vectors."""

Float64Array: TypeAlias = NDArray[np.float64]
"""Times in seconds since 1970 UTC, and sums that must not drift."""

BoolArray: TypeAlias = NDArray[np.bool_]


def offsets_of(lengths: NDArray[np.integer]) -> Int64Array:
    """Offsets (n + 1) of rows with these lengths (n)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets

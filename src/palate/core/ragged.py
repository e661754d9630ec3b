"""Lists of different lengths as two flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from palate.core.arrays import Int64Array, IntArray, offsets_of


@dataclass(frozen=True, slots=True)
class Ragged:
    """n lists of positions: row i is ``values[indptr[i]:indptr[i + 1]]``.

    Parameters
    ----------
    indptr
        int64 (n + 1,), starts with 0, never falls.
    values
        int32 (indptr[-1],).
    """

    indptr: Int64Array
    values: IntArray

    @classmethod
    def of(cls, rows: Iterable[Sequence[int] | IntArray]) -> Ragged:
        """From a sequence of sequences of positions."""
        parts = [np.asarray(row, dtype=np.int32).reshape(-1) for row in rows]
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        values = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        return cls(offsets_of(lengths), values.astype(np.int32, copy=False))

    @classmethod
    def repeated(cls, row: Sequence[int] | IntArray, n: int) -> Ragged:
        """The same row n times."""
        values = np.asarray(row, dtype=np.int32).reshape(-1)
        return cls(np.arange(n + 1, dtype=np.int64) * len(values), np.tile(values, n))

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, row: int) -> IntArray:
        return self.values[self.indptr[row] : self.indptr[row + 1]]

    @property
    def lengths(self) -> Int64Array:
        return self.indptr[1:] - self.indptr[:-1]

    @property
    def rows(self) -> IntArray:
        """Row of each value, int32."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def take(self, rows: IntArray | slice) -> Ragged:
        """These rows, in this order."""
        indptr, flat = take_rows(self.indptr, rows)
        return Ragged(indptr, self.values[flat])


def take_rows(indptr: Int64Array, rows: IntArray | slice) -> tuple[Int64Array, Int64Array | slice]:
    """New offsets, and which flat values to take, for some rows of a ragged array.

    A contiguous slice of rows gives a slice of values, so nothing is copied.
    """
    if isinstance(rows, slice):
        start, stop, step = rows.indices(len(indptr) - 1)
        if step == 1:
            stop = max(start, stop)
            part = indptr[start : stop + 1]
            return part - part[0], slice(int(part[0]), int(part[-1]))
        rows = np.arange(start, stop, step, dtype=np.int32)
    lengths = indptr[1:][rows] - indptr[:-1][rows]
    offsets = offsets_of(lengths)
    flat = np.arange(offsets[-1], dtype=np.int64) + np.repeat(indptr[:-1][rows] - offsets[:-1], lengths)
    return offsets, flat

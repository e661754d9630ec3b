"""What happened, per row, in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from palate.core.arrays import Float64Array, FloatArray, Int64Array, IntArray, offsets_of
from palate.core.ragged import take_rows


@dataclass(frozen=True, slots=True)
class Histories:
    """n histories as CSR arrays, oldest event first.

    Parameters
    ----------
    indptr
        int64 (n + 1,).
    items
        int32 (m,), positions of items; never negative.
    times
        float64 (m,), seconds since 1970 UTC; NaN where only the order is known.
    kinds
        int8 (m,), positions in the dataset's ``Kinds``.
    weights
        float32 (m,), what each event is worth as evidence of interest (> 0).
    """

    indptr: Int64Array
    items: IntArray
    times: Float64Array
    kinds: np.ndarray[tuple[int], np.dtype[np.int8]]
    weights: FloatArray

    @classmethod
    def of(
        cls,
        items: Sequence[Sequence[int] | IntArray],
        times: Sequence[Sequence[float] | Float64Array] | None = None,
    ) -> Histories:
        """From lists of positions, and of times where they are known; every event weighs 1."""
        parts = [np.asarray(row, dtype=np.int32).reshape(-1) for row in items]
        indptr = offsets_of(np.array([len(part) for part in parts], dtype=np.int64))
        flat = np.concatenate(parts) if parts else np.empty(0, np.int32)
        if times is None:
            when = np.full(len(flat), np.nan)
        else:
            when = np.concatenate([np.asarray(row, dtype=np.float64).reshape(-1) for row in times] or [np.empty(0)])
        return cls(indptr, flat, when, np.zeros(len(flat), np.int8), np.ones(len(flat), np.float32))

    @classmethod
    def empty(cls, n: int) -> Histories:
        """n histories in which nothing happened."""
        return cls.of([[] for _ in range(n)])

    @classmethod
    def concatenate(cls, parts: Sequence[Histories]) -> Histories:
        """Several histories, or groups of them, as one group in this order."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            offsets_of(np.concatenate([part.lengths for part in parts])),
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.kinds for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> Int64Array:
        return self.indptr[1:] - self.indptr[:-1]

    @property
    def rows(self) -> IntArray:
        """Row of each event, int32 (m,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @property
    def ages(self) -> IntArray:
        """How many events of the same row came after each event; int32 (m,), 0 = newest."""
        return (np.repeat(self.indptr[1:], self.lengths) - 1 - np.arange(len(self.items))).astype(np.int32)

    def row(self, row: int) -> IntArray:
        """Items of one row, oldest first."""
        return self.items[self.indptr[row] : self.indptr[row + 1]]

    def take(self, rows: IntArray | slice) -> Histories:
        """These rows, in this order; a contiguous slice copies nothing."""
        indptr, flat = take_rows(self.indptr, rows)
        return Histories(indptr, self.items[flat], self.times[flat], self.kinds[flat], self.weights[flat])

    def between(self, starts: Int64Array, stops: Int64Array) -> Histories:
        """One row for each pair of offsets into the events: those from ``start`` up to before ``stop``."""
        indptr = offsets_of(stops - starts)
        flat = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], stops - starts)
        return Histories(indptr, self.items[flat], self.times[flat], self.kinds[flat], self.weights[flat])

    def last(self, n: int) -> Histories:
        """At most the newest n events of every row."""
        keep = self.ages < n
        return self if keep.all() else self.where(keep)

    def where(self, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Histories:
        """Only the events where ``keep`` (bool, (m,)) is true."""
        running = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
        return replace(
            self,
            indptr=running[self.indptr],
            items=self.items[keep],
            times=self.times[keep],
            kinds=self.kinds[keep],
            weights=self.weights[keep],
        )

    def matrix(self, n_items: int, weights: FloatArray | None = None) -> sparse.csr_matrix:
        """Rows as a sparse matrix (n, n_items) of float32; repeated items are summed.

        Parameters
        ----------
        weights
            float32 (m,); the events' own weights where left out.
        """
        data = self.weights if weights is None else weights
        matrix = sparse.csr_matrix((data, self.items, self.indptr), shape=(len(self), n_items), copy=True)
        matrix.sum_duplicates()
        return matrix

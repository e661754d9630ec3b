"""What was taken together: the baskets of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from scipy import sparse

from palate.core import BoolArray, DataError, Float64Array, Histories, Int64Array, IntArray, Ragged
from palate.core.arrays import offsets_of
from palate.data.cleaning import SESSION_GAP
from palate.data.dataset import Dataset


@dataclass(frozen=True)
class Baskets:
    """n baskets, those of one user beside each other, oldest first.

    Parameters
    ----------
    contents
        Distinct items of each basket, in the order in which they were first put there.
    users
        int32 (n,), whose it is.
    times
        float64 (n,), seconds, of the first event; NaN where unknown.
    numbers
        int64 (n,), rising, of each basket as ``basket_numbers`` counts them.
    column
        What tells baskets apart: ``basket_id`` or ``session_id``.
    """

    contents: Ragged
    users: IntArray
    times: Float64Array
    numbers: Int64Array
    column: str

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """The baskets of what was taken (see ``taken``); what was only looked at, or given back, is in none.

        Raises
        ------
        DataError
            Nothing says which events belong together: there is no basket, no session and no time.
        """
        numbers, column = basket_numbers(dataset)
        sequences = dataset.sequences
        rows = np.flatnonzero((numbers >= 0) & taken(sequences))
        keys = numbers[rows] * dataset.n_items + sequences.items[rows]
        rows = rows[np.sort(np.unique(keys, return_index=True)[1])]
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        kept, first, counts = np.unique(numbers[rows], return_index=True, return_counts=True)
        contents = Ragged(offsets_of(counts), sequences.items[rows])
        times = np.full(len(kept), np.inf)
        np.fmin.at(times, contents.rows, sequences.times[rows])
        return cls(contents, sequences.rows[rows[first]], np.where(np.isfinite(times), times, np.nan), kept, column)

    def __len__(self) -> int:
        return len(self.contents)

    def matrix(self, n_items: int) -> sparse.csr_matrix:
        """Baskets by items, 1 where the item is in it; float32 (n, n_items)."""
        ones = np.ones(len(self.contents.values), dtype=np.float32)
        matrix = sparse.csr_matrix((ones, self.contents.values, self.contents.indptr), shape=(len(self), n_items))
        matrix.sort_indices()
        return matrix

    def take(self, rows: IntArray | slice) -> Baskets:
        """These baskets, in this order."""
        return Baskets(self.contents.take(rows), self.users[rows], self.times[rows], self.numbers[rows], self.column)


def taken(sequences: Histories) -> BoolArray:
    """Which events are more than a look: those of the weight of a purchase, or the weightiest there are; bool (m,)."""
    weights = sequences.weights
    return np.asarray(weights >= min(1.0, float(weights.max(initial=0.0))))


def basket_numbers(dataset: Dataset) -> tuple[Int64Array, str]:
    """Number of the basket of each event of ``dataset.sequences``, rising with user and first event; int64 (m,).

    Events are of one basket where one user has them under one ``basket_id``; in data without such ids, under one
    ``session_id``, which loading gives to events less than half an hour apart. Events without either are in none: -1.

    Returns
    -------
    The numbers, and the column they come from.

    Raises
    ------
    DataError
        There is neither column.
    """
    events = dataset.events
    column = next((name for name in ("basket_id", "session_id") if name in events.columns), None)
    if column is None:
        raise DataError(
            f"{dataset.name} has no baskets: its events have no basket_id (an invoice or order number), no session_id "
            "and no times to tell visits by. Name the column with --columns basket_id=NAME."
        )
    names = events[column].gather(dataset.sequence_rows).to_frame("name")
    codes = names.select(pl.col("name").rank("dense")).to_series().fill_null(0).to_numpy().astype(np.int64) - 1
    keys = dataset.sequences.rows.astype(np.int64) * (int(codes.max(initial=0)) + 1) + codes
    _, first, inverse = np.unique(np.where(codes >= 0, keys, -1), return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(len(first))
    return np.where(codes >= 0, place[inverse], -1), column


def open_visit(history: Histories, when: Float64Array | None) -> Int64Array:
    """Newest events that belong to the visit at the moment asked about: no two more than half an hour apart.

    The moment asked about continues a visit like an event; where it is unknown, the newest event is now.

    Returns
    -------
    int64 (n,), 0 where the visit is over or nothing happened; -1 where the newest event has no time.
    """
    lengths = np.zeros(len(history), dtype=np.int64)
    some = np.flatnonzero(history.lengths > 0)
    if not len(some):
        return lengths
    begins = np.ones(len(history.items), dtype=bool)
    begins[1:] = ~(np.diff(history.times) <= SESSION_GAP)
    begins[history.indptr[:-1][some]] = True
    opened = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    newest = history.indptr[1:][some] - 1
    lengths[some] = newest + 1 - opened[newest]
    last = history.times[newest]
    over = np.zeros(len(some), dtype=bool) if when is None else when[some] - last > SESSION_GAP
    lengths[some] = np.where(np.isnan(last), -1, np.where(over, 0, lengths[some]))
    return lengths

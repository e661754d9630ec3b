"""Linear item-to-item scoring: an item's score is a sum over the events of the history.

EASE, item neighbours, transitions and every other model of the form ``score = history @ W`` share this frame
(``LinearModel``), its arithmetic (``ItemWeights``), and with it the same explanation: what each event added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from scipy import sparse

from palate.core import Abilities, FloatArray, Histories, IntArray, Queries, Rankings, top_k
from palate.core.arrays import offsets_of
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.ragged import take_rows
from palate.core.rankings import select
from palate.core.recommender import Arrays
from palate.models.fitted import need

BATCH = 512
"""Questions scored at once: 512 rows over 12,000 items are 25 MB of float32."""


class Scores(Protocol):
    """As much of a scorer as its lists are made from, whatever it was fitted on."""

    name: ClassVar[str]

    def score(self, queries: Queries) -> FloatArray: ...


@dataclass(frozen=True)
class ItemWeights:
    """A fitted linear model.

    Parameters
    ----------
    matrix
        float32 (n_items, n_items); row i holds what one event with item i adds to the score of each item.
    decay
        What an event is worth relative to the one after it in the same history; 1 = all alike.
    fade
        An event after which a others came is also worth ``(1 + a) ** -fade``; 0 = no such fall.
    """

    matrix: sparse.csr_matrix
    decay: float
    fade: float = 0.0

    @property
    def n_items(self) -> int:
        return int(self.matrix.shape[1])

    def score(self, history: Histories) -> FloatArray:
        """Scores of all items; float32 (n, n_items), freshly allocated."""
        return weighted_rows(self.matrix, history, event_weights(history, self.decay, self.fade))

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event of the one question adds to the score of each item; float32 (h, k).

        Events with items and items beyond the model's catalogue add nothing.
        """
        history = queries.history
        weights = event_weights(history, self.decay, self.fade)
        shares = np.zeros((len(history.items), len(items)), dtype=np.float32)
        events = np.nonzero(history.items < self.n_items)[0]
        columns = np.nonzero((items >= 0) & (items < self.n_items))[0]
        block = self.matrix[history.items[events]][:, items[columns]].toarray()
        shares[np.ix_(events, columns)] = block * weights[events, None]
        return shares

    def arrays(self) -> Arrays:
        """The matrix as plain arrays; the decay is a setting, not a state."""
        return pack_sparse("weights", self.matrix)

    @classmethod
    def from_arrays(cls, arrays: Arrays, decay: float, fade: float = 0.0) -> ItemWeights:
        """What ``arrays`` packed."""
        return cls(unpack_sparse("weights", arrays), decay, fade)


class LinearModel:
    """The frame of a recommender whose fitted state is ``ItemWeights``: all of it but the fit.

    A model adds ``name``, settings and ``fit``, which calls ``_take``. Settings without a ``decay`` count all events
    alike; ``fade`` is optional in the same way.

    Parameters
    ----------
    settings
        The model's own, frozen.
    """

    name: ClassVar[str]
    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self._state: ItemWeights | None = None

    @property
    def n_items(self) -> int:
        return self._need().n_items

    def score(self, queries: Queries) -> FloatArray:
        """What the history's events add up to; float32 (n, n_items), 0 where no event speaks for an item."""
        return self._need().score(queries.history)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event adds to each item's score; float32 (h, k)."""
        return self._need().contributions(queries, items)

    def arrays(self) -> Arrays:
        return self._need().arrays()

    def restore(self, arrays: Arrays) -> Self:
        return self._take(unpack_sparse("weights", arrays))

    def _take(self, matrix: sparse.csr_matrix) -> Self:
        """Answer from this matrix; see ``ItemWeights``."""
        own = self.settings
        self._state = ItemWeights(matrix, getattr(own, "decay", 1.0), getattr(own, "fade", 0.0))
        return self

    def _need(self) -> ItemWeights:
        return need(self._state, self.name)


def event_weights(history: Histories, decay: float, fade: float = 0.0) -> FloatArray:
    """Weight of each event as evidence: its own, falling by ``decay`` with every later event; float32 (m,).

    An event whose share has fallen under a ten-thousandth counts nothing, so that long histories cost no more.

    Parameters
    ----------
    fade
        Shares also fall as ``(1 + age) ** -fade``.
    """
    if decay == 1.0 and fade == 0.0:
        return history.weights
    ages = history.ages
    shares = np.power(np.float64(decay), ages)
    if fade:
        shares *= np.power(1.0 + ages, -fade)
    return (history.weights * np.where(shares < 1e-4, 0.0, shares)).astype(np.float32)


def known_events(history: Histories, n_items: int) -> Histories:
    """Without events whose item a model with ``n_items`` columns has never heard of."""
    known = history.items < n_items
    return history if known.all() else history.where(known)


def weighted_rows(matrix: sparse.csr_matrix, history: Histories, weights: FloatArray) -> FloatArray:
    """For each history the weighted sum of the matrix's rows its events point at; float32 (n, n_columns).

    One pass over the stored entries, in the order of events, so that a batch and its questions one by one give the
    same sums to the last bit. Events that point beyond the matrix count nothing.

    Parameters
    ----------
    matrix
        float32 (n_rows, n_columns).
    history
        Its ``items`` are rows of the matrix.
    weights
        float32 (m,), one an event.
    """
    n, width = len(history), int(matrix.shape[1])
    rows, items = history.rows, history.items
    known = (items < matrix.shape[0]) & (weights != 0)
    if not known.all():
        rows, items, weights = rows[known], items[known], weights[known]
    offsets, flat = take_rows(matrix.indptr, items)
    lengths = offsets[1:] - offsets[:-1]
    cells = matrix.indices[flat] + np.repeat(rows.astype(np.int64) * width, lengths)
    sums = np.bincount(cells, weights=matrix.data[flat] * np.repeat(weights, lengths), minlength=n * width)
    return sums.reshape(n, width).astype(np.float32)


def recommend_in_batches(model: Scores, queries: Queries, size: int = BATCH) -> Rankings:
    """Lists from a scorer's scores, a bounded number of dense rows at a time."""
    parts = [top_k(model.score(batch), batch, model.name) for batch in queries.batches(size)]
    return parts[0] if len(parts) == 1 else Rankings.concatenate(parts)


def strongest(block: FloatArray, neighbours: int) -> sparse.csr_matrix:
    """The entries of each dense row that are largest in size, as a sparse matrix; zeros are never kept."""
    if neighbours < block.shape[1]:
        size = np.abs(block)
        # Negated, because a partition near the far end of many equal values (zeros) is 15 times slower.
        border = -np.partition(-size, neighbours - 1, axis=1)[:, neighbours - 1, None]
        block = np.where(size >= border, block, np.float32(0))
    return sparse.csr_matrix(block, dtype=np.float32)


def largest(block: FloatArray, most: int) -> sparse.csr_matrix:
    """The largest positive entries of each dense row, of equal ones the lower column, as a sparse matrix."""
    columns = np.sort(select(block, most), axis=1)
    values = np.take_along_axis(block, columns, axis=1)
    kept = values > 0
    indptr = offsets_of(kept.sum(axis=1))
    return sparse.csr_matrix((values[kept], columns[kept], indptr), shape=block.shape, dtype=np.float32)


def row_blocks(n: int, cells: int, width: int) -> Iterator[slice]:
    """Consecutive slices of n rows, each at most about ``cells`` cells of a matrix ``width`` wide."""
    step = max(1, cells // max(width, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def scattered(matrix: sparse.csr_matrix, positions: IntArray, n: int) -> sparse.csr_matrix:
    """A square matrix over some positions as one over all n of them."""
    wide = matrix.tocoo()
    return sparse.csr_matrix((wide.data, (positions[wide.row], positions[wide.col])), shape=(n, n), dtype=np.float32)


def wide(matrix: sparse.csr_matrix, n: int) -> sparse.csr_matrix:
    """A copy of a square matrix grown to n rows and columns."""
    grown = sparse.csr_matrix(matrix, copy=True)
    grown.resize((n, n))
    return grown


def with_rows(matrix: sparse.csr_matrix, rows: IntArray, values: sparse.csr_matrix) -> sparse.csr_matrix:
    """A matrix in which these rows are replaced; rows beyond its last one are appended."""
    n = max(matrix.shape[0], int(rows.max(initial=-1)) + 1)
    order = np.arange(n)
    order[rows] = matrix.shape[0] + np.arange(len(rows))
    return sparse.csr_matrix(sparse.vstack([matrix, values], format="csr")[order], dtype=np.float32)


def renewed(matrix: sparse.csr_matrix, fresh: sparse.csr_matrix, items: IntArray) -> sparse.csr_matrix:
    """A square matrix in which the rows and columns of these items are those of another, which has no entries else."""
    keep = np.ones(matrix.shape[0], dtype=np.float32)
    keep[items] = 0
    others = sparse.diags(keep)
    both = sparse.csr_matrix(others @ matrix @ others + fresh, dtype=np.float32)
    both.eliminate_zeros()
    return both


def binary(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same pattern with every stored entry 1."""
    ones = matrix.copy()
    ones.data = np.ones_like(ones.data)
    return ones

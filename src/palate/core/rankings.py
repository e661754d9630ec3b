"""Everything a recommender answers, and the one place where scores become lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.core.arrays import FloatArray, Int64Array, IntArray
from palate.core.queries import Queries

NEVER = np.float32(-np.inf)
"""The score of an item that must not be answered."""

_BLOCK = 64
"""Scores whose maximum is looked at before they are. They lie evenly apart, so that maxima are taken row by row."""


@dataclass(frozen=True, slots=True)
class Rankings:
    """n ordered lists of at most k items; shorter lists are padded at their end.

    Parameters
    ----------
    items
        int32 (n, k), positions, -1 pads.
    scores
        float32 (n, k), falling along each row; -inf pads.
    sources
        uint32 (n, k), bit i set: the model ``names[i]`` proposed the item.
    names
        Names of the models behind the bits.
    """

    items: IntArray
    scores: FloatArray
    sources: np.ndarray[tuple[int, int], np.dtype[np.uint32]]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for array in (self.items, self.scores, self.sources):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.items)

    @property
    def k(self) -> int:
        return int(self.items.shape[1])

    def row(self, row: int) -> IntArray:
        """The items of one list without padding."""
        items: IntArray = self.items[row]
        return items[items >= 0]

    def proposers(self, row: int, rank: int) -> tuple[str, ...]:
        """Names of the models that proposed the item at this rank of this row."""
        bits = int(self.sources[row, rank])
        return tuple(name for i, name in enumerate(self.names) if bits >> i & 1)

    @classmethod
    def concatenate(cls, parts: Sequence[Rankings]) -> Rankings:
        """Answers to consecutive batches of the same questions, as one."""
        return cls(
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.sources for part in parts]),
            parts[0].names,
        )


def forbid(scores: FloatArray, queries: Queries) -> FloatArray:
    """Set to -inf, in place, what each question rules out: seen items, excludes, all but its candidates.

    Parameters
    ----------
    scores
        float32 (n, n_items), written to.
    """
    n_items = scores.shape[1]
    if queries.candidates is not None:
        allowed = np.zeros(scores.shape, dtype=bool)
        known = (queries.candidates.values >= 0) & (queries.candidates.values < n_items)
        allowed[queries.candidates.rows[known], queries.candidates.values[known]] = True
        scores[~allowed] = NEVER
    if queries.mask_seen:
        seen = queries.history.items < n_items
        scores[queries.history.rows[seen], queries.history.items[seen]] = NEVER
    if queries.excludes is not None:
        known = (queries.excludes.values >= 0) & (queries.excludes.values < n_items)
        scores[queries.excludes.rows[known], queries.excludes.values[known]] = NEVER
    return scores


def select(scores: FloatArray, k: int) -> IntArray:
    """Columns of the k highest scores of each row, best first; the lower column wins an exact tie.

    Parameters
    ----------
    scores
        float32 (n, m); NaN is not allowed.

    Returns
    -------
    int32 (n, min(k, m)). Rows with fewer finite scores end in columns whose score is -inf.
    """
    n, m = scores.shape
    k = min(k, m)
    if k == m:
        return np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    chosen_by_blocks = _select_by_blocks(scores, k)
    if chosen_by_blocks is not None:
        return chosen_by_blocks
    # Negated, because a partition near the far end of many equal scores (a sparse model's zeros) is 15 times slower.
    threshold = -np.partition(-scores, k - 1, axis=1)[:, k - 1, None]
    chosen = scores >= threshold
    # A partition keeps an arbitrary one of the scores tied at the border, so rows with a surplus are settled in order.
    crowded = np.nonzero(chosen.sum(axis=1) > k)[0]
    if len(crowded):
        above = scores[crowded] > threshold[crowded]
        tied = scores[crowded] == threshold[crowded]
        missing = k - above.sum(axis=1, keepdims=True)
        chosen[crowded] = above | (tied & (np.cumsum(tied, axis=1, dtype=np.int32) <= missing))
    columns = np.nonzero(chosen)[1].reshape(n, k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).astype(np.int32)


def positive(scores: FloatArray, k: int) -> tuple[Int64Array, Int64Array]:
    """The at most k highest scores above 0 of each row, row by row, best first; the lower column wins an exact tie.

    Parameters
    ----------
    scores
        float32 (n, m); NaN is not allowed.

    Returns
    -------
    int64 cells (``row * m + column``), and int64 the rank of each within its row, 0 = best.
    """
    floor = _floor(scores, k)
    if floor is None:
        columns = select(scores, k)
        rows, ranks = np.nonzero(np.take_along_axis(scores, columns, axis=1) > 0)
        return rows * scores.shape[1] + columns[rows, ranks], ranks
    kept = scores >= floor if (floor > 0).all() else (scores > 0) & (scores >= floor)
    return _best_first(scores, np.flatnonzero(kept), k)


def _best_first(scores: FloatArray, cells: Int64Array, k: int) -> tuple[Int64Array, Int64Array]:
    """At most k cells of each row by falling score, of cells in rising order; and their ranks."""
    n, m = scores.shape
    values = scores.reshape(-1)[cells]
    if n == 1:
        best = np.argsort(-values, kind="stable")[:k]
        return cells[best], np.arange(len(best))
    rows = cells // m
    order = np.lexsort((-values, rows))
    ranks = np.arange(len(cells)) - np.searchsorted(rows, np.arange(n))[rows]
    kept = ranks < k
    return cells[order[kept]], ranks[kept]


def _floor(scores: FloatArray, k: int) -> FloatArray | None:
    """A score per row that at least k of its scores reach, and seldom many more; float32 (n, 1).

    It is the k-th highest of the maxima of blocks; None where the row has too few blocks for that.
    """
    n, m = scores.shape
    blocks = m // _BLOCK
    if blocks < 2 * k:
        return None
    tops = scores[:, : blocks * _BLOCK].reshape(n, _BLOCK, blocks).max(axis=1)
    floor: FloatArray = np.partition(tops, blocks - k, axis=1)[:, blocks - k, None]
    return floor


def _select_by_blocks(scores: FloatArray, k: int) -> IntArray | None:
    """The same as ``select``, several times faster on wide rows; None where it would not be.

    Only scores that reach the row's floor are sorted.
    """
    floor = _floor(scores, k)
    if floor is None:
        return None
    reached = np.flatnonzero(scores >= floor)
    if len(reached) > scores.size // 8:
        return None
    cells, _ = _best_first(scores, reached, k)
    return np.asarray(cells % scores.shape[1], dtype=np.int32).reshape(len(scores), k)


def top_k(scores: FloatArray, queries: Queries, name: str) -> Rankings:
    """Lists from dense scores, respecting what each question rules out.

    Parameters
    ----------
    scores
        float32 (n, n_items), written to; -inf marks items never to be answered.
    name
        The model that proposes.
    """
    forbid(scores, queries)
    items = select(scores, queries.k)
    chosen = np.take_along_axis(scores, items, axis=1)
    items[chosen == NEVER] = -1
    sources = (items >= 0).astype(np.uint32)
    return Rankings(items, chosen, sources, (name,))

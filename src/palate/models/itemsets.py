"""Frequent itemsets: what is found together in many baskets (Agrawal and Srikant, 1994; bit rows as in Zaki, 2000).

Level by level: sets that share all but their last item are joined, and a set is counted by the bits that its items'
rows have in common, a bit a basket. The itemsets found are complete: every itemset of at least the support, none else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import sparse

from palate.core import Int64Array, IntArray, UsageError
from palate.data.baskets import Baskets
from palate.models.linear import row_blocks

Bits: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.uint64]]

MOST = 2_000_000
"""More candidate itemsets of one length are refused: nobody reads them, and the next level would not fit."""

_CELLS = 500_000
"""64-bit words of bit rows held at once: 4 MB, which fits in a cache."""


@dataclass(frozen=True)
class Level:
    """All frequent itemsets of one length k, in lexical order.

    Parameters
    ----------
    sets
        int32 (m, k), rising positions of items along each row.
    counts
        int64 (m,), baskets that hold the whole set.
    keys
        int64 (m,), rising: place of the first k - 1 items in the level before, times the number of items, plus the
        last item.
    tried
        How many candidates were counted to find them.
    """

    sets: IntArray
    counts: Int64Array
    keys: Int64Array
    tried: int


@dataclass(frozen=True)
class Itemsets:
    """Frequent itemsets of n baskets over n_items items, by length.

    Parameters
    ----------
    levels
        Itemsets of one, two, three ... items.
    """

    levels: tuple[Level, ...]
    n_baskets: int
    n_items: int

    def __len__(self) -> int:
        return sum(len(level.counts) for level in self.levels)

    def count(self, sets: IntArray) -> Int64Array:
        """Baskets that hold sets of one length, given with rising items; int64 (m,). Each has to be frequent."""
        place = np.zeros(len(sets), dtype=np.int64)
        for depth, level in enumerate(self.levels[: sets.shape[1]]):
            place = np.searchsorted(level.keys, place * self.n_items + sets[:, depth])
        return np.asarray(self.levels[sets.shape[1] - 1].counts[place], dtype=np.int64)


def least_count(support: float, n_baskets: int) -> int:
    """Baskets an itemset of at least this support is in: never fewer than one."""
    # Rounding in the product must not let .1 * 30 ask for a fourth basket.
    return max(int(np.ceil(support * n_baskets - 1e-9)), 1)


def frequent_itemsets(baskets: Baskets, n_items: int, support: float, longest: int) -> Itemsets:
    """Every itemset of at most ``longest`` items that is in at least a share ``support`` of the baskets.

    Raises
    ------
    UsageError
        There are so many that nothing could be done with them; the message says how to ask for fewer.
    """
    n, least = len(baskets), least_count(support, len(baskets))
    matrix = baskets.matrix(n_items)
    counts = np.asarray(matrix.sum(axis=0)).ravel().astype(np.int64)
    items = np.flatnonzero(counts >= least).astype(np.int32)
    levels = [Level(items[:, None], counts[items], items.astype(np.int64), n_items)]
    if longest > 1 and len(items) > 1:
        levels.append(_pairs(matrix[:, items], items, least, n_items))
    bits = _bits(matrix[:, items], n)
    while len(levels) < longest and len(levels[-1].counts) > 1:
        levels.append(_longer(levels, bits, least, n_items))
    return Itemsets(tuple(level for level in levels if len(level.counts)), n, n_items)


def _pairs(matrix: sparse.csc_matrix, items: IntArray, least: int, n_items: int) -> Level:
    """Frequent pairs of frequent items, by one sparse product a block of items."""
    transposed = sparse.csr_matrix(matrix.T)
    columns, found = transposed.T.tocsr(), []
    for rows in row_blocks(len(items), 20_000_000, len(items)):
        together = sparse.coo_matrix(transposed[rows] @ columns)
        first, second = together.row + rows.start, together.col
        kept = (first < second) & (together.data >= least)
        found.append((first[kept], second[kept], together.data[kept].astype(np.int64)))
    first, second, counts = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((second, first))
    sets = np.stack([items[first[order]], items[second[order]]], axis=1)
    return Level(sets, counts[order], first[order] * np.int64(n_items) + sets[:, 1], len(items) * (len(items) - 1) // 2)


def _longer(levels: Sequence[Level], bits: Bits, least: int, n_items: int) -> Level:
    """Frequent itemsets of one more item."""
    level, items, pairs = levels[-1], levels[0].sets[:, 0], levels[1].keys
    family = level.keys // n_items
    m = len(family)
    # Sets of one family stand beside each other: each is joined with those behind it.
    after = np.searchsorted(family, family, side="right") - np.arange(m) - 1
    tried = int(after.sum())
    if tried > MOST:
        raise UsageError(
            f"{tried:,} candidates of {level.sets.shape[1] + 1} items are too many to count; ask for a larger support "
            "(--support) or shorter itemsets (--longest)."
        )
    left = np.repeat(np.arange(m), after)
    right = left + 1 + np.arange(tried) - np.repeat(np.cumsum(after) - after, after)
    # A set is never in more baskets than its last two items, so most candidates need no counting.
    last = np.searchsorted(items, level.sets[left, -1]) * np.int64(n_items) + level.sets[right, -1]
    promising = pairs[np.minimum(np.searchsorted(pairs, last), len(pairs) - 1)] == last
    left, right = left[promising], right[promising]
    sets = np.concatenate([level.sets[left], level.sets[right, -1:]], axis=1)
    counts = _counted(np.searchsorted(items, sets), bits)
    kept = counts >= least
    return Level(sets[kept], counts[kept], left[kept] * np.int64(n_items) + sets[kept, -1], tried)


def _counted(sets: Int64Array, bits: Bits) -> Int64Array:
    """Baskets that hold each set, given by rows of bits; int64 (m,)."""
    counts = np.empty(len(sets), dtype=np.int64)
    for rows in row_blocks(len(sets), _CELLS, bits.shape[1]):
        own = sets[rows]
        together = bits[own[:, 0]]
        for depth in range(1, own.shape[1]):
            together &= bits[own[:, depth]]
        counts[rows] = np.bitwise_count(together).sum(axis=1)
    return counts


def _bits(matrix: sparse.csr_matrix, n: int) -> Bits:
    """A row of bits a column of the matrix, a bit a basket; uint64 (columns, words)."""
    words = max((n + 63) // 64, 1)
    bits = np.zeros((matrix.shape[1], words), dtype=np.uint64)
    entries = matrix.tocoo()
    ones = np.uint64(1) << (entries.row % 64).astype(np.uint64)
    np.bitwise_or.at(bits, (entries.col, entries.row // 64), ones)
    return bits

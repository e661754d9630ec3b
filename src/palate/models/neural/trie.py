"""Writing ids code by code along those that exist: a tree of codes, and the search through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from palate.core import FloatArray, Int64Array, IntArray
from palate.core.ragged import take_rows
from palate.core.rankings import select

Continue = Callable[[Int64Array, Int64Array, Int64Array], FloatArray]
"""What comes next: question of each beginning, int64 (b,), which beginning of the call before it goes on from, int64
(b,), and its codes so far, int64 (b, l), to the logarithms of what each code's chance is; float32 (b, size)."""


@dataclass(frozen=True)
class Trie:
    """All ids as a tree, level by level; the leaves in order are ``items``.

    Parameters
    ----------
    codes
        The code that leads to each node, one int64 array a level.
    children
        Offsets of each node's children among the nodes of the next level, one int64 array a level, the root's first.
    items
        int32 (n,), the item of each leaf.
    """

    codes: tuple[Int64Array, ...]
    children: tuple[Int64Array, ...]
    items: IntArray

    @classmethod
    def of(cls, codes: IntArray, items: IntArray | None = None) -> Self:
        """From the codes of n items, int32 (n, m), rows all different.

        Parameters
        ----------
        items
            int32 (n,), whose codes they are; 0, 1, ... where None.
        """
        order = np.lexsort(codes.T[::-1])
        ordered = codes[order].astype(np.int64)
        # Along the sorted ids a node begins where the codes up to its level change.
        changed = np.ones(ordered.shape, dtype=bool)
        changed[1:] = np.logical_or.accumulate(ordered[1:] != ordered[:-1], axis=1)
        begins = [np.zeros(min(len(ordered), 1), np.int64), *(np.flatnonzero(column) for column in changed.T)]
        ends = [np.append(np.searchsorted(below, here), len(below)) for here, below in pairwise(begins)]
        own = np.arange(len(codes), dtype=np.int32) if items is None else items.astype(np.int32)
        return cls(
            tuple(ordered[begin, level] for level, begin in enumerate(begins[1:])),
            tuple(np.asarray(offsets, dtype=np.int64) for offsets in ends),
            own[order],
        )

    @property
    def depth(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class Beams:
    """The likeliest ids found for each question.

    Parameters
    ----------
    items
        int32 (n, w), likeliest first, -1 where there are fewer.
    chances
        float32 (n, w), logarithms, -inf there.
    """

    items: IntArray
    chances: FloatArray


def beam_search(trie: Trie, following: Continue, questions: int, width: int) -> Beams:
    """Ids written from left to right, the ``width`` likeliest beginnings kept; none is left that does not exist.

    Of two beginnings alike the one that comes first in the order of codes is kept. With a width of at least the number
    of ids nothing is missed.

    Parameters
    ----------
    questions
        How many are asked.
    """
    items = np.full((questions, width), -1, dtype=np.int32)
    chances = np.full((questions, width), -np.inf, dtype=np.float32)
    if not len(trie.items) or not questions:
        return Beams(items, chances)
    row = before = np.arange(questions, dtype=np.int64)
    node, chance = np.zeros(questions, dtype=np.int64), np.zeros(questions, dtype=np.float32)
    prefix = np.zeros((questions, 0), dtype=np.int64)
    for codes, children in zip(trie.codes, trie.children, strict=True):
        offers = following(row, before, prefix)
        offsets, flat = take_rows(children, node.astype(np.int32))
        child = np.arange(children[-1])[flat]
        parent = np.repeat(np.arange(len(row)), np.diff(offsets))
        reached = chance[parent] + offers[parent, codes[child]]
        # Beginnings of a question stand in the order of codes, and so do their children: a lower column comes first.
        asker, place, counts = row[parent], *_places(row[parent], questions)
        table = np.full((questions, int(counts.max())), -np.inf, dtype=np.float32)
        table[asker, place] = reached
        best = np.sort(select(table, width), axis=1).astype(np.int64)
        kept = (best + (np.cumsum(counts) - counts)[:, None])[best < counts[:, None]]
        row, node, chance, before = asker[kept], child[kept], reached[kept], parent[kept]
        prefix = np.concatenate([prefix[before], codes[node][:, None]], axis=1)
    order = np.lexsort((node, -chance, row))
    place, _ = _places(row, questions)
    items[row, place], chances[row, place] = trie.items[node[order]], chance[order]
    return Beams(items, chances)


def _places(row: Int64Array, rows: int) -> tuple[Int64Array, Int64Array]:
    """Place of each entry within its row, entries of a row being neighbours, and how many each row has; int64."""
    counts = np.bincount(row, minlength=rows)
    return np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts), counts

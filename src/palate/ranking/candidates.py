"""The one generator of candidates: the union of every source's best, fused by reciprocal rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from palate.core import FloatArray, IntArray, Settings
from palate.core.rankings import positive
from palate.ranking.sources import SourceScores


class CandidateSettings(Settings):
    """How many candidates, and from how deep.

    Parameters
    ----------
    per_source
        Items each source may propose.
    total
        Candidates kept for each question.
    rank_offset
        k of reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009): an item at rank r of a source gains
        1 / (k + r).
    """

    per_source: int = Field(default=80, ge=1)
    total: int = Field(default=150, ge=1)
    rank_offset: float = Field(default=20.0, gt=0)


@dataclass(frozen=True)
class Candidates:
    """At most c items for each of n questions, the best fused first.

    Parameters
    ----------
    items
        int32 (n, c), -1 pads.
    fused
        float32 (n, c), sums of reciprocal ranks.
    sources
        uint32 (n, c), bit i: the i-th source proposed it.
    """

    items: IntArray
    fused: FloatArray
    sources: np.ndarray[tuple[int, int], np.dtype[np.uint32]]

    @property
    def valid(self) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        return self.items >= 0


def propose(scores: SourceScores, settings: CandidateSettings) -> Candidates:
    """The union of the sources' top lists, best fused first; the lower item wins an exact tie.

    A source proposes only items it has evidence for (a score above 0).
    """
    n, n_items = scores.dense[0].shape
    total = min(settings.total, n_items)
    fused = np.zeros(n * n_items, dtype=np.float32)
    bits = np.zeros(n * n_items, dtype=np.uint32)
    gain = (1.0 / (settings.rank_offset + np.arange(settings.per_source))).astype(np.float32)
    proposed = []
    for position, (_, dense) in enumerate(scores):
        cells, ranks = positive(dense, settings.per_source)
        fused[cells] += gain[ranks]
        bits[cells] |= np.uint32(1 << position)
        proposed.append(cells)
    # Few cells of many are touched: only they are looked at from here on.
    cells = np.sort(np.concatenate(proposed))
    cells = cells[np.diff(cells, prepend=-1) > 0]
    rows = cells // n_items
    order = np.lexsort((-fused[cells], rows))
    rank = np.arange(len(cells)) - np.searchsorted(rows, np.arange(n))[rows]
    kept, place = cells[order[rank < total]], rank[rank < total]
    row = kept // n_items
    items = np.full((n, total), -1, dtype=np.int32)
    best, chosen = np.zeros((n, total), dtype=np.float32), np.zeros((n, total), dtype=np.uint32)
    items[row, place] = kept - row * n_items
    best[row, place] = fused[kept]
    chosen[row, place] = bits[kept]
    return Candidates(items, best, chosen)

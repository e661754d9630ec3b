"""The one generator of candidates: the union of every source's best, fused by reciprocal rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from palate.core import FloatArray, IntArray, Settings
from palate.core.rankings import positive
from palate.core.space import Space, Span
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

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "per_source": Span(20, 200, log=True),
                "total": Span(60, 400, log=True),
                "rank_offset": Span(2.0, 100.0, log=True),
            }
        )


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

    def take(self, rows: IntArray) -> Candidates:
        """Those of some of the questions."""
        return Candidates(self.items[rows], self.fused[rows], self.sources[rows])


def propose(scores: SourceScores, settings: CandidateSettings) -> Candidates:
    """The union of the sources' top lists, best fused first; the lower item wins an exact tie.

    A source proposes only items it has evidence for (a score above 0).
    """
    n, n_items = scores.dense[0].shape
    total, depth, n_sources = min(settings.total, n_items), settings.per_source, len(scores.names)
    proposed = []
    for position, (_, dense) in enumerate(scores):
        cells, ranks = positive(dense, depth)
        proposed.append((cells * n_sources + position) * depth + ranks)
    # A cell, a source and a rank in one number: a sort brings together what speaks for the same item.
    entries = np.sort(np.concatenate(proposed))
    everything, ranks = entries // depth, entries % depth
    cells, positions = everything // n_sources, everything % n_sources
    first = np.diff(cells, prepend=-1) > 0
    group = np.cumsum(first) - 1
    cells = cells[first]
    fused, bits = np.zeros(len(cells), dtype=np.float32), np.zeros(len(cells), dtype=np.uint32)
    gain = (1.0 / (settings.rank_offset + np.arange(depth))).astype(np.float32)
    np.add.at(fused, group, gain[ranks])
    np.bitwise_or.at(bits, group, np.uint32(1) << positions.astype(np.uint32))
    rows = cells // n_items
    order = np.lexsort((-fused, rows))
    place = np.arange(len(cells)) - np.searchsorted(rows, np.arange(n))[rows]
    order, place = order[place < total], place[place < total]
    row = rows[order]
    items = np.full((n, total), -1, dtype=np.int32)
    best, chosen = np.zeros((n, total), dtype=np.float32), np.zeros((n, total), dtype=np.uint32)
    items[row, place] = cells[order] - row * n_items
    best[row, place] = fused[order]
    chosen[row, place] = bits[order]
    return Candidates(items, best, chosen)

"""The one generator of candidates: the union of every source's best, fused by reciprocal rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from palate.core import FloatArray, IntArray, Settings
from palate.core.rankings import select
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
    """The union of the sources' top lists, best fused first.

    A source proposes only items it has evidence for (a score above 0).
    """
    n, n_items = scores.dense[0].shape
    depth = min(settings.per_source, n_items)
    fused = np.zeros((n, n_items), dtype=np.float32)
    bits = np.zeros((n, n_items), dtype=np.uint32)
    gain = (1.0 / (settings.rank_offset + np.arange(depth))).astype(np.float32)
    rows = np.arange(n)[:, None]
    for position, (_, dense) in enumerate(scores):
        top = select(dense, depth)
        proposed = np.take_along_axis(dense, top, axis=1) > 0
        fused[rows, top] += gain * proposed
        bits[rows, top] |= proposed.astype(np.uint32) << np.uint32(position)
    items = select(fused, settings.total)
    best = np.take_along_axis(fused, items, axis=1)
    chosen = np.take_along_axis(bits, items, axis=1)
    items[best == 0] = -1
    return Candidates(items, best, chosen)

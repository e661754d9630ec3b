"""Several models asked the same questions: their scores, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from palate.core import FloatArray, IntArray, Queries, Scorer
from palate.core.rankings import NEVER, forbid
from palate.data import Dataset

Sources = Mapping[str, Scorer[Dataset]]
"""Fitted models by name, in the order in which their bits and features stand."""


@dataclass(frozen=True)
class SourceScores:
    """Scores of all items by every source for n questions.

    Parameters
    ----------
    names
        The sources, s of them.
    dense
        One float32 (n, n_items) each; -inf where the question rules an item out.
    """

    names: tuple[str, ...]
    dense: tuple[FloatArray, ...]

    def __iter__(self) -> Iterator[tuple[str, FloatArray]]:
        return iter(zip(self.names, self.dense, strict=True))

    def take(self, rows: IntArray) -> SourceScores:
        """Those of some of the questions."""
        return SourceScores(self.names, tuple(dense[rows] for dense in self.dense))

    def at(self, items: IntArray) -> FloatArray:
        """Scores of chosen items, 0 where a source has nothing to say; float32 (s, n, c)."""
        chosen = np.empty((len(self.dense), *items.shape), dtype=np.float32)
        if len(self.dense):
            cells = np.arange(len(items))[:, None] * self.dense[0].shape[1] + np.maximum(items, 0)
            for scores, into in zip(self.dense, chosen, strict=True):
                np.take(scores.reshape(-1), cells, out=into, mode="clip")
        chosen[~np.isfinite(chosen)] = 0.0
        return chosen


def ask(sources: Sources, queries: Queries, n_items: int) -> SourceScores:
    """Every source's scores, with what each question rules out at -inf.

    A source fitted before the catalogue grew has nothing to say about the new items: 0.
    """
    dense = []
    for model in sources.values():
        scores = model.score(queries)
        if scores.shape[1] < n_items:
            scores = np.pad(scores, ((0, 0), (0, n_items - scores.shape[1])))
        dense.append(np.ascontiguousarray(scores))
    ruled_out = np.flatnonzero(forbid(np.zeros((len(queries), n_items), dtype=np.float32), queries))
    for scores in dense:
        scores.reshape(-1)[ruled_out] = NEVER
    return SourceScores(tuple(sources), tuple(dense))

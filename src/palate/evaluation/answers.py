"""Asking a model a whole fold, in batches that bound memory, and checking that the answers are answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from palate.core import Float64Array, IntArray, PalateError, Queries, Ragged, Rankings, Scorer, top_k
from palate.data import Dataset, Fold
from palate.measure import CUTOFFS, full_ranks, list_ranks, reciprocal

SHOWN = max(CUTOFFS)
"""Length of the lists that are kept."""

DEPTH = 100
"""Length of the lists asked of a ranker that has no score for every item. What its list leaves out counts as never
found, which can only understate its mean reciprocal rank."""

CELLS = 4_000_000
"""Scores held at once: 16 MB."""

LISTS = 1024
"""Questions asked at once of a ranker that answers lists."""

Rank = Callable[[Queries], Rankings]


@dataclass(frozen=True)
class Answers:
    """What a model answered to n questions.

    Parameters
    ----------
    items
        int32 (n, 20), best first, -1 pads.
    reciprocal
        float64 (n,), 1 / place of the first relevant item in the whole order, 0 where it is never answered.
    """

    items: IntArray
    reciprocal: Float64Array

    def take(self, rows: IntArray) -> Answers:
        return Answers(self.items[rows], self.reciprocal[rows])


def by_scores(model: Scorer[Dataset], fold: Fold, progress: Callable[[float], None] | None = None) -> Answers:
    """Rank the whole catalogue by a model's scores."""
    size = max(16, CELLS // max(fold.dataset.n_items, 1))

    def ask(queries: Queries, targets: Ragged) -> Answers:
        scores = model.score(queries)
        # top_k rules seen items out in place, so the ranks below are ranks among what may be answered.
        rankings = top_k(scores, queries, model.name)
        return Answers(_checked(rankings, queries, model.name), reciprocal(full_ranks(scores, targets)))

    return _in_batches(fold, SHOWN, size, ask, progress)


def by_lists(rank: Rank, fold: Fold, name: str, progress: Callable[[float], None] | None = None) -> Answers:
    """Take the lists a ranker answers."""

    def ask(queries: Queries, targets: Ragged) -> Answers:
        items = _checked(rank(queries), queries, name)
        return Answers(items[:, :SHOWN], reciprocal(list_ranks(items, targets)))

    return _in_batches(fold, max(DEPTH, SHOWN), LISTS, ask, progress)


def _in_batches(
    fold: Fold,
    k: int,
    size: int,
    ask: Callable[[Queries, Ragged], Answers],
    progress: Callable[[float], None] | None,
) -> Answers:
    n = len(fold)
    items = np.full((n, SHOWN), -1, dtype=np.int32)
    found = np.zeros(n)
    queries = replace(fold.queries, k=k)
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        part = ask(queries.take(rows), fold.targets.take(rows))
        items[rows, : part.items.shape[1]] = part.items
        found[rows] = part.reciprocal
        if progress is not None:
            progress(rows.stop / n)
    return Answers(items, found)


def _checked(rankings: Rankings, queries: Queries, name: str) -> IntArray:
    """The items of valid answers: one list a question, no item twice, nothing that was ruled out."""
    items = rankings.items
    if len(items) != len(queries):
        raise PalateError(f"{name} answered {len(items)} lists to {len(queries)} questions")
    ordered = np.sort(items, axis=1)
    if bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any()):
        raise PalateError(f"{name} answered the same item twice in one list")
    if queries.mask_seen and len(queries.history.items) and items.size:
        width = int(max(items.max(), queries.history.items.max())) + 1
        seen = queries.history.rows.astype(np.int64) * width + queries.history.items
        listed = np.arange(len(items), dtype=np.int64)[:, None] * width + items
        if bool(np.isin(listed[items >= 0], seen).any()):
            raise PalateError(f"{name} answered an item that the asker has already seen, although these are masked")
    return items

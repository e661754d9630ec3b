"""What the asker comes back to: their own items, those that are due first; without times, the newest and frequent."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.behaviour.comebacks import Comebacks
from palate.core import Abilities, BoolArray, FloatArray, Histories, IntArray, Queries, Settings
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Dataset
from palate.models.linear import LinearModel


class RepeatsSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    decay
        What an event of the history is worth relative to the next one, in histories whose times are unknown.
    """

    decay: float = Field(default=0.9, gt=0, le=1)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space({"decay": Span(0.3, 1.0)}, first=tuple({"decay": decay} for decay in (0.5, 0.7, 0.8, 0.97, 1.0)))


class Repeats(LinearModel):
    """Each item of the history speaks for itself; silent where seen items are masked.

    Where times are known, an item's score is how often a day the asker is about to come back to it (see ``Comebacks``),
    and its events share in it alike; elsewhere the events' weights add up.
    """

    name: ClassVar[str] = "repeats"
    abilities: ClassVar[Abilities] = Abilities(uses_time=True)
    settings: RepeatsSettings

    def __init__(self, settings: RepeatsSettings | None = None) -> None:
        super().__init__(settings or RepeatsSettings())
        self._comebacks = Comebacks.nothing()

    def fit(self, dataset: Dataset) -> Self:
        """Learn when people come back to things."""
        self._comebacks = Comebacks.of(dataset.sequences, dataset.catalogue.innermost_categories)
        identity = sparse.identity(dataset.n_items, dtype=np.float32, format="csr")
        return self._take(sparse.csr_matrix(identity))

    def score(self, queries: Queries) -> FloatArray:
        """How due each item is; float32 (n, n_items), 0 where the asker never had it."""
        scores = super().score(queries)
        timed = self._timed(queries.history)
        if timed.any():
            scores[timed] = 0.0
            rows, items, rates = self._comebacks.rates(queries.history, queries.when)
            known = timed[rows] & (items < self.n_items)
            scores[rows[known], items[known]] = rates[known]
        return scores

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event adds to each item's score; float32 (h, k)."""
        if not self._timed(queries.history).any():
            return super().contributions(queries, items)
        own = queries.history.items
        times = np.bincount(own)[own]
        inside = (items >= 0) & (items < self.n_items)
        scores = np.where(inside, self.score(queries)[0, np.where(inside, items, 0)], np.float32(0))
        return np.asarray((own[:, None] == items[None, :]) * scores[None, :] / times[:, None], dtype=np.float32)

    def arrays(self) -> Arrays:
        return {**super().arrays(), **self._comebacks.arrays()}

    def restore(self, arrays: Arrays) -> Self:
        self._comebacks = Comebacks.from_arrays(arrays)
        return super().restore(arrays)

    def _timed(self, history: Histories) -> BoolArray:
        """Histories whose times are all known; bool (n,), none where nobody was seen to come back."""
        unknown = np.bincount(history.rows, weights=np.isnan(history.times), minlength=len(history))
        return np.asarray((unknown == 0) & (history.lengths > 0) & bool(self._comebacks))

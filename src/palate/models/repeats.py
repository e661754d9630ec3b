"""What the asker comes back to: their own items, the newest and most frequent first."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Abilities, FloatArray, IntArray, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Dataset
from palate.models.linear import ItemWeights, need, recommend_in_batches


class RepeatsSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    decay
        What an event of the history is worth relative to the next one.
    """

    decay: float = Field(default=0.9, gt=0, le=1)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space({"decay": Span(0.3, 1.0)}, first=tuple({"decay": decay} for decay in (0.5, 0.7, 0.8, 0.97, 1.0)))


class Repeats:
    """Each item of the history speaks for itself; silent where seen items are masked."""

    name: ClassVar[str] = "repeats"
    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, settings: RepeatsSettings | None = None) -> None:
        self.settings = settings or RepeatsSettings()
        self._state: ItemWeights | None = None

    @property
    def n_items(self) -> int:
        return need(self._state, self.name).n_items

    def fit(self, dataset: Dataset) -> Self:
        """Nothing is learnt but the number of items."""
        identity = sparse.identity(dataset.n_items, dtype=np.float32, format="csr")
        self._state = ItemWeights(sparse.csr_matrix(identity), self.settings.decay)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Decayed count of each item in the history; float32 (n, n_items)."""
        return need(self._state, self.name).score(queries.history)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event adds to each item's score; float32 (h, k)."""
        return need(self._state, self.name).contributions(queries, items)

    def arrays(self) -> Arrays:
        return need(self._state, self.name).arrays()

    def restore(self, arrays: Arrays) -> Self:
        self._state = ItemWeights.from_arrays(arrays, self.settings.decay)
        return self

"""BPR: factors that rank what a user took above what not (Rendle et al., 2009), through ``implicit``.

Only item vectors and biases are kept. Whoever asks is folded in as the decayed mean of the history's item vectors: on
ML-100K and Beauty that ranks better than the vectors learnt for the training users themselves.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from palate.core import Abilities, FloatArray, Histories, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Dataset
from palate.models.factors import mean_vectors, own_threads
from palate.models.fitted import need
from palate.models.linear import binary, recommend_in_batches


class BPRSettings(Settings):
    """Hyper-parameters of BPR.

    Parameters
    ----------
    factors
        Dimensions of the vectors.
    learning_rate, regularization, iterations
        Of the stochastic descent.
    decay
        What an event of the history asked about is worth relative to the next one.
    popularity
        How much of the learnt item biases enters the score.
    seed
        Of the starting vectors and the sampling.
    """

    factors: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    regularization: float = Field(default=0.01, ge=0)
    iterations: int = Field(default=100, ge=1)
    decay: float = Field(default=0.8, gt=0, le=1)
    popularity: float = Field(default=1.0, ge=0)
    seed: int = 0

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "factors": Span(16, 256, log=True),
                "learning_rate": Span(0.01, 0.3, log=True),
                "regularization": Span(1e-4, 0.2, log=True),
                "iterations": Span(30, 300, log=True),
                "decay": Span(0.3, 1.0),
                "popularity": Span(0.0, 2.0),
            },
            first=(
                {"factors": 128},
                {"regularization": 0.001},
                {"regularization": 0.05},
                {"learning_rate": 0.05},
                {"popularity": 0.0},
                {"decay": 0.6},
            ),
        )


class BPR:
    """Vectors of items such that people who took one rank its neighbours above the rest."""

    name: ClassVar[str] = "bpr"
    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, settings: BPRSettings | None = None) -> None:
        self.settings = settings or BPRSettings()
        self._vectors: FloatArray | None = None
        self._biases: FloatArray = np.empty(0, dtype=np.float32)

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    @property
    def item_vectors(self) -> FloatArray:
        """float32 (n_items, factors); zeros for items without events."""
        return need(self._vectors, self.name)

    def fit(self, dataset: Dataset) -> Self:
        """Descend on sampled pairs, in one thread: with more, threads race and no two fits are alike."""
        settings = self.settings
        with own_threads():
            from implicit.cpu.bpr import BayesianPersonalizedRanking

            model = BayesianPersonalizedRanking(
                factors=settings.factors,
                learning_rate=settings.learning_rate,
                regularization=settings.regularization,
                iterations=settings.iterations,
                num_threads=1,
                random_state=settings.seed,
            )
            model.fit(binary(dataset.matrix()), show_progress=False)
        seen = dataset.popularity > 0
        vectors, biases = model.item_factors[:, :-1], model.item_factors[:, -1]
        self._vectors = np.where(seen[:, None], vectors, np.float32(0)).astype(np.float32)
        self._biases = np.where(seen, biases, biases[seen].min()).astype(np.float32)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Folded-in user times each item, and the item's bias; float32 (n, n_items)."""
        scores: FloatArray = self.user_vectors(queries.history) @ self.item_vectors.T
        if self.settings.popularity:
            scores += np.float32(self.settings.popularity) * self._biases
        return scores

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def user_vectors(self, history: Histories) -> FloatArray:
        """Decayed mean of the history's item vectors; float32 (n, factors), zeros for an empty history."""
        return mean_vectors(self.item_vectors, history, self.settings.decay)

    def arrays(self) -> Arrays:
        return {"item_vectors": self.item_vectors, "biases": self._biases}

    def restore(self, arrays: Arrays) -> Self:
        self._vectors = np.asarray(arrays["item_vectors"], dtype=np.float32)
        self._biases = np.asarray(arrays["biases"], dtype=np.float32)
        return self

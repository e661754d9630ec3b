"""ALS: implicit matrix factorisation by alternating least squares (Hu, Koren, Volinsky, 2008), through ``implicit``.

Only item vectors are kept. Whoever asks is folded in from the history: one regularised least-squares solve a question.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from palate.core import Abilities, FloatArray, Histories, IntArray, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.core.threads import threads
from palate.data import Dataset
from palate.models.factors import own_threads
from palate.models.fitted import need
from palate.models.linear import event_weights, known_events, recommend_in_batches

_CELLS = 8_000_000
"""Cells of padded history vectors solved at once: 32 MB."""


class ALSSettings(Settings):
    """Hyper-parameters of ALS.

    Parameters
    ----------
    factors
        Dimensions of the vectors.
    regularization
        Weight of squared vector lengths.
    alpha
        Confidence of an event of weight 1; pairs without events have confidence 1.
    iterations
        Sweeps over users and items.
    decay
        What an event of the history asked about is worth relative to the next one.
    seed
        Of the starting vectors.
    """

    factors: int = Field(default=128, ge=1)
    regularization: float = Field(default=0.1, gt=0)
    alpha: float = Field(default=20.0, gt=0)
    iterations: int = Field(default=15, ge=1)
    decay: float = Field(default=0.8, gt=0, le=1)
    seed: int = 0

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "factors": Span(16, 256, log=True),
                "regularization": Span(0.01, 100.0, log=True),
                "alpha": Span(1.0, 100.0, log=True),
                "iterations": Span(5, 30),
                "decay": Span(0.3, 1.0),
            },
            first=(
                {"factors": 64},
                {"regularization": 1.0},
                {"regularization": 10.0},
                {"alpha": 5.0},
                {"alpha": 5.0, "regularization": 10.0},
                {"decay": 1.0},
            ),
        )


class ALS:
    """Vectors of items such that a user's vector times an item's tells interest."""

    name: ClassVar[str] = "als"
    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, settings: ALSSettings | None = None) -> None:
        self.settings = settings or ALSSettings()
        self._vectors: FloatArray | None = None
        self._solved: FloatArray = np.empty((0, 0), dtype=np.float32)

    @property
    def n_items(self) -> int:
        return len(need(self._vectors, self.name))

    @property
    def item_vectors(self) -> FloatArray:
        """float32 (n_items, factors); zeros for items without events."""
        return need(self._vectors, self.name)

    def fit(self, dataset: Dataset) -> Self:
        """Alternate between users and items; the same data, settings and seed give the same vectors."""
        settings = self.settings
        with own_threads():
            from implicit.cpu.als import AlternatingLeastSquares

            model = AlternatingLeastSquares(
                factors=settings.factors,
                regularization=settings.regularization,
                alpha=settings.alpha,
                iterations=settings.iterations,
                num_threads=threads(),
                random_state=settings.seed,
                dtype=np.float32,
            )
            model.fit(dataset.matrix(), show_progress=False)
        return self._take(np.where(dataset.popularity[:, None] > 0, model.item_factors, np.float32(0)))

    def score(self, queries: Queries) -> FloatArray:
        """User vector times item vectors; float32 (n, n_items), 0 for items without events."""
        return self.user_vectors(queries.history) @ self.item_vectors.T

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def user_vectors(self, history: Histories) -> FloatArray:
        """Fold histories in: ``(Y'Y + lambda I + sum (c - 1) y y')^-1 sum c y`` over events; float32 (n, factors)."""
        vectors = self.item_vectors
        history = known_events(history, len(vectors))
        confidence = self.settings.alpha * event_weights(history, self.settings.decay)
        answer = np.zeros((len(history), vectors.shape[1]), dtype=np.float32)
        lengths = history.lengths
        # Histories of like length are solved together, so that padding costs at most twice the work.
        order = np.argsort(lengths, kind="stable")
        start = int(np.searchsorted(lengths[order], 1))
        while start < len(order):
            shortest = int(lengths[order[start]])
            stop = int(np.searchsorted(lengths[order], 2 * shortest, side="right"))
            stop = min(stop, start + max(1, _CELLS // (vectors.shape[1] * max(2 * shortest, vectors.shape[1]))))
            rows = order[start:stop]
            answer[rows] = self._fold(history, confidence, rows.astype(np.int32))
            start = stop
        return answer

    def arrays(self) -> Arrays:
        return {"item_vectors": self.item_vectors}

    def restore(self, arrays: Arrays) -> Self:
        return self._take(np.asarray(arrays["item_vectors"], dtype=np.float32))

    def _take(self, vectors: FloatArray) -> Self:
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        wide = self._vectors.astype(np.float64)
        gram = wide.T @ wide + self.settings.regularization * np.eye(wide.shape[1])
        self._solved = np.linalg.solve(gram, wide.T).T.astype(np.float32)
        return self

    def _fold(self, history: Histories, confidence: FloatArray, rows: IntArray) -> FloatArray:
        """User vectors of some rows of similar length, padded to the longest."""
        lengths = history.lengths[rows]
        column = np.arange(int(lengths.max()))
        filled = column < lengths[:, None]
        flat = np.where(filled, history.indptr[:-1][rows, None] + column, 0)
        items = history.items[flat]
        weights = np.where(filled, confidence[flat], np.float32(0))
        extra = np.where(filled, weights - 1, np.float32(0))
        solved = self._solved[items]
        # (G + Y'DY)^-1 Y'c = G^-1 Y' (I + D Y G^-1 Y')^-1 c: a system as large as the history, not as the vectors.
        inner = np.matmul(self.item_vectors[items], solved.transpose(0, 2, 1))
        left = np.eye(len(column), dtype=np.float32) + extra[:, :, None] * inner
        shares = np.linalg.solve(left, weights[:, :, None])[:, :, 0]
        return np.asarray(np.einsum("nh,nhf->nf", shares, solved), dtype=np.float32)

"""User neighbours: what people with a like history took (Resnick et al., "GroupLens", 1994).

Whoever asks is compared by the history in the question with the training histories, so an unseen user is nothing
special.
"""

from __future__ import annotations

from typing import ClassVar, Self, get_args

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Abilities, FloatArray, Histories, IntArray, Queries, Rankings, Settings
from palate.core.arrays import offsets_of
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.recommender import Arrays
from palate.core.space import Choice, Space, Span
from palate.data import Dataset
from palate.models.fitted import need
from palate.models.linear import binary, event_weights, known_events, recommend_in_batches, weighted_rows
from palate.models.ratings import Ratings, RatingSettings, predict_from_users
from palate.models.similarity import Measure

_CELLS = 16_000_000
"""Cells of question-by-user similarity held at once: 64 MB."""


class UserKNNSettings(Settings):
    """Hyper-parameters of user neighbours.

    Parameters
    ----------
    similarity
        ``cosine``, ``euclidean`` (1 / (1 + distance)) or ``pearson`` (correlation), between the question's history and
        training users' histories, among users with an item in common.
    neighbours
        Most similar training users that speak.
    shrinkage
        Similarity from n common items counts n / (n + shrinkage).
    decay
        What an event of the history asked about is worth relative to the next one.
    popularity_power
        An item with n events counts n**-popularity_power in comparisons: what everybody takes says little.
    ratings
        How ``predict_ratings`` works.
    """

    similarity: Measure = "cosine"
    neighbours: int = Field(default=200, ge=1)
    shrinkage: float = Field(default=0.0, ge=0)
    decay: float = Field(default=0.6, gt=0, le=1)
    popularity_power: float = Field(default=0.5, ge=0, le=2)
    ratings: RatingSettings = RatingSettings()

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "similarity": Choice(get_args(Measure)),
                "neighbours": Span(20, 2000, log=True),
                "shrinkage": Span(0.0, 20.0),
                "decay": Span(0.3, 1.0),
                "popularity_power": Span(0.0, 1.5),
            },
            first=(
                {"decay": 0.8},
                {"decay": 1.0},
                {"neighbours": 50},
                {"neighbours": 1000},
                {"shrinkage": 2.0},
                {"similarity": "euclidean"},
                {"similarity": "pearson"},
            ),
        )


class UserKNN:
    """An item's score is the similarity-weighted interest of the nearest training users."""

    name: ClassVar[str] = "user_knn"
    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, settings: UserKNNSettings | None = None) -> None:
        self.settings = settings or UserKNNSettings()
        self._users: sparse.csr_matrix | None = None

    @property
    def n_items(self) -> int:
        return int(self._need().shape[1])

    def fit(self, dataset: Dataset) -> Self:
        """Keep the training histories, comparable ones only."""
        matrix = dataset.matrix()
        return self._take(matrix[np.diff(matrix.indptr) > 0])

    def score(self, queries: Queries) -> FloatArray:
        """Interest of the neighbours, weighted by similarity; float32 (n, n_items), 0 where none took an item."""
        users = self._need()
        step = max(1, _CELLS // max(users.shape[0], 1))
        parts = []
        for batch in queries.batches(step):
            neighbours, similar = self._neighbours(batch.history)
            parts.append(weighted_rows(users, neighbours, similar))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def predict_ratings(self, ratings: Ratings, users: IntArray, items: IntArray) -> FloatArray:
        """Ratings these users would give these items; float32 (m,). See ``palate.models.ratings``.

        Needs no ``fit``: it learns from the ratings given, with the asked pairs' own ratings set aside.
        """
        return predict_from_users(ratings, users, items, self.settings.ratings)

    def arrays(self) -> Arrays:
        return pack_sparse("users", self._need())

    def restore(self, arrays: Arrays) -> Self:
        return self._take(unpack_sparse("users", arrays))

    def _need(self) -> sparse.csr_matrix:
        return need(self._users, self.name)

    def _take(self, users: sparse.csr_matrix) -> Self:
        self._users = users
        popularity = np.asarray(binary(users).sum(axis=0)).ravel()
        power = self.settings.popularity_power
        self._item_scale = np.maximum(popularity, 1.0).astype(np.float32) ** np.float32(-power)
        scaled = users.multiply(np.sqrt(self._item_scale)[None, :]).tocsr()
        self._by_item = users.multiply(self._item_scale[None, :]).T.tocsr()
        self._squares = np.asarray(scaled.multiply(scaled).sum(axis=1), dtype=np.float32).ravel()
        self._sums = np.asarray(scaled.sum(axis=1), dtype=np.float32).ravel()
        self._holders = binary(users).T.tocsr()
        return self

    def _neighbours(self, history: Histories) -> tuple[Histories, FloatArray]:
        """Training users nearest to each history, as rows of neighbours, and how similar each is."""
        settings, n_items = self.settings, self.n_items
        history = known_events(history, n_items)
        weights = event_weights(history, settings.decay)
        similar = weighted_rows(self._by_item, history, weights)
        asked = history.matrix(n_items, weights).multiply(np.sqrt(self._item_scale)[None, :]).tocsr()
        shared = similar > 0
        mine, theirs = np.asarray(asked.multiply(asked).sum(axis=1), dtype=np.float64), self._squares.astype(np.float64)
        if settings.similarity == "euclidean":
            alike = 1.0 / (1.0 + np.sqrt(np.maximum(mine + theirs - 2.0 * similar, 0.0)))
        else:
            centred = np.zeros_like(similar, dtype=np.float64)
            if settings.similarity == "pearson":
                sums = np.asarray(asked.sum(axis=1), dtype=np.float64)
                centred = sums * self._sums / n_items
                mine, theirs = mine - sums**2 / n_items, theirs - self._sums.astype(np.float64) ** 2 / n_items
            alike = (similar - centred) / np.sqrt(np.maximum(mine * theirs, 1e-30))
        similar = np.where(shared, np.maximum(alike, 0.0), 0.0).astype(np.float32)
        if settings.shrinkage:
            common = weighted_rows(self._holders, history, np.ones(len(history.items), dtype=np.float32))
            similar *= common / (common + np.float32(settings.shrinkage))
        return _nearest(similar, settings.neighbours)


def _nearest(similar: FloatArray, neighbours: int) -> tuple[Histories, FloatArray]:
    """The largest positive entries of each row, lower columns first among equals, in order of column."""
    rows, columns = np.nonzero(similar)
    values = similar[rows, columns]
    order = np.lexsort((columns, -values, rows))
    starts = offsets_of(np.bincount(rows, minlength=len(similar)))
    rank = np.arange(len(rows)) - starts[rows]
    keep = np.sort(order[rank < neighbours])
    indptr = offsets_of(np.bincount(rows[keep], minlength=len(similar)))
    who, weights = columns[keep].astype(np.int32), values[keep]
    return Histories(indptr, who, np.full(len(who), np.nan), np.zeros(len(who), np.int8), weights), weights

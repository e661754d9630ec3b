"""Item neighbours: what was liked by the same people is alike (Sarwar et al., 2001; Deshpande & Karypis, 2004)."""

from __future__ import annotations

from typing import ClassVar, Self, get_args

from pydantic import Field

from palate.core import FloatArray, IntArray, Settings
from palate.core.space import Choice, Space, Span
from palate.data import Dataset
from palate.models.linear import ItemWeights, LinearModel
from palate.models.ratings import Ratings, RatingSettings, predict_from_items
from palate.models.similarity import Measure, neighbours_of


class ItemKNNSettings(Settings):
    """Hyper-parameters of item neighbours.

    Parameters
    ----------
    similarity
        ``cosine``, ``euclidean`` (1 / (1 + distance)) or ``pearson`` (correlation), between the items' columns of the
        user-by-item matrix.
    neighbours
        Most similar items kept for each item.
    shrinkage
        Similarity from n common users counts n / (n + shrinkage): few witnesses, little trust.
    decay
        What an event of the history asked about is worth relative to the next one.
    length_power
        A training user with weight sum s counts s**-length_power: people who take everything say little.
    ratings
        How ``predict_ratings`` works.
    """

    similarity: Measure = "cosine"
    neighbours: int = Field(default=200, ge=1)
    shrinkage: float = Field(default=10.0, ge=0)
    decay: float = Field(default=0.6, gt=0, le=1)
    length_power: float = Field(default=1.0, ge=0, le=2)
    ratings: RatingSettings = RatingSettings()

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "similarity": Choice(get_args(Measure)),
                "neighbours": Span(20, 1000, log=True),
                "shrinkage": Span(0.0, 50.0),
                "decay": Span(0.3, 1.0),
                "length_power": Span(0.0, 2.0),
            },
            first=(
                {"decay": 0.8},
                {"decay": 1.0},
                {"shrinkage": 0.0},
                {"length_power": 0.0, "decay": 0.8},
                {"neighbours": 50},
                {"similarity": "euclidean"},
                {"similarity": "pearson"},
            ),
        )


class ItemKNN(LinearModel):
    """An item's score is the sum of its similarities to the items of the history."""

    name: ClassVar[str] = "item_knn"
    settings: ItemKNNSettings

    def __init__(self, settings: ItemKNNSettings | None = None) -> None:
        super().__init__(settings or ItemKNNSettings())

    def fit(self, dataset: Dataset) -> Self:
        """Find each item's neighbours."""
        settings = self.settings
        columns = dataset.matrix()
        similar = neighbours_of(
            columns,
            measure=settings.similarity,
            neighbours=settings.neighbours,
            shrinkage=settings.shrinkage,
            length_power=settings.length_power,
        )
        self._state = ItemWeights(similar, settings.decay)
        return self

    def predict_ratings(self, ratings: Ratings, users: IntArray, items: IntArray) -> FloatArray:
        """Ratings these users would give these items; float32 (m,). See ``palate.models.ratings``.

        Needs no ``fit``: it learns from the ratings given, with the asked pairs' own ratings set aside.
        """
        return predict_from_items(ratings, users, items, self.settings.ratings)

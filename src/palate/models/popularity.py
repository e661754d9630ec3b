"""Popularity: what many people lately showed interest in. The baseline everything personal has to beat."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from palate.core import Abilities, Float64Array, FloatArray, NotFittedError, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.data.dataset import DAY
from palate.models.linear import recommend_in_batches


class PopularitySettings(Settings):
    """How popularity is counted.

    Parameters
    ----------
    half_life_days
        An event this much older than the newest one counts half; infinite = all alike. Without times every event
        counts alike: the order within a user says nothing of when it was for the shop.
    """

    half_life_days: float = Field(default=90.0, gt=0)

    @classmethod
    def grid(cls) -> tuple[Self, ...]:
        """What a tuner may try."""
        return tuple(cls(half_life_days=days) for days in (90.0, 7.0, 30.0, 365.0, np.inf))


class Popularity:
    """Time-decayed counts, the same answer for everybody."""

    name: ClassVar[str] = "popularity"
    abilities: ClassVar[Abilities] = Abilities(unseen_users=False, uses_time=True, personal=False)

    def __init__(self, settings: PopularitySettings | None = None) -> None:
        self.settings = settings or PopularitySettings()
        self._counts: FloatArray | None = None

    @property
    def n_items(self) -> int:
        return len(self._need())

    def fit(self, dataset: Dataset) -> Self:
        """Count; a share of the largest count is kept, so that scores of different data compare."""
        sequences = dataset.sequences
        weights = sequences.weights * _recency(sequences.times, self.settings.half_life_days)
        counts = np.bincount(sequences.items, weights=weights, minlength=dataset.n_items)
        self._counts = (counts / max(float(counts.max(initial=0.0)), np.finfo(np.float64).tiny)).astype(np.float32)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Share of the most popular item's count; float32 (n, n_items)."""
        return np.tile(self._need(), (len(queries), 1))

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def arrays(self) -> Arrays:
        return {"counts": self._need()}

    def restore(self, arrays: Arrays) -> Self:
        self._counts = np.asarray(arrays["counts"], dtype=np.float32)
        return self

    def _need(self) -> FloatArray:
        if self._counts is None:
            raise NotFittedError(
                "popularity was asked before it was fitted; call fit(dataset) or restore(arrays) first"
            )
        return self._counts


def _recency(times: Float64Array, half_life_days: float) -> Float64Array:
    """Weight of each event by its distance to the newest; all ones where any time is unknown."""
    if not len(times) or np.isnan(times).any():
        return np.ones(len(times))
    return np.asarray(0.5 ** ((times.max() - times) / (half_life_days * DAY)))

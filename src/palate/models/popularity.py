"""Popularity: what many people lately showed interest in. The baseline everything personal has to beat."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from palate.core import Abilities, Float64Array, FloatArray, Histories, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.core.space import Choice, Space
from palate.data import Dataset
from palate.data.dataset import DAY
from palate.models.fitted import need
from palate.models.linear import recommend_in_batches

_HALF_LIVES = (np.inf, 365.0, 90.0, 30.0, 14.0, 7.0, 3.0, 1.0)
"""Half-lives among which the data chooses, in days, longest first."""

_WORTH_FORGETTING = 0.02
"""A shorter half-life has to foresee this much better than a longer one, so that few events do not choose by chance."""


class PopularitySettings(Settings):
    """How popularity is counted.

    Parameters
    ----------
    half_life_days
        An event this much older than the newest one counts half; infinite = all alike. None: whichever of a few would
        have foreseen the last tenth of the training events best. Without times every event counts alike: the order
        within a user says nothing of when it was for the shop.
    """

    half_life_days: float | None = Field(default=None, gt=0)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        days = (7.0, 30.0, 90.0, 365.0, np.inf)
        return Space({"half_life_days": Choice((None, *days))}, first=tuple({"half_life_days": half} for half in days))


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
        counts = _counts(
            sequences, self.settings.half_life_days or _foresight(sequences, dataset.n_items), dataset.n_items
        )
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
        return need(self._counts, self.name)


def _counts(sequences: Histories, half_life_days: float, n_items: int) -> Float64Array:
    weights = sequences.weights * _recency(sequences.times, half_life_days)
    return np.asarray(np.bincount(sequences.items, weights=weights, minlength=n_items), dtype=np.float64)


def _foresight(sequences: Histories, n_items: int) -> float:
    """The half-life under which what came before foresees the last tenth of the events best, in days.

    Foresight is the mean discounted gain of the later events in the order of popularity before them.
    """
    times = sequences.times
    if not len(times) or np.isnan(times).any():
        return np.inf
    later = times > np.quantile(times, 0.9, method="lower")
    if not later.any() or later.all():
        return np.inf
    before = sequences.where(~later)
    chosen, best = _HALF_LIVES[0], 0.0
    for days in _HALF_LIVES:
        order = np.argsort(-_counts(before, days, n_items), kind="stable")
        rank = np.empty(n_items, dtype=np.int64)
        rank[order] = np.arange(n_items)
        gain = float((1 / np.log2(rank[sequences.items[later]] + 2)).mean())
        if gain > best * (1 + _WORTH_FORGETTING):
            chosen, best = days, gain
    return chosen


def _recency(times: Float64Array, half_life_days: float) -> Float64Array:
    """Weight of each event by its distance to the newest; all ones where any time is unknown."""
    if not len(times) or np.isnan(times).any():
        return np.ones(len(times))
    return np.asarray(0.5 ** ((times.max() - times) / (half_life_days * DAY)))

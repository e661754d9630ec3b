"""What follows what: distance-decayed counts of ordered pairs.

The family of pair-count transition models (PCTM). ``C[i, j]`` adds ``distance ** -distance_power`` for every time j
came after i in a history, and a share ``backward`` of that for the other direction. Counts are damped by popularity on
both sides and pressed through a logarithm::

    W[i, j] = log(1 + C[i, j] / (n_i ** source_power * n_j ** target_power * damping))

A history's events vote with weights that fall by ``decay`` with age. A fit is a few sparse operations.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Abilities, FloatArray, Histories, IntArray, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.models.linear import ItemWeights, need, recommend_in_batches

_PAIRS_AT_ONCE = 4_000_000
"""Pairs collected before they are summed into the matrix: about 50 MB."""


class TransitionsSettings(Settings):
    """Hyper-parameters of the pair counts.

    Parameters
    ----------
    window
        Pairs further apart than this many events are not counted.
    distance_power
        A pair at distance d counts ``d ** -distance_power``.
    backward
        Share at which a pair also counts in the other direction.
    source_power, target_power
        Powers of the two items' popularity that damp a count.
    damping
        Divides the damped count before the logarithm; small presses hard, large leaves counts as they are.
    decay
        What an event of the history is worth relative to the next one.
    """

    window: int = Field(default=40, ge=1)
    distance_power: float = Field(default=0.45, ge=0)
    backward: float = Field(default=0.25, ge=0, le=1)
    source_power: float = Field(default=0.7, ge=0, le=1.5)
    target_power: float = Field(default=0.05, ge=0, le=1.5)
    damping: float = Field(default=0.15, gt=0)
    decay: float = Field(default=0.55, gt=0, le=1)

    @classmethod
    def grid(cls) -> tuple[Self, ...]:
        """What a tuner may try."""
        return (
            cls(),
            cls(decay=0.7),
            cls(decay=0.85, distance_power=0.7),
            cls(backward=0.0, distance_power=0.7),
            cls(backward=0.5, decay=0.7),
            cls(target_power=0.25),
        )


class Transitions:
    """Recommends what usually comes after what the asker did, the latest counting most."""

    name: ClassVar[str] = "transitions"
    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, settings: TransitionsSettings | None = None) -> None:
        self.settings = settings or TransitionsSettings()
        self._state: ItemWeights | None = None

    @property
    def n_items(self) -> int:
        return need(self._state, self.name).n_items

    def fit(self, dataset: Dataset) -> Self:
        """Count ordered pairs and weigh them."""
        settings = self.settings
        counts = pair_counts(dataset.sequences, dataset.n_items, settings.window, settings.distance_power)
        if settings.backward:
            counts = sparse.csr_matrix(counts + settings.backward * counts.T, dtype=np.float32)
        popularity = np.maximum(dataset.popularity, 1).astype(np.float32)
        source = sparse.diags(popularity**-settings.source_power)
        target = sparse.diags(popularity**-settings.target_power)
        weights = sparse.csr_matrix(source @ counts @ target, dtype=np.float32)
        weights.data = np.log1p(weights.data / np.float32(settings.damping))
        self._state = ItemWeights(weights, settings.decay)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Votes of the history's events; float32 (n, n_items), 0 where no event speaks for an item."""
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


def pair_counts(sequences: Histories, n_items: int, window: int, power: float) -> sparse.csr_matrix:
    """Decayed counts of j after i within ``window`` events; float32 (n_items, n_items).

    An item that follows itself counts too: where seen items are kept, people come back to it.
    """
    items, rows, weights = sequences.items, sequences.rows, sequences.weights
    total = sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    waiting: list[tuple[IntArray, IntArray, FloatArray]] = []
    longest = int(sequences.lengths.max(initial=0))
    for distance in range(1, min(window, longest - 1) + 1):
        both = rows[distance:] == rows[:-distance]
        value = weights[distance:][both] * np.float32(distance**-power)
        waiting.append((items[:-distance][both], items[distance:][both], value))
        if sum(len(part[0]) for part in waiting) >= _PAIRS_AT_ONCE:
            total = total + _summed(waiting, n_items)
            waiting = []
    return sparse.csr_matrix(total + _summed(waiting, n_items), dtype=np.float32) if waiting else total


def _summed(parts: list[tuple[IntArray, IntArray, FloatArray]], n_items: int) -> sparse.csr_matrix:
    source, target, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return sparse.csr_matrix((value, (source, target)), shape=(n_items, n_items), dtype=np.float32)

"""What follows what: distance-decayed counts of ordered pairs.

The family of pair-count transition models (PCTM). ``C[i, j]`` adds ``distance ** -distance_power`` for every time j
came after i in a history, and a share ``backward`` of that for the other direction. Counts are damped by popularity on
both sides and pressed through a logarithm::

    W[i, j] = log(1 + C[i, j] / (n_i ** source_power * n_j ** target_power * damping))

A history's events vote with weights that fall by ``decay`` with age. A fit is a few sparse operations, and new events
are added to a fitted model without another: the weights hold the counts.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import BoolArray, FloatArray, Histories, Int64Array, IntArray, Settings, UsageError
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Dataset
from palate.models.linear import LinearModel, wide

_PAIRS_AT_ONCE = 4_000_000
"""Pairs collected before they are summed into the matrix: about 50 MB."""


class TransitionsSettings(Settings):
    """Hyper-parameters of the pair counts.

    Parameters
    ----------
    window
        Pairs further apart than this many events are not counted.
    distance_power, distance_decay
        A pair at distance d counts ``d ** -distance_power * distance_decay ** (d - 1)``: a power, an exponential, or
        both.
    backward
        Share at which a pair also counts in the other direction.
    source_power, target_power
        Powers of the two items' popularity that damp a count.
    damping
        Divides the damped count before the logarithm; small presses hard, large leaves counts as they are.
    decay, fade
        An event of the history after which a others came votes with ``decay ** a * (1 + a) ** -fade``.
    """

    window: int = Field(default=40, ge=1)
    distance_power: float = Field(default=0.6, ge=0)
    distance_decay: float = Field(default=1.0, gt=0, le=1)
    backward: float = Field(default=0.25, ge=0, le=1)
    source_power: float = Field(default=0.5, ge=0, le=1.5)
    target_power: float = Field(default=0.05, ge=0, le=1.5)
    damping: float = Field(default=1.0, gt=0)
    decay: float = Field(default=0.65, gt=0, le=1)
    fade: float = Field(default=0.0, ge=0)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "distance_power": Span(0.0, 1.5),
                "distance_decay": Span(0.5, 1.0),
                "backward": Span(0.0, 1.0),
                "source_power": Span(0.0, 1.0),
                "target_power": Span(0.0, 0.5),
                "damping": Span(0.05, 5.0, log=True),
                "decay": Span(0.3, 1.0),
                "fade": Span(0.0, 2.0),
            },
            first=(
                {"decay": 0.55, "source_power": 0.7, "damping": 0.15, "distance_power": 0.45},
                {"decay": 0.85},
                {"backward": 0.0, "distance_power": 0.7},
                {"backward": 0.5, "decay": 0.75},
                {"target_power": 0.25},
            ),
        )


class Transitions(LinearModel):
    """Recommends what usually comes after what the asker did, the latest counting most."""

    name: ClassVar[str] = "transitions"
    settings: TransitionsSettings

    def __init__(self, settings: TransitionsSettings | None = None) -> None:
        super().__init__(settings or TransitionsSettings())
        self._popularity: FloatArray | None = None

    def fit(self, dataset: Dataset) -> Self:
        """Count ordered pairs and weigh them."""
        self._popularity = dataset.popularity.astype(np.float32)
        counts = both_ways(pair_counts(dataset.sequences, dataset.n_items, self.settings), self.settings)
        return self._take(damped(counts, self._popularity, self.settings))

    def update(self, sequences: Histories, new: Int64Array) -> Self:
        """Count events that came since, as a fit that had known them all along would have.

        Old arrays are left as they are, so a shallow copy made before goes on as before. Items beyond the known ones
        join them.

        Parameters
        ----------
        sequences
            Whole histories, their new events last.
        new
            int64 (n,), how many events of each row are new.

        Raises
        ------
        NotFittedError
            There is nothing yet to add to.
        UsageError
            The model was saved by a palate that did not keep what an update needs.
        """
        weights, known = self._need().matrix, self._known_popularity()
        more = max(int(sequences.items.max(initial=-1)) + 1 - len(known), 0)
        if more:
            weights = wide(weights, len(known) + more)
            known = np.concatenate([known, np.zeros(more, np.float32)])
        counts = undamped(weights, known, self.settings)
        added, self._popularity = new_counts(sequences, new, known, self.settings)
        return self._take(damped(sparse.csr_matrix(counts + added), self._popularity, self.settings))

    def arrays(self) -> Arrays:
        weights = super().arrays()
        return weights if self._popularity is None else {**weights, "popularity": self._popularity}

    def restore(self, arrays: Arrays) -> Self:
        self._popularity = arrays.get("popularity")
        return super().restore(arrays)

    def _known_popularity(self) -> FloatArray:
        if self._popularity is None:
            raise UsageError("these transitions were saved without what an update needs; fit them again")
        return self._popularity


def damped(counts: sparse.csr_matrix, popularity: FloatArray, settings: TransitionsSettings) -> sparse.csr_matrix:
    """Counts as weights of a vote; float32 (n_items, n_items).

    Parameters
    ----------
    popularity
        float32 (n_items,), events of each item.
    """
    source, target = _damping(popularity, settings)
    weights = sparse.csr_matrix(source @ counts @ target, dtype=np.float32)
    weights.data = np.log1p(weights.data)
    return weights


def undamped(weights: sparse.csr_matrix, popularity: FloatArray, settings: TransitionsSettings) -> sparse.csr_matrix:
    """The counts that ``damped`` made weights of; float32 (n_items, n_items)."""
    source, target = _damping(popularity, settings)
    counts = weights.copy()
    counts.data = np.expm1(counts.data)
    return sparse.csr_matrix(source.power(-1) @ counts @ target.power(-1), dtype=np.float32)


def redamped(
    weights: sparse.csr_matrix, before: FloatArray, now: FloatArray, settings: TransitionsSettings
) -> sparse.csr_matrix:
    """Weights whose targets have another popularity now, and whose sources do not; a copy."""
    changed = np.maximum(now.astype(np.float64), 1.0) / np.maximum(before.astype(np.float64), 1.0)
    factor = changed**-settings.target_power
    again = weights.copy()
    at = np.flatnonzero(factor[again.indices] != 1)
    again.data[at] = np.log1p(np.expm1(again.data[at]) * factor[again.indices[at]])
    return again


def _damping(popularity: FloatArray, settings: TransitionsSettings) -> tuple[sparse.dia_matrix, sparse.dia_matrix]:
    known = np.maximum(popularity.astype(np.float64), 1.0)
    source = known**-settings.source_power / settings.damping
    return sparse.diags(source), sparse.diags(known**-settings.target_power)


def new_counts(
    sequences: Histories, new: Int64Array, popularity: FloatArray, settings: TransitionsSettings
) -> tuple[sparse.csr_matrix, FloatArray]:
    """What new events add to the counts (both ways), and the popularity with them; see ``Transitions.update``."""
    n_items = len(popularity)
    if len(new) != len(sequences) or (new < 0).any() or (new > sequences.lengths).any():
        raise UsageError("an update needs, for each history, how many of its last events are new")
    fresh = sequences.ages < np.repeat(new, sequences.lengths)
    items, highest = sequences.items[fresh], int(sequences.items.max(initial=-1))
    if highest >= n_items:
        raise UsageError(f"an event is about item {highest}, but the model knows only {n_items:,} items; fit it again")
    added = pair_counts(sequences, n_items, settings, fresh)
    grown = popularity + np.bincount(items, minlength=n_items).astype(np.float32)
    return both_ways(added, settings), grown


def both_ways(counts: sparse.csr_matrix, settings: TransitionsSettings) -> sparse.csr_matrix:
    """Forward counts with the share of them that counts backward."""
    if not settings.backward:
        return counts
    return sparse.csr_matrix(counts + settings.backward * counts.T, dtype=np.float32)


def pair_counts(
    sequences: Histories, n_items: int, settings: TransitionsSettings, later: BoolArray | None = None
) -> sparse.csr_matrix:
    """Decayed counts of j after i within the window; float32 (n_items, n_items).

    An item that follows itself counts too: where seen items are kept, people come back to it.

    Parameters
    ----------
    later
        bool (m,): only pairs whose later event is among these; all where None.
    """
    items, rows, weights = sequences.items, sequences.rows, sequences.weights
    total = sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    waiting: list[tuple[IntArray, IntArray, FloatArray]] = []
    longest = int(sequences.lengths.max(initial=0))
    for distance in range(1, min(settings.window, longest - 1) + 1):
        share = distance**-settings.distance_power * settings.distance_decay ** (distance - 1)
        pairs = rows[distance:] == rows[:-distance]
        if later is not None:
            pairs &= later[distance:]
        waiting.append(
            (items[:-distance][pairs], items[distance:][pairs], weights[distance:][pairs] * np.float32(share))
        )
        if sum(len(part[0]) for part in waiting) >= _PAIRS_AT_ONCE:
            total = total + _summed(waiting, n_items)
            waiting = []
    return sparse.csr_matrix(total + _summed(waiting, n_items), dtype=np.float32) if waiting else total


def _summed(parts: list[tuple[IntArray, IntArray, FloatArray]], n_items: int) -> sparse.csr_matrix:
    source, target, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return sparse.csr_matrix((value, (source, target)), shape=(n_items, n_items), dtype=np.float32)

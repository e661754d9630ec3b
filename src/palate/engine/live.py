"""What happened since the engine was trained: short, bounded, in memory."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, Histories
from palate.data import Dataset

MOST_USERS = 200_000
"""Users with live events that are remembered; the one longest silent is forgotten first."""


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of interest; ``mood`` says how content it was, -1 to 1, NaN where it does not tell."""

    item: int
    time: float
    kind: int
    weight: float
    mood: float = math.nan


class LiveHistories:
    """Histories of training, continued by what was reported since.

    Parameters
    ----------
    dataset
        What the engine was trained on.
    most
        Newest reported events kept for a user; those of training are all kept already.
    """

    def __init__(self, dataset: Dataset, most: int) -> None:
        self._dataset = dataset
        self._most = most
        self._events: OrderedDict[str, deque[LiveEvent]] = OrderedDict()
        self.forgotten: set[str] = set()

    def add(self, user: str, events: Iterable[LiveEvent]) -> None:
        """Continue a user's history, in order of time."""
        own = self._events.setdefault(user, deque(maxlen=self._most))
        self._events.move_to_end(user)
        late = False
        for event in events:
            late = late or bool(own and event.time < own[-1].time)
            own.append(event)
        if late:
            ordered = sorted(own, key=lambda event: event.time)
            own.clear()
            own.extend(ordered)
        while len(self._events) > MOST_USERS:
            self._events.popitem(last=False)

    def forget(self, user: str) -> None:
        """Nobody of that id was heard of; what they do from now on begins a history."""
        self._events.pop(user, None)
        if user in self._dataset.user_ids:
            self.forgotten.add(user)

    def known(self, user: str) -> bool:
        """Whether anybody of that id was ever heard of."""
        return user in self._events or self.position(user) >= 0

    def position(self, user: str) -> int:
        """Of somebody who was trained on and is not forgotten; -1 else."""
        return -1 if user in self.forgotten else self._dataset.user_ids.get(user)

    def moods(self, user: str) -> Float64Array:
        """How content each reported event was; float64, NaN where it does not tell."""
        return np.array([event.mood for event in self._events.get(user, ())], dtype=np.float64)

    def of(self, user: str) -> Histories:
        """One row: what the user did, oldest first: all of training, as the ranker learnt it, and what came since."""
        position = self.position(user)
        trained = self._dataset.sequences.take(slice(position, position + 1)) if position >= 0 else Histories.empty(1)
        own = self._events.get(user)
        if not own:
            return trained
        return Histories(
            np.array([0, len(trained.items) + len(own)], dtype=np.int64),
            np.concatenate([trained.items, np.array([event.item for event in own], dtype=np.int32)]),
            np.concatenate([trained.times, np.array([event.time for event in own])]),
            np.concatenate([trained.kinds, np.array([event.kind for event in own], dtype=np.int8)]),
            np.concatenate([trained.weights, np.array([event.weight for event in own], dtype=np.float32)]),
        )

"""What happened since the engine was trained: short, bounded, in memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from palate.core import Histories, Kinds
from palate.data import Catalogue, Dataset

MOST_USERS = 200_000
"""Users with live events that are remembered; the one longest silent is forgotten first."""


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of interest."""

    item: int
    time: float
    kind: int
    weight: float


class LiveHistories:
    """Histories of training, continued by what was reported since.

    Parameters
    ----------
    dataset
        What the engine was trained on.
    most
        Newest events kept for a user.
    """

    def __init__(self, dataset: Dataset, most: int) -> None:
        self._dataset = dataset
        self._most = most
        self._events: OrderedDict[str, deque[LiveEvent]] = OrderedDict()

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

    def known(self, user: str) -> bool:
        """Whether anybody of that id was ever heard of."""
        return user in self._events or user in self._dataset.user_ids

    def of(self, user: str) -> Histories:
        """One row: what the user did, oldest first, the newest events only."""
        position = self._dataset.user_ids.get(user)
        trained = (
            self._dataset.sequences.take(slice(position, position + 1)).last(self._most)
            if position >= 0
            else Histories.empty(1)
        )
        own = self._events.get(user)
        if not own:
            return trained
        joined = Histories(
            np.array([0, len(trained.items) + len(own)], dtype=np.int64),
            np.concatenate([trained.items, np.array([event.item for event in own], dtype=np.int32)]),
            np.concatenate([trained.times, np.array([event.time for event in own])]),
            np.concatenate([trained.kinds, np.array([event.kind for event in own], dtype=np.int8)]),
            np.concatenate([trained.weights, np.array([event.weight for event in own], dtype=np.float32)]),
        )
        return joined.last(self._most)


def read_events(
    frame: pl.DataFrame, catalogue: Catalogue, kinds: Kinds
) -> tuple[dict[str, list[LiveEvent]], list[dict[str, Any]]]:
    """Validated rows as events of interest by user, and refusals of those with items nobody has mentioned."""
    by_user: dict[str, list[LiveEvent]] = {}
    unknown: list[dict[str, Any]] = []
    for row in frame.iter_rows(named=True):
        item = row.get("item_id")
        position = -1 if item is None else catalogue.ids.get(item)
        if item is not None and position < 0:
            unknown.append({"line": 0, "reason": f"unknown item {item!r}", "row": row})
            continue
        kind = kinds.position(row["kind"])
        weight = float(kinds.weights[kind])
        if position >= 0 and weight > 0:
            event = LiveEvent(position, float(row["timestamp"]), kind, weight)
            by_user.setdefault(row["user_id"], []).append(event)
    return by_user, unknown

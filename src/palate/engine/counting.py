"""Events that came since training, counted by the models that can: what one person did next, others are told of."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from palate.core import Continues, Histories, Scorer
from palate.data import Dataset
from palate.engine.live import LiveEvent
from palate.engine.shelf import Shelf
from palate.ranking.pipeline import Pipeline

_MOST_WAITING = 20_000
"""Events that wait to be counted; more are counted at once, however little time that leaves for anything else."""

_logger = logging.getLogger("palate.engine")


class Counting:
    """Counts live events in batches, so that it takes a bounded share of the time however fast they come.

    Answers meanwhile come from the old shelf; a counted one takes its place as a whole. What was counted is no part of
    a saved engine: as live histories do, it comes back when the log is told again, and is not counted twice.

    Parameters
    ----------
    sources
        Fitted models by name.
    share
        Of the time that counting may take; 0: nothing is counted.
    clock
        Seconds.
    """

    def __init__(
        self, sources: Mapping[str, Scorer[Dataset]], share: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.resting: dict[str, Scorer[Dataset]] = {
            name: model for name, model in sources.items() if share and isinstance(model, Continues)
        }
        """Those that count, as they were before live events."""
        self._share, self._clock, self._due = share, clock, -np.inf
        windows = (int(getattr(model.settings, "window", 0)) for model in self.resting.values())
        self._window = max(windows, default=0)
        self._rows: list[Histories] = []
        self._new: list[int] = []

    def at_rest(self, pipeline: Pipeline) -> Pipeline:
        """A ranking whose models know no live events, as it is saved."""
        return replace(pipeline, sources={**pipeline.sources, **self.resting})

    def note(self, before: Histories, events: Sequence[LiveEvent]) -> None:
        """Remember that one asker's history (one row) goes on with these events."""
        if not self.resting or not events:
            return
        own = Histories(
            np.array([0, len(events)], dtype=np.int64),
            np.array([event.item for event in events], dtype=np.int32),
            np.array([event.time for event in events], dtype=np.float64),
            np.array([event.kind for event in events], dtype=np.int8),
            np.array([event.weight for event in events], dtype=np.float32),
        )
        both = Histories.concatenate([before.last(self._window), own])
        self._rows.append(replace(both, indptr=both.indptr[[0, -1]]))
        self._new.append(len(events))

    def counted(self, shelf: Shelf) -> Shelf:
        """A shelf whose models know the events that wait, if it is time; else the same one.

        What waits is counted together with the next events, once the share of time allows it.
        """
        started = self._clock()
        if not self._rows or (started < self._due and sum(self._new) < _MOST_WAITING):
            return shelf
        histories, new = Histories.concatenate(self._rows), np.array(self._new, dtype=np.int64)
        self._rows, self._new = [], []
        try:
            sources = {
                name: _told(model, histories, new) if name in self.resting else model
                for name, model in shelf.pipeline.sources.items()
            }
        except Exception:
            _logger.warning("%d events could not be counted; answers go on without", new.sum(), exc_info=True)
            return shelf
        ended = self._clock()
        self._due = ended + (ended - started) * (1 / self._share - 1)
        return Shelf.of(shelf.catalogue, replace(shelf.pipeline, sources=sources), shelf.rules, shelf.judge)


def _told(model: Any, histories: Histories, new: np.ndarray) -> Scorer[Dataset]:
    """The model with more events, beside the one that answers: an update puts new arrays in place of old ones."""
    own: Scorer[Dataset] = copy(model).update(histories, new)
    return own

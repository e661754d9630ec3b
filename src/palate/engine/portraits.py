"""What people are told of themselves, and how their corrections change the next answer."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from palate.behaviour import (
    Branch,
    Edits,
    InterestMap,
    InterestModel,
    Interests,
    Names,
    RecencySettings,
    branch,
    item_features,
    named,
    profiles,
    summary,
    topic_items,
)
from palate.behaviour.profile import event_amounts, event_numbers
from palate.core import (
    Float64Array,
    FloatArray,
    Histories,
    Int64Array,
    IntArray,
    Queries,
    Ragged,
    UnknownIdError,
    clock,
)
from palate.data import Catalogue, Dataset
from palate.engine.live import MOST_USERS, LiveEvent, LiveHistories
from palate.engine.shelf import Shelf
from palate.language import tones

STANDING_WISH = 0.4
"""Share of the order that added topics have; a wish said with a question has more, and takes their place."""
_REMEMBERED = 2_000
"""People whose interests are kept up event by event; others' are gathered when they are asked for."""
_TOPICS = 4_096


@dataclass(frozen=True)
class Portrait:
    """What an engine knows of somebody.

    Parameters
    ----------
    sentence
        Habits in one sentence.
    summary
        Interests in one sentence.
    table
        Habits as plain values.
    interests
        The strongest first: name, share, events, dates, mood, items.
    muted, added
        Topics the person corrected it by.
    branch
        Whether interests rest on texts or on engineered features, and why, in words.
    """

    sentence: str
    summary: str
    table: dict[str, Any]
    interests: tuple[dict[str, Any], ...]
    muted: tuple[str, ...]
    added: tuple[str, ...]
    branch: str


@dataclass
class _Reading:
    """How to gather and name interests over one shelf."""

    shelf: Shelf
    map: InterestMap
    names: Names
    branch: Branch
    topics: OrderedDict[str, IntArray] = field(default_factory=OrderedDict)


class Portraits:
    """Corrections and interests of people, bounded, in memory. The log keeps corrections, histories keep the rest."""

    def __init__(self, dataset: Dataset, live: LiveHistories) -> None:
        self._dataset, self._live = dataset, live
        self._edits: OrderedDict[str, Edits] = OrderedDict()
        self._interests: OrderedDict[str, Interests] = OrderedDict()
        self._reading: _Reading | None = None
        self._lock = threading.Lock()

    def edits(self, name: str) -> Edits:
        """A person's corrections."""
        return self._edits.get(name, Edits())

    def correct(self, name: str, change: Callable[[Edits], Edits]) -> Edits:
        """Change a person's corrections; the one who corrected longest ago is forgotten where there are too many."""
        edits = change(self.edits(name))
        self._edits.pop(name, None)
        if edits:
            self._edits[name] = edits
        while len(self._edits) > MOST_USERS:
            self._edits.popitem(last=False)
        return edits

    def forget(self, name: str) -> None:
        """Keep nothing of a person."""
        with self._lock:
            self._edits.pop(name, None)
            self._interests.pop(name, None)

    def corrected(self, shelf: Shelf, queries: Queries, names: Sequence[str | None], keep: int = -1) -> Queries:
        """The questions as their askers' corrections have them.

        Muted items are left out, and what was done with them no longer speaks; added topics are a standing wish where
        the question has none of its own.

        Parameters
        ----------
        names
            Of each asker, None for nobody.
        keep
            An item that stays, because the question is about it.
        """
        own = [Edits() if name is None else self.edits(name) for name in names]
        if not any(own):
            return queries
        muted = [self._about(shelf, edits.muted) for edits in own]
        muted = [row[row != keep] for row in muted]
        if any(len(row) for row in muted):
            queries = _without(queries, muted, len(shelf.catalogue))
        if any(edits.added for edits in own):
            said = queries.text or ("",) * len(queries)
            standing = [not text.strip() and bool(edits.added) for text, edits in zip(said, own, strict=True)]
            wishes = (
                " ".join(edits.added) if at else text for at, text, edits in zip(standing, said, own, strict=True)
            )
            weight = np.where(standing, np.float32(STANDING_WISH), np.float32(np.nan)).astype(np.float32)
            queries = replace(queries, text=tuple(wishes), text_weight=weight)
        return queries

    def happened(self, shelf: Shelf, name: str, events: Iterable[LiveEvent]) -> None:
        """Move the interests of somebody whose interests are kept up; others' are gathered when asked for."""
        with self._lock:
            interests = self._interests.get(name)
            if interests is None:
                return
            reading = self._read(shelf)
            for event in events:
                if event.time < interests.time or event.item >= len(reading.map.model.vectors):
                    del self._interests[name]  # told late, or of a new item: gathered anew when asked for
                    return
                interests = reading.map.update(interests, event.item, event.time, event.weight, event.mood)
            self._interests[name] = interests

    def of(self, shelf: Shelf, name: str, language: str) -> Portrait:
        """What is known of somebody.

        Raises
        ------
        UnknownIdError
            Nobody has heard of them.
        """
        live = self._live
        if not (live.known(name) or name in self._edits):
            raise UnknownIdError(f"unknown user {name!r}")
        history, live_moods, now = live.of(name), live.moods(name), clock.now()
        reading, edits = self._read(shelf), self.edits(name)
        kept = self._kept(name, history, live_moods, reading)
        told = named(kept, reading.names, language)
        muted = {int(item) for item in self._about(shelf, edits.muted)}
        shown = [own for own in told if not own.items or not muted.issuperset(own.items)]
        dwell, ratings, amounts = self._trained(name, history, shelf.catalogue)
        found = profiles(
            history,
            shelf.catalogue,
            now,
            kinds=self._dataset.kinds,
            dwell=dwell,
            ratings=ratings,
            amounts=amounts,
        )
        return Portrait(
            found.sentence(0, language),
            summary(shown, now, language=language),
            found.table(0, language),
            tuple(own.written(shelf.catalogue) for own in sorted(shown, key=lambda own: -own.share)),
            edits.muted,
            edits.added,
            reading.branch.reason(language),
        )

    def _kept(self, name: str, history: Histories, live_moods: Float64Array, reading: _Reading) -> Interests:
        """Interests of somebody, kept up from now on."""
        with self._lock:
            interests = self._interests.pop(name, None)
            if interests is None:
                known = history.items < len(reading.map.model.vectors)
                moods = np.concatenate([self._moods(name), live_moods])[-len(known) :] if len(known) else live_moods
                interests = reading.map.build(history.where(known), moods[known])
            self._interests[name] = interests
            while len(self._interests) > _REMEMBERED:
                self._interests.popitem(last=False)
            return interests

    def _read(self, shelf: Shelf) -> _Reading:
        if self._reading is None or self._reading.shelf is not shelf:
            facts, chosen = shelf.pipeline.facts, branch(shelf.catalogue)
            vectors: FloatArray = facts.vectors
            if not vectors.shape[1]:
                vectors = item_features(shelf.catalogue, self._dataset)
            if self._reading is not None and self._reading.map.model.vectors.shape[1] != vectors.shape[1]:
                self._interests.clear()
            model = InterestModel(vectors, chosen, RecencySettings())
            self._reading = _Reading(shelf, InterestMap(model), Names(shelf.catalogue), chosen)
        return self._reading

    def _about(self, shelf: Shelf, topics: Sequence[str]) -> IntArray:
        """Items about any of these topics; int32, rising."""
        if not topics:
            return np.empty(0, dtype=np.int32)
        known = self._read(shelf).topics
        for topic in topics:
            if topic not in known:
                known[topic] = topic_items(shelf.catalogue, topic)
                while len(known) > _TOPICS:
                    known.popitem(last=False)
        return np.unique(np.concatenate([known[topic] for topic in topics]))

    def _rows(self, name: str) -> Int64Array:
        """Rows of the training events behind somebody's history."""
        position = self._live.position(name)
        if position < 0:
            return np.empty(0, dtype=np.int64)
        indptr = self._dataset.sequences.indptr
        return self._dataset.sequence_rows[indptr[position] : indptr[position + 1]]

    def _moods(self, name: str) -> Float64Array:
        """Moods of training events by their ratings; float64, NaN where unrated."""
        rows = self._rows(name)
        values = event_numbers(self._dataset, "value", rows)
        return np.full(len(rows), np.nan) if values is None else self._of_ratings(values)

    def mood(self, row: Mapping[str, Any]) -> float:
        """How content an event was, -1 to 1: by its rating, else by what was written; NaN where neither says."""
        if row.get("value") is not None:
            return float(self._of_ratings(np.array([row["value"]], dtype=np.float32))[0])
        text = row.get("text")
        if not text or row.get("kind") == "search":
            return math.nan
        tone = tones([str(text)])[0]
        return tone.score if tone.words else math.nan

    def _of_ratings(self, values: FloatArray) -> Float64Array:
        """Ratings on the data's own scale as moods between -1 and 1; float64."""
        low, high = self._scale()
        if not high > low:
            return np.full(len(values), np.nan)
        return np.clip((values.astype(np.float64) - low) / (high - low) * 2 - 1, -1.0, 1.0)

    def _scale(self) -> tuple[float, float]:
        if "value" not in self._dataset.events.columns:
            return math.nan, math.nan
        values = self._dataset.events["value"]
        low, high = values.min(), values.max()
        return (math.nan, math.nan) if low is None or high is None else (float(low), float(high))  # type: ignore[arg-type]

    def _trained(
        self, name: str, history: Histories, catalogue: Catalogue
    ) -> tuple[FloatArray | None, FloatArray | None, FloatArray]:
        """Dwell, ratings and amounts of a history's events; NaN of those since training, whose price stands in."""
        rows = self._rows(name)
        later = np.full(len(history.items) - len(rows), np.nan, dtype=np.float32)
        columns = [event_numbers(self._dataset, column, rows) for column in ("dwell", "value")]
        dwell, ratings = (None if values is None else np.concatenate([values, later]) for values in columns)
        bought = history.kinds == self._dataset.kinds.position("purchase")
        amounts = np.where(bought, catalogue.prices[history.items], np.float32(np.nan)).astype(np.float32)
        if len(rows):
            amounts[: len(rows)] = event_amounts(self._dataset, rows)
        return dwell, ratings, amounts


def _without(queries: Queries, muted: Sequence[IntArray], n_items: int) -> Queries:
    """Without these items (one row a question), as answers and as evidence."""
    history = queries.history
    pairs = np.concatenate([row * n_items + items.astype(np.int64) for row, items in enumerate(muted)])
    gone = np.isin(history.rows.astype(np.int64) * n_items + history.items, pairs) & (history.items < n_items)
    before = Ragged.repeated([], len(queries)) if queries.excludes is None else queries.excludes
    excludes = Ragged.of([np.concatenate([before[row], muted[row]]) for row in range(len(queries))])
    return replace(queries, history=history.where(~gone), excludes=excludes)

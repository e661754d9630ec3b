"""One user's interests, several and weighed: what was done, gathered by likeness, named, dated and with its mood.

An event moves the interests at once, in microseconds; rebuilding from the whole history, which an encoder and time to
regroup allow, happens off the path of an answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from pydantic import Field

from palate.behaviour.decay import DAY, RecencySettings, recency_weights
from palate.behaviour.interest import InterestModel
from palate.core import Float64Array, FloatArray, Histories, IntArray, Settings

_KEPT = 8
"""Newest items an interest keeps to be named by."""
_PAIRS = 4000


class InterestsSettings(Settings):
    """How interests are told apart.

    Parameters
    ----------
    most
        Interests kept; the weakest gives way.
    likeness
        Share of pairs of catalogue items, drawn by chance, that are less alike than two events of one interest. It sets
        the border by the vectors themselves: what counts as alike differs from encoder to encoder.
    events
        Newest events an interest is built from.
    rounds
        Times the events are gathered again around the middle of what was gathered.
    """

    most: int = Field(default=12, ge=1, le=64)
    likeness: float = Field(default=0.95, gt=0, lt=1)
    events: int = Field(default=300, ge=1)
    rounds: int = Field(default=3, ge=0)


@dataclass(frozen=True, slots=True)
class Interests:
    """m interests, in no order. All weights stand as of ``time`` and fade together.

    Parameters
    ----------
    totals
        float32 (m, d), weighed sums of unit vectors; their directions are the middles.
    weights
        float64 (m,), what the events of each still weigh.
    counts
        int32 (m,), events of each.
    first, last
        float64 (m,), when it began and was last seen; NaN where unknown.
    mood, mooded
        float64 (m,), weighed sum of moods between -1 and 1, and the weight of the events that have one.
    items
        int32 (m, 8), newest items, the newest first, -1 pads.
    time
        Latest known time, seconds since 1970 UTC; NaN where there is none.
    """

    totals: FloatArray
    weights: Float64Array
    counts: IntArray
    first: Float64Array
    last: Float64Array
    mood: Float64Array
    mooded: Float64Array
    items: IntArray
    time: float

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def shares(self) -> Float64Array:
        """Share of each in the whole; float64 (m,)."""
        return self.weights / max(float(self.weights.sum()), 1e-12)

    @property
    def moods(self) -> Float64Array:
        """Mean mood of each between -1 and 1, NaN where no event says; float64 (m,)."""
        return np.where(self.mooded > 0, self.mood / np.where(self.mooded > 0, self.mooded, 1.0), np.nan)


@dataclass(frozen=True)
class InterestMap:
    """Gathers events into interests over the item vectors of an ``InterestModel``, whichever branch made them."""

    model: InterestModel
    settings: InterestsSettings = field(default_factory=InterestsSettings)

    @cached_property
    def border(self) -> float:
        """Cosine from which two items count as one interest."""
        unit = self._unit
        known = np.nonzero(unit.any(axis=1))[0]
        if len(known) < 2:
            return 0.5
        rng = np.random.default_rng(0)
        first, second = rng.choice(known, _PAIRS), rng.choice(known, _PAIRS)
        differ = first != second
        cosines = np.einsum("nd,nd->n", unit[first[differ]], unit[second[differ]])
        return float(np.clip(np.quantile(cosines, self.settings.likeness), 0.05, 0.95))

    def begin(self) -> Interests:
        """Of somebody who has done nothing yet."""
        none = np.empty(0)
        items = np.empty((0, _KEPT), np.int32)
        totals = np.empty((0, self.model.vectors.shape[1]), np.float32)
        return Interests(totals, none, np.empty(0, np.int32), none, none, none, none, items, math.nan)

    def build(self, history: Histories, moods: Float64Array | None = None) -> Interests:
        """Interests of one history, gathered anew.

        Parameters
        ----------
        history
            One row.
        moods
            float64 (m,), how content each event was, -1 to 1; NaN where it does not say.
        """
        start = max(0, len(history.items) - self.settings.events)
        items = history.items[start:]
        if not len(items):
            return self.begin()
        weights = recency_weights(history, self.model.settings)[start:].astype(np.float64)
        feelings = np.full(len(items), np.nan) if moods is None else np.asarray(moods, dtype=np.float64)[start:]
        times = history.times[start:]
        unit = self._unit[items]
        groups = self._gathered(unit, weights)
        m = int(groups.max()) + 1
        totals = _sums(unit, weights, groups, m)
        said = ~np.isnan(feelings)
        newest = np.full((m, _KEPT), -1, dtype=np.int32)
        for group in range(m):
            own = list(dict.fromkeys(items[groups == group][::-1].tolist()))[:_KEPT]
            newest[group, : len(own)] = own
        known = ~np.isnan(times)
        first, last = np.full(m, np.inf), np.full(m, -np.inf)
        np.minimum.at(first, groups[known], times[known])
        np.maximum.at(last, groups[known], times[known])
        return Interests(
            totals,
            _summed(weights, groups, m),
            np.bincount(groups, minlength=m).astype(np.int32),
            np.where(np.isinf(first), np.nan, first),
            np.where(np.isinf(last), np.nan, last),
            _summed((weights * feelings)[said], groups[said], m),
            _summed(weights[said], groups[said], m),
            newest,
            float(times[known].max()) if known.any() else math.nan,
        )

    def update(
        self, interests: Interests, item: int, time: float = math.nan, weight: float = 1.0, mood: float = math.nan
    ) -> Interests:
        """The interests after one more event, which joins the nearest or begins one; in microseconds.

        Parameters
        ----------
        time
            Seconds since 1970 UTC; NaN where unknown.
        weight
            What the event is worth as evidence, > 0.
        mood
            How content it was, -1 to 1; NaN where it does not say.
        """
        vector = self._unit[item]
        faded, newest = self._faded(interests, time)
        place = self._place(faded, vector)
        if place < 0:
            faded, place = self._opened(faded, time)
        totals, weights, counts = faded.totals, faded.weights, faded.counts.copy()
        totals[place] += vector * np.float32(weight)
        weights[place] += weight
        counts[place] += 1
        first, last, items = faded.first.copy(), faded.last.copy(), faded.items.copy()
        if time == time:  # noqa: PLR0124 - not NaN
            first[place] = time if not first[place] <= time else first[place]
            last[place] = time if not last[place] >= time else last[place]
        row = items[place]
        if item != row[0]:
            row[1:] = row[:-1].copy()
            row[0] = item
        if mood == mood:  # noqa: PLR0124 - not NaN
            faded.mood[place] += weight * mood
            faded.mooded[place] += weight
        return Interests(totals, weights, counts, first, last, faded.mood, faded.mooded, items, newest)

    @cached_property
    def _unit(self) -> FloatArray:
        vectors = self.model.vectors
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(norms > 0, norms, 1.0), dtype=np.float32)

    def _faded(self, interests: Interests, time: float) -> tuple[Interests, float]:
        """A copy in which everything weighs what it does once one more event has happened at ``time``."""
        own: RecencySettings = self.model.settings
        elapsed = time - interests.time
        days = elapsed / DAY if elapsed > 0 else 0.0
        fade = 2.0 ** -(days / own.half_life_days + 1.0 / own.half_life_events)
        newest = interests.time if interests.time >= time or math.isnan(time) else time
        faded = Interests(
            interests.totals * np.float32(fade),
            interests.weights * fade,
            interests.counts,
            interests.first,
            interests.last,
            interests.mood * fade,
            interests.mooded * fade,
            interests.items,
            newest,
        )
        return faded, newest

    def _place(self, interests: Interests, vector: FloatArray) -> int:
        """The interest an event joins; -1 where it is like none."""
        if not len(interests):
            return -1
        totals = interests.totals
        cosines = totals @ vector / np.sqrt(np.einsum("nd,nd->n", totals, totals) + 1e-24)
        nearest = int(cosines.argmax())
        return nearest if cosines[nearest] >= self.border else -1

    def _opened(self, interests: Interests, time: float) -> tuple[Interests, int]:
        """With an empty interest to fill, in the place of the weakest where there are as many as are kept."""
        if len(interests) >= self.settings.most:
            weakest = int(interests.weights.argmin())
            for values in (interests.totals, interests.weights, interests.mood, interests.mooded):
                values[weakest] = 0
            counts, items = interests.counts.copy(), interests.items.copy()
            first, last = interests.first.copy(), interests.last.copy()
            counts[weakest], items[weakest], first[weakest], last[weakest] = 0, -1, time, time
            return replace(interests, counts=counts, items=items, first=first, last=last), weakest
        grown = Interests(
            np.concatenate([interests.totals, np.zeros((1, interests.totals.shape[1]), np.float32)]),
            np.append(interests.weights, 0.0),
            np.append(interests.counts, np.int32(0)),
            np.append(interests.first, time),
            np.append(interests.last, time),
            np.append(interests.mood, 0.0),
            np.append(interests.mooded, 0.0),
            np.concatenate([interests.items, np.full((1, _KEPT), -1, np.int32)]),
            interests.time,
        )
        return grown, len(grown) - 1

    def _gathered(self, unit: FloatArray, weights: Float64Array) -> IntArray:
        """Which group each event is in, from 0 without gaps; int32 (n,)."""
        middles: list[FloatArray] = []
        for row in np.argsort(-weights, kind="stable"):
            if len(middles) == self.settings.most:
                break
            vector = unit[row]
            if not middles or max(float(middle @ vector) for middle in middles) < self.border:
                middles.append(vector)
        centres = np.stack(middles)
        groups = (unit @ centres.T).argmax(axis=1)
        for _ in range(self.settings.rounds):
            sums = _sums(unit, weights, groups, len(centres))
            norms = np.linalg.norm(sums, axis=1, keepdims=True)
            centres = np.where(norms > 0, sums / np.where(norms > 0, norms, 1.0), centres)
            groups = (unit @ centres.T).argmax(axis=1)
        return np.unique(groups, return_inverse=True)[1].astype(np.int32)


def _sums(unit: FloatArray, weights: Float64Array, groups: IntArray, m: int) -> FloatArray:
    """Weighed sums of the vectors of each group; float32 (m, d)."""
    belongs = np.zeros((m, len(unit)), dtype=np.float32)
    belongs[groups, np.arange(len(unit))] = weights
    return belongs @ unit


def _summed(values: Float64Array, groups: IntArray, m: int) -> Float64Array:
    """Sum of the values of each group; float64 (m,)."""
    return np.bincount(groups, weights=values, minlength=m).astype(np.float64)

"""Questions of the next place: who stands where, when, after what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.behaviour.gazetteer import Gazetteer
from palate.core import Float64Array, Histories, Int64Array, IntArray, Queries, UsageError
from palate.data import clock
from palate.models.whereabouts.settings import PlacesSettings

USUAL_GAP = 3.0
"""Hours that are taken to have passed where nobody says when."""


@dataclass(frozen=True)
class Asked:
    """n questions and the m visits behind them.

    Parameters
    ----------
    places
        All there are.
    history
        Known places, at most the newest of the window.
    wall
        float64 (m,), local times of the visits; NaN where unknown.
    when
        float64 (n,), local time that is asked about; NaN where unknown.
    gap
        float64 (n,), hours since the last visit; NaN without one or without times.
    last, before, here
        int32 (n,), the last place, the one before, the one next to where the asker is told to be; -1 for none.
    lat, lon
        float64 (n,), where the asker is: as told, else at the last place.
    age
        float64 (m,), days from a visit to the question.
    trip_hours
        A gap of so many hours ends an outing.
    """

    places: Gazetteer
    history: Histories
    wall: Float64Array
    when: Float64Array
    gap: Float64Array
    last: IntArray
    before: IntArray
    here: IntArray
    lat: Float64Array
    lon: Float64Array
    age: Float64Array
    trip_hours: float

    @classmethod
    def of(cls, queries: Queries, places: Gazetteer, settings: PlacesSettings) -> Asked:
        """Questions beside what is known of places.

        Raises
        ------
        UsageError
            The settings name no time zone, or a question a point that is not on Earth.
        """
        history = queries.history
        if len(history.items) and history.items.max() >= places.n:
            history = history.where(history.items < places.n)
        history = history.last(settings.window)
        ends = history.indptr[1:]
        filled = history.lengths > 0
        last = _item(history, ends - 1, filled)
        before = _item(history, ends - 2, history.lengths > 1)
        came = np.full(len(history), np.nan)
        came[filled] = history.times[ends[filled] - 1]
        told = np.full(len(history), np.nan) if queries.when is None else queries.when
        when = np.where(np.isnan(told), came + USUAL_GAP * clock.HOUR, told)
        where = np.full((len(history), 2), np.nan) if queries.where is None else queries.where
        here = np.isfinite(where).all(axis=1)
        if (np.abs(where[here]) > (90.0, 180.0)).any():
            raise UsageError("where is latitude and longitude in degrees, in this order: -90 to 90 and -180 to 180")
        lat, lon = (np.where(here, where[:, c], _at(own, last)) for c, own in enumerate((places.lat, places.lon)))
        east = np.where(here, np.round(lon / 15.0), _at(places.east, last))
        age = np.maximum(np.repeat(when, history.lengths) - history.times, 0.0) / clock.DAY
        # Where only the order is known, a visit is taken to come a third of a day after the one before.
        age = np.where(np.isnan(age), (history.ages + 1) / 3.0, age)
        return cls(
            places,
            history,
            clock.local(history.times, places.east[history.items], settings.zone),
            clock.local(
                when, np.nan_to_num(east, nan=float(np.median(places.east)) if places.n else 0.0), settings.zone
            ),
            np.maximum(when - came, 0.0) / clock.HOUR,
            last,
            before,
            places.nearest(where[:, 0], where[:, 1]),
            lat,
            lon,
            age,
            settings.trip_hours,
        )

    @property
    def starts(self) -> tuple[IntArray, IntArray, IntArray]:
        """Places around which the next one is looked for."""
        return self.last, self.before, self.here

    def __len__(self) -> int:
        return len(self.history)


def _item(history: Histories, at: Int64Array, there: np.ndarray) -> IntArray:
    items = np.full(len(history), -1, np.int32)
    items[there] = history.items[at[there]]
    return items


def _at(values: Float64Array, items: IntArray) -> Float64Array:
    known = np.full(len(items), np.nan)
    there = items >= 0
    known[there] = values[items[there]]
    return known

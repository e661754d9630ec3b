"""When, on which device and where each item is chosen more than usual, as seen from any moment.

A share of counts over the share of everything: of an item in the hour asked about, say, its events in that hour over
all of its events. An item of few events is taken for its category's like, a category of few for everything's
(shrinkage; Robbins, 1956). Only what came before the moment asked about is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np
import polars as pl
from pydantic import Field

from palate.core import Float64Array, FloatArray, Int64Array, IntArray, Queries, Settings
from palate.core.ids import id_hash
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.data.clock import hour_of_day, weekday
from palate.data.dataset import DAY
from palate.ranking.shares import Circumstance, Counter, Happened
from palate.ranking.trend import Trends

Kind = Literal["hour", "weekday", "season", "device", "place"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TIMED: tuple[Kind, ...] = ("hour", "weekday", "season")
NAMED: tuple[Kind, ...] = ("device", "place")

_HOURS, _WEEK, _SEASONS = 24, 7, 24
_YEAR = 365.25 * DAY
_LAG = _YEAR / 2
"""A season is known from earlier years: what is nearer than half a year is the trend."""
_ENOUGH = 1.1 * _YEAR
"""Seconds that events must span before any season has come twice."""
_HELD, _MOST_HELD = 0.2, 20_000
"""Share of events, the last in time, that show whether a circumstance tells items apart; so many of them at most."""
_SURE = 3.0
"""Standard errors by which it must."""
_LEAST = 0.02
"""And by how much, mean log share in nats: events share the counts that foretell them, so errors look too small."""
_MOST_NAMES = 200
"""Devices or places told apart, the commonest; others are unknown."""


class CircumstanceSettings(Settings):
    """Which circumstances of a question the ranker may see; it sees those that tell items apart in the data at hand.

    Parameters
    ----------
    hour, weekday, season
        Of the moment asked about, where events have times; the hour only where these are more than dates.
    device, place
        What is asked with and from where, where events have such a column.
    strength
        Events that the wider share is worth where an item, or a category, has few of its own.
    """

    hour: bool = True
    weekday: bool = True
    season: bool = True
    device: bool = True
    place: bool = True
    strength: float = Field(default=20.0, gt=0)

    def told_by(self, dataset: Dataset, groups: IntArray) -> CircumstanceSettings:
        """The same settings without what this data says nothing of: see ``lifts``."""
        found = lifts(dataset, groups, self)
        telling: dict[str, bool] = dict.fromkeys(KINDS, False)
        telling |= {kind: mean > max(_SURE * error, _LEAST) for kind, (mean, error) in found.items()}
        return self.model_copy(update=telling)

    def of(self, dataset: Dataset) -> CircumstanceSettings:
        """The same settings without what the events do not hold at all."""
        times = dataset.sequences.times[~np.isnan(dataset.sequences.times)]
        there = {
            "hour": bool((times % DAY != 0).any()),
            "weekday": bool(len(times)),
            "season": bool(len(times)) and bool(times.max() - times.min() >= _ENOUGH),
            **{kind: bool(len(times)) and len(_coded(dataset, kind)[0]) > 1 for kind in NAMED},
        }
        return self.model_copy(update={kind: getattr(self, kind) and there[kind] for kind in KINDS})


@dataclass(frozen=True)
class Circumstances:
    """Counts of all kinds that the data tells of.

    Parameters
    ----------
    ticks
        float64 (t,), different times of events, rising.
    kinds
        Counts by kind, in the order of ``KINDS``.
    strength
        See ``CircumstanceSettings``.
    """

    ticks: Float64Array
    kinds: dict[Kind, Circumstance]
    strength: float

    @classmethod
    def of(cls, dataset: Dataset, trends: Trends, groups: IntArray, settings: CircumstanceSettings) -> Self:
        """Counted over events of interest.

        Parameters
        ----------
        groups
            int32 (n_items,), innermost category of each item; -1 where unknown.
        settings
            What is counted, whether the data tells of it or not.
        """
        found = cls._of_times(trends, groups, settings)
        return replace(found, kinds={**found.kinds, **_named(dataset, found.ticks, groups, settings)})

    @classmethod
    def _of_times(cls, trends: Trends, groups: IntArray, settings: CircumstanceSettings) -> Self:
        times = trends.times
        ticks, tick = np.unique(times, return_inverse=True)
        items = np.repeat(np.arange(len(trends.indptr) - 1), np.diff(trends.indptr))
        happened = Happened(items, tick, len(ticks) + 1, groups[: len(trends.indptr) - 1])
        kinds: dict[Kind, Circumstance] = {}
        for kind in TIMED:
            if getattr(settings, kind):
                like = next(iter(kinds.values()), None)
                kinds[kind] = happened.counted(band_of(kind, times), *_BANDS[kind], like=like)
        return cls(ticks, kinds, settings.strength)

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def columns(self, queries: Queries, items: IntArray, groups: IntArray) -> dict[Kind, tuple[FloatArray, FloatArray]]:
        """What each kind says of candidates and of their categories; float32 (n, c) each.

        Parameters
        ----------
        items, groups
            int32 (n, c), candidates and their innermost categories, -1 where unknown.
        """
        n = len(queries)
        when = np.full(n, np.nan) if queries.when is None else queries.when
        own = items.astype(np.int64)
        found = {}
        for kind, counted in self.kinds.items():
            band = band_of(kind, when) if kind in TIMED else _asked(queries, kind, counted.names)
            found[kind] = self.shares(kind, own, groups, when=when, band=band)
        return found

    def shares(
        self, kind: Kind, items: Int64Array, groups: IntArray, *, when: Float64Array, band: Int64Array
    ) -> tuple[FloatArray, FloatArray]:
        """What one kind says of items, (n, c), and of their categories, in bands and at moments, (n,)."""
        counted = self.kinds[kind]
        everything = len(counted.of_groups.totals) - 1
        of = np.where((groups < 0) | (groups >= everything), everything, groups).astype(np.int64)
        # NaN sorts behind everything: of an unknown moment all is the past.
        tick = np.searchsorted(self.ticks, when - _LAG if kind == "season" else when)[:, None]
        return counted.shares(items, of, band=band[:, None], tick=tick, strength=self.strength)

    def resting(self) -> Circumstances:
        """The same without moments of what devices and places say: of an engine nobody can tell who was where when."""
        kinds = {kind: own.resting() if kind in NAMED else own for kind, own in self.kinds.items()}
        return replace(self, kinds=kinds)

    def arrays(self) -> Arrays:
        """What does not follow from the times of items: totals of devices and places, and which kinds there are."""
        if not self:
            return {}
        found: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
            "circumstances": np.array([KINDS.index(kind) for kind in self.kinds], dtype=np.int64),
            "circumstance_strength": np.array([self.strength]),
        }
        for kind in NAMED:
            if kind in self.kinds:
                own = self.kinds[kind]
                found |= {f"{kind}.{part}": getattr(own, part).totals for part in _PARTS}
                found[f"{kind}.names"] = own.names
        return found

    @classmethod
    def from_arrays(cls, arrays: Arrays, trends: Trends, groups: IntArray) -> Self:
        """What ``arrays`` gave, over the same items."""
        there = {KINDS[int(place)] for place in arrays.get("circumstances", ())}
        strength = float(arrays["circumstance_strength"][0]) if there else 1.0
        wanted = CircumstanceSettings(**{kind: kind in there for kind in KINDS}, strength=strength)
        found = cls._of_times(trends, groups, wanted)
        kinds = dict(found.kinds)
        for kind in NAMED:
            if kind in there:
                names = np.asarray(arrays[f"{kind}.names"])
                nothing = np.zeros(0, np.int64)
                parts = {part: Counter(np.asarray(arrays[f"{kind}.{part}"]), nothing, 1) for part in _PARTS}
                kinds[kind] = Circumstance(max(len(names), 1), (0,), **parts, names=names)
        return replace(found, kinds=kinds)


_PARTS = ("items", "groups", "of_items", "of_groups")
_BANDS: dict[Kind, tuple[int, tuple[int, ...]]] = {
    "hour": (_HOURS, (-1, 0, 1)),
    "weekday": (_WEEK, (0,)),
    "season": (_SEASONS, (-1, 0, 1)),
}
"""Bands of each kind of time, and which neighbours count as the same."""


def lifts(dataset: Dataset, groups: IntArray, settings: CircumstanceSettings) -> dict[Kind, tuple[float, float]]:
    """How much circumstances tell of what is chosen later: mean log of the share that was counted before.

    Nats an event, by which items foretell the band they are chosen in, and so bands the items; 0 and less where there
    is nothing but chance. With the standard error over people.

    Parameters
    ----------
    groups
        int32 (n_items,), innermost category of each item; -1 where unknown.
    """
    wanted, sequences = settings.of(dataset), dataset.sequences
    known = ~np.isnan(sequences.times)
    if not known.any() or not any(getattr(wanted, kind) for kind in KINDS):
        return {}
    moment = float(np.quantile(sequences.times[known], 1 - _HELD))
    past = dataset.only(dataset.events["time"].to_numpy() <= moment)
    counted = Circumstances.of(past, Trends.of(past.sequences, dataset.n_items), groups, wanted)
    held = np.flatnonzero(known & (sequences.times > moment))
    held = held[np.linspace(0, len(held) - 1, min(len(held), _MOST_HELD)).astype(np.int64)]
    items, when, people = sequences.items[held], sequences.times[held], sequences.rows[held]
    found: dict[Kind, tuple[float, float]] = {}
    for kind, own in counted.kinds.items():
        if kind in TIMED:
            band = band_of(kind, when)
        else:
            names, codes = _coded(dataset, kind)
            place = {int(name): position for position, name in enumerate(own.names)}
            band = np.array([*(place.get(int(name), -1) for name in names), -1], dtype=np.int64)[codes[held]]
        told = counted.shares(kind, items.astype(np.int64)[:, None], groups[items][:, None], when=when, band=band)
        found[kind] = _mean_over_people(told[0][:, 0].astype(np.float64), people)
    return found


def _mean_over_people(values: Float64Array, people: IntArray) -> tuple[float, float]:
    """Mean of what is known, and its standard error where those of one person hang together."""
    known = ~np.isnan(values)
    _, person = np.unique(people[known], return_inverse=True)
    if not len(person) or person.max() < 1:
        return 0.0, 0.0
    mean = float(values[known].mean())
    off = np.bincount(person, weights=values[known] - mean)
    return mean, float(np.sqrt((off**2).sum()) / len(person))


def band_of(kind: Kind, times: Float64Array) -> Int64Array:
    """Hour of the day, day of the week (0 is Monday) or half-month of moments, UTC; int64 (m,), -1 for NaN."""
    if kind == "hour":
        band = hour_of_day(times)
    elif kind == "weekday":
        band = weekday(times)
    else:
        band = np.mod(times / _YEAR, 1.0) * _SEASONS
    return np.floor(np.nan_to_num(band, nan=-1.0)).astype(np.int64)


def _named(
    dataset: Dataset, ticks: Float64Array, groups: IntArray, settings: CircumstanceSettings
) -> dict[Kind, Circumstance]:
    """Counts of devices and places. Where an event has no time, it cannot be said what lay before a moment."""
    sequences, kinds = dataset.sequences, dict[Kind, Circumstance]()
    known = ~np.isnan(sequences.times)
    for kind in NAMED:
        if getattr(settings, kind):
            names, codes = _coded(dataset, kind)
            there = (codes >= 0) & known
            tick = np.searchsorted(ticks, sequences.times[there])
            happened = Happened(sequences.items[there], tick, len(ticks) + 1, groups)
            kinds[kind] = happened.counted(codes[there], max(len(names), 1), names=names)
    return kinds


def _coded(dataset: Dataset, kind: Kind) -> tuple[Int64Array, Int64Array]:
    """Hashes of the commonest values of a column of events, and the value of each event of interest, -1 for none."""
    rows = dataset.sequence_rows
    if kind not in dataset.events.columns:
        return np.zeros(0, np.int64), np.full(len(rows), -1, dtype=np.int64)
    values = dataset.events[kind].gather(rows)
    counts = values.drop_nulls().value_counts(sort=True)
    names = sorted(name for name in counts[kind].head(_MOST_NAMES).to_list() if name)
    hashes = np.array([_hash(name) for name in names], dtype=np.int64)
    if not names:
        return hashes, np.full(len(rows), -1, dtype=np.int64)
    codes = values.replace_strict(names, list(range(len(names))), default=-1, return_dtype=pl.Int64)
    return hashes, codes.fill_null(-1).to_numpy()


def _asked(queries: Queries, kind: Kind, names: Int64Array) -> Int64Array:
    """The band of what is asked with or from; int64 (n,), -1 where unknown."""
    told = queries.devices if kind == "device" else queries.places
    if told is None:
        return np.full(len(queries), -1, dtype=np.int64)
    places = {int(name): place for place, name in enumerate(names)}
    return np.array([places.get(_hash(name), -1) for name in told], dtype=np.int64)


def _hash(name: str) -> int:
    return id_hash(name) >> 1

"""The table that the ranker reads: a row for each place that a question might be answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from palate.behaviour.distance import gap_bucket, ring
from palate.core import BoolArray, Float64Array, FloatArray, Int64Array, IntArray
from palate.data import clock
from palate.measure.geography import great_circle_km
from palate.models.whereabouts.asked import Asked
from palate.models.whereabouts.crowd import Crowd

OWN = (
    "visits", "fresh", "month", "season", "hour", "hour_sharp", "weekday_hour", "daytype_hour", "followed",
    "followed_soon", "followed_hour", "followed_kind", "followed_two", "day_before", "week_before", "outing", "ended",
    "ended_hour",
)  # fmt: skip
"""Sums over the asker's own visits of a place, each visit weighed in another way."""

SHARED = ("month", "hour", "weekday_hour", "daytype_hour", "followed", "ended_hour")
"""Those of them that are also given as shares of the question's total."""

RECENCY = ("age", "ordinal", "first", "interval", "is_before")
KINDS = ("category_month", "category_hour", "category_followed", "area_month", "area_hour")
CROWD = (
    "popularity", "visitors", "ownership", "busy", "category_busy", "moves", "category_moves", "alike", "ends",
)  # fmt: skip
DISTANCE = ("kilometres", "decay", "from_usual", "speed")
CONTEXT = ("gap", "now", "today", "length", "variety")


@dataclass(frozen=True)
class Table:
    """c candidates of n questions, question by question.

    Parameters
    ----------
    row, item
        int32 (c,).
    features
        float32 (c, f).
    """

    row: IntArray
    item: IntArray
    features: FloatArray


@dataclass(frozen=True)
class _Cells:
    """Pairs of a question and a place.

    Parameters
    ----------
    row, item
        int32 (c,), of every candidate, by question and then by place.
    own
        int64 (o,), those candidates that the asker has visited.
    visit
        int64 (m,), which of ``own`` each visit of the history is about.
    """

    row: IntArray
    item: IntArray
    own: Int64Array
    visit: Int64Array

    @classmethod
    def of(cls, asked: Asked, crowd: Crowd) -> _Cells:
        """The asker's own places, what follows and surrounds the last two, and what is popular."""
        n, n_items = len(asked), asked.places.n
        keys, visit = np.unique(
            asked.history.rows.astype(np.int64) * n_items + asked.history.items, return_inverse=True
        )
        near = [p[:, None] for p in asked.starts[2:]]
        near += [np.where(p[:, None] >= 0, crowd.proposed[np.maximum(p, 0)], -1) for p in asked.starts]
        more = np.concatenate([np.broadcast_to(crowd.popular, (n, len(crowd.popular))), *near], axis=1)
        proposed = (np.arange(n, dtype=np.int64)[:, None] * n_items + more)[more >= 0]
        cells = np.unique(np.concatenate([keys, proposed]))
        row, item = (cells // n_items).astype(np.int32), (cells % n_items).astype(np.int32)
        return cls(row, item, np.asarray(np.searchsorted(cells, keys), dtype=np.int64), visit)

    def sum(self, weights: Float64Array) -> FloatArray:
        """For each candidate, the weight of the asker's visits of it."""
        return self.spread(np.asarray(np.bincount(self.visit, weights, minlength=len(self.own)), dtype=np.float64))

    def spread(self, values: Float64Array, empty: float = 0.0) -> FloatArray:
        """Values of the asker's own places as values of all candidates."""
        wide = np.full(len(self.item), empty, np.float32)
        wide[self.own] = values
        return wide


def names() -> tuple[str, ...]:
    """Columns of the table, in order."""
    return (*OWN, *(f"share_{name}" for name in SHARED), *RECENCY, *KINDS, *CROWD, *DISTANCE, *CONTEXT)


def build(asked: Asked, crowd: Crowd) -> Table:
    """Candidates of each question and what is known of them."""
    cells, n = _Cells.of(asked, crowd), len(asked)
    weights = _weights(asked)
    columns: dict[str, Any] = {name: cells.sum(weights[name]) for name in OWN}
    for name in SHARED:
        total = np.bincount(cells.row, columns[name], minlength=n)
        columns[f"share_{name}"] = columns[name] / np.maximum(total, 1e-9)[cells.row]
    columns |= _recency(asked, cells)
    columns |= _kinds(asked, cells, weights)
    columns |= _crowd(asked, crowd, cells)
    columns["ownership"] = columns["visits"] / (crowd.visits[cells.item] + columns["visits"] + 1.0)
    columns |= _distance(asked, crowd, cells, weights["hour"])
    columns |= _context(asked, cells)
    features = np.empty((len(cells.item), len(names())), np.float32)
    for place, name in enumerate(names()):
        features[:, place] = columns[name]
    return Table(cells.row, cells.item, features)


def _weights(asked: Asked) -> dict[str, Float64Array]:
    """What each visit counts in each column."""
    history, category = asked.history, asked.places.category
    rows, items, age = history.rows, history.items, asked.age
    fresh, month, season = (np.exp2(-age / days) for days in (4.0, 25.0, 120.0))
    now, then = asked.when[rows], asked.wall
    between = np.nan_to_num(clock.apart(clock.hour_of_day(now), clock.hour_of_day(then)), nan=4.0)
    today, day = clock.weekday(now), clock.weekday(then)
    near = np.exp(-0.5 * (between / 1.5) ** 2)
    same_day = (today == day).astype(np.float64)
    same_type = ((today >= 5) == (day >= 5)).astype(np.float64)
    first = np.zeros(len(items), bool)
    first[history.indptr[:-1][history.lengths > 0]] = True
    previous = np.where(first, -1, np.roll(items, 1))
    earlier = np.where(first | np.roll(first, 1), -1, np.roll(items, 2))
    last, before = asked.last[rows], asked.before[rows]
    after = previous == last
    gap = np.where(first, np.nan, np.diff(history.times, prepend=np.nan)) / clock.HOUR
    soon = np.nan_to_num(np.log((gap + 0.25) / (asked.gap[rows] + 0.25)), nan=1.0)
    kind = category[np.maximum(previous, 0)] == category[np.maximum(last, 0)]
    days = age - np.round(age)
    trip, ended = _outing(asked)
    hour = near * season
    return {
        "visits": np.ones(len(items)),
        "fresh": fresh,
        "month": month,
        "season": season,
        "hour": hour,
        "hour_sharp": np.exp(-0.5 * (between / 0.5) ** 2) * np.exp2(-age / 60.0),
        "weekday_hour": hour * same_day,
        "daytype_hour": hour * same_type,
        "followed": after * season,
        "followed_soon": after * season * np.exp(-0.5 * (soon / 0.6) ** 2),
        "followed_hour": after * hour,
        "followed_kind": (kind & (previous >= 0)) * near * season,
        "followed_two": (after & (earlier == before)) * season,
        "day_before": np.exp(-0.5 * (days * 24 / 1.0) ** 2) * (age < 3.5) * (age > 0.5),
        "week_before": np.exp(-0.5 * (days * 24 / 1.5) ** 2) * np.isin(np.round(age), (7, 14, 21)),
        "outing": trip,
        "ended": ended * season,
        "ended_hour": ended * hour,
    }


def _outing(asked: Asked) -> tuple[Float64Array, Float64Array]:
    """1 where a visit belongs to the outing that is going on; 1 where it ended one."""
    history = asked.history
    gap = np.append(np.diff(history.times), 0.0) / clock.HOUR
    some = history.lengths > 0
    gap[history.indptr[1:][some] - 1] = asked.gap[some]
    ended = gap >= asked.trip_hours
    breaks = np.concatenate([np.cumsum(ended[::-1])[::-1], [0]])
    until = np.repeat(breaks[history.indptr[1:]], history.lengths)
    return (breaks[:-1] == until).astype(np.float64), ended.astype(np.float64)


def _recency(asked: Asked, cells: _Cells) -> dict[str, FloatArray]:
    """Days and visits since the last time, days since the first, and the last time against the usual interval."""
    n = len(cells.own)
    newest, oldest, ordinal = np.full(n, np.inf), np.zeros(n), np.full(n, np.inf)
    np.minimum.at(newest, cells.visit, asked.age)
    np.maximum.at(oldest, cells.visit, asked.age)
    np.minimum.at(ordinal, cells.visit, asked.history.ages)
    count = np.bincount(cells.visit, minlength=n)
    usual = (oldest - newest) / np.maximum(count - 1, 1)
    interval = np.where(count > 1, np.log((newest + 0.1) / (usual + 0.1)), np.nan)
    return {
        "age": cells.spread(np.log1p(newest), np.nan),
        "ordinal": cells.spread(np.log1p(ordinal), np.nan),
        "first": cells.spread(np.log1p(oldest), np.nan),
        "interval": cells.spread(interval, np.nan),
        "is_before": (cells.item == asked.before[cells.row]).astype(np.float32),
    }


def _kinds(asked: Asked, cells: _Cells, weights: dict[str, Float64Array]) -> dict[str, FloatArray]:
    """Shares of the asker's visits in the category and in the neighbourhood of each candidate."""
    category, area = asked.places.category, asked.places.area
    return {
        "category_month": _by_code(asked, cells, category, weights["month"]),
        "category_hour": _by_code(asked, cells, category, weights["hour"]),
        "category_followed": _by_code(asked, cells, category, weights["followed_kind"]),
        "area_month": _by_code(asked, cells, area, weights["month"]),
        "area_hour": _by_code(asked, cells, area, weights["hour"]),
    }


def _by_code(asked: Asked, cells: _Cells, codes: IntArray, weights: Float64Array) -> FloatArray:
    rows, width = asked.history.rows.astype(np.int64), int(codes.max(initial=0)) + 1
    known, inverse = np.unique(rows * width + codes[asked.history.items], return_inverse=True)
    summed = np.bincount(inverse, weights, minlength=len(known))
    at, found = _found(known, cells.row.astype(np.int64) * width + codes[cells.item])
    total = np.maximum(np.bincount(rows, weights, minlength=len(asked)), 1e-9)
    value = np.zeros(len(cells.item), np.float32)
    value[found] = summed[at[found]] / total[cells.row[found]]
    return value


def _found(known: Int64Array, wanted: Int64Array) -> tuple[Int64Array, BoolArray]:
    """Where each wanted number stands among known ones in rising order, and whether it is there."""
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), dtype=bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def _crowd(asked: Asked, crowd: Crowd, cells: _Cells) -> dict[str, FloatArray]:
    """What others do there, at this hour, after the last place and its kind, in the time that has passed."""
    row, item, category = cells.row, cells.item, asked.places.category
    hour, last = clock.hour_of_week(asked.when)[row], asked.last[row]
    lift = crowd.category_moves[gap_bucket(asked.gap)[row], category[np.maximum(last, 0)], category[item]]
    return {
        "popularity": np.log1p(crowd.visits)[item],
        "visitors": np.log1p(crowd.visitors)[item],
        "busy": np.where(hour >= 0, crowd.rhythm[item, hour], np.nan),
        "category_busy": np.where(hour >= 0, crowd.category_rhythm[category[item], hour], np.nan),
        "moves": np.log1p(_entries(crowd.moves, last, item)),
        "category_moves": np.where(last >= 0, lift, np.nan),
        "alike": _entries(crowd.alike, last, item),
        "ends": crowd.ends[item],
    }


def _entries(matrix: sparse.csr_matrix, rows: IntArray, columns: IntArray) -> FloatArray:
    """Entries of a sparse matrix with sorted indices, one by one; 0 in rows -1."""
    width = np.int64(matrix.shape[1])
    stored = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr)) * width + matrix.indices
    at, found = _found(stored, rows.astype(np.int64) * width + columns)
    found &= rows >= 0
    value = np.zeros(len(rows), np.float32)
    value[found] = matrix.data[at[found]]
    return value


def _distance(asked: Asked, crowd: Crowd, cells: _Cells, weights: Float64Array) -> dict[str, Any]:
    """How far from here, what people make of that distance, and how far from where the asker usually is by now."""
    row, item, places = cells.row, cells.item, asked.places
    km = great_circle_km(asked.lat[row], asked.lon[row], places.lat[item], places.lon[item])
    there = np.isfinite(places.lat[asked.history.items])
    rows, items, weights = asked.history.rows[there], asked.history.items[there], weights[there]
    total = np.bincount(rows, weights, minlength=len(asked))
    usual = []
    for own in (places.lat, places.lon):
        summed = np.bincount(rows, weights * own[items], minlength=len(asked))
        usual.append(np.where(total > 1e-6, summed / np.maximum(total, 1e-6), np.nan)[row])
    return {
        "kilometres": np.log1p(km),
        "decay": np.where(np.isnan(km), 0.0, crowd.decay[gap_bucket(asked.gap)[row], ring(km)]),
        "from_usual": np.log1p(great_circle_km(usual[0], usual[1], places.lat[item], places.lon[item])),
        "speed": np.log(km + 0.05) - np.log(np.maximum(asked.gap, 0.05)[row]),
    }


def _context(asked: Asked, cells: _Cells) -> dict[str, Any]:
    """The question itself, the same for all of its candidates."""
    lengths = asked.history.lengths
    different = np.bincount(cells.row[cells.own], minlength=len(asked))
    values = {
        "gap": np.log1p(asked.gap),
        "now": clock.hour_of_day(asked.when),
        "today": clock.weekday(asked.when),
        "length": np.log1p(lengths),
        "variety": different / np.maximum(lengths, 1),
    }
    return {name: value[cells.row] for name, value in values.items()}

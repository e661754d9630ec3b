"""The table that the ranker reads: a row for each place that a question might be answered with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, FloatArray, Int64Array, IntArray
from palate.measure.geography import great_circle_km
from palate.data import clock
from palate.models.whereabouts.asked import Asked
from palate.behaviour.distance import gap_bucket, ring
from palate.models.whereabouts.crowd import Crowd
from palate.behaviour.gazetteer import Gazetteer

OWN = (
    "visits", "fresh", "month", "season", "hour", "hour_sharp", "weekday_hour", "daytype_hour", "followed",
    "followed_soon", "followed_hour", "followed_kind", "followed_two", "day_before", "week_before", "outing",
)  # fmt: skip
"""Sums over the asker's own visits of a place, each visit weighed in another way."""

SHARED = ("month", "hour", "weekday_hour", "daytype_hour", "followed")
"""Those of them that are also given as shares of the question's total."""

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


def names() -> tuple[str, ...]:
    """Columns of the table, in order."""
    shares = tuple(f"share_{name}" for name in SHARED)
    own = (*OWN, *shares, "age", "ordinal", "first", "rhythm_of_visits", "is_last", "is_before")
    kinds = ("category_month", "category_hour", "category_followed", "area_month", "area_hour")
    crowd = (
        "popularity", "visitors", "ownership", "busy", "category_busy", "moves", "category_moves", "alike",
    )  # fmt: skip
    return (*own, *kinds, *crowd, "kilometres", "decay", "from_usual", "speed", *CONTEXT)


def build(asked: Asked, crowd: Crowd, places: Gazetteer) -> Table:
    """Candidates of each question and what is known of them."""
    n, n_items = len(asked), places.n
    history = asked.history
    rows = history.rows.astype(np.int64)
    keys, inverse = np.unique(rows * n_items + history.items, return_inverse=True)
    cells = _candidates(asked, crowd, keys, n_items)
    at = np.searchsorted(cells, keys)
    row, item = (cells // n_items).astype(np.int32), (cells % n_items).astype(np.int32)
    weigh = _weights(asked, places)
    columns: dict[str, FloatArray] = {}
    for name in OWN:
        summed = np.bincount(inverse, weigh[name], minlength=len(keys))
        columns[name] = _spread(summed, at, len(cells))
    for name in SHARED:
        total = np.bincount(row, columns[name], minlength=n)
        columns[f"share_{name}"] = (columns[name] / np.maximum(total, 1e-9)[row]).astype(np.float32)
    _recency(columns, asked, inverse, len(keys), at, len(cells))
    columns["is_last"] = (item == asked.last[row]).astype(np.float32)
    columns["is_before"] = (item == asked.before[row]).astype(np.float32)
    for kind, codes in (("category", places.category), ("area", places.area)):
        for name in ("month", "hour", "followed") if kind == "category" else ("month", "hour"):
            weights = weigh["followed_kind" if name == "followed" else name]
            columns[f"{kind}_{name}"] = _by_code(rows, codes[history.items], row, codes[item], weights, n)
    _crowd(columns, asked, crowd, places, row, item)
    _distance(columns, asked, crowd, places, row, item, weigh["hour"])
    context = {
        "gap": np.log1p(asked.gap),
        "now": clock.hour_of_day(asked.when),
        "today": clock.weekday(asked.when),
        "length": np.log1p(history.lengths),
        "variety": np.bincount(keys // n_items, minlength=n) / np.maximum(history.lengths, 1),
    }
    columns.update({name: values.astype(np.float32)[row] for name, values in context.items()})
    return Table(row, item, np.stack([columns[name] for name in names()], axis=1).astype(np.float32, copy=False))


def _candidates(asked: Asked, crowd: Crowd, keys: Int64Array, n_items: int) -> Int64Array:
    """Cells (question x place) of the asker's own places, of what the crowd proposes, and of what is popular."""
    n = len(asked)
    lists = [np.broadcast_to(crowd.popular, (n, len(crowd.popular)))]
    for place in (asked.last, asked.before):
        proposed = crowd.proposed[np.maximum(place, 0)]
        lists.append(np.where(place[:, None] >= 0, proposed, -1))
    more = np.concatenate(lists, axis=1)
    cells = np.arange(n, dtype=np.int64)[:, None] * n_items + more
    return np.unique(np.concatenate([keys, cells[more >= 0]]))


def _weights(asked: Asked, places: Gazetteer) -> dict[str, Float64Array]:
    """What each visit counts in each column."""
    history = asked.history
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
    kind = places.category[np.maximum(previous, 0)] == places.category[np.maximum(last, 0)]
    days = age - np.round(age)
    trip = _outing(asked)
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
    }


def _outing(asked: Asked) -> Float64Array:
    """1 where a visit belongs to the outing that is going on."""
    history = asked.history
    gap = np.append(np.diff(history.times), 0.0) / clock.HOUR
    ends = history.indptr[1:][history.lengths > 0] - 1
    gap[ends] = asked.gap[history.lengths > 0]
    breaks = np.concatenate([np.cumsum((gap > 24.0)[::-1])[::-1], [0]])
    until = np.repeat(breaks[history.indptr[1:]], history.lengths)
    return (breaks[:-1] - until == 0).astype(np.float64)


def _spread(values: Float64Array, at: Int64Array, size: int, empty: float = 0.0) -> FloatArray:
    wide = np.full(size, empty, np.float32)
    wide[at] = values
    return wide


def _recency(
    columns: dict[str, FloatArray], asked: Asked, inverse: Int64Array, n_keys: int, at: Int64Array, size: int
) -> None:
    """Days and visits since the last time, days since the first, and the last time against the usual interval."""
    newest, oldest = np.full(n_keys, np.inf), np.zeros(n_keys)
    ordinal = np.full(n_keys, np.inf)
    np.minimum.at(newest, inverse, asked.age)
    np.maximum.at(oldest, inverse, asked.age)
    np.minimum.at(ordinal, inverse, asked.history.ages)
    count = np.bincount(inverse, minlength=n_keys)
    usual = (oldest - newest) / np.maximum(count - 1, 1)
    columns["age"] = _spread(np.log1p(newest), at, size, np.nan)
    columns["ordinal"] = _spread(np.log1p(ordinal), at, size, np.nan)
    columns["first"] = _spread(np.log1p(oldest), at, size, np.nan)
    interval = np.where(count > 1, np.log((newest + 0.1) / (usual + 0.1)), np.nan)
    columns["rhythm_of_visits"] = _spread(interval, at, size, np.nan)


def _by_code(
    rows: Int64Array, codes: IntArray, row: IntArray, wanted: IntArray, weights: Float64Array, n: int
) -> FloatArray:
    """Share of a question's weight that lies on visits of the same code as each candidate."""
    width = int(max(codes.max(initial=0), wanted.max(initial=0))) + 1
    cells, inverse = np.unique(rows * width + codes, return_inverse=True)
    summed = np.bincount(inverse, weights, minlength=len(cells))
    asked = row.astype(np.int64) * width + wanted
    at = np.minimum(np.searchsorted(cells, asked), max(len(cells) - 1, 0))
    found = cells[at] == asked if len(cells) else np.zeros(len(asked), bool)
    total = np.maximum(np.bincount(rows, weights, minlength=n), 1e-9)
    value = np.zeros(len(asked), np.float32)
    value[found] = summed[at[found]] / total[row[found]]
    return value


def _crowd(
    columns: dict[str, FloatArray], asked: Asked, crowd: Crowd, places: Gazetteer, row: IntArray, item: IntArray
) -> None:
    hour = clock.hour_of_week(asked.when)[row]
    known = hour >= 0
    category, last = places.category, asked.last[row]
    columns["popularity"] = np.log1p(crowd.visits)[item]
    columns["visitors"] = np.log1p(crowd.visitors)[item]
    columns["ownership"] = columns["visits"] / (crowd.visits[item] + columns["visits"] + 1.0)
    columns["busy"] = np.where(known, crowd.rhythm[item, hour], np.nan)
    columns["category_busy"] = np.where(known, crowd.category_rhythm[category[item], hour], np.nan)
    # Rows of the sparse tables are looked up among the last places of the questions only.
    columns["moves"] = np.log1p(_entries(crowd.moves, last, item))
    columns["alike"] = _entries(crowd.alike, last, item)
    bucket = gap_bucket(asked.gap)[row]
    lift = crowd.category_moves[bucket, category[np.maximum(last, 0)], category[item]]
    columns["category_moves"] = np.where(last >= 0, lift, np.nan)


def _entries(matrix: object, rows: IntArray, columns: IntArray) -> FloatArray:
    """Entries of a sparse matrix one by one; 0 in rows -1."""
    data, indices, indptr = matrix.data, matrix.indices, matrix.indptr  # type: ignore[attr-defined]
    width = np.int64(matrix.shape[1])  # type: ignore[attr-defined]
    cells = np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr)) * width + indices
    wanted = rows.astype(np.int64) * width + columns
    at = np.minimum(np.searchsorted(cells, wanted), max(len(cells) - 1, 0))
    hit = (cells[at] == wanted) & (rows >= 0) if len(cells) else np.zeros(len(wanted), bool)
    value = np.zeros(len(wanted), np.float32)
    value[hit] = data[at[hit]]
    return value


def _distance(
    columns: dict[str, FloatArray],
    asked: Asked,
    crowd: Crowd,
    places: Gazetteer,
    row: IntArray,
    item: IntArray,
    weights: Float64Array,
) -> None:
    """How far from here, what people make of that distance, and how far from where the asker usually is by now."""
    km = great_circle_km(asked.lat[row], asked.lon[row], places.lat[item], places.lon[item])
    columns["kilometres"] = np.log1p(km).astype(np.float32)
    columns["decay"] = np.where(np.isnan(km), 0.0, crowd.decay[gap_bucket(asked.gap)[row], ring(km)])
    columns["speed"] = (np.log(km + 0.05) - np.log(np.maximum(asked.gap, 0.05)[row])).astype(np.float32)
    history, n = asked.history, len(asked)
    there = np.isfinite(places.lat[history.items])
    total = np.bincount(history.rows[there], weights[there], minlength=n)
    usual = []
    for own in (places.lat, places.lon):
        summed = np.bincount(history.rows[there], (weights * own[history.items])[there], minlength=n)
        usual.append(np.where(total > 1e-6, summed / np.maximum(total, 1e-6), np.nan))
    far = great_circle_km(usual[0][row], usual[1][row], places.lat[item], places.lon[item])
    columns["from_usual"] = np.log1p(far).astype(np.float32)

"""From events to daily series: of an item, a category, a segment of users, a region, or of everything."""

from __future__ import annotations

from typing import Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from palate.core import BoolArray, DataError, Ids, Int64Array, UsageError
from palate.data import Dataset
from palate.data.tables import Note
from palate.forecast.panel import WEEK, Panel
from palate.forecast.settings import SeriesSettings

By = Literal["item", "category", "segment", "region", "total"]
LEVELS: tuple[str, ...] = get_args(By)

TOTAL = "total"
UNNAMED = "(none)"
"""What has no category, segment or region."""

_REGULAR = 0.8
"""A weekday of which at least this share is empty is one on which the shop is closed."""
_MOST_CELLS = 100_000_000
"""Series times days that are held; 800 MB."""
_BUSY = 5.0
"""Mean events a day from which an empty day is no chance."""


def daily(
    dataset: Dataset, by: By = "item", settings: SeriesSettings | None = None, *, segment: str | None = None
) -> Panel:
    """Demand of every day: the sum of quantities, each event counting 1 where it has none.

    A series begins with its first event; before that its demand is unknown. Days on which nothing at all happened are
    days of no demand, unless they are a gap in the record. A first or last day that the record does not hold whole is
    left out.

    Parameters
    ----------
    segment
        The attribute of users that tells segments apart, where ``by`` is ``"segment"``.

    Raises
    ------
    UsageError
        The data has no such column, or the time zone is unknown.
    DataError
        Not every event has a time, or there is none of the kind that is demand.
    """
    settings = settings or SeriesSettings()
    frame, notes = demand_rows(dataset, settings)
    names, codes = _series(dataset, frame, by, segment)
    days = frame["day"].to_numpy().astype(np.int64)
    keep, cut = _whole_days(frame)
    notes = (*notes, *cut)
    keep &= codes >= 0
    if not keep.any():
        raise DataError(f"no event of demand says which {by} it was of; nothing can be forecast.")
    codes, days, amounts = codes[keep], days[keep], frame["amount"].to_numpy()[keep]
    first, last = int(days.min()), int(days.max())
    length = last - first + 1
    most = max(min(settings.most_days, _MOST_CELLS // len(names)), 1)
    if length > most:
        notes = (*notes, Note("recent", {"days": most, "count": len(names)}))
        first, length = last - most + 1, most
        recent = days >= first
        codes, days, amounts = codes[recent], days[recent], amounts[recent]
    summed = np.bincount(codes * length + days - first, weights=amounts, minlength=len(names) * length)
    values = summed.astype(np.float64, copy=False).reshape(len(names), length)
    began = np.full(len(names), length, dtype=np.int64)
    np.minimum.at(began, codes, days - first)
    values[np.arange(length) < began[:, None]] = np.nan
    missing = _gaps(np.bincount(days - first, minlength=length), first, settings.gap_days)
    values[:, missing] = np.nan
    if missing.any():
        notes = (*notes, Note("gap", {"days": int(missing.sum()), "first": _date(first + int(missing.argmax()))}))
    seen = np.nonzero(began < length)[0]
    if len(seen) < len(names):
        notes = (*notes, Note("never", {"count": len(names) - len(seen), "of": len(names)}))
    ids = Ids([names[int(position)] for position in seen], by)
    return Panel(by, ids, np.datetime64(first, "D"), values[seen], notes)


def demand_rows(dataset: Dataset, settings: SeriesSettings) -> tuple[pl.DataFrame, tuple[Note, ...]]:
    """Rows of demand: row, day, second of the day, amount."""
    demand, notes = _kind(dataset, settings.kind)
    back = dataset.kinds.position("return")
    events = dataset.events.with_row_index("row").filter(pl.col("kind").is_in([demand, back]))
    count = int((events["kind"] == demand).sum())
    if bool(events["time"].is_nan().any()):
        raise DataError("some events have no time: they cannot be put on a day, and nothing can be forecast.")
    try:
        ZoneInfo(settings.time_zone)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"{settings.time_zone!r} is no time zone. Give an IANA name such as Europe/London.") from None
    quantity = pl.col("quantity").cast(pl.Float64).fill_null(1.0) if "quantity" in events.columns else pl.lit(1.0)
    local = pl.from_epoch((pl.col("time") * 1e6).cast(pl.Int64), "us").dt.replace_time_zone("UTC")
    local = local.dt.convert_time_zone(settings.time_zone).dt.replace_time_zone(None)
    returned = int((events["kind"] == back).sum())
    if returned:
        notes = (
            *notes,
            Note(f"returns_{settings.returns}", {"count": returned, "of": count + returned}),
        )
        if settings.returns == "ignore":
            events = events.filter(pl.col("kind") == demand)
    frame = events.select(
        "row",
        "item",
        "user",
        local.dt.date().cast(pl.Int32).alias("day"),
        (local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()).alias("minute"),
        (pl.when(pl.col("kind") == back).then(-quantity.abs()).otherwise(quantity)).alias("amount"),
    )
    return frame, notes


def _kind(dataset: Dataset, asked: str) -> tuple[int, tuple[Note, ...]]:
    """The kind of event that is demand."""
    kinds, there = dataset.kinds, dataset.events["kind"].to_numpy()
    counts = np.bincount(there, minlength=len(kinds))
    if asked:
        position = kinds.position(asked)
        if not counts[position]:
            known = [name for name, count in zip(kinds.names, counts, strict=True) if count]
            raise DataError(f"there is no {asked} in the data to forecast; kinds here: {', '.join(known)}.")
        return position, ()
    position = kinds.position("purchase")
    if counts[position]:
        return position, ()
    position = int(np.argmax(np.where(kinds.weights > 0, counts, 0)))
    if not counts[position] or kinds.weights[position] <= 0:
        raise DataError("no event of the data speaks for an item; there is no demand to forecast.")
    return position, (Note("kind", {"kind": kinds.names[position], "count": int(counts[position])}),)


def _series(dataset: Dataset, frame: pl.DataFrame, by: By, segment: str | None) -> tuple[list[str], Int64Array]:
    """Names of the series, and of which one each row is, -1 for none."""
    if by == "total":
        return [TOTAL], np.zeros(frame.height, dtype=np.int64)
    if by == "item":
        return list(dataset.item_ids.names), frame["item"].to_numpy().astype(np.int64)
    if by == "category":
        names, of_item = categories_of(dataset)
        items = frame["item"].to_numpy()
        return names, np.where(items >= 0, of_item[np.maximum(items, 0)], -1).astype(np.int64)
    if by == "region":
        if "place" not in dataset.events.columns:
            raise UsageError("the events name no place (place, city, region, country): there are no regions here.")
        told = dataset.events["place"].gather(frame["row"])
    elif by == "segment":
        told = _attribute(dataset, segment).gather(frame["user"])
    else:
        raise UsageError(f"series are by {', '.join(LEVELS)}; not by {by!r}.")
    values = told.fill_null(UNNAMED)
    names = sorted(set(values.unique().to_list()))
    codes = values.replace_strict(names, list(range(len(names))), return_dtype=pl.Int64)
    return names, codes.to_numpy()


def categories_of(dataset: Dataset) -> tuple[list[str], Int64Array]:
    """Names of outermost categories, and the one of each item, so that categories never overlap; int64 (n_items,).

    Raises
    ------
    UsageError
        The catalogue has no categories.
    """
    ragged, names = dataset.catalogue.categories
    if not names:
        raise UsageError("the catalogue has no category: series can be by item, region, segment or total.")
    lengths = np.diff(ragged.indptr)
    first = np.where(lengths > 0, np.append(ragged.values, -1)[ragged.indptr[:-1]], len(names))
    used, codes = np.unique(first, return_inverse=True)
    return [names[int(code)] if code < len(names) else UNNAMED for code in used], codes.astype(np.int64)


def _attribute(dataset: Dataset, segment: str | None) -> pl.Series:
    known = [] if dataset.users is None else [name for name in dataset.users.columns if name != "user_id"]
    if dataset.users is None or segment not in known:
        there = f"Known: {', '.join(known)}." if known else "The data says nothing of its users."
        asked = "none was named" if segment is None else f"{segment!r} is none"
        raise UsageError(f"segments are told apart by an attribute of users; {asked}. {there}")
    return dataset.users[segment].cast(pl.String)


def _whole_days(frame: pl.DataFrame) -> tuple[BoolArray, tuple[Note, ...]]:
    """Which rows lie on days that the record holds from morning to evening, as far as the other days tell."""
    spans = frame.group_by("day").agg(pl.col("minute").min().alias("first"), pl.col("minute").max().alias("last"))
    spans = spans.sort("day")
    keep = np.ones(frame.height, dtype=np.bool_)
    notes: tuple[Note, ...] = ()
    if spans.height < 4 * WEEK or frame["minute"].n_unique() == 1:
        return keep, notes
    days, first, last = (spans[name].to_numpy() for name in ("day", "first", "last"))
    day = frame["day"].to_numpy()
    weekday = days % WEEK
    # Saturdays may close at noon: a day is compared with its own weekday.
    for place, late in ((0, True), (len(days) - 1, False)):
        alike = (weekday == weekday[place]) & (np.arange(len(days)) != place)
        partial = first[place] > first[alike].max() if late else last[place] < last[alike].min()
        if alike.sum() >= 4 and partial:
            keep &= day != days[place]
            notes = (*notes, Note("begun" if late else "cut", {"day": _date(int(days[place]))}))
    return keep, notes


def _gaps(events: Int64Array, first: int, least: int) -> BoolArray:
    """Days in runs of at least ``least`` without any event, where the shop is usually open; bool (T,)."""
    empty = events == 0
    weekday = (first + np.arange(len(events))) % WEEK
    closed = np.array([empty[weekday == day].mean() if (weekday == day).any() else 1.0 for day in range(WEEK)])
    usual = closed[weekday] >= _REGULAR
    if events[~usual].sum() < _BUSY * (~usual).sum():
        return np.zeros(len(events), dtype=np.bool_)
    surprising = empty & ~usual
    # A closed weekday inside a gap does not end it.
    bridged = surprising | (empty & usual)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bridged.astype(np.int8), [0]])))
    gaps = np.zeros(len(events), dtype=np.bool_)
    for begin, end in edges.reshape(-1, 2):
        if surprising[begin:end].sum() >= least:
            gaps[begin:end] = True
    return gaps


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))

"""One way in for every row, from a file, a frame or a live request: canonical, or rejected with a reason."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from palate.core import DataError, Kind, Kinds
from palate.data.columns import Found, check_mapping, find_columns
from palate.data.coordinates import mended
from palate.data.schema import EVENT_COLUMNS, ITEM_COLUMNS, KIND_ALIASES, WITHDRAWALS
from palate.data.tables import Note, Rejected, Table
from palate.data.times import to_seconds
from palate.data.values import LONGEST, LONGEST_OTHER, as_id, as_number, as_text, clean_texts, typed_property
from palate.data.zones import UTC

TOLERATED_LEAD = 86_400.0
"""Seconds an event may lie in the future: clocks differ, and times without a zone may be local ones."""

MOST_OWN_KINDS = 60
"""More kinds than this in one column, and it is not the kind of event."""

_BOUNDS = {
    "lat": (-90.0, 90.0),
    "lon": (-180.0, 180.0),
    "price": (0.0, 1e12),
    "dwell": (0.0, 1e9),
    "stock": (0.0, 1e12),
}
_IDS = {"session_id", "basket_id", "event_id", "impression_id", "recommendation_id"}
_LISTS = {"shown", "shown_prices"}
_EVENT_TYPES = {column.name: column.dtype for column in EVENT_COLUMNS}
_ITEM_TYPES = {column.name: column.dtype for column in ITEM_COLUMNS}


@dataclass(frozen=True)
class Checked:
    """What validation makes of a table.

    Parameters
    ----------
    frame
        Canonical rows in the order given.
    rows
        Int64 (n,), where each stood in the table, from 0.
    rejected
        The others.
    found
        Canonical name -> name in the data, and what was left over.
    notes
        What to say of the values.
    kinds
        Kinds of event, own ones found in the data included.
    """

    frame: pl.DataFrame
    rows: pl.Series
    rejected: Rejected
    found: Found
    notes: tuple[Note, ...] = ()
    kinds: Kinds | None = None

    def refusals(self) -> list[dict[str, Any]]:
        """Rejected rows as mappings: ``line`` (from 1), ``reason`` (a code), ``row``."""
        return list(self.rejected.records())


def events_frame(
    rows: Any,
    kinds: Kinds | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    now: float | None = None,
    source: str = "events",
) -> Checked:
    """Live events, validated exactly as files are; an event without a time happens now.

    Parameters
    ----------
    rows
        A list of mappings, or a frame.
    kinds
        The kinds there are; an event of another kind is rejected. The usual ones where None.
    now
        Seconds since 1970 UTC; the clock's where None.

    Raises
    ------
    DataError
        The rows have no column for users or items at all.
    """
    moment = time.time() if now is None else now
    known = kinds or Kinds()
    check_mapping(columns or {})
    return check_events(Table.of("events", rows, source), known, columns or {}, now=moment, live=True)


def items_frame(rows: Any, *, columns: Mapping[str, str] | None = None, source: str = "items") -> Checked:
    """Items given while running, validated exactly as files are. Raises ``DataError`` where no column is an item id."""
    check_mapping(columns or {})
    return check_items(Table.of("items", rows, source), columns or {})


def users_frame(rows: Any, *, columns: Mapping[str, str] | None = None, source: str = "users") -> Checked:
    """Users given while running, validated exactly as files are. Raises ``DataError`` where no column is a user id."""
    check_mapping(columns or {})
    return check_users(Table.of("users", rows, source), columns or {})


def check_events(
    table: Table, kinds: Kinds, columns: Mapping[str, str], *, now: float, live: bool = False, zone: str = UTC
) -> Checked:
    """Canonical events of a table.

    Rows without a user, without an item (searches apart), without time and position, with a time that is none, before
    1970 or in the future are rejected. Without a kind a row with a value is a rating, any other a purchase; a purchase
    of a negative quantity is a return. Kinds nobody has heard of become kinds of weight 1, those that take
    interest back of weight 0 (live ones are rejected).
    """
    found = find_columns("events", table.frame.columns, columns, table.source, order_due=not live)
    raw = {canonical: table.frame[name] for canonical, name in found.names.items()}
    notes: list[Note] = []
    height = table.frame.height
    made: dict[str, pl.Series] = {"user_id": as_id(raw["user_id"]), "item_id": as_id(raw["item_id"])}
    seconds, bad_time = pl.repeat(None, height, dtype=pl.Float64, eager=True), None
    if "timestamp" in raw:
        seconds, bad_time, said = to_seconds(raw["timestamp"], zone)
        notes.extend(said)
        if live:
            seconds = seconds.zip_with(~(seconds.is_null() & ~bad_time), pl.repeat(now, height, eager=True))
    elif live:
        seconds = pl.repeat(now, height, dtype=pl.Float64, eager=True)
    position = _position(raw.get("position"), height)
    _mend_coordinates(raw, "events", notes)
    for name in raw.keys() - {"user_id", "item_id", "timestamp", "position", "kind"}:
        made[name] = _optional(name, raw[name], _EVENT_TYPES[name], "events", notes)
    kind, kinds, unknown = _kinds(table, raw.get("kind"), made.get("value"), kinds, notes, live=live)
    if "quantity" in made:
        back = ((kind == "purchase") & (made["quantity"] < 0)).fill_null(False)
        if back.any():
            notes.append(Note("returns", {"count": int(back.sum())}))
            kind = kind.set(back, "return")
            made["quantity"] = made["quantity"].zip_with(~back, made["quantity"].abs())
    made["kind"] = kind
    if "timestamp" in raw or live:
        made["timestamp"] = seconds
    if "position" in raw:
        made["position"] = position
    work = pl.DataFrame({name: made[name] for name in _EVENT_TYPES if name in made})
    shown = work["shown"].is_not_null() if "shown" in made else pl.repeat(False, height, eager=True)
    checks = {
        "no_user": work["user_id"].is_null(),
        "no_item": work["item_id"].is_null() & (kind != "search") & ~shown,
        "bad_time": bad_time,
        "before_1970": seconds < 0,
        "future": seconds > now + TOLERATED_LEAD,
        "no_time": seconds.is_null() & position.is_null(),
        "unknown_kind": unknown,
    }
    return replace(_split(table, work, checks, found, notes), kinds=kinds)


def check_items(table: Table, columns: Mapping[str, str]) -> Checked:
    """Canonical items of a table; other columns are kept as properties. Rows without an id are rejected."""
    found = find_columns("items", table.frame.columns, columns, table.source)
    notes: list[Note] = []
    repairs: dict[str, int] = {}
    made: dict[str, pl.Series] = {"item_id": as_id(table.frame[found.names["item_id"]])}
    raw = {canonical: table.frame[name] for canonical, name in found.names.items()}
    _mend_coordinates(raw, "items", notes)
    for name, dtype in _ITEM_TYPES.items():
        if name in raw and name != "item_id":
            made[name] = _optional(name, raw[name], dtype, "items", notes)
    for name in found.unused:
        if name not in _ITEM_TYPES and name:
            series = table.frame[name]
            made[name] = typed_property(series) if table.untyped else series
    for name, series in made.items():
        if series.dtype == pl.String and name not in ("item_id", "image", "currency"):
            made[name], counts = clean_texts(series, LONGEST.get(name, LONGEST_OTHER))
            for repair, count in counts.items():
                repairs[repair] = repairs.get(repair, 0) + count
    notes.extend(Note(f"texts_{repair}", {"count": count}) for repair, count in repairs.items())
    work = pl.DataFrame(made)
    return _split(table, work, {"no_item": work["item_id"].is_null()}, found, notes)


def check_users(table: Table, columns: Mapping[str, str]) -> Checked:
    """Users of a table, other columns as attributes. Rows without an id are rejected."""
    found = find_columns("users", table.frame.columns, columns, table.source)
    made: dict[str, pl.Series] = {"user_id": as_id(table.frame[found.names["user_id"]])}
    for name in found.unused:
        if name and name != "user_id":
            made[name] = typed_property(table.frame[name]) if table.untyped else table.frame[name]
    work = pl.DataFrame(made)
    return _split(table, work, {"no_user": work["user_id"].is_null()}, found, ())


def _split(
    table: Table,
    work: pl.DataFrame,
    checks: Mapping[str, pl.Series | None],
    found: Found,
    notes: Iterable[Note],
) -> Checked:
    reasons = _reasons(checks, work.height)
    good = reasons.is_null()
    whole = bool(good.all())
    return Checked(
        work if whole else work.filter(good),
        good.arg_true().cast(pl.Int64),
        table.reject(reasons),
        found,
        (*table.notes, *found.notes, *notes),
    )


def _reasons(checks: Mapping[str, pl.Series | None], height: int) -> pl.Series:
    """The first reason that holds of each row, null where none does."""
    reasons = pl.repeat(None, height, dtype=pl.String, eager=True)
    for code, failed in reversed(list(checks.items())):
        if failed is not None and failed.any():
            reasons = reasons.set(failed.fill_null(False), code)
    return reasons


def _position(series: pl.Series | None, height: int) -> pl.Series:
    if series is None:
        return pl.repeat(None, height, dtype=pl.Int64, eager=True)
    if series.dtype.is_integer():
        return series.cast(pl.Int64, strict=False)
    numbers, _ = as_number(series)
    return numbers.set((numbers.abs() >= 2**53).fill_null(False), None).cast(pl.Int64, strict=False)


def _optional(
    name: str, series: pl.Series, dtype: pl.DataType | type[pl.DataType], table: str, notes: list[Note]
) -> pl.Series:
    """A column that is not due; what cannot be read of it is left empty and counted."""
    if name == "created":
        seconds, bad, _ = to_seconds(series)
        if bad.any():
            notes.append(Note("values_unreadable", {"table": table, "column": name, "count": int(bad.sum())}))
        return seconds.alias(name)
    if dtype == pl.String:
        if name in _LISTS and isinstance(series.dtype, pl.List | pl.Array):
            series = series.cast(pl.List(pl.String)).list.join("|")
        text = as_id(series) if name in _IDS or name in _LISTS else as_text(series)
        if table == "events" and name == "text":
            text, _ = clean_texts(text, LONGEST_OTHER)
        return text.alias(name)
    numbers, unreadable = as_number(series)
    if unreadable:
        notes.append(Note("values_unreadable", {"table": table, "column": name, "count": unreadable}))
    if name in _BOUNDS:
        low, high = _BOUNDS[name]
        absurd = ((numbers < low) | (numbers > high)).fill_null(False)
        if absurd.any():
            notes.append(Note("values_absurd", {"table": table, "column": name, "count": int(absurd.sum())}))
            numbers = numbers.set(absurd, None)
    return numbers.clip(-3e38, 3e38).cast(dtype).alias(name)


def _mend_coordinates(raw: dict[str, pl.Series], table: str, notes: list[Note]) -> None:
    """See ``mended``; columns are replaced in place, where both are there."""
    if "lat" in raw and "lon" in raw:
        raw["lat"], raw["lon"], said = mended(raw["lat"], raw["lon"], table)
        notes.extend(said)


def _kinds(
    table: Table, given: pl.Series | None, value: pl.Series | None, kinds: Kinds, notes: list[Note], *, live: bool
) -> tuple[pl.Series, Kinds, pl.Series | None]:
    """Kind of each row by name, the kinds with own ones added, and rows of a kind that must not be (live)."""
    height = table.frame.height
    purchase = pl.repeat("purchase", height, dtype=pl.String, eager=True)
    assumed = purchase if value is None else purchase.set(value.is_not_null(), "rating")
    if given is None:
        if height:
            notes.append(Note("kind_assumed", {"kinds": sorted(set(assumed.unique().to_list()))}))
        return assumed, kinds, None
    names = as_id(given).str.to_lowercase()
    spelt = {name: KIND_ALIASES.get(name, name) for name in names.unique().to_list() if name is not None}
    if any(name != kind for name, kind in spelt.items() if name not in kinds):
        known = {name: name if name in kinds else kind for name, kind in spelt.items()}
        names = names.replace(known)
    gaps = names.null_count()
    if gaps:
        notes.append(Note("kind_gaps", {"count": gaps}))
        names = names.zip_with(names.is_not_null(), assumed)
    own = sorted(name for name in names.unique().to_list() if name not in kinds)
    if not own:
        return names, kinds, None
    if live:
        return names, kinds, names.is_in(own)
    if len(own) > MOST_OWN_KINDS:
        column = given.name
        raise DataError(
            f"{table.source}: column {column!r} holds {len(own):,} kinds of event nobody has heard of ({own[0]!r}, "
            f'{own[1]!r}, ...); it is probably something else. Pass columns={{"kind": "NAME"}} '
            '(--columns kind=NAME) with the right column, or "" for none. Nothing was imported.'
        )
    for code, told in (
        ("own_kinds", [name for name in own if name not in WITHDRAWALS]),
        ("withdrawals", [name for name in own if name in WITHDRAWALS]),
    ):
        if told:
            notes.append(Note(code, {"kinds": told}))
    return names, Kinds([*kinds, *(Kind(name, 0.0 if name in WITHDRAWALS else 1.0) for name in own)]), None

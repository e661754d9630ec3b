"""Which column of the data is which canonical one: by mapping, by canonical name, by the usual other names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from palate.core import DataError, UsageError
from palate.data.rarer_names import OF_EVENTS, OF_ITEMS
from palate.data.schema import EVENT_COLUMNS, ITEM_COLUMNS, USER_COLUMNS, Column
from palate.data.tables import Note

SCHEMAS: Mapping[str, tuple[Column, ...]] = {
    "events": EVENT_COLUMNS,
    "items": ITEM_COLUMNS,
    "users": USER_COLUMNS,
}

UNUSED = ""
"""A column mapped to this is left out even where one of its usual names is there."""

_DUE = {"events": ("user_id", "item_id"), "items": ("item_id",), "users": ("user_id",)}
_MATTERS = {"user_id", "item_id", "timestamp", "position"}
_NUMBERING = {"id", "编号"}
"""Names of a column that may as well number the rows: taken where no other name is there."""

_PUNCTUATION = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Found:
    """Columns found in one table.

    Parameters
    ----------
    names
        Canonical name -> name in the data.
    unused
        Names in the data that are no canonical column.
    notes
        What finding them has to say.
    """

    names: Mapping[str, str]
    unused: tuple[str, ...]
    notes: tuple[Note, ...] = ()


def normal(name: str) -> str:
    """A column name without case, spaces and punctuation: ``InvoiceDate`` and ``invoice_date`` are the same."""
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", name).casefold())


def rarer_names(table: str, column: str) -> tuple[str, ...]:
    """Names that a column is looked for by where none of its aliases is there."""
    of_ids = {"user_id", "item_id"} & {column}
    names = OF_EVENTS if table == "events" or of_ids else OF_ITEMS if table == "items" else {}
    return tuple(names.get(column, "").split())


def check_mapping(columns: Mapping[str, str]) -> None:
    """Refuse a mapping of columns that nothing could ever match.

    Raises
    ------
    UsageError
        A key is no canonical column.
    """
    for key in columns:
        table, _, name = key.rpartition(".")
        schemas = [SCHEMAS[table]] if table in SCHEMAS else list(SCHEMAS.values()) if not table else []
        if not any(column.name == name for schema in schemas for column in schema):
            known = ", ".join(dict.fromkeys(column.name for schema in SCHEMAS.values() for column in schema))
            raise UsageError(
                f"columns: {key!r} is no column palate knows; known: {known} (or events.price, items.title)"
            )


def find_columns(
    table: str,
    available: Sequence[str],
    columns: Mapping[str, str],
    source: str,
    *,
    order_due: bool = True,
) -> Found:
    """Find the canonical columns among those available.

    Parameters
    ----------
    table
        ``"events"``, ``"items"`` or ``"users"``.
    available
        Names in the data.
    columns
        Canonical name, or ``"table.name"``, -> name in the data; ``""`` leaves the column out.
    source
        What messages call the data.
    order_due
        Whether events need a ``timestamp`` or a ``position``.

    Raises
    ------
    DataError
        A due column is missing or could be several, or a mapped name is not there.
    """
    mapped = _mapped(table, available, columns, source)
    normals: dict[str, list[str]] = {}
    for name in available:
        normals.setdefault(normal(name), []).append(name)
    names: dict[str, str] = {}
    notes: list[Note] = []
    taken = set(mapped.values())
    for column in SCHEMAS[table]:
        if column.name in mapped:
            if mapped[column.name] != UNUSED:
                names[column.name] = mapped[column.name]
            continue
        candidates = _candidates(column, table, available, normals, taken)
        if len(candidates) > 1 and column.name in _MATTERS:
            listed = ", ".join(map(repr, candidates))
            raise DataError(f"{source}: {column.name} could be any of {listed}. {_advice(column.name, candidates[0])}")
        if candidates:
            names[column.name] = candidates[0]
            taken.add(candidates[0])
        if len(candidates) > 1:
            notes.append(Note("column_chosen", {"table": table, "column": column.name, "found": candidates}))
    _check_due(table, names, available, source, order_due)
    used = set(names.values())
    return Found(names, tuple(name for name in available if name not in used), tuple(notes))


def _mapped(table: str, available: Sequence[str], columns: Mapping[str, str], source: str) -> dict[str, str]:
    """The part of a mapping that speaks of this table; ``"items.price"`` wins over ``"price"``."""
    own = {column.name for column in SCHEMAS[table]}
    in_events = {column.name for column in EVENT_COLUMNS}
    mapped: dict[str, str] = {}
    for key, name in sorted(columns.items(), key=lambda pair: "." in pair[0]):
        spoken, _, canonical = key.rpartition(".")
        if canonical not in own or spoken not in ("", table):
            continue
        if name != UNUSED and name not in available:
            if not spoken and table != "events" and canonical in in_events:
                continue
            raise DataError(
                f"{source}: there is no column {name!r} to use as {canonical}; found: {_listed(available)}. "
                f"Correct columns= (--columns {key}=...). Nothing was imported."
            )
        mapped[canonical] = name
    return mapped


def _candidates(
    column: Column, table: str, available: Sequence[str], normals: Mapping[str, Sequence[str]], taken: set[str]
) -> list[str]:
    """Names in the data that may be this column; the canonical name itself leaves no question."""
    if column.name in available and column.name not in taken:
        return [column.name]
    same = [name for name in normals.get(normal(column.name), ()) if name not in taken]
    if same:
        return same
    for aliases in (column.aliases, rarer_names(table, column.name)):
        found = dict.fromkeys(name for alias in aliases for name in normals.get(normal(alias), ()) if name not in taken)
        if found:
            return [name for name in found if normal(name) not in _NUMBERING] or list(found)
    return []


def _check_due(table: str, names: Mapping[str, str], available: Sequence[str], source: str, order_due: bool) -> None:
    for due in _DUE[table]:
        if due not in names:
            raise DataError(f"{source}: no column for {due} among {_listed(available)}. {_advice(due, 'NAME')}")
    if table == "events" and order_due and not {"timestamp", "position"} & set(names):
        raise DataError(
            f"{source}: no column for timestamp (or position, where only the order is known) among "
            f"{_listed(available)}. {_advice('timestamp', 'NAME')}"
        )


def _advice(canonical: str, name: str) -> str:
    return (
        f'Pass columns={{"{canonical}": "{name}"}} (--columns {canonical}={name}) with the right one. '
        "Nothing was imported."
    )


def _listed(names: Sequence[str], most: int = 30) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(map(repr, names[:most])) or "no columns at all") + more

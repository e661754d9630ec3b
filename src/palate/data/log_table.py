"""Rows of the event log as a table: fields of their bodies side by side, without a loop over rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import orjson
import polars as pl

from palate.data.event_log import EventLog


def log_table(
    log: EventLog,
    sort: str,
    fields: Mapping[str, tuple[str, Any]],
    *,
    since: float = 0.0,
) -> pl.DataFrame:
    """What rows of a sort say, in the order they were written; personal payloads stay sealed.

    Parameters
    ----------
    fields
        Column -> where in the body (SQLite's JSON path, such as ``$.price``) and its polars type; what is not there, or
        is of no such type, is null.
    since
        Rows written earlier are left out; seconds since 1970 UTC.

    Returns
    -------
    ``subject`` and ``written`` (seconds since 1970 UTC), then the fields.
    """
    marks = "".join(f", json_extract(body, '{path}')" for path, _ in fields.values())
    # The paths are the program's own words, never a user's.
    statement = f"SELECT subject, time{marks} FROM log WHERE tenant = ? AND sort = ? AND time >= ? ORDER BY seq"  # noqa: S608
    with closing(sqlite3.connect(log.path, isolation_level=None, timeout=30)) as db:
        db.execute("PRAGMA query_only=ON")
        rows = db.execute(statement, (log.tenant, sort, since)).fetchall()
    schema = {"subject": pl.String, "written": pl.Float64, **{name: kind for name, (_, kind) in fields.items()}}
    return pl.DataFrame(rows, schema=schema, orient="row", strict=False)


def latest_rows(log: EventLog, sort: str, count: int, holding: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Id and body of the newest rows of a sort, the newest first.

    Parameters
    ----------
    holding
        Only bodies with this text somewhere.
    """
    statement = "SELECT id, body FROM log WHERE tenant = ? AND sort = ?"
    values: list[Any] = [log.tenant, sort]
    if holding:
        statement += " AND instr(body, CAST(? AS BLOB)) > 0"
        values.append(holding)
    with closing(sqlite3.connect(log.path, isolation_level=None, timeout=30)) as db:
        db.execute("PRAGMA query_only=ON")
        rows = db.execute(f"{statement} ORDER BY seq DESC LIMIT ?", (*values, count)).fetchall()
    return [(str(name), orjson.loads(body)) for name, body in rows]

"""The event log on disk: its table, its rows and the chain that ties them together.

Each row's hash is SHA-256 over the hash of the row before it and the row's own canonical bytes, so that no row can be
changed, removed, added or moved without every later hash telling. Personal payloads enter the chain sealed: when a
person's key is destroyed, the sealed bytes and with them the chain stay as they were.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

GENESIS = hashlib.sha256(b"palate event log 1").digest()
"""What the first row is chained to."""

COLUMNS = "seq, tenant, sort, id, subject, time, body, sealed, hash"

SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    seq     INTEGER PRIMARY KEY,
    tenant  TEXT NOT NULL,
    sort    TEXT NOT NULL CHECK (sort IN ('event', 'answer', 'item', 'user', 'price', 'rules')),
    id      TEXT NOT NULL,
    subject TEXT NOT NULL,
    time    REAL NOT NULL,
    body    BLOB NOT NULL,
    sealed  BLOB,
    hash    BLOB NOT NULL,
    UNIQUE (tenant, sort, id)
) STRICT;
CREATE INDEX IF NOT EXISTS log_by_subject ON log (tenant, subject, seq) WHERE subject <> '';
CREATE TABLE IF NOT EXISTS anchor (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL)
    STRICT;
CREATE TRIGGER IF NOT EXISTS log_is_append_only BEFORE UPDATE ON log
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS log_keeps_its_rows BEFORE DELETE ON log
    WHEN old.seq > COALESCE((SELECT seq FROM anchor), 0)
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be remembered.

    Parameters
    ----------
    sort
        ``"event"`` (it happened), ``"answer"`` (it was recommended), ``"item"`` or ``"user"`` (it was described),
        ``"price"`` (it was quoted), ``"rules"`` (so it was to be priced).
    id
        Unique within its sort and tenant; a second entry of the same id is a duplicate and is not written.
    subject
        The pseudonym of the person it is about, "" for nobody.
    body
        JSON values that are no secret.
    personal
        JSON values that are: what a person wrote, searched for, where and on what device. Written sealed.
    """

    sort: str
    id: str
    subject: str
    body: dict[str, Any]
    personal: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row read back. ``personal`` is None where there was nothing personal, or where it was ``erased``."""

    seq: int
    tenant: str
    sort: str
    id: str
    subject: str
    time: float
    body: dict[str, Any]
    personal: dict[str, Any] | None
    erased: bool


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain. Kept elsewhere, it proves later that nothing up to here was rewritten."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``verify`` found: ``ok``, how many rows it read, and the first thing that is wrong in words."""

    ok: bool
    rows: int
    head: Head
    problem: str = ""


def canonical(values: dict[str, Any]) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that are hashed and stored."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def chained(previous: bytes, front: Sequence[Any], body: bytes, sealed: bytes | None) -> bytes:
    """The hash of a row.

    Parameters
    ----------
    previous
        Hash of the row before.
    front
        seq, tenant, sort, id, subject, time.
    """
    # The lengths are part of the header, so that no byte can wander between body and payload.
    header = orjson.dumps([*front, len(body), -1 if sealed is None else len(sealed)])
    return hashlib.sha256(b"".join((previous, header, body, sealed or b""))).digest()


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode; a commit is on disk when it returns."""
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    return db


def head_of(db: sqlite3.Connection) -> tuple[int, bytes]:
    """Number and hash of the newest row; of the anchor or the genesis where there is none."""
    row = db.execute("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1").fetchone()
    return (int(row[0]), bytes(row[1])) if row else anchor_of(db)


def anchor_of(db: sqlite3.Connection) -> tuple[int, bytes]:
    """Number and hash of the newest row that retention has removed; (0, genesis) where none was."""
    row = db.execute("SELECT seq, hash FROM anchor").fetchone()
    return (int(row[0]), bytes(row[1])) if row else (0, GENESIS)


def check(db: sqlite3.Connection, expected: Head | None) -> Verdict:
    """Walk the chain from the anchor to its end; see ``EventLog.verify``."""
    seq, previous = anchor_of(db)
    rows = 0
    seen = expected is None or (expected.seq, expected.hash) == (seq, previous.hex())
    for row in _walk(db, seq):
        rows += 1
        if row[0] != seq + 1:
            gap = f"rows {seq + 1} to {row[0] - 1} are missing"
            return Verdict(False, rows, Head(seq, previous.hex()), gap)
        seq, body, sealed, stored = row[0], row[6], row[7], row[8]
        digest = chained(previous, row[:6], body, sealed)
        if digest != stored:
            return Verdict(
                False, rows, Head(seq - 1, previous.hex()), f"row {seq} ({row[2]} {row[3]!r}) is not what was written"
            )
        previous = digest
        if expected is not None and seq == expected.seq:
            seen = digest.hex() == expected.hash
            if not seen:
                return Verdict(False, rows, Head(seq, digest.hex()), f"the chain up to row {seq} was rewritten")
    head = Head(seq, previous.hex())
    if not seen and expected is not None and expected.seq > seq:
        return Verdict(False, rows, head, f"the log ends at row {seq}; it once had {expected.seq}")
    return Verdict(True, rows, head)


def _walk(db: sqlite3.Connection, after: int) -> Iterator[tuple[Any, ...]]:
    return iter(db.execute(f"SELECT {COLUMNS} FROM log WHERE seq > ? ORDER BY seq", (after,)))  # noqa: S608

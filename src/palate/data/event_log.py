"""The event log: what was shown and what happened, append-only, idempotent, chained, personal parts sealed.

One writer thread commits whatever has gathered (group commit), so that a hundred answers cost one disk
synchronisation, and whoever needs to know waits for the commit that carries their rows.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple, Self

import orjson
from pydantic import Field

from palate.core import ArtefactError, PalateError, Settings
from palate.data.log_rows import COLUMNS, SCHEMA, Entry, Head, Row, Verdict, canonical, chained, check, connect, head_of
from palate.privacy import ErasedError, Vault

__all__ = ["Entry", "EventLog", "EventLogSettings", "Head", "LogFullError", "Row", "Verdict"]

DAY = 86_400.0
_ROWS_A_STATEMENT = 100
_ROWS_A_TURN = 4
_logger = logging.getLogger("palate.event_log")


class EventLogSettings(Settings):
    """How the log is written and how long it remembers.

    Parameters
    ----------
    queue_rows
        Rows that may wait for the writer; beyond them ``LogFullError``.
    batch_rows
        Rows that are committed at once at most.
    linger_seconds
        How long rows nobody waits for may gather before they are committed.
    max_rows, max_age_days
        Retention: older rows beyond either go, from the front; None keeps by age for ever.
    prune_every
        Commits between two looks at retention.
    """

    queue_rows: Annotated[int, Field(ge=1)] = 50_000
    batch_rows: Annotated[int, Field(ge=1)] = 5_000
    linger_seconds: Annotated[float, Field(ge=0)] = 0.5
    max_rows: Annotated[int, Field(ge=1)] = 20_000_000
    max_age_days: Annotated[float | None, Field(gt=0)] = None
    prune_every: Annotated[int, Field(ge=1)] = 256


class LogFullError(PalateError):
    """More arrives than can be written; try again shortly."""


class _Pending(NamedTuple):
    sort: str
    id: str
    subject: str
    time: float
    body: bytes
    personal: bytes | None


class _Batch(NamedTuple):
    rows: tuple[_Pending, ...]
    ticket: Future[list[bool]] | None


class EventLog:
    """An event log of one tenant, safe to use from many threads; several processes may share the file.

    Parameters
    ----------
    path
        A SQLite file, made where missing.
    vault
        Seals and opens personal payloads.
    tenant
        Rows of other tenants in the same file are neither read nor answered.
    clock
        Seconds since 1970 UTC; when each row was written.

    Raises
    ------
    ArtefactError
        The file is not an event log or cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        vault: Vault,
        *,
        tenant: str = "default",
        settings: EventLogSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.vault, self.tenant = Path(path), vault, tenant
        self.settings = settings or EventLogSettings()
        self.failure: str | None = None
        self._clock = clock
        self._queue: deque[_Batch] = deque()
        self._waiting = 0
        self._urgent = self._closed = self._writing = False
        self._changed = threading.Condition()
        self._commits = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(self.path)
            self._db.executescript(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise ArtefactError(f"{self.path} is not a usable event log: {error}. Choose another place.") from None
        self._writer = threading.Thread(target=self._run, name="palate-event-log", daemon=True)
        self._writer.start()

    def record(self, entry: Entry) -> None:
        """Remember something soon; nobody waits. Raises ``LogFullError`` where the queue is full."""
        self._put(_Batch((self._pending(entry),), None))

    def commit(self, entries: Sequence[Entry]) -> Future[list[bool]]:
        """Remember something now.

        Returns
        -------
        A future, done when the rows are on disk: for each entry True where it is new, False where its id was known.

        Raises
        ------
        LogFullError
            The queue is full; nothing was taken.
        """
        ticket: Future[list[bool]] = Future()
        self._put(_Batch(tuple(self._pending(entry) for entry in entries), ticket))
        return ticket

    def flush(self) -> None:
        """Return when everything handed over so far is on disk."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._queue and not self._writing)

    def close(self) -> None:
        """Write what waits and let go of the file. Closing twice is harmless."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._writer.join()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Rows that wait for the writer."""
        return self._waiting

    def head(self) -> Head:
        """The end of the chain as committed. Note it elsewhere to make ``verify`` notice a rewritten chain."""
        with _reading(self.path) as db:
            seq, digest = head_of(db)
        return Head(seq, digest.hex())

    def verify(self, expected: Head | None = None) -> Verdict:
        """Recompute every hash.

        Parameters
        ----------
        expected
            A head noted earlier. Without it, somebody who can write the file can rewrite it from some row to the end
            with fresh hashes; with it, they cannot.
        """
        with _reading(self.path) as db:
            return check(db, expected)

    def events_of(self, pseudonym: str) -> Iterator[Row]:
        """Everything about one person, oldest first, personal payloads opened unless erased."""
        yield from self._rows("subject = ? AND subject <> ''", (pseudonym,))

    def replay(
        self,
        sorts: Iterable[str] = ("event", "item", "user"),
        after: int = 0,
        *,
        since: float = 0.0,
        opened: bool = True,
    ) -> Iterator[Row]:
        """Rows of these sorts in the order they were written, to rebuild what was known.

        Parameters
        ----------
        after, since
            A row number and a time; rows up to and before them are passed over.
        opened
            Open personal payloads; without them a long log is read in a fraction of the time.
        """
        names = tuple(sorts)
        marks = ",".join("?" * len(names))
        yield from self._rows(f"seq > ? AND time >= ? AND sort IN ({marks})", (after, since, *names), opened)

    def find(self, sort: str, name: str) -> Row | None:
        """The row of a sort and an id, None where none is on disk."""
        return next(self._rows("sort = ? AND id = ?", (sort, name)), None)

    def _rows(self, where: str, values: tuple[Any, ...], opened: bool = True) -> Iterator[Row]:
        statement = f"SELECT {COLUMNS} FROM log WHERE tenant = ? AND {where} ORDER BY seq"  # noqa: S608
        with _reading(self.path) as db:
            for seq, tenant, sort, name, subject, when, body, sealed, _ in db.execute(
                statement, (self.tenant, *values)
            ):
                personal, erased = self._opened(subject, sealed) if opened else (None, False)
                yield Row(seq, tenant, sort, name, subject, when, orjson.loads(body), personal, erased)

    def _opened(self, subject: str, sealed: bytes | None) -> tuple[dict[str, Any] | None, bool]:
        if sealed is None:
            return None, False
        try:
            return orjson.loads(self.vault.open(subject, sealed)), False
        except ErasedError:
            return None, True

    def _pending(self, entry: Entry) -> _Pending:
        # Serialised here and not by the writer: what cannot be written fails in the hands of whoever brought it.
        personal = canonical(entry.personal) if entry.personal else None
        return _Pending(entry.sort, entry.id, entry.subject, self._clock(), canonical(entry.body), personal)

    def _put(self, batch: _Batch) -> None:
        with self._changed:
            if self._closed:
                raise LogFullError("the event log is closed; nothing was recorded")
            if self._waiting and self._waiting + len(batch.rows) > self.settings.queue_rows:
                raise LogFullError(f"{self._waiting:,} rows wait to be written; nothing was recorded, try again")
            self._queue.append(batch)
            self._waiting += len(batch.rows)
            self._urgent |= batch.ticket is not None
            # One wake-up a group: the writer lingers by itself once it knows that something waits.
            if len(self._queue) == 1 or batch.ticket is not None or self._waiting >= self.settings.batch_rows:
                self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                self._changed.wait_for(
                    lambda: self._urgent or self._closed or self._waiting >= self.settings.batch_rows,
                    timeout=self.settings.linger_seconds,
                )
                group = self._drain()
                if not group:
                    self._urgent = False
                    self._changed.notify_all()
                    if self._closed:
                        return
                    continue
            self._settle(group)
            with self._changed:
                self._waiting -= sum(len(batch.rows) for batch in group)
                self._writing = False
                self._changed.notify_all()

    def _drain(self) -> list[_Batch]:
        """Take the oldest batches up to ``batch_rows`` rows, at least one; the lock is held."""
        group: list[_Batch] = []
        rows = 0
        while self._queue and (not group or rows + len(self._queue[0].rows) <= self.settings.batch_rows):
            group.append(self._queue.popleft())
            rows += len(group[-1].rows)
        self._urgent = any(batch.ticket is not None for batch in self._queue)
        self._writing = bool(group)
        return group

    def _settle(self, group: list[_Batch]) -> None:
        """Write a group and tell those who wait how it went."""
        try:
            fresh = iter(self._write([row for batch in group for row in batch.rows]))
            verdicts = [[next(fresh) for _ in batch.rows] for batch in group]
            self.failure = None
        except Exception as error:
            _logger.exception("the event log could not be written")
            self.failure = f"the event log could not be written: {error}"
            for batch in group:
                if batch.ticket is not None:
                    batch.ticket.set_exception(PalateError(self.failure))
            return
        for batch, verdict in zip(group, verdicts, strict=True):
            if batch.ticket is not None:
                batch.ticket.set_result(verdict)

    def _write(self, rows: list[_Pending]) -> list[bool]:
        """One transaction: leave out known ids, seal, chain, insert, and now and then let old rows go."""
        self.vault.prepare(row.subject for row in rows if row.personal is not None)
        seal = self.vault.seal
        sealed = [None if row.personal is None else seal(row.subject, row.personal) for row in _yielding(rows)]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            known = self._known(rows)
            seq, previous = head_of(self._db)
            values: list[Any] = []
            fresh: list[bool] = []
            for row, payload in zip(_yielding(rows), sealed, strict=True):
                fresh.append((row.sort, row.id) not in known)
                if not fresh[-1]:
                    continue
                known.add((row.sort, row.id))
                seq += 1
                front = (seq, self.tenant, row.sort, row.id, row.subject, row.time)
                previous = chained(previous, front, row.body, payload)
                values.append((*front, row.body, payload, previous))
            # Many rows a statement: each statement gives up the interpreter's lock once, and a busy server
            # would make the writer queue for it row by row.
            for start in range(0, len(values), _ROWS_A_STATEMENT):
                part = values[start : start + _ROWS_A_STATEMENT]
                marks = ",".join(["(?,?,?,?,?,?,?,?,?)"] * len(part))
                self._db.execute(f"INSERT INTO log VALUES {marks}", [value for row in part for value in row])  # noqa: S608
            self._commits += 1
            if self._commits % self.settings.prune_every == 0:
                self._prune(seq)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return fresh

    def _known(self, rows: list[_Pending]) -> set[tuple[str, str]]:
        known: set[tuple[str, str]] = set()
        for sort in {row.sort for row in rows}:
            names = [row.id for row in rows if row.sort == sort]
            for start in range(0, len(names), _ROWS_A_STATEMENT):
                part = names[start : start + _ROWS_A_STATEMENT]
                marks = ",".join("?" * len(part))
                found = self._db.execute(
                    f"SELECT id FROM log WHERE tenant = ? AND sort = ? AND id IN ({marks})",  # noqa: S608
                    (self.tenant, sort, *part),
                )
                known.update((sort, str(name)) for (name,) in found)
        return known

    def _prune(self, newest: int) -> None:
        """Let rows go that are beyond retention; the anchor remembers where the chain now starts."""
        last = newest - self.settings.max_rows
        if self.settings.max_age_days is not None:
            oldest = self._clock() - self.settings.max_age_days * DAY
            row = self._db.execute("SELECT seq FROM log WHERE time >= ? ORDER BY seq LIMIT 1", (oldest,)).fetchone()
            last = max(last, row[0] - 1 if row else newest)
        row = self._db.execute("SELECT seq, hash FROM log WHERE seq = ?", (last,)).fetchone()
        if row is None:
            return
        self._db.execute("INSERT OR REPLACE INTO anchor VALUES (1, ?, ?)", row)
        self._db.execute("DELETE FROM log WHERE seq <= ?", (last,))


def _yielding(rows: Sequence[_Pending]) -> Iterator[_Pending]:
    """The rows, with the interpreter's lock offered to others between some: an answer must not wait for the log."""
    for place, row in enumerate(rows):
        if place % _ROWS_A_TURN == 0:
            time.sleep(0)
        yield row


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one reader, closed at the end; readers do not hold up the writer."""
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)) as db:
        db.execute("PRAGMA query_only=ON")
        yield db

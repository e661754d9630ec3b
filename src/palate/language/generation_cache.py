"""Replies remembered by what was asked: on disk within a bound, and never where the prompt speaks of a person."""

from __future__ import annotations

import sqlite3
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import xxhash
from pydantic import Field

from palate.core import Settings
from palate.core.folders import cache_folder
from palate.language.generation import Completion, Prompt, TextGenerator

_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID
"""


class ReplyCacheSettings(Settings):
    """Bounds of the cache.

    Parameters
    ----------
    max_bytes
        Of replies on disk, beyond which those unused for longest go; 0 keeps nothing on disk.
    recent
        Replies kept in memory, those about people among them.
    """

    max_bytes: int = Field(default=64 << 20, ge=0)
    recent: int = Field(default=1_000, ge=0)


class ReplyCache:
    """Replies on disk, in one SQLite file. A cache is never worth a failed run: a damaged one is begun again.

    Parameters
    ----------
    folder
        Where ``replies.sqlite`` stands; ``cache_folder()`` where None.
    """

    def __init__(self, folder: Path | None = None, settings: ReplyCacheSettings | None = None) -> None:
        self.path = (folder or cache_folder()) / "replies.sqlite"
        self.settings = settings or ReplyCacheSettings()

    def get(self, key: bytes) -> str | None:
        """A remembered reply."""
        if not self.path.is_file():
            return None
        with self._connection() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            if row is not None:
                connection.execute("UPDATE replies SET used = ? WHERE key = ?", (_now(), key))
            return None if row is None else str(row[0])

    def put(self, key: bytes, reply: str) -> None:
        """Remember a reply, and keep the bound."""
        if not self.settings.max_bytes:
            return
        with self._connection() as connection:
            if connection is None:
                return
            connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", (key, reply, _now()))
            total = connection.execute("SELECT sum(length(CAST(reply AS BLOB)) + 24) FROM replies").fetchone()[0]
            if total > self.settings.max_bytes:
                _shrink(connection, total - self.settings.max_bytes * 9 // 10)

    def size(self) -> tuple[int, int]:
        """Replies kept and their bytes."""
        if not self.path.is_file():
            return 0, 0
        with self._connection() as connection:
            if connection is None:
                return 0, 0
            row = connection.execute(
                "SELECT count(*), coalesce(sum(length(CAST(reply AS BLOB)) + 24), 0) FROM replies"
            ).fetchone()
            return int(row[0]), int(row[1])

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        """A connection with the table in place; None, with a warning, where there can be none."""
        try:
            connection = self._opened()
        except (sqlite3.Error, OSError) as error:
            warnings.warn(f"replies are not remembered: {self.path}: {error}", RuntimeWarning, stacklevel=4)
            yield None
            return
        try:
            with connection:
                yield connection
        except sqlite3.Error as error:
            warnings.warn(f"replies are not remembered: {self.path}: {error}", RuntimeWarning, stacklevel=4)
        finally:
            connection.close()

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(2):
            connection = sqlite3.connect(self.path, timeout=10.0)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(_SCHEMA)
                return connection
            except sqlite3.OperationalError:
                connection.close()
                raise
            except sqlite3.DatabaseError:
                connection.close()
                if attempt:
                    raise
                for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                    self.path.with_name(name).unlink(missing_ok=True)
        raise sqlite3.DatabaseError("damaged")


class Remembering:
    """A generator that is not asked twice the same.

    Parameters
    ----------
    generator
        Who is asked for what is not remembered.
    cache
        Replies on disk; None keeps only recent ones in memory.
    """

    def __init__(
        self, generator: TextGenerator, cache: ReplyCache | None = None, settings: ReplyCacheSettings | None = None
    ) -> None:
        self.generator, self.cache = generator, cache
        self.settings = settings or (cache.settings if cache else ReplyCacheSettings())
        self._recent: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.generator.name

    def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """See ``TextGenerator.generate``; the same prompt twice in a batch is asked once."""
        keys = [self._key(prompt) for prompt in prompts]
        known = {key: self._find(key, prompt) for key, prompt in zip(keys, prompts, strict=True)}
        missing: dict[bytes, Prompt] = {}
        for key, prompt in zip(keys, prompts, strict=True):
            if known[key] is None:
                missing.setdefault(key, prompt)
        asked = self.generator.generate(list(missing.values())) if missing else []
        fresh = dict(zip(missing, asked, strict=True))
        for key, completion in fresh.items():
            if not completion.failure and completion.source != "template":
                self._keep(key, missing[key], completion)
        found = []
        for key in keys:
            stored = known[key]
            if stored is not None:
                source, text = stored
                found.append(Completion(text, source, cached=True))
            else:
                found.append(fresh[key])
                # Its second asker did not pay for it.
                fresh[key] = replace(fresh[key], prompt_tokens=0, completion_tokens=0, seconds=0.0, cost=0.0)
        return found

    def _key(self, prompt: Prompt) -> bytes:
        parts = [self.generator.name, *prompt.messages(), prompt.schema, prompt.tokens]
        return xxhash.xxh3_128_digest(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))

    def _find(self, key: bytes, prompt: Prompt) -> tuple[str, str] | None:
        with self._lock:
            stored = self._recent.get(key)
            if stored is not None:
                self._recent.move_to_end(key)
        if stored is None and self.cache is not None and not prompt.personal:
            stored = self.cache.get(key)
        if stored is None:
            return None
        source, _, text = stored.partition("\n")
        return source, text

    def _keep(self, key: bytes, prompt: Prompt, completion: Completion) -> None:
        stored = f"{completion.source}\n{completion.text}"
        with self._lock:
            self._recent[key] = stored
            while len(self._recent) > self.settings.recent:
                self._recent.popitem(last=False)
        if self.cache is not None and not prompt.personal:
            self.cache.put(key, stored)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _shrink(connection: sqlite3.Connection, goal: int) -> None:
    """Drop what was unused for longest until so many bytes are free."""
    drop = []
    for key, size in connection.execute("SELECT key, length(CAST(reply AS BLOB)) + 24 FROM replies ORDER BY used, key"):
        if goal <= 0:
            break
        goal -= size
        drop.append((key,))
    connection.executemany("DELETE FROM replies WHERE key = ?", drop)

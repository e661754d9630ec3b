"""Vectors remembered by content: a second run encodes only what changed."""

from __future__ import annotations

import sqlite3
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xxhash

from palate.core import FloatArray, Settings
from palate.core.folders import cache_folder
from palate.language.encoder import TextEncoder, is_shaped

Progress = Callable[[int, int], None]
"""Called with (texts done, texts to do) while encoding."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    encoder TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (encoder, text)
) WITHOUT ROWID
"""
_LOOKUP = 500


class CacheSettings(Settings):
    """Bounds of the cache.

    Parameters
    ----------
    max_bytes
        Size of the vectors on disk beyond which those unused for longest go.
    recent_texts
        How many texts a serving process keeps in memory.
    chunk
        Texts encoded between two reports of progress; each chunk is stored at once, so an interrupted run loses one.
    """

    max_bytes: int = 2 << 30
    recent_texts: int = 4096
    chunk: int = 2048


def text_key(text: str) -> bytes:
    """128-bit content hash of a text."""
    return xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass"))


class VectorCache:
    """Vectors on disk, by encoder and content of the text, in one SQLite file; safe between threads and processes.

    A cache is never worth a failed run: a damaged file is thrown away with a warning and begun again, and a place that
    cannot be written to means no cache.

    Parameters
    ----------
    folder
        Where ``vectors.sqlite`` stands; ``cache_folder()`` where None.
    """

    def __init__(self, folder: Path | None = None, settings: CacheSettings | None = None) -> None:
        self.path = (folder or cache_folder()) / "vectors.sqlite"
        self.settings = settings or CacheSettings()

    def get(self, encoder: str, keys: Sequence[bytes], dimension: int) -> tuple[FloatArray, np.ndarray]:
        """Vectors of known keys.

        Returns
        -------
        float32 (n, dimension), zeros where unknown; bool (n,), true where known.
        """
        vectors = np.zeros((len(keys), dimension), dtype=np.float32)
        known = np.zeros(len(keys), dtype=bool)
        if not self.path.is_file():
            return vectors, known
        rows: dict[bytes, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        wanted = list(rows)

        def read(connection: sqlite3.Connection) -> None:
            for start in range(0, len(wanted), _LOOKUP):
                part = wanted[start : start + _LOOKUP]
                marks = ",".join("?" * len(part))
                where = f"WHERE encoder = ? AND text IN ({marks})"
                found = connection.execute(f"SELECT text, vector FROM vectors {where}", (encoder, *part)).fetchall()  # noqa: S608
                for key, blob in found:
                    vector = np.frombuffer(blob, dtype="<f4")
                    if len(vector) == dimension:
                        vectors[rows[key]] = vector
                        known[rows[key]] = True
                connection.execute(f"UPDATE vectors SET used = ? {where}", (_now(), encoder, *part))  # noqa: S608

        self._transaction(read)
        return vectors, known

    def put(self, encoder: str, keys: Sequence[bytes], vectors: FloatArray) -> None:
        """Remember these vectors, all of them or (where something goes wrong) none; the bound is kept."""
        rows = [
            (encoder, key, np.ascontiguousarray(vector, dtype="<f4").tobytes(), _now())
            for key, vector in zip(keys, vectors, strict=True)
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_SCHEMA)
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
            _shrink(connection, self.settings.max_bytes)

        self._transaction(write)

    def size(self) -> tuple[int, int]:
        """Vectors kept and their bytes."""
        found = [(0, 0)]

        def count(connection: sqlite3.Connection) -> None:
            connection.execute(_SCHEMA)
            found[0] = connection.execute("SELECT count(*), coalesce(sum(length(vector)), 0) FROM vectors").fetchone()

        if self.path.is_file():
            self._transaction(count)
        return found[0]

    def _transaction(self, action: Callable[[sqlite3.Connection], None]) -> None:
        try:
            with self._connection() as connection:
                action(connection)
        except sqlite3.OperationalError as error:
            warnings.warn(f"vectors are not cached: {self.path}: {error}", RuntimeWarning, stacklevel=3)
        except sqlite3.DatabaseError as error:
            warnings.warn(f"{self.path} was damaged ({error}) and is begun again", RuntimeWarning, stacklevel=3)
            for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                self.path.with_name(name).unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(f"vectors are not cached: {error}", RuntimeWarning, stacklevel=3)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=10.0)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with connection:
                yield connection
        finally:
            connection.close()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _shrink(connection: sqlite3.Connection, max_bytes: int) -> None:
    """Drop what was unused for longest until nine tenths of the bound are left, so that not every write must shrink."""
    total = connection.execute("SELECT coalesce(sum(length(vector)), 0) FROM vectors").fetchone()[0]
    if total <= max_bytes:
        return
    goal = total - max_bytes * 9 // 10
    freed = 0
    drop = []
    for encoder, text, size in connection.execute("SELECT encoder, text, length(vector) FROM vectors ORDER BY used"):
        if freed >= goal:
            break
        freed += size
        drop.append((encoder, text))
    connection.executemany("DELETE FROM vectors WHERE encoder = ? AND text = ?", drop)


class CachedEncoder:
    """An encoder that remembers: recent texts in memory, all texts on disk.

    Parameters
    ----------
    encoder
        Who is asked for what is not remembered.
    cache
        Vectors on disk; None keeps only recent texts in memory.
    progress
        Called with (texts done, texts to do) as encoding goes on.

    Attributes
    ----------
    hits, misses
        Distinct texts answered from memory or disk, and distinct texts that had to be encoded.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        cache: VectorCache | None = None,
        progress: Progress | None = None,
        settings: CacheSettings | None = None,
    ) -> None:
        self.encoder = encoder
        self.cache = cache
        self.progress = progress
        self.settings = settings or (cache.settings if cache else CacheSettings())
        self.hits = 0
        self.misses = 0
        self._recent: OrderedDict[bytes, FloatArray] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    @property
    def languages(self) -> tuple[str, ...]:
        return self.encoder.languages

    @property
    def shaped(self) -> bool:
        """See ``is_shaped``."""
        return is_shaped(self.encoder)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of n texts, float32 (n, dimension); each distinct text is looked up or encoded once."""
        place: dict[bytes, int] = {}
        distinct: list[str] = []
        rows = np.empty(len(texts), dtype=np.int64)
        for row, text in enumerate(texts):
            key = text_key(text)
            if key not in place:
                place[key] = len(distinct)
                distinct.append(text)
            rows[row] = place[key]
        return self._distinct(distinct, list(place))[rows]

    def _distinct(self, texts: list[str], keys: list[bytes]) -> FloatArray:
        vectors, known = self._from_memory(keys)
        if self.cache is not None and not known.all():
            asked = np.nonzero(~known)[0]
            found, there = self.cache.get(self.name, [keys[i] for i in asked], self.dimension)
            vectors[asked] = found
            known[asked] = there
        missing = np.nonzero(~known)[0]
        self.hits += len(keys) - len(missing)
        self.misses += len(missing)
        for start in range(0, len(missing), self.settings.chunk):
            part = missing[start : start + self.settings.chunk]
            vectors[part] = self.encoder.encode([texts[i] for i in part])
            if self.cache is not None:
                self.cache.put(self.name, [keys[i] for i in part], vectors[part])
            if self.progress is not None:
                self.progress(start + len(part), len(missing))
        self._to_memory(keys, vectors)
        return vectors

    def _from_memory(self, keys: list[bytes]) -> tuple[FloatArray, np.ndarray]:
        vectors = np.zeros((len(keys), self.dimension), dtype=np.float32)
        known = np.zeros(len(keys), dtype=bool)
        with self._lock:
            for row, key in enumerate(keys):
                vector = self._recent.get(key)
                if vector is not None:
                    self._recent.move_to_end(key)
                    vectors[row] = vector
                    known[row] = True
        return vectors, known

    def _to_memory(self, keys: list[bytes], vectors: FloatArray) -> None:
        limit = self.settings.recent_texts
        with self._lock:
            for key, vector in zip(keys[-limit:], vectors[-limit:], strict=True):
                self._recent[key] = vector.copy()
                self._recent.move_to_end(key)
            while len(self._recent) > limit:
                self._recent.popitem(last=False)

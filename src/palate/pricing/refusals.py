"""Who refused personal prices: kept until they change their mind, beyond any retention."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from palate.core import ArtefactError

_SCHEMA = "CREATE TABLE IF NOT EXISTS refused (person TEXT PRIMARY KEY, since REAL NOT NULL) STRICT, WITHOUT ROWID"


class Refusals:
    """Pseudonyms of people who refused, safe to use from many threads; several processes may share the file.

    Raises
    ------
    ArtefactError
        The file cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self._lock = Path(path), threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise ArtefactError(f"{self.path} cannot hold who refused personal prices: {error}.") from None

    def __contains__(self, person: str) -> bool:
        try:
            with self._lock:
                found = self._db.execute("SELECT 1 FROM refused WHERE person = ?", (person,)).fetchone()
        except sqlite3.Error:
            return True  # who cannot be asked has not agreed
        return found is not None

    def set(self, person: str, refused: bool, when: float) -> None:
        """Remember that a person refuses from now on, or no longer does."""
        with self._lock:
            if refused:
                self._db.execute("INSERT OR IGNORE INTO refused VALUES (?, ?)", (person, when))
            else:
                self._db.execute("DELETE FROM refused WHERE person = ?", (person,))

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        with self._lock:
            self._db.close()

"""The key vault: one master key for pseudonyms, one data key for each person who left something personal.

Everything else palate stores can be copied, backed up and analysed: it names people by pseudonym and carries their
words sealed. The vault is the one file that must be guarded, and the one file where forgetting happens: without their
data key, a person's sealed payloads are noise wherever copies of them lie.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from palate.core import ArtefactError, PalateError

REMAINS = {
    "en": "What they wrote, and what their prices rested on, cannot be read any more, in no copy of the logs. What "
    "they did is counted as an unknown person's. A refusal of personal prices stays in force. Engines saved before, "
    "and the data they were trained on, hold what they held: forget there too, or train again.",
    "zh": "其所写的内容和定价依据在任何日志副本中都无法再读取。其行为只作为匿名用户计数。拒绝个性化定价的选择继续有效。"
    "此前保存的引擎及其训练数据仍保留原有内容：请在其中同样删除，或重新训练。",
}
"""What is said to whoever had somebody forgotten."""

_CACHED_KEYS = 4_096
_CACHED_PSEUDONYMS = 65_536
_NONCE = 12
_KEY_ID = 8
_SCHEMA = """
CREATE TABLE IF NOT EXISTS master (name TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS data_keys (person TEXT PRIMARY KEY, key_id BLOB NOT NULL, secret BLOB NOT NULL) STRICT;
"""


class ErasedError(PalateError):
    """The key of this payload was destroyed; what it held is gone for good."""


def data_home() -> Path:
    """Where palate keeps what it must remember: ``PALATE_HOME``, else ``~/.local/share/palate`` (or XDG_DATA_HOME)."""
    given = os.environ.get("PALATE_HOME")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "palate"


def default_vault_path() -> Path:
    """The vault's place: ``PALATE_VAULT``, else ``vault.sqlite`` in ``data_home()``."""
    given = os.environ.get("PALATE_VAULT")
    return Path(given) if given else data_home() / "vault.sqlite"


class Vault:
    """Pseudonyms and sealed payloads, safe to use from many threads.

    Parameters
    ----------
    path
        A SQLite file, created with mode 0600 where missing. ``None``: ``default_vault_path()``.

    Raises
    ------
    ArtefactError
        The file is not a vault, cannot be written, or other users of the machine may read it.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else default_vault_path()
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()
        self._pseudonyms: OrderedDict[str, str] = OrderedDict()
        _create_private(self.path)
        try:
            # Rollback journal, not WAL: a destroyed key must not survive in a log beside the file.
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.executescript(_SCHEMA)
            self._master = self._master_key()
        except sqlite3.Error as error:
            raise ArtefactError(
                f"{self.path} is not a usable palate vault: {error}. Point PALATE_VAULT at another place."
            ) from None
        self._hmac = hmac.new(self._master, digestmod=hashlib.sha256)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that tell one vault from another and betray nothing of its keys; for manifests."""
        return hmac.new(self._master, b"palate vault fingerprint", hashlib.sha256).hexdigest()[:16]

    def pseudonym(self, user_id: str) -> str:
        """The one name under which this person is stored: ``p_`` and 32 hex digits of HMAC-SHA256 of the id."""
        known = self._pseudonyms.get(user_id)
        if known is not None:
            return known
        keyed = self._hmac.copy()
        keyed.update(user_id.encode("utf-8", "surrogatepass"))
        name = "p_" + keyed.hexdigest()[:32]
        with self._lock:
            self._pseudonyms[user_id] = name
            if len(self._pseudonyms) > _CACHED_PSEUDONYMS:
                self._pseudonyms.popitem(last=False)
        return name

    def __contains__(self, person: str) -> bool:
        """Whether anything sealed may lie somewhere that this person's key opens."""
        with self._lock:
            self._keys.pop(person, None)
            return self._stored(person) is not None

    def prepare(self, people: Iterable[str]) -> None:
        """Make data keys for these pseudonyms where they have none, in one transaction.

        ``seal`` does this by itself; a caller about to seal for many people pays one disk synchronisation, not many.
        """
        with self._lock:
            wanted = {person for person in people if person not in self._keys}
            missing = [person for person in sorted(wanted) if self._stored(person) is None]
            if not missing:
                return
            fresh = {person: (secrets.token_bytes(_KEY_ID), secrets.token_bytes(32)) for person in missing}
            self._db.execute("BEGIN IMMEDIATE")
            # OR IGNORE and reading back: another process may have given the same person a key meanwhile.
            self._db.executemany(
                "INSERT OR IGNORE INTO data_keys VALUES (?, ?, ?)",
                [(person, key_id, secret) for person, (key_id, secret) in fresh.items()],
            )
            self._db.execute("COMMIT")
            for person in missing:
                self._stored(person)

    def seal(self, person: str, payload: bytes) -> bytes:
        """Encrypt a payload under a person's data key (AES-256-GCM, random nonce, the pseudonym as associated data).

        Parameters
        ----------
        person
            A pseudonym.

        Returns
        -------
        Key id (8 bytes), nonce (12), ciphertext and tag.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.prepare([person])
        with self._lock:
            key = self._stored(person)
        if key is None:  # erased between the two steps: the next key is a new person's
            return self.seal(person, payload)
        key_id, secret = key
        nonce = os.urandom(_NONCE)
        return key_id + nonce + AESGCM(secret).encrypt(nonce, payload, person.encode())

    def open(self, person: str, sealed: bytes) -> bytes:
        """Decrypt what ``seal`` made for this person.

        Raises
        ------
        ErasedError
            The key it was sealed under has been destroyed.
        ArtefactError
            The payload was changed, or is another person's.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        with self._lock:
            # The file is asked every time: another process may have erased, and an erased key must not linger here.
            self._keys.pop(person, None)
            key = self._stored(person)
        if key is None or key[0] != sealed[:_KEY_ID]:
            raise ErasedError(f"a payload of {person} cannot be read: the key it was sealed under was destroyed")
        nonce, ciphertext = sealed[_KEY_ID : _KEY_ID + _NONCE], sealed[_KEY_ID + _NONCE :]
        try:
            return AESGCM(key[1]).decrypt(nonce, ciphertext, person.encode())
        except (InvalidTag, ValueError):
            raise ArtefactError(f"a sealed payload of {person} was changed since it was written") from None

    def erase(self, person: str) -> bool:
        """Destroy a person's data key; True where there was one. Later payloads get a new key."""
        with self._lock:
            self._keys.pop(person, None)
            for user_id in [user for user, name in self._pseudonyms.items() if name == person]:
                del self._pseudonyms[user_id]
            return self._db.execute("DELETE FROM data_keys WHERE person = ?", (person,)).rowcount > 0

    def close(self) -> None:
        """Release the file. Closing twice is harmless."""
        with self._lock:
            self._db.close()
            self._keys.clear()

    def _stored(self, person: str) -> tuple[bytes, bytes] | None:
        """Key id and secret of a person, through the bounded cache; the lock is held."""
        key = self._keys.get(person)
        if key is None:
            row = self._db.execute("SELECT key_id, secret FROM data_keys WHERE person = ?", (person,)).fetchone()
            if row is None:
                return None
            key = (bytes(row[0]), bytes(row[1]))
            self._keys[person] = key
            if len(self._keys) > _CACHED_KEYS:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(person)
        return key

    def _master_key(self) -> bytes:
        self._db.execute("INSERT OR IGNORE INTO master VALUES ('pseudonyms', ?)", (secrets.token_bytes(32),))
        return bytes(self._db.execute("SELECT secret FROM master WHERE name = 'pseudonyms'").fetchone()[0])


def _create_private(path: Path) -> None:
    """Make the file with mode 0600 where it is missing; refuse one that others may read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        mode = os.fstat(descriptor).st_mode & 0o777
        os.close(descriptor)
    except OSError as error:
        raise ArtefactError(f"the vault {path} cannot be opened: {error.strerror}. Set PALATE_VAULT.") from None
    if os.name == "posix" and mode & 0o077:
        raise ArtefactError(f"{path} may be read by others (mode {mode:o}). It holds keys: chmod 600 {path}")

"""Files from the network, whole or not at all, with their size shown and their digest checked where it is known."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from palate.core import DataError

Say = Callable[[str], None]
"""Takes a line for the user to read."""

_CHUNK = 1 << 20
_PATIENCE = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def to_stderr(line: str) -> None:
    """Show a line without getting into what a program prints."""
    print(line, file=sys.stderr)


def obtain(url: str, target: Path, md5: str | None = None, say: Say = to_stderr) -> Path:
    """The file at ``target``, downloaded if it is not there.

    Parameters
    ----------
    url
        An https address.
    target
        Where the file is kept; written whole or not at all.
    md5
        The publisher's digest, hexadecimal; nothing is checked where None.
    say
        Is told what is downloaded and how large it is.

    Raises
    ------
    DataError
        There is no network, the server refuses, or what came is not what was published.
    """
    if target.is_file():
        return target
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise DataError(f"{url} is not an https address; nothing was downloaded.")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310 - the scheme is checked above
            _keep(answer, target, md5, say)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"{url} cannot be downloaded ({reason}). Without a network, fetch it elsewhere and put it at {target}."
        ) from None
    return target


def original(folder: Path, name: str, archive: str | None = None) -> bytes | None:
    """Content of an original file in a folder, one folder below it, or in a zip archive there; None where it is not."""
    for path in (folder / name, *sorted(folder.glob(f"*/{name}"))):
        if path.is_file():
            return path.read_bytes()
    packed = folder / archive if archive else None
    if packed is None or not packed.is_file():
        return None
    try:
        with zipfile.ZipFile(packed) as files:
            inside = [member for member in files.namelist() if member.rsplit("/", 1)[-1] == name]
            return files.read(inside[0]) if inside else None
    except zipfile.BadZipFile:
        raise DataError(f"{packed} is a damaged archive; delete it and try again.") from None


def originals(
    folder: Path,
    names: Sequence[str],
    archive: str,
    url: str,
    *,
    md5: str | None = None,
    say: Say = to_stderr,
) -> dict[str, bytes]:
    """Original files of a folder, its archive downloaded first if the first of them is not there.

    Raises
    ------
    DataError
        They are neither there nor to be had.
    """
    if original(folder, names[0], archive) is None:
        obtain(url, folder / archive, md5, say)
    found = {name: original(folder, name, archive) for name in names}
    if found[names[0]] is None:
        raise DataError(f"{folder / archive} does not hold {names[0]}; delete it and try again.")
    return {name: content for name, content in found.items() if content is not None}


def _keep(answer: object, target: Path, md5: str | None, say: Say) -> None:
    """Write what a server answers beside the target, check it, and move it there."""
    length = answer.headers.get("Content-Length")  # type: ignore[attr-defined]
    say(f"downloading {target.name} ({_size(int(length))})" if length else f"downloading {target.name}")
    digest = hashlib.md5(usedforsecurity=False)
    received = 0
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as scratch:
        place = Path(scratch.name)
        try:
            while chunk := answer.read(_CHUNK):  # type: ignore[attr-defined]
                scratch.write(chunk)
                digest.update(chunk)
                received += len(chunk)
            if length and received != int(length):
                raise DataError(f"{target.name}: {received:,} of {length} bytes came; nothing was kept. Try again.")
            if md5 and digest.hexdigest() != md5:
                raise DataError(f"{target.name}: the MD5 is not the publisher's; nothing was kept.")
            scratch.close()
            place.replace(target)
        except BaseException:
            place.unlink(missing_ok=True)
            raise


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"

"""``palate log verify``: whether the event log is what was written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli import console, options

if TYPE_CHECKING:
    from palate.data.log_rows import Head, Verdict

_VERIFY = """[bold]Examples[/bold]

palate log verify

palate log verify demo/events.sqlite

palate log verify events.sqlite --head 1204:9f86d081884c7d65..."""

log = typer.Typer(help="The event log: everything that happened and was answered, chained by hashes.")


def register(app: typer.Typer) -> None:
    log.command(epilog=_VERIFY)(verify)
    app.add_typer(log, name="log")


@log.callback()
def _log() -> None:
    """The event log: everything that happened and was answered, chained by hashes."""


def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The log's SQLite file; the server's usual one if left out.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", metavar="N:HASH", help="An end of the chain noted earlier, to hold it to.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Walk the hash chain from its beginning. Exit code 1 where a row was changed, removed or added."""
    file = log_at(file, "events.sqlite")
    verdict = verdict_of(file, noted(head))
    if as_json:
        console.write_json(asdict(verdict))
    elif verdict.ok:
        console.say(f"{file}: {verdict.rows:,} rows, all as written. Head {verdict.head.seq}:{verdict.head.hash}")
    else:
        console.say(f"{file}: after {verdict.rows:,} rows: {verdict.problem}")
    if not verdict.ok:
        raise typer.Exit(1)


def verdict_of(file: Path, head: Head | None) -> Verdict:
    """Walk the chain of a log without writing to it.

    Raises
    ------
    DataError
        The file is no log of palate's.
    """
    import sqlite3
    from contextlib import closing

    from palate.core.errors import DataError
    from palate.data.log_rows import check

    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return check(db, head)
    except sqlite3.DatabaseError as error:
        raise DataError(f"{file} is not an event log: {error}.") from None


def noted(text: str | None) -> Head | None:
    """The head written as N:HASH, None where none was given.

    Raises
    ------
    UsageError
        It is written otherwise.
    """
    from palate.core.errors import UsageError
    from palate.data.log_rows import Head

    if text is None:
        return None
    number, colon, digest = text.partition(":")
    if not (colon and number.isdigit() and digest):
        raise UsageError(
            f"--head {text}: write the row's number and its hash, N:HASH, as `palate log verify` prints them."
        )
    return Head(int(number), digest)


def vault_beside(log: Path) -> Path | None:
    """The vault that lies beside a log, such as the demo's; None, for the usual one, where there is none."""
    beside = log.parent / "vault.sqlite"
    return beside if beside.is_file() else None


def log_at(given: Path | None, usual: str) -> Path:
    """The log asked for, or the one of this name that a server writes where it is told of no other place.

    Raises
    ------
    DataError
        There is none.
    """
    from palate.core.errors import DataError
    from palate.privacy import data_home

    file = given or data_home() / usual
    if not file.is_file():
        usually = f" A server writes {data_home() / usual} unless it is told another place." if given else ""
        raise DataError(f"{file} is not there.{usually}")
    return file

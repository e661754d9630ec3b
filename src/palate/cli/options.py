"""Arguments and options that several verbs share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

Spoken: TypeAlias = Literal["en", "zh"]

DataFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Folder with events.*, and items.* and users.* where there are any.")
]
EngineFolder: TypeAlias = Annotated[Path, typer.Argument(metavar="ENGINE", help="Folder that `palate train` wrote.")]
Columns: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="NAME=COLUMN",
        help="Where a column has no usual name, e.g. timestamp=ts or items.title=label. May be given several times.",
    ),
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings; palate.toml in the folder, or here, where not given."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Language: TypeAlias = Annotated[
    str | None,
    typer.Option("--language", metavar="en|zh", help="Language of sentences; your terminal's where not given."),
]
Preset: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="fast|balanced|thorough",
        help="How much work: fast = counts, factors, frozen text, learned ranker; balanced, where nothing is said, "
        "learns sequences too; thorough = larger and longer.",
    ),
]
Seed: TypeAlias = Annotated[int | None, typer.Option("--seed", help="Everything drawn by chance follows from it.")]
Count: TypeAlias = Annotated[int, typer.Option("-k", "--count", min=1, help="How many items.")]
User: TypeAlias = Annotated[str | None, typer.Option("--user", "-u", metavar="ID", help="A user the engine knows.")]
History: TypeAlias = Annotated[
    str | None,
    typer.Option("--history", metavar="A,B,C", help="Item ids instead of a known user, oldest first."),
]
Text: TypeAlias = Annotated[str, typer.Option("--text", "-t", help="A wish in words.")]


def language(given: str | None) -> Spoken:
    """The language asked for, or the terminal's.

    Raises
    ------
    UsageError
        It is neither "en" nor "zh".
    """
    from palate.cli.console import language_here
    from palate.core.errors import UsageError

    if given is None:
        return language_here()
    match given:
        case "en" | "zh":
            return given
    raise UsageError(f"--language {given}: palate speaks en and zh.")


def pairs(given: list[str] | None) -> dict[str, str]:
    """``["timestamp=ts", "user_id=uid,item_id=iid"]`` as a mapping.

    Raises
    ------
    UsageError
        A part has no "=", or an empty side.
    """
    from palate.core.errors import UsageError

    mapping: dict[str, str] = {}
    for part in (part for text in given or [] for part in text.split(",")):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not (name and equals and column):
            raise UsageError(f"--columns {part!r}: write NAME=COLUMN, for instance --columns timestamp=ts.")
        mapping[name] = column
    return mapping


def listed(text: str | None) -> list[str] | None:
    """ "a, b" as ["a", "b"]; None where nothing was given."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]

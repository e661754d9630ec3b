"""Verbs about a folder of data: ``init`` writes a small one to start from, ``validate`` says what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options

if TYPE_CHECKING:
    from palate.cli.settings import DataSettings
    from palate.data import Dataset

EXAMPLE = Path(__file__).parent / "example"

_INIT = """[bold]Examples[/bold]

palate init shop

palate validate shop && palate train shop --out shop.engine"""

_VALIDATE = """[bold]Examples[/bold]

palate validate shop

palate validate shop --quarantine rejected.jsonl --columns timestamp=ts

palate validate shop --json | jq .events"""


def register(app: typer.Typer) -> None:
    app.command(epilog=_INIT)(init)
    app.command(epilog=_VALIDATE)(validate)


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to start; made where it is missing.")],
) -> None:
    """Write a commented palate.toml and a tiny shop to look at. Files that are there already are kept."""
    from palate.core.artefact import write_text

    for source in sorted(EXAMPLE.iterdir()):
        target = folder / source.name
        if target.exists():
            console.say(f"kept     {target}")
        else:
            write_text(target, source.read_text(encoding="utf-8"))
            console.say(f"written  {target}")
    console.say(f"\nReplace the example with your data, then: palate validate {folder}")


def validate(
    folder: options.DataFolder,
    quarantine: Annotated[
        Path | None, typer.Option("--quarantine", metavar="FILE", help="Write rejected rows here, line and reason.")
    ] = None,
    columns: options.Columns = None,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Keep rows that repeat another exactly.")
    ] = False,
    drop_bots: Annotated[bool, typer.Option("--drop-bots", help="Leave out users that behave like machines.")] = False,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Read a folder without training: what was kept, merged and rejected, and whether training would be poor.

    Exit code 1 where nothing can be learnt from the folder.
    """
    from palate.cli.settings import settings_for

    chosen = options.language(language)
    settings = settings_for(folder, config).data.model_copy(
        update={
            key: value
            for key, value in {
                "quarantine": str(quarantine or ""),
                "keep_duplicates": keep_duplicates,
                "drop_bots": drop_bots,
            }.items()
            if value
        }
    )
    dataset = load(folder, settings, options.pairs(columns))
    if as_json:
        console.write_json(_facts(dataset))
    elif dataset.report is not None:
        console.say(dataset.report.words(chosen))
    if dataset.report is not None and not dataset.report.trainable:
        raise typer.Exit(1)


def load(folder: Path, settings: DataSettings, columns: dict[str, str]) -> Dataset:
    """Read a folder as settings and the command line say."""
    from palate.data import Dataset

    return Dataset.load(
        folder,
        columns={**settings.columns, **columns},
        kinds=settings.own_kinds(),
        keep_duplicates=settings.keep_duplicates,
        drop_bots=settings.drop_bots,
        quarantine=settings.quarantine or None,
        vectors=settings.vectors,
        time_zone=settings.time_zone,
    )


def _facts(dataset: Dataset) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": dataset.name,
        "users": dataset.n_users,
        "items": dataset.n_items,
        "events": dataset.n_events,
        "has_times": dataset.has_times,
        "has_text": dataset.catalogue.has_text,
        "repeat_share": dataset.repeat_share,
    }
    if dataset.report is not None:
        facts["report"] = dataset.report.as_dict()
    return facts

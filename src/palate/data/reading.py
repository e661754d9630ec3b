"""From a folder or frames to a dataset: read, find columns, validate, clean, assemble, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from palate.core import DataError, Kind, Kinds
from palate.core.artefact import write_text
from palate.data import cleaning
from palate.data.columns import check_mapping
from palate.data.dataset import Dataset
from palate.data.files import ENDINGS, find_file, read_table
from palate.data.report import Report, TableReport, judge, reasons_in_words, rejections
from palate.data.report_words import REASONS
from palate.data.tables import Note, Rejected, Table
from palate.data.validation import Checked, check_events, check_items, check_users
from palate.data.vectors import read_vectors, with_vectors
from palate.data.zones import UTC, check_zone


def load_folder(
    folder: Path,
    *,
    columns: Mapping[str, str],
    kinds: tuple[Kind, ...] = (),
    keep_duplicates: bool = False,
    drop_bots: bool = False,
    quarantine: Path | None = None,
    vectors: Mapping[str, Path] | None = None,
    time_zone: str = UTC,
) -> Dataset:
    """Read a folder; see ``Dataset.load``."""
    check_mapping(columns)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}. Give the folder that holds events.*, and items.* and users.* if any.")
    if (folder / "manifest.json").is_file() and not any((folder / f"events{ending}").is_file() for ending in ENDINGS):
        raise DataError(f"{folder} is something palate made, such as an engine. Give the folder it was made from.")
    paths = {name: find_file(folder, name) for name in ("events", "items", "users")}
    if paths["events"] is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise DataError(
            f"{folder} has no events file; it holds {there}. Call the file of what happened events, with one of the "
            f"endings {', '.join(ENDINGS)}. Nothing was imported."
        )
    tables = {name: read_table(path, name) for name, path in paths.items() if path is not None}
    return _import(
        tables,
        columns=columns,
        kinds=kinds,
        keep_duplicates=keep_duplicates,
        drop_bots=drop_bots,
        name=folder.resolve().name,
        quarantine=quarantine,
        vectors=vectors or {},
        time_zone=time_zone,
    )


def load_frames(
    events: Any,
    items: Any = None,
    users: Any = None,
    *,
    columns: Mapping[str, str],
    kinds: tuple[Kind, ...] = (),
    keep_duplicates: bool = False,
    drop_bots: bool = False,
    name: str = "data",
    time_zone: str = UTC,
) -> Dataset:
    """Take frames in memory; see ``Dataset.from_frames``."""
    check_mapping(columns)
    given = {"events": events, "items": items, "users": users}
    tables = {table: Table.of(table, data) for table, data in given.items() if data is not None}
    if "events" not in tables:
        raise DataError("there are no events to learn from. Nothing was imported.")
    return _import(
        tables,
        columns=columns,
        kinds=kinds,
        keep_duplicates=keep_duplicates,
        drop_bots=drop_bots,
        name=name,
        quarantine=None,
        time_zone=time_zone,
    )


def _import(
    tables: Mapping[str, Table],
    *,
    columns: Mapping[str, str],
    kinds: tuple[Kind, ...],
    keep_duplicates: bool,
    drop_bots: bool,
    name: str,
    quarantine: Path | None,
    vectors: Mapping[str, Path] | None = None,
    time_zone: str = UTC,
) -> Dataset:
    check_zone(time_zone)
    blocks = {block: read_vectors(path, block) for block, path in (vectors or {}).items()}
    checked = {"events": check_events(tables["events"], Kinds(kinds), columns, now=time.time(), zone=time_zone)}
    if "items" in tables:
        checked["items"] = check_items(tables["items"], columns)
    if "users" in tables:
        checked["users"] = check_users(tables["users"], columns)
    rejected = [part for table in tables for part in (tables[table].broken, checked[table].rejected) if part]
    if quarantine is not None:
        write_quarantine(quarantine, rejected)
    for table, result in checked.items():
        _refuse_if_nothing(tables[table], result, quarantine)
    merged: dict[str, int] = {}
    checked["events"], merged["events"] = cleaning.merge_repeats(tables["events"], checked["events"], keep_duplicates)
    for table, column in (("items", "item_id"), ("users", "user_id")):
        if table in checked:
            checked[table], merged[table] = cleaning.merge_same_id(checked[table], column)
    if blocks and "items" in checked:
        checked["items"] = replace(checked["items"], frame=with_vectors(checked["items"].frame, blocks))
    dataset, notes, dropped = _assembled(checked, drop_bots, name)
    notes = (*notes, *(note for result in checked.values() for note in result.notes))
    reports = tuple(_table_report(tables[table], checked[table], merged[table], dropped) for table in tables)
    report = Report(reports, notes, dataset.n_users, dataset.n_items, dataset.n_events)
    return replace(dataset, report=report)


def _assembled(checked: Mapping[str, Checked], drop_bots: bool, name: str) -> tuple[Dataset, tuple[Note, ...], int]:
    """The dataset, what there is to say of it, and how many events of machines were left out."""
    items = checked["items"].frame if "items" in checked else None
    users = checked["users"].frame if "users" in checked else None
    events = checked["events"].frame

    def assemble(frame: pl.DataFrame) -> Dataset:
        return Dataset.assemble(frame, items, users, kinds=checked["events"].kinds, name=name)

    dataset = assemble(events)
    suspects, most = cleaning.bots(dataset)
    notes: tuple[Note, ...] = ()
    dropped = 0
    if suspects and drop_bots:
        left = events.filter(~pl.col("user_id").is_in(suspects))
        dropped = events.height - left.height
        dataset = assemble(left)
        notes = (Note("bots_dropped", {"count": len(suspects)}),)
    elif suspects:
        notes = (Note("bots", {"count": len(suspects), "most": most, "examples": suspects[:3]}),)
    if items is not None:
        unlisted = dataset.n_items - items.height
        if unlisted:
            notes = (*notes, Note("items_unlisted", {"count": unlisted}))
    alike = cleaning.same_but_for_case(pl.Series(dataset.item_ids.names, dtype=pl.String))
    return cleaning.with_sessions(dataset), (*judge(dataset), *notes, *alike), dropped


def write_quarantine(path: Path, rejected: list[Rejected]) -> None:
    """Write rejected rows as JSON lines of file, line, reason and row; whole or not at all."""
    lines = [
        orjson.dumps(
            {"file": row["file"], "line": row["line"], "reason": REASONS[row["reason"]][0], "row": row["row"]},
            default=str,
        ).decode()
        for part in rejected
        for row in part.records()
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))


def _refuse_if_nothing(table: Table, checked: Checked, quarantine: Path | None) -> None:
    if checked.frame.height or (table.name != "events" and not table.read):
        return
    if not table.read:
        raise DataError(f"{table.source} has no rows. Nothing was imported.")
    why = reasons_in_words(rejections([table.broken, checked.rejected], checked.found.names))
    where = f" All of them are in {quarantine}." if quarantine is not None else ""
    raise DataError(
        f"{table.source}: none of {table.read:,} rows can be used: {why}.{where} Correct the file, or pass --columns "
        "where a column was mistaken. Nothing was imported."
    )


def _table_report(table: Table, checked: Checked, merged: int, dropped: int) -> TableReport:
    gone = dropped if table.name == "events" else 0
    return TableReport(
        name=table.name,
        source=table.source,
        read=table.read,
        kept=checked.frame.height - gone,
        merged=merged,
        dropped=gone,
        rejected=rejections([table.broken, checked.rejected], checked.found.names),
        columns=dict(checked.found.names),
        unused=checked.found.unused,
    )

"""What happened, who did it and what there is, translated once from ids to positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import xxhash
from scipy import sparse

from palate.core import BoolArray, DataError, Float64Array, Histories, Ids, Int64Array, IntArray, Kind, Kinds, Queries
from palate.data.catalogue import Catalogue
from palate.data.shown import shown_ids

if TYPE_CHECKING:
    from palate.data.report import Report

DAY = 86_400.0

REPEATS = 0.1
"""From this share of repeated events on, people come back to the same things."""


@dataclass(frozen=True)
class Dataset:
    """Events in order, users and a catalogue. Immutable; parts of it are views.

    Parameters
    ----------
    events
        Sorted by user, then by time. ``user`` int32, ``item`` int32 (-1: none, as in a search), ``time`` float64 in
        seconds since 1970 UTC (NaN: unknown), ``kind`` int8, ``weight`` float32, and the canonical optional columns
        (value, quantity, price, session_id, basket_id, place, lat, lon, device, dwell, text, ...) the data has.
    user_ids
        External user ids; the position of an id is the user's row.
    catalogue
        Items, aligned with item positions.
    users
        Attributes of users aligned with user positions; None where the data has none.
    kinds
        Kinds of event and their weights.
    name
        What to call it in reports.
    report
        What reading and cleaning kept, merged and rejected; None where the frames were canonical already.
    """

    events: pl.DataFrame
    user_ids: Ids
    catalogue: Catalogue
    users: pl.DataFrame | None = None
    kinds: Kinds = field(default_factory=Kinds)
    name: str = "data"
    report: Report | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        kinds: Iterable[Kind] = (),
        keep_duplicates: bool = False,
        drop_bots: bool = False,
        quarantine: str | Path | None = None,
        vectors: Mapping[str, str | Path] | None = None,
        time_zone: str = "UTC",
    ) -> Dataset:
        """Read ``events.*``, ``items.*`` and ``users.*`` (Parquet, CSV, CSV.gz, JSONL) of a folder.

        Parameters
        ----------
        columns
            Canonical name -> name in the files, for columns that are not found by their usual names; ``"items.title"``
            names the file where one column name would be ambiguous.
        kinds
            Own kinds of event, or other weights for the usual ones.
        keep_duplicates
            Keep rows that repeat another exactly (some data repeats legitimately).
        drop_bots
            Leave out users that behave like machines; they are reported either way.
        quarantine
            Where rejected rows are written, with line and reason; no file where None.
        vectors
            Files of item vectors by the name of their block (``{"image": "image.safetensors"}``), beside the folder's
            own columns of vectors; see ``palate.data.vectors``. A relative path starts at the folder.
        time_zone
            Of times of day that name no zone: ``"Asia/Shanghai"``. Numbers, and days without a time, stay.

        Raises
        ------
        DataError
            The folder cannot be used; the message says what was found, where, and what to do. Nothing was imported.
        """
        from palate.data.reading import load_folder

        return load_folder(
            Path(folder),
            columns=columns or {},
            kinds=tuple(kinds),
            keep_duplicates=keep_duplicates,
            drop_bots=drop_bots,
            quarantine=None if quarantine is None else Path(quarantine),
            vectors={name: Path(folder) / path for name, path in (vectors or {}).items()},
            time_zone=time_zone,
        )

    @classmethod
    def from_frames(
        cls,
        events: Any,
        items: Any = None,
        users: Any = None,
        *,
        columns: Mapping[str, str] | None = None,
        kinds: Iterable[Kind] = (),
        keep_duplicates: bool = False,
        drop_bots: bool = False,
        name: str = "data",
        time_zone: str = "UTC",
    ) -> Dataset:
        """The same from frames in memory (polars, pandas, Arrow, or a mapping of columns). See ``load``."""
        from palate.data.reading import load_frames

        return load_frames(
            events,
            items,
            users,
            columns=columns or {},
            kinds=tuple(kinds),
            keep_duplicates=keep_duplicates,
            drop_bots=drop_bots,
            name=name,
            time_zone=time_zone,
        )

    @classmethod
    def assemble(
        cls,
        events: pl.DataFrame,
        items: pl.DataFrame | None = None,
        users: pl.DataFrame | None = None,
        *,
        kinds: Kinds | None = None,
        name: str = "data",
        report: Report | None = None,
    ) -> Dataset:
        """From frames with canonical columns that are already validated and clean (what ``reading`` ends in).

        Events need ``user_id`` and, per event, ``timestamp`` (float64 seconds) or ``position``. Order within a user is
        the time where every event has one, ties by position; the position where only that is complete (some data
        counts positions from the start of each session, so it cannot come first); else the row in the frame. Whole-day
        times say nothing of the order within a day, and files often give it away (catalogue order): there, ties
        without a position go by item hash.
        """
        kinds = kinds or Kinds()
        if not events.height:
            raise DataError("there are no events to learn from")
        user_ids = Ids.hashed(events["user_id"].unique().to_list(), "user")
        mentioned = [*events["item_id"].drop_nulls().unique().to_list(), *shown_ids(events)]
        catalogue = Catalogue.of(items, mentioned)
        kind_position = {name: position for position, name in enumerate(kinds.names)}
        coded = events.with_columns(
            _codes(events["user_id"], user_ids).alias("user"),
            _codes(events["item_id"], catalogue.ids).alias("item"),
            (
                events["kind"].replace_strict(kind_position, return_dtype=pl.Int8)
                if "kind" in events.columns
                else pl.lit(kinds.position("purchase"), dtype=pl.Int8)
            ).alias("kind"),
            (
                pl.col("timestamp").cast(pl.Float64).fill_null(float("nan"))
                if "timestamp" in events.columns
                else pl.lit(float("nan"), dtype=pl.Float64)
            ).alias("time"),
        ).with_columns(
            pl.col("kind")
            .replace_strict(dict(enumerate(kinds.weights.tolist())), return_dtype=pl.Float32)
            .alias("weight")
        )
        ordered = coded.sort(_order(coded), maintain_order=True)
        drop = [name for name in ("user_id", "item_id", "timestamp", "position") if name in ordered.columns]
        front = ["user", "item", "time", "kind", "weight"]
        rest = [name for name in ordered.columns if name not in front and name not in drop]
        aligned = None
        if users is not None:
            spine = pl.DataFrame({"user_id": user_ids.names}, schema={"user_id": pl.String})
            aligned = spine.join(users, on="user_id", how="left", maintain_order="left")
        return cls(ordered.select(front + rest).rechunk(), user_ids, catalogue, aligned, kinds, name, report)

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.catalogue)

    @property
    def n_events(self) -> int:
        return self.events.height

    @property
    def item_ids(self) -> Ids:
        return self.catalogue.ids

    @cached_property
    def user_offsets(self) -> Int64Array:
        """First event row of each user; int64 (n_users + 1,)."""
        return np.searchsorted(self.events["user"].to_numpy(), np.arange(self.n_users + 1)).astype(np.int64)

    @cached_property
    def sequence_rows(self) -> Int64Array:
        """Rows of ``events`` that are evidence of interest: an item and a positive weight; int64."""
        events = self.events
        return np.nonzero((events["item"].to_numpy() >= 0) & (events["weight"].to_numpy() > 0))[0].astype(np.int64)

    @cached_property
    def sequences(self) -> Histories:
        """What each user showed interest in, oldest first; n_users rows. No copy where every event counts."""
        events, rows = self.events, self.sequence_rows
        whole = len(rows) == events.height
        indptr = self.user_offsets if whole else np.searchsorted(rows, self.user_offsets).astype(np.int64)

        def column(name: str) -> Any:
            values = events[name].to_numpy()
            return values if whole else values[rows]

        return Histories(indptr, column("item"), column("time"), column("kind"), column("weight"))

    @cached_property
    def has_times(self) -> bool:
        """Whether every event has a time."""
        return not bool(np.isnan(self.events["time"].to_numpy()).any())

    @cached_property
    def whole_days(self) -> bool:
        """Whether all known times are midnights, that is, dates."""
        return _whole_days(self.events["time"].to_numpy())

    @cached_property
    def popularity(self) -> Int64Array:
        """Events of interest per item; int64 (n_items,)."""
        return np.bincount(self.sequences.items, minlength=self.n_items).astype(np.int64)

    @cached_property
    def repeat_share(self) -> float:
        """Share of events of interest whose item the same user had before."""
        sequences = self.sequences
        if not len(sequences.items):
            return 0.0
        pairs = sequences.rows.astype(np.int64) * self.n_items + sequences.items
        return 1.0 - len(np.unique(pairs)) / len(pairs)

    @property
    def repeats(self) -> bool:
        """Whether people come back to the same things."""
        return self.repeat_share >= REPEATS

    def matrix(self) -> sparse.csr_matrix:
        """Weights of interest, users by items; float32 (n_users, n_items)."""
        return self.sequences.matrix(self.n_items)

    def queries(self, users: IntArray | None = None, k: int = 10, mask_seen: bool = True) -> Queries:
        """What to recommend next to these users (all where None), given everything here."""
        rows = np.arange(self.n_users, dtype=np.int32) if users is None else np.asarray(users, dtype=np.int32)
        history = self.sequences if users is None else self.sequences.take(rows)
        return Queries(history, k=k, mask_seen=mask_seen, users=rows)

    def only(self, keep: BoolArray) -> Dataset:
        """The same users and catalogue with only the events where ``keep`` (bool, (n_events,)) is true."""
        return replace(self, events=self.events.filter(pl.Series(keep)))

    @cached_property
    def fingerprint(self) -> str:
        """Hash (16 hex digits) of what models learn from: ids, events and item texts."""
        digest = xxhash.xxh3_64()
        for names in (self.user_ids.names, self.item_ids.names):
            digest.update("\x1f".join(names).encode())
        for name in ("user", "item", "time", "kind"):
            digest.update(self.events[name].to_numpy().tobytes())
        digest.update(self.catalogue.frame.hash_rows(seed=0).to_numpy().tobytes())
        return digest.hexdigest()


def _codes(series: pl.Series, ids: Ids) -> pl.Series:
    """Positions of ids, -1 for null."""
    table = pl.DataFrame(
        {"id": ids.names, "code": np.arange(len(ids), dtype=np.int32)}, schema_overrides={"id": pl.String}
    )
    joined = series.rename("id").to_frame().join(table, on="id", how="left", maintain_order="left")
    return joined["code"].fill_null(-1)


def _order(coded: pl.DataFrame) -> list[str]:
    times = coded["time"].to_numpy()
    positioned = "position" in coded.columns and coded["position"].null_count() == 0
    if positioned and np.isnan(times).any():
        return ["user", "position"]
    columns = ["user", "time"]
    if "position" in coded.columns:
        columns.append("position")
    if _whole_days(times) and not positioned:
        columns.append("item")
    return columns


def _whole_days(times: Float64Array) -> bool:
    known = times[~np.isnan(times)]
    return bool(len(known)) and bool((known % DAY == 0).all())

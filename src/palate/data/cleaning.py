"""What is put right between validation and the dataset: repeated rows, sessions, users that behave like machines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from palate.data.tables import Note, Table
from palate.data.validation import Checked

if TYPE_CHECKING:
    from palate.data.dataset import Dataset

SESSION_GAP = 1_800.0
"""Seconds without an event after which the next one opens another session, as web analytics has it."""

BOT_DEVIATIONS = 10.0
"""Robust standard deviations of the logarithm of users' busiest hours beyond which a user behaves like a machine."""

BOT_EVENTS = 300
"""Events in one hour below which nobody is taken for a machine."""

BOT_USERS = 20
"""Users without whom there is no saying what is usual."""


def merge_repeats(table: Table, checked: Checked, keep: bool) -> tuple[Checked, int]:
    """Leave out events whose whole row, unused columns included, repeats an earlier one, and known event ids.

    Parameters
    ----------
    keep
        Keep repeated rows. An event id given twice is one event all the same.
    """
    first = pl.repeat(True, checked.frame.height, dtype=pl.Boolean, eager=True)
    if not keep:
        hashes = table.frame.hash_rows(seed=0)
        first = (hashes if len(checked.rows) == len(hashes) else hashes.gather(checked.rows)).is_first_distinct()
    if "event_id" in checked.frame.columns:
        event_ids = checked.frame["event_id"]
        first = first & (event_ids.is_null() | event_ids.is_first_distinct())
    merged = len(first) - int(first.sum())
    if not merged:
        return checked, 0
    return replace(checked, frame=checked.frame.filter(first), rows=checked.rows.filter(first)), merged


def merge_same_id(checked: Checked, column: str) -> tuple[Checked, int]:
    """One row an id: of each property the last value given."""
    frame = checked.frame
    if not bool(frame[column].is_duplicated().any()):
        return checked, 0
    merged = frame.group_by(column, maintain_order=True).agg(pl.all().drop_nulls().last())
    rows = checked.rows.filter(frame[column].is_first_distinct())
    return replace(checked, frame=merged, rows=rows), frame.height - merged.height


def same_but_for_case(ids: pl.Series) -> tuple[Note, ...]:
    """Say which different ids differ in case only: often one thing written twice."""
    unique = ids.drop_nulls().unique().rename("id").to_frame()
    alike = (
        unique.with_columns(pl.col("id").str.to_lowercase().alias("lower"))
        .filter(pl.col("lower").is_duplicated())
        .sort("lower", "id")
    )
    if not alike.height:
        return ()
    return (Note("ids_case", {"count": alike.height, "examples": alike["id"].head(4).to_list()}),)


def with_sessions(dataset: Dataset) -> Dataset:
    """With ``session_id``: a new one after half an hour without an event, null where the time is unknown.

    A dataset that has sessions already, or no time at all, is given back as it is.
    """
    events = dataset.events
    times = events["time"].to_numpy()
    known = ~np.isnan(times)
    if "session_id" in events.columns or not known.any():
        return dataset
    users = events["user"].to_numpy()
    opens = np.ones(len(times), dtype=bool)
    opens[1:] = (users[1:] != users[:-1]) | (np.abs(np.diff(times)) > SESSION_GAP)
    numbers = pl.Series("session_id", np.cumsum(opens)).cast(pl.String)
    return replace(dataset, events=events.with_columns(numbers.set(pl.Series(~known), None)))


def bots(dataset: Dataset) -> tuple[list[str], int]:
    """Ids of users whose busiest hour is far above everybody else's, and the most events any had in an hour.

    Nobody is suspected where times are unknown or users are few.
    """
    times = dataset.events["time"].to_numpy()
    users = dataset.events["user"].to_numpy()
    known = ~np.isnan(times)
    users, hours = users[known], (times[known] // 3_600).astype(np.int64)
    if not len(users) or len(np.unique(users)) < BOT_USERS:
        return [], 0
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(users) != 0) | (np.diff(hours) != 0)]))
    runs = np.diff(np.append(starts, len(users)))
    busiest = np.zeros(dataset.n_users, dtype=np.int64)
    np.maximum.at(busiest, users[starts], runs)
    rates = np.log(busiest[busiest > 0])
    middle = np.median(rates)
    deviation = max(1.4826 * float(np.median(np.abs(rates - middle))), 0.3)
    limit = max(float(BOT_EVENTS), float(np.exp(middle + BOT_DEVIATIONS * deviation)))
    return dataset.user_ids.externals(np.flatnonzero(busiest > limit).tolist()), int(busiest.max())

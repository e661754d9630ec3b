"""Events as the analysis reads them, from a data set or from the event log of a running server."""

from __future__ import annotations

import polars as pl

from palate.data import Dataset
from palate.data.event_log import EventLog
from palate.data.log_table import log_table

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "user_id": pl.String,
    "timestamp": pl.Float64,
    "kind": pl.String,
    "price": pl.Float64,
    "quantity": pl.Float64,
    "value": pl.Float64,
    "dwell": pl.Float64,
    "currency": pl.String,
}


def events_of(dataset: Dataset) -> pl.DataFrame:
    """Events of a data set with external ids and names of kinds, columns as ``metrics.measured`` wants them."""
    names = pl.Series(dataset.kinds.names, dtype=pl.String)
    users = pl.Series(dataset.user_ids.names, dtype=pl.String)
    own = dataset.events
    kept = [name for name in SCHEMA if name in own.columns and name not in ("user_id", "timestamp", "kind")]
    return own.select(
        users.gather(own["user"]).alias("user_id"),
        own["time"].alias("timestamp"),
        names.gather(own["kind"]).alias("kind"),
        *kept,
    )


def events_of_log(log: EventLog, *, since: float = 0.0) -> pl.DataFrame:
    """Events of a log, and each answer as an ``impression`` of the one who was answered; units are pseudonyms.

    An event that does not say when it happened counts at the time it was written down.

    Parameters
    ----------
    since
        What was written earlier is left out; seconds since 1970 UTC.
    """
    fields = {name: (f"$.{name}", kind) for name, kind in SCHEMA.items() if name != "user_id"}
    events = log_table(log, "event", {**fields, "item_id": ("$.item_id", pl.String)}, since=since)
    answers = log_table(log, "answer", {}, since=since).with_columns(
        timestamp=pl.col("written"), kind=pl.lit("impression")
    )
    told = pl.concat([events, answers], how="diagonal").filter(pl.col("subject") != "")
    when = pl.coalesce("timestamp", "written")
    return told.select(pl.col("subject").alias("user_id"), when.alias("timestamp"), *[*SCHEMA][2:], "item_id").sort(
        "timestamp", maintain_order=True
    )

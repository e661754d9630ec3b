"""Events as the analysis reads them, from a data set or from the event log of a running server."""

from __future__ import annotations

from typing import Any

import polars as pl

from palate.data import Dataset
from palate.data.event_log import EventLog

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


def events_of_log(log: EventLog) -> pl.DataFrame:
    """Events of a log, and each answer as an ``impression`` of the one who was answered; units are pseudonyms.

    An event that does not say when it happened counts at the time it was written down.
    """
    rows: list[dict[str, Any]] = []
    for row in log.replay(("answer", "event")):
        told = {**row.body, "kind": "impression"} if row.sort == "answer" else row.body
        when = told.get("timestamp")
        rows.append(
            {name: told.get(name) for name in SCHEMA}
            | {"user_id": row.subject, "timestamp": row.time if when is None else when}
        )
    return pl.DataFrame(rows, schema=SCHEMA, strict=False).filter(pl.col("user_id") != "")

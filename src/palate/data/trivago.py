"""Hotel searches with the lists that were shown: the RecSys Challenge 2019 (Knees, Deldjoo et al., 2019).

The publisher's ``train.csv``, or a sample of it with the same columns as ``events.parquet``. For research only.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from palate.core import DataError, Kind
from palate.data.dataset import Dataset

_FILES = ("events.parquet", "train.csv")
_COLUMNS = ("user_id", "session_id", "timestamp", "step", "action_type", "reference", "device", "impressions", "prices")
_NO_ITEM = ("search for destination", "search for poi", "filter selection", "change of sort order")
"""Actions that refer to words, not to a hotel."""
_HOTEL = r"^\d+$"

KINDS = (
    Kind("interaction item image", 0.3),
    Kind("interaction item info", 0.3),
    Kind("interaction item rating", 0.3),
    Kind("interaction item deals", 0.4),
    Kind("search for item", 0.4),
)
"""What is done with a hotel beside the click-out, and what each is worth: a look, or somewhat more."""


def trivago(folder: str | Path) -> Dataset:
    """Sessions of hotel searches; click-outs carry the hotels shown, in order, and their prices.

    Searches, filters and orders of sorting become searches with their words as text. A session is that of one user:
    the publisher's file gives a few session ids to two.

    Parameters
    ----------
    folder
        Where one of the files is.

    Raises
    ------
    DataError
        There is no such file, or it lacks columns.
    """
    path = next((Path(folder) / name for name in _FILES if (Path(folder) / name).is_file()), None)
    if path is None:
        raise DataError(f"{folder} has neither {' nor '.join(_FILES)}. Ask the publisher of RecSys Challenge 2019.")
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=10_000)
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)}; it is no file of RecSys Challenge 2019.")
    hotel = ~pl.col("action_type").is_in(_NO_ITEM) & pl.col("reference").cast(pl.String).str.contains(_HOTEL)
    # A lookup whose reference is no hotel ("unknown") is kept as a search: it says that something was looked for.
    kind = pl.when(hotel).then(pl.col("action_type")).otherwise(pl.lit("search"))
    reference = pl.col("reference").cast(pl.String)
    events = frame.select(
        "user_id",
        pl.when(hotel).then(reference).alias("item_id"),
        "timestamp",
        pl.col("step").alias("position"),
        kind.alias("kind"),
        pl.concat_str("user_id", "session_id", separator=":").alias("session_id"),
        *([pl.col("city").alias("place")] if "city" in frame.columns else []),
        "device",
        pl.when(~hotel).then(reference).alias("text"),
        pl.when(hotel).then("impressions").alias("shown"),
        pl.when(hotel).then("prices").alias("shown_prices"),
    )
    return Dataset.from_frames(events, kinds=KINDS, keep_duplicates=True, name="trivago")

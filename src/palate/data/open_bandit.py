"""The Open Bandit Dataset: impressions of a fashion shop, with the odds at which each item was chosen."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import polars as pl

from palate.core import DataError, UsageError

POLICIES = ("random", "bts")
"""Evenly at random, and by Bernoulli Thompson sampling."""

CAMPAIGNS = ("all", "men", "women")

_ADDRESS = "https://research.zozo.com/data.html"
_ARCHIVE = "open_bandit_dataset.zip"
_NAMES = {"click": "click", "item_id": "item_id", "position": "position", "propensity_score": "propensity"}


def open_bandit(folder: str | Path, policy: str = "random", campaign: str = "men") -> pl.DataFrame:
    """Impressions logged by one policy in one campaign (Saito, Aihara, Matsutani and Narita, 2021).

    Parameters
    ----------
    folder
        Where the publisher's archive is, packed or unpacked, or a Parquet file called like ``random_men.parquet``. The
        archive has 11 gigabytes, so palate does not download it.
    policy
        One of ``POLICIES``.
    campaign
        One of ``CAMPAIGNS``.

    Returns
    -------
    One row an impression, oldest first: ``timestamp`` (UTC), ``item_id`` (text), ``position`` (1 to 3), ``click`` (0 or
    1), ``propensity`` (of the item at that position) and ``user_feature_0`` to ``user_feature_3`` (text).

    Raises
    ------
    UsageError
        There is no such policy or campaign.
    DataError
        The file is not there or is not what it should be.
    """
    for given, known in ((policy, POLICIES), (campaign, CAMPAIGNS)):
        if given not in known:
            raise UsageError(f"Open Bandit {given!r}: there are {', '.join(known)}")
    name, frame = _found(Path(folder), policy, campaign)
    told = [column for column in frame.columns if column.startswith("user_feature_")]
    if missing := {*_NAMES, "timestamp"} - set(frame.columns):
        raise DataError(f"{name} is not a file of the Open Bandit Dataset: it has no {', '.join(sorted(missing))}.")
    when = pl.col("timestamp").cast(pl.String).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    rows = frame.select(when, *(pl.col(old).alias(new) for old, new in _NAMES.items()), pl.col(told).cast(pl.String))
    rows = rows.with_columns(pl.col("item_id").cast(pl.String), pl.col("propensity").cast(pl.Float64))
    if rows.null_count().sum_horizontal().item():
        raise DataError(f"{name} has gaps or times that are no times; fetch it again from {_ADDRESS}.")
    return rows.sort("timestamp", maintain_order=True)


def _found(folder: Path, policy: str, campaign: str) -> tuple[str, pl.DataFrame]:
    inside = f"{policy}/{campaign}/{campaign}.csv"
    archive, parquet = folder / _ARCHIVE, folder / f"{policy}_{campaign}.parquet"
    try:
        for path in (folder / inside, folder / "open_bandit_dataset" / inside):
            if path.is_file():
                return str(path), pl.read_csv(path)
        if parquet.is_file():
            return str(parquet), pl.read_parquet(parquet)
        if archive.is_file():
            with zipfile.ZipFile(archive) as files:
                members = [member for member in files.namelist() if member.endswith(inside)]
                if members:
                    return f"{archive}: {members[0]}", pl.read_csv(io.BytesIO(files.read(members[0])))
    except (pl.exceptions.PolarsError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder}: {inside} cannot be read: {str(error).splitlines()[0]}.") from None
    raise DataError(f"{folder} holds no {inside}, {parquet.name} or {_ARCHIVE}. Fetch the dataset from {_ADDRESS}.")

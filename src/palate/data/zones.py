"""Times that name no zone, read as a clock on the wall showed them."""

from __future__ import annotations

import polars as pl

from palate.core import UsageError
from palate.data.tables import Note

UTC = "UTC"
_DAY = 86_400.0
_ASIDE = 3 * 3_600.0
"""Seconds before a gap of daylight saving time at which clocks certainly showed what they showed before it."""


def check_zone(zone: str) -> None:
    """Refuse what is no time zone.

    Raises
    ------
    UsageError
        There is no such zone.
    """
    _placed(pl.Series([0.0]), zone)


def from_wall(seconds: pl.Series, zone: str) -> tuple[pl.Series, tuple[Note, ...]]:
    """Seconds since 1970 UTC of what a clock showed, written as seconds since 1970 of its own.

    Of an hour that a clock showed twice the first is meant. One that it skipped is read as though it had not been put
    forward yet, so that order stays. Midnights throughout are days, not moments, and stay as they are.

    Parameters
    ----------
    seconds
        Float64 (n,), null where unknown.
    zone
        A name of the time zone database.

    Raises
    ------
    UsageError
        There is no such zone.
    """
    if zone == UTC:
        return seconds, ()
    known = seconds.drop_nulls()
    check_zone(zone)
    if not len(known) or bool((known % _DAY == 0).all()):
        return seconds, ()
    placed = _placed(seconds, zone)
    skipped = placed.is_null() & seconds.is_not_null()
    if skipped.any():
        placed = placed.zip_with(~skipped, _placed(seconds - _ASIDE, zone) + _ASIDE)
    return placed, (Note("zone_local", {"count": len(known), "zone": zone, "skipped": int(skipped.sum())}),)


def _placed(seconds: pl.Series, zone: str) -> pl.Series:
    wall = (seconds * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
    try:
        there = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    except pl.exceptions.PolarsError:
        raise UsageError(
            f"{zone!r} is not a time zone; write one as in 'America/New_York' or 'Asia/Shanghai'"
        ) from None
    return there.dt.epoch("us").cast(pl.Float64) / 1e6

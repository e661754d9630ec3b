"""What clocks say where people are: hours and weekdays in a time zone, or by the sun."""

from __future__ import annotations

import numpy as np

from palate.core import Float64Array, IntArray, UsageError

HOUR, DAY = 3600.0, 86_400.0
_THURSDAY = 3
"""1 January 1970."""


def local(times: Float64Array, east: Float64Array, zone: str) -> Float64Array:
    """Seconds since 1970 as a clock on the wall would count them; NaN stays.

    From UTC to a wall there are neither gaps nor doubled hours: daylight saving time needs no decision here.

    Parameters
    ----------
    times
        float64 (m,), seconds since 1970 UTC.
    east
        float64 (m,), hours ahead of Greenwich, used where ``zone`` is ``auto``.
    zone
        A name of the time zone database, or ``auto``.

    Raises
    ------
    UsageError
        There is no such time zone.
    """
    if zone == "auto":
        return np.asarray(times + east * HOUR)
    known = np.isfinite(times)
    answer = np.full(len(times), np.nan)
    if known.any():
        # Offsets change on quarters of an hour, so one look a quarter is enough.
        quarters, back = np.unique(np.floor(times[known] / 900.0), return_inverse=True)
        answer[known] = times[known] + _offsets(quarters * 900.0, zone)[back]
    else:
        _offsets(np.zeros(0), zone)
    return answer


def _offsets(times: Float64Array, zone: str) -> Float64Array:
    import polars as pl

    moments = pl.Series((times * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC"))
    try:
        there = moments.dt.convert_time_zone(zone)
        offsets = there.dt.base_utc_offset() + there.dt.dst_offset()
    except pl.exceptions.PolarsError:
        raise UsageError(
            f"{zone!r} is not a time zone; write one as in 'America/New_York' or 'Asia/Shanghai', or 'auto'"
        ) from None
    return offsets.dt.total_seconds().cast(pl.Float64).to_numpy()


def hour_of_day(clock: Float64Array) -> Float64Array:
    """0 up to 24; NaN stays."""
    return np.asarray(np.mod(clock, DAY) / HOUR)


def weekday(clock: Float64Array) -> Float64Array:
    """0 = Monday; NaN stays."""
    return np.asarray(np.mod(np.floor(clock / DAY) + _THURSDAY, 7.0))


def hour_of_week(clock: Float64Array) -> IntArray:
    """0 to 23 on working days, 24 to 47 at the weekend, -1 where unknown; int32."""
    hour = np.nan_to_num(hour_of_day(clock) + 24.0 * (weekday(clock) >= 5), nan=-1.0)
    return np.asarray(np.floor(hour), dtype=np.int32)


def apart(hour: Float64Array, other: Float64Array) -> Float64Array:
    """Hours between two hours of the day, the short way round; 0 to 12."""
    difference = np.abs(hour - other)
    return np.asarray(np.minimum(difference, 24.0 - difference))

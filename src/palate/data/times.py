"""Times of any usual form as seconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC as GREENWICH
from datetime import datetime

import polars as pl

from palate.data.tables import Note
from palate.data.zones import UTC, from_wall

_MISSING = ("", "nan", "nat", "null", "none", "na", "n/a", "<na>")
_UNITS = ((1e11, 1.0, "s"), (1e14, 1e-3, "ms"), (1e17, 1e-6, "us"), (float("inf"), 1e-9, "ns"))
"""Seconds stay below 1e11 until the year 5138, milliseconds are above it since 1973, and so on."""

_NUMBER = r"^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$"
_CLOCK = r"(?:[T\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)?"
_ZONE = r"\s*(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$"
_YEAR_FIRST = r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?" + _CLOCK + _ZONE
_YEAR_LAST = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK + r"\s*([AaPp][Mm])?$"
_WITH_CLOCK = r"\d:\d{2}"
_NAMES_ZONE = r"\d\s*(Z|z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$|\s[+-]\d{4}\s"
_TWITTER = "%a %b %d %H:%M:%S %z %Y"
_DAY = 86_400.0

YEAR_2100 = 4_102_444_800.0
"""Seconds since 1970 from which on a single moment is taken for milliseconds, and refused."""


def moment(value: object) -> object:
    """Seconds since 1970 UTC from a number of seconds or an ISO 8601 text with its zone; anything else stays as it is.

    Raises
    ------
    ValueError
        A text is no such time, or names no zone; a number is beyond the year 2100.
    """
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("neither seconds since 1970 nor an ISO 8601 time") from None
        if when.tzinfo is None:
            raise ValueError("a time without a zone; end it with Z or an offset such as +08:00")
        value = (when - datetime(1970, 1, 1, tzinfo=GREENWICH)).total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool) and value > YEAR_2100:
        raise ValueError("beyond the year 2100; are these milliseconds? Send seconds")
    return value


def to_seconds(series: pl.Series, zone: str = UTC) -> tuple[pl.Series, pl.Series, tuple[Note, ...]]:
    """Seconds since 1970 UTC, value by value.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their size, or dates where the whole column is
    written 20240131. Text is ISO 8601 with or without zone, year-first dates, or day/month/year in either order where
    the column shows which. Times of day that name no zone are of ``zone``; numbers, and days without a time, stay.

    Raises
    ------
    UsageError
        There is no such zone.

    Returns
    -------
    seconds
        Float64 (n,), null where there is no usable value.
    bad
        Boolean (n,), a value is there and is not a time.
    notes
        What was read otherwise than as plain seconds.
    """
    dtype = series.dtype
    nothing = pl.repeat(None, len(series), dtype=pl.Float64, eager=True)
    if isinstance(dtype, pl.Datetime):
        micros = series.dt.epoch("us").cast(pl.Float64) / 1e6
        wall = from_wall(micros, zone) if dtype.time_zone is None else (micros, ())
        return wall[0], pl.repeat(False, len(series), dtype=pl.Boolean, eager=True), wall[1]
    if dtype == pl.Date:
        days = series.cast(pl.Int32).cast(pl.Float64) * _DAY
        return days, pl.repeat(False, len(series), dtype=pl.Boolean, eager=True), ()
    if dtype == pl.String:
        return _of_texts(series.str.strip_chars(" \t\r\n\ufeff"), zone)
    if dtype.is_numeric():
        number = series.cast(pl.Float64).fill_nan(None)
        seconds, notes = _of_numbers(number)
        return seconds, number.is_not_null() & seconds.is_null(), notes
    return nothing, series.is_not_null(), ()


def _of_numbers(values: pl.Series) -> tuple[pl.Series, tuple[Note, ...]]:
    values = values.set(values.is_infinite().fill_null(False), None)
    dates = _compact_dates(values)
    if dates is not None:
        return dates, (Note("times_compact", {}),)
    size = values.abs()
    seconds = pl.repeat(None, len(values), dtype=pl.Float64, eager=True)
    units: dict[str, int] = {}
    below = 0.0
    for above, scale, unit in _UNITS:
        hit = ((size >= below) & (size < above)).fill_null(False)
        count = int(hit.sum())
        if count:
            units[unit] = count
            seconds = values if count == len(values) and scale == 1.0 else seconds.zip_with(~hit, values * scale)
        below = above
    mixed = (Note("times_mixed", {"units": units}),) if len(units) > 1 else ()
    return seconds, mixed


def _compact_dates(values: pl.Series) -> pl.Series | None:
    """Days written 20240131 throughout; as seconds they would all lie in August 1970."""
    known = values.drop_nulls()
    if not len(known) or not bool(((known >= 19_700_101) & (known <= 21_001_231) & (known == known.floor())).all()):
        return None
    days = values.cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d", strict=False)
    if days.null_count() > values.null_count():
        return None
    return days.cast(pl.Int32).cast(pl.Float64) * _DAY


def _of_texts(texts: pl.Series, zone: str) -> tuple[pl.Series, pl.Series, tuple[Note, ...]]:
    texts = texts.set(texts.str.to_lowercase().is_in(_MISSING).fill_null(False), None)
    seconds = pl.repeat(None, len(texts), dtype=pl.Float64, eager=True)
    notes: tuple[Note, ...] = ()
    numeric = texts.str.contains(_NUMBER).fill_null(False)
    if numeric.any():
        seconds, notes = _of_numbers(texts.set(~numeric, None).cast(pl.Float64, strict=False))
    for parse in (_year_first, _year_last, _twitter):
        left = (seconds.is_null() & texts.is_not_null() & ~numeric).arg_true()
        if not len(left):
            break
        if parse is _year_first and not numeric.any() and len(left) == len(texts):
            seconds = parse(texts)
        else:
            seconds = seconds.scatter(left, parse(texts[left]))
    bad = seconds.is_null() & texts.is_not_null()
    if zone == UTC:
        return seconds, bad, (*notes, *_mixed_zones(texts))
    local = (texts.str.contains(_WITH_CLOCK) & ~texts.str.contains(_NAMES_ZONE)).fill_null(False)
    placed, said = from_wall(seconds.set(~local, None), zone)
    return seconds.zip_with(~local, placed), bad, (*notes, *said)


def _mixed_zones(texts: pl.Series) -> tuple[Note, ...]:
    """What to say where some of the times of day name a zone and some do not."""
    clocked = texts.str.contains(_WITH_CLOCK).fill_null(False)
    zoned = clocked & texts.str.contains(_NAMES_ZONE).fill_null(False)
    with_zone, without = int(zoned.sum()), int((clocked & ~zoned).sum())
    return (Note("zones_mixed", {"with": with_zone, "without": without}),) if with_zone and without else ()


def _year_first(texts: pl.Series) -> pl.Series:
    parts = texts.rename("t").str.extract_groups(_YEAR_FIRST).struct
    year, month, day, *clock, zone = (parts.field(name) for name in parts.fields)
    return _assembled(year, month, day, clock) - _offset(zone)


def _year_last(texts: pl.Series) -> pl.Series:
    parts = texts.rename("t").str.extract_groups(_YEAR_LAST).struct
    one, two, year, hour, minute, second, fraction, half = (parts.field(name) for name in parts.fields)
    day_first = bool((one.cast(pl.Int32) > 12).any())
    month_first = bool((two.cast(pl.Int32) > 12).any())
    if day_first == month_first:  # no value tells, or the values contradict each other
        return pl.repeat(None, len(texts), dtype=pl.Float64, eager=True)
    day, month = (one, two) if day_first else (two, one)
    afternoon = half.str.to_lowercase()
    number = hour.cast(pl.Int32)
    number = number.zip_with(~((afternoon == "pm") & (number < 12)).fill_null(False), number + 12)
    number = number.zip_with(~((afternoon == "am") & (number == 12)).fill_null(False), number * 0)
    return _assembled(year, month, day, (number.cast(pl.String), minute, second, fraction))


def _twitter(texts: pl.Series) -> pl.Series:
    return texts.str.to_datetime(_TWITTER, time_unit="us", time_zone="UTC", strict=False).dt.epoch("us") / 1e6


def _assembled(year: pl.Series, month: pl.Series, day: pl.Series, clock: Sequence[pl.Series]) -> pl.Series:
    """Seconds of digits as text, null where there is no such moment; the clock is hour, minute, second, fraction."""
    *parts, fraction = (part.fill_null("0") for part in (month, day, *clock))
    padded = {str(place): part.str.zfill(2) for place, part in enumerate(parts)}
    frame = pl.DataFrame({"year": year, **padded})
    text = frame.select(pl.format("{}-{}-{} {}:{}:{}", "year", *padded)).to_series()
    moment = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False).dt.epoch("us")
    return moment.cast(pl.Float64) / 1e6 + ("0." + fraction).cast(pl.Float64, strict=False)


def _offset(zone: pl.Series) -> pl.Series:
    """Seconds east of Greenwich; 0 where no zone is given."""
    if zone.null_count() == len(zone):
        return pl.repeat(0.0, len(zone), eager=True)
    digits = zone.str.extract(r"^[+-](\d{2})").cast(pl.Float64).fill_null(0.0) * 3600
    minutes = zone.str.extract(r"^[+-]\d{2}:?(\d{2})$").cast(pl.Float64).fill_null(0.0) * 60
    sign = zone.str.starts_with("-").fill_null(False).cast(pl.Float64) * -2 + 1
    return (digits + minutes) * sign

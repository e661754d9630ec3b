"""Times of any usual form are seconds since 1970 UTC, and what is none is never guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.times import to_seconds

MOMENTS = st.datetimes(datetime(1974, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0))


def seconds(*values: Any, dtype: Any = None) -> list[float | None]:
    found, bad, _ = to_seconds(pl.Series(list(values), dtype=dtype, strict=False))
    assert bad.to_list() == [value is None and given is not None for value, given in zip(found, values, strict=True)]
    return found.to_list()


@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_numbers_are_read_by_their_size(moments: list[datetime], unit: int) -> None:
    true = [moment.replace(tzinfo=UTC).timestamp() for moment in moments]
    assert seconds(*(int(time) * unit for time in true)) == pytest.approx(true, abs=1e-3)


@given(
    st.lists(MOMENTS, min_size=1, max_size=5),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y年%m月%d日 %H:%M:%S"]),
    st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters))),
)
def test_text_is_iso_or_like_it_with_any_zone(moments: list[datetime], form: str, zone: timezone) -> None:
    true = [moment.replace(tzinfo=UTC).timestamp() for moment in moments]
    assert seconds(*(moment.strftime(form) for moment in moments)) == true
    away = [datetime.fromtimestamp(time, zone) for time in true]
    assert seconds(*(moment.strftime(form) + moment.strftime("%z") for moment in away)) == true
    assert seconds(*(moment.isoformat() for moment in away)) == true


def test_several_forms_in_one_column_are_read_value_by_value() -> None:
    found, bad, notes = to_seconds(
        pl.Series(
            ["1541599523", "2024-01-03", "2024-01-03T12:00:00.25Z", "1541599523000", "2O24-01-03", "", None, "NaN"]
        )
    )
    assert found.to_list() == [1541599523, 1704240000, 1704283200.25, 1541599523, None, None, None, None]
    assert bad.to_list() == [False, False, False, False, True, False, False, False]
    assert notes[0].values == {"units": {"s": 1, "ms": 1}}


def test_frames_have_times_of_their_own() -> None:
    assert seconds(datetime(2024, 1, 3, 12), None) == [1704283200, None]
    assert seconds(date(2024, 1, 3)) == [1704240000]
    shanghai = pl.Series([datetime(2024, 1, 3, 12)]).dt.replace_time_zone("Asia/Shanghai")
    assert to_seconds(shanghai)[0].to_list() == [1704283200 - 8 * 3600]


def test_day_and_month_are_told_apart_by_the_column_or_not_at_all() -> None:
    assert seconds("12/1/2010 8:26", "12/13/2010 8:26 PM") == [1291191960, 1292271960]
    assert seconds("1.12.2010", "13.12.2010") == [1291161600, 1292198400]
    assert seconds("1/2/2010", "3/4/2010") == [None, None]
    assert seconds("13/2/2010", "3/14/2010") == [None, None]


def test_compact_dates_are_days_not_seconds() -> None:
    assert seconds(20240131, 20231201) == [1706659200, 1701388800]
    assert seconds("20240131") == [1706659200]
    assert seconds(20240131, 20241301) == [20240131, 20241301]


@pytest.mark.parametrize(
    "value", ["yesterday", "2024-02-30", "2024-13-01", "25:00", "2024-01-01 24:61:00", True, float("inf"), b"x"]
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert seconds(value) == [None]


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.integers(-(10**19), 10**19).map(str)), max_size=6))
def test_no_text_breaks_the_reader(values: list[str | None]) -> None:
    found, bad, _ = to_seconds(pl.Series(values, dtype=pl.String))
    assert len(found) == len(bad) == len(values)
    assert found.dtype == pl.Float64
    assert not (found.is_not_null() & bad).any()

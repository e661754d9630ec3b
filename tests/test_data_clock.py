"""Local hours in a zone and by the sun, across the ends of daylight saving time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import UsageError
from palate.data import clock


def _seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


@given(
    st.lists(st.floats(0, 2e9), max_size=20), st.sampled_from(["America/New_York", "Asia/Shanghai", "Asia/Kathmandu"])
)
def test_local_times_are_those_of_the_time_zone_database(times: list[float], zone: str) -> None:
    found = clock.local(np.array(times), np.zeros(len(times)), zone)
    for seconds, wall in zip(times, found, strict=True):
        there = datetime.fromtimestamp(int(seconds), UTC).astimezone(ZoneInfo(zone))
        offset = there.utcoffset()
        assert offset is not None
        # Before time zones were laws, offsets changed at odd seconds.
        assert abs(wall - seconds - offset.total_seconds()) < 1e-3


def test_the_hour_that_is_missing_in_spring_and_the_one_there_twice_in_autumn() -> None:
    spring = np.array([_seconds(2012, 3, 11, 6, 59), _seconds(2012, 3, 11, 7, 0)])
    hours = clock.hour_of_day(clock.local(spring, np.zeros(2), "America/New_York"))
    np.testing.assert_allclose(hours, [1 + 59 / 60, 3.0])
    autumn = np.array([_seconds(2012, 11, 4, 5, 30), _seconds(2012, 11, 4, 6, 30)])
    hours = clock.hour_of_day(clock.local(autumn, np.zeros(2), "America/New_York"))
    np.testing.assert_allclose(hours, [1.5, 1.5])


def test_by_the_sun() -> None:
    noon = np.array([_seconds(2012, 6, 1, 12, 0), np.nan])
    np.testing.assert_allclose(clock.hour_of_day(clock.local(noon, np.array([-5.0, 0.0]), "auto")), [7.0, np.nan])


def test_weekdays() -> None:
    days = np.array([_seconds(2012, 1, day, 23, 59) for day in range(1, 9)])
    np.testing.assert_array_equal(clock.weekday(days), [6, 0, 1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(clock.hour_of_week(np.append(days[:2], np.nan)), [47, 23, -1])


def test_a_zone_that_does_not_exist() -> None:
    for times in (np.array([1e9]), np.zeros(0)):
        with pytest.raises(UsageError, match="'Mars/Olympus' is not a time zone"):
            clock.local(times, np.zeros(len(times)), "Mars/Olympus")


@given(st.floats(0, 24), st.floats(0, 24))
def test_hours_apart_go_the_short_way_round(one: float, other: float) -> None:
    gap = float(clock.apart(np.array(one), np.array(other)))
    assert 0 <= gap <= 12
    assert gap == pytest.approx(float(clock.apart(np.array(other), np.array(one))))

"""Times without a zone are read as clocks there showed them, daylight saving time included."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import UsageError
from palate.data import Dataset
from palate.data.times import to_seconds
from palate.data.zones import from_wall

ZONES = st.sampled_from(["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"])


@given(st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)), ZONES)
def test_a_clock_there_is_read_as_the_standard_library_does(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    wall = (moment - datetime(1970, 1, 1)).total_seconds()
    [read] = from_wall(pl.Series([wall + 1e-3 if wall % 86_400 == 0 else wall]), name)[0].to_list()
    # Twice-shown hours: the first (fold 0); skipped ones: with the offset of before the gap, which fold 0 has too.
    expected = moment.replace(tzinfo=zone, fold=0).timestamp()
    assert read == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-07-01 08:00:00", 1_719_792_000.0),  # 00:00 UTC
        ("2024-07-01T08:00:00Z", 1_719_820_800.0),  # says its zone itself
        ("2024-07-01 08:00:00+02:00", 1_719_813_600.0),
        ("1719792000", 1_719_792_000.0),
        ("2024-07-01", 1_719_792_000.0),  # a day is a day
    ],
)
def test_only_times_of_day_without_a_zone_are_moved(text: str, expected: float) -> None:
    seconds, bad, _ = to_seconds(pl.Series([text]), "Asia/Shanghai")
    assert seconds.to_list() == [expected]
    assert not bad.any()


def test_columns_of_moments_and_of_days() -> None:
    moments = pl.Series([datetime(2024, 7, 1, 8), None])
    seconds, _, notes = to_seconds(moments, "Asia/Shanghai")
    assert seconds.to_list() == [1_719_792_000.0, None]
    assert [note.code for note in notes] == ["zone_local"]
    aware = moments.dt.replace_time_zone("Europe/Berlin")
    assert to_seconds(aware, "Asia/Shanghai")[0][0] == 1_719_813_600.0
    days = pl.Series([datetime(2024, 7, 1), datetime(2024, 7, 2)])
    assert to_seconds(days, "Asia/Shanghai")[0][0] == 1_719_792_000.0


def test_a_folder_is_read_with_its_zone_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "user_id,item_id,timestamp\nu,a,2024-03-10 02:30:00\nu,b,2024-03-10 03:10:00\n"
    )
    dataset = Dataset.load(tmp_path, time_zone="America/New_York")
    assert dataset.report is not None
    assert "America/New_York" in dataset.report.words()
    assert "1 in an hour" in dataset.report.words()
    assert "America/New_York" in dataset.report.words("zh")
    plain = Dataset.load(tmp_path)
    assert (dataset.events["time"].min() - plain.events["time"].min()) == pytest.approx(4 * 3600, abs=3600)  # type: ignore[operator]


def test_what_is_no_zone_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\nu,a,2024-03-10 02:30:00\n")
    with pytest.raises(UsageError, match="'Mars/Base' is not a time zone"):
        Dataset.load(tmp_path, time_zone="Mars/Base")

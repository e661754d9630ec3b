"""From events to daily series, and the defects of a record on the way."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.forecast import By, Panel, SeriesSettings, daily
from palate.forecast.words import NOTES, in_words
from tests.conftest import shared_data
from tests.forecast_world import DAY, SATURDAY, START, dataset, sales


def codes(panel: Panel) -> set[str]:
    return {note.code for note in panel.notes}


@pytest.mark.parametrize("by", ["item", "category", "segment", "region", "total"])
def test_every_level_holds_all_of_demand(by: By) -> None:
    panel = daily(dataset(), by, segment="age")
    assert np.nansum(panel.values) == sales()["quantity"].sum()
    names = {"category": {"A", "B", "(none)"}, "segment": {"old", "young"}, "region": {"London", "Leeds"}}
    assert set(panel.ids.names) == names.get(by, set(panel.ids.names))
    assert panel.start == START
    assert panel.floor == 0.0


def test_closed_days_are_no_gap_and_a_hole_in_the_record_is() -> None:
    panel = daily(dataset(sales(skip=(40, 41, 42, 43))), "total")
    unknown = np.flatnonzero(np.isnan(panel.values[0]))
    assert set(unknown) >= {40, 41, 43}
    assert codes(panel) == {"gap"}
    saturdays = panel.days.astype(np.int64) % 7 == SATURDAY
    assert (np.nan_to_num(panel.values[0, saturdays]) == 0).all()
    assert codes(daily(dataset(), "total")) == set()
    one_day = daily(dataset(sales(skip=(43,))), "total")
    assert one_day.values[0, 43] == 0


def test_a_last_day_that_breaks_off_is_left_out() -> None:
    events = sales(130)
    last = float(events["timestamp"].max() // DAY * DAY)  # type: ignore[operator]
    whole = daily(dataset(events), "total")
    broken = daily(dataset(events.filter(pl.col("timestamp") < last + 12 * 3600)), "total")
    assert codes(broken) == {"cut"}
    assert broken.length == whole.length - 1
    begun = daily(dataset(events.filter(pl.col("timestamp") >= events["timestamp"].min() + 6 * 3600)), "total")  # type: ignore[operator]
    assert codes(begun) == {"begun"}


def test_returns_are_left_out_or_subtracted_and_said() -> None:
    back = (
        sales().head(1).with_columns(quantity=pl.lit(-50.0), timestamp=pl.lit(float(START.astype(int)) * DAY + 36_000))
    )
    events = pl.concat([sales(), back])
    gross = daily(dataset(events), "total")
    net = daily(dataset(events), "total", SeriesSettings(returns="subtract"))
    assert codes(gross) == {"returns_ignore"}
    assert codes(net) == {"returns_subtract"}
    assert gross.values[0, 0] - net.values[0, 0] == 50
    assert net.values[0, 0] < 0 == gross.floor
    assert net.floor == -np.inf


def test_days_of_23_and_25_hours_are_days() -> None:
    # Clocks of New York change on 2023-11-05 and 2024-03-10.
    hours = np.arange(0, 140 * 24)
    moments = (START.astype(np.int64) - 1) * DAY + hours * 3600.0
    events = pl.DataFrame({"user_id": ["u"] * len(hours), "item_id": ["i"] * len(hours), "timestamp": moments})
    panel = daily(dataset(events), "total", SeriesSettings(time_zone="America/New_York"))
    of = dict(zip(panel.days.astype(str).tolist(), panel.values[0], strict=True))
    assert (of["2023-11-05"], of["2023-11-06"], of["2024-03-10"], of["2024-02-29"]) == (25, 24, 23, 24)


def test_nothing_is_known_before_the_first_sale() -> None:
    events = sales().filter((pl.col("item_id") != "i1") | (pl.col("timestamp") > (float(START.astype(int)) + 60) * DAY))
    panel = daily(dataset(events), "item")
    late = panel.values[panel.ids.position("i1")]
    assert np.isnan(late[:60]).all()
    assert not np.isnan(late[62:]).any()


def test_old_days_are_left_out_and_said() -> None:
    panel = daily(dataset(), "item", SeriesSettings(most_days=50))
    assert panel.length == 50
    assert panel.days[-1] == daily(dataset(), "item").days[-1]
    assert "recent" in codes(panel)


def test_without_purchases_another_kind_is_demand_and_said() -> None:
    viewed = dataset(sales().with_columns(kind=pl.lit("view")))
    panel = daily(viewed, "total")
    assert codes(panel) == {"kind"}
    with pytest.raises(DataError, match="kinds here: view"):
        daily(viewed, "total", SeriesSettings(kind="purchase"))


def test_what_cannot_be_is_refused_in_words() -> None:
    world = dataset()
    with pytest.raises(UsageError, match="no time zone"):
        daily(world, "item", SeriesSettings(time_zone="Mars/Olympus"))
    with pytest.raises(UsageError, match="Known: age"):
        daily(world, "segment", segment="height")
    with pytest.raises(UsageError, match="no place"):
        daily(dataset(sales().drop("place")), "region")
    with pytest.raises(DataError, match="have no time"):
        daily(dataset(sales().drop("timestamp").with_columns(position=pl.int_range(pl.len()))), "item")


def test_every_note_speaks_both_languages() -> None:
    panel = daily(dataset(sales(skip=(43, 44))), "total")
    assert in_words(panel.notes)[0].startswith("2 days")
    assert "未知" in in_words(panel.notes, "zh")[0]
    for english, chinese in NOTES.values():
        assert set(english.split("{")[1:]) and english.count("{") == chinese.count("{")
    with pytest.raises(UsageError, match="en or zh"):
        in_words((), "fr")


def test_online_retail_as_it_is() -> None:
    lines = pl.read_parquet(shared_data("online-retail") / "lines.parquet").filter(pl.col("CustomerID").is_not_null())
    from palate.data import Dataset

    panel = daily(Dataset.from_frames(lines.drop("Description"), keep_duplicates=True), "total")
    assert {"cut", "returns_ignore", "gap"} <= codes(panel)
    assert panel.days[-1] == np.datetime64("2011-12-08")
    saturdays = panel.days.astype(np.int64) % 7 == SATURDAY
    assert (np.nan_to_num(panel.values[0, saturdays]) == 0).all()

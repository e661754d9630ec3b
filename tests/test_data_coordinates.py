"""Coordinates the wrong way round, out of range, at 0, 0; and times with and without a zone."""

from __future__ import annotations

import polars as pl
import pytest

from palate.data import items_frame
from palate.data.times import to_seconds


def _items(*pairs: tuple[object, object]) -> pl.DataFrame:
    rows = [{"item_id": f"i{place}", "lat": str(lat), "lon": str(lon)} for place, (lat, lon) in enumerate(pairs)]
    return pl.DataFrame(rows)


def _checked(*pairs: tuple[object, object]) -> tuple[list[tuple[float | None, float | None]], dict[str, object]]:
    found = items_frame(_items(*pairs))
    return list(found.frame.select("lat", "lon").iter_rows()), {note.code: note.values for note in found.notes}


def test_a_whole_table_the_wrong_way_round_is_turned() -> None:
    places, notes = _checked((116.4, 39.9), (121.5, 31.2), (87.6, 43.8))
    assert places == [(39.9, 116.4), (31.2, 121.5), (43.8, 87.6)]
    assert notes == {"places_turned": {"table": "items", "count": 3}}


def test_single_rows_the_wrong_way_round_are_turned_alone() -> None:
    places, notes = _checked((39.9, 116.4), (121.5, 31.2))
    assert places == [(39.9, 116.4), (31.2, 121.5)]
    assert notes["places_turned"] == {"table": "items", "count": 1}


def test_what_could_be_meant_is_said_and_left() -> None:
    places, notes = _checked((-73.98, 40.75), (-74.0, 40.7), (-73.9, 40.8))
    assert places[0] == (-73.98, 40.75)
    assert notes["places_polar"] == {"table": "items", "count": 3}


def test_what_cannot_be_is_left_empty() -> None:
    places, notes = _checked((40.7, -74.0), (400.0, 500.0), ("x", 12.0), (0, 0))
    assert places == [(40.7, -74.0), (None, None), (None, 12.0), (None, None)]
    assert notes["places_zero"] == {"table": "items", "count": 1}
    assert {"values_absurd", "values_unreadable"} <= set(notes)


@pytest.mark.parametrize(("lat", "lon"), [(40.7, -74.0), (-89.9, 0.1), (78.2, 15.6)])
def test_what_is_right_is_not_touched(lat: float, lon: float) -> None:
    assert _checked((lat, lon), (1.0, 2.0), (3.0, 4.0)) == ([(lat, lon), (1.0, 2.0), (3.0, 4.0)], {})


def test_mixed_zones_are_said() -> None:
    mixed = pl.Series(["2012-04-07T17:42:00Z", "2012-04-07T13:42:00-04:00", "2012-04-07 13:42", "2012-04-08"])
    seconds, bad, notes = to_seconds(mixed)
    assert not bad.any()
    assert seconds[0] == seconds[1] == seconds[2] + 4 * 3600
    assert [(note.code, dict(note.values)) for note in notes] == [("zones_mixed", {"with": 2, "without": 1})]
    assert to_seconds(mixed[:2])[2] == ()
    assert to_seconds(mixed[2:])[2] == ()

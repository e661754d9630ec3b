"""Whatever arrives is a dataset whose counts add up, or an error in words."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate.core import DataError, PalateError
from palate.data import Dataset, Report, events_frame
from palate.data.files import ENDINGS, read_table

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.integers(0, 3),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["a", "b", "2024-01-03", "1600000000", "view", "nan", "\ufeff", "&amp;", "1,5"]),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    st.binary(max_size=4),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(0, 9), max_size=2),
)
NAMES = st.sampled_from(
    [
        "user",
        "item",
        "time",
        "position",
        "kind",
        "rating",
        "quantity",
        "price",
        "event_id",
        "text",
        "lat",
        "x",
        "User ID",
    ]
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=8), max_size=8)
LIKELY = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from(["u", "v", 1, 1.0, None, "nan"]),
            "item": st.sampled_from(["a", "b", 2, None]),
            "time": st.one_of(st.integers(1, 10**9), st.sampled_from([None, "2024-01-03", "x", -5, 10**12, 9e18])),
        },
        optional={"kind": st.sampled_from(["view", "search", "Own", None]), "quantity": st.integers(-2, 2)},
    ),
    min_size=1,
    max_size=12,
)


def report_of(dataset: Dataset) -> Report:
    assert dataset.report is not None
    return dataset.report


def counts_add_up(dataset: Dataset, read: int) -> None:
    report = report_of(dataset)
    events = report.tables[0]
    assert events.read == read == events.kept + events.merged + events.dropped + events.rejected_rows
    assert events.kept == dataset.n_events == report.events
    assert report.words()
    assert report.words("zh")


def is_canonical(dataset: Dataset) -> None:
    events = dataset.events
    assert events.columns[:5] == ["user", "item", "time", "kind", "weight"]
    assert [events[name].dtype for name in events.columns[:5]] == [pl.Int32, pl.Int32, pl.Float64, pl.Int8, pl.Float32]
    users, times = events["user"].to_numpy(), events["time"].to_numpy()
    assert users.min() >= 0 and users.max() < dataset.n_users
    assert (np.diff(users) >= 0).all()
    assert events["item"].max() is None or int(events["item"].to_numpy().max()) < dataset.n_items
    assert np.nanmin(times, initial=0.0) >= 0
    assert len(dataset.sequences) == dataset.n_users


@settings(deadline=None, max_examples=60)
@given(ROWS, st.booleans(), st.booleans())
def test_any_rows_load_or_are_refused(rows: list[dict[str, Any]], keep: bool, drop: bool) -> None:
    try:
        dataset = Dataset.from_frames(rows, keep_duplicates=keep, drop_bots=drop)
    except PalateError as error:
        assert str(error)
        return
    counts_add_up(dataset, len(rows))
    is_canonical(dataset)


@settings(deadline=None, max_examples=60)
@given(LIKELY)
def test_likely_rows_load_with_every_row_accounted_for(rows: list[dict[str, Any]]) -> None:
    try:
        dataset = Dataset.from_frames(rows)
    except DataError as error:
        assert f"none of {len(rows)} rows" in str(error)
        return
    counts_add_up(dataset, len(rows))
    is_canonical(dataset)


@settings(deadline=None, max_examples=60)
@given(LIKELY)
def test_live_rows_are_kept_or_refused_one_by_one(rows: list[dict[str, Any]]) -> None:
    checked = events_frame(rows, now=1.7e9)
    assert checked.frame.height == len(checked.rows)
    refused = [refusal["line"] - 1 for refusal in checked.refusals()]
    assert sorted([*checked.rows.to_list(), *refused]) == list(range(len(rows)))


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_any_items_and_users_load_or_are_refused(rows: list[dict[str, Any]]) -> None:
    events = [{"user": "u", "item": "a", "time": 1}]
    for items, users in ((rows, None), (None, rows)):
        try:
            dataset = Dataset.from_frames(events, items, users)
        except DataError as error:
            assert str(error).endswith("imported.")
            continue
        table = report_of(dataset).tables[1]
        assert table.read == len(rows) == table.kept + table.merged + table.rejected_rows
        assert dataset.catalogue.frame["item_id"].to_list() == list(dataset.item_ids.names)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.sampled_from([ending for ending in ENDINGS if not ending.endswith(".gz")]),
    st.one_of(
        st.binary(max_size=60),
        st.text(st.sampled_from('ab1,;"\n\r\t {}[]:|é\ufeff'), max_size=60).map(str.encode),
        st.text(st.sampled_from('u1,"\n;'), max_size=40).map(lambda text: b"user,item,time\nu,a,1\n" + text.encode()),
    ),
)
def test_any_file_is_read_or_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"events{ending}"
    path.write_bytes(content)
    try:
        table = read_table(path, "events")
    except DataError as error:
        assert path.name in str(error)
        return
    assert table.frame.height == len(table.lines) or not table.frame.width
    try:
        dataset = Dataset.load(tmp_path)
    except DataError as error:
        assert "events" in str(error)
    else:
        counts_add_up(dataset, table.read)
    finally:
        path.unlink()

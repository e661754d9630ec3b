"""Real data with its real defects loads, and quickly."""

from __future__ import annotations

import time

import polars as pl
import pytest

from palate.data import Dataset
from tests.conftest import shared_data


@pytest.mark.parametrize(
    ("name", "users", "items", "events", "merged"),
    [
        ("beauty", 22_363, 12_101, 198_502, 0),
        ("scientific", 8_317, 4_344, 58_492, 0),
        ("phones", 27_879, 10_429, 137_277, 0),
        ("ml-100k", 943, 1_682, 100_000, 0),
        ("ml-1m", 6_040, 3_882, 999_611, 0),
        ("nyc", 1_083, 5_135, 147_480, 458),
        ("trivago", 6_593, 109_724, 100_003, 0),
    ],
)
def test_folders_load_as_described(name: str, users: int, items: int, events: int, merged: int) -> None:
    started = time.process_time()
    dataset = Dataset.load(shared_data(name))
    seconds = time.process_time() - started
    assert (dataset.n_users, dataset.n_items, dataset.n_events) == (users, items, events)
    assert dataset.report is not None
    assert dataset.report.tables[0].merged == merged
    assert dataset.report.trainable
    assert seconds < 30  # ten times what it takes; a quadratic step would pass this by far


def said(dataset: Dataset) -> str:
    assert dataset.report is not None
    return dataset.report.words()


def test_defects_of_the_film_data_are_counted() -> None:
    words = said(Dataset.load(shared_data("ml-1m")))
    assert "512,267 of 999,611 events have no time" in words
    assert "no row among the items: 1." in words
    assert '36 texts say nothing ("N/A"' in words


def test_entities_in_the_phones_texts_are_characters() -> None:
    dataset = Dataset.load(shared_data("phones"))
    assert "HTML entities in 2,334 texts" in said(dataset)
    assert "&amp;" not in "".join(dataset.catalogue.strings("description"))
    assert dataset.catalogue.has_text
    assert dataset.whole_days


def test_order_by_position_is_that_of_the_file() -> None:
    folder = shared_data("beauty")
    dataset = Dataset.load(folder)
    file = pl.read_parquet(folder / "events.parquet").filter(pl.col("user_id") == "77").sort("position")
    row = dataset.sequences.row(dataset.user_ids.position("77")).tolist()
    assert dataset.item_ids.externals(row) == file["item_id"].to_list()


def test_invoice_lines_load_by_their_own_names() -> None:
    lines = pl.read_parquet(shared_data("online-retail") / "lines.parquet")
    dataset = Dataset.from_frames(lines, lines.select("StockCode", "Description", "UnitPrice"))
    assert dataset.report is not None
    table = dataset.report.tables[0]
    assert {part.reason: part.count for part in table.rejected} == {"no_user": 135_080}
    assert table.read == 541_909 == table.kept + table.merged + 135_080
    kinds = dataset.events["kind"]
    assert int((kinds == dataset.kinds.position("return")).sum()) > 8_000
    assert dataset.events["quantity"].to_numpy().min() >= 0
    assert "differ from another in case only" in said(dataset)
    assert dataset.catalogue.has_text


def test_groceries_load_by_their_own_names() -> None:
    folder = shared_data("complete-journey")
    dataset = Dataset.from_frames(
        pl.read_parquet(folder / "transactions_sample.parquet"),
        pl.read_parquet(folder / "products.parquet"),
        pl.read_parquet(folder / "demographics.parquet"),
        columns={"items.title": "product_type"},
    )
    assert dataset.n_events == 75_000
    assert dataset.users is not None
    assert "basket_id" in dataset.events.columns
    assert dataset.catalogue.has_text


def test_whole_sessions_of_hotel_searches_keep_their_order() -> None:
    dataset = Dataset.load(shared_data("trivago"))
    events = dataset.events
    times, users = events["time"].to_numpy(), events["user"].to_numpy()
    same = users[1:] == users[:-1]
    assert (times[1:][same] >= times[:-1][same]).all()
    assert "clickout item" not in dataset.kinds.names

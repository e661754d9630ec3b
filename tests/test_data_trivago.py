"""Lists that were shown: from hotel searches, from impressions, from a column; and what the reader refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, Queries, Ragged, UsageError
from palate.core.histories import Histories
from palate.data import Dataset
from palate.data.shown import ShownLists
from palate.data.trivago import trivago
from tests.conftest import shared_data


def test_click_outs_of_hotel_searches_carry_their_lists() -> None:
    dataset = trivago(shared_data("trivago"))
    lists = ShownLists.of(dataset)
    assert len(lists) == 13_597
    assert int((lists.chosen < 0).sum()) == 1  # one click-out names a hotel that its list does not hold
    assert lists.lists.lengths.max() == 25
    assert not np.isnan(lists.prices).any()
    assert (np.diff(lists.times) >= 0).all()
    known = lists.take(lists.chosen >= 0)
    wanted = dataset.events["item"].to_numpy()[known.rows]
    assert (known.lists.values[known.targets] == wanted).all()
    assert set(lists.devices) == {"mobile", "desktop", "tablet"}


def test_words_that_were_searched_for_are_no_hotels() -> None:
    dataset = trivago(shared_data("trivago"))
    assert all(name.isdigit() for name in dataset.item_ids.names)
    searches = dataset.events.filter(pl.col("kind") == dataset.kinds.position("search"))
    assert searches["text"].null_count() == 0


def test_a_history_ends_before_its_list() -> None:
    dataset = trivago(shared_data("trivago"))
    lists = ShownLists.of(dataset).take(np.arange(500))
    queries = lists.queries(dataset)
    assert queries.when is not None
    ends = np.repeat(queries.when, queries.history.lengths)
    assert (queries.history.times <= ends).all()
    sequences, rows = dataset.sequences, dataset.sequence_rows
    for row in (3, 77, 401):
        user = lists.users[row]
        own = np.flatnonzero((sequences.rows == user) & (rows < lists.rows[row]))
        assert queries.history.row(row).tolist() == sequences.items[own].tolist()


@pytest.mark.parametrize("columns", [["user_id"], None])
def test_other_files_are_refused_in_words(tmp_path: Path, columns: list[str] | None) -> None:
    if columns is not None:
        pl.DataFrame({name: ["a"] for name in columns}).write_csv(tmp_path / "train.csv")
    with pytest.raises(DataError, match=r"session_id" if columns else r"neither events.parquet nor train.csv"):
        trivago(tmp_path)


def events(**more: object) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": ["u", "u", "u", "v"],
            "item_id": ["a", "b", None, "c"],
            "timestamp": [1_000_000.0, 1_000_010.0, 1_000_020.0, 1_000_030.0],
            "kind": ["view", "click", "impression", "click"],
            "session_id": ["1", "1", "1", "2"],
            **more,
        },
        strict=False,
    )


def test_a_column_of_ids_is_a_list_and_what_nobody_touched_is_an_item_too() -> None:
    frame = events(
        shown=[None, "a|b | z", "z,a", ["c"][0]],
        shown_prices=[None, "3|n/a|5.5", "1", "9"],
    )
    dataset = Dataset.from_frames(frame)
    assert "z" in dataset.item_ids
    lists = ShownLists.of(dataset)
    names = [dataset.item_ids.externals(lists.lists[row]) for row in range(len(lists))]
    assert names == [["a", "b", "z"], ["z", "a"], ["c"]]
    assert lists.chosen.tolist() == [1, -1, 0]
    # Prices that are not as many as the items say nothing sure of any of them.
    np.testing.assert_array_equal(lists.prices, np.array([3, np.nan, 5.5, np.nan, np.nan, 9], np.float32))
    assert lists.session.tolist() == [1, 2, 0]


def test_a_column_of_lists_reads_alike() -> None:
    shown = [None, ["a", "b"], None, ["c"]]
    dataset = Dataset.from_frames(events(shown=shown).filter(pl.col("item_id").is_not_null()))
    lists = ShownLists.of(dataset)
    assert [dataset.item_ids.externals(lists.lists[row]) for row in range(2)] == [["a", "b"], ["c"]]


def test_impressions_of_one_id_are_a_list_in_their_order() -> None:
    frame = pl.DataFrame(
        {
            "user_id": ["u"] * 4 + ["v"] * 2,
            "item_id": ["a", "b", "c", "b", "c", "a"],
            "timestamp": [5.0e8, 5.0e8, 5.0e8, 5.0e8 + 5, 5.0e8 + 9, 5.0e8 + 9],
            "kind": ["impression"] * 3 + ["click"] + ["impression"] * 2,
            "impression_id": ["l1"] * 4 + ["l2"] * 2,
            "position": [1, 2, 3, 4, 1, 2],
        }
    )
    dataset = Dataset.from_frames(frame)
    lists = ShownLists.of(dataset)
    assert [dataset.item_ids.externals(lists.lists[row]) for row in range(2)] == [["a", "b", "c"], ["c", "a"]]
    assert lists.chosen.tolist() == [1, -1]
    assert np.isnan(lists.prices).all()


def test_data_without_lists_has_none() -> None:
    assert len(ShownLists.of(Dataset.from_frames(events().filter(pl.col("item_id").is_not_null())))) == 0


def test_prices_of_questions_follow_their_questions() -> None:
    queries = Queries(
        Histories.empty(3),
        candidates=Ragged.of([[1, 2], [3], [4, 5, 6]]),
        prices=np.arange(6, dtype=np.float32),
        devices=("a", "b", "c"),
        as_shown=True,
    )
    taken = queries.take(np.array([2, 0], np.int32))
    assert taken.prices is not None
    assert taken.prices.tolist() == [3, 4, 5, 0, 1]
    assert taken.devices == ("c", "a")
    with pytest.raises(UsageError, match="2 prices for 1 candidates"):
        Queries(Histories.empty(1), candidates=Ragged.of([[1]]), prices=np.zeros(2, np.float32))

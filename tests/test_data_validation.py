"""Rows are canonical or rejected with a reason, whichever door they come in by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from palate.core import DataError, Kind, Kinds
from palate.data import Dataset, events_frame, items_frame, users_frame
from palate.data.values import LONGEST

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
GOOD = {"user_id": "u", "item_id": "a", "timestamp": 1_600_000_000}


def kinds_of(dataset: Dataset) -> list[str]:
    return [dataset.kinds.names[code] for code in dataset.events["kind"].to_list()]


def text_of(dataset: Dataset, name: str) -> list[str | None]:
    return dataset.catalogue.frame.sort("item_id")[name].to_list()


def codes(dataset: Dataset) -> set[str]:
    assert dataset.report is not None
    return {note.code for note in dataset.report.notes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_id": None}, "no_user"),
        ({"user_id": "  "}, "no_user"),
        ({"user_id": "NaN"}, "no_user"),
        ({"user_id": float("nan")}, "no_user"),
        ({"item_id": "null"}, "no_item"),
        ({"item_id": None, "kind": "view"}, "no_item"),
        ({"timestamp": "soon"}, "bad_time"),
        ({"timestamp": float("inf")}, "bad_time"),
        ({"timestamp": -1}, "before_1970"),
        ({"timestamp": "1969-12-31"}, "before_1970"),
        ({"timestamp": NOW + 2 * 86_400}, "future"),
        ({"timestamp": "2999-01-01"}, "future"),
        ({"kind": "borrow"}, "unknown_kind"),
    ],
)
def test_impossible_events_are_rejected_with_the_reason(change: dict[str, Any], reason: str) -> None:
    checked = events_frame([GOOD, {**GOOD, **change}, GOOD], now=NOW)
    assert checked.frame.height == 2
    assert checked.rows.to_list() == [0, 2]
    (refusal,) = checked.refusals()
    assert (refusal["line"], refusal["reason"]) == (2, reason)
    key = next(iter(change))
    assert key in refusal["row"]


def test_a_live_event_without_a_time_happens_now() -> None:
    checked = events_frame([{"user": 1, "item": 2}, {"user": 1, "item": 2, "time": None}], now=NOW)
    assert checked.frame["timestamp"].to_list() == [NOW, NOW]
    assert checked.frame["user_id"].to_list() == ["1", "1"]
    assert checked.frame["kind"].to_list() == ["purchase", "purchase"]


def test_live_and_read_events_are_the_same() -> None:
    rows = [{**GOOD, "rating": 4, "review": "  fine  "}, {**GOOD, "quantity": -2}, {**GOOD, "type": "Add_To_Cart"}]
    live = events_frame(rows, now=NOW).frame
    read = Dataset.from_frames(rows, keep_duplicates=True).events
    names = Kinds().names
    assert sorted(live["kind"].to_list()) == sorted(names[code] for code in read["kind"].to_list())
    assert sorted(live["value"].drop_nulls().to_list()) == read["value"].drop_nulls().to_list() == [4.0]
    assert read["text"].drop_nulls().to_list() == ["fine"]


def test_a_search_needs_no_item() -> None:
    dataset = Dataset.from_frames(
        [{**GOOD, "kind": "view"}, {**GOOD, "item_id": None, "kind": "search", "query": "tea"}]
    )
    assert sorted(dataset.events["item"].to_list()) == [-1, 0]
    assert dataset.sequences.lengths.tolist() == [1]


def test_searches_alone_are_no_catalogue_and_no_crash() -> None:
    dataset = Dataset.from_frames([{**GOOD, "item_id": None, "kind": "search"}])
    assert (dataset.n_items, dataset.n_events) == (0, 1)
    assert dataset.report is not None
    assert not dataset.report.trainable


def test_kinds_follow_from_what_there_is() -> None:
    assert kinds_of(Dataset.from_frames([GOOD])) == ["purchase"]
    assert kinds_of(Dataset.from_frames([{**GOOD, "rating": 3}])) == ["rating"]
    mixed = Dataset.from_frames([{**GOOD, "score": 3}, {**GOOD, "score": None}])
    assert sorted(kinds_of(mixed)) == ["purchase", "rating"]
    assert "kind_assumed" in codes(mixed)
    gaps = Dataset.from_frames([{**GOOD, "event": "VIEW "}, {**GOOD, "event": None}])
    assert sorted(kinds_of(gaps)) == ["purchase", "view"]
    assert "kind_gaps" in codes(gaps)
    assert kinds_of(Dataset.from_frames([{**GOOD, "行为": "加购"}])) == ["cart"]


def test_interest_that_is_taken_back_is_no_interest() -> None:
    rows = [("u", "a", "cart"), ("u", "a", "remove_from_cart"), ("u", "b", "listen"), ("v", "a", "取消收藏")]
    events = [{"user": user, "item": item, "time": 9, "event": kind} for user, item, kind in rows]
    dataset = Dataset.from_frames(events)
    weights = {kind.name: kind.weight for kind in dataset.kinds}
    assert (weights["remove_from_cart"], weights["取消收藏"], weights["listen"]) == (0.0, 0.0, 1.0)
    assert dataset.report is not None
    said = {
        note.code: note.values["kinds"] for note in dataset.report.notes if note.code in ("own_kinds", "withdrawals")
    }
    assert said == {"own_kinds": ["listen"], "withdrawals": ["remove_from_cart", "取消收藏"]}
    assert "[[data.kinds]]" in dataset.report.words("en") and "[[data.kinds]]" in dataset.report.words("zh")


def test_own_kinds_weigh_one_unless_told_otherwise() -> None:
    rows = [{**GOOD, "kind": "Borrow"}]
    dataset = Dataset.from_frames(rows)
    assert kinds_of(dataset) == ["borrow"]
    assert dataset.events["weight"].to_list() == [1.0]
    assert "own_kinds" in codes(dataset)
    assert Dataset.from_frames(rows, kinds=[Kind("borrow", 0.5)]).events["weight"].to_list() == [0.5]
    many = [{**GOOD, "kind": f"kind {n}"} for n in range(100)]
    with pytest.raises(DataError, match="100 kinds of event nobody has heard of"):
        Dataset.from_frames(many)


def test_a_negative_quantity_is_a_return() -> None:
    dataset = Dataset.from_frames([{**GOOD, "quantity": 2}, {**GOOD, "quantity": -3}])
    assert dict(zip(kinds_of(dataset), dataset.events["quantity"].to_list(), strict=True)) == {
        "purchase": 2.0,
        "return": 3.0,
    }
    assert dataset.sequences.lengths.tolist() == [1]


@pytest.mark.parametrize(
    ("given", "kept", "code"),
    [
        (-11_062.06, None, "values_absurd"),
        (float("nan"), None, None),
        (float("inf"), None, "values_unreadable"),
        ("$1,299.00", 1299.0, None),
        ("12,5 €", 12.5, None),
        ("￥88", 88.0, None),
        ("free", None, "values_unreadable"),
        ("", None, None),
    ],
)
def test_prices_are_numbers_or_nothing(given: object, kept: float | None, code: str | None) -> None:
    dataset = Dataset.from_frames([{**GOOD, "price": given}], [{"item_id": "a", "price": given}])
    assert dataset.events["price"].to_list() == [kept]
    assert dataset.catalogue.frame["price"].to_list() == [kept]
    assert ({"values_absurd", "values_unreadable"} & codes(dataset)) == ({code} if code else set())


def test_ids_with_gaps_in_other_frames_are_whole_again() -> None:
    rows = {"CustomerID": [17850.0, float("nan"), 13047.0], "StockCode": ["a", "a", "b"], "time": [1, 2, 3]}
    dataset = Dataset.from_frames(rows)
    assert set(dataset.user_ids.names) == {"17850", "13047"}
    assert dataset.report is not None
    (rejection,) = dataset.report.tables[0].rejected
    assert (rejection.reason, rejection.count, rejection.line) == ("no_user", 1, 2)


def test_texts_are_put_right_and_counted() -> None:
    items = [
        {"id": "a", "title": "\ufeffTom &amp; Jerry&reg; A&B", "plot": "N/A"},
        {"id": "b", "title": "x" * 1_000_000, "plot": "  fine "},
        {"id": "c", "title": None, "plot": "none"},
    ]
    dataset = Dataset.from_frames([GOOD], items)
    assert text_of(dataset, "title") == ["Tom & Jerry® A&B", "x" * LONGEST["title"], None]
    assert text_of(dataset, "description") == [None, "fine", None]
    assert {"texts_marks", "texts_entities", "texts_truncated", "texts_placeholders"} <= codes(dataset)


def test_of_an_item_given_twice_the_last_word_counts() -> None:
    rows = [{"id": "a", "title": "old", "brand": "B"}, {"id": "a", "title": "new"}, {"id": None, "title": "lost"}]
    dataset = Dataset.from_frames([GOOD], rows)
    assert dataset.catalogue.properties(0) == {"item_id": "a", "title": "new", "brand": "B"}
    assert dataset.report is not None
    table = dataset.report.table("items")
    assert table is not None
    assert (table.read, table.kept, table.merged, table.rejected_rows) == (3, 1, 1, 1)


def test_other_columns_of_items_are_properties() -> None:
    checked = items_frame([{"sku": 1, "name": "x", "tags": ["a", "b"], "facts": {"n": 1}, "n": 3, "ok": True}])
    assert checked.frame.to_dicts() == [
        {"item_id": "1", "title": "x", "tags": "a|b", "facts": '{"n":1}', "n": 3, "ok": True}
    ]
    assert users_frame([{"id": 7, "age": 3}, {"age": 4}]).refusals()[0]["reason"] == "no_user"


def test_ids_differing_in_case_only_are_said() -> None:
    dataset = Dataset.from_frames([GOOD, {**GOOD, "item_id": "A"}])
    assert dataset.n_items == 2
    assert dataset.report is not None
    assert any("(A, a)" in sentence for sentence in dataset.report.sentences("note"))


def test_mixed_types_in_one_column_are_text() -> None:
    checked = events_frame([{**GOOD, "user_id": 1}, {**GOOD, "user_id": "1"}, {**GOOD, "user_id": 1.0}], now=NOW)
    assert checked.frame["user_id"].to_list() == ["1", "1", "1"]


def test_frames_with_odd_types_are_read() -> None:
    frame = pl.DataFrame({"user": ["u"], "item": [b"\xe8\x8c\xb6"], "time": [1.5], "place": [["a", "b"]]}).with_columns(
        pl.col("user").cast(pl.Categorical)
    )
    dataset = Dataset.from_frames(frame)
    assert dataset.item_ids.names == ("茶",)
    assert dataset.events["place"].to_list() == ["a|b"]

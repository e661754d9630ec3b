"""Columns are found by their usual names, asked for where it is not certain, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import DataError, UsageError
from palate.data.columns import SCHEMAS, check_mapping, find_columns, normal, rarer_names


@given(
    st.sampled_from([column for column in SCHEMAS["events"] if column.name not in ("user_id", "item_id")]), st.data()
)
def test_every_usual_name_is_found_in_any_spelling(column: object, data: st.DataObject) -> None:
    name, aliases = column.name, column.aliases  # type: ignore[attr-defined]
    alias = data.draw(st.sampled_from([name, *aliases, *rarer_names("events", name)]))
    spelling = data.draw(st.sampled_from([str.upper, str.title, lambda text: text.replace("_", " ") + " "]))
    found = find_columns("events", ["user_id", "item_id", "position", spelling(alias)], {}, "x")
    if name != "position":
        assert found.names[name] == spelling(alias)


def test_case_spaces_and_punctuation_do_not_matter() -> None:
    assert normal("InvoiceDate") == normal("invoice_date") == normal(" Invoice-Date ") == normal("ＩnvoiceDate")
    found = find_columns("events", ["CustomerID", "StockCode", "InvoiceDate", "InvoiceNo", "Note"], {}, "x")
    assert found.names == {
        "user_id": "CustomerID",
        "item_id": "StockCode",
        "timestamp": "InvoiceDate",
        "basket_id": "InvoiceNo",
    }
    assert found.unused == ("Note",)


def test_what_is_due_and_missing_is_named_with_what_was_found() -> None:
    with pytest.raises(DataError, match=r"log\.csv: no column for user_id among 'a', 'item'.*--columns user_id="):
        find_columns("events", ["a", "item"], {}, "log.csv")
    with pytest.raises(DataError, match=r"timestamp \(or position"):
        find_columns("events", ["user", "item"], {}, "log.csv")
    assert find_columns("events", ["user", "item"], {}, "live", order_due=False).names.keys() == {"user_id", "item_id"}


def test_several_that_matter_are_an_error_and_a_mapping_settles_it() -> None:
    names = ["user", "asin", "parent_asin", "time"]
    with pytest.raises(DataError, match=r"item_id could be any of 'asin', 'parent_asin'"):
        find_columns("events", names, {}, "x")
    assert find_columns("events", names, {"item_id": "asin"}, "x").names["item_id"] == "asin"
    both = find_columns("events", [*names[:2], "time", "date"], {"timestamp": "date"}, "x")
    assert both.names["timestamp"] == "date"
    with pytest.raises(DataError, match="timestamp could be any of"):
        find_columns("events", [*names[:2], "time", "date"], {}, "x")


def test_the_canonical_name_leaves_no_question() -> None:
    assert find_columns("items", ["id", "sku", "item_id"], {}, "x").names["item_id"] == "item_id"
    assert find_columns("items", ["id", "sku"], {}, "x").names["item_id"] == "sku"


def test_shops_of_many_trades_need_no_mapping() -> None:
    for head in (
        ["Client ID", "Product Code", "Order Date"],
        ["reviewerID", "asin", "overall", "reviewText", "reviewTime"],
        ["reader", "news_id", "visited_at"],
        ["会员编号", "商品编码", "下单时间", "单价"],
        ["用户编号", "商品编号", "时间"],
    ):
        assert {"user_id", "item_id", "timestamp"} <= find_columns("events", head, {}, "x").names.keys(), head
    goods = find_columns("items", ["商品编号", "品名", "类目", "售价"], {}, "x")
    assert goods.names == {"item_id": "商品编号", "title": "品名", "category": "类目", "price": "售价"}


def test_a_rarer_name_never_competes_with_a_usual_one() -> None:
    events = ["reviewerID", "customer_id", "asin", "product_code", "unixReviewTime", "reviewTime"]
    names = find_columns("events", events, {}, "x").names
    assert names == {"user_id": "customer_id", "item_id": "asin", "timestamp": "unixReviewTime"}
    assert find_columns("items", ["id", "hotel_id"], {}, "x").names["item_id"] == "id"
    with pytest.raises(DataError, match="user_id could be any of 'buyer', 'guest'"):
        find_columns("events", ["buyer", "guest", "item", "time"], {}, "x")


def test_several_that_do_not_matter_are_chosen_and_said() -> None:
    found = find_columns("events", ["user", "item", "time", "country", "city"], {}, "x")
    assert found.names["place"] == "city"
    assert [note.code for note in found.notes] == ["column_chosen"]


def test_a_column_can_be_left_out() -> None:
    assert "kind" not in find_columns("events", ["user", "item", "time", "type"], {"kind": ""}, "x").names


def test_a_mapping_to_nothing_is_an_error_where_it_matters() -> None:
    with pytest.raises(DataError, match="no column 'when' to use as timestamp; found: 'user', 'item'"):
        find_columns("events", ["user", "item"], {"timestamp": "when"}, "x")
    assert find_columns("users", ["id"], {"user_id": "who"}, "x").names == {"user_id": "id"}
    for key in ("nonsense", "items.kind", "shops.title"):
        with pytest.raises(UsageError, match="no column palate knows"):
            check_mapping({key: "a"})
    check_mapping({"kind": "a", "items.title": "b", "title": "c"})

"""Invoice lines lose what is no sale, and nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from palate.core import DataError
from palate.data import Baskets
from palate.data.invoices import invoices, online_retail
from palate.models.association import AssociationSettings, mined
from tests.conftest import shared_data

LINES = pl.DataFrame(
    [
        ("1", "85123A", "HEART HOLDER", 6, "2010-12-01 08:26", 2.5, "17850", "UK"),
        ("1", "85123a", "heart holder?", 6, "2010-12-01 08:26", 2.5, "17850", "UK"),
        ("1", "22423", "CAKESTAND", 1, "2010-12-01 08:26", 12.0, "17850", "UK"),
        ("1", "POST", "POSTAGE", 1, "2010-12-01 08:26", 18.0, "17850", "UK"),
        ("C2", "22423", "CAKESTAND", -1, "2010-12-02 08:26", 12.0, "17850", "UK"),
        ("3", "22423", "CAKESTAND", 1, "2012-02-29 23:59", 12.0, None, "UK"),
        ("3", "85123A", "HEART HOLDER", 1, "2012-02-29 23:59", 2.5, None, "UK"),
        ("4", "21000", None, -38, "2010-12-02 14:42", 0.0, None, "UK"),
    ],
    schema=["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"],
    orient="row",
)


def test_what_is_no_sale_is_left_out_and_counted() -> None:
    said: list[str] = []
    dataset = invoices(LINES, say=said.append)
    assert sorted(dataset.item_ids.names) == ["22423", "85123A"]
    assert sorted(dataset.user_ids.names) == ["17850", "guest-3"]
    assert dict(zip(dataset.item_ids.names, dataset.catalogue.titles, strict=True))["85123A"] == "HEART HOLDER"
    assert "1 of codes that are no goods and 1 without a price" in said[0]
    assert "1 codes differed in case only; 2 lines without a customer are of guests" in said[0]
    back = dataset.events.filter(pl.col("kind") == dataset.kinds.position("return"))
    assert back["quantity"].to_list() == [1.0]
    baskets = Baskets.of(dataset)
    assert sorted(baskets.contents.lengths.tolist()) == [2, 2]


def test_guests_may_be_left_out() -> None:
    dataset = invoices(LINES, guests=False, say=lambda _: None)
    assert dataset.user_ids.names == ("17850",) or list(dataset.user_ids.names) == ["17850"]


def test_files_that_are_no_invoices_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="save its"):
        online_retail(tmp_path)
    with pytest.raises(DataError, match="UnitPrice is missing"):
        invoices(LINES.drop("UnitPrice"))
    with pytest.raises(DataError, match="sells anything"):
        invoices(LINES.filter(pl.col("StockCode") == "POST"), say=lambda _: None)
    LINES.write_csv(tmp_path / "data.csv")
    assert online_retail(tmp_path, say=lambda _: None).n_items == 2


def test_the_shops_own_rules_are_found() -> None:
    said: list[str] = []
    dataset = online_retail(shared_data("online-retail"), say=said.append)
    assert "131,553 lines without a customer are of guests" in said[0]
    assert not any(name in {"POST", "M", "DOT"} for name in dataset.item_ids.names)
    rules = mined(Baskets.of(dataset), dataset.n_items, AssociationSettings(support=0.02, confidence=0.3))
    first = rules.best("leverage", 1).records(dataset.catalogue.titles)[0]
    assert "REGENCY TEACUP AND SAUCER" in first["if"][0]
    assert "REGENCY TEACUP AND SAUCER" in first["then"][0]
    assert first["baskets"] > 500

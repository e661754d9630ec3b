"""Mistakes in prices, price files and questions: contained, or refused in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.data import Catalogue
from palate.pricing.asking import MOST_ITEMS, Question
from palate.pricing.beliefs import Believed
from palate.pricing.book import PriceBook
from palate.pricing.configuration import PricingSettings
from palate.pricing.quoting import opened
from palate.privacy import Vault
from tests.pricing_desk import FREE, Open, clock, line, open_shop, vault
from tests.pricing_world import Clock, Nearest, shop

__all__ = ["clock", "open_shop", "vault"]


def told(catalogue: dict[str, list[Any]]) -> Catalogue:
    return Catalogue.of(pl.DataFrame({"item_id": [f"x{row}" for row in range(len(catalogue["price"]))], **catalogue}))


def test_bad_prices_are_contained(open_shop: Open) -> None:
    catalogue = told(
        {
            "price": [100.0, 0.0, -5.0, None, 1e15, 100.0, 100.0, 100.0, 100.0],
            "cost": [40.0, 1.0, 1.0, 1.0, 1.0, 130.0, None, 40.0, 40.0],
            "floor": [None, None, None, None, None, None, None, 95.0, None],
            "ceiling": [None, None, None, None, None, None, None, 90.0, None],
            "currency": ["EUR", "EUR", None, "EUR", "EUR", "eur", "EUR", "EUR", "USD"],
        }
    )
    quoter = open_shop(catalogue=catalogue, inputs=())
    lines = [line(quoter, f"x{row}") for row in range(9)]
    assert [each.price for each in lines] == [90.0, None, None, None, None, 100.0, 100.0, 100.0, 100.0]
    assert [each.clips[:1] for each in lines] == [
        (), ("unknown",), ("unknown",), ("unknown",), ("unknown",), ("conflict",), ("unknown",), ("conflict",),
        ("currency",),
    ]  # fmt: skip
    assert lines[8].currency == "USD"
    mistakes = " ".join(quoter.shelf.book.mistakes())
    for word in ("no price", "no list price", "cost above", "no cost", "floor above", "another currency"):
        assert word in mistakes


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"items": ()}, "no items"),
        ({"items": ("i1", "i1")}, "twice"),
        ({"items": tuple(f"i{row}" for row in range(MOST_ITEMS + 1))}, "200 at most"),
        ({"items": ("i1",), "currency": "USD"}, "in EUR, not USD"),
        ({"items": ("i1",), "told": {"loyalty": math.nan}}, "finite number"),
        ({"items": ("i1",), "language": "fr"}, "speaks en and zh"),
    ],
)
def test_questions_that_make_no_sense_are_refused(open_shop: Open, question: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_shop().quote(Question(**question))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("item_id,cost\ni1,-3\n", "row 2: cost '-3' is no price"),
        ("item_id,list_price\ni1,0\n", "no price"),
        ("item_id,list_price\ni1,cheap\n", "'cheap' is no price"),
        ("item_id,list_price\ni1,1e300\n", "no price"),
        ("item_id,cost\ni1,3,4\n", "row 2 has too many or too few fields"),
        ("item_id,cost\nzz,3\n", "unknown item 'zz'"),
        ("item_id,cost\ni1,3\ni1,4\n", "stands there twice"),
        ("item,cost\ni1,3\n", "no column item_id"),
        ("item_id,colour\ni1,3\n", "none of the columns"),
    ],
)
def test_a_price_file_with_mistakes_is_refused_whole(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words) as error:
        PriceBook.of(shop(), "EUR", path)
    assert "Nothing was taken" in str(error.value)


def test_a_price_file_goes_before_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("item_id,list_price,cost,floor,currency\ni1,19.99,,15,\ni2,,7.5,,usd\n", encoding="utf-8")
    book = PriceBook.of(shop(), "EUR", path)
    first, second = book.catalogue.ids.positions(["i1", "i2"])
    assert (book.list_price[first], book.cost[first], book.floor[first]) == (19.99, 5.5, 15.0)
    assert (book.list_price[second], book.cost[second], book.currency[second]) == (12.0, 7.5, "USD")


def test_a_new_item_is_priced_at_once(tmp_path: Path, vault: Vault, clock: Clock) -> None:
    shelf = [shop()]
    values = PricingSettings(enabled=True, guard=FREE, rungs=31)
    quoter = opened(lambda: shelf[0], values, Believed(Nearest(), "m1"), vault, tmp_path, clock=clock)
    assert line(quoter, "new").price is None
    shelf[0] = shelf[0].extended(pl.DataFrame({"item_id": ["new"], "price": [50.0], "cost": [10.0]}))
    assert line(quoter, "new").price == 45.0
    quoter.close()


def test_a_broken_number_in_the_catalogue_means_the_list_price(open_shop: Open) -> None:
    catalogue = told({"price": [100.0, 100.0], "cost": [40.0, 40.0], "stock": [3.0, None]})
    quoter = open_shop(Nearest(pull=0.0), catalogue=catalogue)
    assert [line(quoter, item).price for item in ("x0", "x1")] == [90.0, 100.0]

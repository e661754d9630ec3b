"""Chinese behaviour finds Chinese goods."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.data import Catalogue
from palate.language import LexicalEncoder, behaviour_text, choose_encoder, item_texts
from tests.chinese_shop import chinese_items

WISH = "购买了智能手机和耳机，浏览了平板电脑和智能手表的页面"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.of(chinese_items())


def test_the_shop_is_what_it_says(catalogue: Catalogue) -> None:
    ids = catalogue.frame["item_id"]
    assert ids.str.starts_with("g").sum() == 20
    assert ids.str.starts_with("o").sum() == 200
    assert catalogue.frame["title"].n_unique() == 220


@pytest.mark.parametrize("category", ["none", "leaf", "path"])
def test_gadgets_fill_the_first_ten(catalogue: Catalogue, category: str) -> None:
    from palate.language import ItemTextSettings

    texts = item_texts(catalogue, ItemTextSettings.model_validate({"category": category}))
    encoder = LexicalEncoder().fit(texts)
    cosines = encoder.encode([WISH]) @ encoder.encode(texts).T
    first = np.argsort(-cosines[0], kind="stable")[:10]
    chosen = catalogue.frame[first.tolist()]
    assert chosen["item_id"].str.starts_with("g").all(), chosen


def test_all_four_kinds_of_gadget_are_wished_for(catalogue: Catalogue) -> None:
    texts = item_texts(catalogue)
    encoder = LexicalEncoder().fit(texts)
    cosines = (encoder.encode([WISH]) @ encoder.encode(texts).T)[0]
    best = catalogue.frame.with_columns(pl.Series("cosine", cosines)).sort("cosine", descending=True).head(20)
    assert best.filter(pl.col("item_id").str.starts_with("g"))["category"].n_unique() == 4


def test_behaviour_is_said_as_a_shop_assistant_would() -> None:
    kinds = ["purchase", "view", "purchase", "view"]
    assert behaviour_text(["智能手机", "平板电脑", "耳机", "智能手表"], kinds, "zh") == WISH


def test_chinese_texts_choose_the_lexical_encoder(catalogue: Catalogue) -> None:
    choice = choose_encoder(item_texts(catalogue))
    assert choice.encoder == "lexical"
    assert "Chinese" in choice.reason

"""Willingness: what is learnt from purchases, what is told of people, how it enters a price, and that off means off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.data import Dataset
from palate.engine.pricing import willingness_of
from palate.language.scorer import ScorerSettings, TextScorer
from palate.language.tuning.settings import TrunkSettings, TuningSettings
from palate.pricing.asking import Question
from palate.pricing.beliefs import Believed
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.guardrails import GuardSettings
from palate.pricing.quoting import Quoter, opened
from palate.pricing.willingness import (
    Willingness,
    WillingnessSettings,
    described,
    fit_willingness,
    lessons,
    told_before,
)
from palate.privacy import Vault
from tests import pricing_world
from tests.pricing_world import Nearest
from tests.serving_fake import FakeEngine
from tests.tuning_world import GOODS, tiny_model


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


def shop(people: int = 60) -> Dataset:
    """People of four shelves buy the dearest of their own, after having bought another of it; the cheap one is left."""
    rows, rng = [], np.random.default_rng(0)
    for person in range(people):
        shelf = person % 4
        for step, good in enumerate((3 * shelf, 3 * shelf + 2)):
            rows.append((f"u{person}", f"g{good}", 1_700_000_000.0 + 60 * step, "purchase"))
        other = 3 * int(rng.integers(0, 4)) + 1
        rows.append((f"u{person}", f"g{other}", 1_700_000_030.0, "view"))
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "kind"], orient="row")
    items = {
        "item_id": [f"g{place}" for place in range(12)],
        "title": GOODS,
        "category": [f"shelf{place // 3}" for place in range(12)],
        "price": [10.0 + 5 * (place % 3) for place in range(12)],
    }
    return Dataset.from_frames(events, items)


def test_lessons_say_what_was_paid_and_what_was_left() -> None:
    own = lessons(shop(), WillingnessSettings(left=1))
    assert len(own.users) == len(own.items) == len(own.worth) == len(own.rows)
    taken = own.worth > 0
    assert taken.sum() == 60
    assert (own.worth[taken] > 0.5).all()
    assert (own.worth <= 1).all()
    assert (own.worth[~taken] == 0).all()


def test_what_is_told_lies_before_the_purchase() -> None:
    data = shop(8)
    kinds, times = data.events["kind"].to_numpy(), data.events["time"].to_numpy()
    last = np.flatnonzero((kinds == data.kinds.position("purchase")) & (times == 1_700_000_060.0))
    titles = data.catalogue.titles
    for row, text in zip(last, told_before(data, last), strict=True):
        assert titles[data.events["item"][int(row)]] not in text
        assert "bought" in text
    chinese = told_before(data, last, WillingnessSettings(language="zh"))
    assert all("买" in text or "购" in text for text in chinese)


def test_thin_texts_are_completed_and_others_are_not() -> None:
    data = shop(4)
    completed = dict.fromkeys(data.item_ids.names, "a generous description of the thing")
    goods = data.catalogue
    whole = described(goods, WillingnessSettings(thin=1_000), completed=completed)
    assert all("generous" in text for text in whole)
    assert not any("generous" in text for text in described(goods, WillingnessSettings(thin=1), completed=completed))
    bare = Dataset.from_frames({"user_id": ["a"], "item_id": ["b"], "timestamp": [1.7e9]})
    assert described(bare.catalogue) == ["b"], "what has no text is called by its id"


def test_a_taught_score_knows_whose_shelf_it_is(tmp_path: Path) -> None:
    model = str(tiny_model(tmp_path / "bert", "bert"))
    scorer = ScorerSettings(
        kind="regression",
        model=model,
        trunk=TrunkSettings(method="frozen", rank=4, precision="fp32", dropout=0.0),
        course=TuningSettings(epochs=30, batch=32, learning_rate=1e-2, patience=30),
        width=32,
        dropout=0.0,
    )
    data = shop(240)
    taught, own = fit_willingness(data, WillingnessSettings(scorer=scorer))
    said = taught.of(own.users, own.items)
    taken = own.worth > 0
    assert said[taken].mean() > said[~taken].mean() + 0.2
    assert taught.of([""], own.items[:1]).tolist() == [0.0], "of somebody unknown nothing is guessed"
    taught.save(tmp_path / "kept")
    again = Willingness.load(tmp_path / "kept")
    assert again.settings == taught.settings
    np.testing.assert_array_equal(again.of(own.users, own.items), said)


def test_nothing_taught_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="palate willingness"):
        Willingness.load(tmp_path)
    (tmp_path / "willingness.json").write_text(json.dumps({"events": "many"}), encoding="utf-8")
    with pytest.raises(UsageError, match="Teach it again"):
        Willingness.load(tmp_path)


class Reader(TextScorer):
    """Thinks that whoever did much would pay half."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def predict(self, left: Any, right: Any, **_: Any) -> np.ndarray:
        self.read.extend(left)
        return np.array([0.5 if "much" in text else 0.25 for text in left])


class Remembering(FakeEngine):
    """Knows what ann did."""

    def behaviour(self, user: str, events: int, language: str = "en") -> str:
        return "bought much" if user == "ann" else ""


class Shop:
    """Two hundred items at prices that fall with what somebody is thought to take."""

    def __init__(self, folder: Path, **use: Any) -> None:
        self.reader, self.vault, self.asked = Reader(), Vault(folder / "vault.sqlite"), 0
        goods = pricing_world.shop()
        engine = Remembering(
            Dataset.from_frames({"user_id": ["ann"], "item_id": ["i1"], "timestamp": [1.7e9]}, goods.frame)
        )
        told = willingness_of(engine, Willingness(self.reader, WillingnessSettings()))

        def score(user: str, items: Any) -> list[float]:
            self.asked += 1
            return [0.25] * len(items)

        inputs = (Input(name="taste", source="score"), Input(name="would", source="willingness"))
        guard = GuardSettings(session_seconds=0, cool_down_seconds=0, step=1.0)
        settings = PricingSettings(enabled=True, inputs=inputs, guard=guard, rungs=61, willingness=use)
        believed = Believed(Nearest(share=1.0, pull=-0.2), "m1")
        self.quoter: Quoter = opened(
            lambda: engine.catalogue, settings, believed, self.vault, folder, score=score, willingness=told
        )

    def close(self) -> None:
        self.quoter.close()
        self.vault.close()

    def price(self, user: str = "ann", **terms: Any) -> Any:
        asked = Question(("i91",), self.vault.pseudonym(user), user=user, **{"consent": True, **terms})
        return self.quoter.quote(asked)


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Any]:
    shops: list[Shop] = []

    def open_one(**use: Any) -> Shop:
        folder = tmp_path / str(len(shops))
        folder.mkdir()
        shops.append(Shop(folder, **use))
        return shops[-1]

    yield open_one
    for one in shops:
        one.close()


def test_what_somebody_would_take_enters_the_price_of_who_agreed(open_shop: Any) -> None:
    own = open_shop()
    quote = own.price()
    assert own.reader.read == ["bought much"] and own.asked == 1
    assert quote.lines[0].personal and quote.lines[0].price < quote.lines[0].list_price
    unknown = own.price("bob").lines[0]
    assert own.reader.read == ["bought much"], "of bob nothing is known: nothing is read"
    assert quote.lines[0].price < unknown.price


@pytest.mark.parametrize(
    ("use", "terms", "why"),
    [
        ({"enabled": False}, {}, "switched off by the shop"),
        ({}, {"jurisdiction": "CN"}, "not allowed by the pack 'cn'"),
        ({}, {"consent": False}, "no consent"),
    ],
)
def test_switched_off_by_merchant_law_or_person_nobody_is_asked_and_everybody_pays_alike(
    open_shop: Any, use: dict[str, Any], terms: dict[str, Any], why: str
) -> None:
    own = open_shop(**use)
    quotes = [own.price(user, **terms) for user in ("ann", "bob")]
    assert quotes[0].lines[0].price == quotes[1].lines[0].price
    assert not any(quote.lines[0].personal for quote in quotes)
    assert own.reader.read == [] and own.asked == 0
    assert set(quotes[0].left_out.values()) == {why}
    assert set(quotes[0].left_out) == {"taste", "would"}


def test_without_priced_purchases_it_is_refused_in_words() -> None:
    views = {"user_id": ["a", "a"], "item_id": ["b", "c"], "timestamp": [1.7e9, 1.7e9 + 1], "kind": ["view", "view"]}
    with pytest.raises(DataError, match="purchases with a price"):
        lessons(Dataset.from_frames(views))
    with pytest.raises(DataError, match="regression"):
        fit_willingness(shop(4), WillingnessSettings(scorer=ScorerSettings(kind="classification")))

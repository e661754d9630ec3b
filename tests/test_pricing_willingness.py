"""Willingness: what is learnt from purchases, what is told of people, and that off means off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.core import DataError
from palate.data import Dataset
from palate.language.scorer import ScorerSettings, TextScorer
from palate.language.tuning.settings import TrunkSettings, TuningSettings
from palate.pricing.willingness import (
    NAMES,
    PERSONAL,
    WillingnessSettings,
    described,
    fit_willingness,
    lessons,
    told_before,
    willingness_features,
)
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
    whole = described(data, WillingnessSettings(thin=1_000), completed=completed)
    assert all("generous" in text for text in whole)
    assert not any("generous" in text for text in described(data, WillingnessSettings(thin=1), completed=completed))
    bare = Dataset.from_frames({"user_id": ["a"], "item_id": ["b"], "timestamp": [1.7e9]})
    assert described(bare) == ["b"], "what has no text is called by its id"


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
    taught = fit_willingness(data, WillingnessSettings(scorer=scorer))
    own = lessons(data)
    said = willingness_features(taught, own.users, own.items, allowed=True)[:, 0]
    taken = own.worth > 0
    assert said[taken].mean() > said[~taken].mean() + 0.2
    taught.save(tmp_path / "kept")
    again = TextScorer.load(tmp_path / "kept")
    np.testing.assert_array_equal(willingness_features(again, own.users, own.items, allowed=True)[:, 0], said)


class Untouchable(TextScorer):
    """A scorer that must not be asked."""

    def predict(self, *_: object, **__: object) -> np.ndarray:
        raise AssertionError("texts of people were read though that was switched off")


def test_switched_off_nothing_of_a_person_enters() -> None:
    scores = np.array([0.3, 0.9], dtype=np.float32)
    off = willingness_features(Untouchable(), ["likes polish"] * 2, GOODS[:2], scores, allowed=False)
    assert off.shape == (2, len(NAMES))
    assert not off.any()
    assert all(PERSONAL)
    with pytest.raises(AssertionError):
        willingness_features(Untouchable(), ["likes polish"] * 2, GOODS[:2], scores, allowed=True)


def test_engine_scores_pass_and_unknown_ones_are_zero() -> None:
    scores = np.array([0.25, np.nan], dtype=np.float32)
    columns = willingness_features(None, ["a", "b"], ["c", "d"], scores, allowed=True)
    assert columns[:, 1].tolist() == [0.25, 0.0]
    assert not columns[:, 0].any()
    with pytest.raises(DataError, match="one each"):
        willingness_features(None, ["a"], ["c", "d"], allowed=True)
    with pytest.raises(DataError, match="scores of the engine"):
        willingness_features(None, ["a", "b"], ["c", "d"], scores[:1], allowed=True)


def test_without_priced_purchases_it_is_refused_in_words() -> None:
    views = {"user_id": ["a", "a"], "item_id": ["b", "c"], "timestamp": [1.7e9, 1.7e9 + 1], "kind": ["view", "view"]}
    with pytest.raises(DataError, match="purchases with a price"):
        lessons(Dataset.from_frames(views))
    with pytest.raises(DataError, match="regression"):
        fit_willingness(shop(4), WillingnessSettings(scorer=ScorerSettings(kind="classification")))

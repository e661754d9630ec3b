"""Sentiment: learnt from ratings, saved and loaded the same, and a lexicon that knows negation in both languages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xxhash

from palate.core import ArtefactError, DataError
from palate.language import SentimentModel, SentimentSettings, learn_sentiment, tones
from palate.language.tone import EMOTIONS
from tests.conftest import shared_data

FEW_BITS = SentimentSettings(bits=16)


@pytest.fixture(scope="module")
def reviews() -> pl.DataFrame:
    folder = shared_data("zh-shopping-reviews")
    frame = pl.read_parquet(folder / "reviews.parquet").drop_nulls().unique("review", maintain_order=True)
    return frame.sample(9_000, seed=0, shuffle=True)


def test_chinese_reviews_nobody_taught_it_are_told_apart(reviews: pl.DataFrame) -> None:
    texts = reviews["review"].to_list()
    labels = reviews["label"].to_numpy() == 1
    held = np.array([xxhash.xxh3_64_intdigest(text.encode()) % 5 == 0 for text in texts])
    model = SentimentModel().fit([texts[row] for row in np.nonzero(~held)[0]], labels[~held])
    asked, answers = [texts[row] for row in np.nonzero(held)[0]], labels[held]
    scores = model.score(asked)
    assert ((scores > 0) == answers).mean() >= 0.90
    sure = np.abs(scores) > 0.9
    assert ((scores > 0) == answers)[sure].mean() >= 0.95
    lexicon = SentimentModel().score(asked)
    assert ((lexicon > 0) == answers).mean() >= 0.80


def test_english_reviews_are_told_apart_and_a_saved_model_says_the_same(tmp_path: Path) -> None:
    frame = pl.read_parquet(shared_data("deceptive-opinion") / "reviews.parquet").unique("text", maintain_order=True)
    stars = pl.when(pl.col("polarity") == "positive").then(5.0).otherwise(1.0).alias("value")
    held = pl.Series([xxhash.xxh3_64_intdigest(text.encode()) % 5 == 0 for text in frame["text"]])
    events, asked = frame.filter(~held).select("text", stars), frame.filter(held).select("text", stars)
    model = learn_sentiment(events, FEW_BITS)
    assert model.taught
    texts, answers = asked["text"].to_list(), asked["value"].to_numpy() > 3
    assert ((model.score(texts) > 0) == answers).mean() >= 0.90
    model.save(tmp_path / "sentiment")
    again = SentimentModel.load(tmp_path / "sentiment")
    np.testing.assert_array_equal(model.score(texts), again.score(texts))
    assert again.why(texts[0]) == model.why(texts[0])
    (tmp_path / "sentiment" / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(ArtefactError, match="damaged"):
        SentimentModel.load(tmp_path / "sentiment")


def test_what_a_text_adds_up_to_is_its_score() -> None:
    good, bad = ["great and cosy", "真的很好用"] * 20, ["awful and noisy", "一点也不好用"] * 20
    model = SentimentModel(FEW_BITS).fit([*good, *bad], [True] * 40 + [False] * 40)
    assert (model.score(["great", "好用，很好", "awful", "一点也不"]) > 0).tolist() == [True, True, False, False]
    assert model.score(["", "zzz"]).tolist() == [0.0, 0.0]
    assert model.why("awful and noisy")[0][1] < 0
    assert ((model.score([*good, *bad]) > 0) == ([True] * 40 + [False] * 40)).all()
    assert np.abs(model.score(good + bad)).max() <= 1


def test_too_few_reviews_are_said_so_and_the_lexicon_answers() -> None:
    with pytest.raises(DataError, match="only 1 of 3 reviews"):
        SentimentModel().fit(["a", "b", "c"], [True, True, False])
    with pytest.raises(DataError, match="one label for each"):
        SentimentModel().fit(["a"], [True, False])
    untaught = learn_sentiment(pl.DataFrame({"text": ["nice"], "value": [5.0]}))
    assert not untaught.taught
    assert untaught.score(["lovely, thank you"])[0] > 0 > untaught.score(["a terrible waste"])[0]
    assert not learn_sentiment(pl.DataFrame({"user_id": ["a"]})).taught


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("I love it, works great", True),
        ("not good at all", False),
        ("never disappointed", True),
        ("It wasn't bad", True),
        ("a complete waste of money", False),
        ("很好，物美价廉", True),
        ("质量不好", False),
        ("非常失望，垃圾", False),
        ("从来没失望过", True),
        ("味道很臭，恶心", False),
    ],
)
def test_the_lexicon_knows_negation_in_both_languages(text: str, good: bool) -> None:
    assert (tones([text])[0].score > 0) == good


def test_feelings_are_named() -> None:
    def strongest(text: str) -> str:
        return tones([text])[0].emotions[0][0]

    assert strongest("太生气了，骗子") == "anger"
    assert strongest("谢谢老板") == "gratitude"
    assert strongest("So disappointed, what a waste") == "disappointment"
    assert strongest("worried it is unsafe") == "worry"
    assert tones(["the box is blue"])[0].emotions == ()
    found = {
        name for text in ("开心", "恶心", "担心", "伤心", "正品", "没想到") for name, _ in tones([text])[0].emotions
    }
    assert found <= set(EMOTIONS)
    assert len(found) == 6

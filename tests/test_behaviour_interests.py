"""Several interests: gathered as the themes are, moved by an event as by a rebuild, and said within a budget."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.behaviour import (
    Branch,
    InterestMap,
    InterestModel,
    InterestsSettings,
    Names,
    RecencySettings,
    count_tokens,
    item_features,
    named,
    summary,
)
from palate.core import Histories
from palate.data import Catalogue
from palate.language import LexicalEncoder, item_texts

DAY = 86_400.0
THEMES, EACH, WIDTH = 6, 10, 16
RNG = np.random.default_rng(0)
VECTORS = (np.repeat(RNG.normal(size=(THEMES, WIDTH)) * 3, EACH, axis=0) + RNG.normal(size=(60, WIDTH))).astype("f4")
MAP = InterestMap(
    InterestModel(VECTORS, Branch("text", "given", "已给出"), RecencySettings()),
    InterestsSettings(most=4, likeness=0.85),
)
KINDS = ("Tea", "Coffee", "Phones", "Sofas", "Novels", "Shoes")
CHINESE = ("茶叶", "咖啡", "手机", "沙发", "小说", "鞋子")
CATALOGUE = Catalogue.of(
    pl.DataFrame(
        {
            "item_id": [f"i{item:02d}" for item in range(60)],
            "title": [f"{KINDS[item // EACH]} number {item}" for item in range(60)],
            "category": [f"Shop > {KINDS[item // EACH]}" for item in range(60)],
            "category_zh": [f"商店 > {CHINESE[item // EACH]}" for item in range(60)],
        }
    )
)


def position(item: int) -> int:
    return CATALOGUE.ids.position(f"i{item:02d}")


def over_catalogue(settings: InterestsSettings | None = None) -> InterestMap:
    vectors = np.empty_like(VECTORS)
    vectors[CATALOGUE.ids.positions(f"i{item:02d}" for item in range(60))] = VECTORS
    return InterestMap(InterestModel(vectors, MAP.model.branch, RecencySettings()), settings or MAP.settings)


@given(st.lists(st.tuples(st.integers(0, 59), st.floats(0, 1e8)), max_size=25))
def test_events_one_by_one_keep_the_weight_and_the_bounds(events: list[tuple[int, float]]) -> None:
    interests = MAP.begin()
    for item, time in events:
        before = interests.totals.copy()
        moved = MAP.update(interests, item, time)
        np.testing.assert_array_equal(interests.totals, before)
        interests = moved
    assert len(interests) <= 4
    assert (interests.weights >= 0).all()
    if events:
        assert interests.shares.sum() == pytest.approx(1)
        assert interests.time == max(time for _, time in events)
        assert events[-1][0] in interests.items[:, 0]


def test_a_rebuild_finds_the_themes_and_their_dates_and_moods() -> None:
    items = [3, 4, 25, 26, 27, 5]
    history = Histories.of([items], [[DAY * day for day in range(6)]])
    moods = np.array([1.0, np.nan, -1.0, -0.5, np.nan, 0.5])
    interests = MAP.build(history, moods)
    assert len(interests) == 2
    tea, phones = np.argsort([row[row >= 0].min() for row in interests.items])
    assert interests.counts.tolist() == [3, 3]
    assert (interests.first[tea], interests.last[tea]) == (0.0, 5 * DAY)
    assert (interests.first[phones], interests.last[phones]) == (2 * DAY, 4 * DAY)
    assert interests.moods[tea] > 0.5 > -0.5 > interests.moods[phones]
    assert interests.items[tea, :3].tolist() == [5, 4, 3]


def test_an_event_moves_interests_as_a_rebuild_would() -> None:
    items = [3, 25, 4, 26, 5, 44]
    times = [DAY * day for day in range(6)]
    moved = MAP.begin()
    for item, time in zip(items, times, strict=True):
        moved = MAP.update(moved, item, time, mood=0.5)
    rebuilt = MAP.build(Histories.of([items], [times]), np.full(6, 0.5))
    by_item = [np.argsort(interests.items[:, 0]) for interests in (moved, rebuilt)]
    for name in ("totals", "weights", "counts", "first", "last", "moods"):
        np.testing.assert_allclose(getattr(moved, name)[by_item[0]], getattr(rebuilt, name)[by_item[1]], atol=1e-5)


def test_the_weakest_gives_way_where_there_are_as_many_as_are_kept() -> None:
    interests = MAP.begin()
    for theme in range(5):
        interests = MAP.update(interests, theme * EACH, DAY * theme)
    assert len(interests) == 4
    assert 0 not in interests.items
    assert interests.counts.tolist() == [1, 1, 1, 1]


def test_interests_are_said_strongest_first_and_within_their_budget() -> None:
    own = over_catalogue()
    items = [position(item) for item in (1, 2, 3, 4, 21, 22, 41)]
    history = Histories.of([items], [[DAY * day for day in range(7)]])
    told = named(own.build(history, np.ones(7)), Names(CATALOGUE), "en")
    assert {one.name for one in told} == {"Tea", "Phones", "Novels"}
    assert sum(one.share for one in told) == pytest.approx(1)
    long = summary(told, 8 * DAY, tokens=200)
    assert all(word in long for word in ("Tea", "Phones", "Novels", "4 times", "once", "content", "days ago"))
    lengths = []
    for tokens in (12, 25, 45, 90):
        text = summary(told, 8 * DAY, tokens=tokens)
        assert count_tokens(text) <= tokens
        lengths.append(len(text))
    assert lengths == sorted(lengths)
    assert summary(told, math.nan, tokens=12).startswith(f"Interested in {told[0].name}")
    chinese = summary(named(own.build(history), Names(CATALOGUE), "zh"), 8 * DAY, tokens=100, language="zh")
    assert "手机" in chinese
    assert "天前" in chinese
    assert summary([], 0.0) == "No interest known yet."


def test_interests_of_one_name_are_said_once() -> None:
    own = over_catalogue(InterestsSettings(likeness=0.999))
    items = [position(item) for item in range(10)]
    interests = own.build(Histories.of([items]))
    assert len(interests) > 1
    assert [one.name for one in named(interests, Names(CATALOGUE))] == ["Tea"]


def test_without_categories_words_give_the_name() -> None:
    bare = Catalogue.of(CATALOGUE.frame.select("item_id", "title"))
    assert "tea" in Names(bare).of(np.array([bare.ids.position(f"i{item:02d}") for item in range(5)], dtype=np.int32))
    assert Names(bare).of(np.array([-1], dtype=np.int32)) == ""


def test_the_same_interests_rest_on_texts_or_on_features() -> None:
    encoder_texts = item_texts(CATALOGUE)
    of_text = LexicalEncoder().fit(encoder_texts).encode(encoder_texts)
    of_features = item_features(CATALOGUE)
    history = Histories.of([[position(item) for item in (1, 2, 21, 22)]])
    for vectors, name in ((of_text, "text"), (of_features, "features")):
        model = InterestModel(vectors, Branch(name, "", ""), RecencySettings())  # type: ignore[arg-type]
        told = named(InterestMap(model).build(history), Names(CATALOGUE))
        assert {one.name for one in told} == {"Tea", "Phones"}

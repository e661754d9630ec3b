"""Objectives: what they weigh, what they refuse, and what they do to a list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palate.core import FloatArray, Queries, UsageError
from palate.core.rankings import NEVER
from palate.data import Catalogue
from palate.engine import Engine
from palate.measure import category_diversity, novelty, vector_diversity
from palate.ranking.diversity import in_common, likeness
from palate.ranking.lists import chances, composed
from palate.ranking.mixes import Manner, Mix
from palate.ranking.objectives import (
    ObjectiveSettings,
    Worth,
    beside,
    check_objectives,
    margins,
    novelty_of,
    unit,
)
from palate.ranking.rules import Boost, RuleSettings
from tests.engine_world import busiest, dataset, fitted, fresh, ids, shop

ROWS = arrays(np.float32, (3, 6), elements=st.one_of(st.floats(-5, 5, width=32), st.just(float(NEVER))))
WEIGHTS = st.builds(
    ObjectiveSettings,
    accuracy=st.floats(0.01, 1),
    diversity=st.floats(0, 1),
    novelty=st.floats(-1, 1),
    margin=st.floats(0, 1),
)
WORTH = Worth(np.linspace(0, 1, 6, dtype=np.float32), np.linspace(1, 0, 6, dtype=np.float32))
DISTANT = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))[None].repeat(3, axis=0)
ALIKE: FloatArray = (1 - DISTANT / 5).astype(np.float32)
ITEMS = np.tile(np.arange(6, dtype=np.int32), (3, 1))


def asked(n: int = 60) -> Queries:
    data = dataset()
    rows = data.user_ids.positions(busiest(data, n))
    return data.queries(rows, k=10, mask_seen=False)


def goods(**columns: list[object]) -> Catalogue:
    return Catalogue.of(pl.DataFrame({"item_id": ["a", "b", "c"], **columns}))


def test_satisfaction_is_half_what_people_said_and_half_who_would_take_and_keep_it() -> None:
    said = np.array([0.1, 0.2, 0.4, 0.6, 0.8, 1.0], dtype=np.float32)
    weights, worth = ObjectiveSettings(accuracy=0.2, satisfaction=0.8), replace(WORTH, satisfaction=said)
    likely = np.tile(said[::-1], (3, 1))
    items = ITEMS.copy()
    items[0, 0] = -1
    alone, both = beside(items, weights, worth), beside(items, weights, worth, lambda: likely)
    assert alone is not None and both is not None
    assert alone[1] == pytest.approx(0.8 * said)
    assert both[1] == pytest.approx(0.8 * (said + np.arange(5, -1, -1) / 6) / 2)
    assert both[0, 0] == pytest.approx(0.4 * said[0]), "a pad is likelier than nothing"
    asks: list[int] = []

    def ask() -> FloatArray:
        asks.append(1)
        return likely

    beside(items, ObjectiveSettings(novelty=0.5), worth, ask)
    assert not asks, "nobody judges where satisfaction does not count"


@settings(max_examples=60)
@given(WEIGHTS)
def test_what_items_are_worth_beside_being_right_is_a_weighted_sum(weights: ObjectiveSettings) -> None:
    found = beside(ITEMS, weights, WORTH)
    if not (weights.novelty or weights.margin):
        assert found is None
        return
    assert found is not None and WORTH.margin is not None
    np.testing.assert_allclose(found[0], weights.novelty * WORTH.novelty + weights.margin * WORTH.margin, atol=1e-5)


@settings(max_examples=60)
@given(WEIGHTS, st.floats(0, 1))
def test_a_share_of_diversity_leaves_the_others_their_ratios(weights: ObjectiveSettings, strength: float) -> None:
    told = weights.with_diversity(strength)
    others = told.accuracy + abs(told.novelty) + told.margin + told.satisfaction
    assert told.diversity == pytest.approx(strength * (told.diversity + others), abs=1e-6)
    assert told.accuracy * abs(weights.novelty) == pytest.approx(weights.accuracy * abs(told.novelty), abs=1e-6)


@settings(max_examples=60)
@given(ROWS, WEIGHTS, st.integers(1, 4))
def test_only_ratios_of_weights_matter(scores: FloatArray, weights: ObjectiveSettings, halvings: int) -> None:
    lists = []
    for factor in (1.0, 0.5**halvings):
        own = ObjectiveSettings(**{name: value * factor for name, value in weights})
        chance = chances(scores, np.ones((3, 1), np.float32))
        lists.append(composed(scores, chance, own, 4, beside=beside(ITEMS, own, WORTH), likeness=ALIKE))
    np.testing.assert_array_equal(lists[0], lists[1])


def test_more_weight_brings_more_of_what_is_weighed() -> None:
    scores = np.array([[3.0, 2.0, 1.0, 0.5, 0.2, 0.0]], dtype=np.float32)
    chance = chances(scores, np.ones((1, 1), np.float32))
    lists = []
    for novelty_weight in (0.0, 0.5, 1.0):
        own = ObjectiveSettings(accuracy=0.05, novelty=novelty_weight)
        lists.append(set(composed(scores, chance, own, 3, beside=beside(ITEMS[:1], own, WORTH))[0].tolist()))
    assert lists[0] == {0, 1, 2} and lists[2] >= {4, 5} and len(lists[1] & {3, 4, 5}) >= 1


def test_novelty_is_self_information() -> None:
    counts = np.array([0, 1, 3, 12])
    found = novelty_of(np.log1p(counts).astype(np.float32))
    bits = novelty(np.arange(4, dtype=np.int32)[:, None], np.maximum(counts, 1))
    np.testing.assert_allclose(found, bits / bits.max(), rtol=1e-5)


def test_margin_is_price_less_cost_as_a_share_of_the_catalogue() -> None:
    catalogue = goods(price=[10.0, 20.0, 5.0], cost=["4", "2", None])
    gains = dict(zip(catalogue.ids.names, margins(catalogue).tolist(), strict=True))
    assert (gains["a"], gains["b"]) == (6.0, 18.0) and np.isnan(gains["c"])
    worth = Worth.of(catalogue, np.zeros(3, dtype=np.float32))
    assert worth.margin is not None
    shares = dict(zip(catalogue.ids.names, worth.margin.tolist(), strict=True))
    assert shares == {"a": 0.5, "b": 1.0, "c": 0.5}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "items have no price and no cost"),
        ({"price": [1.0, 2.0, 3.0]}, "items have no cost"),
        ({"price": [1.0, None, None], "cost": [None, 1.0, None]}, "no item has both a price and a cost"),
        ({"price": [1.0, 2.0, 3.0], "cost": ["dear", "cheap", "?"]}, "no item has both a price and a cost"),
    ],
)
def test_margin_without_costs_is_refused_in_words(columns: dict[str, list[object]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_objectives(goods(**columns), ObjectiveSettings(margin=0.1))
    check_objectives(goods(**columns), ObjectiveSettings(novelty=0.5))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"novelity": 0.5}, "'novelity' is no objective. Did you mean 'novelty'"),
        ({"accuracy": 1.5}, "accuracy = 1.5: Input should be less than or equal to 1"),
        ({"novelty": -2}, "novelty = -2"),
        ({"margin": float("nan")}, "margin = nan"),
        ({"diversity": "much"}, "diversity = 'much'"),
        ({"accuracy": 0, "diversity": 1}, "nothing orders the list"),
    ],
)
def test_weights_that_make_no_sense_are_refused_in_words(weights: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ObjectiveSettings.told(weights)


def test_lists_follow_the_objectives_asked_for() -> None:
    engine = fitted()
    points = [
        ObjectiveSettings(),
        ObjectiveSettings(novelty=0.6),
        ObjectiveSettings(diversity=0.6),
        ObjectiveSettings(novelty=-0.6),
    ]
    plain, novel, diverse, popular = engine.rank_each(asked(), points)
    np.testing.assert_array_equal(plain.items, engine.rank(asked()).items)
    counts = dataset().popularity
    assert (
        novelty(novel.items, counts).mean()
        > novelty(plain.items, counts).mean()
        > novelty(popular.items, counts).mean()
    )
    vectors = engine.pipeline.facts.vectors
    assert vector_diversity(diverse.items, vectors).mean() > vector_diversity(plain.items, vectors).mean()
    assert {rankings.k for rankings in (plain, novel, diverse, popular)} == {10}


def test_one_question_gets_the_list_of_the_batch() -> None:
    engine = fresh(objectives=ObjectiveSettings(accuracy=0.6, novelty=0.3, diversity=0.1))
    users, when = busiest(dataset(), 6), 1.767e9
    queries = asked(6)
    ranked = engine.rank(replace(queries, when=np.full(6, when), mask_seen=engine.masks_seen))
    for row, user in enumerate(users):
        listed = [engine.catalogue.ids[item] for item in ranked.row(row).tolist()]
        assert ids(engine.recommend(user, context={"when": when})) == listed
        again = engine.recommend(
            user, context={"when": when}, objectives={"accuracy": 0.6, "novelty": 0.3, "diversity": 0.1}
        )
        assert ids(again) == listed
        assert ids(engine.recommend(user, context={"when": when}, objectives={})) == ids(
            fitted().recommend(user, context={"when": when})
        )


def test_margins_of_the_shop_order_its_lists() -> None:
    world = shop()
    random = np.random.default_rng(0)
    items = world.items.with_columns(cost=pl.col("price") * pl.Series(random.random(world.items.height)))
    engine = fresh()
    with pytest.raises(UsageError, match="items have no cost"):
        engine.recommend(objectives={"margin": 0.5})
    engine.update(items=items.select("item_id", "cost").to_dicts())
    gains = margins(engine.catalogue)
    plain, paid = engine.rank_each(asked(), [ObjectiveSettings(), ObjectiveSettings(accuracy=0.5, margin=0.5)])
    assert gains[paid.items].mean() > 1.1 * gains[plain.items].mean()
    user = busiest(dataset(), 1)[0]
    first = engine.recommend(user, objectives={"accuracy": 0.01, "margin": 1})
    assert ids(first) != ids(engine.recommend(user))


def test_settings_that_the_catalogue_cannot_serve_are_refused_before_anything_is_fitted() -> None:
    with pytest.raises(UsageError, match="items have no cost"):
        Engine.fit(
            dataset(), settings=fitted().settings.model_copy(update={"objectives": ObjectiveSettings(margin=0.2)})
        )


def test_the_shops_boosts_come_on_top_of_objectives() -> None:
    item = fitted().catalogue.properties(7)
    rules = RuleSettings(boosts=(Boost(filter={"title": item["title"]}, by=10.0),))
    engine = fresh(rules=rules, objectives=ObjectiveSettings(accuracy=0.3, novelty=-0.7))
    shown = engine.rank(asked())
    plain = fresh(objectives=ObjectiveSettings(accuracy=0.3, novelty=-0.7)).rank(asked())
    assert (shown.items[:, 0] == 7).sum() > (plain.items[:, 0] == 7).sum()


def test_mixes_lead_the_average() -> None:
    pipeline = fitted().pipeline
    lead = pipeline.led_by("als")
    assert lead.ranker is None
    assert lead.weights.sum() == pytest.approx(1, abs=1e-5)
    assert lead.weights[list(pipeline.sources).index("als")] >= 0.5
    first = pipeline.rank(asked(), Manner(mixes=(Mix(name="als", lead="als"),)))
    assert (first.items != pipeline.rank(asked()).items).any()


def test_unit_knows_rows_without_candidates() -> None:
    scores = np.array([[float(NEVER)] * 3, [1.0, 3.0, float(NEVER)]], dtype=np.float32)
    assert unit(scores).tolist() == [[0, 0, 0], [0, 1, 0]]


def test_categories_in_common_are_a_share_of_all_there_are() -> None:
    categories = np.array([[[0, 1, -1], [0, 1, -1], [2, 0, -1], [3, 4, -1], [-1, -1, -1]]], dtype=np.int32)
    shares = in_common(categories)[0]
    np.testing.assert_allclose(shares[0], [1, 1, 1 / 3, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(shares, shares.T)
    texts = np.eye(5, dtype=np.float32)[None]
    np.testing.assert_array_equal(likeness(texts, np.full((1, 5, 3), -1, np.int32))[0], np.eye(5))
    np.testing.assert_array_equal(likeness(texts[:, :, :0], categories)[0], shares)
    both = likeness(texts, categories)[0]
    assert both[0, 0] == 1 and 0 < both[0, 1] < 1 and both[0, 3] == 0


def test_lists_without_texts_differ_by_category() -> None:
    pipeline = fitted().pipeline
    facts = replace(pipeline.facts, vectors=np.zeros((pipeline.n_items, 0), dtype=np.float32))
    wordless = replace(pipeline, facts=facts, ranker=None)
    plain, diverse = wordless.rank_each(
        asked(), Manner(mixes=(Mix(), Mix(name="diverse", objectives=ObjectiveSettings(diversity=0.7))))
    )
    categories = dataset().catalogue.categories[0]
    assert (
        category_diversity(diverse.items, categories).mean() > category_diversity(plain.items, categories).mean() + 0.02
    )
    nothing = replace(facts, n_categories=0, categories=np.full_like(facts.categories, -1))
    assert not replace(wordless, facts=nothing).compares

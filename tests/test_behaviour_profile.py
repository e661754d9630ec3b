"""Profiles and affinities: a batch equals its parts, shares add up, words read well."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.behaviour import (
    category_affinity,
    dataset_profiles,
    item_facts,
    price_gap,
    profiles,
    recency_weights,
)
from palate.behaviour.affinity import ItemFacts
from palate.core import Histories
from palate.data import Catalogue, Dataset

DAY = 86_400.0
CATALOGUE = Catalogue.of(
    pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(24)],
            "category": [None if item == 5 else f"{'ABCD'[item % 4]} > {'mn'[item % 2]}" for item in range(24)],
            "category_zh": [f"{'甲乙丙丁'[item % 4]} > 子类" for item in range(24)],
            "price": [None if item % 7 == 3 else 5.0 * (item + 1) for item in range(24)],
            "currency": ["EUR"] * 24,
        }
    )
)
FACTS = item_facts(CATALOGUE)
histories = st.lists(st.lists(st.integers(0, 23), max_size=10), min_size=1, max_size=6)


def at(*names: str) -> list[int]:
    return [CATALOGUE.ids.position(name) for name in names]


@given(histories)
def test_the_mix_adds_up_to_one_or_is_empty(rows: list[list[int]]) -> None:
    mix = profiles(Histories.of(rows), CATALOGUE).mix
    totals = np.asarray(mix.sum(axis=1)).reshape(-1)
    nowhere = CATALOGUE.ids.position("i5")
    empty = np.array([all(item == nowhere for item in row) for row in rows])
    np.testing.assert_allclose(totals, np.where(empty, 0.0, 1.0), atol=1e-5)


@given(histories)
def test_a_batch_of_profiles_is_its_parts(rows: list[list[int]]) -> None:
    together = profiles(Histories.of(rows), CATALOGUE)
    for row, items in enumerate(rows):
        alone = profiles(Histories.of([items]), CATALOGUE)
        assert alone.table(0) == together.table(row)
        assert alone.sentence(0, "zh") == together.sentence(row, "zh")


@given(histories, st.integers(0, 2**32 - 1))
def test_a_batch_of_affinities_is_its_parts(rows: list[list[int]], seed: int) -> None:
    items = np.random.default_rng(seed).integers(-1, 24, size=(len(rows), 7)).astype(np.int32)
    batch = Histories.of(rows)
    weights = recency_weights(batch)
    for function in (category_affinity, price_gap):
        together = function(batch, FACTS, items, weights)
        assert together.dtype == np.float32
        assert np.isfinite(together).all()
        assert (together[items < 0] == 0).all()
        for row in range(len(rows)):
            alone = function(batch.take(slice(row, row + 1)), FACTS, items[row : row + 1])
            np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


def test_affinity_is_the_share_of_the_history_in_the_categories() -> None:
    history = Histories.of([at("i0", "i4", "i1")])
    weights = np.ones(3, dtype=np.float32)
    items = np.array([at("i8", "i9", "i2", "i5")], dtype=np.int32)
    np.testing.assert_allclose(category_affinity(history, FACTS, items, weights), [[2 / 3, 1 / 3, 0, 0]], atol=1e-6)
    same = category_affinity(Histories.of([at("i0", "i4")]), FACTS, np.array([at("i8")], dtype=np.int32))
    np.testing.assert_allclose(same, [[1.0]], atol=1e-6)


def test_affinity_in_small_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    batch = Histories.of([rng.integers(0, 24, size).tolist() for size in (3, 0, 5, 8, 1)])
    items = rng.integers(0, 24, (5, 9)).astype(np.int32)
    whole = category_affinity(batch, FACTS, items)
    monkeypatch.setattr("palate.behaviour.affinity._BLOCK_CELLS", 2 * (FACTS.n_categories + 1))
    np.testing.assert_array_equal(category_affinity(batch, FACTS, items), whole)


def test_dearer_candidates_have_a_positive_gap() -> None:
    history = Histories.of([at("i7", "i8", "i9"), []])
    items = np.array([at("i0", "i8", "i23", "i3")] * 2, dtype=np.int32)
    gap = price_gap(history, FACTS, items)
    assert gap[0, 0] < -1 < gap[0, 1] < 0.5 < gap[0, 2]
    assert gap[0, 3] == 0
    assert not gap[1].any()


def test_a_catalogue_without_facts_gives_zeros() -> None:
    bare = Catalogue.of(None, ["a", "b"])
    facts: ItemFacts = item_facts(bare)
    batch, items = Histories.of([[0], []]), np.array([[0, 1], [1, -1]], dtype=np.int32)
    assert not category_affinity(batch, facts, items).any()
    assert not price_gap(batch, facts, items).any()
    table = profiles(batch, bare).table(0)
    assert table == {"events": 1, "items": 1, "categories": {}, "kinds": {"view": 1}}


def test_a_profile_reads_well_in_both_languages() -> None:
    history = Histories.of([at("i0", "i4", "i1"), []], [[0.0, 10 * DAY, 27 * DAY], []])
    bought = Histories(history.indptr, history.items, history.times, np.full(3, 3, np.int8), history.weights)
    found = profiles(bought, CATALOGUE, now=30 * DAY)
    assert found.sentence(0) == "Buys mostly A and B, around 11 EUR, last seen 3 days ago."
    assert found.sentence(0, "zh") == "主要购买甲和乙，价位约 11 EUR，3 天前来过。"
    assert found.sentence(1) == "Nothing known yet."
    assert found.sentence(1, "zh") == "还没有任何行为记录。"
    looking = profiles(history, CATALOGUE)
    assert looking.sentence(0) == "Looks mostly at A and B, around 11 EUR, last seen today."
    table = found.table(0)
    assert table["days_since_last"] == 3.0
    assert table["events_per_month"] == 3.0
    assert table["kinds"] == {"purchase": 3}
    assert table["currency"] == "EUR"
    assert "mean_rating" not in table


def test_ratings_and_dwell_are_averaged_where_known() -> None:
    events = pl.DataFrame(
        {
            "user_id": ["a", "a", "a", "b"],
            "item_id": ["i0", "i1", "i1", "i2"],
            "timestamp": [1.0, 2.0, 3.0, 4.0],
            "kind": ["view", "view", "rating", "view"],
            "value": [None, None, 4.0, None],
            "dwell": [10.0, 30.0, None, None],
        }
    )
    data = Dataset.assemble(events, CATALOGUE.frame)
    found = dataset_profiles(data)
    row = data.user_ids.position("a")
    assert found.dwell[row] == 20.0
    assert found.rating[row] == 4.0
    assert found.kinds[row].sum() == 3
    assert found.items[row] == 2
    assert np.isnan(found.rating[data.user_ids.position("b")])

"""Interest: a batch equals its parts, an update equals a rebuild, the branch follows the data."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.behaviour import (
    Branch,
    Interest,
    InterestModel,
    RecencySettings,
    branch,
    item_features,
    recency_weights,
)
from palate.behaviour.decay import forward_times
from palate.core import DataError, Histories, Kinds
from palate.data import Catalogue, Dataset

N_ITEMS, WIDTH = 30, 5
VECTORS = np.random.default_rng(0).normal(size=(N_ITEMS, WIDTH)).astype(np.float32)
MODEL = InterestModel(VECTORS, Branch("text", "given", "已给出"), RecencySettings())

moments = st.one_of(st.just(float("nan")), st.floats(1e9, 1.1e9))
event = st.tuples(st.integers(0, N_ITEMS - 1), moments, st.sampled_from([0.3, 0.4, 0.7, 1.0]))
rows_of_events = st.lists(st.lists(event, max_size=12), min_size=1, max_size=6)


def histories_of(rows: list[list[tuple[int, float, float]]]) -> Histories:
    bare = Histories.of([[item for item, _, _ in row] for row in rows], [[time for _, time, _ in row] for row in rows])
    weights = np.array([weight for row in rows for _, _, weight in row], dtype=np.float32)
    return Histories(bare.indptr, bare.items, bare.times, bare.kinds, weights)


@given(rows_of_events)
def test_a_batch_of_interests_is_its_parts(rows: list[list[tuple[int, float, float]]]) -> None:
    histories = histories_of(rows)
    together = MODEL.interests(histories)
    for row in range(len(rows)):
        alone = MODEL.interests(histories.take(slice(row, row + 1)))[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-4)


@given(st.lists(event, max_size=15))
def test_updating_event_by_event_is_rebuilding(row: list[tuple[int, float, float]]) -> None:
    interest = MODEL.begin()
    for item, time, weight in row:
        interest = MODEL.update(interest, item, time, weight)
    rebuilt = MODEL.interests(histories_of([row]))[0]
    np.testing.assert_allclose(MODEL.vector(interest), rebuilt, atol=2e-4)


@given(rows_of_events)
def test_weights_never_exceed_the_events_own_and_times_never_fall(rows: list[list[tuple[int, float, float]]]) -> None:
    histories = histories_of(rows)
    weights = recency_weights(histories)
    assert (weights >= 0).all()
    assert (weights <= histories.weights + 1e-6).all()
    clock = forward_times(histories)
    same_row = np.diff(histories.rows) == 0
    assert (np.diff(clock)[same_row] >= -1e-3).all()


def test_half_lives_mean_what_they_say() -> None:
    day = 86_400.0
    slow = RecencySettings(half_life_days=10, half_life_events=1e12)
    by_time = recency_weights(Histories.of([[0, 1]], [[0.0, 10 * day]]), slow)
    np.testing.assert_allclose(by_time, [0.5, 1.0], rtol=1e-5)
    by_order = recency_weights(Histories.of([[0, 1, 2]]), RecencySettings(half_life_events=1.0))
    np.testing.assert_allclose(by_order, [0.25, 0.5, 1.0], rtol=1e-5)


def test_an_empty_history_has_no_interest() -> None:
    assert not MODEL.interests(Histories.empty(2)).any()
    assert MODEL.interests(Histories.empty(0)).shape == (0, WIDTH)
    assert not MODEL.vector(MODEL.begin()).any()


def test_similarity_is_the_cosine_and_padding_is_zero() -> None:
    interests = MODEL.interests(Histories.of([[3], []]))
    similarity = MODEL.similarity(interests, np.array([[3, 4, -1], [3, 4, -1]], dtype=np.int32))
    expected = VECTORS[3] @ VECTORS[4] / np.linalg.norm(VECTORS[3]) / np.linalg.norm(VECTORS[4])
    np.testing.assert_allclose(similarity, [[1.0, expected, 0.0], [0.0, 0.0, 0.0]], atol=1e-5)


def test_an_update_leaves_the_old_interest_as_it_was() -> None:
    before = MODEL.update(MODEL.begin(), 1)
    kept = Interest(before.total.copy(), before.weight, before.time)
    MODEL.update(before, 2)
    np.testing.assert_array_equal(before.total, kept.total)


def dataset(items: pl.DataFrame | None) -> Dataset:
    rng = np.random.default_rng(1)
    events = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in rng.integers(0, 20, 400)],
            "item_id": [f"i{item}" for item in rng.integers(0, 25, 400)],
            "timestamp": rng.uniform(1e9, 1.01e9, 400),
            "kind": rng.choice(["view", "purchase"], 400).tolist(),
        }
    )
    return Dataset.assemble(events, items, kinds=Kinds())


def priced(with_text: bool) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(30)],
            "category": [f"A > {'XYZ'[item % 3]}" for item in range(30)],
            "price": [float(item + 1) for item in range(30)],
        }
    )
    return frame.with_columns(pl.format("thing {}", "item_id").alias("title")) if with_text else frame


def test_the_branch_follows_the_text_and_is_reported_in_both_languages() -> None:
    without, having = branch(dataset(priced(False)).catalogue), branch(dataset(priced(True)).catalogue)
    assert (without.name, having.name) == ("features", "text")
    assert "0 / 30" in without.reason()
    assert "30 / 30" in having.reason("zh")
    assert "特征" in without.reason("zh")


def test_without_text_interest_is_built_from_features() -> None:
    data = dataset(priced(False))
    model = InterestModel.of(data)
    assert model.branch.name == "features"
    assert model.interests(data.sequences).shape == (data.n_users, model.vectors.shape[1])


def test_with_text_vectors_are_asked_for_in_words() -> None:
    data = dataset(priced(True))
    with pytest.raises(DataError, match="30 items and none were given"):
        InterestModel.of(data)
    with pytest.raises(DataError, match="and 2 were given"):
        InterestModel.of(data, np.ones((2, 4), dtype=np.float32))
    assert InterestModel.of(data, np.ones((30, 4), dtype=np.float32)).branch.name == "text"


@settings(max_examples=30)
@given(st.booleans(), st.booleans())
def test_features_are_finite_and_of_norm_one(with_items: bool, with_events: bool) -> None:
    data = dataset(priced(False) if with_items else None)
    features = item_features(data.catalogue, data if with_events else None)
    assert features.dtype == np.float32
    assert features.shape[0] == data.n_items
    assert np.isfinite(features).all()
    norms = np.linalg.norm(features, axis=1)
    assert (np.isclose(norms, 1.0, atol=1e-4) | (norms == 0)).all()


def test_items_of_one_category_and_price_are_nearer_than_others() -> None:
    catalogue = Catalogue.of(priced(False))
    features = item_features(catalogue)
    near, alike, far = catalogue.ids.positions(["i3", "i6", "i29"])
    assert features[near] @ features[alike] > features[near] @ features[far] + 0.2

"""Ratings predicted from neighbours: better than baselines on real ones, and never with the answer in hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, FloatArray, UsageError
from palate.data import Dataset
from palate.models.item_knn import ItemKNN
from palate.models.ratings import Baseline, Ratings, RatingSettings, predict_from_items, predict_from_users
from palate.models.similarity import Measure
from palate.models.user_knn import UserKNN
from palate.testing import small_shop
from tests.conftest import shared_data


@pytest.fixture(scope="module")
def movielens() -> Ratings:
    events = pl.read_parquet(shared_data("ml-100k") / "events.parquet")
    users, items = events["user_id"].cast(pl.Int32).to_numpy() - 1, events["item_id"].cast(pl.Int32).to_numpy() - 1
    return Ratings.from_arrays(users, items, events["rating"].to_numpy().astype(np.float32), (943, 1682))


def rmse(predicted: FloatArray, true: FloatArray) -> float:
    return float(np.sqrt(np.mean((predicted - true) ** 2)))


def mae(predicted: FloatArray, true: FloatArray) -> float:
    return float(np.abs(predicted - true).mean())


def test_neighbours_beat_the_baselines_on_movielens(movielens: Ratings) -> None:
    entries = movielens.matrix.tocoo()
    held = np.random.default_rng(0).permutation(entries.nnz)[:10_000]
    users, items, true = entries.row[held], entries.col[held], entries.data[held]
    known = movielens.without(users, items)
    plain = Baseline.of(known, 0.0)
    item_mean = (plain.mean + plain.items[items]).astype(np.float32)
    baseline = Baseline.of(known, 10.0).at(users, items)
    by_items = ItemKNN().predict_ratings(movielens, users, items)
    by_users = UserKNN().predict_ratings(movielens, users, items)
    assert 0.99 < rmse(item_mean, true) < 1.05
    assert rmse(by_items, true) < min(0.925, 0.98 * rmse(baseline, true))
    assert rmse(by_users, true) < min(0.93, 0.98 * rmse(baseline, true))
    assert max(mae(by_items, true), mae(by_users, true)) < 0.73 < mae(item_mean, true)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean", "pearson"])
@pytest.mark.parametrize("predict", [predict_from_items, predict_from_users])
def test_the_answer_never_enters_its_own_prediction(predict, similarity: Measure) -> None:  # type: ignore[no-untyped-def]
    ratings = Ratings.of(small_shop())
    entries = ratings.matrix.tocoo()
    users, items = entries.row[:7].astype(np.int32), entries.col[:7].astype(np.int32)
    changed = entries.copy()
    changed.data[:7] = 6 - changed.data[:7]
    config = RatingSettings(similarity=similarity, neighbours=5, shrinkage=1.0)
    other = Ratings(changed.tocsr())
    assert (other.matrix.data != ratings.matrix.data).any()
    np.testing.assert_array_equal(predict(ratings, users, items, config), predict(other, users, items, config))


def test_the_formula_by_hand() -> None:
    """``b + sum sim (r - b) / sum |sim|`` over all other items, cosine of residuals, no damping, no shrinkage."""
    random = np.random.default_rng(1)
    full = random.integers(1, 6, (6, 5)).astype(np.float32)
    users, items = np.nonzero(full)
    ratings = Ratings.from_arrays(users.astype(np.int32), items.astype(np.int32), full.ravel(), (6, 5))
    asked = np.array([2], np.int32), np.array([3], np.int32)
    baseline = Baseline.of(ratings.without(*asked), 0.0)
    residual = full - baseline.at(users.astype(np.int32), items.astype(np.int32)).reshape(6, 5)
    both = np.arange(6) != 2
    top = bottom = 0.0
    for item in (0, 1, 2, 4):
        left, right = residual[both, 3], residual[both, item]
        similar = left @ right / np.sqrt((left @ left) * (right @ right))
        top, bottom = top + similar * residual[2, item], bottom + abs(similar)
    expected = baseline.at(*asked)[0] + top / bottom
    config = RatingSettings(similarity="cosine", shrinkage=0.0, damping=0.0)
    assert predict_from_items(ratings, *asked, config)[0] == pytest.approx(expected, abs=1e-4)


def test_the_last_rating_of_a_pair_counts() -> None:
    pair = np.array([0, 0], np.int32)
    assert Ratings.from_arrays(pair, pair, np.array([1, 4], np.float32), (1, 1)).matrix.toarray().tolist() == [[4.0]]


def test_without_ratings_it_says_so() -> None:
    events = pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "position": [0]})
    with pytest.raises(DataError, match="no ratings"):
        Ratings.of(Dataset.assemble(events))
    ratings = Ratings.of(small_shop())
    with pytest.raises(UsageError, match="outside"):
        ItemKNN().predict_ratings(ratings, np.array([999], np.int32), np.array([0], np.int32))

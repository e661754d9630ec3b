"""The arithmetic under the models agrees with the plain formulas."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from palate.core import DataError, Histories, Queries
from palate.core.rankings import select
from palate.data import Dataset
from palate.models.als import ALS, ALSSettings
from palate.models.ease import EASE, EASESettings
from palate.models.linear import event_weights, weighted_rows
from palate.models.popularity import Popularity, PopularitySettings
from palate.models.similarity import Measure, neighbours_of
from palate.testing import small_shop

histories = st.lists(st.lists(st.integers(0, 8), max_size=6), min_size=1, max_size=5)


def dense(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.random((n, n)) * (random.random((n, n)) < 0.4)).astype(np.float32)


@given(histories, st.floats(0.1, 1.0), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_weighted_rows_is_history_times_matrix(rows: list[list[int]], decay: float, seed: int) -> None:
    history, matrix = Histories.of(rows), dense(9, seed)
    weights = event_weights(history, decay)
    expected = np.zeros((len(rows), 9))
    for row, items in enumerate(rows):
        for age, item in enumerate(reversed(items)):
            expected[row] += decay**age * matrix[item]
    np.testing.assert_allclose(weighted_rows(sparse.csr_matrix(matrix), history, weights), expected, atol=1e-5)


@given(st.integers(1, 5), st.integers(1, 30), st.integers(1, 35), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_select_is_a_stable_sort(n: int, m: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 4, (n, m)).astype(np.float32)
    scores[random.random((n, m)) < 0.3] = -np.inf
    np.testing.assert_array_equal(select(scores, k), np.argsort(-scores, axis=1, kind="stable")[:, :k])


def test_ease_is_the_closed_form() -> None:
    dataset = small_shop()
    matrix = dataset.matrix().toarray().astype(np.float64)
    inverse = np.linalg.inv(matrix.T @ matrix + 5.0 * np.eye(dataset.n_items))
    expected = np.eye(dataset.n_items) - inverse / np.diag(inverse)
    expected[dataset.popularity == 0] = 0.0
    model = EASE(EASESettings(regularization=5.0, decay=1.0, neighbours=dataset.n_items)).fit(dataset)
    queries = dataset.queries()
    np.testing.assert_allclose(model.score(queries), matrix @ expected, atol=2e-4)


def test_ease_leaves_rare_items_out_rather_than_dying() -> None:
    dataset = small_shop()
    with pytest.warns(UserWarning, match="keeps the 10 most popular"):
        model = EASE(EASESettings(maximum_items=10)).fit(dataset)
    kept = np.argsort(-dataset.popularity, kind="stable")[:10]
    assert set(np.nonzero(model.score(dataset.queries()).any(axis=0))[0]) <= set(kept.tolist())


def test_ease_says_when_it_cannot_invert() -> None:
    events = pl.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"], "position": [0, 1]})
    with pytest.raises(DataError, match="Raise regularization"):
        EASE(EASESettings(regularization=1e-30)).fit(Dataset.assemble(events))


@pytest.mark.parametrize("measure", ["cosine", "euclidean", "pearson"])
def test_similarity_is_the_textbook_one(measure: Measure) -> None:
    columns = dense(20, 3)
    similar = neighbours_of(sparse.csr_matrix(columns), measure=measure, neighbours=20).toarray()
    wide = columns.astype(np.float64)
    products = wide.T @ wide
    if measure == "euclidean":
        expected = 1 / (1 + np.linalg.norm(wide[:, :, None] - wide[:, None, :], axis=0))
    elif measure == "pearson":
        expected = np.corrcoef(wide.T)
    else:
        norms = np.sqrt(np.diag(products))
        expected = products / norms[:, None] / norms[None, :]
    expected = np.where(products > 0, np.maximum(expected, 0), 0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(similar, expected, atol=1e-4)


def test_few_witnesses_are_trusted_less() -> None:
    columns = sparse.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=np.float32))
    similar = neighbours_of(columns, measure="cosine", neighbours=3, shrinkage=1.0).toarray()
    np.testing.assert_allclose([similar[0, 1], similar[2, 3]], [1 / 2, 2 / 3], rtol=1e-6)


def test_als_folds_in_as_it_was_fitted() -> None:
    """Whoever was in training gets the vector that the regularised least squares gave there."""
    dataset = small_shop()
    model = ALS(ALSSettings(factors=6, alpha=10.0, regularization=0.5, decay=1.0)).fit(dataset)
    vectors = model.item_vectors.astype(np.float64)
    gram = vectors.T @ vectors + 0.5 * np.eye(6)
    matrix = 10.0 * dataset.matrix().toarray()
    long = Histories.of([[step % 30 for step in range(40)]])
    folded = model.user_vectors(dataset.sequences)
    for user in range(dataset.n_users):
        confidence = matrix[user]
        # A repeated item is two witnesses here and one of twice the weight there.
        if len(np.unique(dataset.sequences.row(user))) < len(dataset.sequences.row(user)):
            continue
        held = confidence > 0
        left = gram + (vectors[held] * (confidence[held] - 1)[:, None]).T @ vectors[held]
        np.testing.assert_allclose(folded[user], np.linalg.solve(left, vectors.T @ confidence), atol=2e-3)
    assert np.isfinite(model.user_vectors(long)).all()


def test_popularity_forgets() -> None:
    events = pl.DataFrame(
        {
            "user_id": ["a", "b", "c", "d"],
            "item_id": ["old", "old", "old", "new"],
            "timestamp": [0.0, 0.0, 0.0, 86_400.0 * 30],
        }
    )
    dataset = Dataset.assemble(events)
    old, new = dataset.item_ids.position("old"), dataset.item_ids.position("new")
    asked = Queries(Histories.empty(1), k=1)
    assert Popularity(PopularitySettings(half_life_days=5)).fit(dataset).recommend(asked).items[0, 0] == new
    assert Popularity(PopularitySettings(half_life_days=np.inf)).fit(dataset).recommend(asked).items[0, 0] == old
    untimed = replace(dataset, events=dataset.events.with_columns(time=pl.lit(float("nan"))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Popularity(PopularitySettings(half_life_days=5)).fit(untimed).recommend(asked).items[0, 0] == old

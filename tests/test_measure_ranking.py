"""Ranking measures against their definitions, written out one question at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from palate import measure
from palate.core import Ragged

N_ITEMS = 12


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """Lists of distinct items, and relevant items: some unknown (negative), some repeated."""
    n = draw(st.integers(1, 6))
    lists = [draw(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=8)) for _ in range(n)]
    targets = [draw(st.lists(st.integers(-3, N_ITEMS - 1), max_size=5)) for _ in range(n)]
    return lists, targets


def padded(lists: list[list[int]], k: int = 8) -> np.ndarray:
    return np.array([row + [-1] * (k - len(row)) for row in lists], dtype=np.int32).reshape(len(lists), k)


@given(cases(), st.sampled_from([1, 3, 5, 20]))
def test_accuracy_is_the_definition(case: tuple[list[list[int]], list[list[int]]], k: int) -> None:
    lists, targets = case
    columns = measure.accuracy(padded(lists), Ragged.of(targets), cutoffs=(k,))
    for row, (items, relevant) in enumerate(zip(lists, map(set, targets), strict=True)):
        found = [1 if item in relevant else 0 for item in items[:k]]
        best = sum(1 / math.log2(r + 2) for r in range(min(k, len(relevant))))
        gain = sum(hit / math.log2(r + 2) for r, hit in enumerate(found))
        precisions = sum(hit * sum(found[: r + 1]) / (r + 1) for r, hit in enumerate(found))
        expected = {
            "recall": sum(found) / len(relevant) if relevant else 0,
            "ndcg": gain / best if relevant else 0,
            "hit": max(found, default=0),
            "precision": sum(found) / k,
            "map": precisions / min(k, len(relevant)) if relevant else 0,
        }
        for name, value in expected.items():
            assert columns[f"{name}@{k}"][row] == pytest.approx(value), name


@given(cases())
def test_list_ranks_are_the_first_hit(case: tuple[list[list[int]], list[list[int]]]) -> None:
    lists, targets = case
    ranks = measure.list_ranks(padded(lists), Ragged.of(targets))
    for row, (items, relevant) in enumerate(zip(lists, map(set, targets), strict=True)):
        places = [place for place, item in enumerate(items, start=1) if item in relevant]
        assert ranks[row] == (places[0] if places else 0)


@given(cases(), st.data())
def test_full_ranks_break_ties_by_position_and_skip_what_must_not_be_answered(
    case: tuple[list[list[int]], list[list[int]]], data: st.DataObject
) -> None:
    _, targets = case
    few = st.sampled_from([-np.inf, -1.0, 0.0, 0.0, 2.5])
    scores = np.array([[data.draw(few) for _ in range(N_ITEMS)] for _ in targets], dtype=np.float32)
    ranks = measure.full_ranks(scores, Ragged.of(targets))
    for row, relevant in enumerate(targets):
        order = sorted(range(N_ITEMS), key=lambda item: (-scores[row, item], item))
        places = [order.index(t) + 1 for t in relevant if t >= 0 and scores[row, t] > -np.inf]
        assert ranks[row] == min(places, default=0)


def test_ties_do_not_flatter() -> None:
    """A model that scores everything alike finds item 7 at place 8, not at place 1."""
    scores = np.zeros((1, N_ITEMS), dtype=np.float32)
    assert measure.full_ranks(scores, Ragged.of([[7]])).tolist() == [8]
    assert measure.reciprocal(np.array([0, 1, 8])).tolist() == [0.0, 1.0, 0.125]


def test_unknown_targets_stay_in_the_denominator() -> None:
    columns = measure.accuracy(padded([[3, 4], [3]]), Ragged.of([[3, -1], [-1]]), cutoffs=(2,))
    assert columns["recall@2"].tolist() == [0.5, 0.0]
    assert columns["hit@2"].mean() == 0.5


@given(cases())
def test_lists_measures_are_the_definition(case: tuple[list[list[int]], list[list[int]]]) -> None:
    lists, groups = case
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N_ITEMS, 3)).astype(np.float32)
    vectors[2] = 0
    rows = [sorted({abs(g) for g in groups[i % len(groups)]}) for i in range(N_ITEMS)]
    matrix = sparse.csr_matrix((rng.random((5, N_ITEMS)) < 0.5).astype(np.float32))
    popularity = np.arange(N_ITEMS, dtype=np.int64) * 3
    items = padded(lists)

    by_category = measure.category_diversity(items, Ragged.of(rows))
    by_vector = measure.vector_diversity(items, vectors)
    by_audience = measure.audience_diversity(items, matrix)
    novelty = measure.novelty(items, popularity)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / size if size else 0.0

    dense, total = matrix.toarray().astype(np.float64), np.maximum(popularity, 1).sum()
    for row, chosen in enumerate(lists):
        pairs = [(a, b) for i, a in enumerate(chosen) for b in chosen[i + 1 :]]
        jaccard = [
            1 - len({*rows[a]} & {*rows[b]}) / len({*rows[a]} | {*rows[b]}) if rows[a] or rows[b] else 0.0
            for a, b in pairs
        ]
        assert by_category[row] == pytest.approx(np.mean(jaccard) if pairs else 0, abs=1e-6)
        far = [1 - cosine(vectors[a], vectors[b]) for a, b in pairs]
        assert by_vector[row] == pytest.approx(np.mean(far) if pairs else 0, abs=1e-5)
        apart = [1 - cosine(dense[:, a], dense[:, b]) for a, b in pairs]
        assert by_audience[row] == pytest.approx(np.mean(apart) if pairs else 0, abs=1e-6)
        bits = [-math.log2(max(popularity[i], 1) / total) for i in chosen]
        assert novelty[row] == pytest.approx(np.mean(bits) if bits else 0)

    shown = [sum(item in chosen for chosen in lists) for item in range(N_ITEMS)]
    assert measure.coverage(items, N_ITEMS) == sum(count > 0 for count in shown) / N_ITEMS
    mean = sum(shown) / N_ITEMS
    spread = sum(abs(a - b) for a in shown for b in shown) / (2 * N_ITEMS**2 * mean) if mean else 0
    assert measure.gini(items, N_ITEMS) == pytest.approx(spread)

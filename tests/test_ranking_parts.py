"""The arithmetic between the sources and a list: candidates, weights, differences, quotas, boosts, features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palate.core import FloatArray, IntArray, Queries
from palate.core.rankings import NEVER
from palate.data import Fold, hold_out_last
from palate.engine import Engine, EngineSettings, assembly
from palate.ranking.candidates import CandidateSettings, propose
from palate.ranking.fusion import FusionSettings, fuse, learn_weights, normalised
from palate.ranking.lists import ACCURACY, chances, composed
from palate.ranking.objectives import ObjectiveSettings
from palate.ranking.pipeline import Pipeline
from palate.ranking.rules import boosted, within_quotas
from palate.ranking.sources import SourceScores, ask
from palate.ranking.training import examples, sample
from tests.engine_world import QUICK, dataset, fitted

SCORES = st.floats(-1, 1, width=32)


def told(*dense: list[list[float]]) -> SourceScores:
    names = tuple(f"s{place}" for place in range(len(dense)))
    return SourceScores(names, tuple(np.array(rows, dtype=np.float32) for rows in dense))


def test_candidates_are_the_union_best_fused_first() -> None:
    scores = told([[0.9, 0.5, 0.0, -1.0]], [[0.0, 0.8, 0.0, 0.2]])
    found = propose(scores, CandidateSettings(per_source=2, total=4, rank_offset=1.0))
    assert found.items[0].tolist() == [1, 0, 3, -1]
    np.testing.assert_allclose(found.fused[0], [1 / 2 + 1 / 1, 1 / 1, 1 / 2, 0])
    assert found.sources[0].tolist() == [0b11, 0b01, 0b10, 0]


def test_weights_find_the_source_that_is_right() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 200, 10)).astype(np.float32)
    answers = random.integers(10, size=200).astype(np.int32)
    values[1, np.arange(200), answers] += 3
    weights = learn_weights(normalised(values), answers, FusionSettings())
    assert weights.argmax() == 1
    assert weights.sum() == pytest.approx(1, abs=1e-5)


@settings(max_examples=30)
@given(arrays(np.float32, (3, 4, 5), elements=SCORES), st.lists(st.integers(0, 4), min_size=4, max_size=4))
def test_weights_are_shares(values: FloatArray, answers: list[int]) -> None:
    weights = learn_weights(normalised(values), np.array(answers, dtype=np.int32), FusionSettings())
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(learn_weights(values[:, :0], np.empty(0, np.int32), FusionSettings()), 1 / 3)


def test_every_question_has_its_own_weights() -> None:
    scores = told([[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, float(NEVER)]])
    weights = np.array([[1, 0], [0, 1]], dtype=np.float32)
    scores.dense[0][1, 1] = NEVER
    np.testing.assert_array_equal(fuse(scores, weights), [[1, 0], [0, NEVER]])


def listed(scores: FloatArray, vectors: FloatArray, k: int, strength: float) -> IntArray:
    likeness = np.matmul(vectors, vectors.transpose(0, 2, 1))
    weights = ObjectiveSettings().with_diversity(strength)
    return composed(scores, chances(scores, np.ones((len(scores), 1), np.float32)), weights, k, likeness=likeness)


def directions(rng: np.random.Generator, *shape: int) -> FloatArray:
    vectors = rng.normal(size=shape).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


@settings(max_examples=60)
@given(
    arrays(np.float32, (3, 8), elements=SCORES | st.just(float(NEVER))),
    st.integers(1, 10),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 100),
)
def test_diverse_choices_are_different_columns_the_possible_first(
    scores: FloatArray, k: int, strength: float, seed: int
) -> None:
    chosen = listed(scores, directions(np.random.default_rng(seed), 3, 8, 4), k, strength)
    assert chosen.shape == (3, min(k, 8))
    for row in range(3):
        columns = chosen[row].tolist()
        assert len(set(columns)) == len(columns)
        possible = scores[row, columns] > NEVER
        assert possible.sum() == min(k, int((scores[row] > NEVER).sum()))
        assert not np.diff(possible.astype(int)).max(initial=0) > 0
        assert (np.diff(scores[row, columns][possible]) <= 0).all()


def test_alike_things_give_way() -> None:
    vectors = np.array([[[1, 0], [1, 0], [0, 1]]], dtype=np.float32)
    scores = np.array([[1.0, 0.9, 0.0]], dtype=np.float32)
    assert listed(scores, vectors, 3, 0.0)[0].tolist() == [0, 1, 2]
    assert listed(scores, vectors, 2, 0.0)[0].tolist() == [0, 1]
    assert listed(scores, vectors, 2, 0.8)[0].tolist() == [0, 2]
    assert listed(scores, vectors, 3, 0.8)[0].tolist() == [0, 1, 2]


def test_where_the_ranking_is_sure_it_is_left_alone() -> None:
    vectors = np.array([[[1, 0], [1, 0], [0, 1]]] * 2, dtype=np.float32)
    scores = np.array([[9.0, 8.0, 0.0], [0.2, 0.1, 0.0]], dtype=np.float32)
    assert [row.tolist() for row in listed(scores, vectors, 2, 0.6)] == [[0, 1], [0, 2]]


@pytest.mark.parametrize("k", [2, 4, 6])
def test_lists_of_all_objectives_are_about_the_best_there_are(k: int) -> None:
    rng = np.random.default_rng(k)
    scores, vectors = rng.normal(size=(20, 9)).astype(np.float32), directions(rng, 20, 9, 3)
    chance, alike = chances(scores, np.ones((20, 1), np.float32)), np.matmul(vectors, vectors.transpose(0, 2, 1))
    weights = ObjectiveSettings(accuracy=0.3, diversity=0.7)
    discounts = 1 / np.log2(np.arange(k) + 2)

    def worth(row: int, columns: Sequence[int]) -> float:
        ordered = sorted(columns, key=lambda column: -scores[row, column])
        distance = 1 - alike[row][np.ix_(ordered, ordered)][np.triu_indices(k, 1)].mean()
        return float(weights.accuracy / ACCURACY * chance[row, ordered] @ discounts + weights.diversity * distance)

    chosen = composed(scores, chance, weights, k, likeness=alike)
    shares = []
    for row in range(20):
        best = max(worth(row, columns) for columns in combinations(range(9), k))
        shares.append(worth(row, chosen[row].tolist()) / best)
    assert min(shares) > 0.85 and np.mean(shares) > 0.99


def test_the_first_page_of_a_long_list_is_the_short_one() -> None:
    rng = np.random.default_rng(0)
    scores, vectors = rng.normal(size=(4, 60)).astype(np.float32), directions(rng, 4, 60, 5)
    short, long = (listed(scores, vectors, k, 0.7) for k in (10, 40))
    np.testing.assert_array_equal(long[:, :10], short)
    assert (np.diff(np.take_along_axis(scores, short, axis=1), axis=1) <= 0).all()
    assert len(set(long[0].tolist())) == 40


@settings(max_examples=60)
@given(
    st.lists(st.integers(-1, 9), min_size=1, max_size=12),
    st.lists(st.integers(-1, 3), min_size=10, max_size=10),
    st.integers(1, 3),
    st.integers(1, 6),
)
def test_quotas_fill_lists_from_the_top(items: list[int], codes: list[int], at_most: int, k: int) -> None:
    keep = within_quotas(np.array([items, items], dtype=np.int32), [(np.array(codes, dtype=np.int32), at_most)], k)
    taken: list[int] = []
    for item in items:
        code = -1 if item < 0 else codes[item]
        if item >= 0 and len(taken) < k and (code < 0 or [codes[other] for other in taken].count(code) < at_most):
            taken.append(item)
    for row in keep:
        assert [item for item, kept in zip(items, row, strict=True) if kept] == taken


def test_a_boost_counts_in_standard_deviations() -> None:
    scores = np.array([[1.0, 3.0, float(NEVER)]], dtype=np.float32)
    moved = boosted(scores, np.array([[2, 0, 1]], dtype=np.int32), np.array([0, 5, 2], dtype=np.float32))
    assert moved.tolist() == [[3.0, 3.0, float(NEVER)]]


def features_of(pipeline: Pipeline, queries: Queries) -> tuple[np.ndarray, FloatArray]:
    scores = ask(pipeline.sources, queries, pipeline.n_items)
    candidates = propose(scores, pipeline.candidates)
    return candidates.items, pipeline.features(queries, candidates, scores)


def test_a_batch_has_the_features_its_questions_have_alone() -> None:
    pipeline = fitted().pipeline
    queries = replace(dataset().queries(mask_seen=False).take(slice(0, 64)), when=np.full(64, 1.767e9))
    items, together = features_of(pipeline, queries)
    assert together.shape[2] == len(pipeline.names)
    for row in range(64):
        alone_items, alone = features_of(pipeline, queries.take(slice(row, row + 1)))
        known = (items[row] >= 0) & (items[row] == alone_items[0])
        assert known.sum() > 0.95 * (items[row] >= 0).sum()
        scored = [place for place, name in enumerate(pipeline.names) if not name.endswith(".rank")]
        np.testing.assert_allclose(together[row][known][:, scored], alone[0][known][:, scored], rtol=1e-3, atol=1e-4)


def test_no_feature_knows_what_was_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranker's questions look the same whatever their answers are."""
    seen: list[tuple[np.ndarray, FloatArray, np.ndarray]] = []

    def watched(pipeline: Pipeline, fold: Fold, enough: int, progress: Any = None) -> Any:
        seen.append((*features_of(pipeline, fold.queries), fold.targets.values))
        return examples(pipeline, fold, enough, progress)

    monkeypatch.setattr(assembly, "examples", watched)
    data = dataset()
    last = data.sequence_rows[data.sequences.indptr[1:][data.sequences.lengths > 1] - 1]
    altered = data.events["item"].to_numpy().copy()
    altered[last] = np.random.default_rng(1).permutation(altered[last])
    for events in (data.events, data.events.with_columns(item=pl.Series(altered))):
        Engine.fit(replace(data, events=events), settings=EngineSettings(encoder=QUICK), seed=5)
    (items, features, answers), (other_items, other_features, other_answers) = seen
    assert (answers != other_answers).mean() > 0.15, "each user's newest question must have another answer"
    np.testing.assert_array_equal(items, other_items)
    np.testing.assert_array_equal(features, other_features)


def test_questions_are_drawn_by_seed() -> None:
    fold = hold_out_last(dataset())
    few, again, other = (sample(fold, 50, seed) for seed in (1, 1, 2))
    assert few.users.tolist() == again.users.tolist()
    assert few.users.tolist() != sorted(few.users.tolist())
    assert few.users.tolist() != other.users.tolist()
    assert sorted(sample(fold, 10_000, 1).users.tolist()) == sorted(fold.users.tolist())


def test_weights_say_nothing_of_people_nobody_knows() -> None:
    pipeline = fitted().pipeline
    weights = pipeline.weights_for(Queries.of([[], [3]]))
    np.testing.assert_allclose(weights[0], 1 / len(pipeline.sources))
    np.testing.assert_array_equal(weights[1], pipeline.weights)

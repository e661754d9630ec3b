"""What follows what: counted by hand, updated without a fit, borrowed between near texts."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from palate.core import Histories, Queries, Scorer, UsageError
from palate.data import Catalogue, Dataset
from palate.models.borrowing import Backoff, Borrowing, BorrowingSettings, innermost
from palate.models.linear import event_weights
from palate.models.semantic_transitions import SemanticTransitions, SemanticTransitionsSettings
from palate.models.transitions import Transitions, TransitionsSettings, damped, pair_counts, undamped
from palate.testing import FakeEncoder, RecommenderConformance, small_shop

BORROWING = SemanticTransitionsSettings(borrowing=BorrowingSettings(backoff=1.0))


def reading(own: SemanticTransitionsSettings | None = None) -> SemanticTransitions:
    return SemanticTransitions(own, FakeEncoder())


class TestTransitions(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Transitions()


class TestTransitionsForward(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Transitions(TransitionsSettings(backward=0.0, window=3))


class TestTransitionsOfOtherKernels(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Transitions(TransitionsSettings(distance_power=0.0, distance_decay=0.7, decay=1.0, fade=1.5))


class TestSemanticTransitions(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return reading()


class TestSemanticTransitionsWithBackoff(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return reading(BORROWING)


def test_pairs_are_counted_by_hand() -> None:
    own = TransitionsSettings(window=2, distance_power=1.0)
    counts = pair_counts(Histories.of([[0, 1, 2], [0, 2], [3]]), 4, own).toarray()
    expected = np.zeros((4, 4))
    expected[0, 1], expected[1, 2], expected[0, 2] = 1, 1, 0.5 + 1
    np.testing.assert_allclose(counts, expected)


def test_an_exponential_kernel_of_distance() -> None:
    own = TransitionsSettings(distance_power=0.0, distance_decay=0.5)
    counts = pair_counts(Histories.of([[0, 1, 2, 3]]), 4, own).toarray()
    np.testing.assert_allclose(counts[0], [0, 1, 0.5, 0.25])


def test_a_power_kernel_of_age() -> None:
    weights = event_weights(Histories.of([[0, 1, 2]]), 1.0, 2.0)
    np.testing.assert_allclose(weights, [1 / 9, 1 / 4, 1])


def test_a_window_ends_where_it_says() -> None:
    counts = pair_counts(Histories.of([[0, 1, 2, 3]]), 4, TransitionsSettings(window=1)).toarray()
    assert counts.sum() == 3
    assert counts[0, 2] == counts[0, 3] == 0


def test_what_came_after_is_worth_more_than_what_came_before() -> None:
    shop = small_shop()
    model = Transitions(TransitionsSettings(backward=0.25)).fit(shop)
    counts = pair_counts(shop.sequences, shop.n_items, model.settings).toarray()
    first, then = np.unravel_index((counts - counts.T).argmax(), counts.shape)
    assert model.score(Queries.of([[first]]))[0, then] > 0
    assert model.score(Queries.of([[first]]))[0, then] > model.score(Queries.of([[then]]))[0, first] > 0


@given(st.floats(0, 1.2), st.floats(0, 1.2), st.floats(0.05, 2), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_weights_hold_the_counts(source: float, target: float, damping: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = sparse.random(6, 6, 0.4, format="csr", dtype=np.float32, random_state=seed)
    popularity = random.integers(0, 50, 6).astype(np.float32)
    own = TransitionsSettings(source_power=source, target_power=target, damping=damping)
    again = undamped(damped(counts, popularity, own), popularity, own)
    np.testing.assert_allclose(again.toarray(), counts.toarray(), rtol=1e-4, atol=1e-6)


def split_after(shop: Dataset, kept: list[int]) -> tuple[Dataset, np.ndarray]:
    """The shop before each user's last events, so many of each as there are, and how many are missing."""
    lengths = shop.sequences.lengths
    new = np.minimum(lengths, np.resize(kept, len(lengths))).astype(np.int64)
    return shop.only(shop.sequences.ages >= np.repeat(new, lengths)), new


@given(st.lists(st.integers(0, 4), min_size=1, max_size=7))
@settings(max_examples=15, deadline=None)
def test_an_update_is_the_fit_that_had_known(new: list[int]) -> None:
    shop = small_shop()
    before, missing = split_after(shop, new)
    updated = Transitions().fit(before).update(shop.sequences, missing)
    asked = shop.queries()
    np.testing.assert_allclose(updated.score(asked), Transitions().fit(shop).score(asked), rtol=1e-4, atol=1e-5)


def test_an_update_of_borrowed_counts_is_the_fit_that_had_known() -> None:
    shop = small_shop()
    before, missing = split_after(shop, [2, 0, 1])
    updated = reading().fit(before).update(shop.sequences, missing)
    asked = shop.queries()
    np.testing.assert_allclose(updated.score(asked), reading().fit(shop).score(asked), rtol=1e-4, atol=1e-5)


def test_an_update_leaves_copies_and_saved_states_as_they_were() -> None:
    shop = small_shop()
    before, missing = split_after(shop, [1])
    model, asked = Transitions().fit(before), shop.queries()
    scores, beside = model.score(asked), copy(model)
    restored = Transitions().restore(model.arrays()).update(shop.sequences, missing)
    np.testing.assert_array_equal(model.score(asked), scores)
    model.update(shop.sequences, missing)
    np.testing.assert_array_equal(beside.score(asked), scores)
    np.testing.assert_array_equal(restored.score(asked), model.score(asked))
    assert np.abs(model.score(asked) - scores).max() > 0


def test_an_item_that_came_since_is_followed_and_follows() -> None:
    shop = small_shop()
    new = shop.n_items + 1
    model = Transitions().fit(shop).update(Histories.of([[3, new], [new, 4]]), np.array([1, 2]))
    assert model.n_items == shop.n_items + 2
    scores = model.score(Queries.of([[3], [new]]))
    assert scores[0, new] > 0
    assert scores[1, 4] > scores[1, new - 1] == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.floats(0, 1))
@settings(max_examples=10, deadline=None)
def test_rows_that_no_event_changed_are_damped_anew(new: list[int], power: float) -> None:
    shop = small_shop()
    before, missing = split_after(shop, new)
    own = BORROWING.model_copy(update={"target_power": power, "borrowing": BorrowingSettings(keep=20)})
    updated, whole = reading(own).fit(before).update(shop.sequences, missing), reading(own).fit(shop)
    np.testing.assert_allclose(updated.score(shop.queries()), whole.score(shop.queries()), rtol=1e-4, atol=1e-5)


def test_updates_that_make_no_sense_are_refused() -> None:
    shop = small_shop()
    model = Transitions().fit(shop)
    with pytest.raises(UsageError, match="how many of its last events are new"):
        model.update(Histories.of([[1, 2]]), np.array([3]))
    with pytest.raises(UsageError, match="knows only"):
        reading().fit(shop).update(Histories.of([[1, shop.n_items]]), np.array([1]))
    old = Transitions().restore({name: array for name, array in model.arrays().items() if name != "popularity"})
    np.testing.assert_array_equal(old.score(shop.queries()), model.score(shop.queries()))
    with pytest.raises(UsageError, match="fit them again"):
        old.update(Histories.of([[1, 2]]), np.array([1]))


def dense_reference(counts: np.ndarray, popularity: np.ndarray, near: np.ndarray, own: BorrowingSettings) -> np.ndarray:
    rate = 1 / np.maximum(popularity, 1)
    lent = own.sources * near @ (rate[:, None] * counts) + own.targets * (counts * rate) @ near.T
    return np.asarray(counts + own.prior * near + lent)


@given(st.floats(0, 2), st.floats(0, 2), st.floats(0, 2), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_borrowing_is_the_plain_formula(sources: float, targets: float, prior: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = random.poisson(0.5, (7, 7)).astype(np.float32)
    near = (random.random((7, 7)) * (random.random((7, 7)) < 0.4)).astype(np.float32)
    popularity = random.integers(0, 9, 7).astype(np.float32)
    own = BorrowingSettings(sources=sources, targets=targets, prior=prior, keep=7)
    lent = Borrowing(sparse.csr_matrix(counts), popularity, sparse.csr_matrix(near), None, own)
    expected = dense_reference(counts, popularity, near, own)
    np.testing.assert_allclose(lent.matrix().toarray(), expected, rtol=1e-4, atol=1e-5)
    items = np.array([4, 1], dtype=np.int32)
    around = lent.around(items).toarray()
    np.testing.assert_allclose(around[items], expected[items], rtol=1e-4, atol=1e-5)
    others = np.setdiff1d(np.arange(7), items)
    columns = expected[:, items] + prior * (near[items].T - near[:, items])
    np.testing.assert_allclose(around[np.ix_(others, items)], columns[others], rtol=1e-4, atol=1e-5)
    assert not around[np.ix_(others, others)].any()


def test_a_category_lends_what_follows_it() -> None:
    frame = pl.DataFrame({"item_id": list("abcd"), "category": ["X > P", "X > P", "X > Q", None]})
    catalogue = Catalogue.of(frame)
    a, b, c, d = (catalogue.ids.position(name) for name in "abcd")
    member = innermost(catalogue)
    assert member[[a]].indices.tolist() == member[[b]].indices.tolist() != member[[c]].indices.tolist()
    assert not member[[d]].nnz
    counts = np.zeros((4, 4), dtype=np.float32)
    counts[a, c] = 6.0
    follow = Backoff.of(sparse.csr_matrix(counts), member, 4)
    lent = Borrowing(
        sparse.csr_matrix(counts),
        np.ones(4, np.float32),
        sparse.csr_matrix((4, 4)),
        follow,
        BorrowingSettings(backoff=3),
    )
    matrix = lent.matrix().toarray()
    np.testing.assert_allclose(matrix[b], [3.0 if item == c else 0.0 for item in range(4)])
    assert not matrix[d].any()


def test_new_and_changed_items_borrow_at_once() -> None:
    shop = small_shop()
    model = reading().fit(shop)
    known = model.n_items
    catalogue = shop.catalogue.extended(pl.DataFrame({"item_id": ["new"], "title": ["steel pan classic"]}))
    model.extend(catalogue)
    pan = catalogue.titles.index("steel pan classic")
    new = model.score(Queries.of([[known]]))[0]
    assert new[pan] > 0
    followers = np.argsort(-model.score(Queries.of([[pan]]))[0, :known], kind="stable")[:8]
    assert (new[followers[followers != pan]] > 0).sum() >= 4
    changed = replace(
        catalogue,
        frame=catalogue.frame.with_columns(
            title=pl.when(pl.col("item_id") == "new").then(pl.lit("garden hose classic")).otherwise("title")
        ),
    )
    hose = catalogue.titles.index("garden hose classic")
    model.reread(changed, np.array([known], dtype=np.int32))
    now = model.score(Queries.of([[known]]))[0]
    assert now[hose] > now[pan]
    with pytest.raises(UsageError, match="cannot extend"):
        model.extend(Catalogue.of(shop.catalogue.frame[:3]))


def test_rare_items_borrow_more_than_frequent_ones() -> None:
    """What an item adds to itself by borrowing shrinks beside its own counts."""
    shop = small_shop()
    lent = reading().fit(shop)._need_borrowing()
    share = 1 - np.asarray(lent.counts.sum(axis=1)).ravel() / np.maximum(
        np.asarray(lent.matrix().sum(axis=1)).ravel(), 1e-9
    )
    has = lent.likeness.getnnz(axis=1) > 0
    rare, frequent = has & (lent.popularity <= 3), has & (lent.popularity >= 10)
    assert rare.any()
    assert share[rare].mean() > share[frequent].mean() + 0.1


def test_where_nothing_is_read_nothing_is_lent() -> None:
    shop = small_shop()
    own = SemanticTransitionsSettings()
    alone = Transitions(TransitionsSettings(**own.model_dump(include=set(TransitionsSettings.model_fields)))).fit(shop)
    asked = shop.queries()
    np.testing.assert_allclose(SemanticTransitions(own, None).fit(shop).score(asked), alone.score(asked), rtol=1e-5)

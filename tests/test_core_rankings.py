"""Scores become lists in one place, and nothing ruled out gets through."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from palate.core import Histories, Queries, Ragged, Rankings, top_k
from palate.core.rankings import NEVER, select

SCORES = st.integers(1, 6).flatmap(
    lambda m: st.lists(
        st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, float("-inf")]), min_size=m, max_size=m), min_size=1, max_size=4
    )
)


@given(SCORES, st.integers(1, 8))
def test_select_is_a_stable_sort(scores: list[list[float]], k: int) -> None:
    chosen = select(np.array(scores, dtype=np.float32), k)
    naive = [
        [column for _, column in sorted((-score, column) for column, score in enumerate(row))][:k] for row in scores
    ]
    assert chosen.dtype == np.int32
    assert chosen.tolist() == naive


def test_select_agrees_with_a_full_sort_where_ties_straddle_the_border() -> None:
    scores = np.random.default_rng(0).integers(0, 20, (50, 400)).astype(np.float32)
    assert (select(scores, 30) == np.argsort(-scores, axis=1, kind="stable")[:, :30]).all()


@given(st.data())
def test_lists_hold_only_what_the_question_allows(data: st.DataObject) -> None:
    n_items = 8
    items = st.lists(st.integers(0, n_items - 1), max_size=4)
    history, candidates, excludes = data.draw(items), data.draw(st.none() | items), data.draw(st.none() | items)
    mask, k = data.draw(st.booleans()), data.draw(st.integers(1, 10))
    queries = Queries(
        Histories.of([history]),
        k=k,
        mask_seen=mask,
        candidates=None if candidates is None else Ragged.of([candidates]),
        excludes=None if excludes is None else Ragged.of([[*excludes, 999, -1]]),
    )
    scores = np.random.default_rng(3).random((1, n_items), dtype=np.float32)
    ranked = top_k(scores.copy(), queries, "test")
    allowed = set(range(n_items) if candidates is None else candidates) - set(excludes or ())
    allowed -= set(history) if mask else set()
    best = sorted(allowed, key=lambda item: -scores[0, item])[:k]
    assert ranked.row(0).tolist() == best
    assert (ranked.scores[ranked.items < 0] == NEVER).all()
    assert (ranked.sources[ranked.items < 0] == 0).all()
    assert all(ranked.proposers(0, rank) == ("test",) for rank in range(len(best)))


def test_rankings_are_immutable_and_join() -> None:
    scores = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    one = top_k(scores.copy(), Queries.of([[]], k=2), "m")
    both = Rankings.concatenate([one, one])
    assert both.items.tolist() == [[2, 1], [2, 1]]
    assert both.k == 2
    assert not both.items.flags.writeable

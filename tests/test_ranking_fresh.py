"""Places for items that nobody chose yet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.ranking.candidates import Candidates
from palate.ranking.fresh import FreshSettings, telling_of, with_fresh
from palate.ranking.ranker import Examples


def candidates(rows: int, c: int, seed: int) -> tuple[Candidates, np.ndarray]:
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(c + 5)[:c] for _ in range(rows)]).astype(np.int32)
    fused = rng.random((rows, c)).astype(np.float32)
    ranked = rng.normal(size=(rows, c)).astype(np.float32)
    return Candidates(items, fused, np.ones((rows, c), np.uint32)), ranked


@pytest.mark.parametrize(("share", "places"), [(0.0, 0), (0.04, 0), (0.06, 1), (0.1, 1), (0.2, 2), (0.5, 2), (1.0, 0)])
def test_places_follow_the_share_of_new_items(share: float, places: int) -> None:
    fresh = np.arange(100) < round(100 * share)
    assert FreshSettings().places(fresh) == places
    assert FreshSettings(every=0).places(fresh) == 0


@given(st.integers(0, 200), st.integers(1, 3), st.sampled_from([4, 10]))
def test_the_best_new_item_takes_a_late_place_and_nobody_else_moves(seed: int, most: int, every: int) -> None:
    found, ranked = candidates(3, 20, seed)
    fresh = np.zeros(25, dtype=bool)
    fresh[:5] = True
    settings = FreshSettings(every=every, most=most)
    places = settings.places(fresh)
    answer = with_fresh(ranked, found, fresh, settings)
    for row in range(3):
        order, before = np.argsort(-answer[row], kind="stable"), np.argsort(-ranked[row], kind="stable")
        new = fresh[found.items[row]]
        chosen = sorted(np.flatnonzero(new), key=lambda column: -found.fused[row, column])[:places]
        assert set(chosen) <= set(order[:every].tolist())
        assert [c for c in order.tolist() if c not in chosen] == [c for c in before.tolist() if c not in chosen]
        assert order[: every - places].tolist() == before[: every - places].tolist() or set(chosen) & set(
            before[:every].tolist()
        )


def test_nothing_moves_without_new_candidates_or_with_few() -> None:
    found, ranked = candidates(2, 12, 1)
    nobody_new = np.zeros(17, dtype=bool)
    nobody_new[found.items.max() :] = False
    np.testing.assert_array_equal(with_fresh(ranked, found, nobody_new, FreshSettings()), ranked)
    fresh = np.ones(17, dtype=bool)
    fresh[:8] = False
    few = Candidates(found.items[:, :6], found.fused[:, :6], found.sources[:, :6])
    np.testing.assert_array_equal(with_fresh(ranked[:, :6], few, fresh, FreshSettings()), ranked[:, :6])


def test_how_much_texts_tell() -> None:
    rng = np.random.default_rng(0)
    relevant = np.zeros((400, 100), dtype=bool)
    relevant[np.arange(400), rng.integers(100, size=400)] = True
    drawn = np.log1p(np.argsort(rng.random((400, 100)), axis=1)).astype(np.float32)
    knows = np.where(relevant, 0, np.log1p(50)).astype(np.float32)
    names = ("semantic.rank", "lexical.rank")

    def telling(*columns: np.ndarray) -> float:
        return telling_of(Examples(np.stack(columns, axis=-1), relevant, np.ones_like(relevant)), names, ["semantic"])

    assert telling(drawn, knows) == pytest.approx(1.0, abs=0.4)
    assert telling(knows, drawn) == pytest.approx(10.0)
    assert telling_of(Examples(drawn[:0, :, None], relevant[:0], relevant[:0]), names, ["semantic"]) == 0.0

"""A question gets the same answer alone as in a crowd: there is one path."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from palate.core import Histories, Queries
from palate.core.rankings import positive
from palate.engine import Engine, EngineSettings
from palate.language import EncoderSettings
from palate.testing import small_shop


@cache
def engine() -> Engine:
    settings = EngineSettings(encoder=EncoderSettings(encoder="lexical"), seen="mask")
    return Engine.fit(small_shop(), settings=settings)


@pytest.mark.parametrize("wish", ["", "steel pan"])
@pytest.mark.parametrize("masked", [True, False])
def test_alone_and_in_a_crowd(masked: bool, wish: str) -> None:
    dataset = small_shop()
    strangers = Histories.of([[3], [], [1, 2, 1]])
    histories = Histories.concatenate([dataset.sequences, strangers])
    text = None if not wish else tuple(wish if row % 2 else "" for row in range(len(histories)))
    queries = Queries(histories, k=12, mask_seen=masked, text=text, when=np.full(len(histories), 1.7e9))
    together = engine().rank(queries)
    for row, alone in enumerate(queries.batches(1)):
        answer = engine().rank(alone)
        np.testing.assert_array_equal(answer.items[0], together.items[row])
        np.testing.assert_array_equal(answer.sources[0], together.sources[row])
        np.testing.assert_allclose(answer.scores[0], together.scores[row], rtol=1e-5, atol=1e-6)


def test_many_users_get_what_each_would() -> None:
    users = [*small_shop().user_ids.names[:20], None, "a stranger"]
    for user, answer in zip(users, engine().recommend_many(users, 7), strict=True):
        alone = engine().recommend(user, 7)
        assert [found.item for found in answer.items] == [found.item for found in alone.items]
        assert [found.source for found in answer.items] == [found.source for found in alone.items]
        assert (answer.source, answer.degraded) == (alone.source, alone.degraded)
    assert engine().recommend_many([]) == []


def test_what_an_answer_says_of_an_item_is_the_callers_own() -> None:
    first = engine().recommend("u01", 1).items[0]
    first.properties["title"] = "changed"
    assert engine().recommend("u01", 1).items[0].properties["title"] != "changed"


@pytest.mark.parametrize("width", [5, 300, 12_000])
@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_positive_scores_are_the_best_above_zero(width: int, share: float) -> None:
    rng = np.random.default_rng(width)
    scores = np.round(rng.normal(size=(7, width)) * 4).astype(np.float32)
    scores[rng.random(scores.shape) >= share] = 0
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    cells, ranks = positive(scores, 20)
    expected_cells: list[int] = []
    expected_ranks: list[int] = []
    for row, values in enumerate(scores):
        best = np.argsort(-values, kind="stable")[:20]
        best = best[values[best] > 0]
        expected_cells += (row * width + best).tolist()
        expected_ranks += range(len(best))
    assert cells.tolist() == expected_cells
    assert ranks.tolist() == expected_ranks

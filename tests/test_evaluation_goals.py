"""Choosing a weighting by goals: several gains at once, and room for what is known less well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from palate.core import Float64Array, Histories, IntArray, Queries, Ragged, Rankings, UsageError
from palate.data import Fold
from palate.evaluation.goals import Measure, choose_weighting, weightings
from palate.ranking.objectives import ObjectiveSettings
from tests.engine_world import dataset

N = 400
NOISE = np.random.default_rng(0).normal(size=N)
GOALS = {"right": 0.2, "varied": 0.2}


class Telling:
    """Lists that say under which weighting they were made, in thousandths of diversity."""

    def rank_each(self, queries: Queries, objectives: Sequence[ObjectiveSettings]) -> list[Rankings]:
        found = []
        for own in objectives:
            items = np.full((len(queries), 10), round(1000 * own.diversity), dtype=np.int32)
            found.append(Rankings(items, np.zeros(items.shape, np.float32), np.zeros(items.shape, np.uint32), ("t",)))
        return found


def fold() -> Fold:
    queries = Queries(Histories.empty(N))
    return Fold(dataset(), queries, Ragged.of([np.zeros(1, np.int32)] * N), np.arange(N, dtype=np.int32))


def points(*diversities: float) -> list[ObjectiveSettings]:
    return [ObjectiveSettings(accuracy=1 - own, diversity=own) for own in diversities]


def trade(best: float, noise: float = 0.0) -> tuple[dict[str, Float64Array], Measure]:
    """A model with 1 of everything, and lists whose gains are ``best`` less their diversity, and their diversity."""

    def measure(items: IntArray) -> dict[str, Float64Array]:
        share = items[0, 0] / 1000
        return {"right": 1 + best - share + noise * (NOISE - NOISE.mean()), "varied": np.full(N, 1 + share)}

    return {"right": np.ones(N), "varied": np.ones(N)}, measure


def chosen(best: float, noise: float = 0.0) -> tuple[float, float]:
    reference, measure = trade(best, noise)
    own, tried = choose_weighting(
        Telling(), fold(), measure, reference=reference, goals=GOALS, points=points(0, 0.1, 0.21, 0.25, 0.3, 0.5)
    )
    assert len(tried) == 6 and tried[0].objectives.plain
    assert own.gains["varied"] == pytest.approx(own.objectives.diversity)
    return own.objectives.diversity, own.attained


def test_where_all_goals_can_be_met_they_are_and_the_noisy_gain_gets_more_room() -> None:
    noisy, attained = chosen(0.6, noise=1.0)
    assert attained >= 1 and noisy == 0.21
    assert chosen(0.6)[0] == 0.3


def test_where_goals_cannot_all_be_met_the_least_gain_is_the_largest() -> None:
    diversity, attained = chosen(0.22)
    assert diversity == 0.1
    assert attained == pytest.approx(0.5)


def test_weightings_begin_with_accuracy_alone_and_repeat_nothing() -> None:
    for content in (False, True):
        tried = weightings(content=content)
        assert tried[0].plain
        assert len({own.model_dump_json() for own in tried}) == len(tried)
        assert any(own.satisfaction for own in tried) == content
        assert all(sum(own.described().values()) == pytest.approx(1) for own in tried)


def test_goals_that_are_none_and_engines_of_one_manner_are_refused_in_words() -> None:
    reference, measure = trade(0.5)
    with pytest.raises(UsageError, match="goals are relative gains above 0"):
        choose_weighting(Telling(), fold(), measure, reference=reference, goals={"right": 0.0})
    with pytest.raises(UsageError, match="answers in one manner only"):
        choose_weighting(object(), fold(), measure, reference=reference, goals=GOALS)

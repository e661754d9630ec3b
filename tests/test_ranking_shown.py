"""Ranking a list that is shown: what it learns, what it says of it, and that it does not see the future."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import DataError, Histories, Queries, Ragged
from palate.data import Dataset
from palate.data.shown import ShownLists
from palate.data.trivago import trivago
from palate.evaluation.shown import judged, last_choices, prediction, reciprocal_ranks, touched_first
from palate.ranking.shown import ShownRanker, ShownSettings, learn_shown
from palate.ranking.shown_facts import ShownFacts, Tally
from palate.ranking.shown_features import NAMES, build_shown
from tests.conftest import shared_data

QUICK = ShownSettings(trees=80, learning_rate=0.12, patience=20)


@cache
def searches() -> Dataset:
    return trivago(shared_data("trivago"))


@cache
def taught() -> ShownRanker:
    ranker = learn_shown(last_choices(searches()).train, QUICK, 0)
    assert ranker is not None
    return ranker


def test_choices_are_foretold_better_than_by_the_rule() -> None:
    found = judged(last_choices(searches()), taught(), samples=20)
    mrr = {name: own["estimate"] for name, own in found["mrr"].items()}
    assert mrr["shown"] > mrr["touched_first"] > mrr["as_shown"] > mrr["often_chosen"] * 0.5
    assert found["probabilities"]["calibration_error"]["estimate"] < 0.02
    assert found["probabilities"]["choice_log_loss"]["estimate"] < 2.2  # 25 items at random: 3.2
    assert found["probabilities"]["auc"]["estimate"] > 0.85
    for own in found["probabilities"].values():
        assert own["ci95"][0] <= own["estimate"] + 0.02
        assert own["ci95"][1] >= own["estimate"] - 0.02


def test_sessions_stand_whole_on_one_side() -> None:
    trial = last_choices(searches())
    events = searches().events
    asked = events["session_id"].gather(trial.lists.rows).to_list()
    assert len(set(asked)) == len(asked)
    assert not set(asked) & set(trial.train.events["session_id"].to_list())
    assert trial.train.events["time"].max() < trial.lists.times.min()


def test_probabilities_are_of_one_choice_from_the_list() -> None:
    queries = last_choices(searches()).queries.take(slice(0, 50))
    probability = taught().probability(queries)
    assert queries.candidates is not None
    np.testing.assert_allclose(np.bincount(queries.candidates.rows, weights=probability), 1, rtol=1e-5)
    rankings = taught().rank(replace(queries, k=25))
    assert (np.diff(np.where(rankings.items >= 0, rankings.scores, -1), axis=1) <= 0).all()
    for row in range(50):
        assert sorted(rankings.row(row)) == sorted(queries.candidates[row])


def test_one_question_and_many_are_answered_alike() -> None:
    queries = last_choices(searches()).queries.take(slice(0, 20))
    together = taught().probability(queries)
    alone = np.concatenate([taught().probability(queries.take(slice(row, row + 1))) for row in range(20)])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_what_is_saved_answers_alike() -> None:
    ranker, queries = taught(), last_choices(searches()).queries.take(slice(0, 20))
    again = ShownRanker.restore(ranker.model, ranker.facts.devices, ranker.arrays())
    np.testing.assert_array_equal(ranker.probability(queries), again.probability(queries))
    assert again.describe() == ranker.describe()


def test_contributions_sum_to_the_utility() -> None:
    queries = last_choices(searches()).queries.take(slice(0, 10))
    table, added = taught().contributions(queries)
    assert table.shape[1] + 1 == added.shape[1] == len(NAMES) + 1
    np.testing.assert_allclose(added.sum(axis=1), taught().utility(queries), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("column", NAMES)
def test_no_column_sees_the_future(column: str) -> None:
    before, after, place = with_and_without_a_future()
    at = NAMES.index(column)
    np.testing.assert_array_equal(before[place, at], after[place, at])
    known = before[:, at][~np.isnan(before[:, at])]
    if column not in ("weekday", "touched_before"):  # two days of one week
        assert len(np.unique(known)) > 1, "a column that never changes proves nothing"


@cache
def with_and_without_a_future() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The table of lists of the first day, with the second day as it was and with garbage in its place."""
    dataset = searches()
    times = dataset.events["time"].to_numpy()
    moment = float(np.quantile(times, 0.5))
    past = dataset.only(times < moment)
    rng = np.random.default_rng(0)
    events = dataset.events.with_columns(
        item=pl.when(pl.col("time") >= moment)
        .then(pl.Series(rng.permutation(dataset.n_events) % 500))
        .otherwise("item"),
        shown=pl.when(pl.col("time") >= moment).then(pl.lit(dataset.item_ids[3])).otherwise("shown"),
        shown_prices=pl.when(pl.col("time") >= moment).then(pl.lit("1000000")).otherwise("shown_prices"),
    ).with_columns(pl.col("item").cast(pl.Int32))
    tables = []
    for own in (past, replace(dataset, events=events)):
        everything = ShownLists.of(own)
        lists = everything.take(everything.times < moment)
        clicks = np.array([own.kinds.position("click")], np.int32)
        facts = ShownFacts.of(own, everything)
        # The commonest device comes first in the whole data too.
        facts = replace(facts, devices=("desktop", "mobile", "tablet"))
        tables.append(build_shown(facts, lists.queries(own), clicks))
    return tables[0], tables[1], np.arange(len(tables[0]))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.floats(0.5, 2)), max_size=30),
    st.integers(0, 5),
    st.integers(0, 10),
)
def test_a_tally_is_the_sum_before_the_moment(entries: list[tuple[int, int, float]], item: int, moment: int) -> None:
    items = np.array([own[0] for own in entries], np.int32)
    times = np.array([own[1] for own in entries], np.float64)
    worth = np.array([own[2] for own in entries], np.float32)
    tally = Tally.of(items, times, worth, 4)
    asked = np.array([item], np.int32)
    expected = worth[(items == item) & (times < moment)].sum()
    np.testing.assert_allclose(tally.before(asked, np.array([float(moment)]))[0], expected, rtol=1e-4)
    np.testing.assert_allclose(tally.before(asked, np.array([np.nan]))[0], worth[items == item].sum(), rtol=1e-4)


def test_odd_lists_are_answered() -> None:
    queries = Queries(
        Histories.of([[0, 1], [], [2]]),
        k=3,
        mask_seen=True,
        candidates=Ragged.of([[1, 5, 5, 900_000], [], [7]]),
        excludes=Ragged.of([[], [], [7]]),
        as_shown=True,
    )
    rankings = taught().rank(queries)
    assert sorted(rankings.row(0).tolist()) == [5, 900_000]  # seen ones masked, a repeated one once
    assert rankings.row(1).tolist() == []
    assert rankings.row(2).tolist() == []


def test_the_rule_takes_the_latest_touched_first() -> None:
    queries = Queries(Histories.of([[4, 2, 3, 2], []]), candidates=Ragged.of([[1, 3, 4, 2], [9, 8]]))
    scores = touched_first(queries)
    assert np.argsort(-scores[:4]).tolist() == [3, 1, 2, 0]
    assert np.argsort(-scores[4:]).tolist() == [0, 1]


def test_a_choice_outside_its_list_counts_against_every_order() -> None:
    lists = ShownLists.of(searches()).take(np.arange(30))
    lost = replace(lists, chosen=np.array([-1, 0, 1] * 10, np.int32))
    scores = np.zeros(len(lists.lists.values), np.float32)
    assert reciprocal_ranks(scores, lost).tolist() == [0, 1, 0.5] * 10
    uniform = (1 / lists.lists.lengths[lists.lists.rows]).astype(np.float32)
    assert prediction(lost, uniform, samples=20)["recall"]["estimate"] == 0.5


def test_few_lists_teach_nothing_and_say_so() -> None:
    notes: list[str] = []
    few = searches().only(searches().events["user"].to_numpy() < 40)
    assert learn_shown(few, QUICK, 0, notes=notes) is None
    assert notes
    assert "keep their order" in notes[0]
    assert learn_shown(searches(), QUICK.model_copy(update={"learn": False}), 0) is None


def test_data_without_lists_cannot_be_asked() -> None:
    frame = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [1e9, 1e9]})
    with pytest.raises(DataError, match="lists that were shown"):
        last_choices(Dataset.from_frames(frame))

"""What the ranker sees of the moment: how popular things are just then, and the visit that is going on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import Histories, Queries
from palate.data.dataset import DAY
from palate.ranking.session import Session
from palate.ranking.trend import Trends

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), min_size=1, max_size=25)


def chosen(events: list[tuple[int, int]]) -> Histories:
    """One row a person: an item on a day, in order of time."""
    ordered = sorted(events, key=lambda event: event[1])
    return Histories.of([[item] for item, _ in ordered], [np.array([day * DAY]) for _, day in ordered])


def decayed(events: list[tuple[int, int]], item: int, day: float, half_life: float) -> float:
    return sum(2 ** (-(day - when) / half_life) for own, when in events if own == item and when <= day)


@settings(max_examples=60)
@given(EVENTS, st.integers(0, 450))
def test_trends_are_decayed_counts_of_what_came_before(events: list[tuple[int, int]], day: int) -> None:
    trends = Trends.of(chosen(events), 5)
    now, rise = trends.at(np.arange(5, dtype=np.int32)[None], np.array([day * DAY]))
    told = min(day, max(when for _, when in events))
    for item in range(5):
        usual, lately = (decayed(events, item, told, days) for days in (90, 14))
        assert now[0, item] == pytest.approx(np.log1p(usual), abs=1e-4)
        assert rise[0, item] == pytest.approx(np.log1p(lately * 90 / 14) - np.log1p(usual), abs=1e-4)


@settings(max_examples=60)
@given(EVENTS, EVENTS, st.integers(0, 400))
def test_what_comes_after_a_moment_changes_nothing(
    events: list[tuple[int, int]], later: list[tuple[int, int]], day: int
) -> None:
    anchor = [(0, day)]
    future = [(item, day + 1 + when) for item, when in later]
    asked = np.arange(4, dtype=np.int32)[None], np.array([day * DAY])
    before = [event for event in events if event[1] <= day] + anchor
    for ignorant, knowing in zip(
        Trends.of(chosen(before), 4).at(*asked), Trends.of(chosen(before + future), 4).at(*asked), strict=True
    ):
        np.testing.assert_allclose(ignorant, knowing, atol=1e-4)


def test_what_rises_is_told_from_what_falls() -> None:
    events = [(0, day) for day in range(0, 100, 4)] + [(1, day) for day in range(100, 200, 4)]
    trends = Trends.of(chosen(events), 3)
    _, rise = trends.at(np.array([[0, 1, 2]] * 3, dtype=np.int32), np.array([99 * DAY, 199 * DAY, np.nan]))
    assert rise[0, 1] == 0
    assert rise[1, 0] < 0 < rise[1, 1]
    assert rise[1, 2] == 0
    assert np.isnan(rise[2]).all()


def test_without_times_there_is_no_trend_and_it_survives_saving() -> None:
    assert not Trends.of(Histories.of([[1, 2]]), 3)
    trends = Trends.of(chosen([(0, 1), (2, 5)]), 3)
    grown = Trends.from_arrays(trends.arrays(), 3).extended(5)
    asked = np.array([[0, 1, 2, 3, 4]], dtype=np.int32), np.array([6 * DAY])
    told = [values[0].tolist() for values in grown.at(*asked)]
    assert told[0][0] > 0 == told[0][1] == told[0][4]
    assert not Trends.from_arrays({}, 3)


def test_a_visit_ends_with_half_an_hour_of_silence() -> None:
    history = Histories.of(
        [[0, 1, 2], [0, 1], [0, 1], [], [3]],
        [np.array(times, dtype=float) for times in ([0, 9_000, 9_600], [0, 60], [0, 60], [], [np.nan])],
    )
    when = np.array([10_200.0, 5_000.0, np.nan, 7.0, 7.0])
    session = Session.of(Queries(history, when=when))
    assert session.lengths.tolist() == [2, 0, 2, 0, -1]
    assert session.events.lengths.tolist() == [2, 0, 2, 0, 0]
    assert session.before.lengths.tolist() == [1, 2, 0, 0, 1]
    np.testing.assert_array_equal(session.minutes, [20, np.nan, 1, np.nan, np.nan])


def test_what_the_asker_says_of_the_visit_comes_first() -> None:
    history = Histories.of([[0, 1, 2], [0]], [np.array([0.0, 60.0, 120.0]), np.array([np.nan])])
    session = Session.of(Queries(history, session=np.array([1, 5], dtype=np.int32)))
    assert session.lengths.tolist() == [1, 1]
    assert session.events.items.tolist() == [2, 0]


def test_a_visit_unlike_the_past_says_so() -> None:
    vectors = np.eye(3, dtype=np.float32)
    times = np.array([0.0, DAY, 2 * DAY])
    history = Histories.of([[0, 0, 1], [0, 0, 0], [2, 2, 2]], [times, times, np.full(3, np.nan)])
    session = Session.of(Queries(history, when=np.full(3, 2 * DAY + 60)))
    np.testing.assert_allclose(session.shift(vectors), [1, 0, np.nan], atol=1e-6)
    np.testing.assert_allclose(session.vectors(vectors), [[0, 1, 0], [1, 0, 0], [0, 0, 0]])


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 90), max_size=6), min_size=1, max_size=5), st.integers(0, 120))
def test_visits_of_a_batch_are_those_of_its_questions(minutes: list[list[int]], now: int) -> None:
    rows = [np.array(sorted(row), dtype=float) * 60 for row in minutes]
    history = Histories.of([np.arange(len(row), dtype=np.int32) for row in rows], rows)
    queries = Queries(history, when=np.full(len(rows), now * 60.0))
    together = Session.of(queries)
    for row in range(len(rows)):
        alone = Session.of(queries.take(slice(row, row + 1)))
        assert alone.lengths[0] == together.lengths[row]
        np.testing.assert_array_equal(alone.minutes, together.minutes[row : row + 1])
        np.testing.assert_array_equal(alone.events.items, together.events.row(row))
    untimed = replace(queries, history=replace(history, times=np.full(len(history.items), np.nan)))
    assert (Session.of(untimed).lengths == np.where(history.lengths > 0, -1, 0)).all()

"""Repeats, order, sessions and machines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import Ids
from palate.data import Dataset

HOUR = 3_600


def items_of(dataset: Dataset, user: str = "u") -> list[str]:
    return dataset.item_ids.externals(dataset.sequences.row(dataset.user_ids.position(user)).tolist())


def test_rows_that_repeat_another_are_merged_unless_kept() -> None:
    rows = [{"user": "u", "item": "a", "time": 1, "till": n} for n in (1, 1, 2)]
    assert Dataset.from_frames(rows).n_events == 2
    assert Dataset.from_frames(rows, keep_duplicates=True).n_events == 3


def test_an_event_id_given_twice_is_one_event_either_way() -> None:
    rows = [
        {"user": "u", "item": item, "time": 1, "event_id": event} for item, event in (("a", 1), ("b", 1), ("c", None))
    ]
    for keep in (False, True):
        assert set(items_of(Dataset.from_frames(rows, keep_duplicates=keep))) == {"a", "c"}


@given(st.lists(st.tuples(st.sampled_from("uvw"), st.integers(0, 50)), min_size=1, max_size=30))
def test_events_stand_in_the_order_of_their_times(pairs: list[tuple[str, int]]) -> None:
    rows = [{"user": user, "item": f"i{n}", "time": 1_000 + time} for n, (user, time) in enumerate(pairs)]
    dataset = Dataset.from_frames(rows)
    for user in {user for user, _ in pairs}:
        expected = sorted((time, n) for n, (name, time) in enumerate(pairs) if name == user)
        assert items_of(dataset, user) == [f"i{n}" for _, n in expected]


@given(st.permutations(range(8)))
def test_a_position_is_the_order_where_there_is_no_time(order: list[int]) -> None:
    rows: list[dict[str, Any]] = [{"user": "u", "item": f"i{place}", "step": place} for place in order]
    assert items_of(Dataset.from_frames(rows)) == [f"i{place}" for place in range(8)]
    partly = [{**row, "time": 5_000 if row["step"] > 4 else None} for row in rows]
    assert items_of(Dataset.from_frames(partly)) == [f"i{place}" for place in range(8)]


def test_positions_counted_anew_in_each_session_do_not_mix_sessions() -> None:
    rows = [
        {"user": "u", "item": f"s{session}-{step}", "time": 1_000 * session, "step": step, "session": str(session)}
        for session in (2, 1)
        for step in (2, 1, 3)
    ]
    assert items_of(Dataset.from_frames(rows)) == ["s1-1", "s1-2", "s1-3", "s2-1", "s2-2", "s2-3"]


@given(st.permutations([f"item {n}" for n in range(6)]))
def test_whole_days_do_not_give_away_the_order_of_the_file(names: list[str]) -> None:
    dataset = Dataset.from_frames([{"user": "u", "item": name, "date": "2024-01-03"} for name in names])
    assert dataset.whole_days
    assert items_of(dataset) == list(Ids.hashed(names).names)


def test_half_an_hour_of_silence_ends_a_session() -> None:
    times = [0, 1_000, 2_800, 4_601, 4_700]
    rows = [{"user": "u", "item": f"i{n}", "time": 10_000 + time} for n, time in enumerate(times)]
    sessions = Dataset.from_frames([*rows, {"user": "v", "item": "i", "time": 10_000}]).events
    per_user = sessions.group_by("user", maintain_order=True).agg("session_id")["session_id"].to_list()
    assert sorted(len(set(ids)) for ids in per_user) == [1, 2]
    assert sessions["session_id"].n_unique() == 3
    longest = max(per_user, key=len)
    assert longest[0] == longest[2] != longest[3] == longest[4]


def test_sessions_given_are_kept_and_none_are_made_without_times() -> None:
    given_ones = Dataset.from_frames([{"user": "u", "item": "a", "time": 1, "session": "s"}])
    assert given_ones.events["session_id"].to_list() == ["s"]
    assert "session_id" not in Dataset.from_frames([{"user": "u", "item": "a", "position": 1}]).events.columns


@pytest.fixture
def haunted() -> list[dict[str, object]]:
    people = [
        {"user": f"u{user}", "item": f"i{n}", "time": 1e9 + n * HOUR * 30 + user}
        for user in range(30)
        for n in range(3)
    ]
    return people + [{"user": "robot", "item": f"i{n % 40}", "time": 1e9 + n} for n in range(2_000)]


def test_machines_are_reported_and_dropped_on_request_only(haunted: list[dict[str, object]]) -> None:
    told = Dataset.from_frames(haunted)
    assert "robot" in told.user_ids
    assert told.report is not None
    assert any("robot" in sentence for sentence in told.report.sentences("poor"))
    without = Dataset.from_frames(haunted, drop_bots=True)
    assert "robot" not in without.user_ids
    assert without.n_users == 30
    assert without.report is not None
    table = without.report.tables[0]
    assert (table.read, table.kept, table.dropped) == (2_090, 90, 2_000)
    assert "2,000 dropped" in without.report.words()


def test_a_diligent_person_is_no_machine() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"user": f"u{user}", "item": f"i{n}", "time": 1e9 + n}
        for user, count in enumerate(rng.lognormal(3, 1, 60).astype(int) + 1)
        for n in range(count)
    ]
    report = Dataset.from_frames(rows).report
    assert report is not None
    assert not any("machines" in sentence for sentence in report.sentences("poor"))

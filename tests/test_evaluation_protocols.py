"""Each protocol learns, selects and asks exactly what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.data import Dataset, time_quantile
from palate.evaluation import PROTOCOLS, plan
from palate.evaluation.answers import Answers, by_scores
from palate.evaluation.leaks import audit, check
from palate.evaluation.protocols import Trial
from palate.models.baskets import BasketCompletion
from tests.evaluation_world import DAY, START, world


def sequences(dataset: Dataset) -> dict[str, list[str]]:
    histories = dataset.sequences
    return {
        user: dataset.item_ids.externals(histories.row(row).tolist()) for row, user in enumerate(dataset.user_ids.names)
    }


@pytest.mark.parametrize("protocol", ["loo-strict", "loo-strict+val", "loo-refit"])
def test_leave_one_out_takes_the_last_two(protocol: str) -> None:
    dataset = world()
    whole, trial = sequences(dataset), plan(dataset, protocol)
    train, asked = sequences(trial.train), 0
    assert trial.validation is not None
    for name, items in whole.items():
        row = dataset.user_ids.position(name)
        assert train[name] == (items[:-2] if len(items) > 2 else items[: max(len(items) - 1, 0)])
        at = np.nonzero(trial.test.users == row)[0]
        assert len(at) == (len(items) >= 3)
        if len(at):
            asked += 1
            history = trial.test.queries.history.row(int(at[0]))
            assert dataset.item_ids.externals(history.tolist()) == items[:-1]
            assert dataset.item_ids.externals(trial.test.targets[int(at[0])].tolist()) == items[-1:]
            before = int(np.nonzero(trial.validation.users == row)[0][0])
            assert dataset.item_ids.externals(trial.validation.queries.history.row(before).tolist()) == items[:-2]
            assert dataset.item_ids.externals(trial.validation.targets[before].tolist()) == items[-2:-1]
    assert asked == len(trial.test)
    assert (trial.refit is not None) == (protocol == "loo-refit")
    assert trial.learn_validation == (protocol == "loo-strict+val")
    if trial.refit is not None:
        assert sequences(trial.refit) == {n: i[:-1] if len(i) >= 3 else i for n, i in whole.items()}
    assert trial.held_out.sum() == len(trial.test)
    assert "row" not in trial.train.events.columns
    assert check(trial) == ()


def test_temporal_cuts_once_for_everybody() -> None:
    dataset = world()
    trial = plan(dataset, "temporal")
    learn, ask = time_quantile(dataset, 0.8), time_quantile(dataset, 0.9)
    times, users, items = (dataset.events[name].to_numpy() for name in ("time", "user", "item"))
    assert trial.train.n_events == (times <= learn).sum()
    assert trial.train.events["time"].to_numpy().max() <= learn
    assert set(trial.test.users.tolist()) == set(users[times > ask].tolist())
    assert trial.validation is not None
    assert set(trial.validation.users.tolist()) == set(users[(times > learn) & (times <= ask)].tolist())
    for row, user in enumerate(trial.test.users):
        later = (users == user) & (times > ask)
        assert trial.test.targets[row].tolist() == [items[later][times[later].argmin()]]
        assert trial.test.queries.history.row(row).tolist() == items[(users == user) & (times <= ask)].tolist()
    assert (trial.test.queries.history.lengths == 0).any(), "new users stay in"
    assert check(trial) == ()


def test_whole_days_make_the_first_day_relevant() -> None:
    def day(number: int) -> float:
        return START // DAY * DAY + number * DAY

    rows = [("a", f"i{n}", day(n)) for n in range(10)]
    rows += [("b", "i1", day(0)), ("b", "i2", day(12)), ("b", "i3", day(12)), ("b", "i4", day(13))]
    dataset = Dataset.assemble(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    trial = plan(dataset, "temporal")
    names = dataset.item_ids.externals(trial.test.targets[trial.test.users.tolist().index(dataset.user_ids.get("b"))])
    assert sorted(names) in (["i2", "i3"], ["i4"])
    ask = time_quantile(dataset, 0.9)
    assert sorted(names) == (["i2", "i3"] if ask < day(12) else ["i4"])


def test_first_later_event_is_first_in_time_even_against_the_files_order() -> None:
    rows = [("a", f"i{n}", START + n * 3600.5, n) for n in range(20)]
    rows += [("b", "i1", START + 1.5, 0), ("b", "late", START + 1e6, 1), ("b", "early", START + 9e5, 2)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "position"], orient="row")
    trial = plan(Dataset.assemble(frame), "temporal")
    row = trial.test.users.tolist().index(trial.train.user_ids.get("b"))
    assert trial.train.item_ids.externals(trial.test.targets[row]) == ["early"]


def test_data_without_times_cannot_be_cut_in_time() -> None:
    with pytest.raises(UsageError, match=r"needs a time for every event; [\d,]+ of [\d,]+ have none.*loo-strict"):
        plan(world(times=False), "temporal")


def test_one_time_for_everything_cannot_be_cut() -> None:
    rows = [("a", f"i{n}", START + 0.5) for n in range(5)]
    dataset = Dataset.assemble(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    with pytest.raises(UsageError, match="there are none"):
        plan(dataset, "temporal")


def test_times_beyond_every_calendar_can_be_cut() -> None:
    rows = [(f"u{n}", f"i{n % 3}", 1e18 + n * 1e15) for n in range(20)]
    dataset = Dataset.assemble(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    assert "1.015e+18 s" in plan(dataset, "temporal").notes[0]


def test_usage_is_checked(tmp_path: Path) -> None:
    dataset = world(20)
    with pytest.raises(UsageError, match="unknown protocol 'loo'; choose one of loo-strict"):
        plan(dataset, "loo")
    with pytest.raises(UsageError, match="seen = 'maybe'"):
        plan(dataset, "loo-strict", seen="maybe")
    with pytest.raises(UsageError, match="--cases FILE"):
        plan(dataset, "cases")
    with pytest.raises(UsageError, match="no other protocol takes one"):
        plan(dataset, "loo-strict", cases=tmp_path / "cases.jsonl")
    lonely = Dataset.assemble(pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "position": [0, 0]}))
    with pytest.raises(UsageError, match="at least 3 events of interest"):
        plan(lonely, "loo-strict")
    assert len(PROTOCOLS) == 7


def test_seen_items_stay_where_people_come_back() -> None:
    rows = [("u" + str(u), f"i{(u + n) % 3}", START + n * 1000.5) for u in range(20) for n in range(8)]
    habit = Dataset.assemble(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    trial = plan(habit, "loo-strict")
    assert trial.seen == "keep"
    assert not trial.test.queries.mask_seen
    assert trial.validation is not None
    assert not trial.validation.queries.mask_seen
    assert any("of training events are repeats" in note for note in trial.notes)
    assert plan(habit, "loo-strict", seen="mask").test.queries.mask_seen
    assert plan(world(), "loo-strict").seen == "mask"


def write(path: Path, lines: list[object]) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return path


def test_cases_replace_histories_and_keep_the_unknown_in_the_denominator(tmp_path: Path) -> None:
    dataset = world()
    path = write(
        tmp_path / "cases.jsonl",
        [
            {"user_id": "u1", "history": [{"item_id": "i5", "timestamp": 20}, {"item_id": "i4"}], "target": "i6"},
            "",
            {"user_id": "u1", "target": ["i7", "nowhere", "elsewhere", "i7"]},
            {"user_id": "stranger", "history": [], "target": "i1", "when": "2020-09-13T12:26:40Z"},
            {
                "history": [
                    {"item_id": "i9", "timestamp": 1_600_000_000_000},
                    {"item_id": "gone"},
                    {"item_id": "i8", "timestamp": "2020-09-01"},
                ],
                "target": "nowhere",
                "when": 1_600_000_000,
            },
        ],
    )
    trial = plan(dataset, "cases", cases=path)
    test = trial.test
    name = dataset.item_ids.externals
    assert trial.train is dataset
    assert trial.validation is None
    assert name(test.queries.history.row(0)) == ["i5", "i4"], "no order without all times"
    assert name(test.queries.history.row(1)) == sequences(dataset)["u1"], "no history given: the stored one"
    assert test.targets.lengths.tolist() == [1, 3, 1, 1]
    assert (test.targets[1] < 0).sum() == 2
    assert len(set(test.targets[1].tolist())) == 3
    assert test.queries.history.lengths[2] == 0
    assert name(test.queries.history.row(3)) == ["i8", "i9"], "times put the history in order"
    assert test.queries.when is not None
    assert test.queries.when[2] == test.queries.when[3] == 1_600_000_000
    assert test.users[0] == test.users[1] == dataset.user_ids.position("u1")
    assert test.users[2] == test.users[3] == -1
    notes = " / ".join(trial.notes)
    assert "4 cases" in notes
    assert "1 users of the cases are not in the data" in notes
    assert "1 history items are not in the data" in notes
    assert "3 targets are not in the data; they stay in the denominator" in notes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", "line 2: not JSON"),
        ([1], "line 2: a case is an object, this is list"),
        ({"target": "i1", "hist": []}, "line 2: unknown key 'hist'"),
        ({"history": []}, "line 2: no target"),
        ({"target": []}, "line 2: no target"),
        ({"target": 1.5}, "line 2: target is 1.5"),
        ({"target": "i1", "history": "i2"}, "line 2: history is a list"),
        ({"target": "i1", "history": [{"item_id": "i2"}, "i3"]}, "line 2, history entry 2: an object with item_id"),
        ({"target": "i1", "history": [{"item_id": "i2", "kind": "dance"}]}, "unknown kind 'dance'"),
        ({"target": "i1", "history": [{"item_id": "i2", "timestamp": "noon"}]}, "timestamp is 'noon'"),
        ({"target": "i1", "when": True}, "line 2: when is True"),
        ({"target": "i1", "user_id": ""}, "line 2: user_id is ''"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    path = write(tmp_path / "cases.jsonl", [{"target": "i1"}, line])
    with pytest.raises(DataError, match=message):
        plan(world(20), "cases", cases=path)


def test_missing_and_empty_files_of_cases(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        plan(world(20), "cases", cases=tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="no cases"):
        plan(world(20), "cases", cases=write(tmp_path / "empty.jsonl", [""]))
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="not a readable UTF-8 file"):
        plan(world(20), "cases", cases=binary)


def baskets(people: int = 60, visits: int = 10, lines: int = 4, items: int = 20) -> Dataset:
    """Weekly baskets of some lines each; one person of ten has baskets of one line."""
    random = np.random.default_rng(4)
    rows = []
    for person in range(people):
        for visit in range(visits):
            size = 1 if person % 10 == 0 else lines
            when = START + DAY * (7 * visit + person / people)
            chosen = random.choice(items, size=size, replace=False)
            rows += [(f"u{person}", f"i{item}", when, f"{person}-{visit}") for item in chosen]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "basket_id"], orient="row")
    return Dataset.from_frames(frame, name="baskets")


def test_baskets_are_asked_for_the_line_that_was_held_out() -> None:
    dataset = baskets()
    trial, plain = plan(dataset, "temporal-baskets"), plan(dataset, "temporal")
    ask = time_quantile(dataset, 0.9)
    assert trial.train.n_events == plain.train.n_events
    assert trial.inner == "baskets"
    queries, whole = trial.test.queries, sequences(dataset)
    assert queries.session is not None and queries.excludes is not None and queries.when is not None
    assert 0 < len(trial.test) < 60
    assert (queries.when > ask).all()
    assert (queries.session == 3).all()
    for row, user in enumerate(trial.test.users):
        name = dataset.user_ids.names[user]
        history = dataset.item_ids.externals(queries.history.row(row).tolist())
        held = dataset.item_ids.externals(trial.test.targets[row].tolist())
        assert len(held) == 1
        before = int((dataset.sequences.take(np.array([user])).times <= ask).sum())
        assert history[:before] == whole[name][:before]
        assert sorted(history[before:] + held) == sorted(whole[name][before : before + 4])
        assert sorted(history[before:]) == sorted(dataset.item_ids.externals(queries.excludes[row].tolist()))
        assert held[0] not in history[before:]
    assert check(trial) == ()
    late = dataset.events["time"].to_numpy() > ask
    assert late.sum() - trial.held_out.sum() == 3 * len(trial.test)


def test_an_honest_model_of_baskets_passes_the_audit() -> None:
    def pipeline(trial: Trial) -> Answers:
        return by_scores(BasketCompletion().fit(trial.train).score, trial.test, "baskets")

    # Among many items, so that no answer drawn anew stands elsewhere in its basket, which would change the question.
    assert audit(pipeline, baskets(lines=2, items=3_000), "temporal-baskets", tolerance=0.1).findings == ()


def test_data_whose_baskets_hold_one_line_are_refused() -> None:
    with pytest.raises(UsageError, match="two or more items"):
        plan(baskets(lines=1), "temporal-baskets")
    with pytest.raises(UsageError, match="basket_id"):
        plan(world(), "temporal-baskets")

"""The search: its order, its memory, its budget, and what it says mattered."""

from __future__ import annotations

import math
from itertools import count
from pathlib import Path

import pytest
from pydantic import Field

from palate.core import DataError, PalateError, Settings, UsageError
from palate.core.space import Choice, Space, Span
from palate.evaluation.search import Budget, Found, search


class Hill(Settings):
    """A place, and two things that matter less."""

    place: float = Field(default=0.2, ge=0)
    size: int = 3
    manner: str = "plain"


SPACE = Space(
    {"place": Span(0.0, 1.0), "size": Span(1, 100, log=True), "manner": Choice(("plain", "fancy"))},
    ({"place": 0.4}, {"place": 0.4}, {"manner": "fancy"}, {"place": 3.0}),
)


def height(settings: Hill) -> float:
    return 1 - (settings.place - 0.7) ** 2 + 1e-3 * settings.size


def values(found: Found) -> list[dict[str, object]]:
    return [dict(trial.values) for trial in found.trials]


def test_the_start_comes_first_then_what_is_worth_a_try_then_suggestions() -> None:
    found = search(Hill(), SPACE, height, budget=Budget(trials=9))
    start = {"place": 0.2, "size": 3, "manner": "plain"}
    known = [start, start | {"place": 0.4}, start | {"manner": "fancy"}, start | {"place": 3.0}]
    assert values(found)[:4] == known
    assert len({str(entry) for entry in values(found)}) == len(found.trials) == 9
    assert found.ended == "budget"
    assert found.best is not None
    assert found.best.quality == max(trial.quality or 0.0 for trial in found.trials)


def test_the_same_seed_tries_the_same_and_another_does_not() -> None:
    first, again, other = (search(Hill(), SPACE, height, budget=Budget(trials=14), seed=seed) for seed in (1, 1, 2))
    assert values(first) == values(again)
    assert values(first) != values(other)


def test_it_finds_the_top_of_a_hill() -> None:
    found = search(Hill(), SPACE, height, budget=Budget(trials=45), seed=3)
    assert found.best is not None
    assert found.best.quality is not None
    assert found.best.quality > 1.05
    assert abs(float(str(found.best.values["place"])) - 0.7) < 0.2
    assert found.importance["place"] > 0.8
    assert math.isclose(sum(found.importance.values()), 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, object]], bytes]:
    """One long run, and the journal it left."""
    journal = tmp_path_factory.mktemp("search") / "whole.journal"
    found = search(Hill(), SPACE, height, budget=Budget(trials=16), seed=5, journal=journal)
    return values(found), journal.read_bytes()


@pytest.mark.parametrize("share", [0.2, 0.37, 0.55, 0.81, 0.999])
def test_killed_at_any_moment_it_ends_where_one_long_run_ends(
    whole: tuple[list[dict[str, object]], bytes], share: float, tmp_path: Path
) -> None:
    expected, written = whole
    journal = tmp_path / "cut.journal"
    journal.write_bytes(written[: int(share * len(written))])
    found = search(Hill(), SPACE, height, budget=Budget(trials=16), seed=5, journal=journal)
    assert values(found) == expected
    assert 0 < found.resumed < 16
    assert [trial.quality for trial in found.trials] == [height(Hill.model_validate(entry)) for entry in expected]


def test_a_spent_budget_tries_nothing_more(whole: tuple[list[dict[str, object]], bytes], tmp_path: Path) -> None:
    journal = tmp_path / "spent.journal"
    journal.write_bytes(whole[1])

    def never(_settings: Hill) -> float:
        raise AssertionError("nothing is left to try")

    found = search(Hill(), SPACE, never, budget=Budget(trials=16), seed=5, journal=journal)
    assert (found.resumed, len(found.trials)) == (16, 16)


def test_an_interruption_leaves_what_was_found_and_goes_on(tmp_path: Path) -> None:
    journal, calls = tmp_path / "stopped.journal", count(1)

    def stopped(settings: Hill) -> float:
        if next(calls) == 6:
            raise KeyboardInterrupt
        return height(settings)

    found = search(Hill(), SPACE, stopped, budget=Budget(trials=12), seed=5, journal=journal)
    assert (found.ended, len(found.trials)) == ("interrupted", 5)
    assert found.best is not None
    on = search(Hill(), SPACE, height, budget=Budget(trials=12), seed=5, journal=journal)
    assert values(on) == values(search(Hill(), SPACE, height, budget=Budget(trials=12), seed=5))


def test_settings_that_fail_cost_their_trial_alone() -> None:
    def brittle(settings: Hill) -> float:
        if settings.manner == "fancy":
            raise DataError("too fancy")
        return math.nan if settings.place == 3.0 else height(settings)

    found = search(Hill(), SPACE, brittle, budget=Budget(trials=14), seed=1)
    assert len(found.trials) == 14
    assert found.trials[2].failure == "DataError: too fancy"
    assert "nan" in found.trials[3].failure
    assert all((trial.quality is None) == bool(trial.failure) for trial in found.trials)
    assert found.best is not None
    assert found.best.values["manner"] == "plain"


def test_a_start_that_fails_is_said_at_once() -> None:
    def broken(_settings: Hill) -> float:
        raise DataError("no data")

    with pytest.raises(DataError, match="no data"):
        search(Hill(), SPACE, broken, budget=Budget(trials=3))


def test_a_small_space_is_exhausted() -> None:
    space = Space({"manner": Choice(("plain", "fancy", "odd"))})
    found = search(Hill(), space, height, budget=Budget(trials=50))
    assert (len(found.trials), found.ended) == (3, "exhausted")
    assert found.importance == {}
    assert len(search(Hill(), Space(), height, budget=Budget(trials=5)).trials) == 1


def test_a_budget_in_minutes_starts_no_trial_that_would_overrun_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("palate.evaluation.search.time.perf_counter", lambda: clock[0])
    shares = []

    def slow(settings: Hill) -> float:
        clock[0] += 25.0
        return height(settings)

    found = search(
        Hill(), SPACE, slow, budget=Budget(minutes=2), heard=lambda _trial, share: shares.append(round(share, 3))
    )
    assert len(found.trials) == 4
    assert shares == [0.208, 0.417, 0.625, 0.833]
    assert len(search(Hill(), SPACE, slow, budget=Budget(minutes=0.1)).trials) == 1, "the first is always tried"


@pytest.mark.parametrize(
    ("trials", "minutes"), [(0, None), (-1, 5.0), (None, 0.0), (None, -1.0), (None, math.inf), (None, math.nan)]
)
def test_a_budget_of_nothing_is_refused(trials: int | None, minutes: float | None) -> None:
    with pytest.raises(UsageError, match="nothing to be tried"):
        Budget(trials, minutes)
    with pytest.raises(UsageError, match="needs a budget"):
        Budget()


def test_a_journal_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    journal = tmp_path / "letter.journal"
    journal.write_text("Dear Sir,\nyours\n", encoding="utf-8")
    with pytest.raises(PalateError, match="cannot be read as the journal"):
        search(Hill(), SPACE, height, budget=Budget(trials=2), journal=journal)


def test_two_searches_do_not_share_a_journal(tmp_path: Path) -> None:
    journal = tmp_path / "one.journal"

    def another(_settings: Hill) -> float:
        with pytest.raises(UsageError, match="another process searches"):
            search(Hill(), SPACE, height, budget=Budget(trials=2), journal=journal)
        return 1.0

    assert len(search(Hill(), SPACE, another, budget=Budget(trials=2), journal=journal).trials) == 2

"""Experiments kept: the life cycle, what is refused, and what survives."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from palate.core import ArtefactError, UnknownIdError, UsageError
from palate.experiments.definition import Parameters, Policy, changes, read_experiment, told_experiment
from palate.experiments.exposures import ExposureSettings
from palate.experiments.store import JOURNAL, Experiments
from palate.privacy import Vault
from tests.experiment_world import START, World, declared, world


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as own:
        yield own


@contextmanager
def elsewhere(folder: Path) -> Iterator[Experiments]:
    """The same experiments, as another process has them."""
    with closing(Vault(folder / "vault.sqlite")) as vault, Experiments(folder / "experiments", vault) as store:
        yield store


def test_a_life(shop: World) -> None:
    assert shop.store.declare(declared(), "ann").state == "draft"
    shop.now += 10
    assert shop.store.start("novel", "ann").started == START + 10
    shop.pass_days(2)
    stopped = shop.store.stop("novel", "enough", "bob")
    concluded = shop.store.conclude("novel", "", "nothing shown", "bob")
    assert (stopped.state, concluded.state, concluded.winner) == ("stopped", "concluded", "")
    assert concluded.ended == stopped.ended
    assert [(step.what, step.by, step.why) for step in concluded.steps] == [
        ("declared", "ann", ""),
        ("started", "ann", ""),
        ("stopped", "bob", "enough"),
        ("concluded", "bob", "nothing shown"),
    ]


def test_what_was_written_is_read_again(shop: World, tmp_path: Path) -> None:
    shop.store.declare(declared())
    shop.store.start("novel")
    policy = Policy(parameters=Parameters(pricing="thompson"), experiment="x", arm="y")
    shop.store.put_in_force(policy, "because")
    with elsewhere(tmp_path) as again:
        assert again.all() == shop.store.all()
        assert again.policy == policy
        assert again.of("novel").experiment.fingerprint == declared().fingerprint
        # What one process writes the other learns of.
        again.stop("novel", "from elsewhere")
        assert shop.store.of("novel").state == "running"
        assert shop.store.refresh()
        assert shop.store.of("novel").state == "stopped"
        assert not shop.store.refresh()


def test_a_draft_may_be_edited_and_a_running_one_may_not(shop: World) -> None:
    shop.store.declare(declared())
    shop.store.declare(declared(days=7.0))
    shop.store.start("novel")
    assert shop.store.declare(declared(days=7.0)).state == "running"  # said again, nothing changes
    with pytest.raises(UsageError, match=r"is running.*not edited.*plan\.alpha: 0\.05 -> 0\.1.*another name"):
        shop.store.declare(declared(days=7.0, plan={"alpha": 0.1}))
    with pytest.raises(UsageError, match=r"is running.*arms\..*and \d+ more"):
        other = declared(
            days=7.0,
            unit="item-time",
            switchback={"hours": 24},
            arms=[{"name": "today"}, {"name": "novel", "parameters": {"pricing": "thompson"}}],
        )
        shop.store.declare(other)
    assert shop.store.of("novel").experiment.plan.alpha == 0.05


def test_steps_out_of_turn_are_refused(shop: World) -> None:
    shop.store.declare(declared())
    with pytest.raises(UsageError, match="only a running one can be stopped"):
        shop.store.stop("novel", "")
    with pytest.raises(UsageError, match="only one that ran"):
        shop.store.conclude("novel", "", "")
    shop.store.start("novel")
    with pytest.raises(UsageError, match="it runs already"):
        shop.store.start("novel")
    with pytest.raises(UsageError, match="no arm 'best'"):
        shop.store.conclude("novel", "best", "")
    shop.store.stop("novel", "")
    with pytest.raises(UsageError, match="another name"):
        shop.store.start("novel")
    with pytest.raises(UnknownIdError, match="Did you mean 'novel'"):
        shop.store.of("novl")


def test_experiments_that_could_meet_are_kept_apart(shop: World) -> None:
    shop.store.declare(declared("one"))
    shop.store.declare(declared("two"))
    shop.store.start("one")
    with pytest.raises(UsageError, match=r"'two' changes lists, and so does 'one'.*namespace"):
        shop.store.start("two")
    shop.store.stop("one", "")
    for name, low, high in (("low", 0.0, 0.5), ("high", 0.5, 1.0), ("wide", 0.4, 0.6)):
        shop.store.declare(declared(name, namespace={"name": "lists", "low": low, "high": high}))
    shop.store.start("low")
    shop.store.start("high")
    with pytest.raises(UsageError, match="nobody could say"):
        shop.store.start("wide")
    prices = [{"name": "list"}, {"name": "bandit", "parameters": {"pricing": "thompson"}}]
    shop.store.declare(declared("prices", arms=prices))
    assert shop.store.start("prices").state == "running"


def test_a_holdout_has_one_size(shop: World) -> None:
    prices = [{"name": "list"}, {"name": "bandit", "parameters": {"pricing": "thompson"}}]
    shop.store.declare(declared("one", holdout={"name": "2027", "share": 0.1}))
    shop.store.declare(declared("two", holdout={"name": "2027", "share": 0.2}, arms=prices))
    shop.store.start("one")
    with pytest.raises(UsageError, match=r"hold out 0\.2 and 0\.1"):
        shop.store.start("two")


def test_a_clock_that_goes_backwards_is_contained(shop: World) -> None:
    shop.store.declare(declared())
    shop.pass_days(3)
    shop.store.start("novel")
    shop.pass_days(-5)
    stopped = shop.store.stop("novel", "")
    assert stopped.ended == stopped.started == START + 3 * 86_400


def test_a_journal_that_was_rewritten_is_found(shop: World, tmp_path: Path) -> None:
    shop.store.declare(declared())
    shop.store.start("novel")
    with sqlite3.connect(tmp_path / "experiments" / JOURNAL) as db:
        db.execute("DROP TRIGGER log_is_append_only")
        db.execute("UPDATE log SET body = CAST(replace(CAST(body AS TEXT), '0.05', '0.50') AS BLOB) WHERE seq = 1")
    with pytest.raises(ArtefactError, match="cannot be trusted"), elsewhere(tmp_path):
        pass


def test_two_people_change_it_at_once(shop: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.store.declare(declared())
    shop.store.start("novel")
    with elsewhere(tmp_path) as other:
        stale, refresh = other.of("novel"), other.refresh
        shop.store.stop("novel", "mine")
        # Between the other's look at the journal and its write lies the first one's write.
        monkeypatch.setattr(other, "refresh", lambda: False)
        assert stale.state == "running"
        with pytest.raises(UsageError, match="at the same moment"):
            other.stop("novel", "theirs")
        refresh()
        assert other.of("novel").steps[-1].why == "mine"


def test_exposures_are_written_once_and_remembered(shop: World) -> None:
    for _ in range(3):
        assert shop.exposures.expose("novel", "p_1", "today", subject="p_1", answer="r_1")
    shop.exposures.expose("novel", "p_2", "novel", subject="p_2")
    shop.exposures.expose("novel", "p_2", "today", subject="p_2")
    shop.exposures.expose("other", "p_1", "a", subject="p_1")
    table = shop.exposures.table("novel")
    assert table.rows() == [("p_1", "today", START), ("p_2", "novel", START), ("p_2", "today", START)]
    assert shop.exposures.arm_of("novel", "p_2") == "novel"
    assert shop.exposures.arm_of("novel", "p_3") is None
    assert shop.exposures.log.verify().ok
    assert [row.body["experiment"] for row in shop.exposures.log.events_of("p_1")] == ["novel", "other"]


def test_arms_are_remembered_beyond_memory_and_restarts(tmp_path: Path) -> None:
    with world(tmp_path, ExposureSettings(remembered=2)) as shop:
        for number in range(10):
            shop.exposures.expose("novel", f"p_{number}", "ab"[number % 2])
        shop.exposures.log.flush()
        assert [shop.exposures.arm_of("novel", f"p_{number}") for number in range(10)] == list("ababababab")
        # One id that begins like another is another unit.
        assert shop.exposures.arm_of("novel", "p_") is None
    with world(tmp_path) as again:
        assert again.exposures.arm_of("novel", "p_7") == "b"
        assert again.exposures.count("novel") == 10


def test_the_exposure_log_has_a_bound(tmp_path: Path) -> None:
    with world(tmp_path, ExposureSettings(most_units=3)) as shop:
        taken = [shop.exposures.expose("novel", f"p_{number}", "a") for number in range(5)]
        assert taken == [True, True, True, False, False]
        assert shop.exposures.expose("novel", "p_0", "a")
        assert shop.exposures.turned_away == {"novel": 2}
        assert len(shop.exposures.table("novel")) == 3


def test_a_declaration_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "novel.toml"
    path.write_text(
        """
name = "novel"
hypothesis = "新颖的列表让人更满意"
[[arms]]
name = "today"
[[arms]]
name = "novel"
[arms.parameters.mix]
objectives = {accuracy = 0.8, novelty = 0.2}
[plan]
planned_units = 2000
metrics = ["conversion", {name = "satisfaction", role = "guard-rail", margin = 0.05}]
""",
        encoding="utf-8",
    )
    assert changes(declared(hypothesis="新颖的列表让人更满意"), read_experiment(path)) == []


PLAN = {"planned_units": 10, "metrics": ["conversion"]}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"arms": [{"name": "a"}, {"name": "b"}], "plan": PLAN}, "no arm says what it serves"),
        (
            {"arms": [{"name": "b"}, {"name": "a"}, {"name": "a", "parameters": {"pricing": "x"}}], "plan": PLAN},
            "same name",
        ),
        ({"unit": "item-time"}, r"needs a \[switchback\]"),
        ({"unit": "item-time", "switchback": {"hours": 24}}, "items switch prices"),
        ({"plan": {"control": "novel", "planned_units": 10, "metrics": ["conversion"]}}, "follows from the arms"),
        ({"plan": {"planned_units": 10, "metrics": ["beauty"]}, "name": "Novel!"}, "name"),
        ({"ramp": [{"day": 0, "coverage": 0.5}, {"day": 1, "coverage": 0.2}]}, "ramp that falls"),
        ({"wished": 1}, "wished"),
    ],
)
def test_declarations_that_make_no_sense(told: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        told_experiment({**declared().model_dump(mode="json"), **told}, "file.toml")

"""``palate experiment``: a whole life at the terminal, in both languages, and what is refused."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from palate.cli import main
from palate.data.event_log import Entry, EventLog
from palate.experiments.exposures import ExposureLog
from palate.privacy import Vault

DECLARATION = """
name = "novel"
hypothesis = "Lists with less-known items content people more"
[[arms]]
name = "today"
[[arms]]
name = "novel"
parameters = {mix = {objectives = {accuracy = 0.8, novelty = 0.2}}}
[plan]
planned_units = 400
metrics = ["conversion", {name = "satisfaction", role = "guard-rail", margin = 0.05}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty shop: no settings from elsewhere, and a vault of its own beside the log."""
    monkeypatch.chdir(tmp_path)
    Vault(tmp_path / "vault.sqlite").close()
    (tmp_path / "novel.toml").write_text(DECLARATION, encoding="utf-8")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, language: str = "en") -> tuple[int, str, str]:
    own = ["experiment", *arguments, "--log", "events.sqlite", "--language", language]
    with pytest.raises(SystemExit) as left:
        main(own)
    out, error = capsys.readouterr()
    return int(left.value.code or 0), out, error


def people(folder: Path, n: int) -> None:
    """n people, half in each arm; who sees novel lists buys more often."""
    with (
        closing(Vault(folder / "vault.sqlite")) as vault,
        EventLog(folder / "events.sqlite", vault) as log,
        closing(ExposureLog(folder / "experiments", vault)) as exposures,
    ):
        entries = []
        for number in range(n):
            unit, arm = f"p_{number}", ("today", "novel")[number % 2]
            exposures.expose("novel", unit, arm, subject=unit)
            rows = [{"kind": "rating", "value": float(3 + number // 2 % 3)}]
            if number // 2 % 10 < (2 if arm == "today" else 6):
                rows.append({"kind": "purchase", "price": 5.0})
            # No time of their own: they happened when they were written, which is after the exposure.
            entries += [Entry("event", f"e{number}-{place}", unit, row) for place, row in enumerate(rows)]
        exposures.log.flush()
        log.commit(entries).result()


def test_a_life_at_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No experiment" in run(capsys, "status")[1]
    assert "novel is a draft" in run(capsys, "create", "novel.toml", "--by", "ann")[1]
    assert "says this already" in run(capsys, "create", "novel.toml")[1]
    assert "novel runs" in run(capsys, "start", "novel")[1]
    people(folder, 400)
    code, out, _ = run(capsys, "status", "novel", "--look")
    assert code == 0
    assert "400 of 400 units" in out
    assert "novel has won" in out
    assert "Guard-rail satisfaction" in out
    table = run(capsys, "status")[1]
    assert "running" in table
    assert "ship" in table
    code, out, _ = run(capsys, "conclude", "novel", "--by", "ann")
    assert code == 0
    assert "novel is in force now" in out
    told = json.loads(run(capsys, "status", "novel", "--json")[1])
    assert (told["state"], told["winner"], told["in_force"]) == ("concluded", "novel", True)
    assert told["steps"][-1]["by"] == "ann"
    listed = json.loads(run(capsys, "status", "--json")[1])
    assert [one["name"] for one in listed] == ["novel", "novel.after"]


def test_in_chinese(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "还没有创建" in run(capsys, "status", language="zh")[1]
    assert "草稿" in run(capsys, "create", "novel.toml", language="zh")[1]
    assert "已开始" in run(capsys, "start", "novel", language="zh")[1]
    people(folder, 400)
    out = run(capsys, "status", "novel", "--look", language="zh")[1]
    assert "胜出" in out
    assert "进行中" in run(capsys, "status", language="zh")[1]
    assert "胜出" in (said := run(capsys, "conclude", "novel", language="zh")[1])
    assert "现已采用 novel" in said
    assert "已停止" in run(capsys, "stop", "novel.after", "--because", "够了", language="zh")[1]


def test_a_running_experiment_is_not_edited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "create", "novel.toml")
    run(capsys, "start", "novel")
    (folder / "novel.toml").write_text(DECLARATION.replace("400", "500"), encoding="utf-8")
    code, _, error = run(capsys, "create", "novel.toml")
    assert code == 2
    assert "plan.planned_units: 400 -> 500" in error
    assert "another name" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start", "nothing"), "there is no experiment 'nothing'"),
        (("stop", "novel"), "only a running one"),
        (("conclude", "novel"), "only one that ran"),
        (("status", "novel", "--look"), "only a running one is looked at"),
        (("create", "missing.toml"), "missing.toml"),
        (("create", "broken.toml"), "broken.toml: plan: Field required"),
    ],
)
def test_what_makes_no_sense_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    (folder / "broken.toml").write_text('name = "x"\narms = [{name = "a"}, {name = "b"}]', encoding="utf-8")
    run(capsys, "create", "novel.toml")
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_zero_exposures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "create", "novel.toml")
    run(capsys, "start", "novel")
    assert "Nobody has been exposed yet" in run(capsys, "status", "novel", "--look")[1]
    code, _, error = run(capsys, "conclude", "novel")
    assert code == 2
    assert "nobody was exposed" in error


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["experiment", "--help"])
    out = capsys.readouterr().out
    assert all(verb in out for verb in ("create", "start", "status", "stop", "conclude"))

"""``palate tune`` at a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app

TRIALS = ("--protocol", "loo-strict", "--trials", "9")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tune") / "shop"
    assert CliRunner().invoke(app, ["init", str(folder)]).exit_code == 0
    return folder


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["tune", *(str(word) for word in words)])


def tuned(shop: Path, state: Path, *words: str | Path) -> Any:
    result = run("transitions", shop, "--state", state, "--json", "-", *words)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_search_says_what_it_found_and_goes_on(shop: Path, tmp_path: Path) -> None:
    first = tuned(shop, tmp_path, *TRIALS)
    assert (first["component"], first["data"], first["protocol"]) == ("transitions", "shop", "loo-strict")
    assert (len(first["trials"]), first["resumed"], first["ended"]) == (9, 0, "budget")
    assert first["best"]["ndcg@10"] >= first["start"]["ndcg@10"]
    again = tuned(shop, tmp_path, *TRIALS)
    assert (again["resumed"], again["trials"]) == (9, first["trials"])
    assert len(tuned(shop, tmp_path, "--protocol", "loo-strict", "--trials", "11")["trials"]) == 11


@pytest.mark.parametrize(("language", "words"), [("en", "other than the start"), ("zh", "与起点不同之处")])
def test_a_person_gets_a_table_and_a_fragment(shop: Path, tmp_path: Path, language: str, words: str) -> None:
    fragment, target = tmp_path / "tuned.toml", tmp_path / "tuned.json"
    given = ("item_knn", shop, *TRIALS, "--state", tmp_path / "s", "--language", language)
    result = run(*given, "--write", fragment, "--json", target)
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout
    assert "[engine.models.item_knn]" in result.stdout
    best = json.loads(target.read_text(encoding="utf-8"))["best"]["settings"]
    assert tomllib.loads(fragment.read_text(encoding="utf-8"))["engine"]["models"]["item_knn"] == best
    assert run(*given, "--write", fragment).exit_code == 0, "its own file is written over"
    trained = CliRunner().invoke(
        app,
        ["evaluate", str(shop), "--protocol", "loo-strict", "--models", "item_knn", "--config", str(fragment)],
    )
    assert trained.exit_code == 0, trained.stderr


def test_somebodys_own_file_is_left_alone(shop: Path, tmp_path: Path) -> None:
    own = tmp_path / "palate.toml"
    own.write_text("[training]\nseed = 3\n", encoding="utf-8")
    result = run("transitions", shop, *TRIALS, "--state", tmp_path, "--write", own)
    assert result.exit_code == 2
    assert "there already" in result.stderr
    assert own.read_text(encoding="utf-8") == "[training]\nseed = 3\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["transitions", "--minutes", "0"], "allows nothing to be tried"),
        (["transitions", "--trials", "0"], "allows nothing to be tried"),
        (["transitions", "--settings", "decoy"], "Did you mean 'decay'"),
        (["transitons"], "Did you mean 'transitions'"),
        (["transitions", "--protocol", "cases"], "loo-strict or temporal"),
        (["transitions", "--preset", "hasty"], "unknown preset"),
    ],
    ids=str,
)
def test_what_makes_no_sense_leaves_with_two(shop: Path, tmp_path: Path, words: list[str], said: str) -> None:
    result = run(words[0], shop, "--state", tmp_path, "--protocol", "loo-strict", *words[1:])
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


def test_temporal_without_times_leaves_with_two(tmp_path: Path) -> None:
    rows = [f"u{user},i{(user + step) % 7},{step}" for user in range(8) for step in range(5)]
    (tmp_path / "events.csv").write_text("\n".join(["user_id,item_id,position", *rows]), encoding="utf-8")
    result = run("transitions", tmp_path, "--protocol", "temporal", "--trials", "2", "--state", tmp_path / "s")
    assert result.exit_code == 2
    assert "time for every event" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_stopped_search_goes_on_as_if_it_had_not(shop: Path, tmp_path: Path, with_signal: signal.Signals) -> None:
    """The process is ended as soon as its journal holds a finished trial, whatever it is doing then."""
    command = [sys.executable, "-m", "palate", "tune", "transitions", str(shop), "--protocol", "loo-strict"]
    with subprocess.Popen(  # noqa: S603
        [*command, "--minutes", "30", "--state", str(tmp_path), "--language", "en"], stdout=subprocess.PIPE, text=True
    ) as process:
        while not any(b'"value"' in journal.read_bytes() for journal in tmp_path.glob("*.journal")):
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"it ended by itself, with {process.wait(timeout=0.05)}")
        process.send_signal(with_signal)
        said, _ = process.communicate(timeout=60)
    if with_signal is signal.SIGINT:
        assert process.returncode == 130
        assert "Stopped" in said
        assert "best: NDCG@10" in said
    on = tuned(shop, tmp_path, "--protocol", "loo-strict", "--trials", "40")
    assert 0 < on["resumed"] < 40
    long = tuned(shop, tmp_path / "long", "--protocol", "loo-strict", "--trials", "40")
    assert [trial["settings"] for trial in on["trials"]] == [trial["settings"] for trial in long["trials"]]

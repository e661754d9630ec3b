"""``palate simulate`` at a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app

SHORT = ("--rounds", "400", "--seeds", "1")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["simulate", *(str(word) for word in words)])


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("best fixed", "satisfaction")), ("zh", ("最佳固定价", "满意度", "全知者"))]
)
def test_a_person_gets_a_table(language: str, words: tuple[str, ...]) -> None:
    result = run(*SHORT, "--policies", "fixed,cost_plus,score,greedy,thompson,ucb", "--language", language)
    assert result.exit_code == 0, result.stderr
    assert all(word in result.stdout for word in (*words, "cost_plus", "score", "greedy", "thompson", "ucb"))


def test_a_program_gets_json_and_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    given = (*SHORT, "--market", "unhappy", "--policies", "thompson", "--satisfaction", "0.5", "--memory", "300")
    one = run(*given, "--json", "-")
    assert one.exit_code == 0, one.stderr
    told = json.loads(one.stdout)
    assert [race["policy"] for race in told["races"]] == ["clairvoyant", "best fixed", "thompson"]
    assert told["settings"]["customers"] == 2_000
    assert 0.5 < told["races"][2]["share_of_clairvoyant"] < 1.1
    target = tmp_path / "race.json"
    other = run(*given, "--json", target)
    assert "thompson" in other.stdout
    assert json.loads(target.read_text(encoding="utf-8")) == told


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--market", "moon"), "markets are plain"),
        (("--policies", "magic"), "policies are fixed"),
        (("--policies", ","), "names none"),
        (("--revenue", "0"), "every weight is 0"),
        (("--language", "fr"), "en and zh"),
    ],
)
def test_what_makes_no_sense_is_said_in_words(words: tuple[str, ...], hint: str) -> None:
    result = run(*SHORT, *words)
    assert result.exit_code == 2
    assert hint in result.stderr

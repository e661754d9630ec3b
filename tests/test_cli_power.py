"""``palate experiment power``: how many, how long, what fewer would find."""

from __future__ import annotations

import json
import math

import pytest
from scipy import stats
from typer.testing import CliRunner

from palate.cli.app import app


def asked(*words: str) -> str:
    result = CliRunner().invoke(app, ["experiment", "power", *words], env={"LANG": "C"})
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_fixed_design_needs_what_the_formula_says_and_the_others_more() -> None:
    told = json.loads(asked("--rate", "0.05", "--lift", "0.1", "--a-day", "500", "--json"))
    needed = {row["design"]: row["units"] for row in told["designs"]}
    z = stats.norm.isf(0.025) + stats.norm.ppf(0.8)
    assert needed["fixed"] == pytest.approx(4 * z**2 * 0.05 * 0.95 / (0.05 * 0.1) ** 2, rel=1e-3)
    assert needed["fixed"] < needed["group-sequential"] < needed["always-valid"]
    assert all(row["days"] % 7 == 0 and row["days"] * 500 >= row["units"] for row in told["designs"])


def test_fewer_find_larger_changes_only() -> None:
    told = json.loads(asked("--mean", "30", "--deviation", "60", "--lift", "0.02", "--units", "5000", "--json"))
    for row in told["designs"]:
        assert row["units"] > 5000 and row["chance"] < 0.8
        assert row["least_lift"] == pytest.approx(0.02 * math.sqrt(row["units"] / 5000), rel=0.02)


def test_the_table_speaks_both_languages() -> None:
    words = ("--rate", "0.05", "--lift", "0.1", "--units", "20000")
    assert "chance with 20,000" in asked(*words)
    assert "20,000 个单元的把握" in asked(*words, "--language", "zh")


@pytest.mark.parametrize(
    "words, told",
    [
        (("--lift", "0.1"), "--rate 0.05"),
        (("--lift", "0.1", "--rate", "5"), "between 0 and 1"),
        (("--lift", "0", "--rate", "0.05"), "neither may be 0"),
        (("--lift", "0.1", "--mean", "3"), "--deviation"),
        (("--lift", "0.1", "--rate", "0.05", "--a-day", "0"), "never end"),
    ],
)
def test_mistakes_are_told_in_words(words: tuple[str, ...], told: str) -> None:
    result = CliRunner().invoke(app, ["experiment", "power", *words])
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())

"""Help, versions and start-up: everything a verb shows before it does anything."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import palate
from palate.cli.app import app

VERBS = (
    *(
        "demo",
        "init",
        "validate",
        "train",
        "adapt",
        "evaluate",
        "tune",
        "forecast",
        "simulate",
        "elasticity",
        "willingness",
        "recommend",
        "similar",
        "ask",
        "pretrain",
        "explain",
        "describe",
        "serve",
        "doctor",
    ),
    "log verify",
)

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "lightgbm",
    "sklearn",
    "implicit",
    "usearch",
    "fastapi",
    "granian",
    "polars",
    "optuna",
    "sqlalchemy",
    "statsforecast",
    "holidays",
)

HELP = "from palate.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_with_examples(verb: str) -> None:
    result = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert result.exit_code == 0
    assert "Examples" in result.output
    assert f"palate {verb}" in result.output


def test_the_first_help_names_every_verb() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(verb.split()[0] in output for verb in VERBS)


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"palate {palate.__version__}\n")


@pytest.mark.parametrize("program", ["import palate", HELP], ids=["import", "help"])
def test_nothing_heavy_is_loaded_before_a_verb_runs(program: str) -> None:
    loaded = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"{program}\n{loaded}"], capture_output=True, text=True, check=True, timeout=60
    )
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert "palate" in modules
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["evaluate"],
        ["train", "shop"],
        ["recommend", "engine", "-k", "0"],
        ["validate", "shop", "--no-such"],
    ],
    ids=["verb", "argument", "option", "count", "switch"],
)
def test_what_makes_no_sense_leaves_with_two(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output

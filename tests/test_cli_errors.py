"""Every error becomes one message on standard error and an exit code; a stack trace only where it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from palate.cli.app import Verbs, app, palate
from palate.core import ArtefactError, DataError, NotFittedError, UnknownIdError, UsageError


def fail_with(error: Exception, *words: str) -> Result:
    """A command line whose one verb meets this error."""
    line = typer.Typer(cls=Verbs, pretty_exceptions_enable=False)
    line.callback()(palate)

    @line.command()
    def verb() -> None:
        raise error

    return CliRunner().invoke(line, [*words, "verb"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("the data has no times"), 2),
        (UnknownIdError("no item 'x'"), 2),
        (DataError("events.csv row 3: no user"), 1),
        (ArtefactError("damaged"), 1),
        (NotFittedError("fit first"), 1),
        (PermissionError(13, "Permission denied", "/locked"), 1),
        (ZeroDivisionError("division by zero"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_is_a_message_and_a_code(error: Exception, code: int) -> None:
    result = fail_with(error)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("palate: ")
    assert str(error.args[-1]) in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_where() -> None:
    result = fail_with(DataError("events.csv row 3: no user"), "--debug")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "events.csv row 3: no user" in result.stderr.splitlines()[-1]


def test_a_defect_says_how_to_see_more() -> None:
    assert "--debug" in fail_with(KeyError("x")).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["recommend", "engine"],
        ["recommend", "engine", "--text", "  "],
        ["recommend", "engine", "--user", "u", "--language", "fr"],
        ["validate", ".", "--columns", "timestamp"],
        ["validate", ".", "--columns", "=ts"],
    ],
    ids=["nobody", "blank", "language", "no-equals", "no-name"],
)
def test_requests_that_make_no_sense(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert result.stderr.startswith("palate: ")


@pytest.mark.parametrize("text", ["brand", "[1, 2]", "{"])
def test_a_filter_must_be_a_json_object(text: str) -> None:
    from palate.cli.ask import _object

    with pytest.raises(UsageError, match="--filter"):
        _object(text, "--filter", '{"brand": "X"}')


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    result = CliRunner().invoke(app, ["validate", str(missing)])
    assert result.exit_code == 1
    assert "nowhere" in result.stderr

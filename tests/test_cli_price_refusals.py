"""What somebody reads who asks a price of a folder that is no engine."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from palate.cli.app import app


def test_a_missing_engine_is_named_before_prices_are_called_off(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["price", str(tmp_path / "nowhere"), "tea-01"])
    told = f"{answer.output} {answer.exception}"
    assert answer.exit_code != 0
    assert "not a palate engine" in told
    assert "prices are off" not in told

"""``palate init`` and ``palate validate`` on real folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder that ``palate init`` writes."""
    folder = tmp_path / "shop"
    assert run("init", folder).exit_code == 0
    return folder


def test_init_writes_a_folder_that_validates(shop: Path) -> None:
    assert sorted(path.name for path in shop.iterdir()) == ["events.csv", "items.csv", "palate.toml", "users.csv"]
    result = run("validate", shop, "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert (facts["users"], facts["items"], facts["events"]) == (12, 12, 51)
    assert facts["has_text"]
    assert facts["has_times"]


def test_init_keeps_what_is_there(shop: Path) -> None:
    (shop / "events.csv").write_text("mine", encoding="utf-8")
    result = run("init", shop)
    assert "kept" in result.stdout
    assert (shop / "events.csv").read_text(encoding="utf-8") == "mine"


def test_validate_speaks_both_languages(shop: Path) -> None:
    english, chinese = (run("validate", shop, "--language", language).stdout for language in ("en", "zh"))
    assert "51 events" in english
    assert "条" in chinese


def test_rejected_rows_are_counted_and_written(shop: Path, tmp_path: Path) -> None:
    with (shop / "events.csv").open("a", encoding="utf-8") as file:
        file.write("u01,tea-01,not a time,view\n,tea-01,2026-01-05T12:00:00Z,view\n")
    quarantine = tmp_path / "rejected.jsonl"
    result = run("validate", shop, "--quarantine", quarantine)
    assert result.exit_code == 0
    assert "2 rejected" in result.stdout
    assert len(quarantine.read_text(encoding="utf-8").splitlines()) == 2


def test_columns_come_from_the_command_line_or_the_settings(shop: Path) -> None:
    events = (shop / "events.csv").read_text(encoding="utf-8").replace("timestamp", "moment_of_it", 1)
    (shop / "events.csv").write_text(events, encoding="utf-8")
    assert run("validate", shop).exit_code == 1
    assert run("validate", shop, "--columns", "timestamp=moment_of_it").exit_code == 0
    with (shop / "palate.toml").open("a", encoding="utf-8") as file:
        file.write('\n[data.columns]\ntimestamp = "moment_of_it"\n')
    settings = (shop / "palate.toml").read_text(encoding="utf-8").replace("[data.columns]\n# Only", "# Only", 1)
    (shop / "palate.toml").write_text(settings, encoding="utf-8")
    assert run("validate", shop).exit_code == 0


def test_a_folder_nobody_can_learn_from_leaves_with_one(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "user_id,item_id,timestamp\nu,a,2026-01-01\nu,b,2026-01-02\n", encoding="utf-8"
    )
    assert run("validate", tmp_path, "--language", "en").exit_code == 1


def test_own_kinds_come_from_the_settings(shop: Path) -> None:
    events = (shop / "events.csv").read_text(encoding="utf-8").replace(",view", ",tasted")
    (shop / "events.csv").write_text(events, encoding="utf-8")
    settings = shop / "own.toml"
    settings.write_text('[[data.kinds]]\nname = "tasted"\nweight = 0.8\n', encoding="utf-8")
    facts = json.loads(run("validate", shop, "--config", settings, "--json").stdout)
    assert facts["events"] == 51


def test_a_misspelt_setting_is_refused(shop: Path) -> None:
    settings = shop / "own.toml"
    settings.write_text("[data]\ndrop_bot = true\n", encoding="utf-8")
    result = run("validate", shop, "--config", settings)
    assert result.exit_code == 2
    assert "'drop_bots'" in result.stderr

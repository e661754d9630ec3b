"""``palate price`` quotes and writes it down; ``palate price-replay`` does it again, and finds what was changed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from palate.privacy import Vault

TOML = """
[pricing]
enabled = true
currency = "CNY"
prices = "{prices}"

[pricing.policy]
kind = "rule"
factor = 0.9
rules = [{{feature = "loyalty", least = 0.5, factor = 0.85}}]

[pricing.guard]
cool_down_seconds = 0
step = 1.0

[[pricing.inputs]]
name = "loyalty"
"""
NEW_YORK = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA"
PERSONAL = ("--user", "u01", "--consent", "--jurisdiction", "US-NY", "--input", "loyalty=0.7")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words: str | Path) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prices") / "shop"
    assert run("init", folder).exit_code == 0
    result = run("train", folder, "--out", folder.parent / "shop.engine", "--preset", "fast", "--language", "en")
    assert result.exit_code == 0, result.stderr
    return folder.parent / "shop.engine"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a shop whose files all lie in one place of the test's own."""
    monkeypatch.setenv("PALATE_HOME", str(tmp_path / "home"))
    prices = tmp_path / "prices.csv"
    prices.write_text("item_id,list_price,cost,currency\ntea-01,100,40,CNY\npot-01,50,20,CNY\n", encoding="utf-8")
    path = tmp_path / "palate.toml"
    path.write_text(TOML.format(prices=prices), encoding="utf-8")
    return path


def log_of(config: Path) -> Path:
    return config.parent / "home" / "prices.sqlite"


def test_a_quote_for_a_program(trained: Path, config: Path) -> None:
    told = answer("price", trained, "tea-01,pot-01", "--jurisdiction", "DE", "--config", config)
    assert [line["price"] for line in told["prices"]] == pytest.approx([89.5, 44.75], rel=0.02)
    assert told["pack"] == "eu" and told["decision_id"].startswith("q_")
    own = answer("price", trained, "tea-01", *PERSONAL, "--explain", "--config", config)
    assert own["prices"][0]["disclosure"] == NEW_YORK
    assert own["explanation"]["repeats"] is True
    assert own["explanation"]["prices"][0]["without_personal_data"] == told["prices"][0]["price"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_quote_for_people(trained: Path, config: Path, language: str) -> None:
    result = run("price", trained, "tea-01,nothing", *PERSONAL, "--explain", "--language", language, "--config", config)
    assert result.exit_code == 0, result.stderr
    assert NEW_YORK in result.stdout and "100.00" in result.stdout
    assert ("使用了个人信息" if language == "zh" else "Personal data entered it") in result.stdout
    assert ("标价" if language == "zh" else "list") in result.stdout
    assert "items have no cost" not in result.stdout


def test_off_unless_configured(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_HOME", str(tmp_path))
    result = run("price", trained, "tea-01")
    assert result.exit_code == 2 and "enabled = true" in result.stderr
    assert not (tmp_path / "prices.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("tea-01", "--input", "loyalty"), "write NAME=NUMBER"),
        (("tea-01", "--input", "loyalty=much"), "write NAME=NUMBER"),
        (("tea-01,tea-01",), "named twice"),
        ((",",), "no items"),
    ],
)
def test_mistakes_are_told_in_words(trained: Path, config: Path, words: tuple[str, ...], problem: str) -> None:
    result = run("price", trained, *words, "--config", config)
    assert result.exit_code == 2 and problem in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "loyalty"', 'name = "gender"', "protected attribute"),
        ("step = 1.0", "lowest = 1.5", "lowest"),
        ("step = 1.0", "stepp = 1.0", "Did you mean 'step'"),
        ('"CNY"', '"yuan"', "currency"),
        ('kind = "rule"', 'kind = "surge"', "kind"),
    ],
)
def test_settings_that_make_no_sense_are_refused(trained: Path, config: Path, old: str, new: str, problem: str) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    result = run("price", trained, "tea-01", "--config", config)
    assert result.exit_code == 2 and problem in result.stderr


def test_a_price_file_with_mistakes_is_refused(trained: Path, config: Path) -> None:
    (config.parent / "prices.csv").write_text("item_id,cost\ntea-01,-4\n", encoding="utf-8")
    result = run("price", trained, "tea-01", "--config", config)
    assert result.exit_code == 1 and "row 2: cost '-4' is no price" in result.stderr


def test_every_decision_is_done_again(trained: Path, config: Path) -> None:
    for number in range(4):
        answer("price", trained, "tea-01", *(PERSONAL if number % 2 else ()), "--config", config)
    told = answer("price-replay", log_of(config))
    assert (told["ok"], told["same"], told["erased"], told["different"]) == (True, 4, 0, [])
    assert answer("price-replay", log_of(config), "--head", told["head"])["ok"]
    assert "4 decisions the same to the bit" in run("price-replay", log_of(config)).stdout
    vault = Vault(config.parent / "home" / "vault.sqlite")
    vault.erase(vault.pseudonym("u01"))
    vault.close()
    after = answer("price-replay", log_of(config))
    assert (after["ok"], after["same"], after["erased"]) == (True, 2, 2)


def test_a_changed_price_is_found(trained: Path, config: Path) -> None:
    for _ in range(2):
        answer("price", trained, "tea-01", "--config", config)
    with closing(sqlite3.connect(log_of(config), isolation_level=None)) as db:
        db.execute("DROP TRIGGER log_is_append_only")
        (body,) = db.execute("SELECT body FROM log WHERE seq = 2").fetchone()
        changed = body.replace(b'"list_price":[100.0]', b'"list_price":[101.0]')
        assert changed != body
        db.execute("UPDATE log SET body = ? WHERE seq = 2", (changed,))
    result = run("price-replay", log_of(config), "--json")
    assert result.exit_code == 1
    assert "row 2" in json.loads(result.stdout)["problem"]


def test_a_lost_version_is_said(trained: Path, config: Path) -> None:
    answer("price", trained, "tea-01", "--config", config)
    versions = log_of(config).with_suffix(".versions")
    for path in versions.iterdir():
        path.rename(path.with_name("elsewhere"))
    result = run("price-replay", log_of(config))
    assert result.exit_code == 1 and "is not here" in result.stdout


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_text("no database", encoding="utf-8")
    assert run("price-replay", tmp_path / "x.sqlite").exit_code == 1
    missing = run("price-replay", tmp_path / "missing.sqlite")
    assert missing.exit_code == 1 and "is not there" in missing.stderr

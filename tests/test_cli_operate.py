"""``palate doctor`` and ``palate log verify``."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from palate.cli.diagnosis import FAIL, diagnose, in_words
from palate.data.event_log import EventLog
from palate.data.log_rows import Entry
from palate.privacy import Vault


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_this_machine_has_what_palate_needs() -> None:
    result = run("doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert {"python", "torch", "bf16", "memory", "encoder", "cache"} <= set(findings)
    assert all(finding["state"] != FAIL for finding in findings.values())


def test_the_doctor_speaks_both_languages() -> None:
    findings = diagnose()
    english, chinese = in_words(findings, "en"), in_words(findings, "zh")
    assert len(english) == len(chinese) == len(findings)
    assert any("memory" in line for line in english)
    assert any("内存" in line for line in chinese)


def test_a_cache_that_cannot_be_written_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "file" / "cache"))
    result = run("doctor", "--json")
    assert result.exit_code == 1
    cache = next(finding for finding in json.loads(result.stdout) if finding["name"] == "cache")
    assert cache["state"] == FAIL
    assert "PALATE_CACHE" in cache["detail"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three events."""
    path = tmp_path / "events.sqlite"
    keys = Vault(tmp_path / "keys.sqlite")
    with EventLog(path, keys) as events:
        for number in range(3):
            events.record(Entry("event", f"e{number}", keys.pseudonym("u1"), {"kind": "view", "item_id": "a"}))
    keys.close()
    return path


def test_a_log_as_written_verifies(log: Path) -> None:
    result = run("log", "verify", log, "--json")
    verdict = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (verdict["ok"], verdict["rows"]) == (True, 3)
    head = f"{verdict['head']['seq']}:{verdict['head']['hash']}"
    assert run("log", "verify", log, "--head", head).exit_code == 0
    assert run("log", "verify", log, "--head", f"9:{verdict['head']['hash']}").exit_code == 1


def test_a_log_that_was_changed_is_found_out(log: Path) -> None:
    with closing(sqlite3.connect(log, isolation_level=None)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE log SET body = CAST(replace(body, 'view', 'like') AS BLOB) WHERE seq = 2")
    result = run("log", "verify", log)
    assert result.exit_code == 1
    assert "row 2" in result.stdout


def test_the_usual_log_is_the_servers(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    missing = run("log", "verify")
    assert missing.exit_code == 1 and "is not there" in missing.stderr
    elsewhere = run("log", "verify", tmp_path / "own.sqlite")
    assert str(tmp_path / "palate" / "events.sqlite") in elsewhere.stderr
    (tmp_path / "palate").mkdir()
    (tmp_path / "palate" / "events.sqlite").write_bytes(log.read_bytes())
    assert run("log", "verify").exit_code == 0


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    other.write_bytes(b"not a database, but longer than a header of one would be " * 20)
    assert run("log", "verify", other).exit_code == 1
    assert run("log", "verify", tmp_path / "missing").exit_code == 1
    assert run("log", "verify", other, "--head", "nonsense").exit_code == 2

"""``palate profile``: what is known of somebody, in words and as JSON, and what a correction would change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from tests.engine_world import busiest, fresh, ids


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder, engine = tmp_path_factory.mktemp("profile") / "shop.engine", fresh()
    engine.save(folder)
    return folder, busiest(engine.dataset)[0]


def test_a_profile_in_words_and_as_json(saved: tuple[Path, str]) -> None:
    folder, user = saved
    told = run("profile", folder, "--user", user, "--language", "en")
    assert told.exit_code == 0, told.stderr
    assert "Interested in " in told.stdout
    assert "price_mix: cheap " in told.stdout
    assert "感兴趣：" in run("profile", folder, "--user", user, "--language", "zh").stdout
    values = json.loads(run("profile", folder, "--user", user, "--json").stdout)
    assert values["muted"] == values["added"] == []
    assert values["table"]["spend"] > 0
    assert "then" not in values


def test_a_try_shows_what_would_change_and_changes_nothing(saved: tuple[Path, str]) -> None:
    folder, user = saved
    engine = fresh()
    first = ids(engine.recommend(user))[0]
    topic = str(engine.catalogue.properties(engine.catalogue.ids.position(first))["category"]).rpartition(" > ")[2]
    tried = json.loads(run("profile", folder, "--user", user, "--mute", topic, "--json").stdout)
    assert tried["muted"] == [topic]
    assert first not in tried["then"]
    assert json.loads(run("profile", folder, "--user", user, "--json").stdout)["muted"] == []


def test_mistakes_are_told_in_words(saved: tuple[Path, str]) -> None:
    folder, user = saved
    for words, why in (
        ((), "--user ID"),
        (("--user", "nobody"), "unknown user"),
        (("--user", user, "--mute", "!"), "says nothing"),
    ):
        told = run("profile", folder, *words)
        assert told.exit_code == 2
        assert why in told.stderr

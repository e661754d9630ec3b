"""``palate off-policy``: an interval for each policy, or a refusal in words, from a log as it was served."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from palate.data.event_log import Entry, EventLog
from palate.privacy import Vault
from palate.ranking.bandit import BanditSettings, Choice
from palate.ranking.mixes import Mix
from palate.ranking.objectives import ObjectiveSettings
from palate.serving import running
from tests.bandit_world import ARMS, World
from tests.conftest import shared_data
from tests.engine_world import fresh


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def written(folder: Path, lists: int, shares: list[float]) -> tuple[Path, Path]:
    """A log of lists whose mixes were drawn with these odds; sort s of people likes mix s best."""
    file, keys = folder / "events.sqlite", folder / "keys.sqlite"
    sorts, contexts = World.of().contexts(lists, 0)
    random = np.random.default_rng(1)
    arms, luck = random.choice(len(ARMS), size=lists, p=shares), random.random(lists)
    worth = World.of().worth[sorts, arms]
    entries = []
    with EventLog(file, Vault(keys)) as log:
        for row in range(lists):
            choice = Choice(ARMS[arms[row]], shares[arms[row]], contexts[row], float(row))
            body, personal = choice.written()
            who = log.vault.pseudonym(f"u{row // 4}")
            entries.append(Entry("answer", f"r{row}", who, body, personal))
            if luck[row] < worth[row]:
                event = {"kind": "purchase", "recommendation_id": f"r{row}", "item_id": "i1"}
                entries.append(Entry("event", f"e{row}", who, event))
                entries.append(Entry("event", f"c{row}", who, {**event, "kind": "click"}))
        log.commit(entries).result()
    return file, keys


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return written(tmp_path_factory.mktemp("even"), 2_000, [0.25] * 4)


def test_every_mix_is_judged_and_the_best_for_each_context_found(log: tuple[Path, Path]) -> None:
    result = run("off-policy", log[0], "--vault", log[1], "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    policies = {one["policy"]: one for one in told["policies"]}
    assert set(policies) == {*ARMS, "even", "contextual"}
    assert told["lists"] == 2_000
    for name in ARMS:
        value = policies[name]["value"]
        assert value["low"] < 0.3 < value["high"], "each alone is best for one sort of four"
    assert policies["even"]["value"]["estimate"] == pytest.approx(told["logged"]["estimate"], abs=0.02)
    best = policies["contextual"]
    assert best["value"]["low"] < 0.6 < best["value"]["high"]
    assert best["lift"]["low"] > 0.2


def test_people_read_a_table_in_their_language(log: tuple[Path, Path]) -> None:
    english = run("off-policy", log[0], "--vault", log[1], "-p", "novel", "--language", "en")
    chinese = run("off-policy", log[0], "--vault", log[1], "-p", "novel", "--language", "zh")
    assert english.exit_code == chinese.exit_code == 0
    assert "2,000 lists of 500 people earned" in english.stdout
    assert "500 人的 2,000 个列表" in chinese.stdout
    assert "novel" in english.stdout and "would have earned" in english.stdout


def test_what_a_reaction_is_worth_can_be_said(log: tuple[Path, Path]) -> None:
    plain, other = (
        json.loads(run("off-policy", log[0], "--vault", log[1], "-p", "even", "--json", *more).stdout)["logged"]
        for more in ([], ["--reward", "click=10"])
    )
    assert other["estimate"] == pytest.approx(10 * plain["estimate"])
    refused = run("off-policy", log[0], "--vault", log[1], "--reward", "click")
    assert refused.exit_code == 2
    assert "write KIND=WORTH" in refused.stderr


def test_a_log_that_hardly_explored_refuses(tmp_path: Path) -> None:
    file, keys = written(tmp_path, 800, [0.97, 0.01, 0.01, 0.01])
    result = run("off-policy", file, "--vault", keys, "-p", "novel", "--language", "en")
    assert result.exit_code == 1
    assert "novel: no answer." in result.stdout
    assert "at least 100 are due" in " ".join(result.stdout.split())
    told = json.loads(run("off-policy", file, "--vault", keys, "-p", "novel", "--json").stdout)
    assert told["policies"][0]["value"] is None and told["policies"][0]["reasons"]


def test_mixes_of_a_saved_engine_are_judged_by_what_it_served(tmp_path: Path) -> None:
    mixes = (Mix(), Mix(name="popular", objectives=ObjectiveSettings(accuracy=0.5, novelty=-0.5)))
    fresh(bandit=BanditSettings(policy="thompson", mixes=mixes, exploration=1.0)).save(tmp_path / "shop.engine")
    file, keys = tmp_path / "events.sqlite", tmp_path / "keys.sqlite"
    liked, random = {"learned": 0.2, "popular": 0.7}, np.random.default_rng(2)
    with running(tmp_path / "shop.engine", log=file, vault=keys) as url, httpx.Client(base_url=url, timeout=60) as http:
        reactions = []
        for turn in range(280):
            answer = http.post("/v1/recommend", json={"user_id": f"u{turn}", "count": 3}).json()
            if random.random() < liked[answer["mix"]]:
                item = answer["items"][0]["id"]
                event = {"user_id": f"u{turn}", "item_id": item, "kind": "purchase"}
                reactions.append({**event, "recommendation_id": answer["recommendation_id"]})
        assert http.post("/v1/events", json={"events": reactions}).status_code == 200
    result = run("off-policy", file, "--vault", keys, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["lists"] == 280
    assert told["logged"]["estimate"] == pytest.approx(len(reactions) / 280)
    policies = {one["policy"]: one for one in told["policies"]}
    for name, worth in liked.items():
        assert policies[name]["value"]["low"] < worth < policies[name]["value"]["high"]
    assert policies["popular"]["lift"]["low"] > 0 > policies["learned"]["lift"]["high"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-p", "novle"], 2, "Did you mean 'novel'"),
        (["--method", "doubly"], 2, "Did you mean 'doubly-robust'"),
        (["--open-bandit", "random"], 2, "write POLICY/CAMPAIGN"),
        (["--tenant", "nobody"], 2, "holds 0 answers"),
    ],
)
def test_mistakes_are_told_in_words(log: tuple[Path, Path], words: list[str], code: int, said: str) -> None:
    result = run("off-policy", log[0], "--vault", log[1], *words)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_missing_log_or_vault_is_not_made(log: tuple[Path, Path], tmp_path: Path) -> None:
    for words in ((tmp_path / "no.sqlite", "--vault", log[1]), (log[0], "--vault", tmp_path / "no.sqlite")):
        result = run("off-policy", *words)
        assert result.exit_code == 1
        assert "is not there" in result.stderr
    assert not (tmp_path / "no.sqlite").exists()


def test_the_published_logs_are_read_too() -> None:
    result = run("off-policy", shared_data("open-bandit"), "--open-bandit", "random/men", "-p", "even", "--json")
    told = json.loads(result.stdout)
    assert told["policies"][0]["value"]["estimate"] == pytest.approx(0.0046, abs=2e-4)

"""Somebody is forgotten: over HTTP, through restarts, in logs, in saved engines and from the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import polars as pl
import pytest
from typer.testing import CliRunner

from palate.cli.app import app
from palate.data.event_log import EventLog
from palate.engine import Engine
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.quoting import LOG
from palate.pricing.settings import PolicySettings, Rule
from palate.privacy import REMAINS, Vault, default_vault_path
from palate.serving import running
from tests.engine_world import busiest, fresh, ids

PRICING = PricingSettings(
    enabled=True,
    inputs=(Input(name="loyalty"),),
    policy=PolicySettings(kind="rule", factor=0.9, rules=(Rule(feature="loyalty", least=0.5, factor=0.85),)),
)
WORDS = "a secret wish for purple curtains"


class Files(NamedTuple):
    log: Path
    vault: Path

    @contextmanager
    def served(self, engine: Any, pricing: PricingSettings | None = None) -> Iterator[httpx.Client]:
        with (
            running(engine, log=self.log, vault=self.vault, pricing=pricing) as url,
            httpx.Client(base_url=url, timeout=30) as http,
        ):
            yield http

    @contextmanager
    def read(self, name: str = "events.sqlite") -> Iterator[tuple[Vault, EventLog]]:
        with closing(Vault(self.vault)) as vault, EventLog(self.log.with_name(name), vault) as log:
            yield vault, log


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "events.sqlite", tmp_path / "vault.sqlite")


def profile(http: httpx.Client, user: str) -> int:
    return http.get(f"/v1/users/{user}/profile").status_code


def done(http: httpx.Client, user: str, item: str) -> None:
    event = {"user_id": user, "item_id": item, "kind": "view", "text": WORDS}
    answer = http.post("/v1/events", json={"events": [event]})
    assert answer.status_code in (200, 202), answer.text


def test_who_is_forgotten_stays_so_and_may_begin_anew(files: Files) -> None:
    engine: Any = fresh()
    old, item = busiest(engine.dataset)[0], engine.catalogue.ids.names[0]
    strangers = ids(engine.recommend("never seen", k=5))
    with files.served(engine) as http:
        for user in (old, "mina"):
            done(http, user, item)
            http.patch(f"/v1/users/{user}/profile", json={"mute": ["something"]})
            assert profile(http, user) == 200
            answer = http.delete(f"/v1/users/{user}", params={"language": "zh"})
            assert answer.json() == {"forgotten": True, "remains": REMAINS["zh"]}
            assert profile(http, user) == 404
        list_of_old = http.post("/v1/recommend", json={"user_id": old, "count": 5}).json()["items"]
        assert [each["id"] for each in list_of_old] == strangers
        assert http.delete("/v1/users/never-seen").status_code == 404
    again: Any = fresh()
    with files.served(again) as http:
        assert profile(http, old) == profile(http, "mina") == 404
        done(http, "mina", item)
        seen = http.get("/v1/users/mina/profile").json()
        assert (seen["table"]["events"], seen["muted"]) == (1, [])
    with files.read() as (vault, log):
        assert log.verify().ok
        rows = [row for row in log.events_of(vault.pseudonym("mina")) if row.sort == "event"]
        assert [row.erased for row in rows] == [True, False]


def test_what_a_price_rested_on_is_gone_and_no_price_is_held(tmp_path: Path, files: Files) -> None:
    asked = {"user_id": "mina", "jurisdiction": "US-NY", "consent": True}
    question = {**asked, "items": ["g00"], "context": {"inputs": {"loyalty": 0.9}}}
    with files.served(shop(), PRICING) as http:
        first = http.post("/v1/price", json=question).json()
        assert first["prices"][0]["personal"]
        told = http.get(f"/v1/price/{first['decision_id']}/explain").json()
        assert (told["erased"], told["repeats"]) == (False, True)
        assert http.delete("/v1/users/mina").status_code == 200
        told = http.get(f"/v1/price/{first['decision_id']}/explain").json()
        assert told["erased"] and told["prices"][0]["price"] == first["prices"][0]["price"]
        second = http.post("/v1/price", json=question).json()
        assert second["decision_id"] != first["decision_id"]
    with files.read(LOG) as (_, log):
        assert log.verify().ok
    replayed = CliRunner().invoke(app, ["price-replay", str(tmp_path / LOG), "--json"])
    assert replayed.exit_code == 0, replayed.stderr
    counted = json.loads(replayed.stdout)
    assert (counted["same"], counted["erased"], counted["different"]) == (1, 1, [])


def shop() -> Any:
    from palate.data import Dataset
    from tests.serving_fake import FakeEngine

    items = [{"item_id": f"g{row:02}", "title": f"Lamp {row}", "price": 100.0, "cost": 40.0} for row in range(12)]
    events = [{"user_id": f"u{row % 5}", "item_id": f"g{row % 12:02}", "timestamp": 1.6e9 + row} for row in range(40)]
    return FakeEngine(Dataset.assemble(pl.DataFrame(events), pl.DataFrame(items), name="lamps"))


def test_forgotten_from_the_terminal_in_logs_and_in_an_engine(tmp_path: Path, files: Files) -> None:
    engine: Any = fresh()
    user = busiest(engine.dataset)[0]
    folder = tmp_path / "shop.engine"
    engine.save(folder)
    with closing(Vault(default_vault_path())) as usual:
        pseudonym = usual.pseudonym(user)
    assert Engine.load(folder).knows(user)
    with files.served(engine) as http:
        done(http, user, engine.catalogue.ids.names[0])
    words = ["forget", user, "--log", str(files.log), "--engine", str(folder), "--language", "en"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.stderr
    assert str(files.log) in told.stdout and REMAINS["en"][:40] in " ".join(told.stdout.split())
    after = Engine.load(folder)
    assert not after.knows(user)
    assert pseudonym not in after.dataset.user_ids.names
    assert after.dataset.n_events == engine.dataset.n_events
    with files.served(after) as http:
        assert profile(http, user) == 404
    again = CliRunner().invoke(app, ["forget", "nobody at all", "--log", str(files.log), "--engine", str(folder)])
    assert again.exit_code == 2 and "nobody is known" in again.stderr

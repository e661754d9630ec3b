"""Experiments on prices over real HTTP: what the server deals, what it notes, and what it does again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from palate.data.event_log import EventLog
from palate.experiments.assignment import deal, switched
from palate.experiments.definition import Experiment
from palate.experiments.store import Experiments
from palate.pricing.beliefs import earlier
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.decisions import replayed
from palate.pricing.guardrails import GuardSettings
from palate.pricing.quoting import versions_beside
from palate.pricing.settings import PolicySettings
from palate.privacy import Vault
from palate.serving import ServingSettings, running
from tests.experiment_world import declared
from tests.test_serving_price import engine

SETTINGS = PricingSettings(
    enabled=True,
    rungs=31,
    inputs=(Input(name="loyalty"),),
    # The arms: 90.00 where the price is fixed, 80.00 where it follows the cost of 40.00.
    policy=PolicySettings(kind="fixed", factor=0.9, markup=1.0),
    guard=GuardSettings(session_seconds=0, cool_down_seconds=0, step=1.0, parity=0.05),
)
ARMS = [{"name": "today"}, {"name": "dearer", "parameters": {"pricing": "cost_plus"}}]
PRICES = {"today": 90.0, "dearer": 80.0}
ITEMS = [f"i{number}" for number in range(40)]


@dataclass(frozen=True)
class Shop:
    """A running server, and its experiments as another process has them."""

    http: httpx.Client
    store: Experiments
    vault: Vault
    folder: Path

    def begin(self, experiment: Experiment) -> Experiment:
        self.store.declare(experiment)
        self.store.start(experiment.name)
        assert any(self.told(experiment.name)["served"] for _ in range(100_000))
        return experiment

    def told(self, name: str) -> Any:
        answer = self.http.get(f"/v1/experiments/{name}")
        return answer.json() if answer.status_code == 200 else {"served": False}

    def quote(self, items: list[str], user: str | None = None, **more: Any) -> dict[str, Any]:
        asked = {"items": items, "jurisdiction": "US-NY", **({} if user is None else {"user_id": user}), **more}
        response = self.http.post("/v1/price", json=asked)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    log, vault_file = folder / "events.sqlite", folder / "vault.sqlite"
    settings = ServingSettings(experiment_seconds=0.02)
    with (
        running(engine(), log=log, vault=vault_file, settings=settings, pricing=SETTINGS) as url,
        httpx.Client(base_url=url, timeout=60) as http,
        closing(Vault(vault_file)) as vault,
        Experiments(folder / "experiments", vault) as store,
    ):
        yield Shop(http, store, vault, folder)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as own:
        yield own


def test_items_change_arms_with_time_and_everybody_pays_the_same(shop: Shop) -> None:
    own = shop.begin(declared("slots", arms=ARMS, unit="item-time", switchback={"hours": 24.0}))
    back, start = own.switchback, shop.store.of("slots").started
    assert back is not None and start is not None
    first = shop.quote(ITEMS)
    arms = {}
    for item in ITEMS:
        slotted = switched(own.allocation(), back, item, first["at"], start)
        assert slotted is not None
        arms[item] = own.arms[slotted.arm].name
    assert set(arms.values()) == {"today", "dearer"}
    for answer in (first, shop.quote(ITEMS), shop.quote(ITEMS, "ann"), shop.quote(ITEMS[::-1], "bob", consent=True)):
        for line in answer["prices"]:
            assert line["experiment"] == {"name": "slots", "arm": arms[line["item_id"]]}
            assert (line["price"], line["personal"], line["disclosure"]) == (PRICES[arms[line["item_id"]]], False, "")
    assert shop.told("slots")["exposures"] == len(ITEMS)
    assert "experiment" in shop.quote(["i1", "nobody-knows-it"])["prices"][1]
    assert shop.told("slots")["exposures"] == len(ITEMS)  # what is not in the catalogue takes no part
    told = shop.http.get(f"/v1/price/{first['decision_id']}/explain").json()
    assert told["repeats"], told["repeats_note"]
    assert told["prices"][0]["experiment"] == {"name": "slots", "arm": arms[ITEMS[0]]}
    priced = shop.http.post("/v1/recommend", json={"count": 5, "pricing": {"jurisdiction": "US-NY"}}).json()
    for item in priced["items"]:
        assert item["price"]["experiment"]["arm"] == arms.get(item["id"], item["price"]["experiment"]["arm"])


def test_decisions_of_all_arms_are_the_same_when_done_again(tmp_path: Path) -> None:
    with opened(tmp_path) as shop:
        own = shop.begin(declared("slots", arms=ARMS, unit="item-time", switchback={"hours": 24.0}))
        for number in range(12):
            loyalty = {"context": {"inputs": {"loyalty": number / 10}}}
            shop.quote(ITEMS[number : number + 20], f"u{number}", consent=number % 2 == 0, **loyalty)
        shop.store.stop(own.name, "seen enough")
        while shop.told(own.name)["served"]:
            pass
        assert {line["price"] for line in shop.quote(ITEMS)["prices"]} == {90.0}
    path = tmp_path / "prices.sqlite"
    with closing(Vault(tmp_path / "vault.sqlite")) as vault:
        assert replayed(path, vault, earlier(versions_beside(path))) == (13, 0, [])
        with EventLog(path, vault) as log:
            noted = [row.body for row in log.replay(("price",))]
    assert "arms" not in noted[-1]  # nothing is on any more
    version = noted[-1]["rules"]
    for body in noted[:-1]:
        for arm, by in zip(body["arms"], body["by"], strict=True):
            assert arm["experiment"] == "slots" and arm["unit"].split("|")[0] in ITEMS
            assert (by == version) == (arm["arm"] == "today")


def test_people_are_dealt_only_where_their_prices_may_differ(shop: Shop) -> None:
    own = shop.begin(declared("people", arms=ARMS))
    people = [f"u{number}" for number in range(20)]
    dealt = {user: own.arms[found.arm].name for user in people if (found := deal(own.allocation(), {"user": user}))}
    assert set(dealt.values()) == {"today", "dearer"}
    for user in people:  # without consent everybody pays what everybody pays
        (line,) = shop.quote(["i1"], user)["prices"]
        assert (line["price"], line["experiment"], line["personal"]) == (90.0, None, False)
    assert shop.told("people")["exposures"] == 0
    for user in people:
        (line,) = shop.quote(["i1"], user, consent=True)["prices"]
        # What strangers pay, 90.00, is in reach of parity: 5 % of it.
        assert line["price"] == {"today": 90.0, "dearer": 85.5}[dealt[user]]
        assert line["experiment"] == {"name": "people", "arm": dealt[user]}
        assert line["personal"] and "USING YOUR PERSONAL DATA" in line["disclosure"]  # in both arms alike
    assert shop.told("people")["exposures"] == len(people)
    assert shop.quote(["i1"])["prices"][0]["experiment"] is None
    refused = shop.http.post("/v1/price/opt-out", json={"user_id": "u1"})
    assert refused.status_code == 200
    assert shop.quote(["i1"], "u1", consent=True)["prices"][0]["price"] == 90.0
    for user in people[2:6]:
        answer = shop.quote(["i1", "i2"], user, consent=True)
        told = shop.http.get(f"/v1/price/{answer['decision_id']}/explain").json()
        assert told["repeats"], told["repeats_note"]


def test_what_makes_no_sense_exposes_nobody(shop: Shop) -> None:
    shop.begin(declared("slots", arms=ARMS, unit="item-time", switchback={"hours": 24.0}))
    answer = shop.http.post("/v1/price", json={"items": ["i1", "i1"]})
    assert answer.status_code == 422
    assert shop.told("slots")["exposures"] == 0

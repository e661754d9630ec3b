"""Demand that goes on learning: which asks count, what sales they led to, and that nothing counts twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from palate.data.event_log import Entry, EventLog
from palate.pricing.asking import Question, Quote
from palate.pricing.beliefs import believed, earlier, prune
from palate.pricing.configuration import Input, LearningSettings, PricingSettings
from palate.pricing.decisions import replayed
from palate.pricing.demand import LogitDemand
from palate.pricing.guardrails import GuardSettings
from palate.pricing.learning import Learner, learnt_before, outcomes
from palate.pricing.quoting import Quoter, learnt_beside, opened, versions_beside
from palate.pricing.settings import PolicySettings
from palate.privacy import Vault
from palate.serving import running
from tests.pricing_world import Clock, shop
from tests.test_serving_price import engine

HOUR = 3_600.0
SETTINGS = PricingSettings(
    enabled=True,
    inputs=(Input(name="loyalty", personal=False),),
    policy=PolicySettings(kind="ucb", exploration=0.2),
    guard=GuardSettings(session_seconds=0, cool_down_seconds=0, step=1.0),
    learning=LearningSettings(window_hours=1.0, most=40),
    remembered_quotes=0,
)


class Stall:
    """A quoter, an event log and a learner over one folder."""

    def __init__(self, folder: Path, vault: Vault, clock: Clock) -> None:
        self.vault, self.clock, self.path = vault, clock, folder / "prices.sqlite"
        catalogue = shop()
        learnt, versions = learnt_beside(self.path), versions_beside(self.path)
        belief = believed(SETTINGS, learnt_before(SETTINGS, learnt)[0])
        self.quoter: Quoter = opened(lambda: catalogue, SETTINGS, belief, vault, folder, clock=clock)
        self.events = EventLog(folder / "events.sqlite", vault, clock=clock)
        self.heard: list[LogitDemand] = []

        def told(demand: LogitDemand) -> None:
            self.heard.append(demand)
            self.quoter.change(believed(SETTINGS, demand))

        self.learner = Learner(
            SETTINGS, self.quoter.log, self.events, folder=learnt, versions=versions, told=told, clock=clock
        )

    def ask(self, user: str, item: str, loyalty: float = 0.0) -> Quote:
        person = self.vault.pseudonym(user) if user else ""
        return self.quoter.quote(Question((item,), person, told={"loyalty": loyalty}))

    def sold(self, user: str, item: str, **more: Any) -> None:
        body = {"kind": "purchase", "item_id": item, "timestamp": self.clock.now, **more}
        name = f"e{self.clock.now}{user}{item}"
        self.events.commit([Entry("event", name, self.vault.pseudonym(user), body)]).result()

    def close(self) -> None:
        self.quoter.close()
        self.events.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    own = Vault(tmp_path / "vault.sqlite")
    yield own
    own.close()


@pytest.fixture
def stall(tmp_path: Path, vault: Vault, clock: Clock) -> Iterator[Stall]:
    own = Stall(tmp_path, vault, clock)
    yield own
    own.close()


def test_sales_change_prices_and_every_decision_stays_doable(stall: Stall, clock: Clock, vault: Vault) -> None:
    models = {stall.quoter.model}
    for number in range(100):
        stall.ask(f"u{number}", f"i{number}", loyalty=float(number % 2))
        clock.now += 10
        if number % 2:
            stall.sold(f"u{number}", f"i{number}")
        if number % 25 == 0:
            stall.learner.turn()
            models.add(stall.quoter.model)
    clock.now += HOUR
    learnt = []
    while count := stall.learner.turn():
        learnt.append(count)
        models.add(stall.quoter.model)
    assert sum(learnt) == 100 and max(learnt) <= SETTINGS.learning.most
    assert stall.heard[-1].rows == 100
    one = np.ones((1, 1))
    bought, left = (stall.heard[-1].probability(np.array([[value]], np.float32), one)[0, 0] for value in (1.0, 0.0))
    assert bought > 0.5 > left
    stall.ask("u1", "i1")
    stall.quoter.log.log.flush()
    assert len(models) >= 4
    assert replayed(stall.path, vault, earlier(versions_beside(stall.path))) == (101, 0, [])


def test_nothing_counts_twice_not_even_after_a_restart(tmp_path: Path, vault: Vault, clock: Clock) -> None:
    first = Stall(tmp_path, vault, clock)
    for number in range(30):
        first.ask(f"u{number}", "i1")
        clock.now += 1
    first.sold("u3", "i1")
    assert first.learner.turn() == 0  # nothing is old enough
    clock.now += HOUR
    assert first.learner.turn() == 30
    assert first.learner.turn() == 0
    believes = first.quoter.model
    first.close()
    second = Stall(tmp_path, vault, clock)
    assert second.learner.turn() == 0
    assert second.quoter.model == believes
    second.ask("u40", "i2")
    second.sold("u40", "i2")
    clock.now += 2 * HOUR
    assert second.learner.turn() == 1
    assert second.heard[-1].rows == 31
    second.close()


def test_a_shop_that_tells_no_sales_teaches_nothing(stall: Stall, clock: Clock) -> None:
    before = stall.quoter.model
    for number in range(10):
        stall.ask(f"u{number}", "i1")
    clock.now += 2 * HOUR
    assert stall.learner.turn() == 0
    assert stall.quoter.model == before and stall.heard == []


def test_unnamed_askers_teach_nothing(stall: Stall, clock: Clock) -> None:
    for number in range(10):
        stall.ask("", f"i{number}")
    stall.ask("ann", "i1")
    stall.sold("ann", "i1")
    clock.now += 2 * HOUR
    assert stall.learner.turn() == 1


def test_versions_that_no_decision_names_go(stall: Stall, tmp_path: Path) -> None:
    folder = versions_beside(stall.path)
    stall.ask("ann", "i1")
    stall.quoter.change(believed(SETTINGS.model_copy(update={"policy": PolicySettings(kind="greedy")})))
    stall.quoter.log.log.flush()
    assert len(list(folder.iterdir())) == 2
    assert prune(folder, {rules.model for rules in stall.quoter.log.rules().values()}) == 1
    assert prune(tmp_path / "nothing-here", set()) == 0


ASKED = {"decision": "q", "person": "p", "item": "i", "time": 0.0, "relative": 1.0, "features": [0.5]}
SOLD: dict[str, Any] = {"person": "p", "item": "i", "time": 10.0, "answer": None}
_SOLD_SCHEMA = {"person": pl.String, "item": pl.String, "time": pl.Float64, "answer": pl.String}


@pytest.mark.parametrize(
    ("asks", "sales", "bought"),
    [
        ([{}], [{}], [1]),
        ([{}], [{"item": "other"}], [0]),
        ([{}], [{"person": "other"}], [0]),
        ([{}], [{"time": 200.0}], [0]),
        ([{"time": 20.0}], [{}], [0]),
        ([{}], [{"person": "other", "answer": "q"}], [1]),
        ([{}, {"time": 5.0}], [{}], [1]),
        ([{}, {"time": 50.0}], [{}], [1, 0]),
        ([{}, {"time": 5.0}, {"time": 6.0}], [{"time": 500.0}], [0]),
        ([{"decision": "a"}, {"decision": "b", "time": 5.0}], [{"answer": "a"}], [1, 0]),
        ([{}], [{}, {"time": 11.0}], [1]),
    ],
)
def test_a_sale_belongs_to_the_latest_ask(
    asks: list[dict[str, Any]], sales: list[dict[str, Any]], bought: list[int]
) -> None:
    found = outcomes(
        pl.DataFrame([{**ASKED, **own} for own in asks]),
        pl.DataFrame([{**SOLD, **own} for own in sales], schema=_SOLD_SCHEMA),
        100.0,
    )
    assert found is not None
    assert found.bought.tolist() == bought
    assert found.features.shape == (len(bought), 1) and found.relative.tolist() == [1.0] * len(bought)


def test_sales_over_http_move_the_model(tmp_path: Path) -> None:
    learning = LearningSettings(seconds=0.02, window_hours=0.2 / HOUR)
    settings = SETTINGS.model_copy(update={"learning": learning})
    with (
        running(engine(), log=tmp_path / "events.sqlite", vault=tmp_path / "vault.sqlite", pricing=settings) as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):

        def quoted(user: str) -> str:
            body = {"items": ["i1"], "user_id": user, "context": {"inputs": {"loyalty": 0.5}}}
            return str(http.post("/v1/price", json=body).json()["decision_id"])

        def model() -> str:
            return str(http.get("/v1/price/rules").json()["model"])

        before, first, number = model(), quoted("ann"), 0
        while model() == before and number < 5_000:
            number += 1
            decision = quoted(f"u{number}")
            sale = {"user_id": "u", "item_id": "i1", "kind": "purchase", "recommendation_id": decision}
            assert http.post("/v1/events", json={"events": [sale]}).status_code == 200
        assert model() != before
        for decision in (first, quoted("bob")):
            told = http.get(f"/v1/price/{decision}/explain").json()
            assert told["repeats"], told["repeats_note"]
    path = tmp_path / "prices.sqlite"
    with closing(Vault(tmp_path / "vault.sqlite")) as vault:
        assert replayed(path, vault, earlier(versions_beside(path)))[1:] == (0, [])

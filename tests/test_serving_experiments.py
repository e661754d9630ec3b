"""Experiments over real HTTP: who is served what, what is noted of it, and what the loop changes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from palate.data.event_log import EventLog
from palate.experiments.assignment import deal
from palate.experiments.definition import Experiment, Parameters, Policy
from palate.experiments.store import Experiments
from palate.pricing.configuration import PricingSettings
from palate.pricing.guardrails import GuardSettings
from palate.pricing.settings import PolicySettings
from palate.privacy import Vault
from palate.serving import ServingSettings, running
from tests.experiment_world import declared
from tests.serving_fake import FakeEngine


@dataclass(frozen=True)
class Shop:
    """A running server, and its experiments as another process has them."""

    http: httpx.Client
    engine: FakeEngine
    store: Experiments
    vault: Vault
    folder: Path

    def ask(self, user: str | None = None, **more: Any) -> dict[str, Any]:
        question = more if user is None else {"user_id": user, **more}
        response = self.http.post("/v1/recommend", json=question)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def told(self, name: str = "") -> Any:
        response = self.http.get(f"/v1/experiments/{name}" if name else "/v1/experiments")
        assert response.status_code == 200, response.text
        return response.json()

    def begin(self, experiment: Experiment) -> None:
        self.store.declare(experiment)
        self.store.start(experiment.name)
        self.until(lambda: any(one["served"] or one["trouble"] for one in self.told()["experiments"]))

    def state(self, name: str) -> str:
        return next((one["state"] for one in self.told()["experiments"] if one["name"] == name), "")

    def until(self, fulfilled: Callable[[], bool]) -> None:
        """Until the server's loop has turned far enough."""
        deadline = time.monotonic() + 20
        while not fulfilled():
            assert time.monotonic() < deadline, "the server did not get there"

    def send(self, user: str, kind: str, **more: Any) -> None:
        row = {"user_id": user, "kind": kind, "item_id": "i1", **more}
        assert self.http.post("/v1/events", json={"events": [row]}).status_code == 200


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    engine = FakeEngine()
    settings = ServingSettings(experiment_seconds=0.02)
    with (
        running(engine, log=folder / "events.sqlite", vault=folder / "vault.sqlite", settings=settings) as url,
        httpx.Client(base_url=url) as http,
        closing(Vault(folder / "vault.sqlite")) as vault,
        Experiments(folder / "experiments", vault) as store,
    ):
        yield Shop(http, engine, store, vault, folder)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as own:
        yield own


def expected(experiment: Experiment, user: str) -> str:
    dealt = deal(experiment.allocation(), {"user": user})
    assert dealt is not None
    return experiment.arms[dealt.arm].name


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["id"] for item in answer["items"]]


def test_the_arm_decides_the_mix_and_is_noted(shop: Shop) -> None:
    assert "experiment" not in shop.ask("anna")
    bare = ids(shop.ask("anna"))
    shop.begin(declared())
    people = [f"u{number}" for number in range(30)]
    arms = {user: expected(declared(), user) for user in people}
    assert set(arms.values()) == {"today", "novel"}
    plain = ids(shop.ask())
    for user in people:
        first, again = shop.ask(user), shop.ask(user)
        assert first["experiment"] == again["experiment"] == {"name": "novel", "arm": arms[user]}
        assert (ids(first) == plain) == (arms[user] == "today")
        assert ids(first) == ids(again)
    assert bare == plain
    told = shop.told("novel")
    assert told["exposures"] == 30
    with closing(EventLog(shop.folder / "events.sqlite", shop.vault)) as log:

        def noted() -> list[object]:
            rows = log.events_of(shop.vault.pseudonym("u3"))
            return [row.body["experiment"] for row in rows if row.sort == "answer"]

        shop.until(lambda: len(noted()) == 2)
        assert noted() == [{"name": "novel", "arm": arms["u3"]}] * 2


def test_the_askers_word_goes_before_the_experiment(shop: Shop) -> None:
    shop.begin(declared())
    asked: tuple[dict[str, Any], ...] = ({"diversity": 0.5}, {"objectives": {"novelty": 0.1}}, {"strategy": {}})
    for said in asked:
        assert "experiment" not in shop.ask("u1", **said)
    assert "experiment" not in shop.ask()
    assert shop.told("novel")["exposures"] == 0


def test_who_signs_in_stays_in_their_arm(shop: Shop) -> None:
    shop.begin(declared())
    visitor = next(name for number in range(99) if expected(declared(), name := f"visitor-{number}") == "novel")
    user = next(name for number in range(99) if expected(declared(), name := f"user-of-{number}") == "today")
    assert shop.ask(visitor_id=visitor)["experiment"]["arm"] == "novel"
    assert shop.ask(user, visitor_id=visitor)["experiment"]["arm"] == "novel"
    # Also on a device that does not know the visitor.
    assert shop.ask(user)["experiment"]["arm"] == "novel"


def test_a_strategy_as_an_arm(shop: Shop) -> None:
    arms = [{"name": "today"}, {"name": "wishes", "parameters": {"strategy": {"via": "words"}}}]
    own = declared("wishes", arms=arms)
    shop.begin(own)
    for number in range(12):
        answer = shop.ask(f"u{number}", count=5)
        assert ("strategy" in answer) == (answer["experiment"]["arm"] == "wishes")
    # A wish in words cannot be answered by a strategy: nobody who has one takes part, whatever their arm.
    assert "experiment" not in shop.ask("u1", text="perfume")


def test_the_loop_serves_what_won_and_spares_the_held_out(shop: Shop) -> None:
    own = declared(
        decides="itself",
        look_hours=0.0,
        hold_back=0.0,
        holdout={"name": "2027", "share": 0.2},
        plan={"planned_units": 200, "min_units": 20, "metrics": ["conversion", "satisfaction"]},
    )
    shop.begin(own)
    people = [f"u{number}" for number in range(260)]
    for number, user in enumerate(people):
        arm = shop.ask(user).get("experiment", {}).get("arm")
        if arm:
            stars = 4.0 + (number % 3 - 1) / 2
            rows = [{"user_id": user, "kind": "rating", "item_id": "i1", "value": stars}]
            if (arm == "novel") == (number % 10 > 0):
                rows.append({"user_id": user, "kind": "purchase", "item_id": "i1", "price": 5.0})
            assert shop.http.post("/v1/events", json={"events": rows}).status_code == 200
    shop.until(lambda: shop.told()["policy"]["experiment"] == "novel")
    assert shop.state("novel") == "concluded"
    assert "novel has won" in shop.told("novel")["steps"][-1]["why"]
    stranger = next(name for number in range(999) if not own.holdout.holds(name := f"stranger-{number}"))  # type: ignore[union-attr]
    kept = next(name for number in range(999) if own.holdout.holds(name := f"stranger-{number}"))  # type: ignore[union-attr]
    novel, plain = shop.ask(stranger), shop.ask(kept)
    assert "experiment" not in novel
    assert ids(novel) != ids(plain)
    assert ids(shop.ask()) == ids(novel)  # who is nobody in particular cannot be held out


def test_what_is_stopped_elsewhere_is_served_no_more(shop: Shop) -> None:
    shop.begin(declared())
    assert "experiment" in shop.ask("u1")
    shop.store.stop("novel", "enough")
    shop.until(lambda: shop.state("novel") == "stopped")
    shop.until(lambda: "experiment" not in shop.ask("u1"))


def test_an_arm_that_this_engine_cannot_serve(shop: Shop) -> None:
    arms = [{"name": "today"}, {"name": "other", "parameters": {"mix": {"name": "other", "lead": "no-such-model"}}}]
    shop.begin(declared("other", arms=arms))
    shop.until(lambda: bool(shop.told("other")["trouble"]))
    assert "no-such-model" in shop.told("other")["trouble"]
    assert "experiment" not in shop.ask("u1")


def test_what_is_told_of_an_experiment(shop: Shop) -> None:
    assert shop.told() == {"experiments": [], "policy": shop.store.policy.model_dump(mode="json"), "policies": []}
    shop.begin(declared(hypothesis="新颖的列表让人更满意", look_hours=0.0))
    shop.ask("u1")
    shop.until(lambda: shop.told("novel")["looks"] > 0)
    told = shop.told("novel")
    assert (told["control"], told["surfaces"], told["unit"]) == ("today", ["lists"], "user")
    assert told["latest"]["open"] is False
    assert told["latest"]["words"]["zh"]
    assert told["steps"][0]["what"] == "declared"
    assert len(told["fingerprint"]) == 64
    assert [arm["parameters"]["mix"] is None for arm in told["arms"]] == [True, False]
    unknown = shop.http.get("/v1/experiments/nothing")
    assert unknown.status_code == 404
    assert "Known: novel" in unknown.json()["detail"] or "Did you mean" in unknown.json()["detail"]


def test_a_server_that_starts_again_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path) as shop:
        shop.begin(declared())
        before = {user: shop.ask(user)["experiment"]["arm"] for user in ("u1", "u2", "u3", "u4")}
    with opened(tmp_path) as shop:
        assert {user: shop.ask(user)["experiment"]["arm"] for user in before} == before
        assert shop.told("novel")["exposures"] == 4


def test_a_price_policy_in_force_is_quoted_by(tmp_path: Path) -> None:
    pricing = PricingSettings(
        enabled=True,
        policy=PolicySettings(kind="fixed", factor=0.9, markup=0.5),
        guard=GuardSettings(session_seconds=0, cool_down_seconds=0, step=1.0),
    )
    log, vault_file = tmp_path / "events.sqlite", tmp_path / "vault.sqlite"
    settings = ServingSettings(experiment_seconds=0.02)
    with (
        running(FakeEngine(), log=log, vault=vault_file, settings=settings, pricing=pricing) as url,
        httpx.Client(base_url=url) as http,
        closing(Vault(tmp_path / "vault.sqlite")) as vault,
        Experiments(tmp_path / "experiments", vault) as store,
    ):
        shop = Shop(http, FakeEngine(), store, vault, tmp_path)

        def policy() -> str:
            return str(http.get("/v1/price/rules").json()["policy"])

        own = policy()
        store.put_in_force(Policy(parameters=Parameters(pricing="thompson"), experiment="prices", arm="thompson"), "")
        shop.until(lambda: policy() == "thompson")
        assert http.post("/v1/price", json={"items": ["i9"]}).status_code == 200
        store.put_in_force(Policy(), "it was taken back")
        shop.until(lambda: policy() == own)
        arms = [{"name": "list"}, {"name": "other", "parameters": {"pricing": "thompsen"}}]
        shop.begin(declared("prices", arms=arms))
        assert "Did you mean 'thompson'" in shop.told("prices")["trouble"]

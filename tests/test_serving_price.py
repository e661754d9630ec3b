"""Prices over real HTTP: quoted, explained, refused, and beside recommendations."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from palate.data import Dataset
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.guardrails import GuardSettings
from palate.pricing.settings import PolicySettings, Rule
from palate.privacy import Vault
from palate.serving import running
from tests.serving_fake import FakeEngine

NEW_YORK = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA"
POLICY = PolicySettings(
    kind="rule", factor=0.9, rules=(Rule(feature="loyalty", least=0.5, factor=0.85),)
)  # fmt: skip
SETTINGS = PricingSettings(
    enabled=True,
    rungs=31,
    inputs=(Input(name="loyalty"), Input(name="score", source="score")),
    policy=POLICY,
    guard=GuardSettings(session_seconds=0, cool_down_seconds=0, step=1.0),
)
_numbers = itertools.count()


def engine() -> FakeEngine:
    """Fifty items at 100.00 that cost 40.00; the last one costs more than it lists at."""
    items = [
        {"item_id": f"i{number}", "title": f"Lamp {number}", "category": "Lamps", "price": 100.0, "cost": 40.0}
        for number in range(50)
    ]
    items[-1]["cost"] = 130.0
    events = [{"user_id": f"user-{row % 9}", "item_id": f"i{row % 40}", "timestamp": 1.6e9 + row} for row in range(90)]
    return FakeEngine(Dataset.assemble(pl.DataFrame(events), pl.DataFrame(items), name="lamps"))


@contextlib.contextmanager
def opened(folder: Path, pricing: PricingSettings | None = SETTINGS) -> Iterator[httpx.Client]:
    log, vault = folder / "events.sqlite", folder / "vault.sqlite"
    with running(engine(), log=log, vault=vault, pricing=pricing) as url, httpx.Client(base_url=url) as http:
        yield http


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prices")


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[httpx.Client]:
    with opened(folder) as http:
        yield http


@pytest.fixture
def user() -> str:
    return f"somebody-{next(_numbers)}@example.com"


def quote(http: httpx.Client, **question: Any) -> dict[str, Any]:
    response = http.post("/v1/price", json={"items": ["i1"], **question})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def own(user: str, **question: Any) -> dict[str, Any]:
    """A question with consent, in New York, by somebody loyal."""
    context = {"inputs": {"loyalty": 0.7}}
    return {"user_id": user, "jurisdiction": "US-NY", "consent": True, "context": context, **question}


def test_a_price_has_what_the_contract_says(shop: httpx.Client) -> None:
    answer = quote(shop, jurisdiction="DE")
    assert answer.keys() == {
        "decision_id", "at", "valid_until", "jurisdiction", "pack", "disclosure", "degraded", "prices", "left_out",
    }  # fmt: skip
    assert answer["valid_until"] == answer["at"] + 900 and answer["pack"] == "eu"
    (line,) = answer["prices"]
    assert line == {
        "item_id": "i1", "price": 90.0, "list_price": 100.0, "low": 70.0, "high": 100.0, "currency": "EUR",
        "personal": False, "disclosure": "", "lowest_before": 100.0, "clips": [], "experiment": None,
    }  # fmt: skip


def test_a_personal_price_is_disclosed_and_goes_with_consent(shop: httpx.Client, user: str) -> None:
    answer = quote(shop, **own(user))
    assert (answer["prices"][0]["price"], answer["disclosure"]) == (85.0, NEW_YORK)
    assert answer["prices"][0]["disclosure"] == NEW_YORK and answer["prices"][0]["personal"] is True
    without = quote(shop, **own(user, consent=False))
    assert (without["prices"][0]["price"], without["disclosure"]) == (90.0, "")
    assert without["left_out"]["loyalty"] == "no consent"


def test_the_short_name_for_a_user_is_understood(shop: httpx.Client, user: str) -> None:
    question = own(user)
    question["user"] = question.pop("user_id")
    assert quote(shop, **question)["prices"][0]["price"] == 85.0


def test_a_refusal_counts_from_the_next_price_on(shop: httpx.Client, user: str) -> None:
    assert quote(shop, **own(user))["prices"][0]["personal"]
    told = shop.post("/v1/price/opt-out", json={"user_id": user})
    assert told.json() == {"user_id": user, "refused": True}
    after = quote(shop, **own(user))
    assert not after["prices"][0]["personal"] and "refused" in after["left_out"]["loyalty"]
    shop.post("/v1/price/opt-out", json={"user_id": user, "refused": False})
    assert quote(shop, **own(user))["prices"][0]["personal"]


def test_protected_attributes_change_nothing_and_are_said_to(shop: httpx.Client, user: str) -> None:
    plain = quote(shop, **own(user))
    flipped = quote(shop, **own(user, context={"inputs": {"loyalty": 0.7, "gender": 1, "种族": 2}}))
    assert flipped["prices"] == plain["prices"]
    assert all("protected" in flipped["left_out"][name] for name in ("gender", "种族"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_price_is_explained_from_the_log(shop: httpx.Client, user: str, language: str) -> None:
    answer = quote(shop, **own(user))
    told = shop.get(f"/v1/price/{answer['decision_id']}/explain", params={"language": language}).json()
    assert told["repeats"] is True and told["policy"] == "rule" and told["erased"] is False
    (line,) = told["prices"]
    assert line["price"] == 85.0 and line["without_personal_data"] == 90.0 and line["disclosure"] == NEW_YORK
    assert {"name": "loyalty", "value": pytest.approx(0.7), "personal": True} in line["inputs"]
    assert ("90.00" in line["text"]) and (("个人信息" if language == "zh" else "Personal data") in line["text"])
    assert told["law"]["id"] == "us-ny" and told["notice"]


def test_an_unknown_decision_is_not_found(shop: httpx.Client) -> None:
    response = shop.get(f"/v1/price/q_{0:032x}/explain")
    assert response.status_code == 404 and "no decision" in response.json()["detail"]
    assert shop.get("/v1/price/nonsense/explain").status_code == 422


@pytest.mark.parametrize(("place", "pack"), [("CN", "cn"), ("US-NY", "us-ny"), ("", "neutral")])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_rules_are_published(shop: httpx.Client, place: str, pack: str, language: str) -> None:
    page = shop.get("/v1/price/rules", params={"jurisdiction": place, "language": language}).json()
    assert page["law"]["id"] == pack and page["policy"] == "rule" and page["bounds"]["lowest"] == 0.7
    assert {"name": "loyalty", "source": "request", "personal": True} in page["inputs"]
    assert ("不是法律意见" in page["law"]["notice"]) is (language == "zh")


def test_recommendations_are_priced_on_request(shop: httpx.Client, folder: Path, user: str) -> None:
    terms = {name: value for name, value in own(user).items() if name != "user_id"}
    answer = shop.post("/v1/recommend", json={"user_id": user, "count": 3, "pricing": terms}).json()
    assert [item["price"]["price"] for item in answer["items"]] == [85.0, 85.0, 85.0]
    assert answer["pricing"]["disclosure"] == NEW_YORK and "prices" not in answer["pricing"]
    told = shop.get(f"/v1/price/{answer['pricing']['decision_id']}/explain").json()
    assert [line["item_id"] for line in told["prices"]] == [item["id"] for item in answer["items"]]
    plain = shop.post("/v1/recommend", json={"user_id": user, "count": 3}).json()
    assert "pricing" not in plain and all("price" not in item for item in plain["items"])


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"items": []}, "items"),
        ({}, "items"),
        ({"items": ["i1"], "price": 3}, "price"),
        ({"items": ["i1"], "consent": "yes"}, "consent"),
        ({"items": ["i1"], "context": {"inputs": {"loyalty": "much"}}}, "loyalty"),
        ({"items": ["i1"], "context": {"currency": "EUROS"}}, "currency"),
        ({"items": [f"i{row}" for row in range(201)]}, "items"),
        ({"items": ["i1"], "language": "fr"}, "language"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(shop: httpx.Client, body: dict[str, Any], at: str) -> None:
    response = shop.post("/v1/price", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert at in response.json()["detail"] and "Traceback" not in response.text


def test_another_currency_and_a_repeated_item_are_refused(shop: httpx.Client) -> None:
    mixed = shop.post("/v1/price", json={"items": ["i1"], "context": {"currency": "USD"}})
    assert mixed.status_code == 422 and "in EUR, not USD" in mixed.json()["detail"]
    twice = shop.post("/v1/price", json={"items": ["i1", "i1"]})
    assert twice.status_code == 422 and "twice" in twice.json()["detail"]


def test_what_is_unknown_costs_its_list_price_or_nothing(shop: httpx.Client) -> None:
    answer = quote(shop, items=["i49", "nobody-knows-this"])
    assert [line["price"] for line in answer["prices"]] == [100.0, None]
    assert [line["clips"] for line in answer["prices"]] == [["conflict"], ["unknown"]]


def test_without_settings_prices_are_off(tmp_path: Path) -> None:
    with opened(tmp_path, PricingSettings()) as http:
        for response in (
            http.post("/v1/price", json={"items": ["i1"]}),
            http.get("/v1/price/rules"),
            http.post("/v1/recommend", json={"pricing": {}}),
            http.post("/v1/price/opt-out", json={"user_id": "ann"}),
        ):
            assert response.status_code == 422 and "enabled = true" in response.json()["detail"]
        assert http.post("/v1/recommend", json={}).status_code == 200


def test_a_new_server_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    held = SETTINGS.model_copy(update={"guard": GuardSettings(cool_down_seconds=3_600.0)})
    with opened(tmp_path, held) as http:
        first = quote(http, **own("ann"))
        http.post("/v1/price/opt-out", json={"user_id": "bob"})
    with opened(tmp_path, held) as http:
        again = quote(http, **own("ann"))
        assert again["prices"][0]["price"] == first["prices"][0]["price"] and again["prices"][0]["clips"] == ["held"]
        assert not quote(http, **own("bob"))["prices"][0]["personal"]
        assert http.get(f"/v1/price/{first['decision_id']}/explain").json()["repeats"] is True
    vault = Vault(tmp_path / "vault.sqlite")
    vault.erase(vault.pseudonym("ann"))
    vault.close()
    with opened(tmp_path, held) as http:
        told = http.get(f"/v1/price/{first['decision_id']}/explain").json()
        assert told["erased"] is True and told["prices"][0]["price"] == first["prices"][0]["price"]

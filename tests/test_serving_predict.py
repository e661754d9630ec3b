"""``POST /v1/predict`` over real HTTP, on a trained engine: what it says, what moves it, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from palate.engine import Engine, EngineSettings
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.serving import running
from tests.behaviour_world import shop

OWN = NextBehaviourSettings(least=10, minimum_leaf=20, trees=30, dimensions=8)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("predicting")
    plain = EngineSettings(sources=("popularity", "item_knn"))
    settings = plain.model_copy(
        update={
            "models": plain.models.model_copy(update={"next_behaviour": OWN}),
            "encoder": plain.encoder.model_copy(update={"encoder": "lexical"}),
        }
    )
    engine = Engine.fit(shop()[0], settings=settings)
    with (
        running(engine, log=folder / "events.sqlite", vault=folder / "vault.sqlite") as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        yield client


def test_probabilities_with_bounds_meanings_and_inputs(http: httpx.Client) -> None:
    answer = http.post("/v1/predict", json={"user_id": "u00", "items": ["kitchen0", "garden1"], "inputs": 3})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {one["kind"] for one in told["predictions"]} == {"view", "purchase", "rating"} == set(told["populations"])
    for one in told["predictions"]:
        assert 0 <= one["low"] <= one["probability"] <= one["high"] <= 1
        assert len(one["inputs"]) == 3
        assert one["known"] > 1
    own = {(one["id"], one["kind"]): one["probability"] for one in told["predictions"]}
    assert own["kitchen0", "purchase"] > own["garden1", "purchase"]
    assert told["level"] == 0.9
    assert any("click is not foreseen" in note for note in told["notes"])


def test_what_just_happened_changes_the_next_answer(http: httpx.Client) -> None:
    asked = {"user_id": "newcomer", "items": ["sound0"], "kinds": ["view"], "when": 1_705_000_000}
    before = http.post("/v1/predict", json=asked).json()["predictions"][0]
    assert before["known"] == 0
    events = [
        {"user_id": "newcomer", "item_id": f"sound{n}", "kind": "view", "timestamp": 1_704_999_000 + n}
        for n in range(1, 4)
    ]
    assert http.post("/v1/events", json={"events": events}).status_code in (200, 202)
    after = http.post("/v1/predict", json=asked).json()["predictions"][0]
    assert after["known"] == 3
    assert after["probability"] > before["probability"]


def test_a_told_history_with_kinds_and_prices_in_chinese(http: httpx.Client) -> None:
    history = ["garden0", {"item_id": "garden1", "kind": "purchase", "timestamp": "2024-01-01T08:00:00Z"}]
    body = {"history": history, "items": ["garden2"], "kinds": ["purchase"], "prices": [7.0], "language": "zh"}
    told = http.post("/v1/predict", json=body).json()
    assert told["populations"] == {"purchase": "浏览后 1 天内购买"}
    assert told["predictions"][0]["known"] == 2


def test_what_makes_no_sense_is_refused_in_words(http: httpx.Client) -> None:
    for body, status, why in (
        ({"items": []}, 422, "items"),
        ({"items": ["kitchen0"], "kinds": ["dream"]}, 422, "kinds"),
        ({"items": ["kitchen0"], "prices": [1.0, 2.0]}, 422, "2 prices for 1 items"),
        ({"items": ["kitchen0"], "user_id": "u00", "history": []}, 422, "not both"),
        ({"items": ["kitchen0"], "when": "2024-01-01T08:00:00"}, 422, "zone"),
        ({"items": ["moon"]}, 404, "unknown item 'moon'"),
        ({"items": ["kitchen0"], "kinds": ["click"]}, 422, "of 0 occasions"),
        ({"items": ["kitchen0"], "history": [{"item_id": "garden0", "kind": "dream"}]}, 422, "unknown kind 'dream'"),
        ({"items": ["kitchen0"], "surprise": 1}, 422, "surprise"),
    ):
        answer = http.post("/v1/predict", json=body)
        assert answer.status_code == status, (body, answer.text)
        assert why in answer.text, (body, answer.text)


def test_recommendations_go_on_beside_predictions(http: httpx.Client) -> None:
    answer = http.post("/v1/recommend", json={"user_id": "u01", "count": 3})
    assert answer.status_code == 200
    assert "/v1/predict" in http.get("/openapi.json").json()["paths"]

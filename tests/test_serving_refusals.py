"""The server over real HTTP: what makes no sense is refused in words, and nothing is too strange."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate.data.event_log import EventLog
from palate.privacy import Vault
from palate.serving import create_app
from tests.serving_fake import FakeEngine
from tests.serving_shop import Shop, opened, refused, shop, user

__all__ = ["shop", "user"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"count": -1}, "count"),
        ({"count": 0}, "count"),
        ({"count": 201}, "count"),
        ({"count": "5"}, "count"),
        ({"count": True}, "count"),
        ({"count": 2.5}, "count"),
        ({"user_id": 7}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x" * 257}, "user_id"),
        ({"user_id": "a\x00b"}, "user_id"),
        ({"text": "x" * 2001}, "text"),
        ({"history": "i1"}, "history"),
        ({"history": ["i1"] * 1001}, "history"),
        ({"history": [{"item_id": "i1", "timestamp": "yesterday"}]}, "history.0"),
        ({"history": [{"item_id": "i1", "timestamp": 1_700_000_000_000}]}, "history.0"),
        ({"candidates": []}, "candidates"),
        ({"context": {"lat": 91}}, "context.lat"),
        ({"context": {"mood": "good"}}, "context.mood"),
        ({"filter": {"price": None}}, "filter.price"),
        ({"filter": {"price": {"near": 9}}}, "filter.price"),
        ({"diversity": 1.5}, "diversity"),
        ({"language": "fr"}, "language"),
        ({"conut": 5}, "conut"),
        ([], ""),
        ("text", ""),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_place(shop: Shop, body: Any, where: str) -> None:
    problem = refused(shop.http.post("/v1/recommend", json=body), 422)
    assert any(error["at"].startswith(where) and error["problem"] for error in problem["errors"])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"count": NaN}', b'{"diversity": 1e999}', b"\xff\xfe", b"[" * 100_000, b'{"user_id": "\\ud800"}'],
)
def test_bodies_that_are_no_json_of_ours_are_refused(shop: Shop, body: bytes) -> None:
    response = shop.http.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    refused(response, response.status_code)


def test_a_mistake_in_a_condition_is_told_once_and_of_the_form_it_has(shop: Shop) -> None:
    for wanted, where, words in (
        ({"lte": "5"}, "filter.price.operators.lte", "valid number"),
        ({"near": 5}, "filter.price.operators.near", "/openapi.json"),
        (None, "filter.price", "nor a list of values"),
    ):
        problem = refused(shop.http.post("/v1/recommend", json={"filter": {"price": wanted}}), 422)
        (error,) = problem["errors"]
        assert error["at"] == where
        assert words in error["problem"]


def test_an_event_costs_nothing_less_than_nothing(shop: Shop, user: str) -> None:
    row = {"user_id": user, "item_id": "i1", "kind": "purchase", "price": -5}
    assert refused(shop.http.post("/v1/events", json={"events": [row]}), 422)["errors"][0]["at"] == "events.0.price"


def test_a_batch_with_a_malformed_row_is_refused_whole(shop: Shop, user: str) -> None:
    rows = [{"user_id": user, "item_id": "i1", "kind": "view"}, {"user_id": user, "item_id": 5, "kind": "view"}]
    seen = len(shop.engine.updates)
    problem = refused(shop.http.post("/v1/events", json={"events": rows}), 422)
    assert problem["errors"][0]["at"] == "events.1.item_id"
    refused(shop.http.post("/v1/events", json={"events": [{"user_id": user, "kind": "view"}]}), 422)
    refused(shop.http.post("/v1/events", json={"events": []}), 422)
    refused(shop.http.post("/v1/events", json={"events": rows[:1] * 1001}), 422)
    assert len(shop.engine.updates) == seen


def test_a_batch_of_unknown_items_is_not_found(shop: Shop, user: str) -> None:
    problem = refused(
        shop.http.post("/v1/events", json={"events": [{"user_id": user, "item_id": "?", "kind": "view"}]}), 404
    )
    assert problem["errors"][0]["at"] == "events.0"


def test_properties_may_not_pose_as_fields(shop: Shop) -> None:
    body = {"items": [{"item_id": "i1", "properties": {"title": "another"}}]}
    assert "title" in refused(shop.http.post("/v1/items", json=body), 422)["detail"]
    body = {"users": [{"user_id": "u", "attributes": {"user_id": "v"}}]}
    refused(shop.http.post("/v1/users", json=body), 422)


def test_large_bodies_are_refused_with_and_without_a_promise(shop: Shop) -> None:
    large = b'{"text": "' + b"x" * (1 << 20) + b'"}'
    headers = {"content-type": "application/json"}
    assert "1,048,576" in refused(shop.http.post("/v1/recommend", content=large, headers=headers), 413)["detail"]
    pieces = (large[start : start + 65_536] for start in range(0, len(large), 65_536))
    refused(shop.http.post("/v1/recommend", content=pieces, headers=headers), 413)


def test_wrong_content_types_methods_and_paths(shop: Shop) -> None:
    refused(shop.http.post("/v1/recommend", content=b"{}", headers={"content-type": "text/plain"}), 415)
    refused(shop.http.post("/v1/recommend", content=b"{}"), 415)
    refused(shop.http.post("/v1/recommend", data={"count": "5"}), 415)
    assert "POST" in refused(shop.http.get("/v1/recommend"), 405)["detail"]
    refused(shop.http.get("/v1/nothing-here"), 404)
    for cut_short in ("/v1/similar", "/v1/explain", "/v1/forecast/total"):
        assert cut_short in refused(shop.http.get(cut_short), 404)["detail"]
    refused(shop.http.get("/v1/similar/i1", params={"count": -4}), 422)
    refused(shop.http.get("/v1/catalogue/search"), 422)


def test_engine_refusals_reach_the_asker_in_words(shop: Shop) -> None:
    assert "known: home" in refused(shop.http.post("/v1/recommend", json={"scenario": "attic"}), 422)["detail"]


def test_the_unexpected_is_answered_without_a_trace(tmp_path: Path) -> None:
    with opened(tmp_path) as shop:
        shop.engine.broken = True
        for question in ({}, {"text": "words"}):
            problem = refused(shop.http.post("/v1/recommend", json=question), 500)
            assert "secret detail" not in json.dumps(problem)
        shop.engine.broken = False
        assert shop.http.post("/v1/recommend", json={}).status_code == 200


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_fields = st.sampled_from(
    ["user_id", "history", "text", "count", "filter", "context", "candidates", "exclude_ids", "diversity"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(_fields, _json, max_size=4) | _json)
def test_no_question_is_too_strange(shop: Shop, body: Any) -> None:
    content = json.dumps(body).encode()
    response = shop.http.post("/v1/recommend", content=content, headers={"content-type": "application/json"})
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        refused(response, response.status_code)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["events", "items", "users"]),
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["user_id", "item_id", "kind", "title", "price", "properties", "text"]), _json, max_size=5
        ),
        max_size=3,
    ),
)
def test_no_batch_is_too_strange(shop: Shop, path: str, rows: list[Any]) -> None:
    content = json.dumps({path: rows}).encode()
    response = shop.http.post(f"/v1/{path}", content=content, headers={"content-type": "application/json"})
    assert response.status_code < 500, response.text


def test_schemathesis_finds_no_server_error(tmp_path: Path) -> None:
    import schemathesis
    from schemathesis.checks import not_a_server_error

    with EventLog(tmp_path / "events.sqlite", Vault(tmp_path / "vault.sqlite")) as log:
        app = create_app(FakeEngine(), log)
        schema = schemathesis.openapi.from_asgi("/openapi.json", app)
        asked = 0
        for operation in schema.get_all_operations():

            @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
            @given(case=operation.ok().as_strategy())
            def one_operation(case: Any) -> None:
                nonlocal asked
                asked += 1
                case.call_and_validate(checks=[not_a_server_error])

            one_operation()
        assert asked > 50

"""The real engine behind real HTTP: what is served is what is measured, and what is told counts at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from palate.serving import running
from tests.engine_world import busiest, fresh

K = 10


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, httpx.Client]]:
    folder: Path = tmp_path_factory.mktemp("served")
    engine = fresh()
    with (
        running(engine, log=folder / "events.sqlite", vault=folder / "vault.sqlite") as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield engine, client


def listed(client: httpx.Client, **question: Any) -> list[str]:
    answer = client.post("/v1/recommend", json={"count": K, **question})
    assert answer.status_code == 200, answer.text
    assert not answer.json()["degraded"]
    return [item["id"] for item in answer.json()["items"]]


def test_the_served_list_is_the_measured_one(shop: tuple[Any, httpx.Client]) -> None:
    engine, client = shop
    users = busiest(engine.dataset, 12)
    rows = engine.dataset.user_ids.positions(users)
    # The moment of asking is an input like the history: both sides are told the same one.
    moment = float(engine.dataset.sequences.times.max()) + 3600
    asked = engine.dataset.queries(rows, k=K, mask_seen=engine.masks_seen)
    measured = engine.rank(replace(asked, when=np.full(len(users), moment)))
    for row, user in enumerate(users):
        offline = [engine.catalogue.ids[int(item)] for item in measured.row(row)]
        assert listed(client, user_id=user, context={"when": moment}) == offline


def test_an_event_changes_the_very_next_answer(shop: tuple[Any, httpx.Client]) -> None:
    engine, client = shop
    before = listed(client, user_id="somebody-new")
    liked = engine.catalogue.ids[3]
    event = {"user_id": "somebody-new", "item_id": liked, "kind": "purchase"}
    told = client.post("/v1/events", json={"events": [event]})
    assert told.status_code == 200, told.text
    after = listed(client, user_id="somebody-new")
    assert after != before
    assert set(after) & {item.item for item in engine.recommend(history=[liked], k=K).items}


def test_a_new_item_is_recommendable_at_once(shop: tuple[Any, httpx.Client]) -> None:
    _, client = shop
    item = {"item_id": "zeppelin-1", "title": "Zeppelin Weather Balloon Kit", "category": "Toys > Balloons"}
    told = client.post("/v1/items", json={"items": [item]})
    assert told.status_code == 200, told.text
    assert listed(client, text="zeppelin balloon")[0] == "zeppelin-1"
    similar = client.get("/v1/similar/zeppelin-1").json()["items"]
    assert similar
    explained = client.get("/v1/explain/zeppelin-1", params={"user_id": "somebody-new"}).json()
    total = explained["base"] + sum(feature["contribution"] for feature in explained["features"])
    assert total == pytest.approx(explained["score"], abs=1e-4)


def test_what_goes_with_an_item_and_what_could_stand_in_its_place(shop: tuple[Any, httpx.Client]) -> None:
    engine, client = shop
    for kind, language in (("complement", "en"), ("substitute", "zh")):
        asked = next(name for name in engine.catalogue.ids.names if engine.similar(name, kind=kind).items)
        told = client.get(f"/v1/similar/{asked}", params={"kind": kind, "language": language}).json()["items"]
        expected = engine.similar(asked, kind=kind, language=language).items
        assert [item["id"] for item in told] == [item.item for item in expected]
        assert [item["reasons"][0]["text"] for item in told] == [item.reasons[0].text for item in expected]
    assert client.get(f"/v1/similar/{engine.catalogue.ids[0]}", params={"kind": "opposite"}).status_code == 422


def test_what_is_unknown_is_said(shop: tuple[Any, httpx.Client]) -> None:
    _, client = shop
    for refused in (
        client.post("/v1/recommend", json={"history": ["no-such-item"]}),
        client.get("/v1/similar/no-such-item"),
        client.get("/v1/explain/no-such-item"),
    ):
        assert refused.status_code == 404
        assert refused.headers["content-type"].startswith("application/problem+json")
        assert "no-such-item" in refused.json()["detail"]

"""The server over real HTTP: answers and feedback. All is real; only the engine is a small one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from palate.core import UsageError
from palate.data.event_log import EventLog
from palate.privacy import Vault
from palate.serving import ServingSettings, new_api_key, running
from palate.serving.memory import Memory
from tests.serving_fake import FakeEngine
from tests.serving_shop import Shop, ask, names, opened, refused, shop, user

__all__ = ["shop", "user"]


def test_an_answer_has_what_the_contract_says(shop: Shop) -> None:
    answer = ask(shop, user_id="user-1", count=3, explain=True, return_properties=True)
    assert answer.keys() == {"recommendation_id", "model_version", "degraded", "took_ms", "items"}
    assert answer["model_version"] == "fake0001"
    assert answer["degraded"] is False and answer["took_ms"] >= 0
    assert len(answer["items"]) == 3
    for item in answer["items"]:
        assert item.keys() == {"id", "score", "source", "reasons", "properties"}
        assert item["properties"]["title"] and item["reasons"][0]["text"].startswith("Because")
    bare = ask(shop, user_id="user-1", count=3)
    assert names(bare) == names(answer)
    assert all(item["properties"] == {} and item["reasons"] == [] for item in bare["items"])
    assert bare["recommendation_id"] != answer["recommendation_id"]


def test_a_question_can_say_everything(shop: Shop) -> None:
    answer = ask(
        shop,
        history=["i1", {"item_id": "i6", "kind": "purchase", "timestamp": "2024-05-01T12:00:00Z"}],
        text="",
        count=5,
        scenario="home",
        filter={"category": "Perfume"},
        exclude_ids=["i11"],
        candidates=["i11", "i16", "i21", "i2"],
        context={"when": 1.7e9, "lat": 31.2, "lon": 121.5, "device": "phone", "session": 1},
        diversity=0.3,
        explain=True,
        language="zh",
    )
    assert names(answer) == ["i16", "i21"]
    assert answer["items"][0]["reasons"][0]["text"] == "因为您看过同类商品"


def test_words_find_items_in_both_languages(shop: Shop) -> None:
    assert all(
        "Shampoo" in item["properties"]["title"]
        for item in ask(shop, text="shampoo", count=5, return_properties=True)["items"]
    )
    assert all(
        item["properties"]["category"] == "手机"
        for item in ask(shop, text="手机", count=5, return_properties=True)["items"]
    )


def test_nobody_in_particular_gets_a_degraded_answer(shop: Shop) -> None:
    answer = ask(shop)
    assert answer["degraded"] is True
    assert len(answer["items"]) == 10


def test_an_event_changes_the_very_next_answer(shop: Shop, user: str) -> None:
    before = ask(shop, user_id=user, count=5, return_properties=True)
    posted = shop.http.post("/v1/events", json={"events": [{"user_id": user, "item_id": "i4", "kind": "click"}]})
    assert posted.json()["accepted"] == 1
    after = ask(shop, user_id=user, count=5, return_properties=True)
    assert names(after) != names(before)
    assert all(item["properties"]["category"] == "Books > Novels" for item in after["items"])
    assert "i4" not in names(after)


def test_an_unchanged_answer_is_remembered_and_a_changed_one_is_not(shop: Shop, user: str) -> None:
    def remembered() -> float:
        families = text_string_to_metric_families(shop.http.get("/metrics").text)
        return next(f.samples[0].value for f in families if f.name == "palate_remembered_answers")

    before = remembered()
    first, again = ask(shop, user_id=user), ask(shop, user_id=user)
    assert remembered() == before + 1
    assert names(first) == names(again)
    assert first["recommendation_id"] != again["recommendation_id"]
    shop.http.post("/v1/events", json={"events": [{"user_id": user, "item_id": names(first)[0], "kind": "click"}]})
    assert names(first)[0] not in names(ask(shop, user_id=user))
    ask(shop, user_id=user, count=3)
    ask(shop, user_id=user, exclude_ids=["i2"])
    ask(shop, user_id=user, exclude_ids=["i2"])
    assert remembered() == before + 1
    shop.http.post("/v1/items", json={"items": [{"item_id": "i4", "price": 77.5}]})
    ask(shop, user_id=user, count=3)
    assert remembered() == before + 1
    ask(shop, user_id=user, count=3)
    assert remembered() == before + 2


def test_memory_has_a_size_and_an_age() -> None:
    now = [0.0]
    memory: Memory[str] = Memory(2, 10.0, lambda: now[0])
    for key in ("a", "b", "c"):
        memory.put(key, 1, key.upper())
    assert [memory.get(key, 1) for key in ("a", "b", "c")] == [None, "B", "C"]
    assert memory.get("b", 2) is None
    now[0] = 11.0
    assert memory.get("c", 1) is None
    assert len(memory) == 0


def test_an_event_id_counts_once(shop: Shop, user: str) -> None:
    event = {"event_id": f"once-{user}", "user_id": user, "item_id": "i4", "kind": "click"}
    first = shop.http.post("/v1/events", json={"events": [event, event]}).json()
    again = shop.http.post("/v1/events", json={"events": [event]}).json()
    assert [row["status"] for row in first["results"] + again["results"]] == ["accepted", "duplicate", "duplicate"]
    assert (
        sum(one["event_id"] == event["event_id"] for update in shop.engine.updates for one in update["events"] or [])
        == 1
    )


def test_every_row_gets_its_verdict(shop: Shop, user: str) -> None:
    rows = [
        {"user_id": user, "item_id": "i1", "kind": "view"},
        {"user_id": user, "item_id": "never-heard-of", "kind": "view"},
        {"user_id": user, "item_id": "i1", "kind": "yodel"},
        {"user_id": user, "item_id": "i1", "kind": "view", "timestamp": 4_000_000_000},
        {"user_id": user, "kind": "search", "text": "red lipstick"},
    ]
    answer = shop.http.post("/v1/events", json={"events": rows}).json()
    assert (answer["accepted"], answer["duplicate"], answer["rejected"]) == (2, 0, 3)
    assert [row["status"] for row in answer["results"]] == ["accepted", "rejected", "rejected", "rejected", "accepted"]
    assert "/v1/items" in answer["results"][1]["reason"]
    assert "purchase" in answer["results"][2]["reason"]
    assert "ahead" in answer["results"][3]["reason"]


def test_a_new_item_is_recommendable_at_once_and_repeats_are_no_news(shop: Shop, user: str) -> None:
    item = {"item_id": f"new-{user}", "title": f"Zither {user}", "category": "Music", "properties": {"strings": 36}}
    unknown = refused(shop.http.get(f"/v1/similar/{item['item_id']}"), 404)
    assert "unknown item" in unknown["detail"]
    assert shop.http.post("/v1/items", json={"items": [item]}).json()["accepted"] == 1
    assert shop.http.post("/v1/items", json={"items": [item]}).json()["duplicate"] == 1
    answer = ask(shop, text=f"zither {user}", count=1, return_properties=True)
    assert answer["items"][0]["id"] == item["item_id"]
    assert answer["items"][0]["properties"]["strings"] == 36
    changed = shop.http.post("/v1/items", json={"items": [{"item_id": item["item_id"], "price": 9.5}]}).json()
    assert changed["accepted"] == 1
    answer = ask(shop, text=f"zither {user}", count=1, return_properties=True)
    assert answer["items"][0]["properties"]["price"] == 9.5
    assert answer["items"][0]["properties"]["title"] == item["title"]


def test_what_the_engine_will_not_take_is_said(shop: Shop) -> None:
    problem = refused(shop.http.post("/v1/items", json={"items": [{"item_id": "forbidden", "title": "x"}]}), 422)
    assert problem["errors"] == [{"at": "items.0", "problem": "nobody may sell this"}]


def test_users_are_described_under_their_pseudonym(shop: Shop, user: str) -> None:
    body = {"users": [{"user_id": user, "attributes": {"city": "上海", "age": 31}}]}
    assert shop.http.post("/v1/users", json=body).json()["accepted"] == 1
    assert shop.http.post("/v1/users", json=body).json()["duplicate"] == 1
    told = [row for update in shop.engine.updates for row in update["users"] or []]
    assert told[-1]["city"] == "上海" and told[-1]["user_id"].startswith("p_")


def test_similar_and_explain(shop: Shop) -> None:
    similar = shop.http.get("/v1/similar/i3", params={"count": 4, "return_properties": True}).json()
    assert [item["properties"]["category"] for item in similar["items"]] == ["手机"] * 4
    explained = shop.http.get("/v1/explain/i3", params={"user_id": "user-1", "language": "zh"}).json()
    parts = sum(one["contribution"] for one in explained["features"])
    assert explained["base"] + parts == pytest.approx(explained["score"])
    refused(shop.http.get("/v1/explain/no-such"), 404)


def test_health_status_and_metrics(shop: Shop) -> None:
    assert shop.http.get("/health/live").json() == {"status": "ok"}
    assert shop.http.get("/health/ready").json() == {"status": "ok"}
    assert shop.http.get("/v1/status").json()["version"] == "fake0001"
    ask(shop, count=7)
    families = {family.name: family for family in text_string_to_metric_families(shop.http.get("/metrics").text)}
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for sample in families["palate_requests"].samples
        if sample.name == "palate_requests_total"
    }
    assert counted["/v1/recommend", "200"] >= 1
    assert {route for route, _ in counted} <= {*shop_routes(), "other"}
    assert families["palate_recommended_items"].samples[0].value >= 7
    assert families["palate_request_seconds"].type == "histogram"


def shop_routes() -> set[str]:
    document = FakeEngine.__doc__ and {
        "/",
        "/style.css",
        "/app.js",
        "/tiles.js",
        "/why.js",
        "/words.js",
        "/openapi.json",
    }
    return {
        *(document or ()),
        *("/health/live", "/health/ready", "/metrics", "/v1/status", "/v1/recommend", "/v1/events", "/v1/items"),
        *("/v1/users", "/v1/similar/{item_id:path}", "/v1/explain/{item_id:path}", "/v1/sample-users"),
        "/v1/catalogue/search",
    }


def test_page_helpers(shop: Shop) -> None:
    people = shop.http.get("/v1/sample-users").json()["users"]
    assert 0 < len(people) <= 12
    assert people[0]["recent"][0]["properties"]["title"]
    found = shop.http.get("/v1/catalogue/search", params={"q": "PERF", "count": 3}).json()["items"]
    assert len(found) == 3 and all("Perfume" in item["properties"]["title"] for item in found)
    assert shop.http.get("/v1/catalogue/search", params={"q": "[.*("}).json() == {"items": []}
    page = shop.http.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text.replace("http://www.w3.org", "") and "https://" not in page.text


def test_the_log_holds_answers_and_events_and_no_names_or_words(tmp_path: Path) -> None:
    with opened(tmp_path) as shop:
        answer = ask(
            shop,
            user_id="alice@example.com",
            text="a very secret wish",
            context={"lat": 48.85, "device": "spyphone"},
            count=3,
        )
        event = {
            "user_id": "alice@example.com",
            "item_id": answer["items"][0]["id"],
            "kind": "click",
            "text": "lovely private review",
            "recommendation_id": answer["recommendation_id"],
        }
        assert shop.http.post("/v1/events", json={"events": [event]}).status_code == 200
        body = {"users": [{"user_id": "alice@example.com", "attributes": {"city": "Atlantis"}}]}
        assert shop.http.post("/v1/users", json=body).status_code == 200
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (b"alice", b"secret wish", b"48.85", b"spyphone", b"private review", b"Atlantis"):
        assert secret not in written
    vault = Vault(tmp_path / "vault.sqlite")
    person = vault.pseudonym("alice@example.com")
    with EventLog(tmp_path / "events.sqlite", vault) as log:
        told, clicked, described = log.events_of(person)
        assert (told.sort, told.id) == ("answer", answer["recommendation_id"])
        assert told.body["items"] == names(answer) and told.body["positions"] == [1, 2, 3]
        assert told.body["propensities"] == [1.0] * 3 and len(told.body["prices"]) == 3
        assert told.body["model_version"] == "fake0001"
        assert told.personal == {"text": "a very secret wish", "context": {"lat": 48.85, "device": "spyphone"}}
        assert clicked.body["recommendation_id"] == answer["recommendation_id"]
        assert clicked.personal == {"text": "lovely private review"}
        assert described.personal == {"city": "Atlantis"}
        vault.erase(person)
        assert [row.personal for row in log.events_of(person)] == [None] * 3
        assert log.verify().ok


def test_a_restarted_server_knows_what_happened(tmp_path: Path) -> None:
    with opened(tmp_path) as shop:
        shop.http.post("/v1/items", json={"items": [{"item_id": "late", "title": "Late arrival", "category": "Late"}]})
        for person in ("newcomer", "user-3"):
            event = {"event_id": f"{person}-1", "user_id": person, "item_id": "late", "kind": "purchase"}
            shop.http.post("/v1/events", json={"events": [event]})
        before = [names(ask(shop, user_id=person)) for person in ("newcomer", "user-3")]
    with opened(tmp_path) as shop:
        assert [names(ask(shop, user_id=person)) for person in ("newcomer", "user-3")] == before
        again = shop.http.post("/v1/events", json={"events": [event]}).json()
        assert again["duplicate"] == 1


SERVER = """
import sys
from palate.serving import serve
from tests.serving_fake import FakeEngine
serve(FakeEngine(), port=0, log=sys.argv[1], vault=sys.argv[2], ready=lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_server_writes_what_waits_and_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    log, vault = tmp_path / "events.sqlite", tmp_path / "vault.sqlite"
    command = [sys.executable, "-W", "error", "-c", SERVER, str(log), str(vault)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        given = [httpx.post(f"{url}/v1/recommend", json={}).json()["recommendation_id"] for _ in range(3)]
        server.send_signal(number)
        _, complaints = server.communicate(timeout=30)
    assert (server.returncode, complaints) == (0, "")
    with EventLog(log, Vault(vault)) as events:
        assert [row.id for row in events.replay(("answer",))] == given


def test_a_key_opens_what_is_locked(tmp_path: Path) -> None:
    key, digest = new_api_key()
    with opened(tmp_path, api_key_hashes=(digest,)) as shop:
        for path in ("/v1/status", "/metrics", "/openapi.json"):
            assert "Bearer" in refused(shop.http.get(path), 401)["detail"]
        refused(shop.http.get("/v1/status", headers={"authorization": "Bearer wrong"}), 401)
        assert shop.http.get("/v1/status", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert shop.http.get("/v1/status", headers={"x-api-key": key}).status_code == 200
        assert shop.http.get("/health/live").status_code == shop.http.get("/").status_code == 200
    with pytest.raises(ValueError, match="never put the key itself"):
        ServingSettings(api_key_hashes=(key,))


def test_other_host_names_are_turned_away(shop: Shop) -> None:
    refused(shop.http.get("/v1/status", headers={"host": "evil.example"}), 421)
    assert shop.http.get("/v1/status", headers={"host": "localhost:1234"}).status_code == 200


def test_a_taken_port_is_said_in_words(shop: Shop, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="cannot listen"),
        running(FakeEngine(), port=shop.http.base_url.port or 0, log=tmp_path / "l", vault=tmp_path / "v"),
    ):
        pass


def test_the_openapi_document_has_examples_and_names_its_problems(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()
    recommend = document["paths"]["/v1/recommend"]["post"]
    assert {"200", "413", "415", "422"} <= recommend["responses"].keys()
    schemas = document["components"]["schemas"]
    for name in ("RecommendRequest", "EventsRequest", "ItemsRequest", "UsersRequest", "Recommendations"):
        assert schemas[name]["examples"]
    for path in ("/v1/events", "/v1/items", "/v1/users", "/v1/similar/{item_id}", "/v1/explain/{item_id}"):
        assert path in document["paths"]

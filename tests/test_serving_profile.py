"""People see their profile over HTTP, correct it, and the correction counts, survives a restart and can be erased."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from palate.behaviour import topic_items
from palate.data.event_log import EventLog
from palate.privacy import Vault
from palate.serving import running
from tests.engine_world import busiest, fresh, ids
from tests.serving_fake import FakeEngine


def listed(client: httpx.Client, user: str) -> list[str]:
    answer = client.post("/v1/recommend", json={"user_id": user, "count": 10})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def test_a_correction_changes_the_next_answer_and_survives_a_restart(tmp_path: Path) -> None:
    engine: Any = fresh()
    user = busiest(engine.dataset)[0]
    shown = ids(engine.recommend(user, k=10))
    category = str(engine.catalogue.properties(engine.catalogue.ids.position(shown[0]))["category"])
    topic = category.rpartition(" > ")[2]
    about = set(engine.catalogue.ids.externals(topic_items(engine.catalogue, topic)))
    log_file, vault_file = tmp_path / "events.sqlite", tmp_path / "vault.sqlite"
    with running(engine, log=log_file, vault=vault_file) as url, httpx.Client(base_url=url, timeout=30) as client:
        assert about & set(listed(client, user))
        seen = client.get(f"/v1/users/{user}/profile").json()
        assert seen["muted"] == []
        assert seen["table"]["events"] > 0
        told = client.patch(f"/v1/users/{user}/profile", json={"mute": [topic]}, params={"language": "zh"})
        assert told.status_code == 200, told.text
        assert told.json()["muted"] == [topic]
        assert told.json()["sentence"].endswith("。")
        assert not about & set(listed(client, user))
    again: Any = fresh()
    with running(again, log=log_file, vault=vault_file) as url, httpx.Client(base_url=url, timeout=30) as client:
        assert client.get(f"/v1/users/{user}/profile").json()["muted"] == [topic]
        assert not about & set(listed(client, user))
    vault = Vault(vault_file)
    with EventLog(log_file, vault) as log:
        own = [row for row in log.events_of(vault.pseudonym(user)) if row.body.get("about") == "profile"]
        assert [row.personal for row in own] == [{"muted": [topic], "added": []}]
        assert topic.encode() not in log_file.read_bytes()
        assert vault.erase(vault.pseudonym(user))
    erased: Any = fresh()
    with running(erased, log=log_file, vault=vault_file) as url, httpx.Client(base_url=url, timeout=30) as client:
        assert client.get(f"/v1/users/{user}/profile").json()["muted"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"mute": []}, 422),
        ({"mute": ["Tea"], "add": ["tea"]}, 422),
        ({"mute": ["x" * 65]}, 422),
        ({"mute": ["!!"]}, 422),
        ({"forget": ["Tea"]}, 422),
        ({"add": ["绿茶"]}, 200),
    ],
)
def test_corrections_that_make_no_sense_are_refused_in_words(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    log_file, vault_file = tmp_path / "events.sqlite", tmp_path / "vault.sqlite"
    with running(FakeEngine(), log=log_file, vault=vault_file) as url, httpx.Client(base_url=url, timeout=30) as client:
        nobody = client.get("/v1/users/a/b/profile")
        assert nobody.status_code == 404
        assert "p_" not in nobody.json()["detail"], "a pseudonym is nobody's business"
        answer = client.patch("/v1/users/a/b/profile", json=body)
        assert answer.status_code == status, answer.text
        assert client.get("/v1/users/a/b/profile").status_code == (200 if status == 200 else 404)

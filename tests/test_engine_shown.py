"""An engine taught by lists ranks a list that is shown: in Python, over HTTP, and after it was saved."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from palate.core import UsageError
from palate.data import Dataset
from palate.data.event_log import EventLog
from palate.engine import Engine, EngineSettings
from palate.privacy import Vault
from palate.ranking.attractiveness import AttractivenessSettings
from palate.ranking.shown import ShownSettings
from palate.serving.app import create_app
from palate.simulation import ShopSettings, make_shop


@cache
def engine() -> Engine:
    shop = make_shop(ShopSettings(users=300, items=150, days=120), 0)
    dataset = Dataset.from_frames(shop.events, shop.items, shop.users, name="demo")
    settings = EngineSettings(
        sources=("popularity", "transitions", "item_knn"),
        attractiveness=AttractivenessSettings(learn=False),
        shown=ShownSettings(trees=40, least=200),
    )
    return Engine.fit(dataset, settings=settings)


def shown() -> list[str]:
    return list(engine().catalogue.ids.names[:6])


def test_a_list_is_ranked_by_the_probability_of_a_choice() -> None:
    assert engine().shown is not None
    user, names = engine().dataset.user_ids.names[0], shown()
    answer = engine().recommend(user, k=6, candidates=names, as_shown=True, prices=[1, 2, None, 4, 5, 6], explain=True)
    assert sorted(item.item for item in answer.items) == sorted(names)
    assert sum(item.score for item in answer.items) == pytest.approx(1, abs=1e-4)
    assert {name for item in answer.items for name in item.source} == {"shown"}
    assert any(item.reasons for item in answer.items)


def test_what_is_looked_at_now_changes_the_list_at_once() -> None:
    names = shown()
    before = {item.item: item.score for item in engine().recommend(k=6, candidates=names, as_shown=True).items}
    told = engine().recommend(k=6, history=[names[4]], candidates=names, as_shown=True, context={"session": 1})
    after = {item.item: item.score for item in told.items}
    assert before != after


def test_reasons_come_in_chinese_too() -> None:
    answer = engine().recommend(history=[shown()[2]], candidates=shown(), as_shown=True, explain=True, language="zh")
    texts = [reason.text for item in answer.items for reason in item.reasons]
    assert texts
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in texts)


def test_filters_keep_the_order_and_the_prices_of_what_is_left() -> None:
    names = shown()
    price = max(float(engine().catalogue.properties(place)["price"]) for place in range(6))
    answer = engine().recommend(
        k=6, candidates=names, as_shown=True, prices=[1.0] * 6, filter={"price": {"gte": price}}
    )
    assert [item.properties["price"] for item in answer.items] == [price]
    assert answer.items[0].score == pytest.approx(1)  # of one item, one is chosen


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"as_shown": True}, "speak of candidates"),
        ({"prices": [1.0]}, "speak of candidates"),
        ({"candidates": ["x"], "prices": []}, "0 prices for 1 candidates"),
        ({"candidates": ["x"], "prices": [-1.0]}, "from 0 on"),
    ],
)
def test_lists_that_make_no_sense_are_refused(question: dict[str, object], words: str) -> None:
    own = dict(question)
    if "candidates" in own:
        own["candidates"] = shown()[:1]
    with pytest.raises(UsageError, match=words):
        engine().recommend(**own)  # type: ignore[arg-type]


def test_a_saved_engine_ranks_lists_alike(tmp_path: Path) -> None:
    engine().save(tmp_path / "engine")
    again = Engine.load(tmp_path / "engine")
    asked = {
        "history": shown()[:2],
        "candidates": shown(),
        "as_shown": True,
        "context": {"when": 1.7e9, "device": "mobile"},
    }
    first, second = engine().recommend(**asked), again.recommend(**asked)  # type: ignore[arg-type]
    assert [(item.item, item.score) for item in first.items] == [(item.item, item.score) for item in second.items]
    assert again.describe()["shown"] == engine().describe()["shown"]


def test_an_engine_without_lists_ranks_candidates_as_ever() -> None:
    plain = Engine(engine().dataset, engine().settings, engine().assembled)
    answer = plain.recommend(candidates=shown(), as_shown=True)
    assert {item.item for item in answer.items} == set(shown())


def test_over_http(tmp_path: Path) -> None:
    body = {"candidates": shown(), "as_shown": True, "prices": [1, 2, 3, 4, 5, None], "context": {"device": "mobile"}}
    keys = Vault(tmp_path / "keys.sqlite")
    with EventLog(tmp_path / "log.sqlite", keys) as log, TestClient(create_app(engine(), log)) as client:
        answer = client.post("/v1/recommend", json=body)
        refused = client.post("/v1/recommend", json={"as_shown": True})
        uneven = client.post("/v1/recommend", json={"candidates": shown(), "prices": [1]})
    keys.close()
    assert answer.status_code == 200, answer.text
    assert sum(item["score"] for item in answer.json()["items"]) == pytest.approx(1, abs=1e-4)
    assert refused.status_code == uneven.status_code == 422
    assert "candidates" in refused.text
    assert "1 prices for 6 candidates" in uneven.text

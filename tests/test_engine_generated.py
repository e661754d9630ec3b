"""What a generator may do to an engine's answers: nothing, whatever it replies and whatever it reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.core import Histories, Queries
from palate.engine import Answer, Engine
from palate.engine.completing import complete_descriptions
from palate.language.generation import Prompt
from palate.language.narrating import narrate
from palate.language.wishing import wish
from palate.ranking.mixes import Manner
from tests.engine_world import busiest
from tests.generation_fake import Writes
from tests.test_engine_strategy import fresh

PAYLOADS: list[str] = json.loads((Path(__file__).parent / "injections.json").read_text(encoding="utf-8"))
REPLIES = 100_000
HONEST = '{"wishes": ["tent", "kettle"]}'


def replies(rng: np.random.Generator, names: Sequence[str], n: int) -> list[str]:
    """Replies of a generator that has lost its mind: true ids, false ids, prices, half a JSON, other types, noise."""
    pool = [
        *names[:40],
        *(f"{name}x" for name in names[:40]),
        *PAYLOADS,
        "tent",
        "帐篷",
        "\u202e",
        "a" * 5_000,
        "0",
        "-1",
        "💥" * 30,
        "'; DROP TABLE items; --",
        "../../etc/passwd",
        "\\u0000",
    ]
    said = rng.integers(len(pool), size=(n, 3))
    form = rng.integers(9, size=n)
    cut = rng.random(n)
    written = []
    for row, way, share in zip(said, form, cut, strict=True):
        words = [pool[int(place)] for place in row]
        match way:
            case 0 | 1 | 2:
                text = json.dumps({"wishes": words[: 1 + int(3 * share)]}, ensure_ascii=False)
            case 3:
                text = json.dumps({"wishes": words, "item_id": words[0], "rank": 1, "price": 0.01})
            case 4:
                text = json.dumps({"wishes": words})[: int(share * 60)]
            case 5:
                text = json.dumps({"wishes": [1, None, {"item_id": words[0]}]})
            case 6:
                text = f"<think>{words[0]}</think>```json\n{json.dumps({'wishes': words[:1]})}\n```"
            case 7:
                text = words[0]
            case _:
                text = json.dumps([{"id": words[0], "score": 1e9}])
        written.append(text)
    return written


def test_no_reply_of_a_hundred_thousand_brings_an_item_that_does_not_exist() -> None:
    engine = fresh()
    catalogue, shelf = engine.catalogue, engine._shelf
    rng = np.random.default_rng(7)
    said = replies(rng, catalogue.ids.names, REPLIES)
    turn = iter(said)
    interest = {"tent": 2.0, "kettle": 1.0, "rope": 0.5}
    phrases: dict[str, None] = {}
    generated = 0
    for start in range(0, REPLIES, 10_000):
        writer = Writes(lambda _: next(turn, "{}"))
        for found in wish(writer, [interest] * min(10_000, REPLIES - start), most=3):
            generated += found.source == "endpoint"
            assert 0 < len(found.phrases) <= 3
            phrases |= dict.fromkeys(found.phrases)
    assert next(turn, None) is None, "every reply was read"
    assert generated > REPLIES // 10, "some replies are taken"
    known, outside, answered = set(catalogue.ids.names), 0, 0
    queries = Queries(Histories.empty(len(phrases)), k=40, text=tuple(phrases))
    for row in shelf.rank(queries, Manner()).items:
        names = [catalogue.ids[int(item)] for item in row if item >= 0]
        outside += sum(name not in known for name in names)
        answered += len(names)
    assert outside == 0 and answered > len(phrases)


def test_whole_answers_hold_only_what_exists_whatever_is_replied() -> None:
    rng = np.random.default_rng(11)
    turn = iter(replies(rng, fresh().catalogue.ids.names, 400))
    engine = fresh(Writes(lambda _: next(turn, "{}")))
    known = set(engine.catalogue.ids.names)
    for user in busiest(engine.dataset, 60):
        answer = engine.pursue(user, 6, explain=True)
        assert len(answer.items) == 6 == len({item.item for item in answer.items} & known)
        prices = engine.catalogue.prices[engine.catalogue.ids.positions([item.item for item in answer.items])]
        assert [item.properties["price"] for item in answer.items] == pytest.approx(prices.tolist(), rel=1e-6)


class Obeys(Writes):
    """A model that does whatever the data tells it, and notes that it was told."""

    def __init__(self, payloads: list[str]) -> None:
        super().__init__(self.obey)
        self.payloads, self.told = payloads, list[str]()

    def obey(self, prompt: Prompt) -> str:
        system, user = prompt.messages()
        assert not any(payload in system for payload in self.payloads), "data never stands among the instructions"
        heard = [payload for payload in self.payloads if payload in user or " ".join(payload.split()) in user]
        if not heard:
            return HONEST
        self.told.append(prompt.task)
        return json.dumps(
            {
                "wishes": ["ACME-666 tents-001"],
                "text": f"{heard[0]} price 0.01",
                "sentences": [{"evidence": [0], "text": "ACME-666 is the best, rank 1, price 0.01"}],
            }
            if prompt.task != "describe"
            else {"text": "Buy ACME-666 for 0.01, the best there is"}
        )


def lists(answers: list[Answer]) -> list[Any]:
    return [[(item.item, item.score, item.properties.get("price")) for item in answer.items] for answer in answers]


def poisoned(payloads: list[str], writer: Any) -> tuple[Engine, list[str]]:
    """An engine whose merchants and reviewers write instructions; and people who turned to such items."""
    engine = fresh(writer)
    users = busiest(engine.dataset, 8)
    titles, names = engine.catalogue.titles, engine.catalogue.ids.names
    rows = [
        {"item_id": name, "title": f"{title} {payload}" if place % 2 else f"{payload} {title}", "description": payload}
        for place, (name, title, payload) in enumerate(zip(names, titles, payloads, strict=False))
    ]
    engine.update(items=rows)
    engine.update(
        events=[
            {
                "user_id": user,
                "item_id": row["item_id"],
                "kind": "rating",
                "value": 5.0,
                "text": payload,
                "timestamp": 2e9,
            }
            for user, row, payload in zip(users * 13, rows, payloads, strict=False)
        ]
    )
    return engine, users


@pytest.mark.parametrize("half", [0, 1], ids=["english", "chinese"])
def test_instructions_in_titles_and_reviews_change_no_id_no_price_and_no_rank(half: int) -> None:
    assert len(PAYLOADS) == 200 == len(set(PAYLOADS))
    payloads = PAYLOADS[half * 100 : half * 100 + 100]
    language = "zh" if half else "en"
    obeys = Obeys(payloads)
    engine, users = poisoned(payloads, obeys)
    honest, _ = poisoned(payloads, Writes(lambda _: HONEST))

    def pursue(own: Engine) -> list[Any]:
        return lists([own.pursue(user, 10, explain=True, language=language) for user in users])

    def recommend(own: Engine) -> list[Any]:
        return lists([own.recommend(user, k=10) for user in users])

    usual, prices = recommend(engine), engine.catalogue.prices.tolist()
    assert pursue(engine) == pursue(honest) and usual == recommend(honest)
    assert len(obeys.prompts) == len(users) and not obeys.told, "what a single merchant wrote never reaches a wish"
    # Where a text of the shop has to be read, the worst reply is refused, and it was only ever a text.
    bare = [
        {"item_id": f"bare-{place}", "title": " ".join(payload.split()), "price": 5.0, "category": "Tents"}
        for place, payload in enumerate(payloads)
    ]
    engine.update(items=bare)
    honest.update(items=bare)
    completed = complete_descriptions(engine)
    assert list(completed.by) == ["template"] and completed.by["template"] >= len(bare) and "describe" in obeys.told
    told = narrate(
        obeys, [str(row["title"]) for row in bare], [[f"Because you chose {row['title']}"] for row in bare], language
    )
    assert {one.source for one in told} == {"template"}
    assert recommend(engine) == recommend(honest)
    assert engine.catalogue.prices.tolist()[: len(prices)] == prices

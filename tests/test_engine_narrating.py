"""Reasons in words: told from the reasons alone, by whoever writes, and never part of what is ranked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from palate.cli.app import app
from palate.core import UsageError
from palate.engine import Answer, Engine
from palate.language.generation import Prompt
from palate.serving import running
from tests.engine_world import busiest, fresh
from tests.generation_fake import Say, Writes, serving, vllm

PAYLOADS: list[str] = json.loads((Path(__file__).parent / "injections.json").read_text(encoding="utf-8"))


def engine(writer: Any = None) -> Engine:
    own = fresh()
    if writer is not None:
        own.writer = writer
    return own


def evidence(prompt: Prompt) -> list[str]:
    """The numbered lines of a prompt, without their numbers."""
    return [line.partition(". ")[2] for line in prompt.data.splitlines()[1:]]


def honest(prompt: Prompt) -> str:
    """A model that says the first piece of evidence again and cites it."""
    return json.dumps({"sentences": [{"evidence": [0], "text": f"{evidence(prompt)[0]}."}]}, ensure_ascii=False)


def lying(_: Prompt) -> str:
    return json.dumps({"sentences": [{"evidence": [0], "text": "It is the best of all and costs 0.01 today."}]})


def untold(answer: Answer) -> list[Any]:
    """All of an answer's items but the stories."""
    return [replace(item, story=None) for item in answer.items]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_a_model_the_reasons_are_told_as_they_stand_and_that_is_said(language: str) -> None:
    own = engine()
    [user] = busiest(own.dataset)
    answer = own.recommend(user, 5, explain=True, language=language)
    told = own.narrate(answer, language=language)
    assert untold(told) == list(answer.items)
    for item in told.items:
        assert item.story is not None and item.story.written_by == "template"
        assert item.story.cites == tuple(range(min(2, len(item.reasons))))
        assert all(item.reasons[place].text in item.story.text for place in item.story.cites)
    assert told.narration is not None
    assert told.narration.written_by == {"template": 5}
    assert told.narration.notes == ("no text generator is set up",)
    assert told.narration.prompt_tokens == 0


def test_a_model_tells_them_and_its_cost_is_told() -> None:
    writer = Writes(honest)
    own = engine(writer)
    [user] = busiest(own.dataset)
    told = own.narrate(own.recommend(user, 4, explain=True))
    assert told.narration is not None
    assert told.narration.written_by == {"endpoint": 4} and not told.narration.notes
    assert (told.narration.prompt_tokens, told.narration.completion_tokens) == (400, 80)
    for item in told.items:
        assert item.story is not None
        assert item.story.text == f"{item.reasons[0].text}." and item.story.cites == (0,)
    sent = " ".join(prompt.data for prompt in writer.prompts)
    assert all(prompt.personal for prompt in writer.prompts)
    assert user not in sent and not any(item.item in sent for item in told.items), "no id leaves the house"
    explained = own.narrate(own.explain(told.items[0].item, user))
    assert explained.story is not None and explained.story.written_by == "endpoint"


def test_what_a_model_adds_is_refused_and_templates_speak() -> None:
    own = engine(Writes(lying))
    [user] = busiest(own.dataset)
    answer = own.recommend(user, 3, explain=True)
    told = own.narrate(answer)
    assert untold(told) == list(answer.items)
    assert told.narration is not None and told.narration.written_by == {"template": 3}
    assert all("does not" in note for note in told.narration.notes)
    assert not any("0.01" in item.story.text for item in told.items if item.story)
    unasked = own.narrate(answer, generate=False).narration
    assert unasked is not None and unasked.notes == ("the text generator was not asked",)


def test_nothing_to_tell_is_nothing_told() -> None:
    own = engine(Writes(honest))
    [user] = busiest(own.dataset)
    told = own.narrate(own.recommend(user, 3))
    assert all(item.story is None for item in told.items)
    assert told.narration is not None and told.narration.written_by == {}
    with pytest.raises(UsageError):
        own.narrate(told, language="fr")


@pytest.mark.parametrize("half", [0, 1], ids=["english", "chinese"])
def test_instructions_in_titles_change_nothing_but_are_at_most_repeated_as_titles(half: int) -> None:
    payloads, language = PAYLOADS[half * 100 : half * 100 + 100], "zh" if half else "en"

    def obeys(prompt: Prompt) -> str:
        system, user = prompt.messages()
        assert not any(payload in system for payload in payloads), "data never stands among the instructions"
        obeyed = next((one for one in payloads if " ".join(one.split())[:40] in " ".join(user.split())), "")
        return json.dumps({"sentences": [{"evidence": [0], "text": f"{obeyed} ACME-666 is rank 1 for 0.01"}]})

    own = engine(Writes(obeys))
    names, titles = own.catalogue.ids.names, own.catalogue.titles
    own.update(
        items=[
            {"item_id": name, "title": f"{title} {payload}", f"title_{language}": f"{title} {payload}"}
            for name, title, payload in zip(names, titles, payloads, strict=False)
        ]
    )
    for user in busiest(own.dataset, 6):
        answer = own.recommend(user, 10, explain=True, language=language)
        told = own.narrate(answer, language=language)
        assert untold(told) == list(answer.items)
        assert told.narration is not None and told.narration.written_by == {"template": 10}
        assert not any("ACME-666 is rank" in item.story.text for item in told.items if item.story)


def test_over_http_an_endpoint_tells_and_where_it_fails_a_template_does(tmp_path: Path) -> None:
    from palate.language.generation_http import Endpoint, EndpointSettings

    def reply(seen: Any) -> Say:
        data = seen.body["messages"][-1]["content"].splitlines()
        first = next(line for line in data if line.startswith("0. ")).removeprefix("0. ")
        return vllm(json.dumps({"sentences": [{"evidence": [0], "text": first}]}))

    with serving(reply) as model:
        own: Any = engine(Endpoint(EndpointSettings(url=model.url, model="tiny"), ""))
        [user] = busiest(own.dataset)
        log, vault = tmp_path / "events.sqlite", tmp_path / "vault.sqlite"
        with running(own, log=log, vault=vault) as url, httpx.Client(base_url=url, timeout=30) as http:
            plain = http.post("/v1/recommend", json={"user_id": user, "count": 3, "explain": True}).json()
            assert "narration" not in plain and not any("story" in item for item in plain["items"])
            told = http.post("/v1/recommend", json={"user_id": user, "count": 3, "narrate": True}).json()
            assert [item["id"] for item in told["items"]] == [item["id"] for item in plain["items"]]
            assert told["narration"]["written_by"] == {"endpoint": 3}
            assert told["narration"]["prompt_tokens"] == 600
            assert told["items"][0]["story"]["text"] == told["items"][0]["reasons"][0]["text"]
            item = told["items"][0]["id"]
            why = http.get(f"/v1/explain/{item}", params={"user_id": user, "narrate": True}).json()
            assert why["story"]["written_by"] == "endpoint" and why["reasons"]
            assert http.get(f"/v1/explain/{item}", params={"user_id": user}).json()["story"] is None
            assert http.get("/v1/status").json()["writer"] == "model"
            own.writer = Writes(lying)
            refused = http.post("/v1/recommend", json={"user_id": user, "count": 3, "narrate": True}).json()
            assert refused["narration"]["written_by"] == {"template": 3} and refused["narration"]["notes"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_at_a_terminal_reasons_are_told_by_templates_until_a_generator_is_named(tmp_path: Path, language: str) -> None:
    own = fresh()
    [user] = busiest(own.dataset)
    own.save(tmp_path / "engine")
    words = ["recommend", str(tmp_path / "engine"), "--user", user, "-k", "2", "--explain", "--language", language]
    plain = CliRunner().invoke(app, words)
    assert plain.exit_code == 0, plain.stderr
    assert ("no text generator is set up" if language == "en" else "未设置文本生成器") in plain.stdout
    lie = json.dumps({"sentences": [{"evidence": [0], "text": "Buy it now for 0.01"}]})
    with serving([vllm(lie)]) as model:
        config = tmp_path / "palate.toml"
        config.write_text(f'[generation.endpoint]\nurl = "{model.url}"\nmodel = "tiny"\n', encoding="utf-8")
        told = CliRunner().invoke(app, [*words, "--config", str(config), "--json"])
        assert told.exit_code == 0, told.stderr
        found = json.loads(told.stdout)
        assert len(model.asked) >= 2, "it was asked"
        assert found["narration"]["written_by"] == {"template": 2} and found["narration"]["prompt_tokens"] > 0
        item = found["items"][0]["item"]
        explained = CliRunner().invoke(app, ["explain", str(tmp_path / "engine"), item, "--user", user, "--json"])
        assert json.loads(explained.stdout)["narration"]["notes"] == ["no text generator is set up"]

"""The client of OpenAI-compatible endpoints, against a server here that speaks three dialects and misbehaves."""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

from palate.core import UsageError
from palate.language.generation import Prompt, TemplateGenerator, TextGenerator
from palate.language.generation_choice import GenerationSettings, text_generator
from palate.language.generation_http import Endpoint, EndpointSettings
from palate.language.generation_reply import Reply, write
from tests.generation_fake import Say, Seen, llama_cpp, ollama, serving, vllm


class Colours(Reply):
    colours: list[str] = Field(min_length=1, max_length=3)


GOOD = '{"colours": ["red"]}'
SECRET = "sk-do-not-tell"  # noqa: S105 - of a server in a test


def prompt(data: str = "a tent", **changes: Any) -> Prompt:
    return Prompt("colour", "Name colours.", data, '{"colours": ["grey"]}', tokens=50, **changes)


def endpoint(url: str, **settings: Any) -> tuple[Endpoint, list[float]]:
    """An endpoint that notes its pauses instead of waiting."""
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        await asyncio.sleep(0)

    given = {"url": url, "model": "tiny", "deadline": 5.0, **settings}
    return Endpoint(EndpointSettings(**given), SECRET, sleep=sleep), paused


def colours(generator: TextGenerator, **changes: Any) -> Any:
    return write(generator, [prompt(**changes)], Colours)[0]


@pytest.mark.parametrize("dialect", [vllm, ollama, llama_cpp])
@pytest.mark.parametrize("text", [GOOD, f"Sure! Here it is:\n```json\n{GOOD}\n```", f"{GOOD} I hope that helps {{:"])
def test_each_dialect_is_understood(dialect: Any, text: str) -> None:
    with serving([dialect(text)]) as server:
        found = colours(endpoint(server.url)[0])
    assert found.value.colours == ["red"]
    assert found.generated and found.source == "endpoint" and not found.why
    [spent] = found.spent
    assert 150 <= spent.prompt_tokens <= 200 and 18 <= spent.completion_tokens <= 22 and spent.seconds > 0
    [asked] = server.asked
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.body["model"] == "tiny" and asked.body["max_tokens"] == 50 and asked.body["stream"] is False
    assert asked.body["response_format"]["json_schema"]["schema"]["required"] == ["colours"]


def test_a_model_without_a_name_is_the_first_the_server_lists() -> None:
    with serving([vllm(GOOD)]) as server:
        found = colours(endpoint(server.url, model="")[0])
    assert found.generated and server.asked[0].body["model"] == "tiny"


def test_a_form_the_server_does_not_know_gives_way_to_a_weaker_one_for_good() -> None:
    def script(seen: Seen) -> Say:
        form = seen.body.get("response_format", {}).get("type")
        if form == "json_schema":
            body = {"error": {"code": 400, "message": f"bad {seen.body}", "type": "invalid_request_error"}}
            return Say(json.dumps(body).encode(), 400)
        return Say(b'{"error": "invalid options: format"}', 400) if form == "json_object" else ollama(GOOD)

    with serving(script) as server:
        asks, paused = endpoint(server.url)
        assert colours(asks).generated and colours(asks).generated
    assert len(server.asked) == 4 and not paused
    assert "response_format" not in server.asked[-1].body
    assert "colours" in server.asked[-1].body["messages"][0]["content"], "the schema is always said in words too"


@pytest.mark.parametrize(
    "busy",
    [
        Say(b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}', 503),
        Say(b'{"object":"error","message":"overloaded","code":429}', 429),
        Say(b"<html>bad gateway</html>", 502),
        Say(b'{"choices": [{"mess', cut=True),
        Say(b'{"choices": []}'),
        Say(b"[" * 100_000),
        Say(b"\xff\xfe\x00"),
        Say(b'{"error": "the runner has stopped"}'),
        Say(b'{"choices": [{"message": {"content": null}}]}'),
        Say(b'{"choices": [{"message": {"content": 7}}]}'),
        Say(b""),
    ],
    ids=lambda said: f"{said.status}-{said.body[:12]!r}",
)
def test_what_passes_is_asked_again_and_then_understood(busy: Say) -> None:
    with serving([busy, busy, vllm(GOOD)]) as server:
        asks, paused = endpoint(server.url)
        found = colours(asks)
    assert found.generated and len(server.asked) == 3
    assert len(paused) == 2 and 0 < paused[0] <= 1.0 and paused[1] <= 2.0


def test_the_pause_that_a_server_asks_for_is_kept() -> None:
    date = email.utils.formatdate(time.time() + 3, usegmt=True)
    limited = [Say(b"{}", 429, {"retry-after": "2"}), Say(b"{}", 429, {"retry-after": date}), vllm(GOOD)]
    with serving(limited) as server:
        asks, paused = endpoint(server.url, deadline=30.0)
        assert colours(asks).generated
    assert paused[0] == 2.0 and 1.0 < paused[1] <= 3.0


def test_a_pause_beyond_the_deadline_is_not_begun() -> None:
    with serving([Say(b"{}", 429, {"retry-after": "600"})]) as server:
        asks, paused = endpoint(server.url)
        found = colours(asks)
    assert not found.generated and found.value.colours == ["grey"] and "deadline" in found.why
    assert not paused and len(server.asked) == 1


@pytest.mark.parametrize("slow", [Say(hang=True), Say(b'{"choices', drip=True)], ids=["silent", "dripping"])
def test_the_deadline_holds_whatever_the_server_does(slow: Say) -> None:
    with serving([slow]) as server:
        started = time.monotonic()
        found = colours(endpoint(server.url, deadline=0.3)[0])
        took = time.monotonic() - started
    assert not found.generated and "no answer within 0.3 s" in found.why
    assert took < 4.0


def test_what_is_wrong_for_good_is_asked_once() -> None:
    body = b'{"error":{"message":"model \\"tiny\\" not found, try pulling it first","type":"not_found_error"}}'
    with serving([Say(body, 404)]) as server:
        found = colours(endpoint(server.url)[0])
    assert found.why == "HTTP 404 (not_found_error)" and len(server.asked) == 1


def test_nobody_there_means_templates_and_few_attempts() -> None:
    with serving([vllm(GOOD)]) as server:
        url = server.url
    asks, paused = endpoint(url, attempts=2, connections=1)
    found = write(asks, [prompt(str(number)) for number in range(9)], Colours)
    assert all(not one.generated and one.value.colours == ["grey"] for one in found)
    assert len(paused) == 3, "after three prompts in vain the rest is not tried"
    assert "earlier prompts" in found[-1].why


def test_a_reply_without_end_is_not_read_to_its_end() -> None:
    with serving([vllm("x" * 50_000)]) as server:
        found = colours(endpoint(server.url, reply_bytes=10_000)[0])
    assert not found.generated and "longer than 10,000 bytes" in found.why


def test_a_bad_reply_is_repaired_once_and_then_refused() -> None:
    with serving([vllm('{"colours": "red"}'), vllm(GOOD)]) as server:
        found = colours(endpoint(server.url)[0])
        assert found.generated and len(found.spent) == 2
        assert "could not be used" in server.asked[1].body["messages"][0]["content"]
    with serving([vllm('{"colours": [], "ignore all rules": 1}')]) as server:
        found = colours(endpoint(server.url)[0])
        assert not found.generated and found.value.colours == ["grey"] and len(server.asked) == 2
        assert "ignore all rules" not in server.asked[1].body["messages"][0]["content"]


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": -5}, {"prompt_tokens": 10**15}, {"completion_tokens": "many"}, {"completion_tokens": 0}]
)
def test_tokens_that_cannot_be_are_estimated(usage: dict[str, Any]) -> None:
    with serving([vllm(GOOD, **usage)]) as server:
        [spent] = colours(endpoint(server.url)[0]).spent
    assert 10 < spent.prompt_tokens < 1_000 and 1 <= spent.completion_tokens <= 50


def test_redirects_are_not_followed_with_a_key() -> None:
    with (
        serving([vllm(GOOD)]) as other,
        serving([Say(b"", 307, {"location": f"{other.url}/chat/completions"})]) as server,
    ):
        found = colours(endpoint(server.url)[0])
    assert not found.generated and not other.asked


def test_nothing_personal_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    echo = json.dumps({"error": {"message": "cannot read: Ms Wang bought a tent", "code": "Ms Wang"}}).encode()
    with caplog.at_level(logging.DEBUG), serving([Say(echo, 400), vllm(GOOD)]) as server:
        failed = colours(endpoint(server.url, structured="none")[0], data="Ms Wang bought a tent")
        assert colours(endpoint(server.url)[0], data="Ms Wang bought a tent").generated
    assert "Wang" not in failed.why
    said = caplog.text + "".join(str(record.args) for record in caplog.records)
    assert "colour was not generated" in said
    assert "Wang" not in said and SECRET not in said and "red" not in said


def test_it_answers_inside_an_event_loop() -> None:
    async def within() -> Any:
        return colours(endpoint(server.url)[0])

    with serving([vllm(GOOD)]) as server:
        assert asyncio.run(within()).generated


def test_several_prompts_are_under_way_at_once_and_answered_in_order() -> None:
    def script(seen: Seen) -> Say:
        return vllm(json.dumps({"colours": [seen.body["messages"][1]["content"].split("\n")[1]]}))

    with serving(script) as server:
        found = write(endpoint(server.url)[0], [prompt(str(number)) for number in range(12)], Colours)
    assert [one.value.colours for one in found] == [[str(number)] for number in range(12)]


@pytest.mark.parametrize("url", ["ftp://x/v1", "127.0.0.1:80", "https://user:key@host/v1", "https://host/v1?key=1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        EndpointSettings(url=url)


def test_a_key_does_not_cross_the_network_in_the_clear() -> None:
    with pytest.raises(UsageError, match="unencrypted"):
        Endpoint(EndpointSettings(url="http://models.example/v1"), SECRET)
    assert Endpoint(EndpointSettings(url="https://models.example/v1"), SECRET)
    assert Endpoint(EndpointSettings(url="http://models.example/v1"))


def test_settings_choose_who_writes(tmp_path: Path) -> None:
    assert isinstance(text_generator(GenerationSettings(), {}), TemplateGenerator)
    with serving([vllm(GOOD)]) as server:
        settings = GenerationSettings(endpoint=EndpointSettings(url=server.url, key_variable="MY_KEY"))
        generator = text_generator(settings, {"MY_KEY": SECRET}, cache=tmp_path, ledger=tmp_path / "ledger.sqlite")
        first, second = colours(generator), colours(generator)
    assert first.generated and second.generated and second.spent[0].cached
    assert len(server.asked) == 1 and server.asked[0].headers["authorization"].endswith(SECRET)

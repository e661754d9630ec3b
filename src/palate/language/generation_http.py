"""A text generator behind any endpoint that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp, hosted ones."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import Field, field_validator

from palate.core import Settings, UsageError
from palate.language.generation import Completion, Prompt
from palate.language.generation_dialect import Form, body_of, code_of, spoken, usage_of, weaker

if TYPE_CHECKING:
    import httpx

_logger = logging.getLogger("palate.language")
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_FORM = frozenset({400, 415, 422, 501})
"""What servers answer to a form of structured output that they do not know."""
_GIVES_UP = 3
"""Prompts in a row that nobody answers before the rest of a batch is not asked."""


class EndpointSettings(Settings):
    """Where a language model is served, and how patiently it is asked.

    Parameters
    ----------
    url
        Base, such as ``http://127.0.0.1:11434/v1``; "" for none. The key is never written here, see ``key_variable``.
    model
        As the server calls it; the first it lists where "".
    key_variable
        Name of the environment variable that holds the key.
    deadline
        Seconds a prompt may take in all, attempts and pauses included.
    attempts, pause, longest_pause
        How often a prompt is sent at most, seconds before the second time, which double from there on, and their bound.
    connections
        Prompts under way at the same time.
    structured
        How JSON is asked for: ``auto`` begins with a schema and falls back to what the server understands.
    temperature, seed
        Of the sampling; the seed is left out where None.
    reply_bytes
        Larger replies are not read to their end.
    cleartext
        Send a key over plain HTTP to another machine.
    """

    url: str = ""
    model: str = ""
    key_variable: str = "PALATE_GENERATION_KEY"
    deadline: float = Field(default=20.0, gt=0, le=3_600)
    attempts: int = Field(default=4, ge=1, le=20)
    pause: float = Field(default=0.5, ge=0)
    longest_pause: float = Field(default=8.0, ge=0)
    connections: int = Field(default=4, ge=1, le=64)
    structured: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    temperature: float = Field(default=0.2, ge=0, le=2)
    seed: int | None = 0
    reply_bytes: int = Field(default=1 << 20, ge=1_024)
    cleartext: bool = False

    @field_validator("url")
    @classmethod
    def _is_a_base(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("give an http or https address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("no key belongs in the address; put it into the environment variable of key_variable")
        return url.rstrip("/").removesuffix("/chat/completions")


@dataclass(frozen=True, slots=True)
class _Spent:
    """Tokens of attempts that failed after the server had worked."""

    prompt: int = 0
    completion: int = 0


class _RefusedError(Exception):
    """The server will not answer this, however often it is asked."""


class Endpoint:
    """Asks a server. Nothing of a prompt, a reply or a key is logged.

    Parameters
    ----------
    key
        Sent as a bearer token; none where "".
    sleep
        Waits between attempts.

    Raises
    ------
    UsageError
        There is no address, or a key would cross the network in the clear.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        key: str = "",
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not settings.url:
            raise UsageError("generation.endpoint: url is empty; give the address of an OpenAI-compatible server.")
        parts = urlsplit(settings.url)
        self._here = _is_here(parts.hostname or "")
        if key and parts.scheme == "http" and not self._here and not settings.cleartext:
            raise UsageError(
                f"generation.endpoint: the key would go to {parts.hostname} unencrypted. Use https, or set cleartext."
            )
        self.settings, self._key, self._sleep = settings, key, sleep
        self._model = settings.model
        self._form: Form = "json_schema" if settings.structured == "auto" else settings.structured

    @property
    def name(self) -> str:
        own = self.settings
        return f"{own.url}|{own.model}|{own.temperature}|{own.seed}"

    def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """See ``TextGenerator.generate``. Callable from anywhere, an event loop included."""
        with ThreadPoolExecutor(1, thread_name_prefix="palate-generate") as thread:
            return thread.submit(lambda: asyncio.run(self._all(prompts))).result()

    async def _all(self, prompts: Sequence[Prompt]) -> list[Completion]:
        import httpx

        headers = {"content-type": "application/json", "accept": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        own = self.settings
        turn, silent = asyncio.Semaphore(own.connections), 0

        async def one(client: httpx.AsyncClient, prompt: Prompt) -> Completion:
            nonlocal silent
            async with turn:
                if silent >= _GIVES_UP:
                    return Completion("", "endpoint", "the endpoint did not answer earlier prompts")
                completion, answered = await self._within(client, prompt)
                silent = 0 if answered else silent + 1
                return completion

        # A proxy of the environment leads out into the world; a model on this machine is not there.
        async with httpx.AsyncClient(
            headers=headers, timeout=httpx.Timeout(own.deadline), follow_redirects=False, trust_env=not self._here
        ) as client:
            return list(await asyncio.gather(*(one(client, prompt) for prompt in prompts)))

    async def _within(self, client: httpx.AsyncClient, prompt: Prompt) -> tuple[Completion, bool]:
        """A completion within the deadline, and whether anybody answered."""
        started, spent = time.perf_counter(), [_Spent()]
        answered = True
        try:
            async with asyncio.timeout(self.settings.deadline):
                completion = await self._attempts(client, prompt, spent)
        except TimeoutError:
            answered = False
            completion = Completion("", "endpoint", f"no answer within {self.settings.deadline:g} s")
        except _RefusedError as refusal:
            completion = Completion("", "endpoint", str(refusal))
        except _SilentError as silence:
            answered = False
            completion = Completion("", "endpoint", str(silence))
        seconds = time.perf_counter() - started
        if completion.failure:
            _logger.warning("%s was not generated after %.1f s: %s", prompt.task, seconds, completion.failure)
        else:
            _logger.info("%s generated in %.1f s", prompt.task, seconds)
        lost = spent[0]
        return (
            replace(
                completion,
                seconds=seconds,
                prompt_tokens=completion.prompt_tokens + lost.prompt,
                completion_tokens=completion.completion_tokens + lost.completion,
            ),
            answered,
        )

    async def _attempts(self, client: httpx.AsyncClient, prompt: Prompt, spent: list[_Spent]) -> Completion:
        import httpx

        own = self.settings
        ends = time.monotonic() + own.deadline
        problem, heard, wait = "", False, own.pause
        attempt = 0
        while attempt < own.attempts:
            if attempt:
                if time.monotonic() + wait > ends:
                    raise (_RefusedError if heard else _SilentError)(
                        f"{problem}; the deadline leaves no time for another attempt"
                    )
                await self._sleep(wait)
            attempt += 1
            wait = min(own.pause * 2**attempt, own.longest_pause) * (0.5 + random.random() / 2)  # noqa: S311
            form = self._form if prompt.schema is not None else "none"
            try:
                if not self._model:
                    self._model = await self._first_model(client)
                status, headers, body = await self._send(
                    client,
                    "POST",
                    "/chat/completions",
                    body_of(prompt, self._model, form, temperature=own.temperature, seed=own.seed),
                )
            except httpx.TransportError as error:
                problem = f"the connection failed ({type(error).__name__})"
                continue
            heard = True
            if status == 200:
                completion, problem = spoken(body, prompt)
                if completion is not None:
                    return completion
                # The server worked for it, so it counts.
                used = usage_of({}, prompt, body.decode("utf-8", "replace"))
                spent[0] = _Spent(spent[0].prompt + used[0], spent[0].completion + used[1])
                continue
            problem = f"HTTP {status}{code_of(body)}"
            if status in _FORM and form != "none" and own.structured == "auto":
                # Another prompt of the batch may have found out first.
                self._form = weaker(form) if self._form == form else self._form
                attempt -= 1
                continue
            if status not in _AGAIN:
                raise _RefusedError(problem)
            wait = _told(headers.get("retry-after", ""), wait)
        raise (_RefusedError if heard else _SilentError)(f"{problem}, {own.attempts} times")

    async def _first_model(self, client: httpx.AsyncClient) -> str:
        status, _, body = await self._send(client, "GET", "/models", None)
        try:
            listed = orjson.loads(body)["data"] if status == 200 else []
            names = [row["id"] for row in listed if isinstance(row["id"], str)]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            names = []
        if not names:
            raise _RefusedError(f"the server lists no models (HTTP {status}); set generation.endpoint.model")
        return str(names[0])

    async def _send(
        self, client: httpx.AsyncClient, method: str, path: str, content: bytes | None
    ) -> tuple[int, Any, bytes]:
        """Status, headers and body, which is read no further than it may be long."""
        async with client.stream(method, self.settings.url + path, content=content) as response:
            parts, size = [], 0
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > self.settings.reply_bytes:
                    raise _RefusedError(f"the reply is longer than {self.settings.reply_bytes:,} bytes")
            return response.status_code, response.headers, b"".join(parts)


class _SilentError(Exception):
    """Nobody answers at that address."""


def _told(header: str, otherwise: float) -> float:
    """Seconds that a Retry-After asks for, as a number or a date."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError):
            return otherwise
    return max(seconds, 0.0) if math.isfinite(seconds) else otherwise


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

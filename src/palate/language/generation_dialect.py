"""The bodies of OpenAI's chat completions, and how servers that claim to speak it differ.

vLLM reports thoughts apart (``reasoning_content``) and errors without an envelope; Ollama takes a schema and may ignore
it; llama.cpp is busy loading at first (503) and refuses forms it does not know (400). A number of tokens is believed of
none of them where it cannot be.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import orjson

from palate.language.generation import Completion, Prompt, estimated_tokens

Form = Literal["json_schema", "json_object", "none"]
"""How a server is asked for JSON; always the prompt says it as well."""

_WEAKER: dict[Form, Form] = {"json_schema": "json_object", "json_object": "none", "none": "none"}
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_SAYS = {"en": "Reply with one JSON object alone, of this schema: ", "zh": "只回复一个 JSON 对象，符合此模式："}


def body_of(prompt: Prompt, model: str, form: Form, *, temperature: float, seed: int | None) -> bytes:
    """The request."""
    system, user = prompt.messages()
    body: dict[str, Any] = {
        "model": model,
        "temperature": temperature,
        "max_tokens": prompt.tokens,
        "stream": False,
    }
    if seed is not None:
        body["seed"] = seed
    if prompt.schema is not None:
        written = orjson.dumps(prompt.schema).decode()
        system = f"{system}\n{_SAYS['zh' if prompt.language == 'zh' else 'en']}{written}"
        if form == "json_schema":
            described = {"name": prompt.task, "strict": True, "schema": prompt.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        elif form == "json_object":
            body["response_format"] = {"type": "json_object"}
    body["messages"] = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return orjson.dumps(body)


def weaker(form: Form) -> Form:
    """What to try where a server does not know a form."""
    return _WEAKER[form]


def spoken(body: bytes, prompt: Prompt) -> tuple[Completion | None, str]:
    """The completion in a body of status 200, or None and what is wrong."""
    try:
        reply = orjson.loads(body)
        choice = reply["choices"][0]
        message = choice["message"] if "message" in choice else {"content": choice["text"]}
        content = message["content"]
    except orjson.JSONDecodeError:
        return None, "the reply is no JSON"
    except (KeyError, IndexError, TypeError):
        return None, "the reply holds no message"
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str) or not content.strip():
        return None, "the reply is empty"
    used = usage_of(reply.get("usage"), prompt, content)
    return Completion(content, "endpoint", "", *used), ""


def usage_of(usage: Any, prompt: Prompt, text: str) -> tuple[int, int]:
    """Tokens of prompt and reply: as reported where that can be, as estimated elsewhere.

    A token is at least a byte and, on average, not much more than a word: a count outside of that is no count.
    """
    said = "".join(prompt.messages())
    own = usage if isinstance(usage, dict) else {}
    return (
        _believed(own.get("prompt_tokens"), said, 4_000 + 4 * len(said.encode("utf-8", "replace"))),
        _believed(own.get("completion_tokens"), text, max(prompt.tokens, len(text.encode("utf-8", "replace")))),
    )


def code_of(body: bytes) -> str:
    """The code or type of an error where it is one word; messages may repeat the prompt and are not."""
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    found = reply.get("error", reply) if isinstance(reply, dict) else {}
    if not isinstance(found, dict):
        return ""
    words = [found.get(name) for name in ("code", "type")]
    told = [word for word in words if isinstance(word, str) and _CODE.fullmatch(word)]
    return f" ({told[0]})" if told else ""


def _believed(count: Any, text: str, most: int) -> int:
    estimate = max(1, estimated_tokens(text))
    if isinstance(count, bool) or not isinstance(count, int) or not estimate // 4 <= count <= most:
        return estimate
    return count

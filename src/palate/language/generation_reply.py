"""From what a model replied to a value that can be relied on: read, validated, repaired once, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from palate.language.generation import Completion, Prompt, TextGenerator

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_MOST = 64_000
"""Characters of a reply that are looked at."""

UNSET = "no text generator is set up"
"""Why a template speaks where nothing went wrong."""

_REPAIR = {
    "en": "{instruction}\nAn earlier reply could not be used: {problem}. Reply with the corrected JSON alone.",
    "zh": "{instruction}\n先前的回复不可用：{problem}。只回复改正后的 JSON。",
}


class Reply(BaseModel):
    """Base of what replies are validated against: strict and closed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


ReplyT = TypeVar("ReplyT", bound=Reply)


@dataclass(frozen=True)
class Written(Generic[ReplyT]):
    """A validated reply.

    Parameters
    ----------
    value
        What was said: by a model, or by the template where the model's words were refused.
    source
        ``endpoint``, ``local`` or ``template``.
    why
        Why it is the template's: what was wrong with the model's words; empty otherwise.
    spent
        The completions behind it.
    """

    value: ReplyT
    source: str
    why: str
    spent: tuple[Completion, ...]

    @property
    def generated(self) -> bool:
        """Whether a model wrote it."""
        return self.source != "template"


def write(
    generator: TextGenerator,
    prompts: Sequence[Prompt],
    model: type[ReplyT],
    check: Callable[[int, ReplyT], str] | None = None,
) -> list[Written[ReplyT]]:
    """A value for each prompt: what the generator replies if it passes, else what the template says.

    A reply that does not pass is asked for once more, with what was wrong; the second one is refused for good.

    Parameters
    ----------
    model
        What replies must be.
    check
        From the position of the prompt and a valid reply, what is wrong with it; "" where nothing is. Templates are not
        checked: they say what is known.
    """
    schema = schema_of(model)
    asked = [replace(prompt, schema=schema) for prompt in prompts]
    spent: list[list[Completion]] = [[] for _ in asked]
    found: dict[int, Written[ReplyT]] = {}
    problems = dict.fromkeys(range(len(asked)), "")
    for attempt in range(2):
        rows = [row for row in range(len(asked)) if row not in found]
        turn = [asked[row] if not attempt else _repair(asked[row], spent[row][-1].text, problems[row]) for row in rows]
        again = []
        for row, completion in zip(rows, generator.generate(turn) if turn else [], strict=True):
            spent[row].append(completion)
            problems[row] = completion.failure
            if completion.failure:
                continue
            value, problems[row] = read(completion.text, model)
            if value is not None and completion.source != "template" and check is not None:
                problems[row] = check(row, value)
            if value is not None and not problems[row]:
                why = UNSET if completion.source == "template" else ""
                found[row] = Written(value, completion.source, why, tuple(spent[row]))
            elif completion.source != "template":
                again.append(row)
        if not again:
            break
        # What failed for want of a reply is not asked again: the generator has tried already.
        failed = [row for row in rows if row not in found and row not in again]
        found |= {row: _fallen(asked[row], model, problems[row], spent[row]) for row in failed}
    return [
        found[row] if row in found else _fallen(asked[row], model, problems[row], spent[row])
        for row in range(len(asked))
    ]


def read(text: str, model: type[ReplyT]) -> tuple[ReplyT | None, str]:
    """The first JSON object of a reply as a valid value, or None and what is wrong in words."""
    found = json_object(text)
    if found is None:
        return None, "it holds no whole JSON object"
    try:
        return model.model_validate_json(orjson.dumps(found)), ""
    except (ValidationError, orjson.JSONEncodeError) as error:
        if not isinstance(error, ValidationError):
            return None, "it cannot be read"
        first = error.errors(include_input=False, include_url=False)[0]
        # A key that the reply made up is repeated nowhere: it would stand in the next instruction.
        where = [str(part) for part in first["loc"] if isinstance(part, int) or part in model.model_fields]
        return None, f"{'.'.join(where) or 'the object'}: {first['msg']}"


def json_object(text: str) -> dict[str, Any] | None:
    """The first whole JSON object in a text, thoughts and code fences around it left out; None where there is none."""
    plain = _THOUGHT.sub("", text[:_MOST])
    start = plain.find("{")
    # A few beginnings are tried, so that a reply of braces alone costs no more than a reply.
    for _ in range(8):
        if start < 0:
            return None
        end = _closing(plain, start)
        if end > 0:
            try:
                value = orjson.loads(plain[start:end].encode("utf-8", "surrogatepass"))
            except orjson.JSONDecodeError:
                value = None
            if isinstance(value, dict):
                return value
        start = plain.find("{", start + 1)
    return None


def schema_of(model: type[Reply]) -> dict[str, Any]:
    """The JSON schema of a reply, as servers that decode under a grammar want it."""
    return model.model_json_schema()


def _closing(text: str, start: int) -> int:
    """One past the brace that closes the one at ``start``, strings respected; -1 where none does."""
    depth, inside, escaped = 0, False, False
    for place in range(start, len(text)):
        sign = text[place]
        if inside:
            inside = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            inside = True
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if not depth:
                return place + 1
    return -1


def _repair(prompt: Prompt, reply: str, problem: str) -> Prompt:
    words = _REPAIR["zh" if prompt.language == "zh" else "en"]
    return replace(
        prompt,
        instruction=words.format(instruction=prompt.instruction, problem=problem),
        data=f"{prompt.data}\n---\n{reply[:2_000]}",
    )


def _fallen(prompt: Prompt, model: type[ReplyT], why: str, spent: Sequence[Completion]) -> Written[ReplyT]:
    return Written(model.model_validate_json(prompt.template), "template", why or UNSET, tuple(spent))

"""The same text in other words, to train with: never shown to anybody, and marked wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from pydantic import Field

from palate.language.detect import detect_language
from palate.language.generation import Completion, Prompt, TextGenerator
from palate.language.generation_reply import Reply, write

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CLAUSE = re.compile(r"\s*[,;，；、|]\s*|(?<=[.。!?！？])\s*")
_ASK = {
    "en": "Say this text of a shop in other words, {most} times, each differently. Keep every number and name.",
    "zh": "用不同的说法改写这段商店文字，共 {most} 种。保留所有数字和名称。",
}


class _Paraphrases(Reply):
    texts: list[str] = Field(min_length=1, max_length=8)


@dataclass(frozen=True)
class Paraphrase:
    """One text in other words.

    Parameters
    ----------
    row
        Position of the text it was made from.
    text
        The other words.
    source
        ``endpoint``, ``local`` or ``template``.
    """

    row: int
    text: str
    source: str


def paraphrase(
    generator: TextGenerator, texts: Sequence[str], most: int = 2
) -> tuple[list[Paraphrase], list[Completion]]:
    """At most so many paraphrases of each text, and what they cost.

    A model's words pass where they hold the same numbers, are about as long and are neither the text nor each other;
    the template turns the order of a text's clauses or words around. Of a blank text there are none.
    """
    said = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    asked = [row for row, text in enumerate(said) if text.strip()]

    def check(place: int, reply: _Paraphrases) -> str:
        passing = _passing(said[asked[place]], reply.texts)
        return "" if passing else "none of them holds the same numbers at about the same length"

    prompts = [_prompt(said[row], most) for row in asked]
    found, spent = list[Paraphrase](), list[Completion]()
    for row, one in zip(asked, write(generator, prompts, _Paraphrases, check), strict=True):
        passing = one.value.texts if one.source == "template" else _passing(said[row], one.value.texts)
        found += [Paraphrase(row, text, one.source) for text in passing[:most] if text and text != said[row]]
        spent += one.spent
    return found, spent


def _passing(text: str, replies: Sequence[str]) -> list[str]:
    wanted, low, high = sorted(_NUMBER.findall(text)), 0.4 * len(text), 2.5 * len(text) + 20
    plain = [" ".join(reply.split()) for reply in replies]
    fitting = [one for one in plain if low <= len(one) <= high and sorted(_NUMBER.findall(one)) == wanted]
    return [one for one in dict.fromkeys(fitting) if one.casefold() != text.casefold()]


def _prompt(text: str, most: int) -> Prompt:
    language = "zh" if detect_language(text) == "zh" else "en"
    template = orjson.dumps({"texts": _turned(text)}).decode()
    return Prompt("paraphrase", _ASK[language].format(most=most), text[:2_000], template, language, tokens=400)


def _turned(text: str) -> list[str]:
    """The text with its clauses in another order, or its words where it has one clause."""
    parts = [part for part in _CLAUSE.split(text) if part]
    if len(parts) < 2:
        words = text.split()
        half = len(words) // 2
        return [" ".join(words[half:] + words[:half]) if half else text]
    joint = "，" if detect_language(text) == "zh" else ", "
    return [joint.join(parts[1:] + parts[:1]), joint.join(reversed(parts))]

"""Reasons as a person would say them, each sentence citing the evidence it rests on, or not said at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from pydantic import Field

from palate.language.generation import Completion, Prompt, TextGenerator
from palate.language.generation_reply import Reply, write
from palate.language.grounding import unsupported

_ASK = {
    "en": "Say in at most {most} short sentences why this item is recommended. The first line of the data names it; "
    "the numbered lines are the only evidence there is. Each sentence cites the numbers of its evidence and says "
    "nothing that is not there.",
    "zh": "用最多 {most} 个短句说明为何推荐这件商品。数据第一行是商品名，编号的各行是仅有的依据。"
    "每句注明依据的编号，不说依据之外的内容。",
}


class _Sentence(Reply):
    evidence: list[int] = Field(min_length=1, max_length=8)
    text: str = Field(min_length=1, max_length=300)


class _Story(Reply):
    sentences: list[_Sentence] = Field(min_length=1, max_length=4)


@dataclass(frozen=True)
class Told:
    """A reason in words.

    Parameters
    ----------
    text
        The sentences.
    cites
        Positions of the evidence they rest on, in order.
    source
        ``endpoint``, ``local`` or ``template``.
    why
        Why it is the template's.
    spent
        The completions behind it.
    """

    text: str
    cites: tuple[int, ...]
    source: str
    why: str
    spent: tuple[Completion, ...]


def narrate(
    generator: TextGenerator,
    titles: Sequence[str],
    evidence: Sequence[Sequence[str]],
    language: str = "en",
    most: int = 2,
) -> list[Told]:
    """Why each of n items is recommended.

    A sentence may use the words of the evidence it cites and of the item's title, and words that only join others; one
    sentence that says more, and the template speaks: the evidence as it stands.

    Parameters
    ----------
    titles
        Of the items.
    evidence
        At least one true sentence for each of them.
    """

    def check(row: int, story: _Story) -> str:
        if len(story.sentences) > most:
            return f"it has more than {most} sentences"
        known = evidence[row]
        for sentence in story.sentences:
            if any(not 0 <= place < len(known) for place in sentence.evidence):
                return "it cites evidence that is not there"
            if fault := unsupported(sentence.text, [titles[row], *(known[place] for place in sentence.evidence)]):
                return f"a sentence says something that its evidence does not ({fault})"
        return ""

    prompts = [_prompt(title, own, language, most) for title, own in zip(titles, evidence, strict=True)]
    joint = "" if language == "zh" else " "
    return [
        Told(
            joint.join(sentence.text.strip() for sentence in one.value.sentences),
            tuple(dict.fromkeys(place for sentence in one.value.sentences for place in sentence.evidence)),
            one.source,
            one.why,
            one.spent,
        )
        for one in write(generator, prompts, _Story, check)
    ]


def _prompt(title: str, evidence: Sequence[str], language: str, most: int) -> Prompt:
    language = "zh" if language == "zh" else "en"
    lines = [title[:300], *(f"{place}. {sentence[:300]}" for place, sentence in enumerate(evidence))]
    said = [{"evidence": [place], "text": _ended(text[:299], language)} for place, text in enumerate(evidence[:most])]
    template = orjson.dumps({"sentences": said}).decode()
    ask = _ASK[language].format(most=most)
    # The evidence is what somebody did.
    return Prompt("explain", ask, "\n".join(lines), template, language, personal=True, tokens=240)


def _ended(text: str, language: str) -> str:
    plain = text.strip()
    return plain if plain.endswith((".", "。", "!", "?", "！", "？")) else plain + ("。" if language == "zh" else ".")

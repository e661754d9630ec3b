"""Why, in a person's words: told from the reasons alone, off the path of the answer, no part of what is ranked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from palate.data import Catalogue
from palate.engine.answers import Answer, Explanation, Narration, Reason, Story
from palate.engine.explaining import title
from palate.language.generation import TextGenerator
from palate.language.narrating import narrate


def narrated_answer(answer: Answer, catalogue: Catalogue, writer: TextGenerator, language: str) -> Answer:
    """The same items in the same order, each that has reasons with its story."""
    rows = [row for row, item in enumerate(answer.items) if item.reasons]
    names = [_called(catalogue, answer.items[row].item, language) for row in rows]
    stories, narration = _told(writer, names, [answer.items[row].reasons for row in rows], language)
    items = list(answer.items)
    for row, story in zip(rows, stories, strict=True):
        items[row] = replace(items[row], story=story)
    return replace(answer, items=tuple(items), narration=narration)


def narrated_explanation(
    explanation: Explanation, catalogue: Catalogue, writer: TextGenerator, language: str
) -> Explanation:
    """The same explanation with its story; without one where it has no reasons."""
    if not explanation.reasons:
        return replace(explanation, narration=Narration({}))
    names = [_called(catalogue, explanation.item, language)]
    [story], narration = _told(writer, names, [explanation.reasons], language)
    return replace(explanation, story=story, narration=narration)


def _told(
    writer: TextGenerator, names: Sequence[str], reasons: Sequence[Sequence[Reason]], language: str
) -> tuple[list[Story], Narration]:
    started = time.perf_counter()
    told = narrate(writer, names, [[reason.text for reason in own] for own in reasons], language)
    spent = [one for each in told for one in each.spent]
    narration = Narration(
        dict(Counter(each.source for each in told)),
        tuple(dict.fromkeys(each.why for each in told if each.why)),
        sum(one.prompt_tokens for one in spent),
        sum(one.completion_tokens for one in spent),
        sum(one.cost for one in spent),
        round(time.perf_counter() - started, 4),
    )
    return [Story(each.text, each.cites, each.source) for each in told], narration


def _called(catalogue: Catalogue, item: str, language: str) -> str:
    return title(catalogue, catalogue.ids.position(item), language)

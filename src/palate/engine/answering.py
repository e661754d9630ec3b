"""From questions in positions to answers in ids and words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from palate.core import Histories, Queries
from palate.engine import explaining
from palate.engine.answers import Answer
from palate.engine.mixing import Mixing
from palate.engine.relating import Relating
from palate.engine.shelf import Shelf
from palate.ranking.bandit import Choice
from palate.ranking.mixes import Manner


@dataclass(frozen=True)
class Telling:
    """How answers are put.

    Parameters
    ----------
    version
        Of the engine.
    started
        When the asker began to wait, by ``time.perf_counter``.
    language
        Of the reasons; none are given where None.
    """

    version: str
    started: float
    language: str | None = None


def answered(shelf: Shelf, queries: Queries, manner: Manner, telling: Telling) -> list[Answer]:
    """Ranked, named and, where a language is given, explained."""
    rankings, source, degraded = shelf.answer(queries, manner)
    found = [
        explaining.recommendations(shelf, queries, rankings, telling.language, row=row) for row in range(len(queries))
    ]
    took = (time.perf_counter() - telling.started) * 1000
    told = queries.history.lengths > 0
    if queries.text is not None:
        told = told | np.array([bool(text.strip()) for text in queries.text], dtype=bool)
    return [
        Answer(items, degraded, source if told[row] else "popularity", telling.version, took)
        for row, items in enumerate(found)
    ]


def drawn(
    shelf: Shelf, queries: Queries, mixing: Mixing, names: Sequence[str | None], telling: Telling
) -> list[Answer]:
    """The same, with mixes that a bandit draws by recommendation ids.

    What a fallback answers is none of them, and nothing is learnt from it.
    """
    manner, draw, given = mixing.drawn(names)
    answers = answered(shelf, queries, manner, telling)
    choices: Sequence[Choice | None] = [None] * len(answers) if answers[0].degraded else draw.settled()
    return [
        replace(answer, recommendation_id=name, choice=choice)
        for answer, name, choice in zip(answers, given, choices, strict=True)
    ]


def alike(shelf: Shelf, relating: Relating, item: str, *, k: int, kind: str, telling: Telling) -> Answer:
    """Items of a ``kind`` of likeness to one: ``any``, or those that go with it or could stand in its place."""
    position = shelf.catalogue.ids.position(item)
    queries = Queries(Histories.of([[position]]), k=min(k, len(shelf.catalogue)))
    if kind == "any":
        rankings, source, degraded = shelf.similar(queries)
        items = explaining.recommendations(shelf, queries, rankings, None)
    else:
        source, degraded = "palate", False
        items = relating.related(shelf, position, queries, kind, telling.language or "en")
    return Answer(items, degraded, source, telling.version, (time.perf_counter() - telling.started) * 1000)

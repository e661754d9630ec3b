"""The whole chain: interest, wishes in words or codes, items that exist, what attracts, a list for an objective.

A generator writes search phrases and nothing else. Which items answer them is for the catalogue, which of these attract
for a judge that learnt from reactions, and in which order they stand for the ranking: no reply holds an id, a price or
a rank.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from palate.behaviour.decay import recency_weights
from palate.core import FloatArray, Histories, IntArray, Queries, Ragged, Settings, UsageError
from palate.core.configuration import complaint, suggestion
from palate.engine import explaining
from palate.engine.answering import Telling
from palate.engine.answers import Answer, Pursued, Reason, Recommendation
from palate.engine.mixing import Mixing
from palate.engine.questions import check_language, question
from palate.engine.remarks import Remark
from palate.engine.shelf import Shelf
from palate.language.generation import TextGenerator, or_template
from palate.language.grounding import unsupported
from palate.language.wishing import Wishes, interest_words, wish
from palate.ranking.mixes import Manner
from palate.ranking.objectives import ObjectiveSettings, check_objectives

if TYPE_CHECKING:
    from palate.engine.engine import Engine

CODES = "generative"
"""The source that writes semantic ids."""

WISHED = "wish"
"""What stands among the sources of an item that a wish found."""


class Strategy(Settings):
    """How a list is come by.

    Parameters
    ----------
    objectives
        What the list is for.
    via
        ``words``: wishes are written and searched for. ``codes``: the source ``generative`` writes semantic ids; words
        where the engine has none, and the answer says so.
    wishes
        Phrases at most.
    depth
        Items that each phrase, or the codes, may find.
    filter
        Keep only what attracts.
    least
        Probability from which on an item attracts; the judge's own threshold where None.
    """

    objectives: ObjectiveSettings = Field(default_factory=ObjectiveSettings)
    via: Literal["words", "codes"] = "words"
    wishes: int = Field(default=3, ge=1, le=8)
    depth: int = Field(default=40, ge=1, le=200)
    filter: bool = True
    least: float | None = Field(default=None, ge=0, le=1)

    @classmethod
    def told(cls, strategy: Mapping[str, Any]) -> Strategy:
        """A strategy in a caller's words.

        Raises
        ------
        UsageError
            A name means nothing here, or a value is out of its bounds.
        """
        own = dict(strategy)
        objectives = own.pop("objectives", None)
        try:
            chosen = cls.model_validate(own)
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]) if problem["loc"] else ""
            if problem["type"] == "extra_forbidden":
                known = suggestion(name, list(cls.model_fields))
                raise UsageError(f"strategy: {name!r} is no part of a strategy. {known}") from None
            raise UsageError(f"strategy: {name} = {problem['input']!r}: {complaint(problem)}") from None
        if objectives is None:
            return chosen
        if not isinstance(objectives, Mapping):
            raise UsageError('strategy: objectives are names and weights, such as {"novelty": 0.2}.')
        return chosen.model_copy(update={"objectives": ObjectiveSettings.told(objectives)})


def pursue(
    engine: Engine,
    shelf: Shelf,
    history: Histories,
    k: int,
    *,
    lock: AbstractContextManager[Any],
    strategy: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    generate: bool = True,
    explain: bool = False,
    language: str = "en",
) -> Answer:
    """A list for one asker.

    Parameters
    ----------
    history
        One row.
    lock
        Held while the ranking is asked, and never while a generator writes.
    strategy
        See ``Strategy``; all of it may be left out.
    context
        When, where and with what is asked; see ``question``.
    generate
        Let the engine's writer write; templates do where False.
    explain, language
        Reasons, and the language of wishes and reasons.

    Raises
    ------
    UsageError
        The strategy or the context makes no sense, or its objective cannot be pursued with this catalogue.
    """
    started = time.perf_counter()
    check_language(language)
    chosen = Strategy.told(strategy or {})
    check_objectives(shelf.catalogue, chosen.objectives, shelf.pipeline.facts)
    writer = or_template(engine.writer, generate)
    chain = Chain(shelf, engine.mixing, writer, engine.masks_seen, lock)
    # One moment for the whole pursuit: what attracts is judged, and the list made, for the same hour.
    asker = question(shelf.catalogue, history, k=1, mask_seen=engine.masks_seen, context=context)
    return chain.pursue(asker, chosen, k, Telling(engine.version, started, language), explain)


@dataclass(frozen=True)
class Chain:
    """What a pursuit works with."""

    shelf: Shelf
    mixing: Mixing
    writer: TextGenerator
    masks_seen: bool
    lock: AbstractContextManager[Any]

    def pursue(self, asker: Queries, strategy: Strategy, k: int, telling: Telling, explain: bool) -> Answer:
        """See the function ``pursue``; the asker is a question of one row."""
        history = asker.history
        language = telling.language or "en"
        notes: list[Remark] = []
        interest, wishes = self.wishes(history, strategy, language, notes)
        with self.lock:
            found, by_wish = self.found(history, strategy, wishes.phrases, notes)
            chance, threshold = self.attraction(asker, found, strategy, notes)
            kept = found if chance is None else found[chance >= threshold]
            rankings = self._listed(asker, kept, strategy, k)
            ranked = [
                explaining.recommendations(self.shelf, queries, ranking, language if explain else None)
                for queries, ranking in rankings[:-1]
            ]
        degraded, source = rankings[-1]
        if not len(kept):
            notes.append(Remark("nothing_left"))
        chances = {} if chance is None else dict(zip(found.tolist(), chance.tolist(), strict=True))
        items = [item for part in ranked for item in part]
        left = {item: by_wish[item] for item in kept.tolist()}
        told = tuple(
            self._marked(item, left, chances, interest=interest, language=language, explain=explain) for item in items
        )
        spent = wishes.spent
        pursued = Pursued(
            interest=tuple((word, round(weight, 3)) for word, weight in interest.items()),
            via=strategy.via if CODES in self.shelf.pipeline.sources or strategy.via == "words" else "words",
            wishes=wishes.phrases,
            written_by=wishes.source,
            found=len(found),
            kept=len(kept),
            threshold=None if chance is None else threshold,
            objectives=strategy.objectives.described(),
            notes=tuple(remark.words(language) for remark in notes),
            prompt_tokens=sum(own.prompt_tokens for own in spent),
            completion_tokens=sum(own.completion_tokens for own in spent),
            seconds=round(sum(own.seconds for own in spent), 4),
            cost=sum(own.cost for own in spent),
        )
        took = (time.perf_counter() - telling.started) * 1000
        return Answer(told, degraded, source, telling.version, took, strategy=pursued)

    def wishes(
        self, history: Histories, strategy: Strategy, language: str, notes: list[Remark]
    ) -> tuple[Mapping[str, float], Wishes]:
        """What somebody is interested in, as words, and the wishes written from it."""
        if strategy.via == "codes":
            if CODES in self.shelf.pipeline.sources:
                return {}, Wishes((), "codes")
            notes.append(Remark("no_codes", CODES))
        names = self.shelf.namings(language)
        texts = [names[item] for item in history.items.tolist()]
        weights = recency_weights(history).tolist()
        interest = interest_words(texts, weights, self.shelf.vocabulary(language))
        wishes = wish(self.writer, [interest], strategy.wishes, language)[0]
        if wishes.why:
            notes.append(Remark("template", wishes.why))
        return interest, wishes

    def found(
        self, history: Histories, strategy: Strategy, phrases: Sequence[str], notes: list[Remark]
    ) -> tuple[IntArray, dict[int, str]]:
        """Items that exist and answer the wishes, and which phrase found each first; int32 (c,)."""
        catalogue, pipeline = self.shelf.catalogue, self.shelf.pipeline
        depth = min(strategy.depth, len(catalogue))
        seen = history.items if self.masks_seen else np.zeros(0, np.int32)
        if strategy.via == "codes" and CODES in pipeline.sources:
            asked = self.shelf.ruled(Queries(history, k=depth, mask_seen=self.masks_seen))
            items = pipeline.sources[CODES].recommend(asked).row(0)
            return items, dict.fromkeys(items.tolist(), "")
        if not phrases:
            return np.zeros(0, np.int32), {}
        n = len(phrases)
        asked = Queries(
            Histories.empty(n), k=depth, text=tuple(phrases), excludes=Ragged.repeated(seen, n), mask_seen=False
        )
        rankings = self.shelf.rank(asked, Manner())
        by_wish: dict[int, str] = {}
        for row, phrase in enumerate(phrases):
            for item, score in zip(rankings.items[row].tolist(), rankings.scores[row].tolist(), strict=True):
                # Without any likeness an item only fills the list up.
                if item >= 0 and score > 0:
                    by_wish.setdefault(item, phrase)
        if not by_wish:
            notes.append(Remark("no_answer"))
        return np.array(sorted(by_wish), dtype=np.int32), by_wish

    def attraction(
        self, asker: Queries, found: IntArray, strategy: Strategy, notes: list[Remark]
    ) -> tuple[FloatArray | None, float]:
        """How likely the asker is to like each, float32 (c,), and from where on it attracts; None: nobody judges."""
        if not strategy.filter:
            return None, 0.0
        judge = self.shelf.judge
        if judge is None:
            notes.append(Remark("no_judge"))
            return None, 0.0
        threshold = judge.threshold if strategy.least is None else strategy.least
        if not len(found):
            return np.zeros(0, np.float32), threshold
        asked = replace(asker, mask_seen=False)
        return judge.probability(self.shelf.pipeline, asked, found[None, :])[0], threshold

    def _listed(self, asker: Queries, kept: IntArray, strategy: Strategy, k: int) -> list[Any]:
        """The kept items in the order of the objective, and behind them, where they are too few, the engine's own list.

        Returns
        -------
        Pairs of question and ranking, and at the end whether something failed and who answered.
        """
        manner = self.mixing.manner(None, strategy.objectives)
        k = min(k, len(self.shelf.catalogue))
        parts: list[Any] = []
        degraded, source, there = False, "palate", 0
        if len(kept):
            chosen = replace(asker, k=min(k, len(kept)), candidates=Ragged.of([kept]))
            ranking, source, degraded = self.shelf.answer(chosen, manner)
            parts.append((chosen, ranking))
            there = len(ranking.row(0))
        if there < k:
            rest = replace(asker, k=k - there, excludes=Ragged.of([kept]))
            ranking, source, failed = self.shelf.answer(rest, manner)
            degraded = degraded or failed
            parts.append((rest, ranking))
        return [*parts, (degraded, source if len(asker.history.items) else "popularity")]

    def _marked(
        self,
        item: Recommendation,
        by_wish: Mapping[int, str],
        chances: Mapping[int, float],
        *,
        interest: Mapping[str, float],
        language: str,
        explain: bool,
    ) -> Recommendation:
        """A recommendation that says which wish found it."""
        position = self.shelf.catalogue.ids.position(item.item)
        if position not in by_wish:
            return item
        marked = replace(item, source=(*item.source, WISHED))
        if not explain:
            return marked
        phrase = by_wish[position]
        naming = self.shelf.namings(language)[position]
        # A phrase is shown only where every word of it is known: a model's own words are for searching.
        shown = phrase if phrase and not unsupported(phrase, [*interest, naming]) else ""
        return replace(marked, reasons=(_reason(shown, chances.get(position, 0.0), language), *item.reasons))


def _reason(phrase: str, chance: float, language: str) -> Reason:
    if language == "zh":
        text = f"你可能在找：{phrase}" if phrase else "符合你的兴趣"
    else:
        text = f"You may be looking for: {phrase}" if phrase else "Fits what you turned to lately"
    return Reason("wish", text, float(chance))

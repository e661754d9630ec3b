"""The one path from questions to lists, the same for one question from the web and for a test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from palate.core import FloatArray, IntArray, Queries, Rankings, Settings
from palate.core.rankings import NEVER
from palate.ranking.candidates import Candidates, CandidateSettings, propose
from palate.ranking.context import context_of
from palate.ranking.diversity import likeness
from palate.ranking.facts import ItemFacts
from palate.ranking.features import LAST_OF, build
from palate.ranking.fresh import FreshSettings, with_fresh
from palate.ranking.fusion import fuse, normalised
from palate.ranking.lists import chances, composed
from palate.ranking.mixes import AVERAGE, LEARNED, Manner, Mix, playable
from palate.ranking.objectives import Worth, beside, novelty_of, unit
from palate.ranking.ranker import Ranker
from palate.ranking.rules import boosted
from palate.ranking.sources import Sources, SourceScores, ask

AVERAGE_SHARPNESS = np.float32(6)
"""What turns the weighted average, 0 to 1, into log-odds: the sum that likelihood gives its weights before they are
brought to 1 (6.4 on Amazon Scientific)."""

BATCH = 512
"""Questions answered at once: a source's scores of 12,000 items are then 25 MB."""


class WishSettings(Settings):
    """How a wish in words meets the history.

    Parameters
    ----------
    weight
        Share of the wish's likeness in the order; the rest is the learned order.
    """

    weight: float = Field(default=0.8, ge=0, le=1)


class Asked(NamedTuple):
    """n questions, what the sources say to them and what they propose."""

    queries: Queries
    candidates: Candidates
    scores: SourceScores

    def take(self, rows: IntArray) -> Asked:
        """Some of the questions."""
        return Asked(self.queries.take(rows), self.candidates.take(rows), self.scores.take(rows))


class AtNeed(NamedTuple):
    """What is worked out of candidates only where a list asks for it, and once for all lists of them.

    Parameters
    ----------
    alike
        How alike they are; float32 (n, c, c).
    liked
        How likely askers are to take and keep them, float32 (n, c); None where nothing judges that.
    """

    alike: Callable[[], FloatArray]
    liked: Callable[[], FloatArray | None]


@dataclass(frozen=True)
class Pipeline:
    """Fitted parts of the ranking.

    Parameters
    ----------
    sources
        Fitted models by name.
    weights
        float32 (s,), the weighted average's.
    facts
        What is known of items.
    ranker
        The learned ranker; None where there was too little to learn from, then the weighted average ranks.
    names
        Features, in order.
    """

    sources: Sources
    weights: FloatArray
    facts: ItemFacts
    ranker: Ranker | None
    names: tuple[str, ...]
    candidates: CandidateSettings = field(default_factory=CandidateSettings)
    wish: WishSettings = field(default_factory=WishSettings)
    fresh: FreshSettings = field(default_factory=FreshSettings)

    @property
    def n_items(self) -> int:
        return len(self.facts.popularity)

    @property
    def compares(self) -> bool:
        """Whether it can tell how alike items are, by their texts or else by their categories."""
        return bool(self.facts.vectors.shape[1] or self.facts.n_categories)

    def describe(self) -> dict[str, Any]:
        """Models, their weights in the average, trees and what they look at, all of it."""
        ranker = self.ranker
        return {
            "sources": list(self.sources),
            "weights": {name: round(float(own), 4) for name, own in zip(self.sources, self.weights, strict=True)},
            "trees": 0 if ranker is None else sum(ranker.growth.trees),
            "importance": {} if ranker is None else ranker.importance(),
        }

    def rank(self, queries: Queries, manner: Manner | None = None) -> Rankings:
        """Answer n questions; by accuracy alone where nothing is said of the manner."""
        parts = [self._rank(batch, manner or Manner()) for batch in queries.batches(BATCH)]
        return parts[0] if len(parts) == 1 else Rankings.concatenate(parts)

    def rank_each(self, queries: Queries, manner: Manner) -> list[Rankings]:
        """The lists that each mix of a manner gives to the same n questions; sources and ranker are asked once."""
        parts: list[list[Rankings]] = []
        for batch in queries.batches(BATCH):
            asked = self._ask(batch)
            ranked = {mix.lead: self.led_by(mix.lead)._score_candidates(*asked) for mix in manner.mixes}
            at_need = self._at_need(asked, manner)
            led = {lead: self.led_by(lead) for lead in ranked}
            parts.append([led[mix.lead]._listed(asked, ranked[mix.lead], mix, manner, at_need) for mix in manner.mixes])
        return [Rankings.concatenate(own) for own in zip(*parts, strict=True)]

    def led_by(self, lead: str) -> Pipeline:
        """The same ranking with another lead; see ``Mix``."""
        if lead == LEARNED:
            return self
        weights = self.weights
        if lead != AVERAGE:
            own = np.array([name == lead for name in self.sources], dtype=np.float32)
            weights = ((weights + own) / 2).astype(np.float32)
        return replace(self, ranker=None, weights=weights)

    def playable(self, mixes: tuple[Mix, ...]) -> tuple[Mix, ...]:
        """Those mixes that this ranking can give."""
        return playable(mixes, self.sources, ranker=self.ranker is not None, compares=self.compares)

    def score(self, queries: Queries) -> FloatArray:
        """Scores that order the full catalogue as ``rank`` does: candidates above everything else.

        Returns
        -------
        float32 (n, n_items), -inf where ruled out.
        """
        _, candidates, scores = self._ask(queries)
        ranked = self._score_candidates(queries, candidates, scores)
        full = fuse(scores, self.weights_for(queries))
        finite = np.isfinite(full)
        top = np.where(finite, full, -np.inf).max(axis=1, keepdims=True, initial=-1.0)
        full = np.where(finite, full - np.maximum(top, 0) - 1, full).astype(np.float32)
        # Places, not scores: float32 has room for the order of a few hundred candidates whatever their scores are.
        order = _order(ranked, candidates.items)
        places = np.empty(ranked.shape, dtype=np.float32)
        c = ranked.shape[1]
        np.put_along_axis(places, order, np.arange(c, 0, -1, dtype=np.float32)[None, :], axis=1)
        rows, columns = np.nonzero(candidates.valid)
        full[rows, candidates.items[rows, columns]] = places[rows, columns]
        return full

    def features(self, queries: Queries, candidates: Candidates, scores: SourceScores) -> FloatArray:
        """The feature table of candidates; float32 (n, c, f)."""
        last_of = {name: model for name, model in self.sources.items() if name in LAST_OF}
        newest = replace(queries, history=queries.history.last(1), text=None, candidates=None, excludes=None)
        last = ask(last_of, replace(newest, mask_seen=False), self.n_items)
        return build(self.facts, queries, candidates, scores, last)

    def _ask(self, queries: Queries) -> Asked:
        scores = ask(self.sources, queries, self.n_items)
        return Asked(queries, propose(scores, self.candidates), scores)

    def _rank(self, queries: Queries, manner: Manner) -> Rankings:
        asked = self._ask(queries)
        if manner.choose is None:
            return self._mixed(asked, manner.mixes[0], manner)
        chosen = manner.choose(context_of(self.facts, *asked))
        groups = [np.flatnonzero(chosen == place).astype(np.int32) for place in np.unique(chosen)]
        if len(groups) == 1:
            return self._mixed(asked, manner.mixes[int(chosen[0])], manner)
        parts = [self._mixed(asked.take(rows), manner.mixes[int(chosen[rows[0]])], manner) for rows in groups]
        together, back = Rankings.concatenate(parts), np.argsort(np.concatenate(groups), kind="stable")
        return Rankings(together.items[back], together.scores[back], together.sources[back], together.names)

    def _mixed(self, asked: Asked, mix: Mix, manner: Manner) -> Rankings:
        led = self.led_by(mix.lead)
        return led._listed(asked, led._score_candidates(*asked), mix, manner, self._at_need(asked, manner))

    def _at_need(self, asked: Asked, manner: Manner) -> AtNeed:
        liking = None if manner.worth is None else manner.worth.liking
        return AtNeed(
            cache(partial(self._likeness, asked.candidates)),
            cache(lambda: None if liking is None else liking(asked.queries, asked.candidates.items)),
        )

    def _listed(self, asked: Asked, ranked: FloatArray, mix: Mix, manner: Manner, at_need: AtNeed) -> Rankings:
        """Lists of scored candidates: the shop's boosts first, then what the whole list is worth."""
        queries, candidates, scores = asked
        if manner.boost is not None:
            ranked = boosted(ranked, candidates.items, manner.boost)
        weights = manner.weights(mix)
        if weights.plain or (weights.only_diversity and not self.compares):
            order = _order(ranked, candidates.items)[:, : queries.k]
        else:
            worth = manner.worth or Worth(novelty_of(self.facts.popularity))
            order = composed(
                ranked,
                chances(ranked, self._sharpness(queries)),
                weights,
                queries.k,
                beside=beside(candidates.items, weights, worth, at_need.liked),
                likeness=at_need.alike() if weights.diversity and self.compares else None,
            )
        items = np.take_along_axis(candidates.items, order, axis=1)
        values = np.take_along_axis(ranked, order, axis=1)
        bits = np.take_along_axis(candidates.sources, order, axis=1)
        if items.shape[1] < queries.k or (items < 0).any():
            items, values, bits = self._filled(queries, scores, items, values, bits)
        return Rankings(items, values, bits, tuple(self.sources))

    def _score_candidates(self, queries: Queries, candidates: Candidates, scores: SourceScores) -> FloatArray:
        """The learned score where there is a history to judge by, the weighted average elsewhere; float32 (n, c)."""
        learned = queries.history.lengths > 0
        if self.ranker is None or not learned.any():
            ranked = self._average(queries, candidates, scores)
        else:
            ranked = self.ranker.score(self.features(queries, candidates, scores))
            if not learned.all():
                ranked = np.where(learned[:, None], ranked, self._average(queries, candidates, scores))
        if queries.text is not None and any(queries.text):
            ranked = self._with_wish(queries, candidates, ranked)
        ranked = np.where(candidates.valid, ranked, NEVER).astype(np.float32)
        return with_fresh(ranked, candidates, self.facts.fresh, self.fresh)

    def weights_for(self, queries: Queries) -> FloatArray:
        """Weights of the average; float32 (n, s), rows sum to 1.

        They are learnt from histories. Without one they say nothing, and every source with something to say counts
        alike: to somebody unknown, what is popular.
        """
        unknown = (queries.history.lengths == 0)[:, None]
        return np.where(unknown, np.float32(1 / len(self.weights)), self.weights).astype(np.float32)

    def _average(self, queries: Queries, candidates: Candidates, scores: SourceScores) -> FloatArray:
        values = normalised(scores.at(candidates.items))
        return np.asarray(np.einsum("ns,snc->nc", self.weights_for(queries), values), dtype=np.float32)

    def _with_wish(self, queries: Queries, candidates: Candidates, ranked: FloatArray) -> FloatArray:
        """Order by likeness to the wish first; the ranker has learnt from histories, not from wishes.

        A model that cannot read a wish likens it to nothing and has no vote; a wish that none can read changes nothing.
        """
        assert queries.text is not None  # noqa: S101
        alone = replace(queries, history=queries.history.last(0), candidates=None, excludes=None)
        readers = {name: model for name, model in self.sources.items() if model.abilities.uses_text}
        if not readers:
            return ranked
        votes = normalised(ask(readers, alone, self.n_items).at(candidates.items))
        voters = votes.any(axis=2).sum(axis=0)[:, None]
        likeness = votes.sum(axis=0) / np.maximum(voters, 1)
        wished = np.array([bool(text.strip()) for text in queries.text])[:, None] & (voters > 0)
        personal = np.where((queries.history.lengths > 0)[:, None], unit(ranked), 0)
        weight = np.full((len(queries), 1), self.wish.weight, dtype=np.float32)
        if queries.text_weight is not None:
            asked = queries.text_weight[:, None]
            weight = np.where(np.isnan(asked), weight, asked)
        mixed = weight * likeness + (1 - weight) * personal
        return np.where(wished, mixed, ranked).astype(np.float32)

    def _likeness(self, candidates: Candidates) -> FloatArray:
        facts, inside = self.facts, np.maximum(candidates.items, 0)
        return likeness(facts.sayings[np.minimum(inside, len(facts.sayings) - 1)], facts.categories[inside])

    def _sharpness(self, queries: Queries) -> FloatArray:
        """What turns the scores of each question into log-odds; float32 (n, 1)."""
        if self.ranker is None:
            return np.full((len(queries), 1), AVERAGE_SHARPNESS)
        learned = queries.history.lengths > 0
        if queries.text is not None:
            learned &= np.array([not text.strip() for text in queries.text], dtype=bool)
        return np.where(learned, np.float32(self.ranker.growth.sharpness), AVERAGE_SHARPNESS).astype(np.float32)[
            :, None
        ]

    def _filled(
        self, queries: Queries, scores: SourceScores, items: IntArray, values: FloatArray, bits: NDArray[np.uint32]
    ) -> tuple[IntArray, FloatArray, NDArray[np.uint32]]:
        """Lists shorter than asked for, continued by the weighted average over the rest of the catalogue."""
        k = min(queries.k, self.n_items)
        rest = fuse(scores, self.weights_for(queries))
        rows, columns = np.nonzero(items >= 0)
        rest[rows, items[rows, columns]] = NEVER
        tail = _order(rest, np.broadcast_to(np.arange(self.n_items, dtype=np.int32), rest.shape))[:, :k]
        tail_values = np.take_along_axis(rest, tail, axis=1)
        tail = np.where(tail_values > NEVER, tail, -1)
        low = np.where(items >= 0, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        low = np.where(np.isfinite(low), low, 0)
        tail_values = tail_values - np.maximum(tail_values[:, :1], 0) + low - 1e-3
        everything = np.concatenate([items, tail], axis=1)
        # Stable: the candidates in their order, then the tail in its own, padding last.
        order = np.argsort(everything < 0, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(everything, order, axis=1).astype(np.int32),
            np.take_along_axis(np.concatenate([values, tail_values], axis=1), order, axis=1).astype(np.float32),
            np.take_along_axis(np.concatenate([bits, np.zeros_like(tail, dtype=np.uint32)], axis=1), order, axis=1),
        )


def _order(scores: FloatArray, items: IntArray) -> IntArray:
    """Columns by falling score; the lower item position wins an exact tie."""
    return np.lexsort((items, -scores), axis=-1).astype(np.int32)

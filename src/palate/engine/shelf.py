"""What an engine answers from: a catalogue, a ranking and the shop's rules, put in place together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from palate.core import BoolArray, FloatArray, IntArray, Queries, Ragged, Rankings, UsageError, top_k
from palate.data import Catalogue
from palate.language.wishing import shared_words
from palate.ranking.attractiveness import Attractiveness
from palate.ranking.mixes import Manner
from palate.ranking.objectives import Worth
from palate.ranking.pipeline import BATCH, Pipeline
from palate.ranking.rules import RuleSettings, allowed, boosts, quota_codes, within_quotas

_WIDE = 5
"""With quotas, lists this many times as long are ranked first; all of the catalogue only where that is too few."""

_SAME_FOR_ITSELF = frozenset({"repeats"})
"""Sources that know an item only as itself."""

_logger = logging.getLogger("palate.engine")


class Named(dict[str, tuple[list[str], frozenset[str]]]):
    """Names of a catalogue's items by language, with the words they share; made when first asked for."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._catalogue = catalogue

    def __missing__(self, language: str) -> tuple[list[str], frozenset[str]]:
        titles, categories = (self._strings(name, language) for name in ("title", "category"))
        leaves = [category.rpartition(" > ")[2] for category in categories]
        named = [f"{title} {leaf}".strip() for title, leaf in zip(titles, leaves, strict=True)]
        self[language] = found = named, shared_words(named)
        return found

    def _strings(self, name: str, language: str) -> list[str]:
        own, usual = self._catalogue.strings(f"{name}_{language}"), self._catalogue.strings(name)
        return [first or second for first, second in zip(own, usual, strict=True)]


@dataclass(frozen=True)
class Shelf:
    """Replaced as a whole when items come or change, so that an answer never sees half of a change.

    Parameters
    ----------
    catalogue
        Items that can be answered.
    pipeline
        The fitted ranking; it may know fewer items than the catalogue has.
    rules
        What the shop decides.
    may
        bool (n_items,), items that the rules let pass; None where all do.
    boost
        float32 (n_items,), moves of scores in standard deviations; None where nothing moves.
    quotas
        Value of the quota's property an item has (int32 (n_items,), -1 for none) and how many of a value a list may
        hold, for each quota.
    judge
        Says what attracts whom; None where reactions taught nothing.
    """

    catalogue: Catalogue
    pipeline: Pipeline
    rules: RuleSettings
    may: BoolArray | None
    boost: FloatArray | None
    quotas: tuple[tuple[IntArray, int], ...]
    judge: Attractiveness | None = None

    @classmethod
    def of(
        cls, catalogue: Catalogue, pipeline: Pipeline, rules: RuleSettings, judge: Attractiveness | None = None
    ) -> Shelf:
        """Apply the rules to a catalogue.

        Raises
        ------
        UsageError
            A rule names a property items do not have.
        """
        quotas = tuple((quota_codes(catalogue, quota), quota.at_most) for quota in rules.quotas)
        return cls(catalogue, pipeline, rules, allowed(catalogue, rules), boosts(catalogue, rules), quotas, judge)

    def rank(self, queries: Queries, manner: Manner) -> Rankings:
        """Answer n questions under the rules."""
        own = self._completed(manner)
        return self._limited(self.ruled(queries), lambda asked: self.pipeline.rank(asked, own))

    def rank_each(self, queries: Queries, manner: Manner) -> list[Rankings]:
        """The lists that each mix of a manner gives to the same questions."""
        if self.quotas:
            return [self.rank(queries, replace(manner, mixes=(mix,))) for mix in manner.mixes]
        return self.pipeline.rank_each(self.ruled(queries), self._completed(manner))

    def score(self, queries: Queries) -> FloatArray:
        """Scores that order the full catalogue as ``rank`` does, boosts and quotas apart; float32 (n, n_items)."""
        return self.pipeline.score(self.ruled(queries))

    def answer(self, queries: Queries, manner: Manner) -> tuple[Rankings, str, bool]:
        """A list in any case: what should answer, the weighted average where the ranker fails, popularity where all do.

        Returns
        -------
        The list, what answered (``palate``, ``weights`` or ``popularity``), and whether something failed.
        """
        usual = "weights" if self.pipeline.ranker is None else "palate"
        plain = replace(self, pipeline=replace(self.pipeline, ranker=None))
        return self._first_that_works(
            queries,
            (usual, lambda: self.rank(queries, manner)),
            ("weights", lambda: plain.rank(queries, manner)),
        )

    def similar(self, queries: Queries) -> tuple[Rankings, str, bool]:
        """What is most like one item each; see ``answer``.

        The learned ranker foresees what comes next, which favours the popular; likeness is for the models to say that
        compare items, all counting alike.
        """
        return self._first_that_works(
            queries,
            ("palate", lambda: self._limited(self.ruled(queries), self._likeness.rank)),
        )

    def listed(self, queries: Queries, scores: FloatArray, name: str) -> Rankings:
        """Lists from given scores, float32 (n, n_items), under the rules; -inf is never listed."""
        return self._limited(self.ruled(queries), lambda asked: top_k(scores.copy(), asked, name))

    @cached_property
    def _likeness(self) -> Pipeline:
        models = {
            name: model
            for name, model in self.pipeline.sources.items()
            if model.abilities.personal and name not in _SAME_FOR_ITSELF
        }
        models = models or dict(self.pipeline.sources)
        weights = np.full(len(models), 1 / len(models), dtype=np.float32)
        return replace(self.pipeline, sources=models, weights=weights, ranker=None)

    def _first_that_works(
        self, queries: Queries, *ways: tuple[str, Callable[[], Rankings]]
    ) -> tuple[Rankings, str, bool]:
        for place, (name, way) in enumerate(ways):
            try:
                return way(), name, place > 0
            except UsageError:
                raise
            except Exception:
                _logger.warning("%s failed to answer; the next fallback does", name, exc_info=True)
        return self._popular(queries), "popularity", True

    def _popular(self, queries: Queries) -> Rankings:
        counts = np.tile(self.pipeline.facts.popularity, (len(queries), 1))
        return self.listed(queries, counts, "popularity")

    def ruled(self, queries: Queries) -> Queries:
        """The questions with what the rules forbid among the excludes."""
        out = self._forbidden
        if out is None:
            return queries
        if queries.excludes is None:
            return replace(queries, excludes=Ragged.repeated(out, len(queries)))
        rows = [np.concatenate([queries.excludes[row], out]) for row in range(len(queries))]
        return replace(queries, excludes=Ragged.of(rows))

    @cached_property
    def worth(self) -> Worth:
        """What items are worth beside being right."""
        facts = self.pipeline.facts
        liking = None if self.judge is None else partial(self.judge.probability, self.pipeline)
        return Worth.of(self.catalogue, facts.popularity, facts.contentment, liking)

    def namings(self, language: str) -> list[str]:
        """Title and innermost category of each item in a language; as they are where there are none in it."""
        return self._named[language][0]

    def vocabulary(self, language: str) -> frozenset[str]:
        """Words in a language that several items share, so that no single merchant chose them."""
        return self._named[language][1]

    @cached_property
    def _named(self) -> Named:
        return Named(self.catalogue)

    def _completed(self, manner: Manner) -> Manner:
        """With what the shop says: boosts, and what items are worth where that counts."""
        needed = not all(mix.objectives.plain for mix in manner.mixes)
        return replace(manner, boost=self.boost, worth=self.worth if needed else None)

    @cached_property
    def _forbidden(self) -> IntArray | None:
        return None if self.may is None else np.nonzero(~self.may)[0].astype(np.int32)

    def _limited(self, queries: Queries, rank: Callable[[Queries], Rankings]) -> Rankings:
        """Lists in which no value of a quota's property stands more often than it may."""
        if not self.quotas:
            return rank(queries)
        parts = [self._limited_batch(batch, rank) for batch in queries.batches(BATCH)]
        return parts[0] if len(parts) == 1 else Rankings.concatenate(parts)

    def _limited_batch(self, queries: Queries, rank: Callable[[Queries], Rankings]) -> Rankings:
        n_items, k = len(self.catalogue), queries.k
        wide = rank(replace(queries, k=min(k * _WIDE, n_items)))
        keep = within_quotas(wide.items, self.quotas, k)
        if wide.k < n_items and (keep.sum(axis=1) < k).any():
            wide = rank(replace(queries, k=n_items))
            keep = within_quotas(wide.items, self.quotas, k)
        order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
        kept = np.take_along_axis(keep, order, axis=1)
        return Rankings(
            np.where(kept, np.take_along_axis(wide.items, order, axis=1), -1).astype(np.int32),
            np.where(kept, np.take_along_axis(wide.scores, order, axis=1), -np.inf).astype(np.float32),
            np.take_along_axis(wide.sources, order, axis=1),
            wide.names,
        )

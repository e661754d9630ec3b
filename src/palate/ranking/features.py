"""The one feature table: what the ranker sees of a question and a candidate, in training and in serving alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from palate.behaviour.comebacks import Comebacks
from palate.core import BoolArray, Float64Array, FloatArray, Histories, IntArray, Queries, Ragged
from palate.core.recommender import Arrays
from palate.data import Catalogue, Dataset
from palate.ranking import feature_table
from palate.ranking.candidates import Candidates
from palate.ranking.session import Session
from palate.ranking.sources import SourceScores
from palate.ranking.trend import Trends

_RECENT = 5
"""Newest events a candidate's text is compared with."""
_DECAY = 0.8
"""What an event is worth relative to the next one in the mix of categories."""
_INNERMOST = 3
"""Categories of an item that are looked at, the innermost ones."""
_MOST_CATEGORIES = 5_000
"""More categories than these are not told apart (the rarest share one), so that a batch stays small."""
_DAY = 86_400.0

LAST_OF = ("transitions", "lexical")
"""Sources whose opinion of the newest event alone is a feature of its own."""


@dataclass(frozen=True)
class ItemFacts:
    """What the ranker knows of items, fixed when the sources were fitted.

    Parameters
    ----------
    popularity
        float32 (n_items,), log(1 + events).
    first_seen
        float64 (n_items,), time of the first event, NaN if none or unknown.
    categories
        int32 (n_items, 3), innermost categories, -1 pads.
    n_categories
        How many categories there are.
    brands
        int32 (n_items,), -1 where unknown.
    prices
        float32 (n_items,), log(1 + price), NaN where unknown.
    vectors
        float32 (n_items, d), unit language vectors; d = 0 where the data has no text.
    trends
        When items were chosen; nothing where the data has no times.
    comebacks
        When people come back to items; nothing where they do not, or are not told of what they had.
    """

    popularity: FloatArray
    first_seen: Float64Array
    categories: IntArray
    n_categories: int
    brands: IntArray
    prices: FloatArray
    vectors: FloatArray
    trends: Trends
    comebacks: Comebacks

    @cached_property
    def n_brands(self) -> int:
        """How many brands there are."""
        return int(self.brands.max(initial=-1)) + 1

    @cached_property
    def fresh(self) -> BoolArray:
        """Which items nobody chose yet; bool (n_items,)."""
        return np.asarray(self.popularity == 0)

    @cached_property
    def has(self) -> frozenset[str]:
        """What of all that features need is known of these items."""
        there = {
            "text": bool(self.vectors.shape[1]),
            "categories": bool(self.n_categories),
            "brands": bool(self.n_brands),
            "prices": self.has_prices,
            "times": bool(self.trends),
            "comebacks": bool(self.comebacks),
        }
        return frozenset(name for name, known in there.items() if known)

    @cached_property
    def has_prices(self) -> bool:
        """Whether any item has a price."""
        return not bool(np.isnan(self.prices).all())

    @classmethod
    def of(cls, dataset: Dataset, vectors: FloatArray | None, *, comes_back: bool = False) -> ItemFacts:
        """Facts from a catalogue and from events; when people come back to items only where they may be told so."""
        catalogue, sequences = dataset.catalogue, dataset.sequences
        first = np.full(dataset.n_items, np.inf)
        known = ~np.isnan(sequences.times)
        np.minimum.at(first, sequences.items[known], sequences.times[known])
        ragged, names = catalogue.categories
        return cls(
            popularity=np.log1p(dataset.popularity).astype(np.float32),
            first_seen=np.where(np.isfinite(first), first, np.nan),
            categories=_innermost(ragged, len(names)),
            n_categories=min(len(names), _MOST_CATEGORIES),
            brands=_codes(catalogue, "brand"),
            prices=np.log1p(np.maximum(catalogue.prices, 0)).astype(np.float32),
            vectors=np.zeros((dataset.n_items, 0), np.float32) if vectors is None else vectors,
            trends=Trends.of(sequences, dataset.n_items),
            comebacks=Comebacks.of(sequences, catalogue.innermost_categories) if comes_back else Comebacks.nothing(),
        )

    def extended(self, catalogue: Catalogue, vectors: FloatArray | None) -> ItemFacts:
        """The same facts with rows for items that came since: nobody chose them yet, the rest the catalogue says.

        Category and brand codes of old items stay as they were; names unknown to them count as unknown.
        """
        known, n = len(self.popularity), len(catalogue)
        new = n - known
        prices = np.log1p(np.maximum(catalogue.prices[known:], 0)).astype(np.float32)
        grown = self.vectors if vectors is None else vectors
        return ItemFacts(
            popularity=np.concatenate([self.popularity, np.zeros(new, np.float32)]),
            first_seen=np.concatenate([self.first_seen, np.full(new, np.nan)]),
            categories=np.concatenate([self.categories, self._like_known(catalogue, known)]),
            n_categories=self.n_categories,
            brands=np.concatenate([self.brands, _as_before(catalogue.strings("brand"), self.brands)]),
            prices=np.concatenate([self.prices, prices]),
            vectors=np.concatenate([grown, np.zeros((n - len(grown), grown.shape[1]), np.float32)]),
            trends=self.trends.extended(n),
            comebacks=self.comebacks.extended(n),
        )

    def _like_known(self, catalogue: Catalogue, known: int) -> IntArray:
        """Codes of new items' categories: those an old item with the same category has."""
        values = catalogue.strings("category")
        first: dict[str, int] = {}
        for position, value in enumerate(values[:known]):
            first.setdefault(value, position)
        rows = np.array([first.get(value, -1) if value else -1 for value in values[known:]], dtype=np.int64)
        codes = self.categories[np.maximum(rows, 0)] if known else np.zeros((len(rows), _INNERMOST), np.int32)
        return np.where(rows[:, None] >= 0, codes, -1).astype(np.int32)

    def arrays(self) -> Arrays:
        return {
            "popularity": self.popularity,
            "first_seen": self.first_seen,
            "categories": self.categories,
            "n_categories": np.array([self.n_categories], dtype=np.int64),
            "brands": self.brands,
            "prices": self.prices,
            "vectors": self.vectors,
            **self.trends.arrays(),
            **(self.comebacks.arrays() if self.comebacks else {}),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ItemFacts:
        return cls(
            popularity=arrays["popularity"],
            first_seen=arrays["first_seen"],
            categories=arrays["categories"],
            n_categories=int(arrays["n_categories"][0]),
            brands=arrays["brands"],
            prices=arrays["prices"],
            vectors=arrays["vectors"],
            trends=Trends.from_arrays(arrays, len(arrays["popularity"])),
            comebacks=Comebacks.from_arrays(arrays),
        )


def feature_names(sources: tuple[str, ...], facts: ItemFacts) -> tuple[str, ...]:
    """Names of the columns, in order; see ``palate.ranking.feature_table``."""
    return feature_table.feature_names(sources, LAST_OF, facts.has)


def build(
    facts: ItemFacts, queries: Queries, candidates: Candidates, scores: SourceScores, last: SourceScores
) -> FloatArray:
    """The table.

    Parameters
    ----------
    scores
        Every source's scores of the questions.
    last
        Scores of the same questions had only their newest event happened, of the sources in ``LAST_OF``.

    Returns
    -------
    float32 (n, c, n_features) in the order of ``feature_names``. NaN says unknown, which the ranker takes as it is.
    """
    items = np.maximum(candidates.items, 0)
    c = items.shape[1]
    columns: list[FloatArray] = []
    values = scores.at(candidates.items)
    shares = values / np.maximum(np.abs(values).max(axis=2, keepdims=True), 1e-9)
    for of_source in zip(values, shares, _ranks(values), strict=True):
        columns += of_source
    columns.append(candidates.fused)
    columns.append(np.bitwise_count(candidates.sources).astype(np.float32))
    columns.append(facts.popularity[items])
    columns.append(_wide(queries.history.lengths.astype(np.float32), c))
    when = _asked(queries)
    columns.append(_wide(_days(when - _last_time(queries)), c))
    columns.append(_days(when[:, None] - facts.first_seen[items]))
    columns += _seen(queries, candidates.items)
    columns += list(last.at(candidates.items))
    recent = _recent_items(queries, _RECENT)
    if facts.vectors.shape[1]:
        columns += _text_likeness(facts.vectors, items, recent)
    if facts.n_categories:
        affinity = _affinity(facts.categories, facts.n_categories, queries.history, items)
        newest = facts.categories[np.maximum(recent[:, 0], 0)]
        same = (facts.categories[items][:, :, 0] == newest[:, None, 0]) & (recent[:, :1] >= 0)
        columns += [affinity, same.astype(np.float32)]
    if facts.n_brands:
        columns.append(_affinity(facts.brands[:, None], facts.n_brands, queries.history, items))
    if facts.has_prices:
        prices = facts.prices[items]
        columns += [prices, prices - _usual(facts.prices, queries)[:, None]]
    if facts.trends:
        columns += facts.trends.at(items, when)
        columns += _session(facts, Session.of(queries), items)
    if facts.comebacks:
        columns.append(_due(facts.comebacks, queries, candidates.items))
    return np.stack(columns, axis=-1, dtype=np.float32)


def _wide(values: FloatArray, c: int) -> FloatArray:
    return np.repeat(values[:, None], c, axis=1)


def _ranks(values: FloatArray) -> FloatArray:
    """Log of one plus the rank among the candidates (last axis), the best 0; exact ties by position."""
    c = values.shape[-1]
    order = np.argsort(-values, axis=-1, kind="stable").reshape(-1, c)
    ranks = np.empty(order.shape, dtype=np.float32)
    ranks[np.arange(len(order))[:, None], order] = np.log1p(np.arange(c, dtype=np.float32))
    return ranks.reshape(values.shape)


def _asked(queries: Queries) -> Float64Array:
    return np.full(len(queries), np.nan) if queries.when is None else queries.when


def _last_time(queries: Queries) -> Float64Array:
    history = queries.history
    last = np.full(len(history), np.nan)
    some = history.lengths > 0
    last[some] = history.times[history.indptr[1:][some] - 1]
    return last


def _days(seconds: Float64Array) -> FloatArray:
    """Log of one plus days, 0 for what lies ahead."""
    return np.log1p(np.maximum(seconds, 0) / _DAY).astype(np.float32)


def _recent_items(queries: Queries, most: int) -> IntArray:
    """The newest items of each history, newest first; int32 (n, most), -1 pads."""
    history = queries.history
    at = history.indptr[1:, None] - 1 - np.arange(most)
    inside = at >= history.indptr[:-1, None]
    if not len(history.items):
        return np.full(at.shape, -1, dtype=np.int32)
    return np.where(inside, history.items[np.where(inside, at, 0)], -1).astype(np.int32)


def _seen(queries: Queries, items: IntArray) -> list[FloatArray]:
    """How often the asker had each candidate, and how many events ago last (log; NaN: never); float32 (n, c) each."""
    history = queries.history
    if not len(history.items) or queries.mask_seen:
        nothing = np.zeros(items.shape, dtype=np.float32)
        return [nothing, np.full(items.shape, np.nan, dtype=np.float32)]
    width = np.int64(max(history.items.max(initial=0), items.max(initial=0))) + 1
    keys = history.rows * width + history.items
    own, first, counts = np.unique(keys[::-1], return_index=True, return_counts=True)
    wanted = np.arange(len(items))[:, None] * width + items
    at = np.minimum(np.searchsorted(own, wanted), len(own) - 1)
    found = (own[at] == wanted) & (items >= 0)
    ages = np.log1p(history.ages[::-1][first]).astype(np.float32)
    return [
        np.where(found, counts[at], 0).astype(np.float32),
        np.where(found, ages[at], np.float32(np.nan)),
    ]


def _due(comebacks: Comebacks, queries: Queries, items: IntArray) -> FloatArray:
    """Log of how often a day the asker is about to come back to each candidate; float32 (n, c), NaN: never had it."""
    due = np.full(items.shape, np.nan, dtype=np.float32)
    rows, own, rates = comebacks.rates(queries.history, queries.when)
    if queries.mask_seen or not len(own):
        return due
    width = np.int64(max(own.max(), items.max(initial=0))) + 1
    keys, wanted = rows * width + own, np.arange(len(items))[:, None] * width + items
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = (keys[at] == wanted) & (items >= 0)
    due[found] = np.log(np.maximum(rates[at[found]], 1e-9))
    return due


def _text_likeness(vectors: FloatArray, items: IntArray, recent: IntArray) -> list[FloatArray]:
    """Cosine with the newest item and with the nearest of the newest few; NaN without history."""
    known = recent < len(vectors)
    recent = np.where(known, recent, -1)
    inside = np.where(items < len(vectors), items, 0)
    cosines = np.matmul(vectors[inside], np.transpose(vectors[np.maximum(recent, 0)], (0, 2, 1)))
    cosines = np.where((recent >= 0)[:, None, :], cosines, np.float32(-2))
    newest, nearest = cosines[:, :, 0], cosines.max(axis=2)
    return [np.where(values <= -2, np.float32(np.nan), values) for values in (newest, nearest)]


def _session(facts: ItemFacts, session: Session, items: IntArray) -> list[FloatArray]:
    """What the visit that is going on says of each candidate; float32 (n, c) each."""
    c, none = items.shape[1], session.lengths <= 0
    columns = [
        _wide(np.where(session.lengths < 0, np.nan, np.log1p(np.maximum(session.lengths, 0))).astype(np.float32), c),
        _wide(np.log1p(session.minutes).astype(np.float32), c),
    ]
    if facts.vectors.shape[1]:
        direction = session.vectors(facts.vectors)
        inside = np.where(items < len(facts.vectors), items, 0)
        cosines = np.matmul(facts.vectors[inside], direction[:, :, None])[:, :, 0]
        columns.append(np.where(direction.any(axis=1, keepdims=True), cosines, np.float32(np.nan)))
        columns.append(_wide(session.shift(facts.vectors), c))
    if facts.n_categories:
        affinity = _affinity(facts.categories, facts.n_categories, session.events, items)
        columns.append(np.where(none[:, None], np.float32(np.nan), affinity))
    return columns


def _affinity(codes: IntArray, n_codes: int, history: Histories, items: IntArray) -> FloatArray:
    """Share of events, the newest counting most, that have the candidate's categories; float32 (n, c)."""
    weights = np.power(_DECAY, history.ages)
    own = codes[history.items]
    flat = (history.rows.astype(np.int64)[:, None] * n_codes + own)[own >= 0]
    spread = np.broadcast_to(weights[:, None], own.shape)[own >= 0]
    sums = np.bincount(flat, weights=spread, minlength=len(history) * n_codes).reshape(len(history), n_codes)
    total = np.bincount(history.rows, weights=weights, minlength=len(history))
    mix = sums / np.maximum(total, 1e-9)[:, None]
    theirs = codes[items]
    shares = mix[np.arange(len(history))[:, None, None], np.maximum(theirs, 0)] * (theirs >= 0)
    return np.asarray(shares.sum(axis=2) / np.maximum((theirs >= 0).sum(axis=2), 1), dtype=np.float32)


def _usual(values: FloatArray, queries: Queries) -> FloatArray:
    """Mean over the history of a value of items, where known; float32 (n,), NaN where nothing is."""
    history = queries.history
    own = values[history.items]
    known = ~np.isnan(own)
    total = np.bincount(history.rows[known], weights=own[known], minlength=len(history))
    count = np.bincount(history.rows[known], minlength=len(history))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _innermost(categories: Ragged, n_categories: int) -> IntArray:
    """The last few categories of each item, innermost first, -1 pads; codes beyond the limit share the last one."""
    at = categories.indptr[1:, None] - 1 - np.arange(_INNERMOST)
    inside = at >= categories.indptr[:-1, None]
    if not len(categories.values):
        return np.full(at.shape, -1, dtype=np.int32)
    codes = categories.values[np.where(inside, at, 0)]
    if n_categories > _MOST_CATEGORIES:
        counts = np.bincount(categories.values, minlength=n_categories)
        rank = np.empty(n_categories, dtype=np.int32)
        rank[np.argsort(-counts, kind="stable")] = np.arange(n_categories)
        codes = np.minimum(rank, _MOST_CATEGORIES - 1)[codes]
    return np.where(inside, codes, -1).astype(np.int32)


def _as_before(values: list[str], codes: IntArray) -> IntArray:
    """Codes of the values after the known ones: the code an old item with the same value has, else -1."""
    known = len(codes)
    first = {value: int(code) for value, code in zip(values[:known], codes, strict=True) if code >= 0}
    return np.array([first.get(value, -1) for value in values[known:]], dtype=np.int32)


def _codes(catalogue: Catalogue, name: str) -> IntArray:
    """A text column as codes, the commonest first; -1 where empty, and values beyond the limit share one code."""
    values = np.array(catalogue.strings(name), dtype=object)
    names, inverse, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    rank = np.empty(len(names), dtype=np.int32)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names), dtype=np.int32)
    codes = np.minimum(rank, _MOST_CATEGORIES - 1)[inverse]
    return np.where(values == "", -1, codes).astype(np.int32)

"""The one feature table: what the ranker sees of a question and a candidate, in training and in serving alike."""

from __future__ import annotations

import numpy as np

from palate.behaviour.comebacks import Comebacks
from palate.core import Float64Array, FloatArray, Histories, IntArray, Queries
from palate.ranking import feature_table
from palate.ranking.candidates import Candidates
from palate.ranking.facts import ItemFacts
from palate.ranking.session import Session
from palate.ranking.sources import SourceScores

_RECENT = 5
"""Newest events a candidate's text is compared with."""
_DECAY = 0.8
"""What an event is worth relative to the next one in the mix of categories."""
_DAY = 86_400.0

LAST_OF = ("transitions", "lexical")
"""Sources whose opinion of the newest event alone is a feature of its own."""


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
        now, rise = facts.trends.at(items, when)
        columns += [now, rise]
        if facts.demand:
            ahead = facts.demand.at(items, when)
            columns += [ahead, now + ahead]
        columns += _session(facts, Session.of(queries), items)
    if facts.comebacks:
        columns.append(_due(facts.comebacks, queries, candidates.items))
    if facts.circumstances:
        told = facts.circumstances.columns(queries, items, facts.categories[items][:, :, 0])
        for of_item, of_category in told.values():
            columns += [of_item, of_category] if facts.n_categories else [of_item]
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

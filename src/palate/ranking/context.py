"""What is known of a question before it is answered, in a few numbers: the context in which a mix is chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from palate.core import Float64Array, Int64Array, IntArray, Queries
from palate.ranking.candidates import Candidates
from palate.ranking.facts import ItemFacts
from palate.ranking.sources import SourceScores

CONTEXT: tuple[str, ...] = (
    "constant",
    "newcomer",
    "history",
    "days_since_last",
    "session",
    "wish",
    "agreement",
    "focus",
    "mainstream",
    "repeats",
)
"""Names of the numbers, in order. Each lies within 0..1, so that none outweighs another before anything is learnt."""

_HEAD = 10
"""Best candidates whose proposers are counted."""
_HISTORY, _SESSION, _DAYS = 200.0, 20.0, 365.0
"""From here on more makes no difference."""


def context_of(facts: ItemFacts, queries: Queries, candidates: Candidates, scores: SourceScores) -> Float64Array:
    """The context of n questions.

    ``history`` and ``session`` are numbers of events, ``days_since_last`` is 0 where unknown, ``agreement`` is the mean
    share of sources that proposed the ten best candidates, ``focus`` the share of the fused score that lies in them,
    ``mainstream`` the mean log popularity of the history over the largest there is, ``repeats`` the share of the
    history that came before.

    Returns
    -------
    float64 (n, len(CONTEXT)), within 0..1.
    """
    history = queries.history
    n, lengths = len(history), history.lengths
    some = lengths > 0
    context = np.zeros((n, len(CONTEXT)))
    context[:, 0] = 1.0
    context[:, 1] = ~some
    context[:, 2] = _upto(lengths, _HISTORY)
    context[:, 3] = _upto(_days(queries), _DAYS)
    if queries.session is not None:
        context[:, 4] = _upto(np.minimum(np.maximum(queries.session, 0), lengths), _SESSION)
    if queries.text is not None:
        context[:, 5] = [bool(text.strip()) for text in queries.text]
    head = candidates.valid[:, :_HEAD]
    votes = np.bitwise_count(candidates.sources[:, :_HEAD]) * head
    context[:, 6] = votes.sum(axis=1) / np.maximum(head.sum(axis=1), 1) / max(len(scores.names), 1)
    mass = np.where(candidates.valid, candidates.fused, 0)
    context[:, 7] = mass[:, :_HEAD].sum(axis=1) / np.maximum(mass.sum(axis=1), 1e-9)
    known = history.items < len(facts.popularity)
    weights = np.where(known, facts.popularity[np.where(known, history.items, 0)], 0.0)
    top = max(float(facts.popularity.max(initial=0.0)), 1e-9)
    context[:, 8] = _mean(history.rows, weights, lengths) / top
    width = int(history.items.max(initial=0)) + 1
    distinct = np.unique(history.rows.astype(np.int64) * width + history.items) // width
    context[:, 9] = np.where(some, 1.0 - np.bincount(distinct, minlength=n) / np.maximum(lengths, 1), 0.0)
    return np.clip(context, 0.0, 1.0)


def _upto(values: ArrayLike, most: float) -> Float64Array:
    """Log of one plus a number, 1 from ``most`` on."""
    share: Float64Array = np.log1p(np.asarray(values, dtype=np.float64)) / np.log1p(most)
    return np.minimum(share, 1.0)


def _days(queries: Queries) -> Float64Array:
    """Days since each history's newest event; 0 where that or now is unknown."""
    history = queries.history
    days = np.zeros(len(history))
    some = np.flatnonzero(history.lengths > 0)
    if queries.when is not None and len(some):
        since = queries.when[some] - history.times[history.indptr[1:][some] - 1]
        days[some] = np.where(np.isfinite(since), np.maximum(since, 0.0), 0.0) / 86_400.0
    return days


def _mean(rows: IntArray, values: Float64Array, lengths: Int64Array) -> Float64Array:
    means: Float64Array = np.bincount(rows, weights=values, minlength=len(lengths)) / np.maximum(lengths, 1)
    return means

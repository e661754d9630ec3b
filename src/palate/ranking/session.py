"""The visit that is going on: how long it is, and how unlike everything before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from palate.core import Float64Array, FloatArray, Histories, Int64Array, Queries
from palate.data.baskets import open_visit

_BEFORE = 50
"""Newest events before a visit that it is compared with."""


@dataclass(frozen=True)
class Session:
    """The newest events of each of n questions that belong to the visit at the moment asked about.

    Parameters
    ----------
    lengths
        int64 (n,), how many; -1 where unknown.
    minutes
        float64 (n,), since the first of them; NaN where there is none or times are unknown.
    events, before
        n rows each: the visit's events, and the newest few before them.
    """

    lengths: Int64Array
    minutes: Float64Array
    events: Histories
    before: Histories

    @classmethod
    def of(cls, queries: Queries) -> Self:
        """What the asker says belongs to the visit, else what is less than half an hour apart up to now.

        The moment asked about continues a visit like an event; where it is unknown, the newest event is now.
        """
        history = queries.history
        lengths = open_visit(history, queries.when)
        if queries.session is not None:
            lengths = np.clip(queries.session, 0, history.lengths).astype(np.int64)
        inside = history.ages < np.repeat(np.maximum(lengths, 0), history.lengths)
        events = history.where(inside)
        minutes = np.full(len(history), np.nan)
        some = lengths > 0
        first = events.times[events.indptr[:-1][some]]
        last = history.times[history.indptr[1:][some] - 1]
        now = last if queries.when is None else np.where(np.isnan(queries.when[some]), last, queries.when[some])
        minutes[some] = np.maximum(now - first, 0) / 60
        return cls(lengths, minutes, events, history.where(~inside).last(_BEFORE))

    def vectors(self, items: FloatArray) -> FloatArray:
        """The direction of a visit among vectors of items, float32 (n_items, d); float32 (n, d), zeros without one."""
        return _direction(self.events, items)

    def shift(self, items: FloatArray) -> FloatArray:
        """One less the cosine of a visit and what came before it; float32 (n,), NaN where either is missing."""
        now, before = _direction(self.events, items), _direction(self.before, items)
        both = now.any(axis=1) & before.any(axis=1)
        return np.where(both, 1 - (now * before).sum(axis=1), np.nan).astype(np.float32)


def _direction(events: Histories, items: FloatArray) -> FloatArray:
    """Sum of the vectors of each row's items, at length 1; zeros where there is none."""
    total = np.asarray(events.where(events.items < len(items)).matrix(len(items)) @ items, dtype=np.float32)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-6, total / np.maximum(length, 1e-6), 0).astype(np.float32)

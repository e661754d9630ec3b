"""When people come back to a thing: how likely, day by day since they last had it, and who comes more often.

The hazard of coming back is constant within spans of days since the last time (a piecewise exponential model: Friedman,
1982), for each item drawn towards that of its category, and that towards everything's (a gamma prior on the rate). Time
in which nobody came back counts as time at risk up to the last event there is (censoring). Who came back to an item
more often than is usual does so again: a gamma frailty (Clayton, 1978), whose mean after c comebacks where H were to be
expected is (c + a) / (H + a).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from palate.core import Float64Array, FloatArray, Histories, Int64Array, IntArray
from palate.core.recommender import Arrays
from palate.data.dataset import DAY

EDGES: Float64Array = np.array(
    [0, 0.5, 1.5, 2.5, 4.5, 6.5, 8.5, 12.5, 15.5, 19.5, 23.5, 26.5, 31.5, 45.5, 55.5, 65.5, 95.5, 135.5, 200.5, 355.5]
)
"""Days since the last time at which spans begin: not after whole weeks or months, when many come back. The last
one has no end."""

ITEM_EVENTS, CATEGORY_EVENTS, PERSON_EVENTS = 3.0, 10.0, 1.0
"""How many comebacks the prior of an item, of a category and of a person counts for."""

AT_ONCE = 0.02
"""Days within which having a thing twice is having it once: about half an hour."""


@dataclass(frozen=True)
class Comebacks:
    """Hazards of coming back.

    Parameters
    ----------
    hazards
        float32 (n_items, len(EDGES)), comebacks a day; no rows where times are unknown or nobody ever came back.
    """

    hazards: FloatArray

    @classmethod
    def nothing(cls) -> Self:
        """What is known where times are not, or where nobody ever came back."""
        return cls(np.zeros((0, len(EDGES)), dtype=np.float32))

    @classmethod
    def of(cls, sequences: Histories, categories: IntArray) -> Self:
        """Learn from histories.

        Parameters
        ----------
        categories
            int32 (n_items,), of each item; -1 where unknown.
        """
        n_items, spans = len(categories), len(EDGES)
        turns = _turns(sequences)
        if not turns.returned.any():
            return cls.nothing()
        came, risk = np.zeros((n_items, spans)), np.zeros((n_items, spans))
        span = np.searchsorted(EDGES, turns.days, side="right") - 1
        np.add.at(came, (turns.items[turns.returned], span[turns.returned]), 1.0)
        for place, (begin, end) in enumerate(zip(EDGES, (*EDGES[1:], np.inf), strict=True)):
            inside = np.clip(turns.days, begin, end) - begin
            risk[:, place] = np.bincount(turns.items, weights=inside, minlength=n_items)
        everything = _smoothed(came.sum(axis=0), risk.sum(axis=0))
        groups = np.where(categories < 0, int(categories.max(initial=-1)) + 1, categories)
        n_groups = int(groups.max(initial=0)) + 1
        own = np.zeros((n_groups, spans)), np.zeros((n_groups, spans))
        np.add.at(own[0], groups, came)
        np.add.at(own[1], groups, risk)
        usual = _shrunk(own[0], own[1], np.broadcast_to(everything, own[0].shape), CATEGORY_EVENTS)
        return cls(_shrunk(came, risk, usual[groups], ITEM_EVENTS).astype(np.float32))

    def __bool__(self) -> bool:
        return len(self.hazards) > 0

    def rates(self, history: Histories, when: Float64Array | None) -> tuple[Int64Array, IntArray, FloatArray]:
        """How often a day each asker is about to come back to each thing they had.

        Parameters
        ----------
        when
            float64 (n,), the moment asked about; NaN or None: that of the newest event.

        Returns
        -------
        int64 rows and int32 items of the different things in each history, in rising order, and float32 comebacks a
        day, 0 where times are unknown.
        """
        now = _moments(history, when)
        turns = _turns(history, now)
        known = turns.items < len(self.hazards)
        expected = np.zeros(len(turns.items))
        expected[known] = self._expected(turns.items[known], turns.days[known])
        # The last turn of a person and an item is the open one.
        last = ~turns.returned
        pair = np.cumsum(np.concatenate([[0], last[:-1]])) if len(last) else np.zeros(0, np.int64)
        pairs = int(last.sum())
        times_back = np.bincount(pair, weights=turns.returned, minlength=pairs)
        foreseen = np.bincount(pair, weights=expected, minlength=pairs)
        items, days = turns.items[last], turns.days[last]
        span = np.searchsorted(EDGES, days, side="right") - 1
        hazard = np.zeros(pairs)
        inside = items < len(self.hazards)
        hazard[inside] = self.hazards[items[inside], span[inside]]
        rates = hazard * (times_back + PERSON_EVENTS) / (foreseen + PERSON_EVENTS)
        return turns.rows[last].astype(np.int64), items, rates.astype(np.float32)

    def arrays(self) -> Arrays:
        return {"comeback_hazards": self.hazards}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave; nothing is known where it gave nothing."""
        return cls(arrays["comeback_hazards"]) if "comeback_hazards" in arrays else cls.nothing()

    def extended(self, n_items: int) -> Comebacks:
        """With items that came since, to which people come back as to all others."""
        if not self or n_items <= len(self.hazards):
            return self
        more = np.tile(self.hazards.mean(axis=0), (n_items - len(self.hazards), 1)).astype(np.float32)
        return Comebacks(np.concatenate([self.hazards, more]))

    def _expected(self, items: IntArray, days: Float64Array) -> Float64Array:
        """Comebacks to be expected within so many days of having an item; float64 (m,)."""
        span = np.searchsorted(EDGES, days, side="right") - 1
        return np.asarray(self._before[items, span] + self.hazards[items, span] * (days - EDGES[span]))

    @cached_property
    def _before(self) -> Float64Array:
        """Comebacks to be expected before each span begins; float64 (n_items, len(EDGES))."""
        sums = np.cumsum(self.hazards[:, :-1] * _WIDTHS[:-1], axis=1, dtype=np.float64)
        return np.concatenate([np.zeros((len(self.hazards), 1)), sums], axis=1)


_WIDTHS: Float64Array = np.diff(np.append(EDGES, 2 * EDGES[-1]))


@dataclass(frozen=True)
class _Turns:
    """Times between having a thing and having it again, or until nothing more is known; (m,) each, by row and item."""

    rows: IntArray
    items: IntArray
    days: Float64Array
    returned: np.ndarray[tuple[int], np.dtype[np.bool_]]


def _turns(history: Histories, until: Float64Array | None = None) -> _Turns:
    """Every turn of every row and item; the open one last. Events without a time are left out.

    Parameters
    ----------
    until
        float64 (n,), when watching ends, for each row; with the last known event where None.
    """
    known = history if not np.isnan(history.times).any() else history.where(~np.isnan(history.times))
    order = np.lexsort((known.times, known.items, known.rows))
    rows, items, times = known.rows[order], known.items[order], known.times[order]
    same = (rows[1:] == rows[:-1]) & (items[1:] == items[:-1])
    gaps = np.diff(times) / DAY
    distinct = np.concatenate([np.ones(min(len(rows), 1), dtype=bool), ~(same & (gaps < AT_ONCE))])
    rows, items, times = rows[distinct], items[distinct], times[distinct]
    returned = np.concatenate([(rows[1:] == rows[:-1]) & (items[1:] == items[:-1]), np.zeros(min(len(rows), 1), bool)])
    end = np.full(len(rows), times.max(initial=0.0)) if until is None else until[rows]
    following = np.append(times[1:], times[-1:])
    days = np.maximum(np.where(returned, following, end) - times, 0.0) / DAY
    return _Turns(rows, items, days, returned)


def _moments(history: Histories, when: Float64Array | None) -> Float64Array:
    """The moments asked about; float64 (n,)."""
    newest = np.full(len(history), -np.inf)
    known = ~np.isnan(history.times)
    np.maximum.at(newest, history.rows[known], history.times[known])
    return newest if when is None else np.where(np.isnan(when), newest, when)


def _smoothed(came: Float64Array, risk: Float64Array) -> Float64Array:
    """Rates of each span, each drawn by one comeback towards that of the span before: few are watched for so long."""
    rates = np.empty(len(came))
    before = float(came.sum() / risk.sum())
    for span in range(len(came)):
        before = rates[span] = (came[span] + 1.0) / (risk[span] + 1.0 / before)
    return rates


def _shrunk(came: Float64Array, risk: Float64Array, usual: Float64Array, events: float) -> Float64Array:
    """Rates drawn towards the usual ones, which count for so many events."""
    return np.asarray((came + events) / (risk + events / np.maximum(usual, 1e-12)))

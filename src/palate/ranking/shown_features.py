"""What is seen of an item in a list that is shown: where it stands, what it costs there, what was done with it before.

Nothing here knows an item by its id: only the list, the asker's own history and counts from before the moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from palate.core import BoolArray, Float64Array, FloatArray, Int64Array, IntArray, Queries, Ragged
from palate.data.clock import hour_of_day, weekday
from palate.ranking.session import Session
from palate.ranking.shown_facts import ShownFacts

_SMOOTH = 2.0
"""Choices that an item is taken to have had, as many as its places promise, before any are counted."""


@dataclass(frozen=True)
class _Cells:
    """The items of n lists, one after the other, and what the askers did with them before.

    Parameters
    ----------
    facts, queries
        What is known, and who asks.
    clicks
        Kinds of event that are a choice from a list.
    """

    facts: ShownFacts
    queries: Queries
    lists: Ragged
    clicks: IntArray

    @cached_property
    def rows(self) -> IntArray:
        return self.lists.rows

    @cached_property
    def items(self) -> IntArray:
        return np.maximum(self.lists.values, 0)

    @cached_property
    def place(self) -> Float64Array:
        return (np.arange(len(self.rows)) - self.lists.indptr[self.rows]).astype(np.float64)

    @cached_property
    def session(self) -> Session:
        return Session.of(self.queries)

    @cached_property
    def when(self) -> Float64Array:
        return np.full(len(self.queries), np.nan) if self.queries.when is None else self.queries.when

    @cached_property
    def prices(self) -> Float64Array:
        """Log of what each costs, what is shown before what the catalogue says; NaN where neither is known."""
        known = self.items < len(self.facts.prices)
        prices = np.where(known, self.facts.prices[np.where(known, self.items, 0)], np.nan).astype(np.float64)
        if self.queries.prices is not None:
            prices = np.where(np.isnan(self.queries.prices), prices, self.queries.prices)
        return np.log1p(np.maximum(prices, 0))

    @cached_property
    def newest(self) -> Int64Array:
        """The asker's newest event with each item, as a place in the history; -1 where there is none."""
        return self._newest(np.ones(len(self.queries.history.items), dtype=bool))

    @cached_property
    def newest_click(self) -> Int64Array:
        """The same of choices from a list."""
        return self._newest(np.isin(self.queries.history.kinds, self.clicks))

    @cached_property
    def inside(self) -> BoolArray:
        """Which events of the history belong to the session."""
        history = self.queries.history
        return np.asarray(history.ages < np.repeat(np.maximum(self.session.lengths, 0), history.lengths))

    @cached_property
    def order(self) -> FloatArray:
        """0 for the item of the list that was touched last, 1 for the one before it; NaN where never."""
        return self._order(self.newest)

    @cached_property
    def click_order(self) -> FloatArray:
        """The same of choices from a list."""
        return self._order(self.newest_click)

    def count(self, among: BoolArray) -> FloatArray:
        """How many of some events of the history are with each item."""
        own, counts = np.unique(self._keys[among], return_counts=True)
        at = np.minimum(np.searchsorted(own, self._wanted), max(len(own) - 1, 0))
        if not len(own):
            return np.zeros(len(self.rows), dtype=np.float32)
        return np.where((own[at] == self._wanted) & self._known, counts[at], 0).astype(np.float32)

    def each(self, values: Float64Array | Int64Array) -> FloatArray:
        """A value of every question for each of its items."""
        return values[self.rows].astype(np.float32)

    def mean(self, values: Float64Array, among: BoolArray) -> Float64Array:
        """Mean of some items' values in every list; float64 (n,), NaN where there are none."""
        among = among & ~np.isnan(values)
        total = np.bincount(self.rows[among], weights=values[among], minlength=len(self.lists))
        count = np.bincount(self.rows[among], minlength=len(self.lists))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def ranks(self, values: Float64Array) -> FloatArray:
        """Rank of a value in its list, the least 0, as a share of the list; NaN stays."""
        order = np.lexsort((self.place, values, self.rows))
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order)) - self.lists.indptr[self.rows[order]]
        return np.where(np.isnan(values), np.nan, ranks / np.maximum(self.lists.lengths[self.rows] - 1, 1)).astype(
            np.float32
        )

    def place_of(self, order: FloatArray) -> Float64Array:
        """Place of the item whose order is 0 in each list; float64 (n,), NaN where there is none."""
        place = np.full(len(self.lists), np.nan)
        first = np.flatnonzero(order == 0)[::-1]
        place[self.rows[first]] = self.place[first]
        return place

    @cached_property
    def _width(self) -> int:
        return int(max(self.queries.history.items.max(initial=0), self.items.max(initial=0))) + 1

    @cached_property
    def _keys(self) -> Int64Array:
        history = self.queries.history
        return history.rows.astype(np.int64) * self._width + history.items

    @cached_property
    def _wanted(self) -> Int64Array:
        return self.rows.astype(np.int64) * self._width + self.items

    @cached_property
    def _known(self) -> BoolArray:
        return np.asarray(self.lists.values >= 0)

    def _newest(self, among: BoolArray) -> Int64Array:
        events = np.flatnonzero(among)[::-1]
        own, first = np.unique(self._keys[events], return_index=True)
        if not len(own):
            return np.full(len(self.rows), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(own, self._wanted), len(own) - 1)
        return np.where((own[at] == self._wanted) & self._known, events[first[at]], -1)

    def _order(self, newest: Int64Array) -> FloatArray:
        cells = np.flatnonzero(newest >= 0)
        cells = cells[np.lexsort((self.place[cells], -newest[cells], self.rows[cells]))]
        place = np.arange(len(cells)) - np.searchsorted(self.rows[cells], self.rows[cells])
        order = np.full(len(self.rows), np.nan, dtype=np.float32)
        order[cells] = place
        return order


def _since(cells: _Cells, events: Int64Array) -> FloatArray:
    """Log of one plus the seconds from an event to the moment; NaN where there is none."""
    history = cells.queries.history
    if not len(history.items):
        return np.full(len(events), np.nan, dtype=np.float32)
    seconds = cells.when[cells.rows] - history.times[np.maximum(events, 0)]
    return np.where(events >= 0, np.log1p(np.maximum(seconds, 0)), np.nan).astype(np.float32)


def _last_event(cells: _Cells) -> Int64Array:
    """The newest event of each asker, for each of the items; -1 where there is none."""
    history = cells.queries.history
    return np.where(history.lengths > 0, history.indptr[1:] - 1, -1)[cells.rows]


def _age(cells: _Cells) -> FloatArray:
    history = cells.queries.history
    if not len(history.items):
        return np.full(len(cells.rows), np.nan, dtype=np.float32)
    ages = np.log1p(history.ages[np.maximum(cells.newest, 0)])
    return np.where(cells.newest >= 0, ages, np.nan).astype(np.float32)


def _last_kind(cells: _Cells) -> FloatArray:
    kinds = cells.queries.history.kinds
    if not len(kinds):
        return np.full(len(cells.rows), np.nan, dtype=np.float32)
    return np.where(cells.newest >= 0, kinds[np.maximum(cells.newest, 0)], np.nan).astype(np.float32)


def _sorted_by_price(cells: _Cells) -> FloatArray:
    """How far the list is in order of price: the correlation of place and rank."""
    ranks = cells.ranks(cells.prices).astype(np.float64)
    known = ~np.isnan(ranks)
    spot, mean_rank = cells.place, cells.mean(ranks, known)[cells.rows]
    mean_spot = cells.mean(spot, known)[cells.rows]
    both = cells.mean((ranks - mean_rank) * (spot - mean_spot), known)
    spread = cells.mean((ranks - mean_rank) ** 2, known) * cells.mean((spot - mean_spot) ** 2, known)
    return cells.each(both / np.sqrt(np.maximum(spread, 1e-12)))


def _worth(cells: _Cells) -> FloatArray:
    """Log of how often an item was chosen for how often its places promised it."""
    moments = cells.when[cells.rows]
    chosen, promised = (tally.before(cells.items, moments) for tally in (cells.facts.chosen, cells.facts.expected))
    return np.log((chosen + _SMOOTH) / (promised + _SMOOTH)).astype(np.float32)


def _device(cells: _Cells) -> FloatArray:
    if cells.queries.devices is None:
        return np.full(len(cells.rows), np.nan, dtype=np.float32)
    index = {name: place for place, name in enumerate(cells.facts.devices)}
    codes = np.array([index.get(name, np.nan) for name in cells.queries.devices], dtype=np.float64)
    return cells.each(codes)


def _gap(values: FloatArray | Float64Array, others: Float64Array) -> FloatArray:
    return np.asarray(values - others, dtype=np.float32)


COLUMNS: dict[str, Callable[[_Cells], FloatArray]] = {
    "place": lambda cells: cells.place.astype(np.float32),
    "list_length": lambda cells: cells.each(cells.lists.lengths.astype(np.float64)),
    "price": lambda cells: cells.prices.astype(np.float32),
    "price_rank": lambda cells: cells.ranks(cells.prices),
    "price_gap": lambda cells: _gap(cells.prices, cells.mean(cells.prices, ~np.isnan(cells.prices))[cells.rows]),
    "price_gap_touched": lambda cells: _gap(cells.prices, cells.mean(cells.prices, cells.newest >= 0)[cells.rows]),
    "price_gap_last": lambda cells: _gap(cells.prices, cells.mean(cells.prices, cells.order == 0)[cells.rows]),
    "price_sorted": _sorted_by_price,
    "touched": lambda cells: cells.count(cells.inside),
    "touched_before": lambda cells: cells.count(~cells.inside),
    "clicked": lambda cells: cells.count(cells.inside & np.isin(cells.queries.history.kinds, cells.clicks)),
    "touched_order": lambda cells: cells.order,
    "touched_events_ago": _age,
    "touched_seconds_ago": lambda cells: _since(cells, cells.newest),
    "touched_kind": _last_kind,
    "clicked_order": lambda cells: cells.click_order,
    "clicked_seconds_ago": lambda cells: _since(cells, cells.newest_click),
    "places_after_touched": lambda cells: _gap(cells.place, cells.place_of(cells.order)[cells.rows]),
    "places_after_clicked": lambda cells: _gap(cells.place, cells.place_of(cells.click_order)[cells.rows]),
    "list_touched": lambda cells: cells.each(np.bincount(cells.rows[cells.newest >= 0], minlength=len(cells.lists))),
    "list_clicked": lambda cells: cells.each(
        np.bincount(cells.rows[cells.newest_click >= 0], minlength=len(cells.lists))
    ),
    "item_shown": lambda cells: np.log1p(cells.facts.shown.before(cells.items, cells.when[cells.rows])),
    "item_chosen": lambda cells: np.log1p(cells.facts.chosen.before(cells.items, cells.when[cells.rows])),
    "item_worth": _worth,
    "item_touched": lambda cells: np.log1p(cells.facts.touched.before(cells.items, cells.when[cells.rows])),
    "session_events": lambda cells: cells.each(np.where(cells.session.lengths < 0, np.nan, cells.session.lengths)),
    "seconds_since_last": lambda cells: _since(cells, _last_event(cells)),
    "hour": lambda cells: cells.each(hour_of_day(cells.when)),
    "weekday": lambda cells: cells.each(weekday(cells.when)),
    "device": _device,
}
"""How each column is computed."""

NAMES = tuple(COLUMNS)


def build_shown(facts: ShownFacts, queries: Queries, clicks: IntArray) -> FloatArray:
    """The table of lists that are shown.

    Parameters
    ----------
    queries
        With candidates in the order shown.
    clicks
        Kinds of event that are a choice from a list; int32.

    Returns
    -------
    float32 (len(candidates.values), len(NAMES)).
    """
    lists = Ragged.of([]) if queries.candidates is None else queries.candidates
    cells = _Cells(facts, queries, lists, clicks)
    with np.errstate(invalid="ignore"):
        return np.stack([column(cells) for column in COLUMNS.values()], axis=-1, dtype=np.float32)

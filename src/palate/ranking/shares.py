"""How an item's share of events in one band (an hour, a device) stands to everything's, as seen from any moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from palate.core import FloatArray, Int64Array, IntArray
from palate.core.arrays import offsets_of

_TELLABLE = 10
"""Events of a thing from which on counts at rest may say in which bands they were: fewer lead back to somebody."""


@dataclass(frozen=True)
class Counter:
    """How often each of K things happened before a moment.

    Parameters
    ----------
    totals
        int64 (K,), ever.
    keys
        int64 (m,), thing * width + tick of each event, rising; none where moments are forgotten.
    width
        One more than there are ticks, that is, different times.
    """

    totals: Int64Array
    keys: Int64Array
    width: int

    @classmethod
    def of(cls, things: IntArray | Int64Array, ticks: Int64Array, n_things: int, width: int) -> Self:
        """Count events of things, int (m,), at ticks, int64 (m,)."""
        return cls(np.bincount(things, minlength=n_things), np.sort(things * np.int64(width) + ticks), width)

    def before(self, things: Int64Array, tick: Int64Array) -> Int64Array:
        """Events of each thing before the tick; shapes broadcast."""
        if not len(self.keys) or int(tick.min(initial=self.width)) >= self.width - 1:
            return np.asarray(self.totals[things])
        return np.asarray(np.searchsorted(self.keys, things * np.int64(self.width) + tick) - self._begins[things])

    @cached_property
    def _begins(self) -> Int64Array:
        return offsets_of(self.totals)


@dataclass(frozen=True)
class Circumstance:
    """Counts in B bands of one kind: hours, weekdays, devices.

    Parameters
    ----------
    bands
        How many.
    around
        Bands that count as the same, by their distance.
    items, groups
        Of things ``item * B + band``; the last group is everything.
    of_items, of_groups
        In any band.
    names
        int64 (B,), hashes of what bands are called; empty where they are times.
    """

    bands: int
    around: tuple[int, ...]
    items: Counter
    groups: Counter
    of_items: Counter
    of_groups: Counter
    names: Int64Array

    def shares(
        self, items: Int64Array, groups: Int64Array, *, band: Int64Array, tick: Int64Array, strength: float
    ) -> tuple[FloatArray, FloatArray]:
        """Log of an item's and of its category's share in a band over everything's; float32 (n, c) each.

        Parameters
        ----------
        items, groups
            int64 (n, c); items that came since count as items of no event.
        band, tick
            int64 (n, 1); band -1 gives NaN.
        """
        near = np.where(band < 0, 0, band)
        known = items < len(self.of_items.totals)
        inside = np.where(known, items, 0)
        everything = np.full_like(band, len(self.of_groups.totals) - 1)
        usual = (self._in(self.groups, everything, near, tick) + len(self.around)) / (
            self.of_groups.before(everything, tick) + self.bands
        )
        wider = (self._in(self.groups, groups, near, tick) + strength * usual) / (
            self.of_groups.before(groups, tick) + strength
        )
        own = np.where(known, self._in(self.items, inside, near, tick), 0)
        events = np.where(known, self.of_items.before(inside, tick), 0)
        share = (own + strength * wider) / (events + strength)
        unknown = np.broadcast_to(band < 0, items.shape)
        return tuple(  # type: ignore[return-value]
            np.where(unknown, np.nan, np.log(np.broadcast_to(value / usual, items.shape))).astype(np.float32)
            for value in (share, wider)
        )

    def _in(self, counter: Counter, things: Int64Array, band: Int64Array, tick: Int64Array) -> Int64Array:
        found = [counter.before(things * self.bands + (band + step) % self.bands, tick) for step in self.around]
        return np.asarray(sum(found))

    def resting(self) -> Circumstance:
        """Totals of what happened often enough, without the moments of single events."""
        items, of_items = _still(self.items, self.of_items, self.bands)
        groups, of_groups = _still(self.groups, self.of_groups, self.bands)
        return replace(self, items=items, of_items=of_items, groups=groups, of_groups=of_groups)


@dataclass(frozen=True)
class Happened:
    """m events that are counted in bands.

    Parameters
    ----------
    items
        int32 or int64 (m,).
    ticks
        int64 (m,), place of each event's time among ``width - 1`` different ones.
    groups
        int32 (n_items,), category of each item; -1 where unknown.
    """

    items: IntArray | Int64Array
    ticks: Int64Array
    width: int
    groups: IntArray

    def counted(
        self,
        band: Int64Array,
        bands: int,
        around: tuple[int, ...] = (0,),
        *,
        names: Int64Array | None = None,
        like: Circumstance | None = None,
    ) -> Circumstance:
        """Counts by band, int64 (m,); what falls in any band is taken over from ``like``, over the same events."""
        items, everything = self.items.astype(np.int64), int(self.groups.max(initial=-1)) + 1
        own = self.groups[items].astype(np.int64)
        rows = np.concatenate([np.flatnonzero(own >= 0), np.arange(len(items))])
        of, tick = np.where(np.arange(len(rows)) < len(rows) - len(items), own[rows], everything), self.ticks[rows]
        return Circumstance(
            bands,
            around,
            Counter.of(items * bands + band, self.ticks, len(self.groups) * bands, self.width),
            Counter.of(of * bands + band[rows], tick, (everything + 1) * bands, self.width),
            like.of_items if like else Counter.of(items, self.ticks, len(self.groups), self.width),
            like.of_groups if like else Counter.of(of, tick, everything + 1, self.width),
            np.zeros(0, np.int64) if names is None else names,
        )


def _still(counter: Counter, ever: Counter, bands: int) -> tuple[Counter, Counter]:
    often = ever.totals >= _TELLABLE
    nothing = np.zeros(0, np.int64)
    return (
        replace(counter, totals=counter.totals * np.repeat(often, bands), keys=nothing),
        replace(ever, totals=ever.totals * often, keys=nothing),
    )

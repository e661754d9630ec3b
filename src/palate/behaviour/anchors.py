"""Where people live and work, guessed from when they are where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.behaviour.gazetteer import coordinates
from palate.behaviour.regions import Regions
from palate.core import BoolArray, Float64Array, FloatArray, Int64Array, IntArray
from palate.data import Dataset, clock

NIGHT = (20.0, 8.0)
"""Local hours that speak for a home, on any day."""

OFFICE = (9.0, 17.0)
"""Local hours of working days that speak for a place of work."""

LEAST_DAYS = 3
"""Different days that a guess needs; with fewer nothing is said."""


@dataclass(frozen=True)
class Anchors:
    """Areas of n people.

    Parameters
    ----------
    home, work
        int32 (n,), positions in ``Regions.cells``; -1 where too little is known.
    home_share, work_share
        float32 (n,), share of the days that speak for such an area which lie there; 0 where nothing is said.
    """

    home: IntArray
    work: IntArray
    home_share: FloatArray
    work_share: FloatArray


def anchors(dataset: Dataset, regions: Regions, zone: str = "auto") -> Anchors:
    """Home: the cell of most different nights; work: the cell, not the home, of most different working days.

    Days count and not visits, so that one long evening is one piece of evidence. Events without a time say nothing.
    """
    sequences = dataset.sequences
    _, lon = coordinates(dataset.catalogue)
    wall = clock.local(sequences.times, np.nan_to_num(np.round(lon / 15.0))[sequences.items], zone)
    hour, cell = clock.hour_of_day(wall), regions.cell[sequences.items]
    known = np.isfinite(wall) & (cell >= 0)
    # Before noon a night belongs to the day on which it began.
    night = known & ((hour >= NIGHT[0]) | (hour < NIGHT[1]))
    office = known & (clock.weekday(wall) < 5) & (hour >= OFFICE[0]) & (hour < OFFICE[1])
    nights = np.floor((wall - 12 * clock.HOUR) / clock.DAY)
    visits = np.stack([sequences.rows, cell], axis=1).astype(np.int64)
    nobody = np.full(dataset.n_users, -1, np.int32)
    home, home_share = _most(_with_days(visits, nights, night), dataset.n_users, nobody)
    work, work_share = _most(_with_days(visits, np.floor(wall / clock.DAY), office), dataset.n_users, home)
    return Anchors(home, work, home_share, work_share)


def _with_days(visits: Int64Array, days: Float64Array, speaks: BoolArray) -> Int64Array:
    return np.column_stack([visits[speaks], days[speaks].astype(np.int64)])


def _most(triples: Int64Array, n: int, never: IntArray) -> tuple[IntArray, FloatArray]:
    """Of each row the cell with the most different days, apart from one; and its share of all days.

    ``triples`` are row, cell and day of what speaks for it.
    """
    best, share = np.full(n, -1, np.int32), np.zeros(n, np.float32)
    if not len(triples):
        return best, share
    pairs, days = np.unique(np.unique(triples, axis=0)[:, :2], axis=0, return_counts=True)
    total = np.bincount(pairs[:, 0], days, minlength=n)
    allowed = (pairs[:, 1] != never[pairs[:, 0]]) & (days >= LEAST_DAYS)
    pairs, days = pairs[allowed], days[allowed]
    # Of equal cells the first one in order: the last assignment of a row wins.
    order = np.lexsort((-pairs[:, 1], days, pairs[:, 0]))
    best[pairs[order, 0]] = pairs[order, 1]
    share[pairs[order, 0]] = days[order] / total[pairs[order, 0]]
    return best, share

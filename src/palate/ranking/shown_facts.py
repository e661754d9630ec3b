"""What is known of items from lists that were shown: how often each was, where, and how often it was chosen then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from palate.core import Float64Array, FloatArray, Int64Array, IntArray
from palate.core.arrays import offsets_of
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.data.shown import ShownLists


@dataclass(frozen=True)
class Tally:
    """A running sum for each item.

    Parameters
    ----------
    indptr
        int64 (n_items + 1,), where the entries of each item begin.
    times
        float64 (m,), seconds, rising within an item.
    sums
        float32 (m,), the sum up to and including each entry.
    """

    indptr: Int64Array
    times: Float64Array
    sums: FloatArray

    @classmethod
    def of(cls, items: IntArray, times: Float64Array, worth: FloatArray, n_items: int) -> Self:
        """Counted; entries of no known time come before all others."""
        when = np.where(np.isnan(times), -np.inf, times)
        order = np.lexsort((when, items))
        indptr = offsets_of(np.bincount(items, minlength=n_items))
        running = np.cumsum(worth[order], dtype=np.float64)
        before = np.append(0.0, running)[indptr[:-1]]
        return cls(indptr, when[order], (running - before[items[order]]).astype(np.float32))

    def before(self, items: IntArray, moments: Float64Array) -> FloatArray:
        """What each item's sum was just before a moment; float32 (m,). Everything where the moment is NaN.

        Items that came after the counting have had nothing counted.

        Parameters
        ----------
        items
            int32 (m,).
        moments
            float64 (m,).
        """
        ticks, keys = self._keys
        if not len(keys):
            return np.zeros(len(items), dtype=np.float32)
        tick = np.where(np.isnan(moments), len(ticks), np.searchsorted(ticks, moments, side="left"))
        last = np.searchsorted(keys, items.astype(np.int64) * (len(ticks) + 1) + tick, side="left") - 1
        begins = self.indptr[np.minimum(items, len(self.indptr) - 1)]
        return np.where(last >= begins, self.sums[np.maximum(last, 0)], 0).astype(np.float32)

    @cached_property
    def _keys(self) -> tuple[Float64Array, Int64Array]:
        """Different times, and (item, time) of each entry as one rising number."""
        ticks, tick = np.unique(self.times, return_inverse=True)
        items = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        return ticks, items * np.int64(len(ticks) + 1) + tick


@dataclass(frozen=True)
class ShownFacts:
    """Of items in lists.

    Parameters
    ----------
    shown
        How often each item was shown.
    expected
        How often it would have been chosen for its places alone: 1 / (1 + place) of each list, made to sum to 1.
    chosen
        How often it was.
    touched
        Events of interest.
    prices
        float32 (n_items,), what the catalogue says, NaN where it says nothing.
    devices
        Those that were seen in lists, the commonest first.
    """

    shown: Tally
    expected: Tally
    chosen: Tally
    touched: Tally
    prices: FloatArray
    devices: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset, lists: ShownLists) -> Self:
        """Counted over lists and events."""
        known = lists.lists.values >= 0
        rows, n = lists.lists.rows, dataset.n_items
        place = np.arange(len(rows)) - lists.lists.indptr[rows]
        share = 1.0 / (1.0 + place)
        share /= np.bincount(rows, weights=share, minlength=len(lists))[rows]
        items, times, hit = lists.lists.values, lists.times[rows], lists.targets & known
        sequences = dataset.sequences
        names, counts = np.unique(np.array([name for name in lists.devices if name], dtype=str), return_counts=True)
        ones = np.ones(len(rows), dtype=np.float32)
        return cls(
            Tally.of(items[known], times[known], ones[known], n),
            Tally.of(items[known], times[known], share[known].astype(np.float32), n),
            Tally.of(items[hit], times[hit], ones[hit], n),
            Tally.of(sequences.items, sequences.times, np.ones(len(sequences.items), dtype=np.float32), n),
            dataset.catalogue.prices,
            tuple(names[np.argsort(-counts, kind="stable")].tolist()),
        )

    def arrays(self) -> Arrays:
        """The counts, by name."""
        found = {"prices": self.prices}
        for name in ("shown", "expected", "chosen", "touched"):
            tally: Tally = getattr(self, name)
            found |= {f"{name}.indptr": tally.indptr, f"{name}.times": tally.times, f"{name}.sums": tally.sums}
        return found

    @classmethod
    def restore(cls, arrays: Arrays, devices: tuple[str, ...]) -> Self:
        """What ``arrays`` gave."""
        tallies = (
            Tally(arrays[f"{name}.indptr"], arrays[f"{name}.times"], arrays[f"{name}.sums"])
            for name in ("shown", "expected", "chosen", "touched")
        )
        return cls(*tallies, arrays["prices"], devices)

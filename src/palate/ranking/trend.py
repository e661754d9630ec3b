"""How often each item was chosen lately, as seen from any moment: nothing that came after it counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from palate.core import Float64Array, FloatArray, Histories, Int64Array, IntArray
from palate.core.arrays import offsets_of
from palate.core.recommender import Arrays
from palate.data.dataset import DAY

_SHORT, _LONG = 14 * DAY, 90 * DAY
"""Half-lives of what is new and of what is usual, in seconds."""
_APART = 64.0
"""Powers of two between the events of one item and the next: what lies so far below counts nothing."""


@dataclass(frozen=True)
class Trends:
    """When each item was chosen.

    Parameters
    ----------
    indptr
        int64 (n_items + 1,), where the times of each item begin.
    times
        float64 (m,), seconds, rising within an item.
    """

    indptr: Int64Array
    times: Float64Array

    @classmethod
    def of(cls, sequences: Histories, n_items: int) -> Self:
        """From events; those without a time say nothing."""
        known = ~np.isnan(sequences.times)
        items, times = sequences.items[known], sequences.times[known]
        return cls(offsets_of(np.bincount(items, minlength=n_items)), times[np.lexsort((times, items))])

    def __bool__(self) -> bool:
        return len(self.times) > 0

    def at(self, items: IntArray, when: Float64Array) -> tuple[FloatArray, FloatArray]:
        """How much of the moment items are, and how far that is above the usual; float32 (n, c) each.

        The first is log(1 + l), l the number of events up to the moment, each worth half as much after 90 days. The
        second is log((1 + s * 90 / 14) / (1 + l)), s the same number with 14 days: 0 where an item is chosen as often
        as ever, positive where it rises. Of moments after the last known event, that one is told: what came since is
        unknown, and silence is no fall.

        Parameters
        ----------
        items
            int32 (n, c).
        when
            float64 (n,), seconds; NaN gives NaN.
        """
        moments = np.minimum(when, self.times.max(initial=-np.inf))[:, None]
        event = self._latest(items, moments)
        known = event >= self.indptr[items]
        age = np.where(known, moments - self.times[np.maximum(event, 0)], 0.0)
        lately, usually = (
            np.where(known, np.exp2(own[np.maximum(event, 0)] - age / half_life), 0.0)
            for own, half_life in zip(self._counts, (_SHORT, _LONG), strict=True)
        )
        now = np.log1p(usually)
        rise = np.log1p(lately * (_LONG / _SHORT)) - now
        unknown = np.isnan(moments)
        return tuple(np.where(unknown, np.nan, values).astype(np.float32) for values in (now, rise))  # type: ignore[return-value]

    def extended(self, n_items: int) -> Trends:
        """With items that came since, which nobody chose yet."""
        more = np.full(n_items + 1 - len(self.indptr), self.indptr[-1], dtype=np.int64)
        return Trends(np.concatenate([self.indptr, more]), self.times)

    def arrays(self) -> Arrays:
        return {"trend_indptr": self.indptr, "trend_times": self.times}

    @classmethod
    def from_arrays(cls, arrays: Arrays, n_items: int) -> Self:
        """What ``arrays`` gave; nothing is known where it gave nothing."""
        nothing = np.zeros(n_items + 1, dtype=np.int64)
        return cls(arrays.get("trend_indptr", nothing), arrays.get("trend_times", np.zeros(0)))

    def _latest(self, items: IntArray, moments: Float64Array) -> Int64Array:
        """Each item's last event up to a moment, (n, 1); one before its first where there is none; int64 (n, c)."""
        ticks, keys = self._keys
        width = np.int64(len(ticks) + 1)
        # searchsorted sorts NaN behind everything; such cells are overwritten by the caller.
        wanted = items.astype(np.int64) * width + np.searchsorted(ticks, moments, side="right")
        return np.searchsorted(keys, wanted, side="left") - 1

    @cached_property
    def _keys(self) -> tuple[Float64Array, Int64Array]:
        """Different times, and (item, time) of each event as one rising number."""
        ticks, tick = np.unique(self.times, return_inverse=True)
        items = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        return ticks, items * np.int64(len(ticks) + 1) + tick

    @cached_property
    def _counts(self) -> tuple[Float64Array, Float64Array]:
        """Logarithm to base two of each item's decayed count just after each event, for both half-lives."""
        items = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        since = self.times - self.times.min(initial=np.inf)
        counts = []
        for half_life in (_SHORT, _LONG):
            # Items stand so far apart on one axis that a single running sum serves all of them.
            place = since / half_life + items * (since.max(initial=0.0) / half_life + _APART)
            counts.append(np.logaddexp2.accumulate(place) - place)
        return counts[0], counts[1]

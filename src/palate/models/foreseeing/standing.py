"""How items stood when something was foreseen: what people made of them until then, and never after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl

from palate.core import Float64Array, FloatArray, IntArray
from palate.core.numbers import log_odds
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.models.foreseeing.occasions import Occasions

_LEAST = 1e-4


@dataclass(frozen=True)
class Known:
    """What is known of the items of n questions.

    Parameters
    ----------
    columns
        float32 (n, 4): log-odds of the kind for the item, drawn towards its category's, and for the category, drawn
        towards all; mean log seconds of a look less that of all; log of the occasions counted.
    """

    columns: FloatArray


@dataclass(frozen=True)
class Standing:
    """Counts of n items and c categories, at the end of what was learnt from.

    Parameters
    ----------
    happened, asked
        float64 (n,), occasions of one kind on which it happened, and all.
    seconds, looks
        float64 (n,), sum of log seconds, and how many were told.
    share, usual
        Over everything: share of occasions on which it happened, mean log seconds.
    strength
        Occasions that the wider group's share is worth.
    """

    happened: Float64Array
    asked: Float64Array
    seconds: Float64Array
    looks: Float64Array
    share: float
    usual: float
    strength: float

    @classmethod
    def of(cls, dataset: Dataset, found: Occasions, strength: float) -> Self:
        """Counted over all occasions of a kind."""
        n = dataset.n_items
        items, _, dwell = _dwells(dataset)
        return cls(
            np.bincount(found.items, found.happened, minlength=n).astype(np.float64),
            np.bincount(found.items, minlength=n).astype(np.float64),
            np.bincount(items, dwell, minlength=n).astype(np.float64),
            np.bincount(items, minlength=n).astype(np.float64),
            float(found.happened.mean()),
            float(dwell.mean()) if len(dwell) else 0.0,
            strength,
        )

    def now(self, items: IntArray, category: IntArray) -> Known:
        """Of n questions asked after everything that was learnt from; items that came since stand as their category."""
        n = len(self.asked)
        inside = items < n
        item = np.where(inside, items, 0)
        groups = category[:n]
        width = int(category.max(initial=0)) + 1

        def of_item(values: Float64Array) -> Float64Array:
            return np.where(inside, values[item], 0.0)

        def of_group(values: Float64Array) -> Float64Array:
            return np.asarray(np.bincount(groups, values, minlength=width)[category[items]])

        return self._columns(
            (of_item(self.happened), of_item(self.asked)),
            (of_group(self.happened), of_group(self.asked)),
            (of_item(self.seconds), of_item(self.looks)),
            (of_group(self.seconds), of_group(self.looks)),
        )

    def then(self, dataset: Dataset, found: Occasions, category: IntArray, seen: Occasions) -> Known:
        """Of n occasions ``found``, counted over those of ``seen`` that came before each; their own never count."""
        items, times, dwell = _dwells(dataset)
        happened = seen.happened.astype(np.float64)
        return self._columns(
            _before(seen.items, seen.times, happened, found.items, found.times),
            _before(category[seen.items], seen.times, happened, category[found.items], found.times),
            _before(items, times, dwell, found.items, found.times),
            _before(category[items], times, dwell, category[found.items], found.times),
        )

    def _columns(
        self,
        item: tuple[Float64Array, Float64Array],
        group: tuple[Float64Array, Float64Array],
        seconds: tuple[Float64Array, Float64Array],
        group_seconds: tuple[Float64Array, Float64Array],
    ) -> Known:
        k = self.strength
        wide = (group[0] + k * self.share) / (group[1] + k)
        own = (item[0] + k * wide) / (item[1] + k)
        wide_seconds = (group_seconds[0] + k * self.usual) / (group_seconds[1] + k)
        dwell = (seconds[0] + k * wide_seconds) / (seconds[1] + k) - self.usual
        told = [log_odds(own, _LEAST), log_odds(wide, _LEAST), dwell, np.log1p(item[1])]
        return Known(np.column_stack(told).astype(np.float32))

    def arrays(self, kind: str) -> dict[str, Any]:
        """The state."""
        whole = {f"standing.{kind}.{name}": getattr(self, name) for name in ("happened", "asked", "seconds", "looks")}
        return {**whole, f"standing.{kind}.numbers": np.array([self.share, self.usual, self.strength])}

    @classmethod
    def restore(cls, kind: str, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        numbers = (float(value) for value in arrays[f"standing.{kind}.numbers"])
        happened, asked, seconds, looks = (
            np.asarray(arrays[f"standing.{kind}.{name}"]) for name in ("happened", "asked", "seconds", "looks")
        )
        share, usual, strength = numbers
        return cls(happened, asked, seconds, looks, share, usual, strength)


def _dwells(dataset: Dataset) -> tuple[IntArray, Float64Array, Float64Array]:
    """Item, time and log seconds of every event that tells how long it took."""
    events = dataset.events
    if "dwell" not in events.columns:
        return np.zeros(0, np.int32), np.zeros(0), np.zeros(0)
    dwell = events["dwell"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    told = (dwell >= 0) & (events["item"].to_numpy() >= 0)
    return events["item"].to_numpy()[told], events["time"].to_numpy()[told], np.log1p(dwell[told])


def _before(
    keys: IntArray, times: Float64Array, values: Float64Array, asked: IntArray, when: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Sum and number of the values of each asked key at times strictly before ``when``; an unknown time: none of them.

    Both are float64 (n,).
    """
    some = np.isfinite(times)
    keys, times, values = keys[some], times[some], values[some]
    moments = np.unique(times)
    width = len(moments) + 1
    order = np.lexsort((times, keys))
    # One whole number a key and moment, so that a single search finds both.
    place = keys[order].astype(np.int64) * width + np.searchsorted(moments, times[order])
    running = np.concatenate([np.zeros(1), np.cumsum(values[order])])
    until = np.searchsorted(moments, np.where(np.isnan(when), -np.inf, when), side="left")
    begin = np.searchsorted(place, asked.astype(np.int64) * width, side="left")
    end = np.searchsorted(place, asked.astype(np.int64) * width + until, side="left")
    return running[end] - running[begin], (end - begin).astype(np.float64)

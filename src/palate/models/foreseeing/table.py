"""What is known when something is foreseen: the moments V_u, the item x_i, and numbers that relate the two.

Every body reads the same inputs: the networks read the moments one after the other, the others their faded mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.behaviour.moments import calendar, week_parts
from palate.core import BoolArray, Float64Array, FloatArray, Histories, IntArray
from palate.data import clock
from palate.models.foreseeing import leaning
from palate.models.foreseeing.bank import Bank
from palate.models.foreseeing.standing import Known

NUMBERS = (
    "item_share",
    "category_share",
    "item_seconds",
    "item_events",
    "dearness",
    "markdown",
    "list_price",
    "looks",
    "taken",
    "taken_share",
    "likeness_looks",
    "likeness_taken",
    "likeness_share",
    "likeness_faded",
    "likeness_best",
    "likeness_newest",
    "category_looks",
    "category_taken",
    "category_share_own",
    "category_hours",
    "same_looks",
    "same_taken",
    "same_hours",
    "dearer_than_looks",
    "dearer_than_taken",
    "hours_since",
    "this_visit",
    "same_this_visit",
    "category_this_visit",
    *leaning.NAMES,
    "hour_sin",
    "hour_cos",
    "weekend",
    "season_sin",
    "season_cos",
)
"""Columns of ``Inputs.numbers``. ``taken`` are the events that weigh most in the data, such as purchases."""

_CHUNK = 4096
_FADE = 0.9
_VISIT = 3_600.0
_DRAW = 2.0
"""Looks that the usual share is worth where somebody looked at little like the item."""


@dataclass(frozen=True)
class Windows:
    """r pasts, newest event first, padded to w events.

    Parameters
    ----------
    items, kinds
        int32 (r, w), 0 where padded.
    times
        float64 (r, w), NaN where unknown or padded.
    filled
        bool (r, w).
    weeks
        int32 (r, w), parts of the week and year; -1 unknown.
    where
        float64 (r, 2), latitude and longitude where people say they are now; NaN where they do not.
    """

    items: IntArray
    kinds: IntArray
    times: Float64Array
    filled: BoolArray
    weeks: IntArray
    where: Float64Array

    @classmethod
    def of(
        cls, histories: Histories, window: int, n_items: int, zone: str, where: Float64Array | None = None
    ) -> Windows:
        """The newest events of histories; items that are not known (``n_items`` and beyond) count nothing."""
        known = histories.items < n_items
        histories = (histories if known.all() else histories.where(known)).last(window)
        width = max(1, min(window, int(histories.lengths.max(initial=0))))
        column = np.arange(width)
        filled = column < histories.lengths[:, None]
        flat = np.where(filled, histories.indptr[1:, None] - 1 - column, 0)
        where = np.full((len(histories), 2), np.nan) if where is None else where
        if not len(histories.items):
            nothing = np.zeros(filled.shape, np.int32)
            return cls(nothing, nothing, np.full(filled.shape, np.nan), filled, nothing - 1, where)
        times = np.where(filled, histories.times[flat], np.nan)
        return cls(
            np.where(filled, histories.items[flat], 0).astype(np.int32),
            np.where(filled, histories.kinds[flat], 0).astype(np.int32),
            times,
            filled,
            week_parts(times.reshape(-1), zone).reshape(times.shape),
            where,
        )


@dataclass(frozen=True)
class Asked:
    """n questions about one item each.

    Parameters
    ----------
    row
        int32 (n,), whose past.
    items
        int32 (n,).
    when
        float64 (n,), NaN where unknown.
    prices
        float32 (n,), asked at that moment; NaN: the list price.
    """

    row: IntArray
    items: IntArray
    when: Float64Array
    prices: FloatArray

    def take(self, rows: slice) -> Asked:
        """Some of them."""
        return Asked(self.row[rows], self.items[rows], self.when[rows], self.prices[rows])


@dataclass(frozen=True)
class Inputs:
    """n questions as bodies read them.

    Parameters
    ----------
    windows
        The r pasts.
    row
        int32 (n,), past of each question.
    items
        int32 (n,).
    numbers
        float32 (n, len(NUMBERS)), NaN where unknown.
    past
        float32 (n, d), the faded mean of M(kind, item) over the past.
    """

    windows: Windows
    row: IntArray
    items: IntArray
    numbers: FloatArray
    past: FloatArray

    def __len__(self) -> int:
        return len(self.items)

    def flat(self, bank: Bank) -> FloatArray:
        """All that is no sequence, side by side: numbers, the past, the item; float32 (n, f), NaN where unknown."""
        return np.concatenate([self.numbers, self.past, bank.items[self.items]], axis=1)

    @staticmethod
    def names(bank: Bank) -> tuple[str, ...]:
        """Of the columns of ``flat``."""
        d = range(bank.size)
        return (*NUMBERS, *(f"past_{place}" for place in d), *(f"item_{place}" for place in d))


def table(
    bank: Bank,
    windows: Windows,
    asked: Asked,
    known: Known,
    *,
    taken: BoolArray,
    zone: str,
) -> Inputs:
    """Inputs of n questions.

    Parameters
    ----------
    known
        What is known of the items at those moments.
    taken
        bool (kinds,), which kinds of event say that something was taken.
    """
    n = len(asked.items)
    parts = [_part(bank, windows, asked.take(slice(start, start + _CHUNK)), taken) for start in range(0, n, _CHUNK)]
    own = [np.concatenate([part[0] for part in parts])] if parts else [np.zeros((0, len(NUMBERS) - 9), np.float32)]
    past = np.concatenate([part[1] for part in parts]) if parts else np.zeros((0, bank.size), np.float32)
    numbers = np.column_stack([known.columns, *own, calendar(asked.when, zone)])
    return Inputs(windows, asked.row, asked.items, numbers.astype(np.float32), past)


def _part(
    bank: Bank,
    windows: Windows,
    asked: Asked,
    taken: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """The columns between what is known of the item and the calendar, and the faded past."""
    row, items, when, prices = asked.row, asked.items, asked.when, asked.prices
    seen, kinds, filled = windows.items[row], windows.kinds[row], windows.filled[row]
    times = windows.times[row]
    moments = bank.what(seen, kinds)
    like = np.einsum("nwd,nd->nw", moments, bank.items[items]) * filled
    close = np.maximum(like, 0.0) ** 2
    fade = _FADE ** np.arange(seen.shape[1]) * filled
    mass = np.maximum(fade.sum(axis=1), 1e-9)
    took = filled & taken[kinds]
    looked = filled & ~taken[kinds]
    category = bank.category[items]
    alike = filled & (bank.category[seen] == category[:, None]) & (category > 0)[:, None]
    same = filled & (seen == items[:, None])
    hours = np.log1p(np.maximum(when[:, None] - times, 0.0) / clock.HOUR)
    visit = filled & (when[:, None] - times <= _VISIT)
    base = (took.sum(axis=1) + 1.0) / (filled.sum(axis=1) + 6.0)
    told = np.where(prices > 0, np.log(np.where(prices > 0, prices, 1.0)), bank.price[items])
    markdown = told - bank.price[items]
    dear = bank.dear[items] + markdown
    columns = [
        dear,
        markdown,
        bank.price[items],
        np.log1p(looked.sum(axis=1)),
        np.log1p(took.sum(axis=1)),
        np.log(base),
        np.log1p((close * looked).sum(axis=1)),
        np.log1p((close * took).sum(axis=1)),
        _share(close, took, looked, base),
        (like * fade).sum(axis=1) / mass,
        like.max(axis=1, initial=0.0),
        like[:, 0],
        np.log1p((alike & looked).sum(axis=1)),
        np.log1p((alike & took).sum(axis=1)),
        _share(alike.astype(np.float64), took, looked, base),
        _least(hours, alike),
        np.log1p((same & looked).sum(axis=1)),
        np.log1p((same & took).sum(axis=1)),
        _least(hours, same),
        dear - _mean(bank.dear[seen], looked),
        dear - _mean(bank.dear[seen], took),
        _least(hours, filled),
        np.log1p(visit.sum(axis=1)),
        (visit & same).any(axis=1),
        np.log1p((visit & alike).sum(axis=1)),
        leaning.lean(bank.category, bank.share, seen=seen, items=items, filled=filled),
        leaning.lean(bank.wider, bank.wider_share, seen=seen, items=items, filled=filled),
        leaning.price_lean(bank.dear[seen], dear, filled),
        leaning.lingered(times, when, close, filled),
        *leaning.distances(
            (bank.lat, bank.lon), windows.where[row], seen=seen, items=items, fade=fade.astype(np.float32)
        ),
    ]
    past = np.einsum("nw,nwd->nd", fade / mass[:, None], moments)
    return np.column_stack(columns).astype(np.float32), past.astype(np.float32)


def _share(weights: Float64Array, took: BoolArray, looked: BoolArray, base: Float64Array) -> Float64Array:
    """Log of how much oftener than usual somebody takes things that weigh."""
    inside = (weights * took).sum(axis=1)
    return np.asarray(np.log((inside + _DRAW * base) / (inside + (weights * looked).sum(axis=1) + _DRAW) / base))


def _least(values: Float64Array, where: BoolArray) -> Float64Array:
    """The smallest known value, NaN where there is none."""
    known = where & np.isfinite(values)
    least = np.where(known, values, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, np.nan)


def _mean(values: FloatArray, where: BoolArray) -> Float64Array:
    known = where & np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)

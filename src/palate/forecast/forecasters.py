"""Forecasters that answer for all series at once, and what a forecaster is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from palate.core import BoolArray, Float64Array, Int64Array
from palate.forecast.calendar import Effects
from palate.forecast.panel import WEEK, DayArray, Panel

_MOST_WEEKS_BACK = 8
_SPREAD = 0.1
"""Variance of true weekday shares between series, about the panel's; noisier series keep closer to the panel."""
_CELLS = 4_000_000
"""Days of series worked on at once, so that 100,000 series fit."""


@dataclass(frozen=True)
class Paths:
    """What is to come.

    Parameters
    ----------
    mean
        float64 (n, horizon), expected demand: what adds up.
    median
        float64 (n, horizon), the demand that is exceeded as often as not; of sparse series mostly 0.
    """

    mean: Float64Array
    median: Float64Array

    def clipped(self, floor: float) -> Paths:
        return Paths(np.maximum(self.mean, floor), np.maximum(self.median, floor))


@dataclass(frozen=True)
class Calendar:
    """Weekdays and days of the calendar of one panel, learnt once and shared by all who ask.

    Parameters
    ----------
    weekdays
        float64 (n, 7), demand of each weekday (Thursday first, as days since 1970 modulo 7) over the mean one.
    effects
        What holidays do.
    """

    weekdays: Float64Array
    effects: Effects

    def rows(self, positions: Int64Array) -> Calendar:
        """Of some of the series; int64 (m,)."""
        return Calendar(self.weekdays[positions], self.effects)

    def seasons(self, days: DayArray) -> Float64Array:
        """What each series' level is multiplied by on each day; float64 (n, T)."""
        return self.weekdays[:, days.astype(np.int64) % WEEK] * self.effects.factors(days)


Predict = Callable[[Panel, Calendar], Paths]
"""What follows a panel, which may be longer than the one that was learnt from, with what its calendar is then."""

Fit = Callable[[Panel, Calendar, int], Predict]
"""Learn from a panel to look so many days ahead."""


def seasonal_naive(panel: Panel, horizon: int) -> Paths:
    """The same weekday of the last week, or of the last one that is known."""
    last = np.full((len(panel), WEEK), np.nan)
    for back in range(1, min(_MOST_WEEKS_BACK, panel.length // WEEK) + 1):
        week = panel.values[:, panel.length - back * WEEK : panel.length - (back - 1) * WEEK]
        last = np.where(np.isnan(last), week, last)
    path = np.nan_to_num(last)[:, np.arange(horizon) % WEEK]
    return Paths(path, path)


def weekdays(panel: Panel) -> Float64Array:
    """Each series' weekdays, drawn towards the panel's as far as its noise asks for; float64 (n, 7)."""
    recent = panel.values[:, -26 * WEEK :]
    place = panel.days[-26 * WEEK :].astype(np.int64) % WEEK
    known = ~np.isnan(recent)
    filled = np.where(known, recent, 0.0)
    count = np.stack([known[:, place == day].sum(axis=1) for day in range(WEEK)], axis=1)
    total = np.stack([filled[:, place == day].sum(axis=1) for day in range(WEEK)], axis=1)
    days = np.maximum(count.sum(axis=1), 1)
    mean = filled.sum(axis=1) / days
    variance = (filled**2).sum(axis=1) / days - mean**2
    usable = mean > 0
    share = np.where(usable[:, None], total / np.maximum(count, 1) / np.where(usable, mean, 1.0)[:, None], 1.0)
    # The panel's weekdays are a mean in which a series counts by what it knows, not by its size.
    trust = np.where(usable, mean**2 / np.maximum(variance, 1e-12 + 1e-6 * mean**2), 0.0)
    trust = np.minimum(trust, np.quantile(trust, 0.9) if len(trust) else 0.0) * days
    crowd = (share * trust[:, None]).sum(axis=0) / trust.sum() if trust.sum() else np.ones(WEEK)
    noise = variance / np.where(usable, mean, 1.0) ** 2 / _SPREAD
    own = (count * share + noise[:, None] * crowd) / np.maximum(count + noise[:, None], 1e-12)
    own = np.where(usable[:, None], np.maximum(own, 0.0), 1.0)
    level = own.mean(axis=1, keepdims=True)
    return np.asarray(np.where(level > 0, own / np.where(level > 0, level, 1.0), 1.0))


def smoothing(panel: Panel, calendar: Calendar, horizon: int, half_life: float) -> Paths:
    """A level that forgets, times weekday and calendar.

    The level is the demand of the past over its seasons, each day worth half as much after ``half_life`` days:
    exponential smoothing (Brown 1959) with weights that gaps and closed days drop out of. The median is that of the
    same weighted days, each divided by its season (non-parametric time series; Alexandrov et al. 2020).
    """
    fade = np.exp2(-np.arange(panel.length)[::-1] / half_life)
    level, middle = np.empty(len(panel)), np.empty(len(panel))
    at_once = max(1, _CELLS // max(panel.length, 1))
    for begin in range(0, len(panel), at_once):
        part = np.arange(begin, min(begin + at_once, len(panel)))
        values, seasons = panel.values[part], calendar.rows(part).seasons(panel.days)
        known = ~np.isnan(values)
        values, weight = np.where(known, values, 0.0), fade * known * seasons
        expected = weight.sum(axis=1)
        level[part] = (fade * values).sum(axis=1) / np.where(expected > 0, expected, 1.0)
        usable = known & (seasons > 0)
        middle[part] = weighted_median(values / np.where(usable, seasons, 1.0), weight, usable)
    ahead = calendar.seasons(panel.after(horizon))
    return Paths(level[:, None] * ahead, middle[:, None] * ahead)


def weighted_median(values: Float64Array, weights: Float64Array, usable: BoolArray) -> Float64Array:
    """The value of each row with half of the weight below it, 0 where nothing is usable; float64 (n,)."""
    order = np.argsort(np.where(usable, values, np.inf), axis=1)
    running = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    place = (running < running[:, -1:] / 2).sum(axis=1)
    found = np.take_along_axis(values, np.take_along_axis(order, place[:, None], axis=1), axis=1)[:, 0]
    return np.where(usable.any(axis=1), found, 0.0)

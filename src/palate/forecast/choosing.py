"""Which forecaster a series gets: each forecasts the past from several origins, and the simplest good one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from palate.core import DataError, Float64Array, FloatArray, Int64Array, IntArray
from palate.forecast.forecasters import Calendar, Fit, Predict
from palate.forecast.panel import WEEK, Panel, scale_of

LEAST_HISTORY = 3 * WEEK
"""Days that the first origin must have behind it."""

YOUNG = 2 * WEEK
"""A series with fewer known days at an origin is not judged there."""

_WORST = 20.0
"""Errors count no more than this many times the usual change of a week: one day must not choose for the others."""

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Backtest:
    """What every forecaster would have said at k origins of the past.

    Parameters
    ----------
    names
        Forecasters, the simplest first.
    origins
        int64 (k,), days known at each, rising.
    absolute
        float64 (m, n, k), mean absolute scaled error of the median; NaN where nothing could be compared.
    squared
        float64 (m, n, k), mean squared scaled error of the mean.
    median
        float32 (m, n, k, horizon), what was said.
    mean
        float32 (m, n, k, horizon).
    truth
        float32 (n, k, horizon), what happened; NaN where a series was too young to be judged.
    """

    names: tuple[str, ...]
    origins: Int64Array
    absolute: Float64Array
    squared: Float64Array
    median: FloatArray
    mean: FloatArray
    truth: FloatArray

    def window(self, first: int, last: int) -> Backtest:
        """The origins from ``first`` to before ``last``."""
        part = slice(max(first, 0), last)
        return Backtest(
            self.names,
            self.origins[part],
            self.absolute[:, :, part],
            self.squared[:, :, part],
            self.median[:, :, part],
            self.mean[:, :, part],
            self.truth[:, part],
        )

    def of(self, chosen: IntArray) -> FloatArray:
        """Medians of each series' own forecaster; float32 (n, k, horizon)."""
        return self.median[chosen, np.arange(len(chosen))]


def origins_of(length: int, horizon: int, wanted: int) -> Int64Array:
    """Origins one horizon apart, the last one horizon before the end; int64 (k,), rising.

    Raises
    ------
    DataError
        The series are too short for one.
    """
    least = LEAST_HISTORY + horizon
    count = min(wanted, (length - LEAST_HISTORY) // horizon)
    if count < 1:
        raise DataError(
            f"{length} days are too few to forecast {horizon} ahead and to try that on the past: "
            f"{least} are due. Give a shorter horizon, or more days."
        )
    return np.asarray(length - horizon * np.arange(count, 0, -1), dtype=np.int64)


def backtest(
    panel: Panel,
    forecasters: Mapping[str, Fit],
    learn: Callable[[Panel], Calendar],
    horizon: int,
    origins: Sequence[int] | Int64Array,
    *,
    once: frozenset[str] = frozenset(),
    report: Report = lambda step, fraction: None,
) -> Backtest:
    """Let every forecaster look ahead from every origin, knowing what lies before it (rolling origins; Tashman 2000).

    Parameters
    ----------
    learn
        The calendar of what is known at an origin, which all forecasters share.
    once
        Forecasters that learn at the first origin alone and go on with what they learnt: never less fair to others.
    """
    names, n, k = tuple(forecasters), len(panel), len(origins)
    median = np.full((len(names), n, k, horizon), np.nan, dtype=np.float32)
    mean = np.full_like(median, np.nan)
    truth = np.stack([panel.values[:, origin : origin + horizon] for origin in origins], axis=1)
    known_days = np.stack([(~np.isnan(panel.values[:, : int(origin)])).sum(axis=1) for origin in origins], axis=1)
    truth[known_days < YOUNG] = np.nan
    learnt: dict[str, Predict] = {}
    for place, origin in enumerate(origins):
        known = panel.until(int(origin))
        calendar = learn(known)
        for model, name in enumerate(names):
            report("rolling origins", (place + model / len(names)) / k)
            if name not in once or name not in learnt:
                learnt[name] = forecasters[name](known, calendar, horizon)
            paths = learnt[name](known, calendar).clipped(panel.floor)
            median[model, :, place], mean[model, :, place] = paths.median, paths.mean
    scale = np.stack([scale_of(panel.values[:, : int(origin)]) for origin in origins], axis=1)[..., None]
    absolute = np.empty(median.shape[:3])
    squared = np.empty(median.shape[:3])
    for model in range(len(names)):
        absolute[model] = _mean_known(np.abs(median[model] - truth) / scale, truth)
        squared[model] = _mean_known(((mean[model] - truth) / scale) ** 2, truth)
    report("rolling origins", 1.0)
    return Backtest(names, np.asarray(origins), absolute, squared, median, mean, truth.astype(np.float32))


def choose(errors: Float64Array) -> IntArray:
    """The forecaster of each series, from errors (m, n, k) of models in order of complexity; int32 (n,).

    All series together choose a default: the simplest whose error lies within one standard error (over series) of the
    best. A series leaves it only for one that is better by more than one standard error over the origins (Breiman et
    al. 1984), so that a few origins do not make it choose by chance; the variance of the few is steadied by that of
    all series.
    """
    capped = np.minimum(errors, _WORST)
    default = _default(capped)
    with np.errstate(invalid="ignore"):
        gain = capped[default] - capped
    n = errors.shape[1]
    # A forecaster that failed at an origin where the default did not is out.
    failed = (np.isnan(errors) & ~np.isnan(errors[default])).any(axis=2)
    count = (~np.isnan(gain)).sum(axis=2)
    filled = np.nan_to_num(gain)
    mean = filled.sum(axis=2) / np.maximum(count, 1)
    spread = (np.where(np.isnan(gain), 0.0, gain - mean[..., None]) ** 2).sum(axis=2)
    pooled = spread.sum(axis=1, keepdims=True) / np.maximum((count - 1).clip(0).sum(axis=1, keepdims=True), 1)
    variance = (spread + pooled) / np.maximum(count, 1)
    certain = mean - np.sqrt(variance / np.maximum(count, 1))
    certain[failed | (count < 2)] = 0.0
    certain[default] = 0.0
    best = np.argmax(certain, axis=0)
    return np.where(certain[best, np.arange(n)] > 0, best, default).astype(np.int32)


def _default(errors: Float64Array) -> int:
    """The simplest forecaster that is not worse than the best of all series by more than one standard error."""
    n = errors.shape[1]
    usable = np.asarray(~np.isnan(errors).all(axis=(1, 2)))
    if not usable.any():
        return 0
    complete = ~np.isnan(errors[usable]).any(axis=0)
    # Compared where all of them have an answer; a forecaster that fails on most series is no default.
    shared = errors[:, complete]
    answered = (~np.isnan(errors)).sum(axis=(1, 2))
    usable &= answered >= 0.9 * answered.max()
    means = np.where(usable, shared.mean(axis=1), np.inf) if shared.size else np.where(usable, 0.0, np.inf)
    best = int(np.argmin(means))
    groups = np.nonzero(complete)[0] if n > 1 else np.nonzero(complete)[1]
    for model in range(best):
        if not usable[model]:
            continue
        difference = shared[model] - shared[best]
        own = np.bincount(groups, difference) / np.maximum(np.bincount(groups), 1)
        own = own[np.bincount(groups) > 0]
        error = own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else 0.0
        if own.mean() <= error:
            return model
    return best


def _mean_known(errors: Float64Array, truth: Float64Array) -> Float64Array:
    """Mean over days that are known, NaN where none is or the forecast is none."""
    known = ~np.isnan(truth)
    count = known.sum(axis=-1)
    total = np.where(known, errors, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))

"""Forecasters that look at one series at a time, through statsforecast: ETS, ARIMA and three for sparse demand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from palate.core import Float64Array
from palate.forecast.calendar import Effects
from palate.forecast.forecasters import Paths
from palate.forecast.panel import WEEK, Panel

NAMES = ("croston", "tsb", "adida", "ets", "arima")

_EXCEPTIONAL = 0.5
"""A day of the calendar that leaves less than this share of demand says nothing of the days around it."""
_LEAST = 2 * WEEK
"""Days that a model with a season needs."""
_FAILURES = (ValueError, ArithmeticError, IndexError, RuntimeError, np.linalg.LinAlgError)


def classical(name: str, panel: Panel, horizon: int, effects: Effects) -> Paths:
    """One of ``NAMES``, series by series; NaN where it does not converge, so that it is not chosen.

    Days of the calendar are taken out before and put back after. The mean stands for the median too: these models say
    nothing of the shape of what they leave unexplained.
    """
    factors, ahead = effects.factors(panel.days), effects.factors(panel.after(horizon))
    ordinary = np.where(factors < _EXCEPTIONAL, np.nan, panel.values / np.maximum(factors, _EXCEPTIONAL))
    mean = np.full((len(panel), horizon), np.nan)
    for row, values in enumerate(ordinary):
        mean[row] = _path(name, values, horizon)
    mean *= ahead
    return Paths(mean, mean)


def _path(name: str, values: Float64Array, horizon: int) -> Float64Array:
    known = np.flatnonzero(~np.isnan(values))
    nothing = np.full(horizon, np.nan)
    if not len(known):
        return nothing
    values = values[known[0] :]
    if len(values) < _LEAST:
        return nothing
    filled = filled_by_week(values)
    if np.ptp(filled) == 0:
        return np.full(horizon, filled[-1])
    # Methods for sparse demand know only demand above nothing.
    if name in ("croston", "tsb", "adida") and filled.min() < 0:
        return nothing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            path = np.asarray(_model(name).forecast(filled, horizon)["mean"], dtype=np.float64)
        except _FAILURES:
            return nothing
    bound = 10 * np.abs(filled).max()
    return path if np.isfinite(path).all() and np.abs(path).max() <= bound else nothing


def _model(name: str) -> Any:
    from statsforecast import models

    if name == "ets":
        return models.AutoETS(season_length=WEEK)
    if name == "arima":
        # Orders up to (2, 1, 2)(1, 1, 1) by a stepwise search (Hyndman & Khandakar 2008), conditional sums of squares
        # first: larger orders are seldom chosen on days and take most of the time.
        return models.AutoARIMA(
            season_length=WEEK, max_p=3, max_q=2, max_P=1, max_Q=1, start_p=1, start_q=1, nmodels=20, approximation=True
        )
    if name == "croston":
        return models.CrostonOptimized()
    return models.TSB(alpha_d=0.1, alpha_p=0.1) if name == "tsb" else models.ADIDA()


def filled_by_week(values: Float64Array) -> Float64Array:
    """Unknown days as the same weekday of the week before, of the week after, or as the mean; float64 (T,)."""
    filled = values.copy()
    for step in (WEEK, -WEEK):
        days = range(len(filled)) if step > 0 else range(len(filled) - 1, -1, -1)
        for day in days:
            if np.isnan(filled[day]) and 0 <= day - step < len(filled):
                filled[day] = filled[day - step]
    return np.where(np.isnan(filled), np.nanmean(values), filled)

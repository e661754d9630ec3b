"""The room's front door: a panel in, a forecast out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from palate.core import BoolArray, DataError, Float64Array, IntArray
from palate.data.tables import Note
from palate.forecast.calendar import effects
from palate.forecast.choosing import Backtest, Report, backtest, choose, origins_of
from palate.forecast.classical import NAMES as CLASSICAL
from palate.forecast.classical import classical
from palate.forecast.forecasters import Calendar, Fit, Paths, Predict, seasonal_naive, smoothing, weekdays
from palate.forecast.intervals import half_widths, spreads
from palate.forecast.panel import WEEK, Panel
from palate.forecast.result import Forecast
from palate.forecast.settings import MODELS, ForecastSettings

if TYPE_CHECKING:
    from palate.forecast.neural import NetworkSettings

NETWORKS = frozenset({"lstm", "gru"})
NAIVE = "seasonal_naive"
VECTORISED = ("seasonal_naive", "smoothing_7", "smoothing_28", "smoothing_91")
_CLOSED_WEEKS = 8
"""Weeks without any demand on a weekday after which it counts as closed."""


def forecast(
    panel: Panel, settings: ForecastSettings | None = None, *, progress: Report = lambda step, fraction: None
) -> Forecast:
    """Forecast every series of a panel by the forecaster that served it best at past origins.

    Raises
    ------
    DataError
        The series are too short, or there is none.
    """
    settings = settings or ForecastSettings()
    if not len(panel):
        raise DataError("there is no series to forecast.")
    horizon = settings.horizon
    competitors, skipped = forecasters(panel, settings)
    origins = origins_of(panel.length, horizon, settings.origins)
    learn = partial(learn_calendar, countries=settings.countries)
    tried = backtest(panel, competitors, learn, horizon, origins, once=NETWORKS, report=progress)
    chosen, chosen_mean = choose(tried.absolute), choose(tried.squared)
    notes = (*panel.notes, *skipped)
    if len(origins) < settings.origins:
        notes = (*notes, Note("origins", {"count": len(origins), "wanted": settings.origins}))
    paths = _ahead(panel, competitors, learn(panel), horizon, chosen=chosen, chosen_mean=chosen_mean)
    return assembled(
        panel, tried, chosen=chosen, chosen_mean=chosen_mean, paths=paths, level=settings.level, notes=notes
    )


def assembled(
    panel: Panel,
    tried: Backtest,
    *,
    chosen: IntArray,
    chosen_mean: IntArray,
    paths: Paths,
    level: float,
    notes: tuple[Note, ...] = (),
) -> Forecast:
    """A forecast from what was tried on the past, what was chosen, and what that says of the days ahead."""
    median = tried.of(chosen)
    expected, ahead = spreads(median, tried.truth, panel.scale, paths.median)
    horizon = paths.median.shape[1]
    closed = _closed(panel)
    days = panel.start.astype(np.int64) + panel.length + np.arange(horizon)
    past = panel.start.astype(np.int64) + tried.origins[:, None] + np.arange(horizon)
    truth = np.where(closed[past % WEEK], np.nan, tried.truth)
    width = half_widths(median, truth, expected, ahead * ~closed[days % WEEK], level)
    lower, upper = (np.maximum(paths.median + sign * width, panel.floor) for sign in (-1, 1))
    own = np.arange(len(panel))
    naive = tried.names.index(NAIVE) if NAIVE in tried.names else 0
    return Forecast(
        kind=panel.kind,
        ids=panel.ids,
        start=panel.start + panel.length,
        mean=paths.mean,
        median=paths.median,
        lower=lower,
        upper=upper,
        level=level,
        models=tried.names,
        chosen=chosen,
        chosen_mean=chosen_mean,
        error=_mean(tried.absolute[chosen, own]),
        naive_error=_mean(tried.absolute[naive]),
        notes=notes,
    )


def forecasters(
    panel: Panel, settings: ForecastSettings, network: NetworkSettings | None = None
) -> tuple[dict[str, Fit], tuple[Note, ...]]:
    """The forecasters that compete, the simplest first, and what is said of those that do not."""
    names = settings.models
    notes: tuple[Note, ...] = ()
    if not names:
        names = tuple(name for name in MODELS if name in VECTORISED or name in CLASSICAL)
        if len(panel) > settings.most_classical:
            names = VECTORISED
            notes = (Note("vectorised", {"count": len(panel), "most": settings.most_classical}),)
    return {name: _forecaster(name, settings.seed, network) for name in names}, notes


def learn_calendar(panel: Panel, countries: tuple[str, ...]) -> Calendar:
    """Weekdays of each series, and what holidays do to all of them."""
    return Calendar(weekdays(panel), effects(panel, countries))


def _forecaster(name: str, seed: int, network: NetworkSettings | None) -> Fit:
    """The forecaster of a name."""
    if name == NAIVE:
        return lambda _panel, _calendar, horizon: lambda known, _: seasonal_naive(known, horizon)
    if name.startswith("smoothing_"):
        half_life = float(name.removeprefix("smoothing_"))
        return lambda _panel, _calendar, horizon: partial(smoothing, horizon=horizon, half_life=half_life)
    if name in CLASSICAL:
        return lambda _panel, _calendar, horizon: (
            lambda known, calendar: classical(name, known, horizon, calendar.effects)
        )
    return partial(_network, body=name, settings=network, seed=seed)


def _network(
    panel: Panel, calendar: Calendar, horizon: int, *, body: str, settings: NetworkSettings | None, seed: int
) -> Predict:
    from palate.forecast import neural

    return neural.fit("lstm" if body == "lstm" else "gru", panel, calendar.effects, horizon, settings, seed=seed)


def _ahead(
    panel: Panel,
    competitors: dict[str, Fit],
    calendar: Calendar,
    horizon: int,
    *,
    chosen: IntArray,
    chosen_mean: IntArray,
) -> Paths:
    """What the chosen forecasters say of the days ahead; each is asked only of the series that chose it."""
    fallback = seasonal_naive(panel, horizon)
    median, mean = np.zeros_like(fallback.median), np.zeros_like(fallback.mean)
    for model, fit in enumerate(competitors.values()):
        rows = np.flatnonzero((chosen == model) | (chosen_mean == model))
        if not len(rows):
            continue
        # A network learns from all series, whoever asks it.
        predict = fit(panel, calendar, horizon)
        paths = predict(panel.rows(rows), calendar.rows(rows)).clipped(panel.floor)
        for target, said, own in ((median, paths.median, chosen), (mean, paths.mean, chosen_mean)):
            asked = own[rows] == model
            target[rows[asked]] = said[asked]
    return Paths(
        np.where(np.isnan(mean), fallback.mean, mean), np.where(np.isnan(median), fallback.median, median)
    ).clipped(panel.floor)


def _closed(panel: Panel) -> BoolArray:
    """Weekdays (days since 1970 modulo 7) on which no series had any demand lately; bool (7,)."""
    recent = panel.values[:, -_CLOSED_WEEKS * WEEK :]
    place = panel.days[-_CLOSED_WEEKS * WEEK :].astype(np.int64) % WEEK
    empty = (np.nan_to_num(recent) == 0).all(axis=0)
    return np.array([bool(empty[place == day].all()) for day in range(WEEK)])


def _mean(errors: Float64Array) -> Float64Array:
    """Mean over origins, NaN where there is none; float64 (n,)."""
    count = (~np.isnan(errors)).sum(axis=1)
    return np.where(count > 0, np.nan_to_num(errors).sum(axis=1) / np.maximum(count, 1), np.nan)

"""One network over many series."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from palate.core import Ids
from palate.forecast import ForecastSettings, Panel
from palate.forecast.calendar import Effects
from palate.forecast.choosing import backtest, choose
from palate.forecast.forecasters import Calendar, Fit
from palate.forecast.forecasting import forecasters, learn_calendar
from palate.forecast.neural import NetworkSettings, fit
from palate.simulation.series import mackey_glass
from tests.forecast_world import START

QUICK = NetworkSettings(window=28, width=24, steps=120, batch=32)
NONE = Effects({}, ())


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def world(values: np.ndarray) -> Panel:
    return Panel("item", Ids([str(row) for row in range(len(values))]), START, values)


@pytest.mark.parametrize("body", ["lstm", "gru"])
def test_it_learns_what_no_line_follows_and_is_chosen(body: str) -> None:
    panel = world(mackey_glass(6, 260, 0))
    settings = ForecastSettings(horizon=7, origins=2, countries=(), models=("seasonal_naive", body))
    competitors, _ = forecasters(panel, settings, QUICK)
    learn = partial(learn_calendar, countries=())
    tried = backtest(panel, competitors, learn, 7, [200, 240], once=frozenset((body,)))
    naive, own = np.nanmean(tried.absolute, axis=(1, 2))
    assert own < 0.8 * naive
    assert (choose(tried.absolute) == 1).mean() > 0.8


def test_it_is_not_chosen_where_it_loses() -> None:
    weeks = np.tile(np.random.default_rng(0).uniform(1, 9, (5, 7)), (1, 30))
    panel = world(weeks)
    competitors, _ = forecasters(panel, ForecastSettings(models=("seasonal_naive", "gru")), QUICK)
    learn = partial(learn_calendar, countries=())
    tried = backtest(panel, competitors, learn, 14, [180, 194], once=frozenset(("gru",)))
    assert (choose(tried.absolute) == 0).all()


def test_size_does_not_matter_and_the_seed_decides() -> None:
    values = mackey_glass(3, 120, 1)
    tiny = NetworkSettings(window=21, width=8, steps=5, batch=8)

    def told(rows: np.ndarray, seed: int) -> np.ndarray:
        panel = world(rows)
        fitted: Fit = lambda known, calendar, horizon: fit("gru", known, NONE, horizon, tiny, seed=seed)  # noqa: E731
        calendar = Calendar(np.ones((len(rows), 7)), NONE)
        return fitted(panel, calendar, 7)(panel, calendar).mean

    assert np.array_equal(told(values, 0), told(values, 0))
    assert not np.array_equal(told(values, 0), told(values, 1))
    assert np.allclose(told(values * 1000, 0), told(values, 0) * 1000, rtol=1e-3)


def test_too_short_a_series_gets_no_answer_and_unknown_days_do_no_harm() -> None:
    short = world(np.ones((2, 12)))
    calendar = Calendar(np.ones((2, 7)), NONE)
    assert np.isnan(fit("lstm", short, NONE, 7, QUICK)(short, calendar).mean).all()
    values = mackey_glass(2, 100, 2)
    values[0, :60] = np.nan
    values[1, 40:50] = np.nan
    holed = world(values)
    tiny = NetworkSettings(window=21, width=8, steps=5, batch=8)
    assert np.isfinite(fit("lstm", holed, NONE, 7, tiny)(holed, calendar).median).all()

"""Forecasters, the choice between them, and intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import DataError, Ids
from palate.forecast import Forecast, ForecastSettings, forecast
from palate.forecast.calendar import Effects, effects, marked
from palate.forecast.choosing import choose, origins_of
from palate.forecast.forecasters import weighted_median
from palate.forecast.forecasting import VECTORISED
from palate.forecast.trial import trial
from palate.simulation.series import mackey_glass, setar
from tests.forecast_world import SATURDAY, panel, weekly

FAST = ForecastSettings(most_classical=0)


def test_smoothing_beats_last_week_and_intervals_cover() -> None:
    result = trial(panel(weekly(60, 280, 0)), FAST, tests=2)
    figures = result.as_json()
    assert figures["mase_gain"] > 0.2
    assert 0.87 <= figures["coverage"] <= 0.93
    assert figures["rmsse_gain"] > 0.2


def test_closed_days_ahead_expect_nothing_for_certain() -> None:
    told = forecast(panel(weekly(8, 150, 1)), FAST)
    closed = told.days.astype(np.int64) % 7 == SATURDAY
    assert (told.mean[:, closed] == 0).all()
    assert (told.upper[:, closed] == 0).all()
    assert (told.upper[:, ~closed] > 0).all()


def test_the_simplest_is_chosen_where_nothing_is_better() -> None:
    noise = np.abs(np.random.default_rng(0).normal(1, 0.3, (3, 40, 4)))
    assert (choose(np.stack([noise[0], noise[0], noise[0]])) == 0).all()
    better = np.stack([noise[0], noise[0] - 0.5, noise[0] - 0.5])
    assert (choose(better) == 1).all()


def test_a_series_leaves_the_default_only_for_a_clear_gain() -> None:
    errors = np.ones((2, 50, 4))
    errors[1] = 1.3
    errors[1, 7] = 0.4
    errors[1, 8] = [0.1, 2.0, 0.1, 1.7]
    chosen = choose(errors)
    assert chosen[7] == 1
    assert chosen.sum() == 1


def test_a_forecaster_that_fails_is_not_chosen() -> None:
    errors = np.ones((2, 6, 3))
    errors[1] = 0.1
    errors[1, :, 1] = np.nan
    errors[:, 5] = np.nan  # too young to be tried at all
    assert (choose(errors) == 0).all()


@given(st.integers(0, 1_000))
def test_chosen_is_never_worse_than_the_default_on_what_it_was_chosen_by(seed: int) -> None:
    errors = np.random.default_rng(seed).gamma(2.0, size=(4, 30, 5))
    chosen = choose(errors)
    means = errors.mean(axis=2)
    default = np.bincount(chosen, minlength=4).argmax()
    assert (means[chosen, np.arange(30)] <= means[default] + 1e-12).all()


def test_constant_empty_young_and_negative_series_are_handled() -> None:
    values = weekly(6, 140, 2)
    values[0] = 5.0
    values[1] = 0.0
    values[2, :130] = np.nan
    values[3] -= 30.0
    values[4, 50:70] = np.nan
    told = forecast(panel(values), FAST)
    for name in ("mean", "median", "lower", "upper"):
        assert np.isfinite(getattr(told, name)).all()
    assert np.allclose(told.mean[0], 5.0, atol=0.6)
    assert (told.mean[1] == 0).all()
    assert told.mean[3].min() < 0
    assert np.isnan(told.error[2])
    assert told.of("s2")["mase"] is None
    assert (told.lower <= told.median).all()
    assert (told.median <= told.upper).all()


def test_one_by_one_forecasters_agree_on_a_constant_and_know_sparse_demand() -> None:
    values = np.random.default_rng(3).binomial(1, 0.15, (3, 120)).astype(float)
    values[0] = 4.0
    names = ("seasonal_naive", "croston", "tsb", "adida", "ets", "arima")
    told = forecast(panel(values), ForecastSettings(horizon=7, origins=2, models=names))
    assert np.allclose(told.mean[0], 4.0)
    assert np.allclose(told.mean[1:].mean(axis=1), 0.15, atol=0.15)


def test_too_short_or_infinite_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="49 are due"):
        forecast(panel(weekly(2, 40, 0)), FAST)
    with pytest.raises(DataError, match="infinite"):
        panel(np.array([[1.0, np.inf]]))
    with pytest.raises(DataError, match="no series"):
        forecast(panel(np.zeros((0, 100))), FAST)
    with pytest.raises(ValueError, match="Known: seasonal_naive"):
        ForecastSettings(models=("prophet",))


def test_origins_lie_one_horizon_apart_and_end_before_the_end() -> None:
    assert origins_of(200, 28, 4).tolist() == [88, 116, 144, 172]
    assert origins_of(80, 28, 4).tolist() == [24, 52]


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(0.01, 9)), min_size=1, max_size=12))
def test_half_of_the_weight_lies_on_either_side_of_the_median(pairs: list[tuple[float, float]]) -> None:
    values, weights = (np.array([part]) for part in zip(*pairs, strict=True))
    middle = weighted_median(values, weights, np.ones_like(values, dtype=np.bool_))[0]
    half = weights.sum() / 2
    assert weights[values < middle].sum() <= half + 1e-9
    assert weights[values > middle].sum() <= half + 1e-9


def test_holidays_are_learnt_where_they_matter_and_nowhere_else() -> None:
    # 700 days from 2023-11-05: Chinese New Year falls on 2024-02-10 and 2025-01-29, with days off around it.
    rng = np.random.default_rng(5)
    values = rng.poisson(40, (30, 700)).astype(float)
    shop = panel(values)
    spring = [
        place
        for place, own in marked(shop.days, ("CN",)).items()
        if any("Spring" in n or "New Year" in n for _, n in own)
    ]
    quiet = values.copy()
    quiet[:, spring] *= 0.1
    learnt = effects(panel(quiet), ("CN", "US"))
    ahead = np.datetime64("2026-02-10") + np.arange(14)
    assert learnt.factors(ahead).min() < 0.3
    assert "US" not in learnt.names
    assert effects(shop, ("CN", "US")) == Effects({}, ("CN", "US"))


def test_leap_days_are_in_the_calendar() -> None:
    told = forecast(panel(weekly(3, 110, 1)), FAST)  # ends on 2024-02-22
    assert np.datetime64("2024-02-29") in told.days
    assert len(np.unique(told.days)) == 28


def test_a_forecast_survives_saving_and_answers_higher_rooms() -> None:
    told = forecast(panel(weekly(4, 120, 4)), FAST)
    again = Forecast.from_arrays(told.arrays(), told.manifest())
    assert again.of("s1") == told.of("s1")
    wanted = told.demand(Ids(["s2", "stranger"]))
    assert wanted.dtype == np.float32
    assert wanted.tolist() == [pytest.approx(told.mean[2].mean(), rel=1e-6), 0.0]
    assert told.of("s0", 7)["sum"] == pytest.approx(told.mean[0, :7].sum(), abs=1e-3)


def test_hundred_thousand_series_fall_to_what_answers_for_all() -> None:
    rng = np.random.default_rng(0)
    values = rng.poisson(0.3, (100_000, 35)).astype(float)
    told = forecast(panel(values), ForecastSettings(horizon=7, origins=1))
    assert told.models == VECTORISED
    assert len(told) == 100_000
    assert {note.code for note in told.notes} == {"vectorised"}


def test_known_dynamics_repeat_by_seed() -> None:
    for make in (mackey_glass, setar):
        one = make(2, 50, 1)
        assert one.shape == (2, 50)
        assert np.array_equal(one, make(2, 50, 1))
        assert not np.array_equal(one, make(2, 50, 2))
        assert one.std() > 0.1

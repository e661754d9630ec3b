"""How many units, how long, what can be found."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from palate.core import UsageError
from palate.experiments.metrics import Metric
from palate.experiments.plan import Design
from palate.experiments.power import Baseline, Question, baseline, days_needed, detectable, power_of, units_needed
from palate.experiments.sequential import half_width

RATE = Baseline(0.05, math.sqrt(0.05 * 0.95))
EVEN = {"A": 1.0, "B": 1.0}
DESIGNS: tuple[Design, ...] = ("fixed", "group-sequential", "always-valid")


def test_a_fixed_test_needs_what_the_formula_says() -> None:
    units = units_needed(RATE, 0.02, Question(EVEN, "A", design="fixed"))
    z = stats.norm.isf(0.025) + stats.norm.ppf(0.8)
    assert units == pytest.approx(4 * (z * RATE.deviation / (0.05 * 0.02)) ** 2, rel=1e-3)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("shares", [EVEN, {"A": 9.0, "B": 1.0}, {"A": 2.0, "B": 1.0, "C": 1.0}], ids=str)
def test_the_units_needed_give_the_power_and_find_the_lift(design: Design, shares: dict[str, float]) -> None:
    question = Question(shares, "A", design=design, looks=10, comparisons=len(shares) - 1)
    units = units_needed(RATE, 0.03, question)
    assert power_of(RATE, 0.03, units, question) == pytest.approx(0.8, abs=2e-3)
    assert power_of(RATE, -0.03, units, question) == pytest.approx(0.8, abs=2e-3)
    assert detectable(RATE, units, question) == pytest.approx(0.03, rel=2e-3)


def test_looking_costs_units_and_more_freedom_costs_more() -> None:
    needed = [units_needed(RATE, 0.03, Question(EVEN, "A", design=design)) for design in DESIGNS]
    assert needed[0] < needed[1] < 1.1 * needed[0] < needed[2] < 2.0 * needed[0]


def test_the_promised_power_is_that_of_simulated_experiments() -> None:
    question = Question(EVEN, "A", looks=14)
    units = units_needed(Baseline(1.0, 2.0), 0.1, question)
    a_look = units // 28  # of each arm
    rng = np.random.default_rng(0)
    means = [rng.normal(mean, 2.0 / math.sqrt(a_look), size=(4_000, 14)) for mean in (1.0, 1.1)]
    n = a_look * np.arange(1, 15)
    difference = (means[1] - means[0]).cumsum(axis=1) * a_look / n
    z = difference / np.sqrt(2 * 4.0 / n)
    found = (z > half_width(question.fractions)).any(axis=1).mean()
    assert found == pytest.approx(0.8, abs=0.025)


def test_a_covariate_saves_units() -> None:
    rng = np.random.default_rng(1)
    before = rng.gamma(2.0, 1.0, 20_000)
    table = pl.DataFrame({"spend": before + rng.normal(size=20_000), "spend before": before})
    own, plain = (baseline(table, Metric(name="spend", covariate=covariate)) for covariate in (True, False))
    correlation = float(np.corrcoef(before, table["spend"])[0, 1])
    assert own.deviation**2 / plain.deviation**2 == pytest.approx(1 - correlation**2, rel=1e-3)
    question = Question(EVEN, "A")
    saved = units_needed(own, 0.01, question) / units_needed(plain, 0.01, question)
    assert saved == pytest.approx(1 - correlation**2, rel=0.01)


@given(st.integers(1, 10**7), st.floats(0.5, 1e6), st.floats(0, 30))
def test_days_are_whole_weeks_that_suffice(units: int, a_day: float, window: float) -> None:
    days = days_needed(units, a_day, window_days=window)
    assert days % 7 == 0
    assert (days - window) * a_day >= units * (1 - 1e-9)
    assert days - 7 < units / a_day + window
    assert 0 <= days - days_needed(units, a_day, window_days=window, whole_weeks=False) < 7


def test_what_cannot_be_planned_is_said() -> None:
    question = Question(EVEN, "A")
    for base, lift, words in ((RATE, 0.0, "neither may be 0"), (Baseline(0.0, 1.0), 0.1, "neither may be 0")):
        with pytest.raises(UsageError, match=words):
            units_needed(base, lift, question)
    with pytest.raises(UsageError, match="does not vary"):
        units_needed(Baseline(1.0, 0.0), 0.1, question)
    with pytest.raises(UsageError, match="does not vary"):
        detectable(Baseline(1.0, 0.0), 100, question)
    with pytest.raises(UsageError, match="never end"):
        days_needed(100, 0.0)
    with pytest.raises(UsageError, match="no numbers that vary"):
        baseline(pl.DataFrame({"spend": [1.0, 1.0, 1.0]}), Metric(name="spend"))
    with pytest.raises(UsageError, match="no numbers that vary"):
        baseline(pl.DataFrame({"spend": [1.0, math.nan, 3.0]}), Metric(name="spend"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": {"A": 1.0}},
        {"shares": {"B": 1.0, "C": 1.0}},
        {"shares": {"A": 1.0, "B": 0.0}},
        {"alpha": 0.9},
        {"power": 1.0},
        {"looks": 0},
        {"comparisons": 0},
    ],
    ids=str,
)
def test_questions_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Question(**{"shares": EVEN, "control": "A", **wrong})  # type: ignore[arg-type]

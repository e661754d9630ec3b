"""Whom an action changes: found where it is so, not where it is not, and measured with intervals that hold."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import DataError, Float64Array
from palate.experiments.uplift import UpliftSettings, qini, uplift
from tests.conftest import shared_data

FAST = {"rounds": 40, "learning_rate": 0.1, "least_in_leaf": 50}


def experiment(n: int, seed: int, strength: float = 0.3) -> tuple[Any, Any, Float64Array, Float64Array]:
    """Features, who was acted on, outcomes, and true effects: the action helps those with a positive first feature."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, 4)).astype(np.float32)
    effect = np.where(features[:, 0] > 0, strength, 0.0)
    treated = random.random(n) < 0.4
    chance = 0.3 + 0.15 * np.tanh(features[:, 1]) + effect * treated
    return features, treated, (random.random(n) < chance).astype(np.float64), effect


@pytest.mark.parametrize("learner", ["t", "x"])
def test_it_finds_whom_the_action_helps(learner: Literal["t", "x"]) -> None:
    features, treated, outcome, effect = experiment(6_000, 0)
    found = uplift(features, treated, outcome, settings=UpliftSettings(learner=learner, **FAST), seed=1)
    assert np.corrcoef(found.score, effect)[0, 1] > 0.7
    measured = qini(found.score, treated, outcome, expected=found.expected, fold=found.fold)
    assert measured.coefficient.low > 0
    # Acting on the right half first gains strength / 2 per person there: the area is an eighth of the strength.
    assert measured.coefficient.estimate == pytest.approx(0.3 / 8, abs=0.012)
    assert measured.effect.low < 0.15 < measured.effect.high


def test_where_the_action_helps_all_alike_nothing_is_found() -> None:
    random, hits = np.random.default_rng(0), 0
    for seed in range(5):
        features, treated, _, _ = experiment(2_000, seed)
        outcome = (random.random(2_000) < 0.3 + 0.1 * treated).astype(np.float64)
        found = uplift(features, treated, outcome, settings=UpliftSettings(learner="t", **FAST), seed=seed)
        hits += qini(found.score, treated, outcome, expected=found.expected, fold=found.fold).coefficient.low > 0
    assert hits <= 1


def test_intervals_of_the_measure_hold_the_truth() -> None:
    held, estimates = 0, []
    for seed in range(300):
        features, treated, outcome, _ = experiment(800, seed)
        found = qini(np.round(features[:, 0], 1).astype(np.float64), treated, outcome, share_treated=0.4)
        held += found.coefficient.low < 0.3 / 8 < found.coefficient.high
        estimates.append(found.coefficient.estimate)
    assert np.mean(estimates) == pytest.approx(0.3 / 8, abs=3 * np.std(estimates) / np.sqrt(300) + 5e-4)
    assert 276 <= held <= 295


@given(st.integers(0, 1_000), st.sampled_from([np.exp, np.cbrt, lambda score: 3 * score - 7]))
@settings(max_examples=20)
def test_only_the_order_of_scores_counts(seed: int, change: Any) -> None:
    features, treated, outcome, _ = experiment(300, seed)
    score = np.round(features[:, 0].astype(np.float64), 1)
    first, second = (qini(own, treated, outcome) for own in (score, change(score)))
    assert second.coefficient == first.coefficient
    np.testing.assert_allclose(second.gain[-1], first.gain[-1])
    reverse = qini(-score, treated, outcome).coefficient
    assert reverse.estimate == pytest.approx(-first.coefficient.estimate)
    assert qini(np.zeros(300), treated, outcome).coefficient.estimate == pytest.approx(0.0, abs=1e-12)


def test_the_curve_ends_at_the_effect_and_its_area_is_the_coefficient() -> None:
    features, treated, outcome, _ = experiment(2_000, 3)
    found = qini(features[:, 0].astype(np.float64), treated, outcome, points=2_001)
    assert found.gain[0] == 0
    assert found.gain[-1] == pytest.approx(found.effect.estimate)
    area = np.trapezoid(found.gain - found.share * found.gain[-1], found.share)
    assert area == pytest.approx(found.coefficient.estimate, abs=1e-3)


def test_the_same_seed_gives_the_same_scores_and_nobody_scores_themselves() -> None:
    features, treated, outcome, _ = experiment(2_000, 5)
    first, again = (uplift(features, treated, outcome, settings=UpliftSettings(**FAST), seed=2) for _ in range(2))
    np.testing.assert_array_equal(first.score, again.score)
    other = np.where(first.fold == 0, 1 - outcome, outcome)
    changed = uplift(features, treated, other, settings=UpliftSettings(**FAST), seed=2)
    np.testing.assert_array_equal(changed.score[first.fold == 0], first.score[first.fold == 0])
    assert (changed.score[first.fold == 1] != first.score[first.fold == 1]).any()
    for part in (0, 1):
        assert treated[first.fold == part].mean() == pytest.approx(treated.mean(), abs=0.001)


def test_what_cannot_be_learnt_from_is_refused_in_words() -> None:
    features, treated, outcome, _ = experiment(400, 0)
    with pytest.raises(DataError, match="1,200 of each are due"):
        uplift(features, treated, outcome)
    small = UpliftSettings(least_in_leaf=5)
    with pytest.raises(DataError, match="0 without"):
        uplift(features, np.ones(400, dtype=bool), outcome, settings=small)
    with pytest.raises(DataError, match="person 4 has an outcome that is no number"):
        uplift(features, treated, np.where(np.arange(400) == 3, np.nan, outcome), settings=small)
    with pytest.raises(DataError, match="one of each"):
        uplift(features[:9], treated, outcome, settings=small)
    with pytest.raises(DataError, match="one group is empty"):
        qini(features[:, 0].astype(np.float64), np.zeros(400, dtype=bool), outcome)


def test_a_real_mailing_reaches_some_people_more_than_others() -> None:
    rows = pl.read_parquet(shared_data("hillstrom") / "customers.parquet").filter(pl.col("segment") != "Mens E-Mail")
    codes = [pl.col(name).rank("dense") for name in ("zip_code", "channel")]
    features = rows.select("recency", "history", "mens", "womens", "newbie", *codes).to_numpy().astype(np.float32)
    treated, visits = (rows["segment"] != "No E-Mail").to_numpy(), rows["visit"].to_numpy().astype(np.float64)
    found = uplift(features, treated, visits, settings=UpliftSettings(learner="t"), categorical=(5, 6))
    measured = qini(found.score, treated, visits, expected=found.expected, fold=found.fold)
    assert measured.effect.estimate == pytest.approx(0.1514 - 0.1062, abs=0.001)
    assert measured.coefficient.low > 0.002

"""Prediction measures and calibration against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from palate import measure

pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 100)), min_size=1, max_size=40)


@given(pairs)
def test_probabilities_agree_with_scikit_learn(rows: list[tuple[int, int]]) -> None:
    truth, probability = np.array([r[0] for r in rows]), np.array([r[1] / 100 for r in rows])
    got = measure.decisions(truth, probability)
    predicted = probability >= 0.5
    assert got.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert got.precision == pytest.approx(metrics.precision_score(truth, predicted, zero_division=0))
    assert got.recall == pytest.approx(metrics.recall_score(truth, predicted, zero_division=0))
    assert got.f1 == pytest.approx(metrics.f1_score(truth, predicted, zero_division=0))
    assert measure.brier(truth, probability) == pytest.approx(metrics.brier_score_loss(truth, probability, pos_label=1))
    clipped = np.clip(probability, 1e-15, 1 - 1e-15)
    assert measure.log_loss(truth, probability) == pytest.approx(metrics.log_loss(truth, clipped, labels=[0, 1]))
    if 0 < truth.sum() < len(truth):
        assert measure.auc(truth, probability) == pytest.approx(metrics.roc_auc_score(truth, probability))
    else:
        with pytest.raises(ValueError, match="at least one positive and one negative"):
            measure.auc(truth, probability)


def test_ratings() -> None:
    assert measure.rmse([1, 2, 3], [1, 2, 6]) == pytest.approx(3**0.5)
    assert measure.mae([1, 2, 3], [1, 2, 6]) == 1.0
    with pytest.raises(ValueError, match="3 true values for 2 predictions"):
        measure.rmse([1, 2, 3], [1, 2])


def test_calibration_tells_honest_from_boastful() -> None:
    rng = np.random.default_rng(1)
    probability = rng.random(20_000)
    truth = rng.random(20_000) < probability
    assert measure.expected_calibration_error(truth, probability) < 0.02
    boastful = np.where(probability > 0.5, 0.99, 0.01)
    table = measure.reliability(truth, boastful)
    assert table.counts.sum() == 20_000
    assert len(table.counts) == 2
    assert measure.expected_calibration_error(truth, boastful) == pytest.approx(0.24, abs=0.02)
    assert measure.expected_calibration_error([1, 1], [1.0, 1.0]) == 0.0

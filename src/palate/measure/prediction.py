"""How good predicted probabilities and ratings are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from palate.core import Float64Array


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a threshold on probabilities gets right.

    Parameters
    ----------
    accuracy
        Share of right decisions.
    precision
        Share of predicted positives that are positive; 0 where none is predicted.
    recall
        Share of positives that are predicted; 0 where there is none.
    f1
        Harmonic mean of precision and recall.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float


def decisions(truth: ArrayLike, probability: ArrayLike, threshold: float = 0.5) -> Decisions:
    """Accuracy, precision, recall and F1 of "positive from the threshold on".

    Parameters
    ----------
    truth
        (n,), 0 or 1.
    probability
        (n,), 0 to 1.
    """
    y, p = _pair(truth, probability)
    positive, predicted = y > 0, p >= threshold
    both = float((positive & predicted).sum())
    precision = both / max(float(predicted.sum()), 1.0)
    recall = both / max(float(positive.sum()), 1.0)
    f1 = 2.0 * precision * recall / (precision + recall) if both else 0.0
    return Decisions(float((positive == predicted).mean()), precision, recall, f1)


def auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann & Whitney 1947).

    Raises
    ------
    ValueError
        Only one class is there, so the question has no answer.
    """
    y, s = _pair(truth, score)
    positives = float((y > 0).sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        raise ValueError("AUC needs at least one positive and one negative")
    ranks = stats.rankdata(s)
    return float((ranks[y > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(truth: ArrayLike, probability: ArrayLike, floor: float = 1e-15) -> float:
    """Mean negative log likelihood in nats; probabilities are kept ``floor`` away from 0 and 1."""
    y, p = _pair(truth, probability)
    p = np.clip(p, floor, 1.0 - floor)
    return float(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)).mean())


def brier(truth: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared error of probabilities (Brier 1950)."""
    y, p = _pair(truth, probability)
    return float(((y - p) ** 2).mean())


def rmse(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Root mean squared error, in the unit of the ratings."""
    y, p = _pair(truth, predicted)
    return float(np.sqrt(((y - p) ** 2).mean()))


def mae(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error, in the unit of the ratings."""
    y, p = _pair(truth, predicted)
    return float(np.abs(y - p).mean())


def _pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[Float64Array, Float64Array]:
    y, p = np.asarray(truth, dtype=np.float64).ravel(), np.asarray(predicted, dtype=np.float64).ravel()
    if len(y) != len(p) or not len(y):
        raise ValueError(f"{len(y)} true values for {len(p)} predictions; both need the same length, at least 1")
    return y, p

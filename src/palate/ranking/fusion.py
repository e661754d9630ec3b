"""Many scores become one by weights: the fallback of the learned ranker, and the order of what it never sees."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from palate.core import FloatArray, IntArray, Settings
from palate.core.rankings import NEVER
from palate.core.space import Space, Span
from palate.ranking.sources import SourceScores


class FusionSettings(Settings):
    """Of the weighted average.

    Parameters
    ----------
    regularization
        Pull of the weights towards equality.
    """

    regularization: float = Field(default=1e-3, ge=0)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space({"regularization": Span(1e-5, 1.0, log=True)})


def normalised(values: FloatArray) -> FloatArray:
    """Scores divided by the largest size in their row, so that sources can be added; float32, the last axis items."""
    finite = np.where(np.isfinite(values), values, 0)
    return np.asarray(finite / np.maximum(np.abs(finite).max(axis=-1, keepdims=True), 1e-9), dtype=np.float32)


def learn_weights(values: FloatArray, answers: IntArray, settings: FusionSettings) -> FloatArray:
    """Weights (at least 0) under which the right candidate stands out: maximum likelihood of a softmax.

    Parameters
    ----------
    values
        float32 (s, n, c), normalised scores of the candidates of n questions.
    answers
        int32 (n,), column of the right candidate.

    Returns
    -------
    float32 (s,), summing to 1.
    """
    from scipy.optimize import minimize

    s, n, _ = values.shape
    if not n:
        return np.full(s, 1 / s, dtype=np.float32)
    table = np.ascontiguousarray(np.moveaxis(values, 0, 2), dtype=np.float64)
    rows = np.arange(n)
    right = table[rows, answers]

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        logits = table @ weights
        top = logits.max(axis=1, keepdims=True)
        odds = np.exp(logits - top)
        total = odds.sum(axis=1, keepdims=True)
        expected = np.einsum("nc,ncs->s", odds / total, table)
        spread = weights - weights.mean()
        value = (np.log(total) + top).sum() - (right @ weights).sum() + settings.regularization * n * spread @ spread
        return value / n, (expected - right.sum(axis=0)) / n + 2 * settings.regularization * spread

    found = minimize(loss, np.ones(s), jac=True, method="L-BFGS-B", bounds=[(0, None)] * s)
    weights = np.maximum(found.x, 0)
    if weights.sum() < 1e-6:  # every source misleads: then none leads
        return np.full(s, 1 / s, dtype=np.float32)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def fuse(scores: SourceScores, weights: FloatArray) -> FloatArray:
    """The weighted average of all items' normalised scores; float32 (n, n_items), -inf where ruled out.

    Parameters
    ----------
    weights
        float32 (n, s), each question's own.
    """
    total = np.zeros(scores.dense[0].shape, dtype=np.float32)
    for position, (_, dense) in enumerate(scores):
        weight = weights[:, position, None]
        if weight.any():
            total += weight * normalised(dense)
    total[scores.dense[0] == NEVER] = NEVER
    return total

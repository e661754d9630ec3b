"""From scores to probabilities that mean what they say: a logistic curve or a staircase, whichever foretells better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.core import BoolArray, Float64Array
from palate.measure.prediction import log_loss

_EDGE = 1e-6


@dataclass(frozen=True)
class Calibrator:
    """A rising map from scores to probabilities.

    Parameters
    ----------
    kind
        ``platt``: a logistic curve over the score (Platt, 1999). ``isotonic``: the best staircase that never falls
        (Zadrozny & Elkan, 2002), read between its steps.
    x, y
        float64 (m,). Platt: slope and intercept in ``y``, ``x`` is empty. Isotonic: scores and their probabilities.
    """

    kind: Literal["platt", "isotonic"]
    x: Float64Array
    y: Float64Array

    def __call__(self, scores: ArrayLike) -> Float64Array:
        """Probabilities of scores; float64, of their shape."""
        values = np.asarray(scores, dtype=np.float64)
        if self.kind == "isotonic":
            return np.asarray(np.interp(values, self.x, self.y))
        slope, intercept = self.y
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * (slope * values + intercept))))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return {"x": self.x, "y": self.y}

    @classmethod
    def restore(cls, kind: Literal["platt", "isotonic"], arrays: Mapping[str, NDArray[Any]]) -> Calibrator:
        """The calibrator that ``arrays`` gave."""
        return cls(kind, np.asarray(arrays["x"], np.float64), np.asarray(arrays["y"], np.float64))


def platt(scores: ArrayLike, truth: ArrayLike) -> Calibrator:
    """A logistic curve; targets are drawn in from 0 and 1 as Platt has it, so that few positives are no certainty."""
    x, y = _checked(scores, truth)
    positives, negatives = float(y.sum()), float(len(y) - y.sum())
    target = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = logistic_weights(x[:, None], target)
    if slope < 0:
        # A score that ranks the wrong way is worth nothing; it must not be turned round.
        mean = float(target.mean())
        slope, intercept = 0.0, float(np.log(mean / (1 - mean)))
    return Calibrator("platt", np.empty(0), np.array([slope, intercept]))


def logistic_weights(columns: Float64Array, target: Float64Array) -> Float64Array:
    """Weights of a logistic regression without a penalty, the intercept last; float64 (d + 1,) from (n, d) and (n,).

    Targets may lie between 0 and 1. A column that never changes weighs nothing.
    """
    from scipy.optimize import minimize

    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    spread = np.where(spread > _EDGE, spread, 1.0)
    standard = np.column_stack([(columns - centre) / spread, np.ones(len(columns))])

    def loss(weights: Float64Array) -> tuple[float, Float64Array]:
        margin = standard @ weights
        gap = 0.5 * (1.0 + np.tanh(0.5 * margin)) - target
        return float((np.logaddexp(0.0, margin) - target * margin).mean()), standard.T @ gap / len(target)

    found = minimize(loss, np.zeros(standard.shape[1]), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return np.append(weights, found[-1] - float(weights @ centre))


def isotonic(scores: ArrayLike, truth: ArrayLike) -> Calibrator:
    """The staircase of least squares that never falls (pool adjacent violators), its steps joined at their middles."""
    from scipy.optimize import isotonic_regression

    x, y = _checked(scores, truth)
    order = np.argsort(x, kind="stable")
    levels = np.asarray(isotonic_regression(y[order]).x)
    edges = np.flatnonzero(np.diff(levels, prepend=-1.0))
    stops = np.append(edges[1:], len(levels))
    middles = np.array([x[order][start:stop].mean() for start, stop in zip(edges, stops, strict=True)])
    middles, first = np.unique(middles, return_index=True)
    return Calibrator("isotonic", middles, np.clip(levels[edges][first], _EDGE, 1 - _EDGE))


def chosen(scores: ArrayLike, truth: ArrayLike, parts: NDArray[np.integer]) -> Calibrator:
    """Platt's curve or the staircase: whichever has the smaller log loss on parts it was not fitted on.

    Parameters
    ----------
    parts
        int (n,), which part each row belongs to; at least two.
    """
    x, y = _checked(scores, truth)
    losses: dict[str, float] = {}
    for name, fit in (("platt", platt), ("isotonic", isotonic)):
        foretold = np.empty(len(x))
        for part in np.unique(parts):
            held: BoolArray = parts == part
            foretold[held] = fit(x[~held], y[~held])(x[held])
        losses[name] = log_loss(y, np.clip(foretold, _EDGE, 1 - _EDGE))
    return isotonic(x, y) if losses["isotonic"] < losses["platt"] else platt(x, y)


def _checked(scores: ArrayLike, truth: ArrayLike) -> tuple[Float64Array, Float64Array]:
    x, y = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(truth, dtype=np.float64).ravel()
    if len(x) != len(y) or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"{len(x)} scores for {len(y)} outcomes; both need the same length, at least 2, and no gaps")
    return x, y

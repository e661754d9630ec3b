"""The weighting of objectives that comes nearest to stated goals: several gains at once over another model's lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, IntArray, UsageError
from palate.data import Fold
from palate.evaluation.pareto import Weighs, lists_of
from palate.ranking.objectives import ObjectiveSettings

Measure = Callable[[IntArray], Mapping[str, Float64Array]]
"""What goals name, a number for each question, of lists int32 (n, 10)."""

DIVERSITY = (0.0, 0.25, 0.5, 1.0, 1.7, 2.6, 3.8, 5.5, 8.0, 11.0, 15.0, 20.0)
"""Weights of diversity that are tried, accuracy counting 1."""

SATISFACTION = (0.0, 1.0, 2.0, 4.0, 8.0, 14.0)
"""Weights of satisfaction that are tried with each of them, where people said how content they were."""


@dataclass(frozen=True)
class Weighed:
    """A weighting, and what it comes to.

    Parameters
    ----------
    objectives
        The weighting.
    gains
        Relative gain of each measure over the reference.
    attained
        The smallest of gain over goal: 1 and more where all goals are met at once.
    margin
        The smallest of gain less goal, in standard errors of the gain.
    """

    objectives: ObjectiveSettings
    gains: Mapping[str, float]
    attained: float
    margin: float


def weightings(*, content: bool = False) -> tuple[ObjectiveSettings, ...]:
    """Accuracy against diversity, and against satisfaction where that is known; accuracy alone first."""
    points = []
    for diversity in DIVERSITY:
        for satisfaction in SATISFACTION if content else (0.0,):
            told = {"accuracy": 1.0, "diversity": diversity, "satisfaction": satisfaction}
            total = sum(told.values())
            points.append(ObjectiveSettings.told({name: weight / total for name, weight in told.items()}))
    return tuple(points)


def choose_weighting(
    engine: object,
    fold: Fold,
    measure: Measure,
    *,
    reference: Mapping[str, Float64Array],
    goals: Mapping[str, float],
    points: Sequence[ObjectiveSettings] | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Weighed, tuple[Weighed, ...]]:
    """The weighting that meets all goals with the most to spare; where none does, the one that comes nearest.

    To spare: the smallest of gain less goal in standard errors, so that a gain that is known less well gets more room.
    Nearest: the largest of the smallest gain over goal. Of equals, the first.

    Parameters
    ----------
    fold
        Questions to choose by: validation ones, never those that are reported.
    reference
        What the other model's lists have, by measure, float64 (n,) of the same questions.
    goals
        Relative gains asked for, by measure, each above 0.

    Returns
    -------
    The weighting, and all that were tried.

    Raises
    ------
    UsageError
        The engine answers in one manner only, or a goal is none.
    """
    if not isinstance(engine, Weighs):
        raise UsageError("this engine answers in one manner only; objectives cannot be weighed against each other")
    if not goals or min(goals.values()) <= 0:
        raise UsageError("goals are relative gains above 0, one at least")
    tried = tuple(points or weightings())
    found: list[Weighed] = []
    for objectives, items in zip(tried, lists_of(engine, fold, tried, progress), strict=True):
        columns = measure(items)
        both = {name: _gain(columns[name], reference[name]) for name in goals}
        gains = {name: gain for name, (gain, _) in both.items()}
        attained = min(gains[name] / goal for name, goal in goals.items())
        margin = min((gains[name] - goal) / both[name][1] for name, goal in goals.items())
        found.append(Weighed(objectives, gains, float(attained), float(margin)))
    met = [own for own in found if own.attained >= 1]
    best = max(met, key=lambda own: own.margin) if met else max(found, key=lambda own: own.attained)
    return best, tuple(found)


def _gain(own: Float64Array, other: Float64Array) -> tuple[float, float]:
    """Relative gain of a mean over another of the same questions, and its standard error (delta method)."""
    base = float(other.mean())
    if not base:
        return float("inf"), 1.0
    ratio = float(own.mean()) / base
    error = float((own - ratio * other).std()) / abs(base) / np.sqrt(len(own))
    return ratio - 1, max(error, 1e-9)

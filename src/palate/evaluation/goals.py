"""The weighting of objectives that comes nearest to stated goals: several gains at once over another model's lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from palate.core import IntArray, UsageError
from palate.data import Fold
from palate.evaluation.pareto import Weighs, lists_of
from palate.ranking.objectives import ObjectiveSettings

Measure = Callable[[IntArray], Mapping[str, float]]
"""Means of the measures that goals name, of lists int32 (n, 10)."""

DIVERSITY = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8)
"""Shares of diversity that are tried, novelty apart."""

NOVELTY = (0.0, 0.05, 0.1)
"""Shares of novelty that are tried beside each of them."""


@dataclass(frozen=True)
class Chosen:
    """A weighting, and what it came to on the questions it was chosen by.

    Parameters
    ----------
    objectives
        The weighting.
    gains
        Relative gain of each measure over the reference.
    attained
        The smallest of gain over goal: 1 and more where all goals are met at once.
    """

    objectives: ObjectiveSettings
    gains: Mapping[str, float]
    attained: float


def weightings() -> tuple[ObjectiveSettings, ...]:
    """Accuracy against diversity and novelty, from accuracy alone on."""
    return tuple(
        ObjectiveSettings.told(
            {"accuracy": round(1 - diversity - novelty, 6), "diversity": diversity, "novelty": novelty}
        )
        for diversity in DIVERSITY
        for novelty in NOVELTY
    )


def choose_weighting(
    engine: object,
    fold: Fold,
    measure: Measure,
    *,
    reference: Mapping[str, float],
    goals: Mapping[str, float],
    points: Sequence[ObjectiveSettings] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Chosen:
    """The weighting whose smallest gain, as a share of its goal, is largest; of equals, the first.

    Parameters
    ----------
    fold
        Questions to choose by: validation ones, never those that are reported.
    reference
        What the other model's lists have, by measure.
    goals
        Relative gains asked for, by measure, each above 0.

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
    best: Chosen | None = None
    for objectives, items in zip(tried, lists_of(engine, fold, tried, progress), strict=True):
        found = measure(items)
        gains = {name: found[name] / reference[name] - 1 if reference[name] else np.inf for name in goals}
        attained = min(gains[name] / goal for name, goal in goals.items())
        if best is None or attained > best.attained:
            best = Chosen(objectives, gains, float(attained))
    assert best is not None  # noqa: S101
    return best

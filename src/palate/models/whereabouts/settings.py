"""Hyper-parameters of the next-place model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from palate.core import Settings
from palate.core.space import Space, Span


class PlacesSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    zone
        Time zone that hours and weekdays are counted in, e.g. ``America/New_York``; ``auto``: the whole hour nearest to
        the sun at each place, 15 degrees an hour, without daylight saving time; UTC where places have no coordinates.
    trip_hours
        A longer gap ends an outing.
    window
        Newest visits of a history that are looked at.
    successors
        Places proposed for what others do after the last place, near it, and by people alike; a third each.
    learn_from
        What is asked for while learning: the ``ends`` of outings of two visits or more (every visit where they are
        few), or ``every`` visit.
    questions
        At most this many visits are asked for while learning.
    negatives
        Wrong candidates kept of each of these questions.
    folds
        Stretches of time, each asked of a crowd that ends before it.
    warm
        Share of the events before the first of these stretches.
    trees, leaves, learning_rate, minimum_leaf, feature_fraction
        Of the ranker.
    seed
        Of what is drawn: questions, candidates, features of a tree.
    """

    zone: str = "auto"
    trip_hours: float = Field(default=24.0, gt=0)
    window: int = Field(default=400, ge=1)
    successors: int = Field(default=45, ge=3)
    learn_from: Literal["ends", "every"] = "ends"
    questions: int = Field(default=12_000, ge=50)
    negatives: int = Field(default=25, ge=1)
    folds: int = Field(default=4, ge=1)
    warm: float = Field(default=0.3, gt=0, lt=1)
    objective: Literal["lambdarank", "softmax"] = "lambdarank"
    trees: int = Field(default=150, ge=1)
    leaves: int = Field(default=31, ge=2)
    learning_rate: float = Field(default=0.07, gt=0)
    minimum_leaf: int = Field(default=40, ge=1)
    feature_fraction: float = Field(default=0.6, gt=0, le=1)
    seed: int = 0

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "trees": Span(60, 500, log=True),
                "leaves": Span(7, 63, log=True),
                "learning_rate": Span(0.03, 0.2, log=True),
                "minimum_leaf": Span(10, 200, log=True),
                "feature_fraction": Span(0.3, 1.0),
            }
        )

"""Hyper-parameters of the next behaviour, without importing what learns it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from palate.training import TrainingSettings

KINDS = ("view", "click", "purchase", "rating")
"""What can be foreseen, each among a population of its own; see ``occasions``."""

BODIES = ("linear", "forest", "trees", "lstm", "gru")

Body = Literal["linear", "forest", "trees", "lstm", "gru"]


class NextBehaviourSettings(TrainingSettings):
    """How the next behaviour is foreseen.

    Parameters
    ----------
    body
        What turns V_u and x_i into odds: logistic regression, a random forest, boosted trees, or one network over the
        moments, LSTM or GRU, with a head a kind; ``auto``: all compete, and each kind gets the one whose log loss is
        lowest on validation.
    ranks
        Kind whose probability orders recommendations.
    window
        Newest moments that are read.
    dimensions
        Directions of the language vectors that are kept.
    horizon_days
        A look becomes a purchase if one of that item follows within so many days.
    threshold
        A rating counts as high from here on; None: three quarters of the highest one.
    negatives
        Items drawn evenly for each view, against which it is told apart.
    examples
        Occasions of a kind learnt from at most, drawn by seed; a view with its negatives is one.
    validation
        Share of occasions, the last in time, that chooses, stops and calibrates.
    least
        Fewer occasions of either outcome, and a kind is not foreseen.
    strength
        Occasions that the wider group's share is worth where an item has few of its own.
    trees, leaves, step, minimum_leaf
        Of the boosted trees: how many, how large, how fast, and occasions a leaf needs.
    forest_trees, forest_leaves
        Of the random forest.
    penalty
        Of the logistic regression: strength of the squared weights.
    width, dropout, batch
        Of the network: length of a state, share dropped, occasions a step.
    time_zone
        Of the clock on the wall.
    """

    epochs: int = Field(default=8, ge=1)
    patience: int = Field(default=3, ge=1)
    weight_decay: float = Field(default=0.05, ge=0)
    body: Body | Literal["auto"] = "trees"
    ranks: Literal["view", "click", "purchase", "rating"] = "view"
    window: int = Field(default=32, ge=1, le=256)
    dimensions: int = Field(default=24, ge=2)
    horizon_days: float = Field(default=1.0, gt=0)
    threshold: float | None = None
    negatives: int = Field(default=4, ge=1)
    examples: int = Field(default=40_000, ge=100)
    validation: float = Field(default=0.2, gt=0, lt=1)
    least: int = Field(default=30, ge=5)
    strength: float = Field(default=20.0, gt=0)
    trees: int = Field(default=200, ge=1)
    leaves: int = Field(default=6, ge=2)
    step: float = Field(default=0.05, gt=0)
    minimum_leaf: int = Field(default=60, ge=1)
    forest_trees: int = Field(default=200, ge=1)
    forest_leaves: int = Field(default=64, ge=2)
    penalty: float = Field(default=20.0, gt=0)
    width: int = Field(default=48, ge=4)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    batch: int = Field(default=256, ge=8)
    time_zone: str = "UTC"

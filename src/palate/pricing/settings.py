"""Settings of price policies and of what they are after."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from palate.core import Settings

PolicyKind = Literal["fixed", "rule", "cost_plus", "score", "greedy", "thompson", "ucb"]

_MOST_ENDS = 0.1

LEARNING: tuple[PolicyKind, ...] = ("greedy", "thompson", "ucb")
"""Policies that go by demand."""


class ObjectiveSettings(Settings):
    """What a price is chosen for: a weighted sum, everything counted in list prices per ask.

    Parameters
    ----------
    revenue
        Price times the probability of a purchase.
    margin
        Price less cost, times that probability; nothing is priced whose cost is unknown.
    units
        The probability of a purchase.
    satisfaction
        What customers gain or lose against the list price: their surplus, the area under demand between the two prices.
        1 weighs a unit of their money like a unit of the shop's.
    """

    revenue: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    margin: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    units: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    satisfaction: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _some(self) -> ObjectiveSettings:
        if not (self.revenue or self.margin or self.units or self.satisfaction):
            raise ValueError("every weight is 0: give one of revenue, margin, units and satisfaction a weight")
        return self


class Rule(Settings):
    """List price times ``factor`` wherever a feature lies within [``least``, ``most``]; None: no bound."""

    feature: str
    least: float | None = None
    most: float | None = None
    factor: float = Field(gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> Rule:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"a rule on {self.feature!r} runs from {self.least:g} down to {self.most:g}")
        return self


class PolicySettings(Settings):
    """How a price is chosen.

    Parameters
    ----------
    kind
        ``fixed`` asks the list price times ``factor``; ``rule`` goes by the first rule that fits, ``cost_plus`` by
        cost; ``score`` moves the list price by the percentile of a score; ``greedy``, ``thompson`` and ``ucb`` go by
        demand.
    factor
        Of the fixed price, and of whatever no rule fits.
    rules
        The first that fits decides.
    markup
        Over cost, as a share of it.
    kappa
        By how much the score may move a price: list x (1 + kappa (2 percentile(score) - 1)). Below 0, those who score
        high are asked for less.
    score
        The feature that is the score.
    quantiles
        Values of the score at evenly spaced quantiles of the population, from the least to the largest.
    exploration
        Share of asks whose price is drawn evenly from the ladder; no price of it is ever less likely than this over
        their number.
    ends
        Where demand decides, a share ends / sqrt(1 + asks learnt from) of prices, a tenth at most, is the lowest or the
        highest of the ladder: what these tell of the price effect none between them does (Broder and Rusmevichientong,
        2012). 1 guards against a wrong belief that is never put to the test; on average it brings nothing.
    draws
        Models that Thompson sampling draws for an ask; it takes the best price of one of them, so that the propensity
        is the share of draws that agree, and exact.
    width
        Standard deviations that ``ucb`` hopes for, and by how much ``thompson`` stretches what it draws; None: 1 and
        .3.
    objective
        What for; only where demand decides.
    """

    kind: PolicyKind = "thompson"
    factor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    rules: tuple[Rule, ...] = ()
    markup: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    kappa: float = Field(default=0.1, ge=-0.9, le=0.9)
    score: str = "score"
    quantiles: tuple[float, ...] = (0.0, 1.0)
    exploration: float = Field(default=0.01, ge=0, le=1)
    ends: float = Field(default=0.0, ge=0, le=100)
    draws: int = Field(default=32, ge=1, le=10_000)
    width: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    objective: ObjectiveSettings = ObjectiveSettings()

    @property
    def reach(self) -> float:
        """``width``, or what serves the kind of policy."""
        if self.width is not None:
            return self.width
        return 1.0 if self.kind == "ucb" else 0.3

    def ends_after(self, rows: int) -> float:
        """Share of prices at the ends of the ladder after so many asks learnt from."""
        return min(_MOST_ENDS, self.ends / math.sqrt(1.0 + rows))

    @model_validator(mode="after")
    def _rising(self) -> PolicySettings:
        if len(self.quantiles) < 2 or any(low > high for low, high in pairwise(self.quantiles)):
            raise ValueError("quantiles of the score are at least two numbers that never fall")
        return self

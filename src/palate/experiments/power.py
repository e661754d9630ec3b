"""How many units an experiment needs, how long that takes, and what it could find with fewer.

A fixed test is planned by tea-tasting; what looking on the way costs beyond it is computed from the same integration
that gives the critical values, so that a plan's power is its own and not that of the test it resembles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from palate.core import Float64Array, UsageError
from palate.experiments.group_sequential import Spending, critical_values, crossing, drift_for_power
from palate.experiments.metrics import Metric
from palate.experiments.plan import Design
from palate.experiments.sequential import half_width
from palate.experiments.variance import estimates

WEEK = 7


@dataclass(frozen=True, slots=True)
class Baseline:
    """A metric before the experiment.

    Parameters
    ----------
    mean
        Its value.
    deviation
        Standard deviation of a unit's contribution, what a covariate takes out not counted.
    """

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Question:
    """What an experiment is to find out, and how it will be read.

    Parameters
    ----------
    shares
        Units each arm is given, the control included.
    control
        The arm that the others are compared with.
    alpha, power
        Error rate; chance to find the lift.
    design, spending, looks
        As in the plan; how many evenly spaced looks there will be, 1 for a fixed design whatever is said.
    comparisons
        Goals times arms that alpha is shared among (Bonferroni: the correction of the plan needs no more units).
    """

    shares: Mapping[str, float]
    control: str
    alpha: float = 0.05
    power: float = 0.8
    design: Design = "always-valid"
    spending: Spending = "obrien-fleming"
    looks: int = 14
    comparisons: int = 1

    def __post_init__(self) -> None:
        if len(self.shares) < 2 or self.control not in self.shares or min(self.shares.values()) <= 0:
            raise UsageError(f"two arms at least, {self.control!r} (the control) among them, each with a share above 0")
        if not 0 < self.alpha < self.power < 1:
            raise UsageError(f"alpha = {self.alpha:g}, power = {self.power:g}: both between 0 and 1, power the larger")
        if self.looks < 1 or self.comparisons < 1:
            raise UsageError("looks and comparisons are counted from 1")

    @property
    def level(self) -> float:
        """Error rate of one comparison."""
        return self.alpha / self.comparisons

    @property
    def fractions(self) -> Float64Array:
        """Shares of the planned units at the looks."""
        count = 1 if self.design == "fixed" else self.looks
        return np.arange(1, count + 1) / count

    @property
    def boundary(self) -> Float64Array:
        """Critical values of the looks, in standard errors."""
        if self.design == "always-valid":
            return half_width(self.fractions, self.level)
        return critical_values(self.fractions, self.level, self.spending)

    @property
    def inflation(self) -> float:
        """How many times a fixed test's units the looks need at most for the same power."""
        fixed = stats.norm.isf(self.level / 2.0) + stats.norm.ppf(self.power)
        return (drift_for_power(self.fractions, self.boundary, self.power) / float(fixed)) ** 2

    @property
    def thinnest(self) -> tuple[float, float]:
        """Of the arm that is compared with fewest units: units per unit of the control, and the pair's share."""
        whole, own = sum(self.shares.values()), self.shares[self.control]
        least = min(share for arm, share in self.shares.items() if arm != self.control)
        return least / own, (least + own) / whole


def baseline(table: pl.DataFrame, metric: Metric) -> Baseline:
    """A metric in a table of past units, see ``metrics.measured``; its covariate, where it has one, taken out.

    Raises
    ------
    UsageError
        There are too few units, or they do not vary, or some are not numbers.
    """
    own = estimates(table.with_columns(pl.lit("all").alias("arm")), metric).get("all")
    if own is None or not math.isfinite(own.value) or not own.error > 0:
        raise UsageError(f"{metric.name!r} cannot be planned from {table.height} units: no numbers that vary")
    return Baseline(own.value, own.error * math.sqrt(own.units))


def units_needed(base: Baseline, lift: float, question: Question) -> int:
    """Units of all arms together to find a relative lift.

    Parameters
    ----------
    lift
        Relative: 0.02 or -0.02 for 2 %.

    Raises
    ------
    UsageError
        The lift is 0, or the metric is 0 so that nothing is relative to it, or does not vary.
    """
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics import Mean

    effect = _effect(base, lift)
    ratio, pair = question.thinnest
    test = Mean(
        "value",
        use_t=False,
        alpha=question.level,
        power=question.power,
        ratio=ratio,
        effect_size=effect,
    )
    past = Aggregates(1000, {"value": base.mean}, {"value": base.deviation**2})
    fixed = float(test.solve_power_from_aggregates(past, "n_obs")[0].n_obs)
    return math.ceil(fixed * question.inflation / pair)


def power_of(base: Baseline, lift: float, units: int, question: Question) -> float:
    """Chance that a relative lift is found with so many units of all arms together."""
    ratio, pair = question.thinnest
    own = units * pair
    error = base.deviation * math.sqrt((1.0 + ratio) / own + (1.0 + ratio) / (ratio * own))
    found = crossing(question.fractions, question.boundary, abs(_effect(base, lift)) / error)
    return float(found.above.sum())


def detectable(base: Baseline, units: int, question: Question) -> float:
    """The smallest relative lift that is found with the question's power by so many units."""
    if not base.deviation > 0:
        raise UsageError("the metric does not vary between units; there is nothing to plan")
    ratio, pair = question.thinnest
    own = units * pair
    error = base.deviation * math.sqrt((1.0 + ratio) / own + (1.0 + ratio) / (ratio * own))
    return drift_for_power(question.fractions, question.boundary, question.power) * error / abs(base.mean)


def days_needed(units: int, units_a_day: float, *, window_days: float = 0.0, whole_weeks: bool = True) -> int:
    """Days until so many units are measured.

    Parameters
    ----------
    units_a_day
        New units a day that enter the experiment.
    window_days
        The longest window of a metric (``Measure.until``): the last unit's has to pass too.
    whole_weeks
        Rounded up to weeks, since weekdays differ.

    Raises
    ------
    UsageError
        No units come.
    """
    if not units_a_day > 0:
        raise UsageError(f"{units_a_day:g} new units a day: the experiment would never end")
    days = math.ceil(units / units_a_day + window_days)
    return -(-days // WEEK) * WEEK if whole_weeks else days


def _effect(base: Baseline, lift: float) -> float:
    if not base.deviation > 0:
        raise UsageError("the metric does not vary between units; there is nothing to plan")
    effect = base.mean * lift
    if not effect or not math.isfinite(effect):
        raise UsageError(f"a lift of {lift:g} on a mean of {base.mean:g}: neither may be 0")
    return effect

"""An arm's estimate and how uncertain it is, with what was there before taken out (CUPED).

Every statistic here is, in the limit, a mean of contributions of independent units: a ratio by the delta method (Deng,
Knoblich and Lu, 2018), a mean or ratio less its regression on what the same units did before exposure (Deng, Xu, Kohavi
and Walker, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data", WSDM 2013), a
quantile by how dense the values are around it (Bahadur, 1966). That is all that the sequential
statements need. Means, variances and covariances by arm are tea-tasting's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import stats

from palate.core import Float64Array
from palate.experiments.metrics import Metric

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic of one arm.

    Parameters
    ----------
    units
        Units measured.
    value
        The statistic, adjusted by its covariate where it has one.
    error
        Its standard error; 0 where all units are alike, NaN where it cannot be told.
    cut
        Share of the variance that the covariate took out; 0 without one.
    """

    units: int
    value: float
    error: float
    cut: float = 0.0


def estimates(table: pl.DataFrame, metric: Metric) -> dict[str, Estimate]:
    """The metric's statistic in each arm of a table of units.

    Parameters
    ----------
    table
        ``arm`` and the metric's columns, see ``metrics.measured``; units with a null are not measured.
    """
    measured = table.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in columns(table, metric)))
    if metric.statistic == "quantile":
        groups = measured.partition_by("arm", as_dict=True)
        return {str(arm): _quantile(own[metric.name].to_numpy(), metric.quantile) for (arm,), own in groups.items()}
    by_arm = aggregates(measured, metric)
    return adjusted(by_arm, metric, bool(covariates(table, metric)))


def columns(table: pl.DataFrame, metric: Metric) -> list[str]:
    """Columns of a table of units that a metric is computed from."""
    own = [metric.name]
    if metric.statistic == "ratio":
        own.append(metric.over)
    return own + covariates(table, metric)


def covariates(table: pl.DataFrame, metric: Metric) -> list[str]:
    """Columns of what was before, where the metric wants them and the table has them all."""
    if not metric.covariate or metric.statistic == "quantile":
        return []
    own = [metric.before, metric.over_before] if metric.statistic == "ratio" else [metric.before]
    return own if set(own) <= set(table.columns) else []


def aggregates(measured: pl.DataFrame, metric: Metric) -> dict[str, Aggregates]:
    """Counts, means, variances and covariances of a metric's columns by arm."""
    from tea_tasting.aggr import read_aggregates

    names = columns(measured, metric)
    pairs = [(first, second) for place, first in enumerate(names) for second in names[place + 1 :]]
    numbers = measured.select("arm", *(pl.col(name).cast(pl.Float64) for name in names))
    read = read_aggregates(numbers, "arm", has_count=True, mean_cols=names, var_cols=names, cov_cols=pairs)
    return {str(arm): own for arm, own in read.items()}


def adjusted(by_arm: dict[str, Aggregates], metric: Metric, with_covariate: bool) -> dict[str, Estimate]:
    """Estimates of means and ratios; the covariate's coefficient and mean are those of all arms together."""
    over = metric.over if metric.statistic == "ratio" else None
    before = metric.before if with_covariate else None
    over_before = metric.over_before if with_covariate and over is not None else None
    whole = _together(by_arm)
    spread = float(whole.ratio_var(before, over_before)) if before is not None else 0.0
    slope = float(whole.ratio_cov(metric.name, over, before, over_before)) / spread if spread > 0 else 0.0
    centre = float(whole.mean(before) / whole.mean(over_before))
    found = {}
    for arm, own in ((arm, own.with_zero_div()) for arm, own in by_arm.items()):
        plain = float(own.ratio_var(metric.name, over))
        variance = plain
        if slope:
            shared = float(own.ratio_cov(metric.name, over, before, over_before))
            variance += slope**2 * float(own.ratio_var(before, over_before)) - 2.0 * slope * shared
        value = float(own.mean(metric.name) / own.mean(over))
        if slope:
            value -= slope * (float(own.mean(before) / own.mean(over_before)) - centre)
        cut = 1.0 - variance / plain if slope and plain > 0 else 0.0
        found[arm] = Estimate(int(own.count()), value, float(np.sqrt(max(variance, 0.0) / own.count())), cut)
    return found


def _together(by_arm: dict[str, Aggregates]) -> Aggregates:
    first, *rest = (own.with_zero_div() for own in by_arm.values())
    for own in rest:
        first += own
    return first.with_zero_div()


def _quantile(values: Float64Array, level: float) -> Estimate:
    """A quantile; its error from how far apart the order statistics around it lie (Hall and Sheather, 1988)."""
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        return Estimate(n, float("nan"), float("nan"))
    ordered, place = np.sort(values), stats.norm.ppf(level)
    width = (1.5 * (normal_quantile(0.05) * stats.norm.pdf(place)) ** 2 / (2.0 * place**2 + 1.0) / n) ** (1.0 / 3.0)
    width = max(min(width, 0.9 * level, 0.9 * (1.0 - level)), 1.0 / n)
    low, value, high = np.quantile(ordered, [max(level - width, 0.0), level, min(level + width, 1.0)])
    return Estimate(n, float(value), float((high - low) / (2.0 * width) * np.sqrt(level * (1.0 - level) / n)))


def normal_quantile(alpha: float) -> float:
    """Standard errors on either side of an interval of level ``1 - alpha``."""
    return float(stats.norm.isf(alpha / 2.0))


def single_p(z: float) -> float:
    """Two-sided p of an estimate over its standard error, right at a single look."""
    return float(2.0 * stats.norm.sf(abs(z)))

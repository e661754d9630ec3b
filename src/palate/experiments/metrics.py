"""What an experiment is judged by: click-through, conversion, retention, revenue, satisfaction, and one's own.

A metric is a statistic over units (mostly people) of what they did after they were first exposed. What they did before
is no outcome but a covariate: it tells units apart that would have differed anyway (``variance``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import polars as pl
from pydantic import Field, model_validator

from palate.core import DataError, Settings, UsageError

DAY = 86_400.0

Take = Literal["count", "any", "revenue", "value", "dwell"]
Statistic = Literal["mean", "ratio", "quantile"]
Role = Literal["goal", "guard-rail", "watched"]

_NEEDS: dict[str, str] = {"revenue": "price", "value": "value", "dwell": "dwell"}


class Measure(Settings):
    """One number a unit, from its events in a window after its first exposure.

    Parameters
    ----------
    kinds
        Kinds of event that count; all where empty.
    take
        ``count`` of events; ``any``: 1 where there is one, else 0; the sum of ``revenue`` (price times quantity,
        returns taken off), of ``value`` (ratings) or of ``dwell`` (seconds).
    after, until
        Days since the first exposure, from and up to. With an ``until``, units whose window has not passed yet are not
        measured rather than measured too early.
    """

    kinds: tuple[str, ...] = ()
    take: Take = "count"
    after: Annotated[float, Field(ge=0)] = 0.0
    until: Annotated[float | None, Field(gt=0)] = None

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Measure:
        if self.until is not None and self.until <= self.after:
            raise ValueError(f"a window from day {self.after:g} until day {self.until:g} is empty")
        return self


class Metric(Settings):
    """What is compared between arms.

    Parameters
    ----------
    name
        Unique within a plan; also the column of its numbers in a table of units.
    statistic
        ``mean`` of the numerator; ``ratio`` of the sums of numerator and denominator; ``quantile`` of the numerator.
    numerator, denominator
        How events become numbers; a plan over a table of units that is there already needs neither.
    quantile
        Which one, of a quantile.
    better
        Which way is good.
    role
        A ``goal`` decides, a ``guard-rail`` stops an arm that harms it, the rest is ``watched``.
    margin
        Relative harm to a guard-rail that is put up with: 0.02 stops an arm once it is more than 2 % worse.
    covariate
        Whether what units did before is taken out, of a mean or a ratio.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    statistic: Statistic = "mean"
    numerator: Measure | None = None
    denominator: Measure | None = None
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.5
    better: Literal["higher", "lower"] = "higher"
    role: Role = "goal"
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    covariate: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Metric:
        if self.statistic != "ratio" and self.denominator is not None:
            raise ValueError(f"metric {self.name!r} has a denominator but is no ratio; set statistic = 'ratio'")
        if self.statistic == "ratio" and self.numerator is not None and self.denominator is None:
            raise ValueError(f"metric {self.name!r} is a ratio without a denominator")
        return self

    @property
    def over(self) -> str:
        """Column of the denominator."""
        return f"{self.name} over"

    @property
    def before(self) -> str:
        """Column of the numerator before exposure."""
        return f"{self.name} before"

    @property
    def over_before(self) -> str:
        """Column of the denominator before exposure."""
        return f"{self.name} over before"

    def guarding(self, margin: float = 0.0) -> Metric:
        """This metric as a guard-rail."""
        return self.model_copy(update={"role": "guard-rail", "margin": margin})


def click_through(days: float | None = None) -> Metric:
    """Clicks over impressions, people the units: a ratio, since impressions of one person hang together."""
    return Metric(
        name="click_through",
        statistic="ratio",
        numerator=Measure(kinds=("click",), until=days),
        denominator=Measure(kinds=("impression",), until=days),
    )


def conversion(days: float | None = None) -> Metric:
    """Share of units that bought anything."""
    return Metric(name="conversion", numerator=Measure(kinds=("purchase",), take="any", until=days))


def retention(day: float = 7.0, width: float = 7.0) -> Metric:
    """Share of units that did anything from ``day`` on for ``width`` days."""
    return Metric(name="retention", numerator=Measure(take="any", after=day, until=day + width))


def revenue(days: float | None = None) -> Metric:
    """What units spent on average, returns taken off, those who bought nothing included."""
    return Metric(name="revenue", numerator=Measure(kinds=("purchase", "return"), take="revenue", until=days))


def satisfaction(days: float | None = None) -> Metric:
    """Mean rating given: the sum of ratings over their number."""
    return Metric(
        name="satisfaction",
        statistic="ratio",
        numerator=Measure(kinds=("rating",), take="value", until=days),
        denominator=Measure(kinds=("rating",), until=days),
    )


def measured(
    metrics: Sequence[Metric],
    first: pl.DataFrame,
    events: pl.DataFrame,
    *,
    now: float,
    unit: str = "user_id",
    before_days: float = 28.0,
) -> pl.DataFrame:
    """A table of units with a number a metric, from events and first exposures.

    Parameters
    ----------
    first
        ``unit`` and ``arm`` (text) and ``time`` (seconds since 1970 UTC), a row a unit; further columns are kept.
    events
        ``timestamp``, ``kind``, the column that names the unit and, where metrics need them, ``price``, ``quantity``,
        ``value``, ``dwell``. What happened after ``now`` is not looked at.
    unit
        Name of the events' column that holds units.
    before_days
        Length of the window before exposure that covariates are taken from.

    Returns
    -------
    ``first`` with a float64 column a metric (and ``... over``, ``... before``, ``... over before`` where it has them):
    null where the unit's window has not passed yet, NaN where an event lacks the number.

    Raises
    ------
    DataError
        Events lack a column that a metric needs, or revenue would add up different currencies.
    UsageError
        A metric does not say how events become numbers.
    """
    wanted = [_Wanted(column, measure, prior) for metric in metrics for column, measure, prior in _columns(metric)]
    _check(events, [entry.measure for entry in wanted], unit)
    happened = (
        events.lazy()
        .filter(pl.col("timestamp") <= now)
        .rename({unit: "unit"})
        .with_columns(pl.col("unit").cast(pl.String))
        .join(first.lazy().select("unit", pl.col("time").alias("_exposed")), on="unit", how="inner")
        .with_columns(((pl.col("timestamp") - pl.col("_exposed")) / DAY).alias("_day"))
    )
    sums = happened.group_by("unit").agg(entry.sum(events.columns, before_days) for entry in wanted).collect()
    table = first.join(sums, on="unit", how="left", maintain_order="left")
    return table.with_columns(entry.settled(now) for entry in wanted)


class _Wanted:
    """A column of the table of units: its expression over events, and who has it yet."""

    def __init__(self, column: str, measure: Measure, prior: bool) -> None:
        self.column, self.measure, self.prior = column, measure, prior

    def sum(self, available: Sequence[str], before_days: float) -> pl.Expr:
        measure, day = self.measure, pl.col("_day")
        if self.prior:
            inside = (day < 0) & (day >= -before_days)
        else:
            inside = day >= measure.after
            if measure.until is not None:
                inside &= day < measure.until
        if measure.kinds:
            inside &= pl.col("kind").is_in(list(measure.kinds))
        if measure.take == "count":
            own = inside.sum()
        elif measure.take == "any":
            own = inside.any()
        else:
            own = _worth(measure.take, available).filter(inside).sum()
        return own.cast(pl.Float64).alias(self.column)

    def settled(self, now: float) -> pl.Expr:
        """Nothing done counts as 0; a window that has not passed counts as not measured."""
        number = pl.col(self.column).fill_null(0.0)
        if self.prior or self.measure.until is None:
            return number
        ripe = pl.col("time") + self.measure.until * DAY <= now
        return pl.when(ripe).then(number).otherwise(None).alias(self.column)


def _worth(take: Take, available: Sequence[str]) -> pl.Expr:
    # A missing number makes the sum NaN, which is seen later; polars would leave a null out without a word.
    number = pl.col(_NEEDS[take]).cast(pl.Float64).fill_null(float("nan"))
    if take != "revenue":
        return number
    quantity = pl.col("quantity").cast(pl.Float64).fill_null(1.0) if "quantity" in available else pl.lit(1.0)
    return number * quantity * pl.when(pl.col("kind") == "return").then(-1.0).otherwise(1.0)


def _columns(metric: Metric) -> list[tuple[str, Measure, bool]]:
    if metric.numerator is None:
        raise UsageError(
            f"metric {metric.name!r} does not say how events become numbers; give it a numerator, or hand over a table "
            f"of units that has a column {metric.name!r}"
        )
    columns = [(metric.name, metric.numerator, False)]
    if metric.denominator is not None:
        columns.append((metric.over, metric.denominator, False))
    if metric.covariate and metric.statistic != "quantile":
        columns.append((metric.before, metric.numerator, True))
        if metric.denominator is not None:
            columns.append((metric.over_before, metric.denominator, True))
    return columns


def _check(events: pl.DataFrame, measures: Sequence[Measure], unit: str) -> None:
    needed = {unit, "timestamp", "kind"} | {_NEEDS[own.take] for own in measures if own.take in _NEEDS}
    missing = sorted(needed - set(events.columns))
    if missing:
        raise DataError(
            f"events have no column {', '.join(missing)}; the metrics of this experiment need it. "
            f"Found: {', '.join(events.columns)}."
        )
    if "currency" in events.columns and any(own.take == "revenue" for own in measures):
        paid = events.filter(pl.col("kind").is_in(["purchase", "return"]))["currency"].drop_nulls().unique().sort()
        if len(paid) > 1:
            raise DataError(f"revenue in {', '.join(paid)}: amounts of different currencies cannot be added. Convert.")

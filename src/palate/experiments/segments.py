"""Whether an effect is the same for everybody: the metrics by segment, corrected for how many were looked at.

Segments are what units were before they were exposed (country, device then, newcomer or not); what they became
afterwards is an outcome, and slicing by it compares unlike with unlike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import stats

from palate.core import UsageError
from palate.experiments.analysis import gate
from palate.experiments.comparing import comparisons, verdict
from palate.experiments.discovery import corrected
from palate.experiments.findings import Compared, Reason
from palate.experiments.metrics import measured
from palate.experiments.mismatch import Mismatch, mismatch
from palate.experiments.plan import Plan
from palate.experiments.variance import normal_quantile

MOST = 50
"""Segments beyond which a column is taken for an id."""

OTHERS = "(unknown)"
"""Units without a segment."""


@dataclass(frozen=True)
class Segment:
    """The units of one segment.

    Parameters
    ----------
    name
        The column's value.
    mismatch
        Whether its arms have the sizes they should have; where they have not, nothing is compared.
    compared
        As in the report, corrected over all segments.
    """

    name: str
    mismatch: Mismatch
    compared: tuple[Compared, ...]


@dataclass(frozen=True)
class Segmented:
    """All segments of a column.

    Parameters
    ----------
    differs
        By ``metric/arm``: p that the effect is the same in all segments (Cochran's Q), corrected, of a single look.
    closed_because
        Why nothing is shown; empty where the gate is open.
    """

    column: str
    segments: tuple[Segment, ...]
    differs: Mapping[str, float]
    closed_because: tuple[Reason, ...] = ()


def segmented(
    plan: Plan,
    exposures: pl.DataFrame,
    events: pl.DataFrame | None = None,
    *,
    column: str,
    now: float,
    final: bool = False,
    unit: str = "user_id",
) -> Segmented:
    """Compare arms within each segment.

    Parameters
    ----------
    exposures, events
        As for ``analyse``; ``exposures`` has the column too, and its value at the first exposure counts.
    column
        What to slice by.

    Raises
    ------
    UsageError
        There is no such column, or it has more than 50 values.
    """
    if column not in exposures.columns:
        raise UsageError(f"exposures have no column {column!r} to slice by; found: {', '.join(exposures.columns)}")
    units, _, reasons, _ = gate(plan, exposures, now)
    if reasons:
        return Segmented(column, (), {}, reasons)
    table = units.table.with_columns(pl.col(column).cast(pl.String).fill_null(OTHERS))
    names = sorted(table[column].unique())
    if len(names) > MOST:
        raise UsageError(f"{column!r} has {len(names)} values; at most {MOST} segments are compared. Group them first.")
    if events is not None:
        table = measured(plan.metrics, table, events, now=now, unit=unit, before_days=plan.covariate_days)
    found = [
        _segment(
            plan,
            table.filter(pl.col(column) == name),
            name,
            whole=table.height,
            segments=len(names),
            final=final,
        )
        for name in names
    ]
    return Segmented(column, _judged(plan, found, final), _heterogeneity(plan, found))


def _segment(plan: Plan, part: pl.DataFrame, name: str, *, whole: int, segments: int, final: bool) -> Segment:
    own = plan.model_copy(update={"planned_units": max(round(plan.planned_units * part.height / whole), 2)})
    counts = {arm: part.filter(pl.col("arm") == arm).height for arm in plan.shares}
    sizes = mismatch(counts, plan.shares, own.planned_units)
    if sizes.found(plan.mismatch_alpha / segments):
        return Segment(name, sizes, ())
    return Segment(name, sizes, comparisons(own, part, final=final))


def _judged(plan: Plan, found: list[Segment], final: bool) -> tuple[Segment, ...]:
    """Correct each role's p over all segments."""
    every = [own for segment in found for own in segment.compared]
    p = np.array([own.p_design for own in every])
    for role in {own.role for own in every}:
        family = [place for place, own in enumerate(every) if own.role == role]
        p[family] = corrected(p[family], plan.correction)
    rest = iter(p.tolist())
    good = {metric.name: metric.better for metric in plan.metrics}
    return tuple(
        replace(
            segment,
            compared=tuple(
                replace(
                    own, p_corrected=(q := next(rest)), verdict=verdict(own, q, good[own.metric], plan.alpha, final)
                )
                for own in segment.compared
            ),
        )
        for segment in found
    )


def _heterogeneity(plan: Plan, found: list[Segment]) -> dict[str, float]:
    by_key: dict[str, list[Compared]] = {}
    for segment in found:
        for own in segment.compared:
            if own.reason is None:
                by_key.setdefault(own.key, []).append(own)
    width = 2.0 * normal_quantile(plan.alpha)
    p = {}
    for key, several in by_key.items():
        if len(several) > 1:
            effects = np.array([own.difference.estimate for own in several])
            weights = np.array([(width / (own.difference.high - own.difference.low)) ** 2 for own in several])
            scatter = float(weights @ (effects - np.average(effects, weights=weights)) ** 2)
            p[key] = float(stats.chi2.sf(scatter, len(several) - 1))
    return dict(zip(p, corrected(list(p.values()), plan.correction).tolist(), strict=True))

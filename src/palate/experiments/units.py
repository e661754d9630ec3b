"""Who was exposed to what, and since when: exposures as they were logged become one row a unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from palate.core import DataError
from palate.experiments.plan import Plan


@dataclass(frozen=True)
class Units:
    """Units of an experiment.

    Parameters
    ----------
    table
        A row a unit: ``unit``, ``arm``, ``time`` of the first exposure, and whatever columns came with it.
    in_two_arms
        Units that were seen in more than one arm and are left out.
    """

    table: pl.DataFrame
    in_two_arms: int

    def counts(self, plan: Plan) -> Mapping[str, int]:
        """Units by arm, arms without any included."""
        found = dict(self.table.group_by("arm").len().iter_rows())
        return {arm: int(found.get(arm, 0)) for arm in plan.shares}


def first_exposures(plan: Plan, exposures: pl.DataFrame, now: float) -> Units:
    """First exposure of each unit.

    Parameters
    ----------
    exposures
        ``unit``, ``arm`` and ``time`` (seconds since 1970 UTC); a unit may stand there many times.
    now
        Seconds since 1970 UTC.

    Raises
    ------
    DataError
        A column is missing, a row lacks a value, an arm is not in the plan, or a time lies after ``now``.
    """
    missing = sorted({"unit", "arm", "time"} - set(exposures.columns))
    if missing:
        raise DataError(f"exposures have no column {', '.join(missing)}; found: {', '.join(exposures.columns)}")
    rows = exposures.with_columns(
        pl.col("unit").cast(pl.String), pl.col("arm").cast(pl.String), pl.col("time").cast(pl.Float64)
    )
    empty = rows.filter(pl.any_horizontal(pl.col("unit", "arm", "time").is_null()) | ~pl.col("time").is_finite()).height
    if empty:
        raise DataError(
            f"{empty} of {rows.height} exposures lack a unit, an arm or a time; leave them out or mend them"
        )
    strange = sorted(set(rows["arm"].unique()) - set(plan.shares))
    if strange:
        raise DataError(
            f"exposures to {', '.join(map(repr, strange))}, which the plan does not know; its arms are "
            f"{', '.join(map(repr, plan.shares))}. An experiment whose arms changed is another experiment."
        )
    late = rows.filter(pl.col("time") > now).height
    if late:
        raise DataError(
            f"{late} of {rows.height} exposures lie after the time of this look ({now:.0f}): a clock went backwards, "
            "or times are not in seconds since 1970 UTC"
        )
    first = rows.sort("time", maintain_order=True).unique("unit", keep="first", maintain_order=True)
    if plan.since is not None:
        first = first.filter(pl.col("time") >= plan.since)
    several = rows.group_by("unit").agg(pl.col("arm").n_unique()).filter(pl.col("arm") > 1).select("unit")
    alone = first.join(several, on="unit", how="anti", maintain_order="left")
    return Units(alone, first.height - alone.height)

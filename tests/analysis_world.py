"""Small experiments to analyse: units with a number each, and events by day."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from palate.experiments.analysis import analyse
from palate.experiments.findings import Report
from palate.experiments.metrics import DAY, Metric
from palate.experiments.plan import Plan

START = 1_700_000_000.0


def plan(*metrics: Metric, **changes: Any) -> Plan:
    own: dict[str, Any] = {
        "control": "A",
        "shares": {"A": 1, "B": 1},
        "metrics": metrics or (Metric(name="spend"),),
        "planned_units": 10_000,
    }
    return Plan(**own | changes)


def units(n: int, lift: float = 0.0, seed: int = 0, base: float = 5.0) -> pl.DataFrame:
    """A table of units that arrive evenly over ten days, every second in B."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    before = rng.gamma(2.0, 1.0, n)
    return pl.DataFrame(
        {
            "unit": np.arange(n).astype(str),
            "arm": np.where(arm == 1, "B", "A"),
            "time": START + np.arange(n) / n * 10 * DAY,
            "spend": base + before + rng.normal(size=n) + lift * arm,
            "spend before": before,
        }
    )


def look(own: Plan, table: pl.DataFrame, **options: Any) -> Report:
    return analyse(own, table, now=START + 10 * DAY, **options)


def happened(rows: list[tuple[str, float, str, float | None, float | None]]) -> pl.DataFrame:
    """Events of user, day, kind, price and value."""
    frame = pl.DataFrame(
        rows,
        schema={"user_id": pl.String, "day": pl.Float64, "kind": pl.String, "price": pl.Float64, "value": pl.Float64},
        orient="row",
    )
    return frame.with_columns((START + pl.col("day") * DAY).alias("timestamp"))

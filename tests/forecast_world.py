"""Series to forecast: a shop that is closed on Saturdays, and panels written out."""

from __future__ import annotations

import numpy as np
import polars as pl

from palate.core import Float64Array, Ids
from palate.data import Dataset
from palate.forecast import Panel

START = np.datetime64("2023-11-05")  # a Sunday; 29 February 2024 lies ahead
SATURDAY = 2  # days since 1970 modulo 7
DAY = 86_400.0


def panel(values: Float64Array, start: np.datetime64 = START) -> Panel:
    """A panel of these rows, named s0, s1 and so on."""
    return Panel("item", Ids([f"s{row}" for row in range(len(values))]), start, np.asarray(values, dtype=np.float64))


def weekly(n: int, days: int, seed: int, *, size: float = 20.0) -> Float64Array:
    """Counts with a weekly shape, nothing on Saturdays."""
    rng = np.random.default_rng(seed)
    weekday = (START.astype(np.int64) + np.arange(days)) % 7
    shape = np.where(weekday == SATURDAY, 0.0, 1.0 + 0.5 * np.sin(weekday))
    return rng.poisson(size * rng.uniform(0.5, 2.0, (n, 1)) * shape).astype(np.float64)


def sales(days: int = 130, *, hours: tuple[int, int] = (9, 20), skip: tuple[int, ...] = ()) -> pl.DataFrame:
    """Purchases at every hour of every open day, of four items in turn."""
    rows = []
    for day in range(days):
        if day in skip or (START.astype(np.int64) + day) % 7 == SATURDAY:
            continue
        for hour in range(*hours):
            moment = float((START.astype(np.int64) + day) * DAY + hour * 3600)
            item = f"i{(day + hour) % 4}"
            rows.append((f"u{hour}", item, moment, 1.0 + (hour == 12), "London" if hour < 15 else "Leeds"))
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "quantity", "place"], orient="row")


ITEMS = pl.DataFrame({"item_id": ["i0", "i1", "i2", "i3"], "category": ["A > x", "A > y", "B", None]})
USERS = pl.DataFrame({"user_id": [f"u{hour}" for hour in range(9, 20)], "age": ["old", "young"] * 5 + ["old"]})


def dataset(events: pl.DataFrame | None = None) -> Dataset:
    return Dataset.from_frames(sales() if events is None else events, ITEMS, USERS, keep_duplicates=True)

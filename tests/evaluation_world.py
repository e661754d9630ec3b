"""A small world with a pattern to learn, and a small engine that learns it, for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from palate.core import Queries, Rankings, Scorer, top_k
from palate.data import Dataset, Fold
from palate.evaluation.contenders import Progress
from palate.models.ease import EASE
from palate.models.popularity import Popularity

DAY = 86_400.0
START = 1_600_000_000.0


def world(
    n_users: int = 120,
    n_items: int = 60,
    *,
    times: bool = True,
    categories: bool = True,
    length: int = 9,
    seed: int = 0,
) -> Dataset:
    """Users walk along a ring of items with a few jumps, so that what comes next can be guessed, but not always."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, length + 1, n_users)
    rows: dict[str, list[object]] = {"user_id": [], "item_id": [], "timestamp": [], "position": []}
    for user, count in enumerate(lengths):
        at, moment = int(rng.integers(n_items)), START + float(rng.integers(0, 400)) * DAY
        for step in range(count):
            rows["user_id"].append(f"u{user}")
            rows["item_id"].append(f"i{at}")
            rows["timestamp"].append(moment)
            rows["position"].append(step)
            at = (at + int(rng.integers(1, 4))) % n_items
            moment += float(rng.exponential(8)) * DAY
    events = pl.DataFrame(rows).drop("position" if times else "timestamp")
    items = {"item_id": [f"i{item}" for item in range(n_items)]}
    if categories:
        items["category"] = [f"all > part {item // 10}" for item in range(n_items)]
    return Dataset.assemble(events, pl.DataFrame(items), name="ring")


@dataclass
class SmallEngine:
    """Two models summed; stands for the real engine where only the harness is under test."""

    preset: str
    sources: Mapping[str, Scorer[Dataset]]
    validation: Fold | None
    learnt_validation: bool
    inner: str
    fitted_on: Dataset
    refits: int = 0
    timings: Mapping[str, float] = field(default_factory=lambda: {"encode": 0.0})

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        preset: str = "balanced",
        seed: int = 0,
        validation: Fold | None = None,
        learn_validation: bool = False,
        inner: str = "last",
        progress: Progress | None = None,
    ) -> SmallEngine:
        if progress is not None:
            progress("small engine", 1.0)
        sources: dict[str, Scorer[Dataset]] = {"popularity": Popularity().fit(dataset), "ease": EASE().fit(dataset)}
        return cls(preset, sources, validation, learn_validation, inner, dataset)

    def rank(self, queries: Queries) -> Rankings:
        total = self.sources["ease"].score(queries) + 0.01 * self.sources["popularity"].score(queries)
        return top_k(total, queries, "palate")

    def refit(self, dataset: Dataset) -> SmallEngine:
        again = SmallEngine.fit(dataset, preset=self.preset)
        again.refits = self.refits + 1
        return again


def invoices() -> Dataset:
    """Four invoices of two people; a line twice, a return, and one invoice number that two people share."""
    rows = [
        ("ann", "bread", 0.0, 1.0, "1"),
        ("ann", "butter", 0.0, 1.0, "1"),
        ("ann", "bread", 60.0, 2.0, "1"),
        ("ann", "butter", DAY, -1.0, "2"),
        ("ann", "bread", 2 * DAY, 1.0, "3"),
        ("bob", "tea", 5 * DAY, 1.0, "3"),
        ("bob", "milk", 6 * DAY, 1.0, "4"),
        ("bob", "tea", 6 * DAY, 1.0, "4"),
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "quantity", "invoice"], orient="row")
    return Dataset.from_frames(frame.with_columns(pl.col("timestamp") + START), name="invoices")

"""The same figures for parts of the questions: short and long histories, rare and common items, the new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.core import BoolArray, Int64Array
from palate.data import Fold
from palate.evaluation.metrics import Columns, Yardstick
from palate.measure import resampled_means
from palate.measure.intervals import bounds

MEASURES = ("recall@10", "ndcg@10", "mrr")
SAMPLES = 400
"""Bootstrap replicates: fewer than for the main table, since there are many slices."""

_HISTORY = (0, 1, 5, 10, 20, 50)
_POPULARITY = (0, 1, 5, 20, 100, 500)


def slices(fold: Fold, yardstick: Yardstick, tables: Mapping[str, Columns], seed: int = 0) -> dict[str, list[Any]]:
    """Figures by slice; slices without questions are left out.

    Returns
    -------
    ``{"history": [{"slice", "queries", "models": {name: {measure: mean, "ci95": {measure: [low, high]}}}}], ...}`` for
    ``history`` (events in the question's history), ``popularity`` (training events of the rarest relevant item),
    ``users`` and ``items`` (new: without a training event).
    """
    history = fold.queries.history.lengths
    rarest = _rarest(yardstick)
    learnt = yardstick.learnt.sequences.lengths
    known_user = np.zeros(len(fold), dtype=bool)
    known_user[fold.users >= 0] = learnt[fold.users[fold.users >= 0]] > 0
    groups = {
        "history": _ranges(history, _HISTORY),
        "popularity": _ranges(rarest, _POPULARITY),
        "users": [("known users", known_user), ("new users", ~known_user)],
        "items": [("known items", rarest > 0), ("new items", rarest == 0)],
    }
    return {
        group: [_figures(label, rows, yardstick, tables, seed) for label, rows in parts if rows.any()]
        for group, parts in groups.items()
    }


def _figures(
    label: str, rows: BoolArray, yardstick: Yardstick, tables: Mapping[str, Columns], seed: int
) -> dict[str, Any]:
    values = np.column_stack([columns[measure][rows] for columns in tables.values() for measure in MEASURES])
    low, high = bounds(resampled_means(values, yardstick.users[rows], samples=SAMPLES, seed=seed))
    mean = values.mean(axis=0)
    models: dict[str, Any] = {}
    for place, name in enumerate(tables):
        span = range(place * len(MEASURES), (place + 1) * len(MEASURES))
        models[name] = {measure: float(mean[i]) for measure, i in zip(MEASURES, span, strict=True)}
        models[name]["ci95"] = {
            measure: [float(low[i]), float(high[i])] for measure, i in zip(MEASURES, span, strict=True)
        }
    return {"slice": label, "queries": int(rows.sum()), "models": models}


def _rarest(yardstick: Yardstick) -> Int64Array:
    """Training events of the rarest relevant item of each question; unknown items and empty answers have none."""
    targets = yardstick.targets
    counts = np.where(targets.values >= 0, yardstick.popularity[np.maximum(targets.values, 0)], 0)
    rarest = np.full(len(targets), np.iinfo(np.int64).max)
    np.minimum.at(rarest, targets.rows, counts)
    rarest[targets.lengths == 0] = 0
    return rarest


def _ranges(values: Int64Array, edges: Sequence[int]) -> list[tuple[str, BoolArray]]:
    parts = []
    for low, high in zip(edges, (*edges[1:], None), strict=True):
        if high is None:
            parts.append((f"{low}+", values >= low))
        else:
            label = str(low) if high == low + 1 else f"{low}-{high - 1}"
            parts.append((label, (values >= low) & (values < high)))
    return parts

"""What accuracy costs: the same questions answered under several weightings of objectives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from palate.core import BoolArray, Float64Array, FloatArray, IntArray, Queries, Rankings, UsageError
from palate.data import Fold
from palate.evaluation.answers import Answers
from palate.evaluation.metrics import LIST, Columns, Yardstick, figures, per_question
from palate.measure import list_ranks, reciprocal
from palate.ranking.objectives import ObjectiveSettings, margins

ACCURACY = f"ndcg@{LIST}"
QUESTIONS = 5_000
"""Questions asked under every weighting, drawn by seed where there are more."""

BATCH = 1_024
_SHARES = (0.1, 0.2, 0.4)
"""Shares that an objective gets beside accuracy."""


@runtime_checkable
class Weighs(Protocol):
    """An engine that answers the same questions under several weightings."""

    def rank_each(self, queries: Queries, objectives: Sequence[ObjectiveSettings]) -> list[Rankings]: ...


def grid(names: Sequence[str]) -> tuple[ObjectiveSettings, ...]:
    """Accuracy alone, each of the other objectives beside it in growing shares, every two and all of them together."""
    points = [ObjectiveSettings()]
    points += [_weighted({name: share}) for name in names for share in _SHARES]
    pairs = [(first, second) for place, first in enumerate(names) for second in names[place + 1 :]]
    points += [_weighted({first: share, second: share}) for first, second in pairs for share in _SHARES[:2]]
    if len(names) > 2:
        points.append(_weighted(dict.fromkeys(names, _SHARES[0])))
    return tuple(points)


def sweep(
    engine: object,
    fold: Fold,
    yardstick: Yardstick,
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Measure an engine's lists under a grid of weightings.

    Returns
    -------
    ``measures`` (accuracy first), ``queries``, and ``points``: for each weighting ``weights``, its measures, ``ci95``
    and ``non_dominated``, whether no other is at least as good in every measure and better in one.

    Raises
    ------
    UsageError
        The engine answers in one manner only.
    """
    if not isinstance(engine, Weighs):
        raise UsageError("this engine answers in one manner only; objectives cannot be weighed against each other")
    gains = margins(yardstick.learnt.catalogue)
    names = ["novelty"]
    if yardstick.diversity != "audience":  # else nothing tells the engine how alike items are
        names.insert(0, "diversity")
    if bool(np.isfinite(gains).any()):
        names.append("margin")
    measures = [ACCURACY, *(f"{name}@{LIST}" for name in names)]
    if len(fold) > QUESTIONS:
        drawn = np.random.default_rng(seed).choice(len(fold), size=QUESTIONS, replace=False)
        fold = fold.take(np.sort(drawn).astype(np.int32))
    points = grid(names)
    own = Yardstick(yardstick.learnt, fold.targets, fold.users, yardstick.vectors)
    tables = {
        str(place): _columns(items, own, gains) for place, items in enumerate(lists_of(engine, fold, points, progress))
    }
    kept = {name: {measure: columns[measure] for measure in measures} for name, columns in tables.items()}
    measured = figures(kept, {name: {} for name in kept}, fold.users, seed)
    values = np.array([[float(str(measured[name][measure])) for measure in measures] for name in kept])
    best = non_dominated(values)
    return {
        "measures": measures,
        "queries": len(fold),
        "points": [
            {"weights": point.described(), **measured[name], "non_dominated": bool(best[place])}
            for place, (name, point) in enumerate(zip(kept, points, strict=True))
        ],
    }


def non_dominated(values: Float64Array) -> BoolArray:
    """Which rows of (p, m) values, more being better, no other row equals or exceeds in all and exceeds in one."""
    at_least = np.all(values[:, None, :] >= values[None, :, :], axis=2)
    more = np.any(values[:, None, :] > values[None, :, :], axis=2)
    return np.asarray(~np.any(at_least & more, axis=0), dtype=np.bool_)


def _weighted(shares: Mapping[str, float]) -> ObjectiveSettings:
    return ObjectiveSettings.told({"accuracy": round(1 - sum(shares.values()), 6), **shares})


def lists_of(
    engine: Weighs,
    fold: Fold,
    points: Sequence[ObjectiveSettings],
    progress: Callable[[float], None] | None,
) -> list[IntArray]:
    """The lists of every weighting; int32 (n, 10) each."""
    found = [np.full((len(fold), LIST), -1, dtype=np.int32) for _ in points]
    for start in range(0, len(fold), BATCH):
        rows = slice(start, min(start + BATCH, len(fold)))
        asked = fold.queries.take(rows)
        for items, rankings in zip(found, engine.rank_each(replace(asked, k=LIST), points), strict=True):
            items[rows, : rankings.k] = rankings.items
        if progress is not None:
            progress(rows.stop / len(fold))
    return found


def _columns(items: IntArray, yardstick: Yardstick, gains: FloatArray) -> Columns:
    answers = Answers(items, reciprocal(list_ranks(items, yardstick.targets)))
    shown = np.where(items >= 0, gains[np.maximum(items, 0)], np.nan)
    known = np.isfinite(shown)
    mean = np.where(known, shown, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return {**per_question(answers, yardstick), f"margin@{LIST}": mean.astype(np.float64)}

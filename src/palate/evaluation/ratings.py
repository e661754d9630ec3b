"""How well ratings are foretold: RMSE and MAE on everybody's newest rating, beside what needs no neighbours.

Everybody who rated two items or more is asked about the one they rated last; all other ratings are known, also later
ones of other people. That is the usual leave-one-out of rating prediction, kinder than a cut at one moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from palate.core import DataError, FloatArray, IntArray, UsageError
from palate.data import Dataset
from palate.measure import Interval, mean_interval
from palate.models.ratings import Baseline, Ratings, RatingSettings, predict_from_items, predict_from_users

METHODS = ("mean", "baseline", "item_knn", "user_knn")
"""The mean of all; with what users and items deviate from it; with what like items, or like users, deviate."""


@dataclass(frozen=True)
class RatingReport:
    """What a comparison came to.

    Parameters
    ----------
    asked, known
        Ratings that were foretold, and those they were foretold from.
    scale
        Lowest and highest rating.
    measures
        RMSE and MAE of each method, in the unit of the ratings.
    """

    asked: int
    known: int
    scale: tuple[float, float]
    measures: Mapping[str, Mapping[str, Interval]]


def rating_report(dataset: Dataset, settings: RatingSettings | None = None) -> RatingReport:
    """Foretell the newest rating of everybody who rated twice or more.

    Raises
    ------
    DataError
        There are no ratings, or nobody rated two items.
    """
    ratings = Ratings.of(dataset)
    users, items, truth = _newest(dataset)
    if not len(users):
        raise DataError("nobody rated two items or more: nothing is left to foretell a rating from")
    measures = {}
    for method in METHODS:
        off = foretold(ratings, users, items, method, settings).astype(np.float64) - truth
        squared = mean_interval(off**2)
        roots = Interval(math.sqrt(squared.estimate), math.sqrt(squared.low), math.sqrt(squared.high))
        measures[method] = {"rmse": roots, "mae": mean_interval(np.abs(off))}
    values = ratings.matrix.data
    return RatingReport(
        len(users), ratings.matrix.nnz - len(users), (float(values.min()), float(values.max())), measures
    )


def foretold(
    ratings: Ratings, users: IntArray, items: IntArray, method: str, settings: RatingSettings | None = None
) -> FloatArray:
    """Ratings of pairs within the scale of the known ones; float32 (m,). The pairs' own ratings are set aside.

    Raises
    ------
    UsageError
        There is no such method.
    """
    own = settings or RatingSettings()
    if method == "item_knn":
        found = predict_from_items(ratings, users, items, own)
    elif method == "user_knn":
        found = predict_from_users(ratings, users, items, own)
    elif method in METHODS:
        baseline = Baseline.of(ratings.without(users, items), own.damping)
        found = baseline.at(users, items) if method == "baseline" else np.full(len(users), baseline.mean, np.float32)
    else:
        raise UsageError(f"ratings are foretold by {', '.join(METHODS)}; not by {method!r}")
    values = ratings.matrix.data
    return np.clip(found, values.min(), values.max())


def _newest(dataset: Dataset) -> tuple[IntArray, IntArray, FloatArray]:
    """Users with two rated items or more, the item each rated last, and how."""
    values = dataset.events["value"].cast(float).fill_null(float("nan")).to_numpy()
    users, items = dataset.events["user"].to_numpy(), dataset.events["item"].to_numpy()
    rated = np.nonzero(~np.isnan(values) & (items >= 0))[0]
    last = rated[np.append(users[rated][1:] != users[rated][:-1], True)]
    pairs = np.unique(np.stack([users[rated], items[rated]], axis=1), axis=0)
    often = np.bincount(pairs[:, 0], minlength=dataset.n_users)[users[last]] > 1
    return users[last][often], items[last][often], values[last][often].astype(np.float32)

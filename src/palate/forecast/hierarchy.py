"""Forecasts that add up: items within categories within everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from palate.core import Float64Array, Int64Array, UsageError
from palate.forecast.result import Forecast

Method = Literal["bottom_up", "ols", "mint"]
METHODS: tuple[str, ...] = get_args(Method)

_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Hierarchy:
    """Levels of series, each a sum of the lowest ones.

    Parameters
    ----------
    levels
        Forecasts from the top down, the lowest last, all over the same days.
    members
        For each level above the lowest, int64 (n_lowest,), which of its series a lowest one belongs to.
    """

    levels: tuple[Forecast, ...]
    members: tuple[Int64Array, ...]

    def __post_init__(self) -> None:
        bottom = len(self.levels[-1])
        if len(self.members) != len(self.levels) - 1:
            raise UsageError(f"{len(self.levels)} levels need {len(self.levels) - 1} lists of members.")
        for level, members in zip(self.levels, self.members, strict=False):
            if len(members) != bottom or (bottom and not 0 <= members.min() <= members.max() < len(level)):
                raise UsageError(f"each of the {bottom} lowest series must belong to one {level.kind}.")
            if level.horizon != self.levels[-1].horizon or level.start != self.levels[-1].start:
                raise UsageError(f"{level.kind} and {self.levels[-1].kind} are not forecast over the same days.")

    def summing(self) -> sparse.csr_matrix:
        """The matrix that adds the lowest series up to all; (n_all, n_lowest)."""
        bottom = len(self.levels[-1])
        rows = [
            sparse.csr_matrix((np.ones(bottom), (members, np.arange(bottom))), shape=(len(level), bottom))
            for level, members in zip(self.levels, self.members, strict=False)
        ]
        return sparse.vstack([*rows, sparse.identity(bottom, format="csr")], format="csr")


def reconciled(hierarchy: Hierarchy, method: Method = "mint") -> Hierarchy:
    """The same forecasts moved as little as is needed to add up exactly.

    ``bottom_up`` adds the lowest level up. ``ols`` projects all levels at once (Hyndman et al. 2011). ``mint`` does so
    with every series weighed by how wrong its forecasts were: minimum trace (Wickramasuriya et al. 2019) with the
    diagonal of the error covariance, which is known well enough from a few origins and which 100,000 series can carry.
    Bounds and medians move with their means.

    Raises
    ------
    UsageError
        There is no such method.
    """
    if method not in METHODS:
        raise UsageError(f"forecasts are reconciled by {', '.join(METHODS)}; not by {method!r}.")
    summing = hierarchy.summing()
    base = np.concatenate([level.mean for level in hierarchy.levels])
    bottom = len(hierarchy.levels[-1])
    if method == "bottom_up":
        lowest = base[-bottom:]
    else:
        weights = np.ones(len(base)) if method == "ols" else 1.0 / _variances(hierarchy)
        lowest = projected(summing, weights, base)
    if all(level.mean.min(initial=0.0) >= 0 for level in hierarchy.levels):
        lowest = np.maximum(lowest, 0.0)
    added = summing @ lowest
    levels, begin = [], 0
    for level in hierarchy.levels:
        mean = np.asarray(added[begin : begin + len(level)])
        begin += len(level)
        levels.append(_moved(level, mean))
    return Hierarchy(tuple(levels), hierarchy.members)


def projected(summing: sparse.csr_matrix, weights: Float64Array, base: Float64Array) -> Float64Array:
    """Lowest series b that minimise the weighted squared distance of S b to the base forecasts; float64 (n_lowest, h).

    Solves (S' W S) b = S' W y by conjugate gradients, so that the matrix is never held.
    """
    scaled = sparse.diags(weights) @ summing
    right = np.asarray(scaled.T @ base)
    diagonal = np.asarray((summing.multiply(scaled)).sum(axis=0)).ravel()
    size = summing.shape[1]
    operator = LinearOperator((size, size), matvec=lambda b: scaled.T @ (summing @ b), dtype=np.float64)
    inverse = LinearOperator((size, size), matvec=lambda b: b / diagonal, dtype=np.float64)
    start = base[-size:]
    columns = [
        cg(operator, right[:, day], x0=start[:, day], rtol=_TOLERANCE, maxiter=10 * size + 100, M=inverse)[0]
        for day in range(base.shape[1])
    ]
    return np.stack(columns, axis=1)


def _variances(hierarchy: Hierarchy) -> Float64Array:
    """How wrong each series was on the past, as far as its bounds tell; the smallest positive one where they are 0."""
    widths = np.concatenate([np.nanmean(level.upper - level.lower, axis=1) for level in hierarchy.levels])
    widths = np.nan_to_num(widths)
    least = widths[widths > 0].min(initial=np.inf)
    floor = least if np.isfinite(least) else 1.0
    return np.asarray(np.maximum(widths, floor) ** 2)


def _moved(level: Forecast, mean: Float64Array) -> Forecast:
    """With another mean; the rest moves by as much, and no lower than 0 where it never was."""
    shift = mean - level.mean
    bound = 0.0 if level.lower.min(initial=0.0) >= 0 else -np.inf
    parts = {name: np.maximum(getattr(level, name) + shift, bound) for name in ("median", "lower", "upper")}
    return replace(level, mean=mean, **parts)

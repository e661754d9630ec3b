"""Taking out of prices and demand whatever else foretells them, never by rows that taught the foretelling.

Cross-fitting (Chernozhukov et al., 2018) with fixed effects of units: columns are demeaned within units, two learners
foretell what is left, ridge on a basis first and boosted trees on what the ridge leaves over (Clarke & Polselli, 2025,
on fixed effects), and non-negative weights join them (short-stacking; Ahrens et al., 2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import Field

from palate.core import Float64Array, IntArray, Settings
from palate.core.trees import repeatable

_MOST_FLAT = 4
"""Columns of few values that are multiplied with the others."""
_MOST_COLUMNS, _MOST_CELLS = 800, 20_000_000
"""Of the basis, 160 MB; categories beyond it share the basis of all and are told apart by the trees."""
_ALPHAS = 10.0 ** np.arange(-3.5, 3)
"""Ridge penalties tried, as shares of a column's sum of squares."""


class PartiallingSettings(Settings):
    """How what else moves prices and demand is foretold.

    Parameters
    ----------
    folds
        Parts, of whole items or, where items are few, of time.
    knots
        Of the cubic splines through every column of numbers.
    trees, leaves, learning_rate, least_rows
        Of the boosted trees; no trees where ``trees`` is 0.
    most_groups
        Categories that get seasons of their own in the basis, those with the most rows first.
    seed
        Deals items into folds.
    """

    folds: Annotated[int, Field(ge=2, le=50)] = 5
    knots: Annotated[int, Field(ge=3, le=20)] = 5
    trees: Annotated[int, Field(ge=0, le=5_000)] = 80
    leaves: Annotated[int, Field(ge=2, le=255)] = 15
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    least_rows: Annotated[int, Field(ge=1)] = 30
    most_groups: Annotated[int, Field(ge=0)] = 24
    seed: int = 0


@dataclass(frozen=True)
class Design:
    """What everything else is, of n rows.

    Parameters
    ----------
    unit
        int32 (n,), rows that share a level of their own.
    fold
        int32 (n,), rows of one fold are foretold by the others.
    features
        float64 (n, f).
    group
        int32 (n,), category.
    period
        int32 (n,), for effects of single periods; None where there are too few units to see them.
    """

    unit: IntArray
    fold: IntArray
    features: Float64Array
    group: IntArray
    period: IntArray | None
    settings: PartiallingSettings

    @cached_property
    def basis(self) -> Float64Array:
        """float64 (n, b): splines, products of categories with them, periods; columns of spread 1."""
        from sklearn.preprocessing import SplineTransformer

        features, settings = self.features, self.settings
        bent = np.array([len(np.unique(column)) > 2 * settings.knots for column in features.T], dtype=bool)
        parts = [features]
        if bent.any():
            splines = SplineTransformer(settings.knots, degree=3, knots="quantile", include_bias=False)
            parts.append(splines.fit_transform(features[:, bent]))
        flat = features[:, ~bent]
        smooth = np.hstack(parts)
        # Promotions and the like work differently in and out of season.
        own = np.hstack([smooth, *(flat[:, [column]] * smooth for column in range(min(flat.shape[1], _MOST_FLAT)))])
        most = int(min(_MOST_COLUMNS, _MOST_CELLS // len(own)) // max(own.shape[1], 1)) - 1
        parts = [own, *((self.group == group)[:, None] * own for group in self._large_groups()[: max(most, 0)])]
        if self.period is not None:
            parts.append((self.period[:, None] == np.unique(self.period)).astype(np.float64))
        columns = np.hstack(parts)
        spread = columns.std(axis=0)
        return np.asarray((columns / np.where(spread > 1e-9, spread, 1.0))[:, spread > 1e-9])

    def _large_groups(self) -> list[int]:
        counts = np.bincount(self.group)
        if (counts > 0).sum() < 2:
            return []
        order = np.argsort(-counts, kind="stable")[: self.settings.most_groups]
        units = np.array([len(np.unique(self.unit[self.group == group])) for group in order])
        return [int(group) for group, own in zip(order, units, strict=True) if own >= 3]


def demeaned(values: Float64Array, unit: IntArray, weights: Float64Array) -> Float64Array:
    """Less the weighted mean of their unit; (n,) or (n, b)."""
    total = np.bincount(unit, weights)
    if values.ndim == 1:
        return np.asarray(values - (np.bincount(unit, weights * values) / total)[unit])
    order = np.argsort(unit, kind="stable")
    starts = np.flatnonzero(np.diff(unit[order], prepend=-1))
    sums = np.add.reduceat(values[order] * weights[order, None], starts, axis=0)
    means = np.zeros((len(total), values.shape[1]))
    means[unit[order][starts]] = sums / total[unit[order][starts], None]
    return np.asarray(values - means[unit])


@dataclass(frozen=True)
class Residuals:
    """What is left of m targets.

    Parameters
    ----------
    left
        float64 (n, m), of weighted mean 0 in each unit.
    foretold
        float64 (m,), the share of the variance within units that was foretold.
    spent
        Effective number of the linear learner's parameters over that of rows. With many of them the scatter of an
        estimate grows by this share beyond what residuals show (Cattaneo, Jansson & Newey, 2018): a row's residual
        has the errors of foretelling it, but so have, alike, the residuals of its neighbours.
    """

    left: Float64Array
    foretold: Float64Array
    spent: float


def residuals(targets: Float64Array, design: Design, weights: Float64Array) -> Residuals:
    """What is left of targets once everything else has said what it can.

    Parameters
    ----------
    targets
        float64 (n, m).
    weights
        float64 (n,), above 0; how much a row counts.
    """
    within = np.column_stack([demeaned(column, design.unit, weights) for column in targets.T])
    linear, inside, spent = _ridge(within, demeaned(design.basis, design.unit, weights), design.fold, weights)
    said = [linear]
    if design.settings.trees and design.features.shape[1]:
        said.append(_trees(within, inside, design, weights))
    left = np.empty_like(within)
    shares = None
    for column in range(within.shape[1]):
        told = np.column_stack([demeaned(one[:, column], design.unit, weights) for one in said])
        shares = _stacked(told, within[:, column], weights) if shares is None else shares
        left[:, column] = within[:, column] - told @ shares
    before = (weights[:, None] * within**2).sum(axis=0)
    after = (weights[:, None] * left**2).sum(axis=0)
    return Residuals(left, 1.0 - after / np.where(before > 0, before, 1.0), spent)


def _stacked(told: Float64Array, wanted: Float64Array, weights: Float64Array) -> Float64Array:
    """Non-negative weights under which foretellings come nearest to what they foretold."""
    from scipy.optimize import nnls

    root = np.sqrt(weights)
    return np.asarray(nnls(told * root[:, None], wanted * root)[0])


def _ridge(
    within: Float64Array, basis: Float64Array, fold: IntArray, weights: Float64Array
) -> tuple[Float64Array, Float64Array, float]:
    """Ridge foretellings of each fold by the others, the penalty being the one that foretells best.

    Returns
    -------
    float64 (n, m), out of fold; float64 (n, m, folds), what each fold's learner says of the rows it learnt from; the
    effective number of parameters over that of rows.
    """
    from scipy.linalg import cho_factor, cho_solve

    # Rows of a fold next to each other and scaled once: parts are then views, and a product with itself costs half.
    order = np.argsort(fold, kind="stable")
    ends = np.cumsum(np.bincount(fold))
    parts = [slice(int(low), int(high)) for low, high in zip(np.r_[0, ends[:-1]], ends, strict=True)]
    root = np.sqrt(weights[order])[:, None]
    columns, wanted = basis[order] * root, within[order] * root
    best, inside = np.zeros_like(within), np.zeros((*within.shape, len(parts)))
    if not basis.shape[1]:
        return best, inside, 0.0
    grams = [columns[part].T @ columns[part] for part in parts]
    goals = [columns[part].T @ wanted[part] for part in parts]
    whole, goal = np.sum(grams, axis=0), np.sum(goals, axis=0)
    scale = max(float(np.trace(whole)) / basis.shape[1], 1e-12)
    error, chosen, penalty = np.inf, [np.zeros_like(goal)] * len(parts), 0.0
    for alpha in _ALPHAS:
        slopes, told = [], np.empty_like(wanted)
        for part, gram, own in zip(parts, grams, goals, strict=True):
            others = whole - gram
            others.flat[:: len(others) + 1] += alpha * scale
            factor = cho_factor(others, overwrite_a=True, check_finite=False)
            slopes.append(cho_solve(factor, goal - own, check_finite=False))
            told[part] = columns[part] @ slopes[-1]
        missed = float(((wanted[:, 0] - told[:, 0]) ** 2).sum())
        if missed >= error:
            break
        error, chosen, penalty = missed, slopes, alpha * scale
        best[order] = told / root
    inside[order] = np.stack([columns @ own for own in chosen], axis=-1) / root[..., None]
    powers = np.linalg.eigvalsh(whole)
    return best, inside, float((powers / (powers + penalty)).sum() / len(basis))


def _trees(within: Float64Array, inside: Float64Array, design: Design, weights: Float64Array) -> Float64Array:
    """Boosted trees on what the ridge of the same folds leaves over; out of fold, float64 (n, m)."""
    import lightgbm

    settings, told = design.settings, np.zeros_like(within)
    columns = np.column_stack([design.features, design.group])
    if design.period is not None:
        columns = np.column_stack([columns, design.period])
    parameters = {
        **repeatable(settings.seed),
        "objective": "regression",
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.least_rows,
        "lambda_l2": 1.0,
        "max_bin": 63,
    }
    for part in range(int(design.fold.max()) + 1):
        known, asked = design.fold != part, design.fold == part
        for column in range(within.shape[1]):
            lessons = lightgbm.Dataset(
                columns[known],
                (within[:, column] - inside[:, column, part])[known],
                weight=weights[known],
                categorical_feature=[design.features.shape[1]] if len(np.unique(design.group)) > 2 else [],
                params={"max_bin": 63, "verbosity": -1, "min_data_per_group": 20},
            )
            model = lightgbm.train(parameters, lessons, settings.trees, keep_training_booster=True)
            told[asked, column] = model.predict(columns[asked])
    return told


def folds_of(cluster: IntArray, group: IntArray, folds: int, seed: int) -> IntArray:
    """Whole clusters dealt into folds, those of one group as evenly as can be; int32 (n,)."""
    names, first, codes = np.unique(cluster, return_index=True, return_inverse=True)
    order = np.random.default_rng([seed, 11]).permutation(len(names))
    order = order[np.argsort(group[first][order], kind="stable")]
    dealt = np.empty(len(names), dtype=np.int32)
    dealt[order] = np.arange(len(names)) % min(folds, max(len(names), 2))
    return np.asarray(dealt[codes])

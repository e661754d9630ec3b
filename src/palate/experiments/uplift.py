"""Whom an action changes: models of uplift learnt from a randomised experiment, and how good a ranking by them is.

T-learner: a model of the outcome for each group, and their difference. X-learner (Künzel, Sekhon, Bickel and Yu, 2019):
each group's outcomes less what the other group's model expects of the same people, learnt again, and both averaged.
Cross-fitted, so that nobody's score comes from a model that saw their outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from palate.core import BoolArray, DataError, Float64Array, FloatArray, IntArray, Settings
from palate.measure import Interval, influence_interval

Learner = Literal["t", "x"]


class UpliftSettings(Settings):
    """Of the trees that learn uplift.

    Parameters
    ----------
    learner
        ``t`` or ``x``.
    rounds, learning_rate, leaves, least_in_leaf
        Of gradient boosting: small trees, for effects are faint beside outcomes.
    folds
        Parts of the people; those of one are scored by models of the others.
    """

    learner: Learner = "x"
    rounds: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=0.03, gt=0, le=1)
    leaves: int = Field(default=4, ge=2)
    least_in_leaf: int = Field(default=300, ge=1)
    folds: int = Field(default=2, ge=2)


@dataclass(frozen=True)
class Uplift:
    """Scores of n people, each by models that did not see them.

    Parameters
    ----------
    score
        float64 (n,), expected outcome with the action less without.
    expected
        float64 (n,), expected outcome halfway between both groups; what is taken off outcomes to steady the measure.
    fold
        int32 (n,).
    """

    score: Float64Array
    expected: Float64Array
    fold: IntArray


def uplift(
    features: FloatArray,
    treated: BoolArray,
    outcome: Float64Array,
    *,
    settings: UpliftSettings | None = None,
    categorical: Sequence[int] = (),
    seed: int = 0,
) -> Uplift:
    """Score people by what the action changes for them.

    Parameters
    ----------
    features
        float32 (n, f), known before the action.
    treated
        bool (n,), drawn at random.
    outcome
        float64 (n,).
    categorical
        Columns that hold codes of categories.

    Raises
    ------
    DataError
        A group is too small, or an outcome is no number.
    """
    chosen = settings or UpliftSettings()
    _check(features, treated, outcome, chosen)
    fold = _folds(treated, chosen.folds, seed)
    fit = _boosting(chosen, categorical, seed)
    score, expected = np.empty(len(outcome)), np.empty(len(outcome))
    for part in range(chosen.folds):
        inside = fold == part
        with_action, without = (fit(features[own], outcome[own]) for own in (~inside & treated, ~inside & ~treated))
        share = float(treated[~inside].mean())
        upper, lower = with_action(features[inside]), without(features[inside])
        # The group that is observed more often is foretold better; this weighting gives the least variance.
        expected[inside] = (1 - share) * upper + share * lower
        if chosen.learner == "t":
            score[inside] = upper - lower
            continue
        gained = fit(features[~inside & treated], (outcome - without(features))[~inside & treated])
        missed = fit(features[~inside & ~treated], (with_action(features) - outcome)[~inside & ~treated])
        score[inside] = share * missed(features[inside]) + (1 - share) * gained(features[inside])
    return Uplift(score, expected, fold)


@dataclass(frozen=True)
class Qini:
    """How much more comes of acting on the best ranked people than of acting on as many at random.

    Parameters
    ----------
    coefficient
        Area between the curve and the straight line, per person; 0 for a ranking that says nothing.
    effect
        Mean effect of the action.
    share, gain
        float64 (points,): acting on this share of the people, best first, gains so much per person over nobody.
    """

    coefficient: Interval
    effect: Interval
    share: Float64Array
    gain: Float64Array


def qini(
    score: Float64Array,
    treated: BoolArray,
    outcome: Float64Array,
    *,
    share_treated: float | None = None,
    expected: Float64Array | None = None,
    fold: IntArray | None = None,
    points: int = 21,
    level: float = 0.95,
) -> Qini:
    """The Qini measure (Radcliffe, 2007) of a randomised experiment, by inverse propensity, with its interval.

    The coefficient is the mean of effect times (1/2 - rank), a U-statistic: its interval is by Hájek's projection, and
    takes in that the ranks themselves come from a sample. Equal scores share their rank.

    Parameters
    ----------
    score
        float64 (n,), larger is acted on first; not learnt from these people's outcomes.
    share_treated
        Probability of the action; the share found where None.
    expected
        float64 (n,), taken off the outcomes; any numbers that did not see them leave the measure unbiased.
    fold
        int32 (n,); people are ranked within their fold, because scores of two models do not compare.

    Raises
    ------
    DataError
        A group is empty.
    """
    from scipy.stats import rankdata

    if treated.all() or not treated.any():
        raise DataError("uplift needs people with the action and people without; one group is empty")
    share = float(treated.mean()) if share_treated is None else share_treated
    centred = outcome - (0.0 if expected is None else expected)
    # In expectation over the draw of the action this is each person's effect.
    effects = centred * np.where(treated, 1 / share, -1 / (1 - share))
    rank, influence = np.empty(len(score)), np.empty(len(score))
    for part in np.unique(fold) if fold is not None else (0,):
        inside = np.flatnonzero(fold == part) if fold is not None else np.arange(len(score))
        own, n = effects[inside], len(inside)
        rank[inside] = (rankdata(-score[inside], method="average") - 0.5) / n
        influence[inside] = own * (0.5 - rank[inside]) + _by_rank(score[inside], own)
    coefficient = influence_interval(influence, level=level)
    estimate = float((effects * (0.5 - rank)).mean())
    shift = estimate - coefficient.estimate
    order = np.argsort(rank, kind="stable")
    reached = np.concatenate([[0.0], np.cumsum(effects[order])]) / len(score)
    at = np.linspace(0.0, 1.0, points)
    return Qini(
        Interval(estimate, coefficient.low + shift, coefficient.high + shift),
        influence_interval(effects, level=level),
        at,
        reached[np.round(at * len(score)).astype(np.int64)],
    )


def _by_rank(score: Float64Array, effects: Float64Array) -> Float64Array:
    """What each person's place does to the ranks of others: less the mean effect over those ranked below, centred."""
    values, place = np.unique(score, return_inverse=True)
    each = np.bincount(place, weights=effects, minlength=len(values))
    below = np.cumsum(each) - each / 2
    moved = -below[place] / len(score)
    return np.asarray(moved - moved.mean(), dtype=np.float64)


def _folds(treated: BoolArray, folds: int, seed: int) -> IntArray:
    """Folds with the same share of treated people in each."""
    generator, fold = np.random.default_rng(seed), np.empty(len(treated), dtype=np.int32)
    for group in (True, False):
        rows = np.flatnonzero(treated == group)
        fold[generator.permutation(rows)] = np.arange(len(rows)) % folds
    return fold


_Predict = Callable[[FloatArray], Float64Array]


def _boosting(settings: UpliftSettings, categorical: Sequence[int], seed: int) -> Callable[[Any, Any], _Predict]:
    """How a model is fitted: features and outcomes in, predictions of other features out."""
    import lightgbm

    from palate.core.threads import threads
    from palate.core.trees import repeatable

    parameters = {
        **repeatable(seed, threads()),
        "objective": "regression",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.least_in_leaf,
    }

    def fit(features: FloatArray, outcome: Float64Array) -> _Predict:
        data = lightgbm.Dataset(features, outcome, categorical_feature=list(categorical), free_raw_data=True)
        model = lightgbm.train(parameters, data, num_boost_round=settings.rounds)
        return lambda asked: np.asarray(model.predict(asked), dtype=np.float64)

    return fit


def _check(features: FloatArray, treated: BoolArray, outcome: Float64Array, settings: UpliftSettings) -> None:
    if not len(features) == len(treated) == len(outcome):
        raise DataError(f"{len(features):,} people, {len(treated):,} actions, {len(outcome):,} outcomes: one of each")
    least = 2 * settings.least_in_leaf * settings.folds
    groups = (int(treated.sum()), int((~treated).sum()))
    if min(groups) < least:
        raise DataError(f"{groups[0]:,} people with the action and {groups[1]:,} without; {least:,} of each are due")
    if not np.isfinite(outcome).all():
        raise DataError(
            f"person {int(np.flatnonzero(~np.isfinite(outcome))[0]) + 1:,} has an outcome that is no number"
        )

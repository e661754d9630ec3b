"""What each arm would earn in each context: ridge regressions of rewards, one an arm, never asked what they saw.

Every arm's regression is drawn towards one common to all, so that an arm seldom chosen is foretold like the others. The
common one may bend (splines and products of the context), the arms' own differ from it by straight lines. How strongly
they are drawn, and whether it bends, is chosen by what doubly robust estimation needs, the least variance of its
residuals as they are weighted (Farajtabar, Chow and Ghavamzadeh, 2018), over folds of people.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import Field

from palate.core import BoolArray, Float64Array, IntArray, Settings
from palate.core.arrays import offsets_of
from palate.experiments.logs import Logged


class RewardModelSettings(Settings):
    """Of the regressions.

    Parameters
    ----------
    folds
        Parts of the people; what is foretold of one was learnt from the others.
    strengths
        How many rounds the common regression may count for in each arm's own; the largest: arms differ by nothing.
    knots
        Of the splines by which the common regression may bend; 0: it never does.
    seed
        Draws the folds.
    """

    folds: int = Field(default=5, ge=2)
    strengths: tuple[float, ...] = Field(default=(1.0, 10.0, 100.0, 1e3, 1e9), min_length=1)
    knots: int = Field(default=10, ge=0, le=50)
    seed: int = 0


def folds_of(logged: Logged, folds: int, seed: int = 0) -> IntArray:
    """Folds 0..folds - 1 of the choices, int32 (n,); all of a person's choices lie in one."""
    person = logged.person
    parts = np.random.default_rng(seed).permutation(int(person.max(initial=0)) + 1) % folds
    return parts[person].astype(np.int32)


@dataclass(frozen=True)
class Design:
    """Contexts as regressors.

    Parameters
    ----------
    columns
        float64 (n, p), a constant first.
    straight
        How many of them, the first ones, each arm weighs by itself; the others are common to all.
    """

    columns: Float64Array
    straight: int

    def take(self, rows: BoolArray) -> Design:
        """These rows alone."""
        return Design(self.columns[rows], self.straight)


@dataclass(frozen=True)
class Foretold:
    """What the regressions expect.

    Parameters
    ----------
    rewards
        float64 (n, K), of every arm in every logged context; learnt from other people's choices.
    strength
        How many rounds the common regression counted for.
    design
        The regressors that foretold best.
    """

    rewards: Float64Array
    strength: float
    design: Design


def foretold(logged: Logged, weights: Float64Array, settings: RewardModelSettings | None = None) -> Foretold:
    """Expected reward of every arm in every logged context.

    Parameters
    ----------
    weights
        float64 (n,), importance weights of the policy that is to be judged; they choose strength and shape.
    """
    chosen = settings or RewardModelSettings()
    fold = folds_of(logged, chosen.folds, chosen.seed)
    rows = np.arange(len(logged))
    best: tuple[float, Foretold] | None = None
    for design in (design_of(logged.contexts), bent_design(logged.contexts, chosen.knots)):
        if design is None:
            continue
        moments = _moments(design, logged, fold, chosen.folds).without_each()
        for strength in chosen.strengths:
            guess = np.empty((len(logged), len(logged.names)))
            for part, learnt in enumerate(moments.coefficients(strength)):
                inside = fold == part
                guess[inside] = design.columns[inside] @ learnt.T
            spread = float(np.var(weights * (logged.rewards - guess[rows, logged.arms])))
            if best is None or spread < best[0]:
                best = spread, Foretold(guess, strength, design)
    assert best is not None  # noqa: S101 - the settings hold one strength at least
    return best[1]


def coefficients(design: Design, logged: Logged, strength: float, counts: Float64Array | None = None) -> Float64Array:
    """Regressions of all choices, float64 (K, p), on p regressors; each choice counts so many times, or once."""
    whole = np.zeros(len(logged), dtype=np.int32)
    (learnt,) = _moments(design, logged, whole, 1, counts).coefficients(strength)
    return np.asarray(learnt)


def resampled_values(
    logged: Logged, shares: Float64Array, model: Foretold, *, samples: int = 200, seed: int = 0
) -> Float64Array:
    """Bootstrap replicates of what the regressions alone say a policy earns, fitted anew each time; float64 (samples,).

    People are drawn, with all that they chose.
    """
    generator, design, person = np.random.default_rng(seed), model.design, logged.person
    people = int(person.max(initial=0)) + 1
    found = np.empty(samples)
    for sample in range(samples):
        counts = np.bincount(generator.integers(people, size=people), minlength=people)[person].astype(np.float64)
        learnt = coefficients(design, logged, model.strength, counts)
        found[sample] = (shares * (design.columns @ learnt.T)).sum(axis=1) @ counts / counts.sum()
    return found


def design_of(contexts: Float64Array) -> Design:
    """Contexts (n, d) as 1 + d regressors: a constant, then columns of mean 0 and deviation 1, or 0 throughout."""
    columns = np.concatenate([np.ones((len(contexts), 1)), _standard(contexts)], axis=1)
    return Design(columns, columns.shape[1])


def bent_design(contexts: Float64Array, knots: int) -> Design | None:
    """The same with splines through every column of many values, and products of two; None where nothing can bend."""
    from sklearn.preprocessing import SplineTransformer

    straight = design_of(contexts)
    many = [column for column in contexts.T if knots and len(np.unique(column)) > 2 * knots]
    if not many:
        return None
    numbers = np.column_stack(many)
    splines = SplineTransformer(max(knots, 2), degree=3, knots="quantile", include_bias=False).fit_transform(numbers)
    first, second = np.triu_indices(numbers.shape[1], 1)
    centred = _standard(numbers)
    bends = np.concatenate([splines, centred[:, first] * centred[:, second]], axis=1)
    return Design(np.concatenate([straight.columns, _standard(bends)], axis=1), straight.straight)


def _standard(values: Float64Array) -> Float64Array:
    spread = values.std(axis=0)
    known = spread > 1e-12
    return np.where(known, (values - values.mean(axis=0)) / np.where(known, spread, 1.0), 0.0)


@dataclass(frozen=True)
class _Moments:
    """Sums of products of f folds: an arm's straight regressors with all p of them and with rewards, and of all arms.

    Parameters
    ----------
    own, own_rewards
        float64 (f, K, s, p) and (f, K, s).
    common, common_rewards
        float64 (f, p, p) and (f, p).
    """

    own: Float64Array
    own_rewards: Float64Array
    common: Float64Array
    common_rewards: Float64Array

    def without_each(self) -> _Moments:
        """Of everything but each fold."""
        columns = (self.own, self.own_rewards, self.common, self.common_rewards)
        return _Moments(*(column.sum(axis=0) - column for column in columns))

    def coefficients(self, strength: float) -> Float64Array:
        """Regressions of each fold and arm, float64 (f, K, p)."""
        straight, width = self.own.shape[-2:]
        rounds = np.maximum(self.common[:, :1, :1], 1.0)
        little = np.eye(width) * 1e-6
        # What bends is many columns for what few of them say: it gives way first.
        held = rounds * little + np.diag(np.where(np.arange(width) < straight, 0.0, _BENDING))
        common = np.linalg.solve(self.common + held, self.common_rewards[..., None])
        # The common regression counts like so many average rounds, whatever the scales of the regressors.
        inner = (slice(None), slice(straight), slice(straight))
        prior = strength * (self.common[inner] / rounds + little[:straight, :straight])[:, None]
        missed = self.own_rewards[..., None] - self.own @ common[:, None]
        own = np.linalg.solve(self.own[..., :straight] + prior, missed)[..., 0]
        learnt = np.repeat(common[:, None, :, 0], own.shape[1], axis=1)
        learnt[..., :straight] += own
        return np.asarray(learnt, dtype=np.float64)


_BENDING = 10.0
"""Rounds by which the weights of what bends are drawn to 0."""


def _moments(
    design: Design, logged: Logged, fold: IntArray, folds: int, counts: Float64Array | None = None
) -> _Moments:
    """Of the choices of each fold and arm."""
    arms, (straight, width) = len(logged.names), (design.straight, design.columns.shape[1])
    cell = fold.astype(np.int64) * arms + logged.arms
    order = np.argsort(cell, kind="stable")
    bounds = offsets_of(np.bincount(cell, minlength=folds * arms))
    right, rewards = design.columns[order], logged.rewards[order]
    left = right if counts is None else right * counts[order, None]
    own, own_rewards = np.zeros((folds * arms, straight, width)), np.zeros((folds * arms, straight))
    for place in np.flatnonzero(np.diff(bounds)):
        rows = slice(bounds[place], bounds[place + 1])
        own[place] = left[rows, :straight].T @ right[rows]
        own_rewards[place] = left[rows, :straight].T @ rewards[rows]
    ends = bounds[::arms]
    parts = [slice(low, high) for low, high in pairwise(ends.tolist())]
    return _Moments(
        own.reshape(folds, arms, straight, width),
        own_rewards.reshape(folds, arms, straight),
        np.stack([left[rows].T @ right[rows] for rows in parts]),
        np.stack([left[rows].T @ rewards[rows] for rows in parts]),
    )

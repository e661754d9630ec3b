"""What each arm would earn in each context: ridge regressions of rewards, one an arm, never asked what they saw.

Every arm's regression is drawn towards one common to all, so that an arm seldom chosen is foretold like the others. How
strongly is chosen by what doubly robust estimation needs, the least variance of its residuals as they are weighted
(Farajtabar, Chow and Ghavamzadeh, 2018), over folds of people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from palate.core import Float64Array, IntArray, Settings
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
    seed
        Draws the folds.
    """

    folds: int = Field(default=5, ge=2)
    strengths: tuple[float, ...] = Field(default=(1.0, 10.0, 100.0, 1e3, 1e9), min_length=1)
    seed: int = 0


def folds_of(logged: Logged, folds: int, seed: int = 0) -> IntArray:
    """Folds 0..folds - 1 of the choices, int32 (n,); all of a person's choices lie in one."""
    person = logged.person
    parts = np.random.default_rng(seed).permutation(int(person.max(initial=0)) + 1) % folds
    return parts[person].astype(np.int32)


@dataclass(frozen=True)
class Foretold:
    """What the regressions expect.

    Parameters
    ----------
    rewards
        float64 (n, K), of every arm in every logged context; learnt from other people's choices.
    strength
        How many rounds the common regression counted for.
    """

    rewards: Float64Array
    strength: float


def foretold(logged: Logged, weights: Float64Array, settings: RewardModelSettings | None = None) -> Foretold:
    """Expected reward of every arm in every logged context.

    Parameters
    ----------
    weights
        float64 (n,), importance weights of the policy that is to be judged; they choose the strength.
    """
    chosen = settings or RewardModelSettings()
    fold = folds_of(logged, chosen.folds, chosen.seed)
    design, rows = design_of(logged.contexts), np.arange(len(logged))
    gram, response = _moments(design, logged, fold, chosen.folds)
    gram, response = gram.sum(axis=0) - gram, response.sum(axis=0) - response
    best: tuple[float, Foretold] | None = None
    for strength in chosen.strengths:
        guess = np.empty((len(logged), len(logged.names)))
        for part, learnt in enumerate(_coefficients(gram, response, strength)):
            inside = fold == part
            guess[inside] = design[inside] @ learnt.T
        spread = float(np.var(weights * (logged.rewards - guess[rows, logged.arms])))
        if best is None or spread < best[0]:
            best = spread, Foretold(guess, strength)
    assert best is not None  # noqa: S101 - the settings hold one strength at least
    return best[1]


def coefficients(
    design: Float64Array, logged: Logged, strength: float, counts: Float64Array | None = None
) -> Float64Array:
    """Regressions of all choices, float64 (K, p), on regressors (n, p); each choice counts so many times, or once."""
    whole = np.zeros(len(logged), dtype=np.int32)
    (learnt,) = _coefficients(*_moments(design, logged, whole, 1, counts), strength)
    return np.asarray(learnt)


def resampled_values(
    logged: Logged, shares: Float64Array, strength: float, *, samples: int = 200, seed: int = 0
) -> Float64Array:
    """Bootstrap replicates of what the regressions alone say a policy earns, fitted anew each time; float64 (samples,).

    People are drawn, with all that they chose.
    """
    design, generator = design_of(logged.contexts), np.random.default_rng(seed)
    person = logged.person
    people = int(person.max(initial=0)) + 1
    found = np.empty(samples)
    for sample in range(samples):
        counts = np.bincount(generator.integers(people, size=people), minlength=people)[person].astype(np.float64)
        learnt = coefficients(design, logged, strength, counts)
        found[sample] = (shares * (design @ learnt.T)).sum(axis=1) @ counts / counts.sum()
    return found


def design_of(contexts: Float64Array) -> Float64Array:
    """Contexts (n, d) as regressors (n, 1 + d): a constant, then columns of mean 0 and deviation 1, or 0 throughout."""
    spread = contexts.std(axis=0)
    centred = (contexts - contexts.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)
    return np.concatenate([np.ones((len(contexts), 1)), np.where(spread > 1e-12, centred, 0.0)], axis=1)


def _moments(
    design: Float64Array, logged: Logged, fold: IntArray, folds: int, counts: Float64Array | None = None
) -> tuple[Float64Array, Float64Array]:
    """Sums of products of regressors, (folds, K, p, p), and with rewards, (folds, K, p), of each fold and arm."""
    arms, width = len(logged.names), design.shape[1]
    cell = fold.astype(np.int64) * arms + logged.arms
    order = np.argsort(cell, kind="stable")
    bounds = offsets_of(np.bincount(cell, minlength=folds * arms))
    left, rewards = design[order], logged.rewards[order]
    right = left if counts is None else left * counts[order, None]
    gram, response = np.zeros((folds * arms, width, width)), np.zeros((folds * arms, width))
    for place in np.flatnonzero(np.diff(bounds)):
        rows = slice(bounds[place], bounds[place + 1])
        gram[place] = left[rows].T @ right[rows]
        response[place] = right[rows].T @ rewards[rows]
    return gram.reshape(folds, arms, width, width), response.reshape(folds, arms, width)


def _coefficients(gram: Float64Array, response: Float64Array, strength: float) -> Float64Array:
    """Regressions of each fold and arm, float64 (folds, K, p), from moments of as many."""
    little = np.eye(gram.shape[-1]) * 1e-6
    whole, total = gram.sum(axis=1), response.sum(axis=1)
    rounds = np.maximum(whole[:, :1, :1], 1.0)
    common = np.linalg.solve(whole + rounds * little, total[..., None])
    # The common regression counts like so many average rounds, whatever the scales of the regressors.
    prior = strength * (whole / rounds + little)[:, None]
    own = np.linalg.solve(gram + prior, response[..., None] - gram @ common[:, None])
    return np.asarray((common[:, None] + own)[..., 0], dtype=np.float64)

"""What a policy that was not run would have earned, from a log of another that was: an interval, or a refusal in words.

Estimators are means of influence values, one a logged choice, so that one interval serves all of them and a difference
to what was logged is computed choice by choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from pydantic import Field

from palate.core import Float64Array, Settings, UsageError
from palate.core.configuration import suggestion
from palate.data.tables import Note
from palate.experiments.logs import Logged
from palate.experiments.reward_model import (
    RewardModelSettings,
    coefficients,
    design_of,
    folds_of,
    foretold,
    resampled_values,
)
from palate.experiments.support import Support, SupportSettings, support, weights_of
from palate.measure import Interval, influence_interval
from palate.measure.intervals import LEVEL, bounds

Method = Literal["inverse-propensity", "self-normalised", "direct", "doubly-robust", "switch"]
METHODS: tuple[Method, ...] = get_args(Method)


class OffPolicySettings(Settings):
    """Of the estimates.

    Parameters
    ----------
    level
        Of the intervals.
    switch
        Weight beyond which ``switch`` trusts the reward model alone; None: chosen by the least estimate of its squared
        error.
    support
        Below what a log does not answer.
    rewards
        Of the reward model.
    """

    level: float = Field(default=LEVEL, gt=0.5, lt=1)
    switch: float | None = Field(default=None, gt=0)
    support: SupportSettings = Field(default_factory=SupportSettings)
    rewards: RewardModelSettings = Field(default_factory=RewardModelSettings)


@dataclass(frozen=True)
class Estimate:
    """What a policy would have earned.

    Parameters
    ----------
    method
        One of ``METHODS``.
    value
        Mean reward a choice; None where the log refuses.
    lift
        Value less what the logged choices earned; None where the log refuses.
    support
        How much of the log speaks of the policy.
    refusals
        Why there is no answer; ``palate.experiments.support.in_words`` says them.
    """

    method: Method
    value: Interval | None
    lift: Interval | None
    support: Support
    refusals: tuple[Note, ...] = ()


def estimate(
    logged: Logged,
    shares: Float64Array,
    method: Method = "doubly-robust",
    *,
    settings: OffPolicySettings | None = None,
    expected: Float64Array | None = None,
) -> Estimate:
    """Mean reward of a policy, or why the log cannot tell.

    Parameters
    ----------
    shares
        float64 (n, K), probabilities the policy gives to the log's arms in each logged context. It must not have been
        learnt from the same choices.
    expected
        float64 (n, K), rewards expected of the arms by a model that saw none of these choices; None: regressions over
        folds (``palate.experiments.reward_model``).

    Raises
    ------
    UsageError
        There is no such method, or the probabilities are none.
    """
    if method not in METHODS:
        raise UsageError(f"{method!r} is no way to estimate. {suggestion(method, list(METHODS))}")
    chosen = settings or OffPolicySettings()
    found = support(logged, shares)
    if refusals := found.refusals(chosen.support):
        return Estimate(method, None, None, found, refusals)
    weights, model = weights_of(logged, shares), None
    if expected is None and method not in ("inverse-propensity", "self-normalised"):
        model = foretold(logged, weights, chosen.rewards)
        expected = model.rewards
    values = influence(logged, shares, method, expected, switch=chosen.switch)
    value = influence_interval(values, logged.people, level=chosen.level)
    lift = influence_interval(values - logged.rewards, logged.people, level=chosen.level)
    if method == "direct" and model is not None:
        drawn = resampled_values(logged, shares, model, seed=chosen.rewards.seed)
        low, high = bounds(drawn[:, None] - drawn.mean() + value.estimate, chosen.level)
        value = Interval(value.estimate, float(low[0]), float(high[0]))
        earned = influence_interval(logged.rewards, logged.people, level=chosen.level)
        reach = np.hypot(value.high - value.low, earned.high - earned.low) / 2
        lift = Interval(lift.estimate, lift.estimate - float(reach), lift.estimate + float(reach))
    return Estimate(method, value, lift, found)


def influence(
    logged: Logged,
    shares: Float64Array,
    method: Method,
    expected: Float64Array | None = None,
    *,
    switch: float | None = None,
) -> Float64Array:
    """A number for each logged choice, float64 (n,), whose mean is the estimate and whose scatter is its error.

    ``inverse-propensity``: Horvitz and Thompson (1952), unbiased. ``self-normalised``: Hájek (1971), Swaminathan and
    Joachims (2015), slightly biased and steadier. ``direct``: what the reward model says, its own error left out.
    ``doubly-robust``: the reward model corrected by weighted residuals (Robins, Rotnitzky and Zhao, 1994; Dudík,
    Langford and Li, 2011), unbiased and, with a good model, as exact as can be. ``switch``: the same without
    corrections of large weight (Wang, Agarwal and Dudík, 2017).

    Parameters
    ----------
    expected
        float64 (n, K), see ``estimate``; the last three methods need it.

    Raises
    ------
    UsageError
        The method needs expected rewards.
    """
    weights = weights_of(logged, shares)
    if method == "inverse-propensity":
        return weights * logged.rewards
    if method == "self-normalised":
        total = max(float(weights.sum()), 1e-300)
        ratio = float(weights @ logged.rewards) / total
        return np.asarray(ratio + weights * (logged.rewards - ratio) * (len(weights) / total), dtype=np.float64)
    if expected is None or expected.shape != shares.shape:
        raise UsageError(f"{method} needs the expected reward of each of {len(logged.names)} arms in every context")
    model = np.asarray((shares * expected).sum(axis=1), dtype=np.float64)
    if method == "direct":
        return model
    corrections = weights * (logged.rewards - expected[np.arange(len(logged)), logged.arms])
    if method == "switch":
        limit = threshold(logged, weights, model, corrections) if switch is None else switch
        corrections = np.where(weights <= limit, corrections, 0.0)
    return np.asarray(model + corrections, dtype=np.float64)


def threshold(logged: Logged, weights: Float64Array, model: Float64Array, corrections: Float64Array) -> float:
    """The weight beyond which corrections cost more in variance than leaving them out can cost in bias.

    Squared bias is bounded by the policy's share of choices with larger weights, times the spread of rewards (Wang,
    Agarwal and Dudík, 2017, section 3.2).
    """
    n, spread = len(weights), float(np.ptp(logged.rewards))
    order = np.argsort(weights)
    ends = np.unique(np.linspace(0, n - 1, min(n, 50)).round().astype(np.int64))
    best = (np.inf, float(weights.max(initial=0.0)))
    for end in ends[::-1]:
        limit = float(weights[order[end]])
        kept = weights <= limit
        variance = float(np.var(model + np.where(kept, corrections, 0.0))) / n
        error = variance + (spread * float(weights[~kept].sum()) / n) ** 2
        if error < best[0]:
            best = (error, limit)
    return best[1]


def always(logged: Logged, arm: str) -> Float64Array:
    """The policy that chooses one arm whatever the context, float64 (n, K).

    Raises
    ------
    UsageError
        The log has no such arm.
    """
    if arm not in logged.names:
        raise UsageError(f"{arm!r} was never shown in this log. {suggestion(arm, list(logged.names))}")
    shares = np.zeros((len(logged), len(logged.names)))
    shares[:, logged.names.index(arm)] = 1.0
    return shares


def evenly(logged: Logged) -> Float64Array:
    """The policy that draws all arms alike, float64 (n, K)."""
    return np.full((len(logged), len(logged.names)), 1.0 / len(logged.names))


def contextual(logged: Logged, settings: RewardModelSettings | None = None) -> tuple[Logged, Float64Array]:
    """The policy that takes the arm which regressions expect most of in each context.

    It is learnt from one half of the people, for a policy looks too good, and its interval is too narrow, where it is
    judged by choices it was learnt from.

    Returns
    -------
    The other half's choices, and the policy's probabilities for them, float64 (m, K).
    """
    chosen = settings or RewardModelSettings()
    half, design = folds_of(logged, 2, chosen.seed), design_of(logged.contexts)
    taught = logged.take(np.flatnonzero(half == 0))
    straight = chosen.model_copy(update={"knots": 0})  # what bends is common to all arms, and prefers none
    strength = foretold(taught, 1.0 / (taught.propensities * len(logged.names)), straight).strength
    expected = design.take(half == 1).columns @ coefficients(design.take(half == 0), taught, strength).T
    first = expected >= expected.max(axis=1, keepdims=True) - 1e-12
    return logged.take(np.flatnonzero(half == 1)), np.asarray(first / first.sum(axis=1, keepdims=True))


POLICIES = ("even", "contextual")
"""Policies by name, beside arms that are always chosen: all arms alike, and ``contextual``."""


def named(logged: Logged, name: str) -> tuple[Logged, Float64Array]:
    """A policy by name, one of ``POLICIES`` or an arm: the choices it may be judged by, and its probabilities."""
    if name == "contextual":
        return contextual(logged)
    return logged, evenly(logged) if name == "even" else always(logged, name)

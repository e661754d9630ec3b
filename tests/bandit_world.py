"""Worlds in which the best mix of every context is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, IntArray
from palate.experiments.logs import Logged
from palate.ranking.bandit import Bandit, BanditSettings, Choice

ARMS = ("learned", "average", "popular", "novel")


@dataclass(frozen=True)
class World:
    """People of four sorts; each sort likes another mix best.

    Parameters
    ----------
    worth
        float64 (sorts, arms), probability that somebody of a sort reacts to a list of an arm.
    """

    worth: Float64Array

    @classmethod
    def of(cls, turn: int = 0) -> World:
        """Sort s likes arm (s + turn) best, and the others the less the further they are."""
        distance = (np.arange(4)[None, :] - np.arange(4)[:, None] - turn) % 4
        return cls(np.array([0.6, 0.25, 0.2, 0.15])[distance])

    def contexts(self, n: int, seed: int) -> tuple[IntArray, Float64Array]:
        """Sorts of n askers, and what is seen of them: a constant and one number a sort."""
        sorts = np.random.default_rng(seed).integers(len(self.worth), size=n).astype(np.int32)
        return sorts, np.concatenate([np.ones((n, 1)), np.eye(len(self.worth))[sorts]], axis=1)

    def best(self) -> float:
        """Mean reward of whoever knows the truth, where all sorts are as frequent."""
        return float(self.worth.max(axis=1).mean())

    def value(self, shares: Float64Array, sorts: IntArray) -> float:
        """True mean reward of a policy with these probabilities (n, arms)."""
        return float((shares * self.worth[sorts]).sum(axis=1).mean())

    def logged(self, shares: Float64Array, sorts: IntArray, contexts: Float64Array, seed: int) -> Logged:
        """What a log would hold of a policy with these probabilities."""
        random = np.random.default_rng(seed)
        arms = (np.cumsum(shares, axis=1) <= random.random(len(sorts))[:, None]).sum(axis=1)
        arms = np.minimum(arms, shares.shape[1] - 1).astype(np.int32)
        rewards = (random.random(len(sorts)) < self.worth[sorts, arms]).astype(np.float64)
        return Logged(contexts, arms, shares[np.arange(len(sorts)), arms], rewards, ARMS)


def bandit(policy: str, **settings: object) -> Bandit:
    chosen = BanditSettings.model_validate({"policy": policy, "exploration": 0.01, "memory": 1e9, **settings})
    return Bandit(chosen, ARMS, 5)


def lived(
    agent: Bandit, world: Callable[[int], World], steps: int, seed: int = 0
) -> tuple[Float64Array, Float64Array, IntArray]:
    """Let a bandit choose and learn.

    Returns
    -------
    What each choice fell short of the best one in expectation, its propensities and its arms; (steps,) each.
    """
    sorts, contexts = world(0).contexts(steps, seed)
    luck = np.random.default_rng(seed + 1).random(steps)
    regret, propensities = np.empty(steps), np.empty(steps)
    arms = np.empty(steps, dtype=np.int32)
    for step in range(steps):
        worth = world(step).worth[sorts[step]]
        name = f"{seed} {step}"
        (arm,), (share,) = agent.choose(contexts[step][None, :], [name])
        agent.shown(name, Choice(agent.arms[int(arm)], float(share), contexts[step], float(step)))
        agent.rewarded(name, float(luck[step] < worth[arm]))
        regret[step], propensities[step], arms[step] = worth.max() - worth[arm], share, arm
    return regret, propensities, arms

"""What another policy would have earned, from a log of lists whose mixes were drawn with known probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, IntArray, UsageError
from palate.data.event_log import EventLog
from palate.measure import Interval, mean_interval
from palate.measure.intervals import bounds, resampled_means
from palate.ranking.bandit import Bandit, BanditSettings, Choice


@dataclass(frozen=True)
class Logged:
    """n lists that were shown.

    Parameters
    ----------
    contexts
        float64 (n, d).
    arms
        int32 (n,), positions among ``names``.
    propensities
        float64 (n,), with what probability each arm was chosen.
    rewards
        float64 (n,).
    names
        Names of the arms.
    """

    contexts: Float64Array
    arms: IntArray
    propensities: Float64Array
    rewards: Float64Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.arms)

    @classmethod
    def read(cls, log: EventLog, settings: BanditSettings | None = None) -> Logged:
        """Lists whose mix a bandit drew, oldest first, each with the best of the reactions that name it.

        Lists of people who were forgotten since are left out: their context is gone.

        Raises
        ------
        UsageError
            The log holds no such list.
        """
        settings = settings or BanditSettings()
        shown: dict[str, Choice] = {}
        rewards: dict[str, float] = {}
        for row in log.replay(("answer", "event")):
            if row.sort == "answer":
                choice = Choice.read(row.body, row.personal)
                if choice is not None:
                    shown[row.id] = choice
            elif row.body.get("recommendation_id") in shown:
                name, worth = row.body["recommendation_id"], settings.rewards.get(row.body.get("kind", ""), 0.0)
                rewards[name] = max(rewards.get(name, 0.0), worth)
        if not shown:
            raise UsageError(f"{log.path} holds no list whose mix a bandit drew; serve with [engine.bandit] policy set")
        names = tuple(dict.fromkeys(choice.mix for choice in shown.values()))
        place = {name: position for position, name in enumerate(names)}
        return cls(
            np.array([choice.context for choice in shown.values()], dtype=np.float64),
            np.array([place[choice.mix] for choice in shown.values()], dtype=np.int32),
            np.array([choice.propensity for choice in shown.values()], dtype=np.float64),
            np.array([rewards.get(name, 0.0) for name in shown], dtype=np.float64),
            names,
        )


def inverse_propensity(logged: Logged, shares: Float64Array, *, seed: int = 0) -> Interval:
    """Mean reward of a policy with these probabilities (Horvitz and Thompson, 1952), with its 95 % bootstrap interval.

    Unbiased where every arm the policy may choose had a chance to be logged.

    Parameters
    ----------
    shares
        float64 (n, arms), probabilities the policy gives to the arms in each context.
    """
    return mean_interval(_weights(logged, shares) * logged.rewards, seed=seed)


def self_normalised(logged: Logged, shares: Float64Array, *, seed: int = 0) -> Interval:
    """The same as a ratio of means (Swaminathan and Joachims, 2015): slightly biased, and much steadier."""
    weights = _weights(logged, shares)
    columns = np.column_stack([weights * logged.rewards, weights])
    replicates = resampled_means(columns, seed=seed)
    low, high = bounds(replicates[:, :1] / np.maximum(replicates[:, 1:], 1e-12))
    return Interval(float(columns[:, 0].sum() / max(columns[:, 1].sum(), 1e-12)), float(low[0]), float(high[0]))


def replay(bandit: Bandit, logged: Logged, *, seed: int = 0) -> tuple[Interval, int]:
    """Mean reward of a bandit that learns on the way (Li, Chu, Langford and Wang, 2011).

    Where it chooses what the log has, it sees the reward and learns; other lists are passed over. Unbiased for logs
    whose arms were drawn evenly, whatever the context.

    Returns
    -------
    The mean with its 95 % bootstrap interval, and how many lists it is a mean of.

    Raises
    ------
    UsageError
        The log's arms were not drawn evenly, or the bandit chooses among others.
    """
    if not np.allclose(logged.propensities, 1 / len(logged.names)):
        raise UsageError("replay needs a log whose mixes were drawn evenly; set [engine.bandit] exploration = 1.0")
    if set(bandit.arms) != set(logged.names):
        raise UsageError(f"the bandit chooses among {', '.join(bandit.arms)}, the log has {', '.join(logged.names)}")
    place = [bandit.arms.index(name) for name in logged.names]
    earned: list[float] = []
    for row in range(len(logged)):
        name, context = f"replay {seed} {row}", logged.contexts[row]
        (arm,), (share,) = bandit.choose(context[None, :], [name])
        if int(arm) != place[int(logged.arms[row])]:
            continue
        bandit.shown(name, Choice(bandit.arms[int(arm)], float(share), context, float(row)))
        bandit.rewarded(name, float(logged.rewards[row]))
        earned.append(float(logged.rewards[row]))
    return mean_interval(np.array(earned or [0.0]), seed=seed), len(earned)


def _weights(logged: Logged, shares: Float64Array) -> Float64Array:
    if shares.shape != (len(logged), len(logged.names)):
        raise UsageError(f"probabilities of {len(logged.names)} arms are due for each of {len(logged)} lists")
    weights: Float64Array = shares[np.arange(len(logged)), logged.arms] / logged.propensities
    return weights


def ordered(shares: Float64Array, bandit: Bandit, names: Sequence[str]) -> Float64Array:
    """A bandit's probabilities (n, arms) in the order in which a log names the arms; 0 for arms it does not know."""
    found = np.zeros((len(shares), len(names)))
    for place, name in enumerate(names):
        if name in bandit.arms:
            found[:, place] = shares[:, bandit.arms.index(name)]
    return found

"""What a bandit that learns on the way would have earned, from a log whose arms were drawn evenly."""

from __future__ import annotations

import numpy as np

from palate.core import UsageError
from palate.experiments.logs import Logged
from palate.measure import Interval, mean_interval
from palate.ranking.bandit import Bandit, Choice


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

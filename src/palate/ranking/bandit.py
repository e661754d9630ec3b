"""A contextual bandit that chooses the mix of a list: LinUCB and Thompson sampling over linear rewards.

LinUCB: Li, Chu, Langford and Schapire, 2010 (disjoint linear models). Thompson sampling: Chapelle and Li, 2011; Agrawal
and Goyal, 2013. Discounting: Russac, Vernade and Cappé, 2019, so that the state has a bound and follows a drift. A
change at one blow is found by ``palate.ranking.change``, and everything is learnt anew.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from palate.core import Float64Array, IntArray, Settings
from palate.core.ids import id_hash
from palate.core.recommender import Arrays
from palate.ranking.change import Watch
from palate.ranking.mixes import MIXES, Mix
from palate.ranking.posterior import Posterior, best_shares

REWARDS: Mapping[str, float] = {"view": 0.3, "click": 0.3, "like": 0.6, "share": 0.6, "cart": 0.6, "purchase": 1.0}
"""What a reaction to a list is worth, by kind of event."""

WIDTHS: Mapping[str, float] = {"linucb": 0.8, "thompson": 0.4, "off": 1.0}
"""Standard deviations at unit noise, though rewards within 0..1 scatter by a half at most; hope must outlast a few
misfortunes, draws need not."""


class BanditSettings(Settings):
    """Of the choice of mixes.

    Parameters
    ----------
    policy
        ``linucb``, ``thompson``, or ``off``: the learned ranker orders every list.
    mixes
        What is chosen among; those that a fitted ranking cannot give are left out.
    exploration
        Share of the lists whose mix is drawn evenly among all: no mix is ever shown with a smaller probability than
        this over their number.
    width
        How many standard deviations LinUCB hopes for, and by how much Thompson sampling stretches its own; None: what
        suits the policy, see ``WIDTHS``.
    regularization
        Precision of the prior of every weight.
    memory
        Lists after which what was learnt counts 1/e of what it did.
    alarm
        Lists of an arm until it raises a false alarm, on average and at the least, where its worth stays what it was.
        At an alarm everything is learnt anew. None: nobody looks.
    waiting
        Lists whose reactions are still awaited; of older ones none is expected any more.
    rewards
        Worth of a reaction by kind of event, 0 to 1; the best one to a list counts, kinds not named count nothing.
    """

    policy: Literal["off", "linucb", "thompson"] = "off"
    mixes: tuple[Mix, ...] = MIXES
    exploration: float = Field(default=0.05, gt=0, le=1)
    width: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    regularization: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    memory: float = Field(default=5_000.0, gt=1, allow_inf_nan=False)
    alarm: float | None = Field(default=10_000.0, gt=1, allow_inf_nan=False)
    waiting: int = Field(default=20_000, ge=1)
    rewards: Mapping[str, float] = Field(default_factory=lambda: dict(REWARDS))

    @field_validator("rewards")
    @classmethod
    def _within_bounds(cls, rewards: Mapping[str, float]) -> Mapping[str, float]:
        for kind, worth in rewards.items():
            if not 0 <= worth <= 1:
                raise ValueError(f"a {kind} cannot be worth {worth}; rewards lie within 0 to 1")
        return rewards

    @field_validator("mixes")
    @classmethod
    def _no_name_twice(cls, mixes: tuple[Mix, ...]) -> tuple[Mix, ...]:
        names = [mix.name for mix in mixes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two mixes are called {twice[0]!r}; the log could not tell them apart")
        return mixes


@dataclass(frozen=True)
class Choice:
    """The mix of one list, and what led to it.

    Parameters
    ----------
    mix
        Its name.
    propensity
        Probability with which it was chosen, exact.
    context
        float64 (d,), see ``palate.ranking.context``.
    when
        Seconds since 1970 UTC.
    """

    mix: str
    propensity: float
    context: Float64Array
    when: float

    def written(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a log keeps of it: what is no secret, and the context, which tells of the asker."""
        mix = {"name": self.mix, "propensity": self.propensity, "when": self.when}
        return {"mix": mix}, {"mix_context": self.context.tolist()}

    @classmethod
    def read(cls, body: Mapping[str, Any], personal: Mapping[str, Any] | None) -> Choice | None:
        """The choice a row of a log tells of; None where there was none, or where its context was erased since."""
        mix, context = body.get("mix"), {**body, **(personal or {})}.get("mix_context")
        if mix is None or context is None:
            return None
        return cls(mix["name"], float(mix["propensity"]), np.array(context, dtype=np.float64), float(mix["when"]))


@dataclass(slots=True)
class _Waiting:
    """A list whose reactions are awaited; ``judged`` once its reward was held against what was believed."""

    arm: int
    context: Float64Array
    tick: int
    reward: float
    judged: bool = False


class Bandit:
    """Chooses among named arms, and learns from what became of its choices.

    A list counts as shown without reaction at once. A reaction that comes later leaves the state that would be had it
    come at once, and is joined to its list by the recommendation id.

    Parameters
    ----------
    arms
        Names of what is chosen among, at least one.
    dimensions
        Length d of a context.
    """

    def __init__(self, settings: BanditSettings, arms: Sequence[str], dimensions: int) -> None:
        self.settings, self.arms = settings, tuple(arms)
        self.posterior = Posterior.prior(len(self.arms), dimensions, settings.regularization, settings.memory)
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._watch = Watch.over(len(self.arms))
        # What the watch believes rests on judged lists alone: those still awaited would make every arm look worse.
        self._settled = self.posterior
        self._unjudged: deque[_Waiting] = deque()
        self._late = math.inf  # until the first reaction says how long one takes
        self._alarms = 0
        self._until = -math.inf
        self._saved_until = -math.inf

    def propensities(self, contexts: Float64Array) -> Float64Array:
        """Probability of every arm in each of n contexts, float64 (n, d); float64 (n, arms), rows sum to 1.

        LinUCB: ties share the first place. Thompson sampling: the probability that the arm's draw is the largest, by
        quadrature; the arm is then drawn by these very probabilities, which makes them exact whatever the quadrature's
        error. Either way every arm keeps its share of the exploration.
        """
        means, deviations = self.posterior.rewards(contexts)
        deviations = deviations * (self.settings.width or WIDTHS[self.settings.policy])
        if self.settings.policy == "thompson":
            shares = best_shares(means, deviations)
        else:
            hopes = means + deviations
            first = hopes >= hopes.max(axis=1, keepdims=True) - 1e-12
            shares = first / first.sum(axis=1, keepdims=True)
        explored = self.settings.exploration
        return np.asarray((1.0 - explored) * shares + explored / len(self.arms), dtype=np.float64)

    def choose(self, contexts: Float64Array, names: Sequence[str]) -> tuple[IntArray, Float64Array]:
        """The arms of n lists, drawn by their recommendation ids: the same state, context and id give the same arm.

        Returns
        -------
        int32 (n,), and float64 (n,), the probability with which each was chosen. Nothing is learnt from it yet.
        """
        shares = self.propensities(contexts)
        drawn = np.array([(id_hash(f"mix of {name}") >> 11) * 2.0**-53 for name in names])
        arms = np.minimum((np.cumsum(shares, axis=1) <= drawn[:, None]).sum(axis=1), len(self.arms) - 1)
        return arms.astype(np.int32), shares[np.arange(len(arms)), arms]

    def shown(self, name: str, choice: Choice) -> None:
        """A list was shown under this recommendation id; nobody has reacted so far."""
        if name in self._waiting or choice.mix not in self.arms:
            return
        arm, context = self.arms.index(choice.mix), np.asarray(choice.context, dtype=np.float64)
        self.posterior = self.posterior.seen(arm, context)
        self._waiting[name] = _Waiting(arm, context, self.posterior.tick, 0.0)
        self._unjudged.append(self._waiting[name])
        self._until = max(self._until, choice.when)
        self._look_back()
        while len(self._waiting) > self.settings.waiting:
            self._waiting.popitem(last=False)

    def recalled(self, name: str, choice: Choice) -> None:
        """A log says that a list was shown; what was known when this state was saved is not learnt twice."""
        if choice.when > self._saved_until and len(choice.context) == self.posterior.dimensions:
            self.shown(name, choice)

    def reacted(self, name: str, kind: str) -> bool:
        """Somebody reacted to a list by an event of this kind; returns whether anything was learnt from it."""
        return self.rewarded(name, self.settings.rewards.get(kind, 0.0))

    def rewarded(self, name: str, reward: float) -> bool:
        """A list earned a reward within 0..1; the best of several counts, so that telling it twice changes nothing."""
        waiting = self._waiting.get(name)
        if waiting is None or reward <= waiting.reward:
            return False
        self.posterior = self.posterior.earned(waiting.arm, waiting.context, reward - waiting.reward, waiting.tick)
        if not waiting.reward:
            self._late = _later(self._late, self.posterior.tick - waiting.tick)
        waiting.reward = reward
        return True

    def _look_back(self) -> None:
        """Hold lists whose reactions are in against what was believed before; forget where the world has changed."""
        if self.settings.alarm is None:
            self._unjudged.clear()
            return
        patience = min(2 * self._late, self.settings.waiting - 1)
        while self._unjudged and self._unjudged[0].tick + patience < self.posterior.tick:
            one = self._unjudged.popleft()
            mean, deviation = self._settled.believed(one.arm, one.context)
            self._watch = self._watch.judged(one.arm, mean - deviation, mean + deviation, one.reward)
            seen = self._settled.seen(one.arm, one.context)
            self._settled, one.judged = seen.earned(one.arm, one.context, one.reward, seen.tick), True
        if not self._watch.alarmed(self.settings.alarm):
            return
        self.posterior, self._settled = self.posterior.forgotten(), self._settled.forgotten()
        self._watch = Watch.over(len(self.arms))
        self._alarms += 1
        # What is still earned by lists from before tells of the world before.
        self._unjudged.clear()
        self._waiting.clear()

    def describe(self) -> dict[str, Any]:
        """Policy, arms, how many lists were learnt from, and how often the world was found changed."""
        policy, lists = self.settings.policy, self.posterior.tick
        return {"policy": policy, "mixes": list(self.arms), "lists": lists, "changes": self._alarms}

    def arrays(self) -> Arrays:
        """The state apart from names, see ``names``."""
        waiting = list(self._waiting.values())
        contexts = np.array([one.context for one in waiting]).reshape(len(waiting), self.posterior.dimensions)
        return {
            **self.posterior.arrays(),
            "until": np.array([self._until]),
            "waiting.arm": np.array([one.arm for one in waiting], dtype=np.int32),
            "waiting.context": contexts,
            "waiting.tick": np.array([one.tick for one in waiting], dtype=np.int64),
            "waiting.reward": np.array([one.reward for one in waiting], dtype=np.float64),
            "waiting.judged": np.array([one.judged for one in waiting], dtype=np.bool_),
            "watch": self._watch.capital,
            **{f"watch.{name}": values for name, values in self._settled.arrays().items()},
            "watch.late": np.array([self._late]),
            "watch.alarms": np.array([self._alarms], dtype=np.int64),
        }

    def names(self) -> dict[str, list[str]]:
        """Names of the arms and recommendation ids of the lists whose reactions are awaited, in the arrays' order."""
        return {"arms": list(self.arms), "waiting": list(self._waiting)}

    def restore(self, arrays: Arrays, names: Mapping[str, Sequence[str]]) -> Bandit:
        """Take a saved state and return self. Arms that were not there then begin anew, those gone are forgotten."""
        before, tick = list(names["arms"]), np.asarray(arrays["tick"])
        if arrays["response"].shape[1] != self.posterior.dimensions:  # another context: nothing can be carried over
            return self
        places = [before.index(arm) if arm in before else -1 for arm in self.arms]
        self.posterior = self.posterior.with_rows({**arrays, "tick": tick}, places)
        self._until = self._saved_until = float(arrays["until"][0])
        self._restore_watch(arrays, places)
        for name, arm, context, then, reward, judged in zip(
            names["waiting"],
            arrays["waiting.arm"].tolist(),
            np.asarray(arrays["waiting.context"]),
            arrays["waiting.tick"].tolist(),
            arrays["waiting.reward"].tolist(),
            arrays.get("waiting.judged", np.ones(len(names["waiting"]), dtype=np.bool_)).tolist(),
            strict=True,
        ):
            if before[arm] in self.arms:
                one = _Waiting(self.arms.index(before[arm]), context, then, reward, judged)
                self._waiting[name] = one
                if not judged:
                    self._unjudged.append(one)
        return self

    def _restore_watch(self, arrays: Arrays, places: Sequence[int]) -> None:
        """A state saved before there was a watch has none."""
        if "watch" not in arrays:
            return
        capital = self._watch.capital.copy()
        capital[-1] = arrays["watch"][-1]
        for arm, place in enumerate(places):
            if place >= 0:
                capital[arm] = arrays["watch"][place]
        self._watch = Watch(capital)
        settled = {name: np.asarray(arrays[f"watch.{name}"]) for name in self._settled.arrays()}
        self._settled = self._settled.with_rows(settled, places)
        self._late, self._alarms = float(arrays["watch.late"][0]), int(arrays["watch.alarms"][0])


def _later(late: float, delay: float) -> float:
    """The age in lists by which 19 of 20 reactions have come, moved a step by one that came at this age.

    A quantile by stochastic approximation (Robbins and Monro, 1951), in steps of a tenth.
    """
    if math.isinf(late):
        return delay
    return max((late + 1.0) * math.exp(0.1 * (0.95 if delay > late else -0.05)) - 1.0, 0.0)

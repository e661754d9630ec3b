"""Off-policy estimates, the bandit after a change, and uplift, against what is known to be true.

    python bench/off_policy.py --only estimates --replications 1000
    python bench/off_policy.py --only bandit --seeds 20
    python bench/off_policy.py ../shared/data --json out/off_policy.json

``estimates``: 10,000 rounds, 20 actions, a target policy far from the logging one, many times over; root mean squared
errors over the semi-parametric efficiency bound, and how often 95 % intervals hold the truth. ``bandit``: what LinUCB
earns of what can be earned after the best mix changed; it has recovered from the first round on which, with the 99 that
follow and over all seeds, it earns 98 %. ``open-bandit``: each of the two logged policies from the other's log.
``hillstrom``: arms, lifts, and the Qini measure of cross-fitted uplift scores. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from palate.core import Float64Array
from palate.core.artefact import write_text
from palate.data.open_bandit import open_bandit
from palate.experiments.logs import Logged
from palate.experiments.off_policy import METHODS, Method, OffPolicySettings, estimate, evenly, influence
from palate.experiments.reward_model import foretold
from palate.experiments.support import SupportSettings, in_words, weights_of
from palate.experiments.uplift import UpliftSettings, qini, uplift
from palate.measure import Interval, influence_interval
from palate.ranking.bandit import Bandit, BanditSettings, Choice

ROUNDS, ACTIONS, DIMENSIONS = 10_000, 20, 5


class Simulated:
    """Contexts are normal, rewards 0 or 1; logging and target policies are softmax over actions, with a floor.

    Parameters
    ----------
    bend
        How much of the log odds of a reward no linear model of the context can follow.
    rounds_each
        Rounds of one person, who is luckier or less than others throughout.
    """

    def __init__(self, bend: float = 0.0, rounds_each: int = 1) -> None:
        random = np.random.default_rng(0)
        self.bend, self.rounds_each = bend, rounds_each
        self.slopes = random.normal(size=(DIMENSIONS, ACTIONS)) * 0.5
        self.levels = random.normal(size=ACTIONS) * 0.5 - 1.0
        self.logging = random.normal(size=(DIMENSIONS, ACTIONS)) * 0.5
        self.target = random.normal(size=(DIMENSIONS, ACTIONS)) + self.slopes

    def drawn(self, random: np.random.Generator, n: int) -> tuple[Float64Array, ...]:
        """Contexts, expected rewards, logging and target probabilities."""
        x = random.normal(size=(n, DIMENSIONS))
        odds = x @ self.slopes + self.levels + self.bend * (x[:, :1] * x[:, 1:2] + np.sin(3 * x[:, 2:3]))
        if self.rounds_each > 1:
            luck = random.normal(size=-(-n // self.rounds_each))
            odds += np.repeat(luck, self.rounds_each)[:n, None]
        floor = 1 / ACTIONS
        logging, target = (
            0.9 * _softmax(x @ self.logging) + 0.1 * floor,
            0.95 * _softmax(x @ self.target) + 0.05 * floor,
        )
        return x, 1 / (1 + np.exp(-odds)), logging, target

    def truth(self) -> tuple[float, float]:
        """Value of the target policy, and the least standard error that an estimate without a model can have."""
        _, worth, logging, target = self.drawn(np.random.default_rng(99), 400_000)
        value = (target * worth).sum(axis=1)
        noise = (target**2 / logging * worth * (1 - worth)).sum(axis=1).mean()
        return float(value.mean()), float(np.sqrt((noise + value.var()) / ROUNDS))

    def log(self, seed: int) -> tuple[Logged, Float64Array]:
        random = np.random.default_rng(1_000 + seed)
        x, worth, logging, target = self.drawn(random, ROUNDS)
        arms = (np.cumsum(logging, axis=1) <= random.random(ROUNDS)[:, None]).sum(axis=1).clip(0, ACTIONS - 1)
        rows = np.arange(ROUNDS)
        rewards = (random.random(ROUNDS) < worth[rows, arms]).astype(np.float64)
        people = None if self.rounds_each == 1 else (rows // self.rounds_each).astype(np.int32)
        names = tuple(map(str, range(ACTIONS)))
        return Logged(x, arms.astype(np.int32), logging[rows, arms], rewards, names, people), target


def estimates(replications: int) -> dict[str, Any]:
    """Errors and coverage in three worlds; the bound holds for rounds that are independent."""
    worlds = {"linear": Simulated(), "bent": Simulated(bend=0.7), "people of 5 rounds": Simulated(rounds_each=5)}
    return {
        name: errors(world, max(replications // (1 + 2 * bool(at)), 1))
        for at, (name, world) in enumerate(worlds.items())
    }


def errors(world: Simulated, replications: int) -> dict[str, Any]:
    truth, bound = world.truth()
    found: dict[Method, list[Interval]] = {method: [] for method in METHODS}
    seconds = 0.0
    for seed in range(replications):
        log, target = world.log(seed)
        began = perf_counter()
        expected = foretold(log, weights_of(log, target)).rewards
        for method in METHODS:
            found[method].append(influence_interval(influence(log, target, method, expected), log.people))
        seconds += perf_counter() - began
    figures = {}
    for method, intervals in found.items():
        values = np.array([one.estimate for one in intervals])
        held = float(np.mean([one.low <= truth <= one.high for one in intervals]))
        spread = np.sqrt(np.mean((values - truth) ** 2))
        figures[method] = {
            "rmse_over_bound": round(float(spread / bound), 3),
            "bias_over_bound": round(float((values.mean() - truth) / bound), 3),
            # Of the direct method: what the reward model would say of its own scatter, its error left out.
            "coverage": round(held, 4),
        }
    return {
        "value": round(truth, 4),
        "bound": round(bound, 5),
        "replications": replications,
        "milliseconds": round(seconds / replications * 1e3, 1),
        "methods": figures,
    }


CHANGES: dict[str, tuple[list[float], list[float], bool]] = {
    "four sorts of people": ([0.6, 0.25, 0.2, 0.15], [0.2, 0.15, 0.6, 0.25], True),
    "everybody alike": ([0.6, 0.25, 0.2, 0.15], [0.2, 0.15, 0.6, 0.25], False),
    "a hidden mix rises": ([0.4, 0.3, 0.25, 0.2], [0.4, 0.6, 0.25, 0.2], False),
}
"""Mean rewards of four mixes before and after; with sorts, each likes the mixes in an order turned by one."""


def bandit(seeds: int) -> dict[str, Any]:
    ways: dict[str, dict[str, Any]] = {
        "watching": {"exploration": 0.02},
        "not watching": {"exploration": 0.02, "alarm": None},
        "all defaults": {},
    }
    return {
        name: {way: after_a_change(change, seeds, changed) for way, changed in ways.items()}
        for name, change in CHANGES.items()
    }


def after_a_change(
    change: tuple[list[float], list[float], bool], seeds: int, changed: dict[str, Any]
) -> dict[str, Any]:
    settings = BanditSettings(policy="linucb", **changed)
    first, lists = 3_000, 7_000
    before, after, sorted_people = change
    turns = range(4 if sorted_people else 1)
    worths = [np.array([np.roll(one, turn) for turn in turns]) for one in (before, after)]
    shares, alarms = np.empty((seeds, lists)), []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        sorts, luck = random.integers(len(turns), size=lists), random.random(lists)
        contexts = np.concatenate([np.ones((lists, 1)), np.eye(len(turns))[sorts]], axis=1)
        agent = Bandit(settings, [f"mix {arm}" for arm in range(4)], contexts.shape[1])
        for step in range(lists):
            worth, name = worths[step >= first][sorts[step]], f"{seed} {step}"
            (arm,), (share,) = agent.choose(contexts[step][None, :], [name])
            agent.shown(name, Choice(agent.arms[arm], float(share), contexts[step], float(step)))
            agent.rewarded(name, float(luck[step] < worth[arm]))
            shares[seed, step] = worth[arm] / worth.max()
        alarms.append(agent.describe()["changes"])
    mean = shares.mean(axis=0)[first:]
    window = np.convolve(mean, np.full(100, 0.01), "valid")
    good = np.flatnonzero(window >= 0.98)
    last = influence_interval(shares[:, first + 2_000 :].mean(axis=1))
    return {
        "share_before": round(float(shares[:, 1_500:first].mean()), 4),
        "share_of_the_first_500_after": round(float(mean[:500].mean()), 4),
        "share_of_the_first_2000_after": round(float(mean[:2_000].mean()), 4),
        "share_later": {name: round(float(getattr(last, name)), 4) for name in ("estimate", "low", "high")},
        "recovered_after": int(good[0]) if len(good) else None,
        "alarms_a_run": round(float(np.mean(alarms)), 2),
        "seeds": seeds,
    }


def open_bandits(folder: Path, replications: int) -> dict[str, Any]:
    """Each policy's clicks from the other's log. Thompson sampling's odds are its frequencies by item and position."""
    frames = {name: open_bandit(folder / "open-bandit", name) for name in ("random", "bts")}
    logs = {name: Logged.of_open_bandit(frame) for name, frame in frames.items()}
    place = {name: frame["position"].to_numpy() - 1 for name, frame in frames.items()}
    table = np.zeros((3, len(logs["bts"].names)))
    np.add.at(table, (place["bts"], logs["bts"].arms), 1.0)
    table /= table.sum(axis=1, keepdims=True)
    targets = {"bts": (logs["random"], table[place["random"]]), "random": (logs["bts"], evenly(logs["bts"]))}
    lenient, found = OffPolicySettings(support=SupportSettings(rewarded=0)), {}
    for name, (log, target) in targets.items():
        earned = influence_interval(logs[name].rewards)
        told = {method: estimate(log, target, method, settings=lenient).value for method in METHODS}
        judged = estimate(log, target)
        found[name] = {
            "on_policy": _rounded(earned),
            "from_the_other_log": {method: value and _rounded(value) for method, value in told.items()},
            "effective": round(judged.support.effective),
            "effective_clicks": round(judged.support.rewarded, 1),
            "refused": in_words(judged.refusals),
            "hold_the_on_policy_value": [
                name for name, one in told.items() if one and one.low <= earned.estimate <= one.high
            ],
        }
    found["coverage_with_so_few_clicks"] = rare(logs["random"], table[place["random"]], replications)
    return found


def rare(log: Logged, target: Float64Array, replications: int) -> dict[str, Any]:
    """How often intervals hold the truth where 10,000 impressions have 46 clicks: logs drawn anew from items' rates."""
    shown = np.bincount(log.arms, minlength=len(log.names))
    clicks = np.bincount(log.arms, weights=log.rewards, minlength=len(log.names))
    rates = (clicks + 40 * log.rewards.mean()) / (shown + 40)
    truth, random = float((target @ rates).mean()), np.random.default_rng(5)
    held = dict.fromkeys(("inverse-propensity", "self-normalised", "doubly-robust"), 0)
    for _ in range(replications):
        arms = random.integers(len(log.names), size=len(log)).astype(np.int32)
        rewards = (random.random(len(log)) < rates[arms]).astype(np.float64)
        drawn = Logged(np.ones((len(log), 1)), arms, log.propensities, rewards, log.names)
        expected = foretold(drawn, weights_of(drawn, target)).rewards
        for method in held:
            own = influence_interval(influence(drawn, target, method, expected))  # type: ignore[arg-type]
            held[method] += own.low <= truth <= own.high
    return {method: round(count / replications, 4) for method, count in held.items()}


def hillstrom(folder: Path, splits: int) -> dict[str, Any]:
    rows = pl.read_parquet(folder / "hillstrom" / "customers.parquet")
    visit, segment = rows["visit"].to_numpy().astype(np.float64), rows["segment"].to_numpy()
    codes = [pl.col(name).rank("dense") for name in ("zip_code", "channel")]
    features = rows.select("recency", "history", "mens", "womens", "newbie", *codes).to_numpy().astype(np.float32)
    none = segment == "No E-Mail"
    found: dict[str, Any] = {
        "visits": {str(arm): _rounded(influence_interval(visit[segment == arm])) for arm in np.unique(segment)}
    }
    for name in ("Womens E-Mail", "Mens E-Mail", "either"):
        chosen = np.ones(len(rows), dtype=bool) if name == "either" else (segment == name) | none
        treated, outcome = ~none[chosen], visit[chosen]
        found[name] = {"qini": {}}
        for learner in ("t", "x"):
            own = UpliftSettings(learner=learner)
            measures = []
            for seed in range(splits):
                scored = uplift(features[chosen], treated, outcome, settings=own, categorical=(5, 6), seed=seed)
                measures.append(qini(scored.score, treated, outcome, expected=scored.expected, fold=scored.fold))
            found[name]["lift"] = _rounded(measures[0].effect)
            found[name]["qini"][learner] = [_rounded(measure.coefficient, 5) for measure in measures]
            best = measures[0].gain[np.flatnonzero(np.isclose(measures[0].share, 0.3))[0]]
            found[name].setdefault("gain_of_the_best_30_%_over_30_%_at_random", {})[learner] = round(
                float(best / (0.3 * measures[0].gain[-1])), 2
            )
    return found


def _rounded(interval: Interval, digits: int = 5) -> list[float]:
    return [round(float(value), digits) for value in (interval.estimate, interval.low, interval.high)]


def _softmax(scores: Float64Array) -> Float64Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("../shared/data"), help="has open-bandit, hillstrom"
    )
    parser.add_argument("--only", action="append", choices=("estimates", "bandit", "open-bandit", "hillstrom"))
    parser.add_argument("--replications", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "estimates": lambda: estimates(given.replications),
        "bandit": lambda: bandit(given.seeds),
        "open-bandit": lambda: open_bandits(given.folder, given.replications),
        "hillstrom": lambda: hillstrom(given.folder, given.splits),
    }
    figures = {name: part() for name, part in parts.items() if not given.only or name in given.only}
    text = json.dumps(figures, indent=1)
    print(text)
    if given.json:
        write_text(given.json, text + "\n")


if __name__ == "__main__":
    main()

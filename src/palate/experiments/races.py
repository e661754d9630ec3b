"""Price policies raced in simulated markets, against whoever knows the truth and against the best fixed price."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from palate.core import BoolArray, Float64Array, IntArray, Settings
from palate.pricing.demand import DemandSettings, LogitDemand
from palate.pricing.policies import make_policy
from palate.pricing.settings import LEARNING, PolicySettings
from palate.pricing.terms import PriceAsks
from palate.simulation.market import Market, Visitors, make_market
from palate.simulation.market_settings import MarketSettings

Chooser = Callable[[Visitors, int], IntArray]
"""Columns (n,) of the market's ladder for n visitors of the step that begins with a round."""

Learner = Callable[[Visitors, Float64Array, BoolArray], None]
"""Hears which visitors decided, at what shares of the list price, and who bought."""

CLAIRVOYANT, INFORMED = "clairvoyant", "informed"
BEST_FIXED = "best fixed"


class RaceSettings(Settings):
    """How a race is run.

    Parameters
    ----------
    step
        Visitors between two looks at what was sold: a policy learns from them together.
    curve
        Points of the regret curve, evenly spaced in the log of rounds, from a hundredth of all rounds on.
    informed
        Race whoever is ``informed`` as well.
    """

    step: int = Field(default=10, ge=1)
    curve: int = Field(default=40, ge=3)
    informed: bool = False


@dataclass(frozen=True)
class Run:
    """One policy in one market.

    Parameters
    ----------
    revenue
        What the truth expects the prices asked to earn, in list prices a round.
    sold
        What they did earn, in list prices a round.
    margin
        The same as ``revenue`` less costs.
    units
        Expected purchases a round.
    satisfaction
        Mean over everybody who was asked a price, 0 to 1; see ``Market.satisfaction``.
    parity
        Fairness between groups: how far the mean prices of two segments that no feature names lie apart.
    dispersion
        Fairness between people: standard deviation of what they are asked, in list prices.
    above_list
        Share of those who are asked more than the list price.
    waited
        Share of visits put off.
    visits
        Visits a round; fewer where people stay away.
    gained
        float64 (T,), expected revenue up to each round, for regret.
    """

    revenue: float
    sold: float
    margin: float
    units: float
    satisfaction: float
    parity: float
    dispersion: float
    above_list: float
    waited: float
    visits: float
    gained: Float64Array

    def figures(self) -> dict[str, float]:
        """All but the curve."""
        return {name: value for name, value in vars(self).items() if name != "gained"}


def play(market: Market, choose: Chooser, learn: Learner, step: int) -> Run:
    """Play a whole market, ``step`` rounds at a time; people who put off a purchase teach nothing until they decide."""
    state, ladder, rounds = market.open(), market.ladder, len(market)
    gained = np.zeros(rounds)
    told: list[Float64Array] = []
    segments: list[IntArray] = []
    for start in range(0, rounds, step):
        visitors = market.visitors(state, start, min(start + step, rounds))
        if not len(visitors):
            continue
        relative = ladder[choose(visitors, start)]
        sales, state = market.sell(state, visitors, relative)
        decided = ~sales.waiting
        learn(visitors.only(decided), relative[decided], sales.bought[decided])
        np.add.at(gained, np.where(visitors.again, start, visitors.rows), sales.expected)
        cost = market.cost[visitors.rows] / market.list_price[visitors.rows]
        units = sales.expected / relative
        figures = (relative, sales.expected, relative * sales.bought, units * (relative - cost), units)
        told.append(np.stack([*figures, sales.satisfaction, sales.waiting], axis=1))
        segments.append(market.segment[visitors.rows])
    rows, group = np.concatenate(told), np.concatenate(segments)
    asked, sums = rows[:, 0], rows.sum(axis=0) / rounds
    means = [float(asked[group == one].mean()) if (group == one).any() else float(asked.mean()) for one in (0, 1)]
    return Run(
        revenue=float(sums[1]),
        sold=float(sums[2]),
        margin=float(sums[3]),
        units=float(sums[4]),
        satisfaction=float(rows[:, 5].mean()),
        parity=abs(means[0] - means[1]),
        dispersion=float(asked.std()),
        above_list=float((asked > 1.0 + 1e-9).mean()),
        waited=float(rows[:, 6].mean()),
        visits=len(rows) / rounds,
        gained=np.cumsum(gained),
    )


def clairvoyant(market: Market, step: int) -> Run:
    """Who knows the truth, and asks each visitor the price that earns most of that visit, whatever follows from it."""

    def choose(visitors: Visitors, start: int) -> IntArray:
        return np.asarray(_earned(market, visitors).argmax(axis=1), dtype=np.int32)

    return play(market, choose, _deaf, step)


def best_fixed(market: Market, step: int) -> tuple[Run, float]:
    """The one price that would earn most if nobody answered to prices, as a run and as a share of the list price."""
    everybody = market.visitors(market.open(), 0, len(market))
    best = int(_earned(market, everybody).mean(axis=0).argmax())
    run = play(market, lambda visitors, start: np.full(len(visitors), best, dtype=np.int32), _deaf, step)
    return run, float(market.ladder[best])


def policed(market: Market, policy: PolicySettings, demand: DemandSettings, seed: int, step: int) -> Run:
    """A policy that learns demand from nothing while it sells."""
    model = LogitDemand.prior(market.names, demand)

    def choose(visitors: Visitors, start: int) -> IntArray:
        return _proposed(market, visitors, policy, model, np.random.default_rng((seed, start)))

    def learn(visitors: Visitors, relative: Float64Array, bought: BoolArray) -> None:
        nonlocal model
        if policy.kind in LEARNING:
            model = model.learn(visitors.features, relative, bought.astype(np.float32))

    return play(market, choose, learn, step)


def informed(market: Market, demand: DemandSettings, seed: int, step: int) -> Run:
    """Who learns for nothing: asks what is believed best, and is told what an end of the band would have brought.

    Prices at the ends, drawn evenly, tell most of demand. A policy hears only of the prices it asks and earns by the
    same, so that nobody who starts with this belief can be expected to do better by much.
    """
    model, ladder = LogitDemand.prior(market.names, demand), market.ladder
    greedy = PolicySettings(kind="greedy", exploration=0.0)

    def choose(visitors: Visitors, start: int) -> IntArray:
        return _proposed(market, visitors, greedy, model, np.random.default_rng((seed, start)))

    def learn(visitors: Visitors, relative: Float64Array, bought: BoolArray) -> None:
        nonlocal model
        if not len(visitors):
            return
        rng = np.random.default_rng((seed, 7, int(visitors.rows[0])))
        at = np.where(rng.random(len(visitors)) < 0.5, ladder[0], ladder[-1])
        would = market.chance[visitors.rows, 0] < market.probability(visitors, at[:, None])[:, 0]
        model = model.learn(visitors.features, at, would.astype(np.float32))

    return play(market, choose, learn, step)


@dataclass(frozen=True)
class Race:
    """What a policy did over several seeds of one market.

    Parameters
    ----------
    name
        The policy's.
    share
        float64 (seeds,), of the clairvoyant's expected revenue.
    lift
        float64 (seeds,), expected revenue over the best fixed price's, less 1.
    happier
        float64 (seeds,), satisfaction less that under the best fixed price.
    slope
        Of the log of mean regret over the log of rounds, the last 99 % of them; None where it is not above 0 all along.
    rounds, regret
        The curve: rounds, and mean regret up to them in list prices.
    runs
        A run a seed.
    """

    name: str
    share: Float64Array
    lift: Float64Array
    happier: Float64Array
    slope: float | None
    rounds: Float64Array
    regret: Float64Array
    runs: tuple[Run, ...]

    def as_json(self) -> dict[str, Any]:
        """Means over seeds, the worst seed, and the curve."""
        low, high = (float(bound) for bound in np.percentile(self.share, [2.5, 97.5]))
        figures = [run.figures() for run in self.runs]
        return {
            "policy": self.name,
            "share_of_clairvoyant": float(self.share.mean()),
            "share_worst_seed": float(self.share.min()),
            "share_95_percent_of_seeds": [low, high],
            "revenue_over_best_fixed": float(self.lift.mean()),
            "satisfaction_over_best_fixed": float(self.happier.mean()),
            "regret_slope": self.slope,
            "regret": {"rounds": self.rounds.tolist(), "mean": self.regret.tolist()},
            "seeds": len(self.runs),
            **{name: float(np.mean([one[name] for one in figures])) for name in figures[0]},
        }


def race(
    settings: MarketSettings,
    policies: Mapping[str, PolicySettings],
    *,
    seeds: Sequence[int],
    demand: DemandSettings | None = None,
    race_settings: RaceSettings | None = None,
    progress: Callable[[str, float], None] = lambda step, fraction: None,
) -> list[Race]:
    """Race policies in the markets of these seeds; everybody meets the same visitors in the same mood.

    Returns
    -------
    The clairvoyant and the best fixed price first, whoever is informed if asked for, then the policies in their order.
    """
    demand, how = demand or DemandSettings(), race_settings or RaceSettings()
    references = (CLAIRVOYANT, BEST_FIXED, *((INFORMED,) if how.informed else ()))
    runs: dict[str, list[Run]] = {name: [] for name in (*references, *policies)}
    for done, seed in enumerate(seeds):
        market = make_market(settings, seed)
        # Where nobody answers to prices, steps make no difference to who learns nothing.
        step = how.step if settings.answers else len(market)
        runs[CLAIRVOYANT].append(clairvoyant(market, step))
        runs[BEST_FIXED].append(best_fixed(market, step)[0])
        if how.informed:
            runs[INFORMED].append(informed(market, demand, seed, how.step))
        for place, (name, policy) in enumerate(policies.items()):
            progress("race", (done + place / len(policies)) / len(seeds))
            runs[name].append(policed(market, policy, demand, seed, how.step))
    progress("race", 1.0)
    best, plain = runs[CLAIRVOYANT], runs[BEST_FIXED]
    return [_told(name, own, best, plain, how.curve) for name, own in runs.items()]


def _proposed(
    market: Market, visitors: Visitors, policy: PolicySettings, model: LogitDemand, generator: np.random.Generator
) -> IntArray:
    """Columns (n,) of the market's ladder that a policy takes by what it believes."""
    rows, personal = visitors.rows, tuple(name.startswith("x") for name in market.names)
    list_price, cost = market.list_price[rows], market.cost[rows]
    asks = PriceAsks(market.items[rows], list_price, cost, visitors.features, market.names, personal)
    return make_policy(policy, model).propose(asks, list_price[:, None] * market.ladder, generator).chosen


def _told(name: str, runs: Sequence[Run], best: Sequence[Run], plain: Sequence[Run], points: int) -> Race:
    rounds = len(best[0].gained)
    at = np.unique(np.geomspace(max(rounds // 100, 1), rounds, points).astype(np.int64))
    regret = np.mean([top.gained[at - 1] - own.gained[at - 1] for own, top in zip(runs, best, strict=True)], axis=0)
    slope = float(np.polyfit(np.log(at), np.log(regret), 1)[0]) if len(at) > 1 and (regret > 0).all() else None
    revenue = np.array(
        [(own.revenue, top.revenue, flat.revenue) for own, top, flat in zip(runs, best, plain, strict=True)]
    )
    content = np.array([own.satisfaction - flat.satisfaction for own, flat in zip(runs, plain, strict=True)])
    share, lift = revenue[:, 0] / revenue[:, 1], revenue[:, 0] / revenue[:, 2] - 1.0
    return Race(name, share, lift, content, slope, at.astype(np.float64), regret, tuple(runs))


def _earned(market: Market, visitors: Visitors) -> Float64Array:
    """True revenue (n, m) at each price of the ladder, in list prices."""
    return market.probability(visitors, np.tile(market.ladder, (len(visitors), 1))) * market.ladder


def _deaf(visitors: Visitors, relative: Float64Array, bought: BoolArray) -> None:
    """Who does not learn."""

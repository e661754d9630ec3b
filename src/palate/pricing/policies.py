"""Price policies: each turns asks and a ladder of prices into shares of the ladder, and draws by exactly these.

Thompson sampling (1933; for demand: Ferreira, Simchi-Levi and Wang, 2018), upper confidence (Filippi et al., 2010), and
the plain rules that they have to beat. What is not known (list price, cost where it matters, score) is priced as near
the list price as the ladder allows. The list price itself is the guard-rails' last word, not a policy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from palate.core import BoolArray, Float64Array, UsageError
from palate.pricing.objectives import worth
from palate.pricing.settings import PolicySettings
from palate.pricing.terms import Demand, PriceAsks, PricingPolicy, Proposals

_CELLS = 1_000_000
"""Draws x prices of asks that are looked at together."""

Shares = Callable[[PriceAsks, Float64Array, np.random.Generator], Float64Array]


def make_policy(settings: PolicySettings, demand: Demand | None = None) -> PricingPolicy:
    """The policy of these settings.

    Raises
    ------
    UsageError
        It goes by demand, and there is none.
    """
    plain: dict[str, Callable[[PriceAsks, PolicySettings], Float64Array]] = {
        "fixed": fixed_target,
        "rule": rule_target,
        "cost_plus": cost_plus_target,
        "score": score_target,
    }
    if settings.kind in plain:
        return TargetPolicy(settings, plain[settings.kind])
    if demand is None:
        raise UsageError(f"the policy {settings.kind} goes by demand; fit a demand model first, or choose fixed.")
    return DemandPolicy(settings, demand)


@dataclass(frozen=True)
class TargetPolicy:
    """Asks the price of the ladder that lies nearest to what a rule wants.

    Parameters
    ----------
    target
        Wanted prices (n,) of n asks; NaN where the rule cannot say.
    """

    settings: PolicySettings
    target: Callable[[PriceAsks, PolicySettings], Float64Array]

    @property
    def name(self) -> str:
        return self.settings.kind

    def propose(self, asks: PriceAsks, ladder: Float64Array, generator: np.random.Generator) -> Proposals:
        """See ``PricingPolicy``."""
        wanted = self.target(asks, self.settings)
        wanted = np.where(np.isfinite(wanted), wanted, asks.list_price)
        return drawn(nearest(ladder, wanted), ladder, np.isfinite(wanted), 0.0, generator)


@dataclass(frozen=True)
class DemandPolicy:
    """Asks the price that is worth most by what is believed of demand: surely, by a draw, or by hope."""

    settings: PolicySettings
    demand: Demand

    @property
    def name(self) -> str:
        return self.settings.kind

    def propose(self, asks: PriceAsks, ladder: Float64Array, generator: np.random.Generator) -> Proposals:
        """See ``PricingPolicy``."""
        known = np.isfinite(asks.list_price) & (asks.list_price > 0)
        if self.settings.objective.margin:
            known = known & np.isfinite(asks.cost)
        relative = ladder / np.where(known, asks.list_price, np.nan)[:, None]
        shares = nearest(ladder, asks.list_price)
        rows = np.nonzero(known & np.isfinite(relative).any(axis=1))[0]
        size = max(1, _CELLS // max(1, ladder.shape[1] * (self.settings.draws if self.name == "thompson" else 1)))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            shares[part] = self._shares(asks, relative[part], part, generator)
        ends = self.settings.ends_after(self.demand.rows)
        return drawn(shares, ladder, known, self.settings.exploration, generator, ends=ends)

    def _shares(
        self, asks: PriceAsks, relative: Float64Array, rows: np.ndarray, generator: np.random.Generator
    ) -> Float64Array:
        features, cost = asks.features[rows], asks.cost[rows] / asks.list_price[rows]
        at = np.where(np.isfinite(relative), relative, 1.0)
        if self.name == "greedy":
            return self._best(self.demand.probability(features, at), relative, cost)
        if self.name == "ucb":
            return self._best(self.demand.upper(features, at, self.settings.reach), relative, cost)
        draws = self.settings.draws
        model = self.demand.draw(generator, len(rows) * draws, self.settings.reach)
        hoped = model.probability(np.repeat(features, draws, axis=0), np.repeat(at, draws, axis=0))
        best = self._best(hoped, np.repeat(relative, draws, axis=0), np.repeat(cost, draws))
        return np.asarray(best.reshape(len(rows), draws, -1).mean(axis=1))

    def _best(self, probability: Float64Array, relative: Float64Array, cost: Float64Array) -> Float64Array:
        value = worth(self.settings.objective, probability, relative, cost)
        first = np.argmax(np.where(np.isnan(value), -np.inf, value), axis=1)
        return np.asarray(np.arange(relative.shape[1]) == first[:, None], dtype=np.float64)


def drawn(
    shares: Float64Array,
    ladder: Float64Array,
    known: BoolArray,
    exploration: float,
    generator: np.random.Generator,
    *,
    ends: float = 0.0,
) -> Proposals:
    """Prices drawn by shares (n, m), with exploration spread evenly over the ladder wherever an ask is known.

    A share ``ends`` of what is not explored goes to the lowest and the highest price, half each.

    A price that is taken surely has the propensity 1. An ask whose ladder is empty gets column 0, a NaN.
    """
    there = np.isfinite(ladder)
    count = there.sum(axis=1, keepdims=True)
    explored = np.where(known & (count[:, 0] > 0), exploration, 0.0)[:, None]
    if ends:
        edge = np.where(known & (count[:, 0] > 0), ends, 0.0)[:, None]
        column = np.arange(ladder.shape[1])
        outer = 0.5 * ((column == 0).astype(np.float64) + (column == np.maximum(count - 1, 0)))
        shares = (1.0 - edge) * shares + edge * outer
    mixed = (1.0 - explored) * shares + explored * there / np.maximum(count, 1)
    below = np.cumsum(mixed, axis=1)
    # Of a sum that falls short of 1 by its last bits the last price that has a share takes the rest.
    last = ladder.shape[1] - 1 - np.argmax(mixed[:, ::-1] > 0, axis=1)
    chosen = np.minimum((below <= generator.random(len(ladder))[:, None]).sum(axis=1), last)
    propensity = mixed[np.arange(len(ladder)), chosen]
    propensity = np.where(count[:, 0] > 0, np.minimum(propensity, 1.0), 1.0)
    return Proposals(ladder, chosen.astype(np.int32), propensity)


def nearest(ladder: Float64Array, wanted: Float64Array) -> Float64Array:
    """All on the price of the ladder (n, m) nearest to the wanted one (n,), the lower of two; without one, the lowest.

    Where nothing is wanted (NaN) the first column is taken.
    """
    away = np.abs(ladder - wanted[:, None])
    first = np.argmin(np.where(np.isnan(away), np.inf, away), axis=1)
    return np.asarray(np.arange(ladder.shape[1]) == first[:, None], dtype=np.float64)


def fixed_target(asks: PriceAsks, settings: PolicySettings) -> Float64Array:
    """The list price times the factor."""
    return asks.list_price * settings.factor


def rule_target(asks: PriceAsks, settings: PolicySettings) -> Float64Array:
    """The list price times the factor of the first rule that fits; a feature that is not known fits no rule."""
    factor = np.full(len(asks), settings.factor)
    for rule in reversed(settings.rules):
        values = column(asks, rule.feature).astype(np.float64)
        low = -np.inf if rule.least is None else rule.least
        high = np.inf if rule.most is None else rule.most
        factor = np.where((values >= low) & (values <= high), rule.factor, factor)
    return np.asarray(asks.list_price * factor)


def cost_plus_target(asks: PriceAsks, settings: PolicySettings) -> Float64Array:
    """Cost and a share of it."""
    return asks.cost * (1.0 + settings.markup)


def score_target(asks: PriceAsks, settings: PolicySettings) -> Float64Array:
    """List x (1 + kappa (2 percentile(score) - 1)): the baseline rule, which asks most of those who like it most."""
    score = column(asks, settings.score).astype(np.float64)
    quantiles = np.asarray(settings.quantiles)
    percentile = np.interp(score, quantiles, np.linspace(0.0, 1.0, len(quantiles)))
    percentile = np.where(np.isfinite(score), percentile, np.nan)
    return asks.list_price * (1.0 + settings.kappa * (2.0 * percentile - 1.0))


def column(asks: PriceAsks, name: str) -> np.ndarray:
    """A column of the features.

    Raises
    ------
    UsageError
        There is none of this name.
    """
    if name not in asks.names:
        raise UsageError(f"prices cannot go by {name!r}: features are {', '.join(asks.names) or 'none at all'}.")
    return asks.features[:, asks.names.index(name)]

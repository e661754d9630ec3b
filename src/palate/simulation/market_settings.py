"""What kind of shop a simulated market is, and a few that are fixed once and for all."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from palate.core import Settings


class MarketSettings(Settings):
    """A market; logits are those of a purchase, prices are shares of the list price.

    The list price is right for the crowd: the average price effect is such that the crowd's own-price elasticity there
    is -1, so that nothing is earned by moving all prices, only by knowing who is who. With another average most prices
    would lie at an end of the band, which is easily learnt.

    Parameters
    ----------
    rounds
        Visits.
    features
        Facts about a visit that demand depends on; standard normal.
    band, prices
        Prices from 1 - band to 1 + band, in so many even steps; odd, so that the list price is among them.
    rate
        Purchase probability of the average visitor at the list price.
    taste
        Standard deviation of the logit at the list price between visitors.
    heterogeneity
        Standard deviation of the price effect between visitors, as a share of its mean.
    misfit
        0: demand is a logit, linear in features and price. 1: interactions and bends in both, people of two kinds that
        nothing tells apart, and a price above the list price that counts half as much again.
    drift
        How far tastes walk from where they began, as a share of what they are.
    season, years
        Swing of the logit over a year, and of the price effect relative to ``heterogeneity``; years in all rounds.
    rivals, rivalry
        Other shops, who follow and undercut; logits that a rival's price counts, per list price.
    strategic, patience, delay
        Share of visitors who wait for a lower price; what a later gain is worth of a present one; rounds they wait.
    customers, attachment
        People who come again and again, 0 for ever new ones; how much rarer they come per unit of lost satisfaction.
    """

    rounds: int = Field(default=20_000, ge=10, le=1_000_000)
    features: int = Field(default=10, ge=5, le=200)
    band: float = Field(default=0.2, gt=0, lt=0.9)
    prices: int = Field(default=17, ge=3, le=201, multiple_of=1)
    rate: float = Field(default=0.3, gt=0, lt=1)
    taste: float = Field(default=1.0, ge=0, le=5)
    heterogeneity: float = Field(default=0.35, ge=0, le=5)
    misfit: float = Field(default=0.0, ge=0, le=2)
    drift: float = Field(default=0.0, ge=0, le=5)
    season: float = Field(default=0.0, ge=0, le=3)
    years: float = Field(default=3.0, gt=0, le=100)
    rivals: int = Field(default=0, ge=0, le=20)
    rivalry: float = Field(default=2.0, ge=0, le=20)
    strategic: float = Field(default=0.0, ge=0, le=1)
    patience: float = Field(default=0.9, ge=0, le=1)
    delay: int = Field(default=200, ge=1)
    customers: int = Field(default=0, ge=0, le=1_000_000)
    attachment: float = Field(default=3.0, ge=0, le=100)

    @property
    def answers(self) -> bool:
        """Whether anything that happens later depends on the prices asked."""
        return bool(self.rivals or self.strategic or self.customers)

    @property
    def rate_logit(self) -> float:
        return math.log(self.rate / (1.0 - self.rate))

    @property
    def effect(self) -> float:
        """Average price effect, logits per list price: -E[P] / E[P (1 - P)], by Gauss-Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(64)
        chance = 1.0 / (1.0 + np.exp(-(self.rate_logit + self.taste * nodes)))
        return float(-(weights @ chance) / (weights @ (chance * (1.0 - chance))))


MARKETS: Mapping[str, MarketSettings] = {
    "plain": MarketSettings(heterogeneity=0.0),
    "varied": MarketSettings(),
    "diverse": MarketSettings(heterogeneity=0.58),
    "shifting": MarketSettings(misfit=1.0, drift=0.5, season=0.5),
    "rivals": MarketSettings(rivals=3),
    "strategic": MarketSettings(strategic=0.3),
    "unhappy": MarketSettings(customers=2_000),
}
"""Markets by name. None was changed to suit a policy.

``plain`` is the setting of most studies (Javanmard and Nazerzadeh, 2019): worth is linear in what is known of a visit,
and its price matters alike to everybody. In ``varied`` it does not: 19 of 20 price effects lie between .3 and 1.7 times
their mean. Within so narrow a band prices then tell so little that 20,000 visits hardly suffice to know who is who.
``diverse`` has the heterogeneity at which the clairvoyant earns 1.08 times what the best fixed price does (mean over
seeds 100 to 199). ``shifting`` is all that a logit gets wrong at once. In the other three somebody answers to prices:
shops that follow and undercut, customers who wait, customers who stay away.
"""

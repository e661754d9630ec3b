"""Sales whose prices moved for the same reasons as demand, with the elasticities that are really behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from pydantic import Field

from palate.core import BoolArray, Float64Array, IntArray, Settings

YEAR = 52
"""Weeks."""


class SalesSettings(Settings):
    """Size of the shop, and how strongly what moves its prices also moves its demand.

    Parameters
    ----------
    items, weeks, categories
        How many.
    elasticity
        Mean own-price elasticity, in logs of quantity for a log of price.
    spread
        Standard deviation of the elasticities of categories.
    item_spread
        Standard deviation of the elasticities of items about their category's.
    confounding
        How much of the seasons, promotions and fashions that move demand the merchant prices in; 0: none.
    price_noise
        Standard deviation of price moves that nothing but the merchant's whim explains, in logs.
    hold
        Chance that a week keeps last week's whim: prices stand for a while.
    demand_noise
        Standard deviation of what moves weekly demand and nobody records, in logs.
    memory
        How much of it lasts until the next week: rows of one item are not independent.
    volume
        Mean weekly units of a usual item at its usual price; under about 20 many weeks sell nothing.
    counts
        Whether units are whole numbers, drawn by Poisson's law; else demand is log-normal and never 0.
    still
        Share of items whose price never moves.
    """

    items: int = Field(default=60, ge=2, le=20_000)
    weeks: int = Field(default=104, ge=8, le=1_000)
    categories: int = Field(default=6, ge=1, le=500)
    elasticity: float = -1.8
    spread: float = Field(default=0.0, ge=0)
    item_spread: float = Field(default=0.0, ge=0)
    confounding: float = Field(default=1.0, ge=0)
    price_noise: float = Field(default=0.08, ge=0)
    hold: float = Field(default=0.7, ge=0, lt=1)
    demand_noise: float = Field(default=0.35, ge=0)
    memory: float = Field(default=0.4, ge=0, lt=1)
    volume: float = Field(default=200.0, gt=0)
    counts: bool = False
    still: float = Field(default=0.0, ge=0, le=1)


@dataclass(frozen=True)
class SimulatedSales:
    """A shop's sales history, and what is behind it.

    Parameters
    ----------
    frame
        One row an item and week: ``item_id``, ``category``, ``period`` (int32), ``price``, ``quantity``,
        ``promotion`` (0 or 1). Nothing unrecorded stands in it.
    items
        Names of the items, in the order of the arrays.
    elasticity
        float64 (items,), the truth of each.
    of_category
        float64 (categories,), the truth of each category, ``c000`` first.
    category
        int32 (items,), the category of each.
    still
        bool (items,), whether the price of each never moves.
    """

    frame: pl.DataFrame
    items: tuple[str, ...]
    elasticity: Float64Array
    of_category: Float64Array
    category: IntArray
    still: BoolArray


def simulate_sales(settings: SalesSettings | None = None, seed: int = 0) -> SimulatedSales:
    """The sales of a seed. The same settings and seed give the same sales.

    Demand is log q = a(item) + elasticity log p + g(season of the category, promotion, trend) + e; the price is
    log p = b(item) + m(the same) + v. Both g and m bend and interact, a and b go together (what is better is dearer and
    sells more), and e lasts from week to week. Regressions of log q on log p are off by what g and m share; item
    effects and straight controls take a part of it away.
    """
    settings = settings or SalesSettings()
    rng = np.random.default_rng([seed, 0x5A1E5])
    n, weeks, groups = settings.items, settings.weeks, settings.categories
    group = np.arange(n, dtype=np.int32) % groups
    of_category = settings.elasticity + settings.spread * rng.standard_normal(groups)
    elasticity = of_category[group] + settings.item_spread * rng.standard_normal(n)
    still = rng.random(n) < settings.still

    week = np.arange(weeks)
    phase = rng.uniform(0, YEAR, groups)
    angle = 2 * np.pi * (week[None, :] - phase[:, None]) / YEAR
    season = np.exp(1.2 * (np.cos(angle) - 1.0))[group]  # a short high season and a long low one
    trend = (week / YEAR)[None, :]
    high = season > 0.5
    promoted = rng.random((n, weeks)) < np.where(high, 0.05, 0.22)

    quality = rng.standard_normal((n, 1))
    shared = settings.confounding
    whim = _held(rng, n, weeks, settings.hold) * settings.price_noise
    policy = shared * (0.45 * season - promoted * (0.12 + 0.18 * ~high) + 0.06 * trend * season)
    log_price = 2.0 + 0.5 * quality + np.where(still[:, None], 0.0, policy + whim)

    unseen = _lasting(rng, n, weeks, settings.memory) * settings.demand_noise
    wanted = 1.5 * season + promoted * (0.5 + 0.4 * ~high) + 0.25 * np.sqrt(trend) + 0.2 * trend * season
    usual = log_price.mean(axis=1, keepdims=True)
    level = np.log(settings.volume) + 0.8 * quality
    log_demand = (
        level + elasticity[:, None] * (log_price - usual) + wanted - wanted.mean(axis=1, keepdims=True) + unseen
    )
    # What nobody records scatters demand about its mean; the mean is what the level promises.
    expected = np.exp(log_demand - settings.demand_noise**2 / 2)
    quantity = rng.poisson(expected).astype(np.float64) if settings.counts else expected

    names = tuple(f"i{position:04d}" for position in range(n))
    frame = pl.DataFrame(
        {
            "item_id": np.repeat(names, weeks),
            "category": np.repeat([f"c{position:03d}" for position in group], weeks),
            "period": np.tile(week.astype(np.int32), n),
            "price": np.exp(log_price).ravel(),
            "quantity": quantity.ravel(),
            "promotion": promoted.astype(np.float64).ravel(),
        }
    )
    return SimulatedSales(frame, names, elasticity, of_category, group, still)


def _held(rng: np.random.Generator, n: int, weeks: int, hold: float) -> Float64Array:
    """Standard normal draws (n, weeks), each kept for a while."""
    drawn = rng.standard_normal((n, weeks))
    new = rng.random((n, weeks)) >= hold
    new[:, 0] = True
    latest = np.maximum.accumulate(np.where(new, np.arange(weeks), 0), axis=1)
    return np.take_along_axis(drawn, latest, axis=1)


def _lasting(rng: np.random.Generator, n: int, weeks: int, memory: float) -> Float64Array:
    """Autoregressions of order 1 with variance 1; float64 (n, weeks)."""
    shocks = rng.standard_normal((n, weeks)) * np.sqrt(1 - memory**2)
    shocks[:, 0] /= np.sqrt(1 - memory**2)
    path: Float64Array = np.empty_like(shocks)
    path[:, 0] = shocks[:, 0]
    for step in range(1, weeks):
        path[:, step] = memory * path[:, step - 1] + shocks[:, step]
    return np.asarray(path)

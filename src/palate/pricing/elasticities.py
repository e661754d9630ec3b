"""What is known of elasticities: the value that policies, pages and the terminal read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from palate.core import BoolArray, Float64Array, Ids, IntArray
from palate.core.numbers import known
from palate.data.tables import Note

ESTIMATED = "estimated"

_NEW = "\0"
"""An id that no item has."""

Source = Literal["item", "category", "shop", "none"]
SOURCES: tuple[Source, ...] = ("item", "category", "shop", "none")
"""Where the elasticity of an item was taken from, by position."""


@dataclass(frozen=True)
class Estimates:
    """Elasticities of n things of one level: the shop, categories, items.

    Parameters
    ----------
    names
        Of the things.
    estimate, low, high
        float64 (n,), partially pooled; NaN where nothing is claimed.
    alone, alone_low, alone_high
        float64 (n,), from the thing's own sales alone.
    own
        float64 (n,), how much of ``estimate`` is own evidence, 0 to 1.
    moved
        float64 (n,), standard deviation of price moves that nothing else foretold, in logs.
    rows, clusters
        int32 (n,), periods, and how many parts of them err by themselves.
    reason
        ``estimated``, or why nothing is claimed: ``never_moved``, ``few_rows``, ``foretold`` (prices moved only as
        season and promotions foretell), ``few_moves`` (too few moves apart from each other to know an error).
    centre, spread
        What the estimates are drawn to, and how the truths scatter about it.
    """

    names: tuple[str, ...]
    estimate: Float64Array
    low: Float64Array
    high: Float64Array
    alone: Float64Array
    alone_low: Float64Array
    alone_high: Float64Array
    own: Float64Array
    moved: Float64Array
    rows: IntArray
    clusters: IntArray
    reason: tuple[str, ...]
    centre: float
    spread: float

    def __len__(self) -> int:
        return len(self.names)

    @property
    def known(self) -> BoolArray:
        """Of which something is claimed; bool (n,)."""
        return np.isfinite(self.estimate)

    def of(self, row: int) -> dict[str, Any]:
        """One of them as JSON values."""
        return {
            "name": self.names[row],
            "elasticity": known(self.estimate[row], 4),
            "low": known(self.low[row], 4),
            "high": known(self.high[row], 4),
            "alone": {
                "elasticity": known(self.alone[row], 4),
                "low": known(self.alone_low[row], 4),
                "high": known(self.alone_high[row], 4),
            },
            "own_evidence": known(self.own[row], 4),
            "price_moves": known(self.moved[row], 4),
            "periods": int(self.rows[row]),
            "clusters": int(self.clusters[row]),
            "reason": self.reason[row],
        }


@dataclass(frozen=True)
class Lately:
    """What n items cost and sold last, where anything else is foreseen from.

    Parameters
    ----------
    days
        Days of a period; 0 where the history has no periods.
    counted
        ``units`` or ``orders``.
    price, sales
        float64 (n,): the median price of the newest periods, and mean sales a period; NaN where nothing was on sale.
    """

    days: int
    counted: str
    price: Float64Array
    sales: Float64Array


@dataclass(frozen=True)
class Elasticities:
    """What was learnt from one sales history.

    Parameters
    ----------
    level
        Of all intervals.
    response
        ``log`` or ``counts``.
    overall
        One estimate: the mean over rows, those whose prices moved most counting most.
    categories, items
        Partially pooled: categories towards their centre, items towards their category.
    category
        int32 (len(items),), positions in ``categories``.
    foretold
        Share of price moves that season, promotions and the like foretold.
    lately
        Of the items.
    notes
        What was left out, and what makes the estimates doubtful.
    """

    level: float
    response: Literal["log", "counts"]
    overall: Estimates
    categories: Estimates
    items: Estimates
    category: IntArray
    foretold: float
    lately: Lately
    notes: tuple[Note, ...] = field(default=())

    def of_items(self, ids: Ids) -> tuple[Float64Array, Float64Array, Float64Array, IntArray]:
        """Elasticities of a catalogue's items: their own, else what their category's items are like, else the shop's.

        What is borrowed has the interval of a new item of its kind, which is wider than the kind's own.

        Returns
        -------
        float64 (n,) three times: estimate, low and high, NaN where nothing is known; int32 (n,), positions in
        ``SOURCES``.
        """
        rows = Ids(self.items.names, "item").positions(list(ids.names))
        there = rows >= 0
        own = np.full((3, len(rows)), np.nan)
        source = np.full(len(rows), SOURCES.index("none"), dtype=np.int32)
        spreads = np.nan_to_num([self.items.spread, self.categories.spread], nan=0.0)
        z = 1.96
        shop = self._borrowed(self.overall, 0, float(np.hypot(*spreads)), z)
        own[:, :] = np.asarray(shop)[:, None]
        source[np.isfinite(own[0])] = SOURCES.index("shop")
        group = np.where(there, self.category[np.maximum(rows, 0)], 0)
        for position in np.flatnonzero(self.categories.known):
            inside = there & (group == position)
            own[:, inside] = np.asarray(self._borrowed(self.categories, int(position), float(spreads[0]), z))[:, None]
            source[inside] = SOURCES.index("category")
        direct = there & self.items.known[np.maximum(rows, 0)]
        told = np.stack([self.items.estimate, self.items.low, self.items.high])
        own[:, direct] = told[:, rows[direct]]
        source[direct] = SOURCES.index("item")
        return own[0], own[1], own[2], source

    @staticmethod
    def _borrowed(estimates: Estimates, row: int, spread: float, z: float) -> tuple[float, float, float]:
        """Of a new member: the interval of the kind, widened by how its members scatter."""
        middle = float(estimates.estimate[row])
        half = float(np.hypot((estimates.high[row] - estimates.low[row]) / 2, z * spread))
        return middle, middle - half, middle + half

    def as_json(self) -> dict[str, Any]:
        """All of it but the notes, as JSON values: ``palate.pricing.measured`` reads them."""
        told = self.of_items(Ids([*self.items.names, _NEW], "item"))
        used = [
            {
                **dict(zip(("elasticity", "low", "high"), (known(each, 4) for each in own), strict=True)),
                "from": SOURCES[source],
            }
            for *own, source in zip(*told, strict=True)
        ]
        lately = self.lately
        return {
            "days": lately.days,
            "counted": lately.counted,
            "of_new_items": used[-1],
            "level": self.level,
            "response": self.response,
            "foretold": known(self.foretold, 4),
            "overall": self.overall.of(0) | {"name": "all"},
            "categories": [self.categories.of(row) for row in range(len(self.categories))],
            "items": [
                self.items.of(row)
                | {"category": self.categories.names[self.category[row]], "used": used[row]}
                | {"price": known(lately.price[row], 4), "sales": known(lately.sales[row], 4)}
                for row in range(len(self.items))
            ],
        }


def sales_at(
    level: Float64Array,
    relative: Float64Array,
    elasticity: tuple[Float64Array, Float64Array, Float64Array],
    *,
    reach: float = 0.35,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Expected sales at other prices, from what a forecast expects at today's.

    Parameters
    ----------
    level
        float64 (n,), expected sales at today's price, as ``Forecast.demand`` gives them.
    relative
        float64 (n, m), prices as shares of today's.
    elasticity
        Estimate, low and high, float64 (n,) each; NaN: sales are unknown at any other price than today's.
    reach
        How far from today's price, in logs, elasticities are believed; beyond it the answer is NaN.

    Returns
    -------
    float64 (n, m) three times: expected, low and high.
    """
    step = np.log(relative)
    level, step = np.asarray(level, np.float64)[:, None], np.where(np.abs(step) <= reach, step, np.nan)
    estimate, low, high = (np.asarray(value, np.float64)[:, None] for value in elasticity)
    told = [np.where(step == 0, level, level * np.exp(value * step)) for value in (estimate, low, high)]
    return told[0], np.minimum(told[1], told[2]), np.maximum(told[1], told[2])

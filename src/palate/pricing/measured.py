"""Elasticities measured before, read from what ``palate elasticity --json FILE`` wrote, and what they foresee."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from palate.core import DataError, Float64Array
from palate.pricing.elasticities import sales_at

_REACH = 0.35
"""How far from today's price, in logs, elasticities are believed."""
_RUNGS = 29


@dataclass(frozen=True)
class Measured:
    """What a sales history said of elasticities.

    Parameters
    ----------
    level
        Of all intervals.
    days, counted
        Days of a period, 0 where there were none; ``units`` or ``orders``.
    overall, of_new_items
        Of the shop, and of an item that it has not sold yet.
    categories
        One a category, with the reason where nothing is claimed.
    items
        By id.
    notes
        What makes them doubtful, in words.
    """

    level: float
    days: int
    counted: str
    overall: Mapping[str, Any]
    of_new_items: Mapping[str, Any]
    categories: tuple[Mapping[str, Any], ...]
    items: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: str | Path) -> Measured:
        """What was written.

        Raises
        ------
        DataError
            The file is not there, or is no such file.
        """
        try:
            told = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(
                float(told["level"]),
                int(told["days"]),
                str(told["counted"]),
                dict(told["overall"]),
                dict(told["of_new_items"]),
                tuple(dict(own) for own in told["categories"]),
                {str(own["name"]): dict(own) for own in told["items"]},
                tuple(str(note) for note in told.get("notes", ())),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} holds no elasticities ({type(error).__name__}: {error}). Write them anew: "
                f"palate elasticity SHOP --json {path}"
            ) from None

    def of(self, item: str) -> Mapping[str, Any]:
        """``elasticity``, ``low``, ``high`` and ``from`` (item, category, shop or none) of an item."""
        own = self.items.get(item)
        used: Mapping[str, Any] = self.of_new_items if own is None else own["used"]
        return used

    def foreseen(self, item: str, cost: float) -> list[dict[str, Any]]:
        """Sales, revenue and margin a period at prices about today's, each as [expected, low, high].

        Nothing where the item did not sell lately or no elasticity is known. Intervals are those of the elasticity;
        how sales scatter from period to period is not in them.

        Parameters
        ----------
        cost
            Of one; NaN where unknown, and then no margin is foreseen.
        """
        own, used = self.items.get(item, {}), self.of(item)
        price, sales = own.get("price"), own.get("sales")
        if not price or sales is None or used["elasticity"] is None:
            return []
        relative = np.exp(np.linspace(-_REACH, _REACH, _RUNGS))
        middle, low, high = (np.array([float(used[name])]) for name in ("elasticity", "low", "high"))
        told = np.stack(
            [one[0] for one in sales_at(np.array([float(sales)]), relative[None, :], (middle, low, high), reach=1.0)]
        )
        prices = relative * float(price)
        return [
            {
                "price": float(prices[rung]),
                "sales": told[:, rung].tolist(),
                "revenue": (prices[rung] * told[:, rung]).tolist(),
                "margin": _spread((prices[rung] - cost) * told[:, rung]) if np.isfinite(cost) else None,
            }
            for rung in range(_RUNGS)
        ]


def _spread(values: Float64Array) -> list[float]:
    """Expected, low and high, whichever way round they came: below cost, more sales earn less."""
    return [float(values[0]), float(values.min()), float(values.max())]

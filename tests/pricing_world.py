"""A small shop with prices, and policies simple enough to foretell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from palate.core import Float64Array
from palate.data import Catalogue
from palate.pricing.terms import PriceAsks, Proposals


@dataclass(frozen=True)
class Nearest:
    """Wants a share of the list price, moved by every input there is; takes the nearest rung."""

    share: float = 0.9
    pull: float = 0.2
    name: str = "nearest"

    def propose(self, asks: PriceAsks, ladder: Float64Array, generator: np.random.Generator) -> Proposals:
        wanted = asks.list_price * (self.share + self.pull * asks.features.astype(np.float64).sum(axis=1))
        chosen = np.nanargmin(np.abs(ladder - wanted[:, None]), axis=1).astype(np.int32)
        return Proposals(ladder, chosen, np.ones(len(asks)))


@dataclass(frozen=True)
class Drawn:
    """Takes any rung, all at the same odds."""

    name: str = "drawn"

    def propose(self, asks: PriceAsks, ladder: Float64Array, generator: np.random.Generator) -> Proposals:
        rungs = np.isfinite(ladder).sum(axis=1)
        chosen = np.floor(generator.random(len(asks)) * rungs).astype(np.int32)
        return Proposals(ladder, chosen, 1.0 / rungs)


@dataclass(frozen=True)
class Broken:
    """Always fails."""

    name: str = "broken"

    def propose(self, asks: PriceAsks, ladder: Float64Array, generator: np.random.Generator) -> Proposals:
        raise RuntimeError("out of order")


def shop() -> Catalogue:
    """Two hundred items at 10.00 to 209.00 with costs of half of that; every other one is tea."""
    return Catalogue.of(
        pl.DataFrame(
            {
                "item_id": [f"i{number}" for number in range(200)],
                "category": [("Food > Tea", "Phones")[number % 2] for number in range(200)],
                "price": [10.0 + number for number in range(200)],
                "cost": [(10.0 + number) / 2 for number in range(200)],
                "stock": [float(number % 7) for number in range(200)],
            }
        )
    )


class Clock:
    """A clock that stands still until told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

"""The vocabulary of prices: what is asked, what demand answers, what a policy proposes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from palate.core import Float64Array, FloatArray, IntArray
from palate.core.recommender import Arrays


@dataclass(frozen=True)
class PriceAsks:
    """n questions: what should this cost, here, now.

    Parameters
    ----------
    items
        int32 (n,), catalogue positions; -1 is an item that nobody knows.
    list_price, cost
        float64 (n,), in one currency; NaN where unknown. What is unknown is sold at the list price.
    features
        float32 (n, f): everything but the price that demand may depend on. Columns that come from a person are zero
        wherever policy forbids them, before a model sees them.
    names
        Names of the f columns.
    personal
        Of each column, whether it comes from a person.
    """

    items: IntArray
    list_price: Float64Array
    cost: Float64Array
    features: FloatArray
    names: tuple[str, ...]
    personal: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Proposals:
    """What a policy would ask, before the guard-rails.

    Parameters
    ----------
    ladder
        float64 (n, m), the prices it chose among, rising; NaN pads.
    chosen
        int32 (n,), columns of ``ladder``.
    propensity
        float64 (n,), the odds at which the policy takes what it took; 1 where it does not draw.
    """

    ladder: Float64Array
    chosen: IntArray
    propensity: Float64Array

    @property
    def price(self) -> Float64Array:
        """float64 (n,)."""
        return np.asarray(self.ladder[np.arange(len(self.chosen)), self.chosen])


class Demand(Protocol):
    """How likely a purchase is at a price. Prices enter as shares of the list price: one model serves a whole shop."""

    @property
    def rows(self) -> int:
        """Asks learnt from so far."""
        ...

    def probability(self, features: FloatArray, relative: Float64Array) -> Float64Array:
        """Of n asks at m shares of the list price each, (n, f) and (n, m): float64 (n, m)."""
        ...

    def draw(self, generator: np.random.Generator, n: int, width: float = 1.0) -> Demand:
        """A model drawn from what is believed, for each of n asks its own (Thompson sampling).

        ``width`` stretches what is drawn about its mean; the same generator gives the same models.
        """
        ...

    def upper(self, features: FloatArray, relative: Float64Array, width: float) -> Float64Array:
        """The probability that is believed possible, ``width`` standard deviations up; float64 (n, m)."""
        ...

    def learn(self, features: FloatArray, relative: Float64Array, bought: FloatArray) -> Self:
        """The model that has also seen n sales or none: (n, f), (n,) and (n,), 1 where it was bought."""
        ...

    def arrays(self) -> Arrays:
        """The fitted state; a model restored from it answers bit for bit the same."""
        ...


class PricingPolicy(Protocol):
    """Chooses a price on a ladder. Stateless: what it learns lies in the demand model."""

    @property
    def name(self) -> str:
        """As in settings and logs."""
        ...

    def propose(self, asks: PriceAsks, ladder: Float64Array, generator: np.random.Generator) -> Proposals:
        """Choose among ladder (n, m), prices inside everybody's bounds. The same generator gives the same choice."""
        ...

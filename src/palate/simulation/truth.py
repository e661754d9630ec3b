"""What is really going on in the demo shop, so that claims about it can be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.core import Float64Array, FloatArray, IntArray
from palate.simulation.assortment import DAY

SHAPES = ("flat", "spring", "summer", "autumn", "winter", "gift", "newyear")
"""Names of the seasonal shapes, in the order of the positions that arrays carry."""

_PEAK_DAY = {"spring": 115.0, "summer": 190.0, "autumn": 285.0, "winter": 10.0}
_BUMPS = {"gift": (346.0, 14.0, 2.0), "newyear": (9.0, 14.0, 1.6)}
_YEAR = 365.25

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """Tastes, prices, seasons and satisfaction behind the demo shop.

    Users and items are rows here in the order of the shop's frames (``u0001`` is row 0), not positions of a
    ``Dataset``. The methods take arrays that broadcast against each other.

    Parameters
    ----------
    start
        float64 (1,), first moment of the shop, seconds since 1970 UTC.
    lifestyle
        float32 (n_users, T), how much each user cares about each topic; rows sum to 1.
    section_taste
        float32 (n_users, S), how much each user likes each section, in logits.
    user_look, item_look
        float32 (n_users, H), (n_items, H): taste in looks that no text mentions.
    price_sensitivity
        float32 (n_users,), fall of the purchase logit per unit of log price over the section's usual price.
    item_section, item_topics, quality, list_price, created
        Facts of items: (n_items,), (n_items, T), (n_items,), EUR, seconds.
    complements
        int32 (n_items, 4), items that complete an item, -1 pads.
    reference_price
        float32 (S,), usual price of a section, EUR.
    season_shape, season_strength
        int32 (S,) position in ``SHAPES``; float32 (S,) strength in logs.
    discount
        float32 (weeks, n_items), share taken off the list price that week.
    bias
        float64 (1,), purchase logit of a viewed item of utility 0.
    """

    start: Float64Array
    lifestyle: FloatArray
    section_taste: FloatArray
    user_look: FloatArray
    item_look: FloatArray
    price_sensitivity: FloatArray
    item_section: IntArray
    item_topics: FloatArray
    quality: FloatArray
    list_price: FloatArray
    created: Float64Array
    complements: IntArray
    reference_price: FloatArray
    season_shape: IntArray
    season_strength: FloatArray
    discount: FloatArray
    bias: Float64Array

    def price(self, items: ArrayLike, when: ArrayLike) -> Numbers:
        """Price asked for items at these moments (seconds since 1970 UTC), EUR."""
        positions = np.asarray(items)
        week = ((np.asarray(when, dtype=np.float64) - self.start[0]) // (7 * DAY)).astype(np.int64)
        off = self.discount[np.clip(week, 0, len(self.discount) - 1), positions]
        return np.round(self.list_price[positions].astype(np.float64) * (1.0 - off), 2)

    def seasonality(self, sections: ArrayLike, when: ArrayLike) -> Numbers:
        """By how much each section is wanted more (> 1) or less at these moments than on an average day."""
        positions = np.asarray(sections)
        strength = self.season_strength[positions].astype(np.float64)
        return np.exp(strength * seasonal_shape(self.season_shape[positions], np.asarray(when, dtype=np.float64)))

    def match(self, users: ArrayLike, items: ArrayLike) -> Numbers:
        """How well items suit users in topic and look, price and quality aside; about -1 to 3."""
        user, item = np.asarray(users), np.asarray(items)
        topic = np.einsum("...t,...t->...", self.lifestyle[user], self.item_topics[item])
        look = np.einsum("...h,...h->...", self.user_look[user], self.item_look[item])
        return np.asarray(2.2 * topic + look - 0.5, dtype=np.float64)

    def utility(self, users: ArrayLike, items: ArrayLike, when: ArrayLike, price: ArrayLike | None = None) -> Numbers:
        """What owning items is worth to users at these moments and prices, in logits.

        Parameters
        ----------
        price
            EUR; the price of the moment where left out.
        """
        user, item = np.asarray(users), np.asarray(items)
        section = self.item_section[item]
        asked = self.price(item, when) if price is None else np.asarray(price, dtype=np.float64)
        dearness = np.log(asked / self.reference_price[section])
        worth = 0.35 * self.section_taste[user, section] + 0.8 * self.match(user, item) + 0.45 * self.quality[item]
        return np.asarray(
            worth + 0.3 * np.log(self.seasonality(section, when)) - self.price_sensitivity[user] * dearness,
            dtype=np.float64,
        )

    def purchase_probability(
        self, users: ArrayLike, items: ArrayLike, when: ArrayLike, price: ArrayLike | None = None
    ) -> Numbers:
        """Probability that a user who looks at an item buys it in that visit."""
        return logistic(self.bias[0] + self.utility(users, items, when, price))

    def satisfaction(self, users: ArrayLike, items: ArrayLike, price: ArrayLike | None = None) -> Numbers:
        """How content users are with items they bought, 0 to 1: fit and quality against the price paid.

        Parameters
        ----------
        price
            EUR paid; the list price where left out.
        """
        user, item = np.asarray(users), np.asarray(items)
        paid = self.list_price[item] if price is None else np.asarray(price, dtype=np.float64)
        dearness = np.log(paid / self.reference_price[self.item_section[item]])
        content = 0.3 + 0.9 * self.match(user, item) + 0.9 * self.quality[item]
        return logistic(content - 0.4 * self.price_sensitivity[user] * dearness)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole truth as named arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Truth:
        """The truth that ``arrays`` gave."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def seasonal_shape(shapes: NDArray[np.integer], when: Numbers) -> Numbers:
    """Value of seasonal shapes (positions in ``SHAPES``) at moments (seconds since 1970 UTC); mean about 0."""
    shape, moment = np.broadcast_arrays(shapes, when)
    day = (moment / DAY) % _YEAR
    value = np.zeros(day.shape)
    for position, name in enumerate(SHAPES):
        if name in _PEAK_DAY:
            value = np.where(shape == position, np.cos(2 * np.pi * (day - _PEAK_DAY[name]) / _YEAR), value)
        elif name in _BUMPS:
            peak, width, height = _BUMPS[name]
            away = (day - peak + _YEAR / 2) % _YEAR - _YEAR / 2
            bump = height * np.exp(-0.5 * (away / width) ** 2)
            mean = height * width * np.sqrt(2 * np.pi) / _YEAR
            value = np.where(shape == position, bump - mean, value)
    return value


def logistic(x: ArrayLike) -> Numbers:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(x, dtype=np.float64))))

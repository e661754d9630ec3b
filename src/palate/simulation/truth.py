"""What is really going on in the demo shop, so that claims about it can be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.core import BoolArray, Float64Array, FloatArray, IntArray
from palate.simulation.assortment import DAY

SHAPES = ("flat", "spring", "summer", "autumn", "winter", "gift", "newyear")
"""Names of the seasonal shapes, in the order of the positions that arrays carry."""

MOOD = 1.6
"""How much more an item attracts when its topic is the one a visitor looks for, in logits."""

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
    item_section, item_topic, item_topics, quality, list_price, created
        Facts of items: section (n_items,), topic of its flavour (n_items,), how much it speaks to each topic
        (n_items, T), quality (n_items,), EUR (n_items,), seconds (n_items,).
    exposure
        float32 (n_items,), how prominently each item is shown, in logits.
    complements
        int32 (n_items, 4), items that complete an item, -1 pads.
    reference_price
        float32 (S,), usual price of a section, EUR.
    section_topics
        bool (S, T), whether some flavour of the section speaks to the topic.
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
    item_topic: IntArray
    item_topics: FloatArray
    exposure: FloatArray
    quality: FloatArray
    list_price: FloatArray
    created: Float64Array
    complements: IntArray
    reference_price: FloatArray
    section_topics: BoolArray
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

    def wish_logits(self, users: ArrayLike, when: ArrayLike) -> Numbers:
        """How much users (n,) want each section at these moments (n,), in logits; (n, S)."""
        taste = self.section_taste[np.asarray(users)].astype(np.float64)
        moments = np.asarray(when, dtype=np.float64)[:, None]
        return 1.15 * taste + np.log(self.seasonality(np.arange(taste.shape[1])[None, :], moments))

    def mood_logits(self, users: ArrayLike, sections: ArrayLike) -> Numbers:
        """Which topic users (n,) look for in sections (n,), in logits; (n, T), -inf where no flavour has it."""
        lean = np.log(self.lifestyle[np.asarray(users)].astype(np.float64) + 1e-3) / 0.7
        return np.where(self.section_topics[np.asarray(sections)], lean, -np.inf)

    def shelf_logits(self, users: ArrayLike, items: ArrayLike, when: ArrayLike) -> Numbers:
        """How much items attract users who stand before their shelf, mood aside, in logits; -inf before they exist."""
        item, moments = np.asarray(items), np.asarray(when, dtype=np.float64)
        logits = 0.9 * self.utility(users, item, moments) + self.exposure[item]
        return np.where(self.created[item] <= moments, logits, -np.inf)

    def look_probability(self, users: ArrayLike, when: ArrayLike) -> Numbers:
        """Probability that the first look of a visit goes to each item, for users with no errand left open.

        Parameters
        ----------
        users, when
            (n,); seconds since 1970 UTC.

        Returns
        -------
        float64 (n, n_items); rows sum to 1 where every section has an item.
        """
        user, moments = np.asarray(users), np.asarray(when, dtype=np.float64)
        wish = _softmax(self.wish_logits(user, moments))
        shelf = self.shelf_logits(user[:, None], np.arange(len(self.item_section))[None, :], moments[:, None])
        result = np.zeros(shelf.shape)
        lift = np.exp(MOOD) - 1.0
        for section in range(wish.shape[1]):
            inside = np.nonzero(self.item_section == section)[0]
            if not len(inside):
                continue
            pull = np.exp(shelf[:, inside])
            mood = _softmax(self.mood_logits(user, np.full(len(user), section)))
            topic = self.item_topic[inside]
            by_topic = pull @ (topic[:, None] == np.arange(mood.shape[1])[None, :])
            share = mood / np.maximum(pull.sum(axis=1, keepdims=True) + lift * by_topic, 1e-300)
            result[:, inside] = wish[:, [section]] * pull * (share.sum(axis=1, keepdims=True) + lift * share[:, topic])
        return result

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


def _softmax(logits: Numbers) -> Numbers:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

"""Shops whose demand is known: what prices earn, whom they please, and who comes back.

A visitor is a draw of features; the truth is a purchase probability at every price. Everything drawn by chance is drawn
before the first price is asked, so that two policies meet the same people in the same mood. What prices do bring about
(rivals who answer, customers who wait, customers who stay away) is state, which ``sell`` carries on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.core import BoolArray, Float64Array, FloatArray, Int64Array, IntArray
from palate.simulation.market_settings import MarketSettings
from palate.simulation.truth import logistic

LOSS_AVERSION = 2.25
"""How much more a price above the list price displeases than one below it pleases (Tversky and Kahneman, 1992)."""

_FALLS = 0.1
"""Demand falls with every price by at least this much, in logits per list price."""
_CONTENT, _DEARNESS = 0.8, 0.4
"""Satisfaction at the list price in logits, and what dearness takes off, as in the demo shop's truth."""
_SMOOTH = 0.02
"""Share of a visit in the price that people come to expect, and of a day in a rival's answer."""
_UNDERCUT, _RIVAL_NOISE = 0.02, 0.01
_RETURNING = 0.8
"""Share of those who wait that come back at all."""


@dataclass(frozen=True)
class Visitors:
    """Those who stand before a price.

    Parameters
    ----------
    rows
        int64 (n,), which of the market's rounds each is.
    again
        bool (n,), who waited and came back.
    features
        float32 (n, f), what a shop knows of them and of the moment.
    base, effect
        float64 (n,), the truth: logit at the list price, and its change per list price.
    """

    rows: Int64Array
    again: BoolArray
    features: FloatArray
    base: Float64Array
    effect: Float64Array

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, kept: BoolArray) -> Visitors:
        """Some of them; bool (n,)."""
        return Visitors(self.rows[kept], self.again[kept], self.features[kept], self.base[kept], self.effect[kept])


@dataclass(frozen=True)
class Sales:
    """What became of n visitors.

    Parameters
    ----------
    bought
        bool (n,).
    waiting
        bool (n,), who would have bought but hopes for a lower price.
    expected
        float64 (n,), revenue in list prices that the truth expects of each, 0 of who waits.
    satisfaction
        float64 (n,), 0 to 1; see ``Market.satisfaction``.
    """

    bought: BoolArray
    waiting: BoolArray
    expected: Float64Array
    satisfaction: Float64Array


@dataclass(frozen=True)
class MarketState:
    """What prices have brought about so far.

    Parameters
    ----------
    rivals
        float64 (r,), what rivals ask, as shares of the list price.
    expectation
        What customers have come to expect, as a share of the list price.
    queue, due
        int64 (w,), rounds of those who wait, and the round at which each comes back.
    mood
        float64 (customers,), smoothed satisfaction less that at the list price.
    """

    rivals: Float64Array
    expectation: float
    queue: Int64Array
    due: Int64Array
    mood: Float64Array


@dataclass(frozen=True)
class Market:
    """A shop with T visits and the truth about them.

    Parameters
    ----------
    settings
        What kind of shop.
    names
        Of the features' columns.
    features
        float32 (T, f).
    base, effect
        float64 (T,), the truth without rivals.
    list_price, cost
        float64 (T,), EUR.
    items, customer, segment
        int32 (T,): what is asked for; who asks, -1 for people who come once; a group of people, 0 or 1, that no feature
        names but one goes along with.
    chance
        float64 (T, 3), uniform numbers that decide purchase, return and visit.
    strategic
        bool (T,), who may wait.
    noise
        float64 (T,), what moves rivals.
    """

    settings: MarketSettings
    names: tuple[str, ...]
    features: FloatArray
    base: Float64Array
    effect: Float64Array
    list_price: Float64Array
    cost: Float64Array
    items: IntArray
    customer: IntArray
    segment: IntArray
    chance: Float64Array
    strategic: BoolArray
    noise: Float64Array

    def __len__(self) -> int:
        return len(self.base)

    @property
    def ladder(self) -> Float64Array:
        """Shares of the list price that may be asked, rising, the list price among them; float64 (m,)."""
        band = self.settings.band
        return np.linspace(1.0 - band, 1.0 + band, self.settings.prices)

    def open(self) -> MarketState:
        """Before the first visit."""
        nobody = np.zeros(0, dtype=np.int64)
        moods = np.zeros(self.settings.customers)
        return MarketState(np.full(self.settings.rivals, 1.0), 1.0, nobody, nobody, moods)

    def visitors(self, state: MarketState, start: int, stop: int) -> Visitors:
        """Who comes in rounds ``start`` to ``stop``: those planned, less who stays away, and who waited till now."""
        rows = np.arange(start, stop)
        if self.settings.customers:
            mood = state.mood[self.customer[rows]]
            rows = rows[self.chance[rows, 2] < np.clip(1.0 + self.settings.attachment * mood, 0.0, 1.0)]
        back = state.queue[state.due < stop]
        rows, again = np.concatenate([rows, back]), np.arange(len(rows) + len(back)) >= len(rows)
        features, base = self.features[rows], self.base[rows]
        if self.settings.rivals:
            gap = float(state.rivals.min()) - 1.0
            features[:, self.names.index("rival")] = 10.0 * gap  # of the size of the other features
            base = base + self.settings.rivalry * gap
        return Visitors(rows, again, features, base, self.effect[rows])

    def probability(self, visitors: Visitors, relative: Float64Array) -> Float64Array:
        """The true probability of a purchase at shares (n, m) of the list price."""
        u, misfit = relative - 1.0, self.settings.misfit
        effect = visitors.effect[:, None]
        z = visitors.base[:, None] + effect * (u + 0.5 * misfit * np.maximum(u, 0.0))
        if not misfit:
            return logistic(z)
        apart = 1.2 * misfit  # two kinds of people that nothing tells apart
        return 0.5 * (logistic(z + apart) + logistic(z - apart))

    def satisfaction(self, visitors: Visitors, relative: Float64Array) -> Float64Array:
        """How content people are with the price they were asked (n,), whether they buy or not, 0 to 1.

        logistic(.8 - .4 s d): s is how much prices matter to them, d how far the price lies above the list price, which
        they take for fair; above it d counts 2.25-fold. Everybody who is asked counts, not only who buys: a shop that
        drives people away cannot look better for it.
        """
        away = np.asarray(relative) - 1.0
        dear = np.where(away > 0, LOSS_AVERSION * away, away)
        return logistic(_CONTENT + _DEARNESS * visitors.effect * dear)

    def sell(self, state: MarketState, visitors: Visitors, relative: Float64Array) -> tuple[Sales, MarketState]:
        """Ask a price of each visitor (n,): who buys, who waits, how content they are, and what follows from it."""
        chance = self.chance[visitors.rows]
        probability = self.probability(visitors, relative[:, None])[:, 0]
        would = chance[:, 0] < probability
        waiting = would & self._waits(state, visitors, relative)
        sales = Sales(
            would & ~waiting,
            waiting,
            np.where(waiting, 0.0, relative * probability),
            self.satisfaction(visitors, relative),
        )
        return sales, self._after(state, visitors, relative, sales)

    def _waits(self, state: MarketState, visitors: Visitors, relative: Float64Array) -> BoolArray:
        """Who gains more by a later visit, at the price that people expect, than now (Coase 1972; Besanko 1990)."""
        if not self.settings.strategic:
            return np.zeros(len(visitors), dtype=bool)
        drawn = np.clip(self.chance[visitors.rows, 0], 1e-9, 1.0 - 1e-9)
        worth = 1.0 - (visitors.base - np.log(drawn / (1.0 - drawn))) / visitors.effect
        later = self.settings.patience * (worth - state.expectation)
        return np.asarray(self.strategic[visitors.rows] & ~visitors.again & (later > worth - relative))

    def _after(self, state: MarketState, visitors: Visitors, relative: Float64Array, sales: Sales) -> MarketState:
        if not len(visitors):
            return state
        moment = int(visitors.rows[~visitors.again].max(initial=-1))
        rivals, expectation, mood = state.rivals, state.expectation, state.mood
        weight = 1.0 - (1.0 - _SMOOTH) ** len(visitors)
        asked = float(relative.mean())
        expectation += weight * (asked - expectation)
        if len(rivals):
            noise = self.noise[(max(moment, 0) + np.arange(len(rivals)) * 7919) % len(self)]
            rivals = np.clip(rivals + weight * (asked - _UNDERCUT - rivals) + _RIVAL_NOISE * noise, 0.5, 1.5)
        if len(mood):
            felt = sales.satisfaction - logistic(_CONTENT)
            mood = mood.copy()
            who = self.customer[visitors.rows]
            mood[who] += 0.2 * (felt - mood[who])
        left = state.due > moment if moment >= 0 else np.ones(len(state.due), dtype=bool)
        left &= ~np.isin(state.queue, visitors.rows[visitors.again])
        new = visitors.rows[sales.waiting & (self.chance[visitors.rows, 1] < _RETURNING)]
        queue = np.concatenate([state.queue[left], new])
        due = np.concatenate([state.due[left], new + self.settings.delay])
        return replace(state, rivals=rivals, expectation=expectation, queue=queue, due=due, mood=mood)


def make_market(settings: MarketSettings | None = None, seed: int = 0) -> Market:
    """The market of a seed; the same seed and settings give the same market."""
    settings = settings or MarketSettings()
    rounds, width = settings.rounds, settings.features
    weights_rng, people_rng, moments_rng, chance_rng = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(4)
    )
    taste, care = (_direction(weights_rng, width) for _ in range(2))
    people, customer = _people(settings, people_rng)
    taste_path, care_path, level_path = _drift(settings, moments_rng)
    base = settings.rate_logit + settings.taste * (np.einsum("tf,tf->t", people, taste + taste_path) + level_path)
    care_of = np.einsum("tf,tf->t", people, care + care_path)
    odd, even = people[:, 0] * people[:, 1], np.abs(people[:, 2]) - np.sqrt(2.0 / np.pi)
    base = base + settings.misfit * 0.5 * (odd + even)
    care_of = care_of + settings.misfit * np.tanh(people[:, 3] * people[:, 4])
    names, columns = [f"x{place}" for place in range(width)], [people]
    if settings.season:
        angle = 2.0 * np.pi * (settings.years * np.arange(rounds) / rounds + moments_rng.random())
        base = base + settings.season * np.sin(angle)
        care_of = care_of + settings.season * np.cos(angle)
        names += ["season_sin", "season_cos"]
        columns.append(np.stack([np.sin(angle), np.cos(angle)], axis=1))
    if settings.rivals:
        names.append("rival")
        columns.append(np.zeros((rounds, 1)))
    effect = np.minimum(settings.effect * (1.0 + settings.heterogeneity * care_of), -_FALLS)
    list_price = np.round(np.exp(moments_rng.normal(3.0, 0.6, rounds)), 2).astype(np.float64)
    return Market(
        settings,
        tuple(names),
        np.concatenate(columns, axis=1).astype(np.float32),
        base,
        effect,
        list_price,
        np.round(list_price * moments_rng.uniform(0.4, 0.7, rounds), 2).astype(np.float64),
        moments_rng.integers(0, 100, rounds).astype(np.int32),
        customer,
        (people[:, 0] + moments_rng.standard_normal(rounds) > 0).astype(np.int32),
        chance_rng.random((rounds, 3)),
        chance_rng.random(rounds) < settings.strategic,
        chance_rng.standard_normal(rounds),
    )


def _direction(rng: np.random.Generator, width: int) -> Float64Array:
    """A direction drawn evenly, so that people's features along it have a standard deviation of 1."""
    drawn = rng.standard_normal(width)
    return np.asarray(drawn / np.linalg.norm(drawn))


def _people(settings: MarketSettings, rng: np.random.Generator) -> tuple[Float64Array, IntArray]:
    """Features (T, f) of standard deviation 1, and customers (T,), whose visits have four fifths of them in common."""
    rounds, width = settings.rounds, settings.features
    if not settings.customers:
        return rng.standard_normal((rounds, width)), np.full(rounds, -1, dtype=np.int32)
    customer = rng.integers(0, settings.customers, rounds).astype(np.int32)
    self_ = rng.standard_normal((settings.customers, width))[customer]
    return np.sqrt(0.8) * self_ + np.sqrt(0.2) * rng.standard_normal((rounds, width)), customer


def _drift(settings: MarketSettings, rng: np.random.Generator) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Random walks (T, f), (T, f) and (T,) that end ``drift`` away from where they began, on average."""
    rounds, width = settings.rounds, settings.features
    walk = np.cumsum(rng.standard_normal((rounds, 2 * width + 1)), axis=0) * (settings.drift / np.sqrt(rounds))
    return walk[:, :width] / np.sqrt(width), walk[:, width:-1] / np.sqrt(width), walk[:, -1]

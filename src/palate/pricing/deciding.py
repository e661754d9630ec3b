"""One decision: from everything that was known to a price. Pure, so that it can be done again bit for bit."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from palate.core import BoolArray, Float64Array, FloatArray, IntArray
from palate.pricing.guardrails import (
    Bounds,
    ClipArray,
    GuardSettings,
    Rails,
    bounds_of,
    guard,
    held_publicly,
    public_prices,
    with_ending,
)
from palate.pricing.terms import PriceAsks, PricingPolicy, Proposals

_SEED_DIGITS = 32
"""Hexadecimal digits of a decision's id that seed its draw."""

_INCREMENT = 0x5851F42D4C957F2D14057B7EF767814F
"""Of PCG64's stream; any odd number."""

_mine = threading.local()


@dataclass(frozen=True)
class Case:
    """What a decision about n prices rests on.

    Parameters
    ----------
    id
        Of the decision; ends in 32 hexadecimal digits, from which everything follows that is drawn.
    items
        int32 (n,), positions in the catalogue.
    rails
        Between what the prices lie.
    features
        float32 (n, f), zero where an input is personal and not allowed; NaN where unknown.
    names, personal
        Of the f columns.
    dealt
        bool (n,), whether an experiment dealt the way this price is made to the person who asks; None: none of them.
    """

    id: str
    items: IntArray
    rails: Rails
    features: FloatArray
    names: tuple[str, ...]
    personal: tuple[bool, ...]
    dealt: BoolArray | None = None

    @cached_property
    def uses_personal(self) -> BoolArray:
        """Of each ask, whether anything personal enters, be it who was dealt to which arm; bool (n,)."""
        if not any(self.personal):
            return np.zeros(len(self.items), dtype=np.bool_) if self.dealt is None else self.dealt
        own = np.asarray((self.features[:, np.array(self.personal)] != 0).any(axis=1))
        return own if self.dealt is None else own | self.dealt

    def only(self, rows: NDArray[np.intp]) -> Case:
        """These asks alone."""
        dealt = None if self.dealt is None else self.dealt[rows]
        return replace(
            self, items=self.items[rows], rails=self.rails.only(rows), features=self.features[rows], dealt=dealt
        )


@dataclass(frozen=True)
class Way:
    """How prices are made: everything but the case.

    Parameters
    ----------
    guard, rungs
        The guard-rails, and among how many prices is chosen.
    strangers
        Who proposes what somebody unknown would pay; None: the policy itself. Where an experiment deals policies to
        people, it is the one in force, so that parity holds between them as well.
    """

    policy: PricingPolicy
    guard: GuardSettings
    rungs: int
    strangers: PricingPolicy | None = None


@dataclass(frozen=True)
class Outcome:
    """n prices and how they came about.

    Parameters
    ----------
    price
        float64 (n,), NaN where there is no list price to fall back on.
    clips
        uint32 (n,), see ``Clip``.
    proposed, propensity
        float64 (n,): what the policy wanted, and at what odds; NaN where it had nothing to choose.
    stranger, public
        float64 (n,): what it would have wanted of somebody unknown, NaN too where their price is held; and what they
        pay now, which is held towards everybody from then on. NaN where nothing personal entered.
    low, high
        float64 (n,): between what the prices had to lie.
    """

    price: Float64Array
    clips: ClipArray
    proposed: Float64Array
    propensity: Float64Array
    stranger: Float64Array
    public: Float64Array
    low: Float64Array
    high: Float64Array


def decide_apart(case: Case, ways: Mapping[str, Way], chosen: Sequence[str]) -> Outcome:
    """Prices for one case, each made in a way of its own.

    Parameters
    ----------
    ways
        By name.
    chosen
        Names (n,).
    """
    names = list(dict.fromkeys(chosen))
    if len(names) == 1:
        return decide(case, ways[names[0]])
    place = np.array([names.index(name) for name in chosen])
    parts = [np.flatnonzero(place == number) for number in range(len(names))]
    made = [decide(case.only(rows), ways[name]) for rows, name in zip(parts, names, strict=True)]
    order = np.argsort(np.concatenate(parts), kind="stable")
    columns = {each.name: [getattr(one, each.name) for one in made] for each in fields(Outcome)}
    return Outcome(**{name: np.concatenate(values)[order] for name, values in columns.items()})


def decide(case: Case, way: Way) -> Outcome:
    """Prices for one case.

    A policy that fails proposes nothing, and what is unknown is sold at the list price.
    """
    policy, settings = way.policy, way.guard
    bounds = bounds_of(case.rails, settings)
    n = len(case.items)
    proposed, propensity, stranger, public = np.full((4, n), np.nan)
    personal = case.uses_personal
    free = np.flatnonzero((bounds.fixed == 0) & np.isfinite(case.features).all(axis=1))
    if len(free):
        ladder = ladder_of(bounds, settings, way.rungs)[free]
        own = _proposed(case, free, case.features[free], policy, ladder)
        if own is not None:
            proposed[free], propensity[free] = own.price, own.propensity
        if own is not None and personal.any():
            public = held_publicly(case.rails, settings, bounds)
            if np.isnan(public[free]).any():
                unknown = np.where(np.array(case.personal), np.float32(0), case.features[free])
                other = _proposed(case, free, unknown, way.strangers or policy, ladder)
                if other is not None:
                    stranger[free] = np.where(np.isnan(public[free]), other.price, np.nan)
                    public = np.fmin(public, public_prices(stranger, case.rails, settings, bounds))
            stranger[~personal], public[~personal] = np.nan, np.nan
            # Without knowing what a stranger pays parity cannot be kept, and so there is no personal price.
            proposed[personal & np.isnan(public)] = np.nan
    guarded = guard(proposed, case.rails, settings, public if personal.any() else None, bounds)
    edges = bounds.low / settings.unit, bounds.high / settings.unit
    return Outcome(guarded.price, guarded.clips, proposed, propensity, stranger, public, *edges)


def ladder_of(bounds: Bounds, settings: GuardSettings, rungs: int) -> Float64Array:
    """Prices to choose among: even steps inside the bounds and a step of the price shown last, with wanted endings.

    Returns
    -------
    float64 (n, rungs + 1), rising, no price twice, NaN at the end; the list price is among them where it may be asked.
    """
    low, high = bounds.step(settings.step)
    even = np.rint(low[:, None] + (high - low)[:, None] * (np.arange(rungs) / (rungs - 1)))
    even = with_ending(even, low[:, None], high[:, None], settings)
    listed = bounds.listed[:, None]
    within = (low[:, None] <= listed) & (listed <= high[:, None])
    ladder = np.sort(np.hstack([even, np.where(within, listed, np.nan)]), axis=1)
    ladder[:, 1:][ladder[:, 1:] == ladder[:, :-1]] = np.nan
    ladder.sort(axis=1)
    return np.asarray(ladder / settings.unit)


def _proposed(
    case: Case, rows: NDArray[np.intp], features: FloatArray, policy: PricingPolicy, ladder: Float64Array
) -> Proposals | None:
    """What a policy proposes for some of the asks; None where it fails or answers beside the question."""
    rails = case.rails
    asks = PriceAsks(case.items[rows], rails.list_price[rows], rails.cost[rows], features, case.names, case.personal)
    try:
        made = policy.propose(asks, ladder, generator_of(case.id))
        return made if made.price.shape == made.propensity.shape == (len(asks),) else None
    except Exception:
        # Whatever goes wrong in a policy, a shop must still sell; the clips of the decision tell of it.
        return None


def generator_of(name: str) -> np.random.Generator:
    """The chance that belongs to a decision: the same id draws the same. Good until the thread's next call."""
    generator: np.random.Generator | None = getattr(_mine, "generator", None)
    if generator is None:
        generator = _mine.generator = np.random.Generator(np.random.PCG64(0))
    # Setting the state takes a tenth of the time that a new generator does. The id is random itself.
    number = int(name[-_SEED_DIGITS:], 16)
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": number, "inc": _INCREMENT},
        "has_uint32": 0,
        "uinteger": 0,
    }
    return generator

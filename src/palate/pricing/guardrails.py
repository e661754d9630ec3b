"""Guard-rails: what may become of a proposed price, applied last and in this one place.

Money is counted in whole minor units here (cents), so that a bound is a bound and not almost one. The rules narrow one
interval, each inside the one before: what is allowed for good (floor, ceiling, cost, shares of the list price), parity
between people, the step from the price shown last. A rule that does not fit into the interval it finds collapses onto
its nearest edge. The list price is always allowed, and is asked wherever anything is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntFlag
from functools import lru_cache
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from palate.core import BoolArray, Float64Array, Settings

LARGEST = 1e9
"""A price beyond this is a mistake in the data."""

Ending: TypeAlias = Literal["none", ".99", ".90", "integer"]
ClipArray: TypeAlias = NDArray[np.uint32]

_REMAINDER: dict[str, float] = {".99": 0.99, ".90": 0.90, "integer": 0.0}
_EDGE = 1e-6
"""Of a minor unit: what rounding in binary may take from an exact decimal."""


class Clip(IntFlag):
    """What changed a proposal, one bit each."""

    FLOOR = 1
    CEILING = 2
    COST = 4
    LIST_LOW = 8
    LIST_HIGH = 16
    PARITY = 32
    STEP = 64
    ENDING = 128
    HELD = 256
    CLOCK = 512
    UNKNOWN = 1_024
    CONFLICT = 2_048
    KILLED = 4_096
    CURRENCY = 8_192


class GuardSettings(Settings):
    """How far prices may move.

    Parameters
    ----------
    lowest, highest
        Shares of the list price between which every price lies; the list price itself is always allowed.
    least_margin
        Share of its cost that every price earns at least; an item whose list price does not is sold at list.
    step
        Share of the price shown last by which the next one may differ.
    parity
        Share by which a price that personal inputs moved may differ from what a stranger would pay.
    segments
        Parity of segments of their own, narrower or wider than ``parity``.
    ending
        What prices end in, where such a price lies inside the bounds; the list price keeps its own.
    session_seconds, cool_down_seconds
        How long a price is held within one session, and towards the same person (or everybody) outside it.
    minor_digits
        Decimals of the currency.
    kill
        True: every price is the list price, at once.
    """

    lowest: float = Field(default=0.7, gt=0, le=1)
    highest: float = Field(default=1.0, ge=1, le=10)
    least_margin: float = Field(default=0.0, ge=0, le=10)
    step: float = Field(default=0.1, ge=0, le=10)
    parity: float = Field(default=0.1, ge=0, le=1)
    segments: dict[str, float] = Field(default_factory=dict)
    ending: Ending = "none"
    session_seconds: float = Field(default=1_800.0, ge=0, le=1e7)
    cool_down_seconds: float = Field(default=3_600.0, ge=0, le=1e7)
    minor_digits: int = Field(default=2, ge=0, le=3)
    kill: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.ending in (".99", ".90") and self.minor_digits < 2:
            raise ValueError(f"prices cannot end in {self.ending} with {self.minor_digits} decimals")
        for name, share in self.segments.items():
            if not 0 <= share <= 1:
                raise ValueError(f"the parity of segment {name!r} is {share}; it is a share, 0 to 1")
        return self

    @property
    def unit(self) -> float:
        """Minor units in one of the currency."""
        return float(10**self.minor_digits)


@dataclass(frozen=True)
class Rails:
    """Between what n prices lie. Prices in the currency, float64 (n,), NaN where there is none.

    Parameters
    ----------
    list_price, cost
        Where the list price is unknown there is no price; where the cost is, the price is the list price.
    floor, ceiling
        The merchant's bounds of single items.
    highest
        Share of the list price that the law allows at most, 1 or more; NaN where it does not say.
    parity
        See ``GuardSettings``; of the segment of each ask.
    shown_price, shown_at
        The price shown last, to this person or to everybody, and when (seconds since 1970 UTC).
    hold
        Seconds for which that price is kept.
    public_price, public_at, public_hold
        The price of strangers, since when, and for how many seconds it is kept: while a price shown is held the
        one that it was measured by, else the one everybody was shown last. NaN where none was, or the asker is anybody.
    usable
        bool (n,); False: the list price whatever is proposed.
    same_currency
        bool (n,); False: priced in another currency than the shop's, and so at its list price.
    now
        Seconds since 1970 UTC.
    """

    list_price: Float64Array
    cost: Float64Array
    floor: Float64Array
    ceiling: Float64Array
    highest: Float64Array
    parity: Float64Array
    shown_price: Float64Array
    shown_at: Float64Array
    hold: Float64Array
    public_price: Float64Array
    public_at: Float64Array
    public_hold: Float64Array
    usable: BoolArray
    same_currency: BoolArray
    now: float

    def __len__(self) -> int:
        return len(self.list_price)

    def only(self, rows: NDArray[np.intp]) -> Rails:
        """Those of some of the prices."""
        return Rails(**{each.name: getattr(self, each.name)[rows] for each in fields(self)[:-1]}, now=self.now)


@dataclass(frozen=True)
class Bounds:
    """What is allowed for good, of n prices, in minor units.

    Parameters
    ----------
    low, high
        float64 (n,) of whole numbers; both the list price where nothing else is possible.
    listed
        float64 (n,), the list price; NaN where it is unknown or absurd.
    shown
        float64 (n,), the price shown last; NaN where none was, or no price at all.
    low_clips, high_clips
        uint32 (n,): which rules the edges come from.
    fixed
        uint32 (n,): why the list price is the only one; 0 where it is not.
    """

    low: Float64Array
    high: Float64Array
    listed: Float64Array
    shown: Float64Array
    low_clips: ClipArray
    high_clips: ClipArray
    fixed: ClipArray

    def step(self, share: float) -> tuple[Float64Array, Float64Array]:
        """The part of the bounds that lies within a step of the price shown last; float64 (n,) twice."""
        low, high = _around(self.shown, share)
        return _narrowed(low, high, self.low, self.high)


@dataclass(frozen=True)
class Guarded:
    """n prices and what changed them: float64 (n,), NaN where there is none; uint32 (n,) of ``Clip``."""

    price: Float64Array
    clips: ClipArray


def bounds_of(rails: Rails, settings: GuardSettings) -> Bounds:
    """What is allowed for good: floor, ceiling, cost, shares of the list price, the law's share of it."""
    unit = settings.unit
    given = np.array([rails.list_price, rails.floor, rails.ceiling, rails.shown_price])
    with np.errstate(invalid="ignore"):
        units = _minor(given, unit)
        listed, floor, ceiling, shown = units
        listed, shown = np.rint(listed), np.rint(shown)
        highest = np.fmin(settings.highest, np.where(rails.highest < 1.0, 1.0, rails.highest))
        lows = _up(np.array([floor, rails.cost * (unit * (1.0 + settings.least_margin)), listed * settings.lowest]))
        highs = _down(np.array([ceiling, listed * highest]))
        low = np.fmax(np.fmax.reduce(lows), 1.0)
        high = np.fmin.reduce(highs)
        unknown = ~((rails.cost >= 0) & (rails.cost < np.inf) & (listed > 0) & rails.usable)
        conflict = ~((low <= listed) & (listed <= high))
        conflict |= (np.isnan(units[1:3]) & ~np.isnan(given[1:3])).any(axis=0)  # a bound that is no price
    fixed = unknown * _UNKNOWN + (conflict & ~unknown) * _CONFLICT + ~rails.same_currency * _CURRENCY
    if settings.kill:
        fixed += _KILLED
    only = fixed != 0
    low[only], high[only] = listed[only], listed[only]
    return Bounds(low, high, listed, shown, _LOW_CLIPS @ (lows == low), _HIGH_CLIPS @ (highs == high), fixed)


def guard(
    proposed: Float64Array,
    rails: Rails,
    settings: GuardSettings,
    reference: Float64Array | None = None,
    bounds: Bounds | None = None,
) -> Guarded:
    """Prices that may be asked.

    Parameters
    ----------
    proposed
        float64 (n,), anything at all.
    reference
        float64 (n,), what a stranger pays; NaN or None where nothing personal was used.
    bounds
        ``bounds_of(rails, settings)``, where it has been worked out already.

    Returns
    -------
    Inside the bounds, or the list price; the price is NaN only where the list price is unknown or absurd.
    """
    unit, bounds = settings.unit, bounds or bounds_of(rails, settings)
    low, high, listed = bounds.low, bounds.high, bounds.listed
    with np.errstate(invalid="ignore", over="ignore"):
        wanted = np.rint(proposed * unit)
        unknown = ~((wanted >= 1.0) & (proposed <= LARGEST))
        wanted[unknown] = listed[unknown]
        price = np.minimum(np.maximum(wanted, low), high)
        clips = (wanted < low) * bounds.low_clips + (wanted > high) * bounds.high_clips
        if reference is not None:
            stranger = np.minimum(np.maximum(np.rint(reference * unit), low), high)
            low, high = _narrowed(*_around(stranger, rails.parity), low, high)
            price, clips = _clamped(price, low, high, clips, _PARITY)
        before = ~np.isnan(bounds.shown)
        if before.any():
            elapsed = rails.now - rails.shown_at
            # Where the clock went back since, no time has passed.
            held = (np.maximum(elapsed, 0.0) < rails.hold) & (low <= bounds.shown) & (bounds.shown <= high)
            low, high = _narrowed(*_around(bounds.shown, settings.step), low, high)
            price, clips = _clamped(price, low, high, clips, _STEP)
        if settings.ending != "none":
            ended = np.where(price == listed, price, with_ending(price, low, high, settings))
            price, clips = ended, clips | (ended != price) * _ENDING
        if before.any():
            price = np.where(held, bounds.shown, price)
            clips = np.where(held, _HELD, clips) | (held & (elapsed < 0)) * _CLOCK
            unknown &= ~held
    only = (bounds.fixed != 0) | unknown
    if only.any():
        clips = np.where(only, np.where(bounds.fixed != 0, bounds.fixed, _UNKNOWN), clips)
        price = np.where(only, listed, price)
    return Guarded(price / unit, clips.astype(np.uint32))


def held_publicly(rails: Rails, settings: GuardSettings, bounds: Bounds) -> Float64Array:
    """The price that is held towards everybody now; float64 (n,), NaN where none is."""
    shown = np.rint(_minor(rails.public_price, settings.unit))
    # Where the clock went back since, no time has passed.
    held = np.maximum(rails.now - rails.public_at, 0.0) < rails.public_hold
    held &= (bounds.low <= shown) & (shown <= bounds.high)
    return np.where(held, shown / settings.unit, np.nan)


def public_prices(wanted: Float64Array, rails: Rails, settings: GuardSettings, bounds: Bounds) -> Float64Array:
    """What somebody unknown pays where no price is held towards them: one a step from the last at most.

    Parameters
    ----------
    wanted
        float64 (n,), what would be proposed to them; NaN where nobody asks.

    Returns
    -------
    float64 (n,), NaN where nobody asks.
    """
    public = replace(rails, shown_price=rails.public_price, shown_at=rails.public_at, hold=np.zeros(len(rails)))
    own = replace(bounds, shown=np.rint(_minor(rails.public_price, settings.unit)))
    return np.where(np.isnan(wanted), np.nan, guard(wanted, public, settings, bounds=own).price)


def with_ending(price: Float64Array, low: Float64Array, high: Float64Array, settings: GuardSettings) -> Float64Array:
    """The nearest price with the wanted ending inside [low, high], the lower of two; as it was where there is none.

    All in minor units; shapes that broadcast.
    """
    if settings.ending == "none":
        return price
    unit = settings.unit
    rest = round(_REMAINDER[settings.ending] * unit)
    below = price - np.mod(price - rest, unit)
    above = below + unit
    fits_below, fits_above = below >= low, above <= high
    nearer = np.where(fits_above & (above - price < price - below), above, below)
    return np.where(fits_below, nearer, np.where(fits_above, above, price))


@lru_cache(maxsize=4_096)
def names_of(clips: int) -> tuple[str, ...]:
    """The names of the bits, lower case, in their order."""
    return tuple(str(clip.name).lower() for clip in Clip if clips & clip)


# Plain numbers: an enumeration is slow company for arrays.
_LOW_CLIPS = np.array([Clip.FLOOR, Clip.COST, Clip.LIST_LOW], dtype=np.uint32)
_HIGH_CLIPS = np.array([Clip.CEILING, Clip.LIST_HIGH], dtype=np.uint32)
_PARITY, _STEP, _ENDING, _HELD, _CLOCK, _UNKNOWN, _CONFLICT, _KILLED, _CURRENCY = np.array(
    list(Clip)[5:], dtype=np.uint32
)

AT_LIST = _UNKNOWN | _CONFLICT | _KILLED | _CURRENCY
"""With any of these the price is the list price."""


def _minor(prices: Float64Array, unit: float) -> Float64Array:
    """In minor units; NaN for what is no price."""
    with np.errstate(invalid="ignore"):
        units = prices * unit
        units[~((units > 0.5) & (prices <= LARGEST))] = np.nan
    return units


def _up(units: Float64Array) -> Float64Array:
    return np.ceil(units - _EDGE)


def _down(units: Float64Array) -> Float64Array:
    return np.floor(units + _EDGE)


def _around(price: Float64Array, share: float | Float64Array) -> tuple[Float64Array, Float64Array]:
    return _up(price * (1.0 - share)), _down(price * (1.0 + share))


def _narrowed(
    inner_low: Float64Array, inner_high: Float64Array, low: Float64Array, high: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """An interval inside another; the nearest edge where they do not meet, the outer one where the inner is NaN."""
    # fmax and fmin pass over the NaN of an inner edge, so that the outer one stands.
    return np.minimum(np.fmax(inner_low, low), high), np.maximum(np.fmin(inner_high, high), low)


def _clamped(
    price: Float64Array, low: Float64Array, high: Float64Array, clips: ClipArray, clip: np.uint32
) -> tuple[Float64Array, ClipArray]:
    inside = np.minimum(np.maximum(price, low), high)
    return inside, clips | (inside != price) * clip

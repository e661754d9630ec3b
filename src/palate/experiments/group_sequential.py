"""A few planned looks: how much error each may spend, and the critical values that follow.

Between looks an estimate over its standard error is a normal walk in the share of information seen. Its density among
those who have gone on is carried from look to look by numerical integration (Armitage, McPherson and Rowe 1969;
Jennison and Turnbull, "Group Sequential Methods", 2000, chapter 19), here on Gauss-Legendre nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import optimize, special

from palate.core import Float64Array, UsageError

Spending = Literal["obrien-fleming", "pocock"]
"""How error is spent: hardly any at first, or nearly evenly."""

NEVER = 12.0
"""Critical value, in standard errors, of a look that spends nothing."""

_REACH = 9.0
"""Standard errors beyond which a density counts as nothing."""

_ROOT_TAU = math.sqrt(2.0 * math.pi)

_NODES_A_STEP = 2.5
"""Integration nodes per standard deviation of one step."""


@dataclass(frozen=True)
class Crossing:
    """Chances of leaving the continuation region at each of K looks.

    Parameters
    ----------
    above, below
        float64 (K,).
    """

    above: Float64Array
    below: Float64Array

    @property
    def total(self) -> float:
        """Chance of crossing at any look, on either side."""
        return float(self.above.sum() + self.below.sum())


def spent(fractions: Sequence[float] | Float64Array, alpha: float, spending: Spending) -> Float64Array:
    """Two-sided error spent up to each share of the planned information (Lan and DeMets, 1983).

    ``obrien-fleming``: ``4 - 4 Phi(z(alpha/4) / sqrt(t))``; ``pocock``: ``alpha log(1 + (e - 1) t)``; each half above
    and half below. From the planned end on everything is spent.
    """
    share = np.clip(np.asarray(fractions, dtype=np.float64), 0.0, 1.0)
    if spending == "pocock":
        return np.asarray(alpha * np.log1p((np.e - 1.0) * share))
    with np.errstate(divide="ignore"):
        return np.asarray(4.0 * special.ndtr(special.ndtri(alpha / 4.0) / np.sqrt(share)))


def critical_values(
    fractions: Sequence[float] | Float64Array,
    alpha: float = 0.05,
    spending: Spending = "obrien-fleming",
    *,
    final: bool = False,
) -> Float64Array:
    """Two-sided critical values of the looks made so far, in standard errors.

    Looks need be neither evenly spaced nor those that were planned; values of earlier looks do not change with later
    ones.

    Parameters
    ----------
    fractions
        (K,) share of the planned information at each look, rising; a last one beyond 1 is an overrun.
    final
        The last of these looks ends the experiment: it spends what is left.

    Returns
    -------
    float64 (K,); ``NEVER`` where a look has next to nothing to spend.

    Raises
    ------
    UsageError
        Shares do not rise from above 0, or a look follows one at which everything was spent.
    """
    times = checked(fractions)
    cumulative = spent(times, alpha, spending)
    if final:
        cumulative[-1] = alpha
    steps = np.diff(cumulative, prepend=0.0)
    walk = _Walk()
    values = np.empty(len(times))
    for look, time in enumerate(times):
        side = max(float(steps[look]) / 2.0, 0.0)
        above = walk.tail(float(time))
        values[look] = NEVER if above(NEVER) >= side else optimize.brentq(lambda c: above(c) - side, 0.0, NEVER)  # noqa: B023
        walk.advance(float(time), values[look])
    return values


def constant_boundary(fractions: Sequence[float] | Float64Array, alpha: float, power: float) -> float:
    """The classical tests' constant ``C`` of critical values ``C t^(power - 1/2)``: Pocock's at 1/2, O'Brien and
    Fleming's at 0 (Wang and Tsiatis, 1987)."""
    times = checked(fractions)
    shape = times ** (power - 0.5)
    return float(optimize.brentq(lambda c: crossing(times, c * shape).total - alpha, 0.5, NEVER))


def crossing(
    fractions: Sequence[float] | Float64Array,
    critical: Sequence[float] | Float64Array,
    drift: float = 0.0,
) -> Crossing:
    """Chances of crossing symmetric critical values at each look.

    Parameters
    ----------
    fractions, critical
        (K,).
    drift
        Expected estimate over its standard error at the planned end; 0: no effect.
    """
    times = checked(fractions)
    walk = _Walk(drift)
    above, below = np.empty(len(times)), np.empty(len(times))
    for look, (time, value) in enumerate(zip(times, critical, strict=True)):
        above[look], below[look] = walk.tail(float(time))(float(value)), walk.lower_tail(float(time))(float(value))
        walk.advance(float(time), float(value))
    return Crossing(above, below)


def drift_for_power(
    fractions: Sequence[float] | Float64Array, critical: Sequence[float] | Float64Array, power: float
) -> float:
    """The drift at which the looks together cross with this chance.

    Against the fixed test's ``z(alpha/2) + z(1 - power)``, squared, it says how many times the units a sequential
    design needs at most.
    """
    return float(optimize.brentq(lambda drift: crossing(fractions, critical, drift).total - power, 0.0, 2.0 * NEVER))


def sequential_p(
    z: Sequence[float] | Float64Array,
    fractions: Sequence[float] | Float64Array,
    spending: Spending = "obrien-fleming",
    *,
    final: bool = False,
) -> float:
    """Two-sided p over all looks so far: the smallest error rate at which one of them would have crossed.

    It is at most ``alpha`` exactly where critical values of that rate were crossed (Liu and Anderson, 2008), so that it
    can be corrected for many comparisons like any other.

    Parameters
    ----------
    z
        (K,) estimates over their standard errors.
    """
    seen = np.abs(np.asarray(z, dtype=np.float64))

    def beyond(alpha: float) -> float:
        return float(np.max(seen - critical_values(fractions, alpha, spending, final=final)))

    low, high = 1e-10, 0.9999
    if beyond(high) <= 0:
        return 1.0
    if beyond(low) >= 0:
        return low
    return float(np.exp(optimize.brentq(lambda x: beyond(float(np.exp(x))), np.log(low), np.log(high), xtol=1e-5)))


def checked(fractions: Sequence[float] | Float64Array) -> Float64Array:
    """Shares of information as float64 (K,).

    Raises
    ------
    UsageError
        There are none, or they do not rise from above 0, or one follows the planned end.
    """
    times = np.asarray(fractions, dtype=np.float64)
    if not len(times) or not np.isfinite(times).all() or times[0] <= 0 or (np.diff(times) <= 0).any():
        raise UsageError(
            f"looks at {', '.join(f'{t:g}' for t in times) or 'nothing'} of the plan: shares of the planned units rise "
            "from look to look. A look that saw no new unit is no look; leave it out."
        )
    if (times[:-1] >= 1.0).any():
        raise UsageError("a look follows one at the planned end, where everything was spent: conclude the experiment")
    return times


class _Walk:
    """Density of the walk among those who have not crossed, on nodes; it is a point at 0 before the first look."""

    def __init__(self, drift: float = 0.0) -> None:
        self.drift, self.time = drift, 0.0
        self.places, self.mass = np.zeros(1), np.ones(1)

    def tail(self, time: float) -> Callable[[float], float]:
        """Chance of standing above a critical value at this time, as a function of the value."""
        step, means = self._step(time)
        root = math.sqrt(time)
        return lambda value: float(self.mass @ special.ndtr((means - value * root) / step))

    def lower_tail(self, time: float) -> Callable[[float], float]:
        step, means = self._step(time)
        root = math.sqrt(time)
        return lambda value: float(self.mass @ special.ndtr((-value * root - means) / step))

    def advance(self, time: float, value: float) -> None:
        step, means = self._step(time)
        root = np.sqrt(time)
        low = max(-value * root, self.drift * time - _REACH * root)
        high = max(min(value * root, self.drift * time + _REACH * root), low + 1e-12)
        count = int(np.clip(np.ceil(_NODES_A_STEP * (high - low) / step), 48, 4000))
        nodes, weights = _gauss_legendre(-(-count // 16) * 16)
        places = 0.5 * (high - low) * nodes + 0.5 * (high + low)
        density = np.exp(-0.5 * np.square((places[:, None] - means) / step)) @ self.mass / (step * _ROOT_TAU)
        self.time, self.places, self.mass = time, places, density * weights * 0.5 * (high - low)

    def _step(self, time: float) -> tuple[float, Float64Array]:
        passed = time - self.time
        return float(np.sqrt(passed)), np.asarray(self.places + self.drift * passed)


@lru_cache(maxsize=256)
def _gauss_legendre(count: int) -> tuple[Float64Array, Float64Array]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return np.asarray(nodes), np.asarray(weights)

"""Where a unit falls: the same on every machine, in every run, and in whatever else speaks GrowthBook's specification.

A unit's hash with an experiment's seed is a number in [0, 1). Arms are ranges of it, and so are namespaces. The hash is
FNV-1a of 32 bits (Fowler, Noll and Vo), applied as the GrowthBook SDKs do, so that a shop which assigns people in an
app or a warehouse too puts them in the same arms there. Version 1 has 1,000 buckets and correlates between experiments
whose seeds are alike; version 2 has 10,000 and does not.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_WEIGHT_SLACK = 0.01
"""How far from 1 weights may add up to before they are taken for a mistake."""

Range = tuple[float, float]
"""From, and up to but without."""


def fnv1a(text: str) -> int:
    """FNV-1a of 32 bits over UTF-16 code units, as JavaScript sees a text; bytes where it is ASCII."""
    units: Sequence[int]
    if text.isascii():
        units = text.encode()
    else:
        raw = text.encode("utf-16-le", "surrogatepass")
        units = struct.unpack(f"<{len(raw) // 2}H", raw)
    value = _OFFSET
    for unit in units:
        value = ((value ^ unit) * _PRIME) & _MASK
    return value


def bucket(seed: str, value: str, version: int = 2) -> float | None:
    """Where a unit falls, in [0, 1); None for a version that nobody has defined."""
    if version == 2:
        return fnv1a(str(fnv1a(seed + value))) % 10_000 / 10_000
    if version == 1:
        return fnv1a(value + seed) % 1_000 / 1_000
    return None


def equal_weights(n: int) -> list[float]:
    """The weights of n arms alike; none for n below 1."""
    return [1.0 / n] * n if n > 0 else []


def bucket_ranges(n: int, coverage: float = 1.0, weights: Sequence[float] | None = None) -> list[Range]:
    """The range of each of n arms.

    Parameters
    ----------
    coverage
        Share of each arm's range that is used, kept within 0 to 1. A larger one only adds units: nobody changes arms
        while an experiment ramps up.
    weights
        Equal ones stand in for weights of another number, or that do not add up to 1 within a hundredth.
    """
    share = min(max(coverage, 0.0), 1.0)
    if weights is None or len(weights) != n or abs(sum(weights) - 1.0) > _WEIGHT_SLACK:
        weights = equal_weights(n)
    ranges, start = list[Range](), 0.0
    for weight in weights:
        ranges.append((start, start + share * weight))
        start += weight
    return ranges


def within(place: float, span: Range) -> bool:
    """Whether a place lies in a range."""
    return span[0] <= place < span[1]


def choose(place: float, ranges: Sequence[Range]) -> int:
    """The first arm whose range holds a place; -1 where none does."""
    return next((arm for arm, span in enumerate(ranges) if within(place, span)), -1)


def in_namespace(value: str, name: str, span: Range) -> bool:
    """Whether a unit belongs to a part of a namespace. Parts that do not overlap share no unit."""
    place = bucket(f"__{name}", value, 1)
    return place is not None and within(place, span)

"""Who sees what: units are dealt to arms by hash, stay where they once were, and share nobody with experiments that
exclude each other. Prices are dealt by item and time instead of by person (switchback), so that nobody is told two
prices for the same thing at the same moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from palate.core import Settings
from palate.core.ids import id_hash
from palate.experiments.hashing import Range, bucket, bucket_ranges, choose, in_namespace

HOUR = 3_600.0

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Named = Annotated[str, Field(min_length=1, max_length=64)]

Identity = tuple[str, str]
"""What a unit is known by, and its value there: ``("user", "u42")``."""

Remembered = Mapping[Identity, Mapping[str, str]]
"""Of each identity: the arm by ``key__version`` of the experiment."""


class Namespace(Settings):
    """A part of the units, of which experiments that must not meet take one each.

    Parameters
    ----------
    name
        Experiments of one namespace divide it among themselves.
    low, high
        From, and up to but without.
    """

    name: Named
    low: Share = 0.0
    high: Share = 1.0

    @model_validator(mode="after")
    def _has_room(self) -> Namespace:
        if self.low >= self.high:
            raise ValueError(f"namespace {self.name!r} from {self.low:g} up to {self.high:g} holds nobody")
        return self

    @property
    def span(self) -> Range:
        """Its range."""
        return self.low, self.high

    def overlaps(self, other: Namespace) -> bool:
        """Whether anybody could be in both."""
        return self.name != other.name or (self.low < other.high and other.low < self.high)


class Holdout(Settings):
    """People who are left out of every experiment that names the same holdout, and of what these lead to.

    What all experiments together brought is then known: everybody against the held out.
    """

    name: Named
    share: Annotated[float, Field(gt=0, lt=1)]

    def holds(self, value: str) -> bool:
        """Whether a unit is held out."""
        place = bucket(f"holdout {self.name}", value)
        return place is not None and place < self.share


class RampStep(Settings):
    """From this day after the start on, this share of the units takes part."""

    day: Annotated[float, Field(ge=0)]
    coverage: Annotated[float, Field(gt=0, le=1)]


class Switchback(Settings):
    """Arms that change by item and time.

    Parameters
    ----------
    hours
        Length of a slot.
    washout_hours
        At the start of a slot nothing is counted for so long: what was seen before still works on people.
    """

    hours: Annotated[float, Field(gt=0, le=24 * 90)] = 24.0
    washout_hours: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _counts_something(self) -> Switchback:
        if self.washout_hours >= self.hours:
            raise ValueError(f"a washout of {self.washout_hours:g} h leaves nothing of slots of {self.hours:g} h")
        return self


@dataclass(frozen=True)
class Allocation:
    """How the units of one experiment are dealt.

    Parameters
    ----------
    key
        The experiment's name.
    arms, weights
        Names, and the share of each.
    seed
        Of the hash; the key where empty.
    attribute, fallback
        What units are known by, and what instead where that is not known. With a fallback somebody who signs in stays
        in the arm they saw before.
    version, least_version
        Of the dealing: another version deals anew; somebody dealt in a version below ``least_version`` is left out.
    sticky
        Remember where units were put, and put them there again.
    coverage
        Share of the units that take part.
    """

    key: str
    arms: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    seed: str = ""
    attribute: str = "user"
    fallback: str | None = None
    hash_version: int = 2
    version: int = 0
    least_version: int = 0
    sticky: bool = True
    coverage: float = 1.0
    namespace: Namespace | None = None
    holdout: Holdout | None = None

    def slot(self, version: int | None = None) -> str:
        """Under what an arm is remembered."""
        return f"{self.key}__{self.version if version is None else version}"


@dataclass(frozen=True, slots=True)
class Dealt:
    """A unit in an arm.

    Parameters
    ----------
    arm
        Position among the arms.
    bucket
        Where the unit's hash falls.
    identity
        What it was dealt by.
    remembered
        Whether it was put where it had been before.
    """

    arm: int
    bucket: float
    identity: Identity
    remembered: bool


def deal(allocation: Allocation, known: Mapping[str, str], remembered: Remembered | None = None) -> Dealt | None:
    """The arm of a unit, or None where it takes no part.

    Parameters
    ----------
    known
        What the unit is known by: ``{"user": "u42", "visitor": "v7"}``; what is empty counts as unknown.
    remembered
        Where its identities were put before. The first identity's word goes before that of the fallback.
    """
    fallback = allocation.fallback if allocation.sticky else None
    attribute = allocation.attribute if known.get(allocation.attribute) else fallback
    if attribute is None or not known.get(attribute):
        return None
    identity = (attribute, known[attribute])
    place = bucket(allocation.seed or allocation.key, identity[1], allocation.hash_version)
    if place is None:
        return None
    before = _assignments(allocation, known, remembered or {}) if allocation.sticky else {}
    if any(allocation.slot(version) in before for version in range(allocation.least_version)):
        return None
    stays = before.get(allocation.slot())
    if stays in allocation.arms:
        return Dealt(allocation.arms.index(str(stays)), place, identity, True)
    if not _takes_part(allocation, identity[1]):
        return None
    arm = choose(place, bucket_ranges(len(allocation.arms), allocation.coverage, allocation.weights))
    return None if arm < 0 else Dealt(arm, place, identity, False)


def _takes_part(allocation: Allocation, value: str) -> bool:
    if allocation.holdout is not None and allocation.holdout.holds(value):
        return False
    space = allocation.namespace
    return space is None or in_namespace(value, space.name, space.span)


def _assignments(allocation: Allocation, known: Mapping[str, str], remembered: Remembered) -> dict[str, str]:
    found: dict[str, str] = {}
    for attribute in (allocation.fallback, allocation.attribute):
        if attribute is not None and known.get(attribute):
            found |= remembered.get((attribute, known[attribute]), {})
    return found


def coverage_at(ramp: tuple[RampStep, ...], day: float) -> float:
    """Share of the units that take part on a day after the start; all of them where there is no ramp."""
    reached = [step.coverage for step in ramp if step.day <= day]
    return reached[-1] if reached else (0.0 if ramp else 1.0)


@dataclass(frozen=True, slots=True)
class Slotted:
    """An item in an arm for a while.

    Parameters
    ----------
    arm
        Position among the arms.
    unit
        Names item and slot; what happens to the item in the slot is this unit's outcome.
    begins, ends
        Seconds since 1970 UTC.
    counts
        False during the washout.
    """

    arm: int
    unit: str
    begins: float
    ends: float
    counts: bool


def switched(allocation: Allocation, switchback: Switchback, item: str, when: float, start: float) -> Slotted | None:
    """The arm of an item at a time; None before the start, and of items outside the experiment's part of a namespace.

    Arms of equal weights come in blocks: in as many slots as there are arms, each item has each arm once, in an order
    drawn anew for every block, so that items and hours of the day are balanced. Others are drawn slot by slot.

    Parameters
    ----------
    when, start
        Seconds since 1970 UTC.
    """
    space = allocation.namespace
    if when < start or (space is not None and not in_namespace(item, space.name, space.span)):
        return None
    length = switchback.hours * HOUR
    slot = int((when - start) // length)
    seed, n = allocation.seed or allocation.key, len(allocation.arms)
    weights = allocation.weights or (1.0,) * n
    if max(weights) - min(weights) < 1e-9:
        block, place = divmod(slot, n)
        arm = sorted(range(n), key=lambda own: id_hash(f"{seed}|{item}|{block}|{own}"))[place]
    else:
        arm = choose((id_hash(f"{seed}|{item}|{slot}") >> 11) * 2.0**-53, bucket_ranges(n, 1.0, weights))
        arm = n - 1 if arm < 0 else arm  # weights may add up to a little less than 1
    begins = start + slot * length
    settled = when >= begins + switchback.washout_hours * HOUR
    return Slotted(arm, f"{item}|{slot}", begins, begins + length, settled)

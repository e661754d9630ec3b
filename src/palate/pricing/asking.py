"""What a price is asked with, and what is answered."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from palate.core import UsageError

MOST_ITEMS = 200


@dataclass(frozen=True)
class PriceArm:
    """Where an experiment put the price of an item.

    Parameters
    ----------
    experiment, arm
        Their names.
    pricing
        The policy's kind; None: the shop's own.
    unit
        What was dealt: an item and its slot of time, or "" for the person who asks.
    """

    experiment: str
    arm: str
    pricing: str | None
    unit: str = ""

    @property
    def of_person(self) -> bool:
        """Whether it was dealt to the person who asks; others may be asked another price at the same time."""
        return not self.unit


@dataclass(frozen=True)
class Question:
    """What should these cost, for whom, where.

    Parameters
    ----------
    items
        External ids, at most 200.
    person
        A pseudonym, "" for nobody. Without one nothing personal enters: there is no key to seal it under.
    user
        The name under which the engine knows this person, for its score.
    told
        Inputs by name: numbers or truth values.
    session
        Of a visit; prices are held within it.
    segment
        The merchant's word for a group of people, for its parity.
    jurisdiction
        ISO 3166, such as ``CN`` or ``US-NY``; None: the shop's own.
    consent
        Whether this person agreed to prices from personal data.
    currency
        Refused where it is not the shop's; "" where not said.
    language
        Of what is disclosed.
    arms
        Of each item, where an experiment put it, None where none did; empty: no experiment is on.
    """

    items: tuple[str, ...]
    person: str = ""
    user: str | None = None
    told: Mapping[str, float] = field(default_factory=dict)
    session: str = ""
    segment: str = ""
    jurisdiction: str | None = None
    consent: bool = False
    currency: str = ""
    language: str = "en"
    arms: tuple[PriceArm | None, ...] = ()

    @property
    def key(self) -> Hashable:
        """What tells one question from another."""
        own = (
            self.items,
            self.person,
            self.user,
            self.session,
            self.segment,
            self.jurisdiction,
            self.consent,
            self.arms,
        )
        return *own, self.currency, self.language, *sorted(self.told.items())

    def check(self, currency: str) -> None:
        """Refuse what cannot be answered.

        Raises
        ------
        UsageError
            Nothing is asked, too much is, or in another currency.
        """
        if not self.items:
            raise UsageError("no items are named; name those to be priced.")
        if len(self.items) > MOST_ITEMS:
            raise UsageError(f"{len(self.items):,} items are named; {MOST_ITEMS} at most in one question.")
        if len(set(self.items)) != len(self.items):
            raise UsageError("an item is named twice; name each once.")
        if self.currency and self.currency != currency:
            raise UsageError(f"prices here are in {currency}, not {self.currency}; nothing is converted.")
        if self.language not in ("en", "zh"):
            raise UsageError(f"language {self.language!r}: palate speaks en and zh.")
        for name, value in self.told.items():
            if not math.isfinite(value):
                raise UsageError(f"the input {name!r} is {value!r}; send a finite number or a truth value.")


@dataclass(frozen=True)
class Line:
    """The price of one item.

    Parameters
    ----------
    price, list_price, low, high
        In ``currency``; None where the list price is unknown, and with it everything.
    personal
        Whether personal inputs entered it.
    disclosure
        What must be shown beside it; "" for nothing.
    lowest_before
        The lowest price of the days before, where it must be shown beside a discount.
    clips
        What changed the policy's wish, see ``palate.pricing.guardrails.Clip``.
    experiment
        Name and arm of the experiment that decided by which policy it was made; None: none did.
    """

    item: str
    price: float | None
    list_price: float | None
    low: float | None
    high: float | None
    currency: str
    personal: bool
    disclosure: str
    lowest_before: float | None
    clips: tuple[str, ...]
    experiment: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Quote:
    """Prices, and under which decision they can be looked up.

    Parameters
    ----------
    decision_id
        "" where nothing was decided because it could not have been recorded; all prices are list prices then.
    at, valid_until
        Seconds since 1970 UTC.
    pack
        The policy pack that held.
    left_out
        Inputs that were told and not used, and why.
    """

    decision_id: str
    at: float
    valid_until: float
    jurisdiction: str
    pack: str
    lines: tuple[Line, ...]
    disclosure: str
    degraded: bool
    left_out: Mapping[str, str]

    def prices(self, items: Sequence[str]) -> list[float | None]:
        """The prices of these items, None where there is none."""
        found = {line.item: line.price for line in self.lines}
        return [found.get(item) for item in items]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("decision_id", "at", "valid_until", "jurisdiction", "pack", "disclosure", "degraded")
        return {
            **{name: getattr(self, name) for name in names},
            "prices": [{"item_id": line.item, **{name: getattr(line, name) for name in _TOLD}} for line in self.lines],
            "left_out": dict(self.left_out),
        }

    @cached_property
    def body(self) -> bytes:
        """``as_json`` as JSON, written once however often the quote is given."""
        return orjson.dumps(self.as_json())


_TOLD = tuple(name for name in Line.__dataclass_fields__ if name != "item")

"""How a shop prices: ``[pricing]`` of ``palate.toml``. Off unless it says so."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from palate.core import Settings
from palate.pricing.demand import DemandSettings
from palate.pricing.guardrails import GuardSettings
from palate.pricing.packs import is_protected
from palate.pricing.settings import PolicySettings


class Input(Settings):
    """Something besides the price that demand may depend on.

    Parameters
    ----------
    name
        Of the column; what comes with a request or stands in the catalogue is looked up under it.
    source
        ``item``: a number of the catalogue; ``request``: told with the question; ``clock``: one of ``hour_sin``,
        ``hour_cos``, ``weekend``; ``list``: the logarithm of the list price; ``score``: how well the engine thinks
        that the item suits this person; ``willingness``: how dear a thing they would take, read from what they did.
    personal
        Whether it comes from a person. The last two always do; what is told with a question does unless this denies it.
    """

    name: str = Field(min_length=1, max_length=64)
    source: Literal["item", "request", "clock", "list", "score", "willingness"] = "request"
    personal: bool = True

    @field_validator("name")
    @classmethod
    def _not_protected(cls, name: str) -> str:
        if is_protected(name):
            raise ValueError(f"{name!r} names a protected attribute; no price may depend on it")
        return name

    @model_validator(mode="after")
    def _known_clock(self) -> Self:
        if self.source == "clock" and self.name not in CLOCK:
            raise ValueError(f"{self.name!r} is nothing a clock tells; it tells {', '.join(CLOCK)}")
        return self

    @property
    def from_person(self) -> bool:
        """Whether it comes from a person."""
        return self.tells_willingness or (self.source == "request" and self.personal)

    @property
    def tells_willingness(self) -> bool:
        """Whether it is a guess at what somebody would take."""
        return self.source in WILLING


CLOCK = ("hour_sin", "hour_cos", "weekend")
WILLING = ("score", "willingness")
"""Sources that guess what somebody would take."""


class WillingnessUse(Settings):
    """Whether guesses at what somebody would take may enter a price.

    Parameters
    ----------
    enabled
        Off, inputs of the sources ``score`` and ``willingness`` are 0, whoever agreed, and nobody's history is read.
    reader
        A folder written by ``palate willingness``; "": none, and inputs of the source ``willingness`` are 0.
    """

    enabled: bool = True
    reader: str = ""


class LearningSettings(Settings):
    """How demand goes on learning while the shop sells.

    Only asks of named people teach: whether somebody unnamed bought is not known. Sales come in by ``/v1/events``, with
    the decision's id as their ``recommendation_id`` where the shop has it.

    Parameters
    ----------
    seconds
        Between two turns; 0: nothing is learnt.
    window_hours
        How long after an ask a sale still belongs to it. So old an ask is before it teaches anything.
    kind
        Of event that is a sale.
    most
        Decisions a turn takes up at most; what is left waits for the next.
    """

    seconds: float = Field(default=600.0, ge=0)
    window_hours: float = Field(default=24.0, gt=0, le=24 * 90)
    kind: str = "purchase"
    most: int = Field(default=5_000, ge=1)


class PricingSettings(Settings):
    """How a shop prices.

    Parameters
    ----------
    enabled
        Nothing is priced otherwise.
    currency
        Of all prices, costs and bounds; items in another are sold at their list price.
    jurisdiction
        Whose law holds where a question names none; "": the neutral pack.
    policy
        Who proposes prices: the list price unless it says otherwise.
    demand, belief
        What is believed of demand before the first sale; a folder of what was learnt elsewhere, "" for nothing yet.
    learning
        How demand goes on learning; what it learnt lies beside the decisions and goes before ``belief``.
    rungs
        Prices a policy chooses among.
    inputs
        What demand may depend on.
    willingness
        Whether guesses at what somebody would take may be among them.
    guard
        How far prices may move.
    elasticities
        A file written by ``palate elasticity --json``, for the page that looks ahead; "": none.
    prices
        A CSV file with ``item_id`` and any of ``list_price``, ``cost``, ``floor``, ``ceiling``, ``currency``; goes
        before columns of the catalogue with these names (``price`` is the list price there).
    packs
        A folder of policy packs of the shop's own.
    zone
        The time zone of ``clock`` inputs.
    log
        The decisions' file; "": ``prices.sqlite`` beside the event log.
    valid_seconds
        How long a quoted price is good for.
    keep_days
        How long decisions are kept; longer where a pack asks for it.
    max_decisions
        Decisions kept at most, whatever their age.
    remembered, remembered_quotes
        Prices shown last, and quotes, that are remembered.
    """

    enabled: bool = False
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    jurisdiction: str = ""
    policy: PolicySettings = Field(default_factory=lambda: PolicySettings(kind="fixed"))
    demand: DemandSettings = Field(default_factory=DemandSettings)
    belief: str = ""
    learning: LearningSettings = Field(default_factory=LearningSettings)
    rungs: int = Field(default=21, ge=2, le=200)
    inputs: tuple[Input, ...] = ()
    willingness: WillingnessUse = Field(default_factory=WillingnessUse)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    elasticities: str = ""
    prices: str = ""
    packs: str = ""
    zone: str = "UTC"
    log: str = ""
    valid_seconds: float = Field(default=900.0, gt=0, le=1e7)
    keep_days: float = Field(default=1_095.0, ge=30)
    max_decisions: int = Field(default=10_000_000, ge=1)
    remembered: int = Field(default=200_000, ge=1)
    remembered_quotes: int = Field(default=20_000, ge=0)

    @field_validator("guard")
    @classmethod
    def _no_protected_segment(cls, guard: GuardSettings) -> GuardSettings:
        for name in guard.segments:
            if is_protected(name):
                raise ValueError(f"the segment {name!r} names a protected attribute; no price may depend on it")
        return guard

    @field_validator("inputs")
    @classmethod
    def _no_name_twice(cls, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        names = [each.name for each in inputs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two inputs are called {twice[0]!r}")
        return inputs

"""What an experiment sets out to find, fixed before it runs, and what was seen at each look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from palate.core import Settings
from palate.experiments.discovery import Correction
from palate.experiments.group_sequential import Spending
from palate.experiments.metrics import Metric

Design = Literal["always-valid", "group-sequential", "fixed"]
"""When an answer may be read: at any look, at looks that spend the error rate between them, at the end alone."""

Share = Annotated[float, Field(gt=0)]


class Plan(Settings):
    """How an experiment is judged. It is an agreement made beforehand: whoever changes it on the way starts anew.

    Parameters
    ----------
    control
        The arm that the others are compared with.
    shares
        Units each arm is given, the control included; they need not add up to 1.
    metrics
        What is compared. Those with the role ``goal`` decide, the first of them among several winners.
    planned_units
        Units of all arms together at the planned end; see ``power.units_needed``.
    design
        ``always-valid`` may be read at any time, ``group-sequential`` at looks of its own and with more power,
        ``fixed`` at the end alone.
    spending
        How a group-sequential design spends its error rate.
    alpha
        Error rate of goals, and again of what is watched.
    correction
        For many goals and arms.
    guard_alpha
        Chance that any guard-rail ever stops an arm that does no harm; divided among guard-rails and arms.
    mismatch_alpha
        Chance that the gate ever closes on an experiment whose arms are as they should be.
    max_in_two_arms
        Share of units seen in more than one arm from which on the gate closes. Fewer are left out and told.
    min_units
        Units an arm needs before it is compared: all intervals are those of large samples.
    covariate_days
        Days before exposure that covariates are taken from.
    since
        Seconds since 1970 UTC; units first exposed earlier are left out, as after a change of the shares.
    safety_first
        An arm wins only once every guard-rail is shown to hold, not merely not shown to break.
    """

    control: str
    shares: Mapping[str, Share]
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]
    planned_units: Annotated[int, Field(ge=2)]
    design: Design = "always-valid"
    spending: Spending = "obrien-fleming"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    correction: Correction = "benjamini-hochberg"
    guard_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    mismatch_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    max_in_two_arms: Annotated[float, Field(ge=0, lt=1)] = 0.005
    min_units: Annotated[int, Field(ge=2)] = 100
    covariate_days: Annotated[float, Field(gt=0)] = 28.0
    since: float | None = None
    safety_first: bool = False

    @model_validator(mode="after")
    def _coherent(self) -> Plan:
        if len(self.shares) < 2 or self.control not in self.shares:
            raise ValueError(f"an experiment has two arms at least, {self.control!r} (the control) among them")
        names = [metric.name for metric in self.metrics]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"metric {repeated[0]!r} is there twice; each is compared once, under a name of its own")
        return self

    @property
    def treatments(self) -> tuple[str, ...]:
        """The arms other than the control."""
        return tuple(arm for arm in self.shares if arm != self.control)

    @property
    def guards(self) -> tuple[Metric, ...]:
        """The metrics that stop an arm."""
        return tuple(metric for metric in self.metrics if metric.role == "guard-rail")

    def fraction(self, arm: str, units: int) -> float:
        """Share of the units planned for an arm and the control together that ``units`` of them are."""
        pair = (self.shares[arm] + self.shares[self.control]) / sum(self.shares.values())
        return units / (self.planned_units * pair)


class Sight(Settings):
    """One comparison as it stood at one look: estimate over its error, and share of the planned units seen."""

    z: float
    fraction: float


class Look(Settings):
    """What a look leaves behind. Kept (as JSON, ``model_dump_json``) and handed to the next look, so that what was
    decided stays decided and error that was spent stays spent.

    Parameters
    ----------
    time
        Seconds since 1970 UTC.
    units
        Units exposed, all arms together.
    seen
        By ``metric/arm``.
    breached
        Guard-rails broken so far, as ``metric/arm``.
    mismatched
        Whether the gate has closed on a mismatch.
    """

    time: float
    units: int
    seen: Mapping[str, Sight] = {}
    breached: tuple[str, ...] = ()
    mismatched: bool = False

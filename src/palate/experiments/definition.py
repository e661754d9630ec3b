"""What an experiment is: declared once, then frozen. Whoever changes it on the way has another experiment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from palate.core import Settings, UsageError
from palate.core.configuration import complaint, read_toml
from palate.data.log_rows import canonical
from palate.engine.strategy import Strategy
from palate.experiments import metrics as usual
from palate.experiments.assignment import Allocation, Holdout, Namespace, RampStep, Switchback
from palate.experiments.metrics import Metric
from palate.experiments.plan import Plan
from palate.ranking.mixes import Mix

USUAL = {name: getattr(usual, name) for name in ("click_through", "conversion", "retention", "revenue", "satisfaction")}
"""Metrics that a name is enough for."""

Surface = Literal["lists", "prices"]
"""What an arm changes. Experiments that change the same must not meet in one person."""

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Parameters(Settings):
    """What is served. All of it left out: the engine as it is, its own mix or bandit, the list price.

    Parameters
    ----------
    mix
        How candidates become a list.
    strategy
        The whole chain from interest to a list, in place of a mix.
    pricing
        Name of a pricing policy.
    """

    mix: Mix | None = None
    strategy: Strategy | None = None
    pricing: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    @model_validator(mode="after")
    def _one_way_to_a_list(self) -> Parameters:
        if self.mix is not None and self.strategy is not None:
            raise ValueError("a strategy orders its own list; name a mix or a strategy, not both")
        return self

    @property
    def surfaces(self) -> frozenset[Surface]:
        """What they change."""
        lists: set[Surface] = {"lists"} if self.mix is not None or self.strategy is not None else set()
        return frozenset(lists | ({"prices"} if self.pricing is not None else set()))


class Policy(Settings):
    """What is served to whoever is in no experiment.

    Parameters
    ----------
    experiment, arm
        What it was concluded from; empty where nothing was concluded yet.
    holdout
        Who goes on with the engine as it is.
    """

    parameters: Parameters = Field(default_factory=Parameters)
    experiment: str = ""
    arm: str = ""
    holdout: Holdout | None = None


class Arm(Settings):
    """One way of serving.

    Parameters
    ----------
    weight
        Share of the units, against those of the other arms.
    parameters
        What is served; what is in force when the experiment starts where left out.
    """

    name: Annotated[str, Field(pattern=NAME)]
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    parameters: Parameters | None = None


class Experiment(Settings):
    """The declaration of an experiment.

    Parameters
    ----------
    hypothesis
        What is expected and why, in a sentence, written down beforehand.
    arms
        The first is the control.
    unit
        What is dealt: people, or an item for a while (of prices; see ``Switchback``).
    plan
        How it is judged. Control and shares follow from the arms; usual metrics may go by their names alone.
    days
        After so many days it stops by itself.
    ramp
        Who takes part when; everybody from the start where there is none.
    decides
        ``itself``: concluded as soon as the plan says so; ``people``: by whoever says ``conclude``.
    look_hours
        Between two looks of an always-valid design.
    looks
        Of a group-sequential design, evenly spread over the planned units.
    hold_back
        Share of the units that keep what was served before once an arm has won, so that its guard-rails stay watched;
        0 watches nothing.
    follows
        The experiment whose conclusion this one watches; written by palate alone.
    """

    name: Annotated[str, Field(pattern=NAME)]
    hypothesis: Annotated[str, Field(max_length=2_000)] = ""
    arms: Annotated[tuple[Arm, ...], Field(min_length=2, max_length=16)]
    unit: Literal["user", "item-time"] = "user"
    plan: Plan
    days: Annotated[float, Field(gt=0, le=730)] = 28.0
    seed: Annotated[str, Field(max_length=64)] = ""
    ramp: tuple[RampStep, ...] = ()
    namespace: Namespace | None = None
    holdout: Holdout | None = None
    switchback: Switchback | None = None
    decides: Literal["people", "itself"] = "people"
    look_hours: Annotated[float, Field(ge=0)] = 1.0
    looks: Annotated[int, Field(ge=1, le=100)] = 5
    hold_back: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    follows: str = ""

    @model_validator(mode="before")
    @classmethod
    def _plan_from_arms(cls, told: Any) -> Any:
        if not isinstance(told, Mapping) or not isinstance(told.get("plan"), Mapping):
            return told
        arms = [arm if isinstance(arm, Mapping) else arm.model_dump() for arm in told.get("arms", ())]
        plan = dict(told["plan"])
        if arms and all("name" in arm for arm in arms):
            shares = {arm["name"]: arm.get("weight", 1.0) for arm in arms}
            for key, follows in (("control", arms[0]["name"]), ("shares", shares)):
                if key in plan and plan[key] != follows:
                    raise ValueError(f"plan: {key} follows from the arms ({follows!r}); leave it out")
                plan[key] = follows
        plan["metrics"] = [_metric(own) for own in plan.get("metrics", ())]
        return {**told, "plan": plan}

    @model_validator(mode="after")
    def _coherent(self) -> Experiment:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("two arms have the same name; their units could not be told apart")
        if self.plan.control != names[0] or set(self.plan.shares) != set(names):
            raise ValueError("the plan's control and shares are not those of the arms")
        if (self.unit == "item-time") != (self.switchback is not None):
            raise ValueError("a unit of item and time needs a [switchback], and nothing else has one")
        if self.unit == "item-time" and self.surfaces != {"prices"}:
            raise ValueError("items switch prices and nothing else; lists are dealt by person")
        if [step.day for step in self.ramp] != sorted({step.day for step in self.ramp}):
            raise ValueError("days of a ramp rise from step to step")
        if [step.coverage for step in self.ramp] != sorted(step.coverage for step in self.ramp):
            raise ValueError("a ramp that falls takes people out whom it had let in; stop the experiment instead")
        if not self.surfaces:
            raise ValueError("no arm says what it serves: give one a mix, a strategy or a pricing policy")
        return self

    @property
    def surfaces(self) -> frozenset[Surface]:
        """What its arms change; lists, where an arm says outright that it serves the engine as it is."""
        said = [arm.parameters for arm in self.arms if arm.parameters is not None]
        changed = frozenset[Surface]().union(*(own.surfaces for own in said))
        return changed or (frozenset({"lists"}) if said else changed)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole declaration, hexadecimal."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()

    def allocation(self, coverage: float = 1.0) -> Allocation:
        """How its units are dealt."""
        total = sum(arm.weight for arm in self.arms)
        return Allocation(
            key=self.name,
            arms=tuple(arm.name for arm in self.arms),
            weights=tuple(arm.weight / total for arm in self.arms),
            seed=self.seed,
            fallback="visitor",
            coverage=coverage,
            namespace=self.namespace,
            holdout=self.holdout,
        )

    def arm(self, name: str) -> Arm:
        """An arm by name.

        Raises
        ------
        UsageError
            There is none.
        """
        found = next((arm for arm in self.arms if arm.name == name), None)
        if found is None:
            raise UsageError(
                f"experiment {self.name!r} has no arm {name!r}; there are {', '.join(arm.name for arm in self.arms)}."
            )
        return found


def read_experiment(path: Path) -> Experiment:
    """A declaration from a TOML file.

    Raises
    ------
    UsageError
        The file is missing or says something that makes no sense; the message says what.
    """
    return told_experiment(read_toml(path), str(path))


def told_experiment(values: Mapping[str, Any], where: str) -> Experiment:
    """A declaration from plain values.

    Raises
    ------
    UsageError
        They make no sense; the message says what, beginning with ``where``.
    """
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            place = ".".join(str(part) for part in problem["loc"])
            lines.append(f"{where}: {place + ': ' if place else ''}{complaint(problem)}.")
        raise UsageError("\n".join(dict.fromkeys(lines))) from None


def changes(old: Experiment, new: Experiment) -> list[str]:
    """What differs between two declarations, as ``plan.alpha: 0.05 -> 0.1``."""
    one, other = _leaves(old.model_dump(mode="json")), _leaves(new.model_dump(mode="json"))
    return [
        f"{name}: {one.get(name, 'nothing')} -> {other.get(name, 'nothing')}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]


def _leaves(values: Any, path: str = "") -> dict[str, Any]:
    if isinstance(values, Mapping):
        pairs = [(str(name), value) for name, value in values.items()]
    elif isinstance(values, list):
        pairs = [(str(place), value) for place, value in enumerate(values)]
    else:
        return {path: values}
    found: dict[str, Any] = {}
    for name, value in pairs:
        found |= _leaves(value, f"{path}.{name}" if path else name)
    return found


def _metric(told: Any) -> Any:
    """A metric of which the usual name says how it is measured, and the rest how it counts."""
    own = {"name": told} if isinstance(told, str) else told
    if not isinstance(own, Mapping) or own.get("numerator") is not None or own.get("name") not in USUAL:
        return own
    days = {"days": own["days"]} if "days" in own else {}
    made: Metric = USUAL[own["name"]](**days)
    return {**made.model_dump(), **{key: value for key, value in own.items() if key != "days"}}

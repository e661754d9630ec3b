"""The log of decisions: every price with all it rested on, chained, sealed where personal, and doable again.

The mechanism is the event log's (``palate.data.event_log``), in a file of its own with a retention of its own: the
chain, the seals under each person's key, the bound. What is written here are the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash

from palate.core import BoolArray, Float64Array
from palate.data.event_log import Entry, EventLog, EventLogSettings, Row
from palate.data.log_rows import canonical
from palate.pricing.asking import PriceArm
from palate.pricing.beliefs import Earlier
from palate.pricing.deciding import Case, Outcome, Way, decide_apart
from palate.pricing.guardrails import GuardSettings, Rails
from palate.privacy import Vault

__all__ = ["Decision", "DecisionLog", "Repeated", "Rules", "repeat", "replayed"]

_RAILS = tuple(each.name for each in fields(Rails) if each.name not in ("usable", "same_currency", "now"))
_SHOWN = ("shown_price", "shown_at", "hold", "parity", "public_price", "public_at", "public_hold")
"""What a personal decision's rails tell of the person."""
_FLAGS = ("usable", "same_currency")
_OUTCOME = tuple(each.name for each in fields(Outcome) if each.name != "clips")


@dataclass(frozen=True)
class Rules:
    """How prices were to be made at a time: everything but the case.

    Parameters
    ----------
    guard, rungs
        The guard-rails, and among how many prices was chosen.
    policy, model
        The policy's name and the version of what it believes.
    settings, packs
        All settings and policy packs, as JSON values.
    """

    guard: GuardSettings
    rungs: int
    policy: str
    model: str
    settings: Mapping[str, Any]
    packs: Mapping[str, Any]

    @property
    def written(self) -> dict[str, Any]:
        """As JSON values."""
        return {**{each.name: getattr(self, each.name) for each in fields(self)}, "guard": self.guard.model_dump()}

    @property
    def version(self) -> str:
        """Sixteen hexadecimal digits; other rules have others."""
        return xxhash.xxh3_64_hexdigest(canonical(self.written))

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Rules from what ``written`` wrote."""
        return cls(**{**body, "guard": GuardSettings.model_validate(body["guard"])})


@dataclass(frozen=True)
class Decision:
    """One decision as it is logged.

    Parameters
    ----------
    case, outcome
        What it rested on and what came of it. The case's personal features are NaN where they were erased.
    items
        External ids.
    rules
        Version of the rules.
    subject
        Pseudonym of the person, "" for nobody.
    owned
        Whether the price shown last was this person's own.
    personal
        bool of each price: personal inputs entered it.
    facts
        Jurisdiction, pack, consent, language, disclosures: JSON values that are no secret.
    erased
        Read back after the person's key was destroyed.
    arms, by
        Of each item, where an experiment put it, and the version of the rules that its price was made by; both empty
        where no experiment had a say.
    """

    case: Case
    outcome: Outcome
    items: tuple[str, ...]
    rules: str
    subject: str
    owned: bool
    personal: tuple[bool, ...]
    facts: Mapping[str, Any]
    erased: bool = False
    arms: tuple[PriceArm | None, ...] = ()
    by: tuple[str, ...] = ()

    def entry(self) -> Entry:
        """The row of the log."""
        case, rails = self.case, self.case.rails
        columns = dict(zip(case.names, np.ascontiguousarray(case.features.T), strict=True))
        private = {name for name, own in zip(case.names, case.personal, strict=True) if own}
        told = {name: getattr(rails, name) for name in (*_RAILS, *_FLAGS) if not (self.owned and name in _SHOWN)}
        body = {
            "now": rails.now,
            "items": self.items,
            "positions": case.items,
            "rails": told,
            "features": {name: values for name, values in columns.items() if name not in private},
            "names": case.names,
            "private": case.personal,
            "rules": self.rules,
            "owned": self.owned,
            "personal": self.personal,
            "uses": case.uses_personal,
            "outcome": {name: getattr(self.outcome, name) for name in _OUTCOME},
            "clips": self.outcome.clips,
            "facts": self.facts,
        }
        if self.arms:
            body["arms"] = [None if arm is None else asdict(arm) for arm in self.arms]
            body["by"] = self.by
        sealed: dict[str, Any] | None = None
        if self.subject and (self.owned or bool(case.uses_personal.any())):
            sealed = {"features": {name: columns[name] for name in case.names if name in private}}
            if self.owned:
                sealed["rails"] = {name: getattr(rails, name) for name in _SHOWN}
        return Entry("price", case.id, self.subject, body, sealed)

    @classmethod
    def read(cls, row: Row) -> Self:
        """The decision in a row."""
        body, sealed = row.body, row.personal or {}
        n = len(body["items"])
        arms = tuple(None if arm is None else PriceArm(**arm) for arm in body.get("arms", ()))
        rails = {**body["rails"], **sealed.get("rails", {})}
        columns = {**body["features"], **sealed.get("features", {})}
        missing = np.nan if row.erased else 0.0
        features = np.empty((n, len(body["names"])), dtype=np.float32)
        for place, name in enumerate(body["names"]):
            features[:, place] = _floats(columns.get(name), n, missing)
        case = Case(
            row.id,
            np.array(body["positions"], dtype=np.int32),
            Rails(
                **{name: _floats(rails.get(name), n) for name in _RAILS},
                usable=np.array(rails["usable"], dtype=np.bool_),
                same_currency=np.array(rails["same_currency"], dtype=np.bool_),
                now=float(body["now"]),
            ),
            features,
            tuple(body["names"]),
            tuple(body["private"]),
            dealt_of(arms),
        )
        outcome = Outcome(
            clips=np.array(body["clips"], dtype=np.uint32),
            **{name: _floats(body["outcome"].get(name), n) for name in _OUTCOME},
        )
        return cls(
            case, outcome, tuple(body["items"]), body["rules"], row.subject, body["owned"], tuple(body["personal"]),
            body["facts"], row.erased, arms, tuple(body.get("by", ())),
        )  # fmt: skip


def dealt_of(arms: Sequence[PriceArm | None]) -> BoolArray | None:
    """Which prices an experiment dealt to the person who asks, bool (n,); None: none of them."""
    dealt = [arm is not None and arm.of_person for arm in arms]
    return np.array(dealt) if any(dealt) else None


@dataclass(frozen=True)
class Repeated:
    """A decision done again: whether every number is the same to the bit, and in words what is not."""

    id: str
    same: bool
    problem: str = ""


def repeat(decision: Decision, rules: Mapping[str, Rules], policies: Earlier) -> Repeated:
    """Do a decision again and compare every number of its outcome, bit for bit.

    Parameters
    ----------
    rules
        By version.
    policies
        The policy of a model version, None where it is not here.
    """
    name = decision.case.id
    if decision.erased:
        return Repeated(name, False, "what it rested on was erased with the person's key; its row is as it was written")
    ways: dict[str, Way] = {}
    for version in dict.fromkeys((decision.rules, *decision.by)):
        own = rules.get(version)
        if own is None:
            return Repeated(name, False, f"the log no longer holds the rules {version}")
        policy = policies(own.model)
        if policy is None:
            return Repeated(name, False, f"the model {own.model} of the policy {own.policy!r} is not here")
        ways[version] = Way(policy, own.guard, own.rungs)
    again = decide_apart(decision.case, *ways_of(decision.rules, decision.arms, decision.by, ways))
    for each in fields(Outcome):
        one, other = getattr(decision.outcome, each.name), getattr(again, each.name)
        if _without_nans(one).tobytes() != _without_nans(other).tobytes():
            return Repeated(name, False, f"{each.name} was {one.tolist()} and is {other.tolist()}")
    return Repeated(name, True)


def ways_of(
    rules: str, arms: Sequence[PriceArm | None], by: Sequence[str], ways: Mapping[str, Way]
) -> tuple[dict[str, Way], tuple[str, ...]]:
    """In which way each price of a decision is made, as ``decide_apart`` takes it.

    Parameters
    ----------
    rules
        The version in force.
    arms, by
        As in ``Decision``; where both are empty, one name stands for all prices.
    ways
        By version of the rules.
    """
    if not by:
        return {rules: ways[rules]}, (rules,)
    chosen = tuple(
        f"{version} to one" if arm is not None and arm.of_person else version
        for arm, version in zip(arms, by, strict=True)
    )
    to_one = {
        name: replace(ways[version], strangers=ways[rules].policy)
        for name, version in zip(chosen, by, strict=True)
        if name != version
    }
    return {**ways, **to_one}, chosen


def replayed(path: Path, vault: Vault, policies: Earlier) -> tuple[int, int, list[Repeated]]:
    """Every decision of a log done again.

    Parameters
    ----------
    policies
        The policy of a model version, None where it is not here.

    Returns
    -------
    How many are the same to the bit, how many cannot be done again because what they rested on was erased, and those
    that differ or cannot be done for want of rules or a model.
    """
    with EventLog(path, vault) as log:
        known = _rules(log)
        same, erased, others = 0, 0, []
        for decision in map(Decision.read, log.replay(("price",))):
            result = repeat(decision, known, policies)
            same, erased = same + result.same, erased + decision.erased
            if not (result.same or decision.erased):
                others.append(result)
    return same, erased, others


def _rules(log: EventLog) -> dict[str, Rules]:
    return {row.id.split(":")[0]: Rules.read(row.body) for row in log.replay(("rules",))}


class DecisionLog:
    """Decisions in a file, oldest first; thread-safe as the event log is.

    Parameters
    ----------
    keep_days, max_decisions
        Retention; older ones go from the front, and the chain says where it now starts.
    clock
        Seconds since 1970 UTC.
    """

    def __init__(
        self, path: str | Path, vault: Vault, *, keep_days: float, max_decisions: int, clock: Callable[[], float]
    ) -> None:
        settings = EventLogSettings(max_rows=max_decisions, max_age_days=keep_days)
        self.log = EventLog(path, vault, settings=settings, clock=clock)

    def note(self, decision: Decision) -> None:
        """Write a decision down soon; ``LogFullError`` where that cannot be."""
        self.log.record(decision.entry())

    def note_rules(self, rules: Rules, mark: str) -> None:
        """Write rules down; ``mark`` tells one time they are written from another."""
        self.log.record(Entry("rules", f"{rules.version}:{mark}", "", rules.written))

    def find(self, name: str) -> Decision | None:
        """A decision by its id, None where it is unknown or past retention."""
        row = self.log.find("price", name)
        if row is None and self.log.waiting:
            self.log.flush()
            row = self.log.find("price", name)
        return None if row is None else Decision.read(row)

    def decisions(self, since: float = 0.0) -> Iterator[Decision]:
        """All decisions, oldest first, from a time on."""
        return map(Decision.read, self.log.replay(("price",), since=since))

    def rules(self) -> dict[str, Rules]:
        """All rules in the log, by version."""
        return _rules(self.log)

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.log.close()


def _floats(values: Any, n: int, missing: float = np.nan) -> Float64Array:
    """Numbers from JSON, where NaN is null; ``missing`` where there are none."""
    if values is None:
        return np.full(n, missing)
    return np.array(values, dtype=np.float64)


def _without_nans(values: Float64Array) -> Float64Array:
    """The same with one kind of NaN: JSON keeps its place, not its payload."""
    return np.where(np.isnan(values), np.nan, values)

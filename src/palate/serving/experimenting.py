"""Experiments on the path of a request: whom an arm is served, what is in force for the others, and who notes it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from palate.core import UsageError
from palate.data.event_log import EventLog
from palate.experiments.assignment import Allocation, coverage_at, deal, switched
from palate.experiments.definition import Parameters, Policy
from palate.experiments.exposures import ExposureLog
from palate.experiments.loop import Loop
from palate.experiments.store import Experiments, Record
from palate.pricing.asking import PriceArm
from palate.privacy import Vault
from palate.ranking.mixes import Mix
from palate.serving.schemas import BESIDE_STRATEGY, RecommendRequest

_logger = logging.getLogger("palate.experiments")
_BESIDE = BESIDE_STRATEGY | {"visitor_id"}


class Mixes(Protocol):
    """Of an engine: whether it can make lists in some way."""

    def check_mix(self, mix: Mix) -> None: ...


class Prices(Protocol):
    """Of who quotes prices: whether it knows a policy, and that it goes by one, and by others in arms, from now on."""

    def refuses(self, pricing: str) -> str: ...

    def go_by(self, pricing: str | None, arms: frozenset[str | None] = frozenset()) -> None: ...


@dataclass(frozen=True, slots=True)
class Serving:
    """How a question is served.

    Parameters
    ----------
    key
        Tells one way from another where answers are remembered.
    experiment, arm
        What the asker was exposed to; "" where they are in no experiment.
    """

    parameters: Parameters
    key: str
    experiment: str = ""
    arm: str = ""

    @property
    def note(self) -> dict[str, str] | None:
        """What an answer and the log say of it."""
        return {"name": self.experiment, "arm": self.arm} if self.experiment else None


@dataclass(frozen=True)
class _Ready:
    """A running experiment, ready to be dealt from."""

    record: Record
    servings: Mapping[str, Serving]
    narrow: bool
    """Whether an arm is a strategy, which answers plain questions only: then nobody else's question takes part."""

    @classmethod
    def of(cls, record: Record) -> _Ready:
        name = record.name
        servings = {
            arm.name: Serving(record.parameters(arm.name), f"{name}/{arm.name}", name, arm.name)
            for arm in record.experiment.arms
        }
        return cls(record, servings, any(own.parameters.strategy is not None for own in servings.values()))

    def allocation(self, now: float) -> Allocation:
        """How units are dealt at a time."""
        return self.record.experiment.allocation(coverage_at(self.record.experiment.ramp, self.record.days(now)))


@dataclass
class Conductor:
    """Deals askers to arms, and serves what is in force; what the loop of experiments switches.

    Parameters
    ----------
    prices
        What switches the prices that are quoted; None where none are.
    """

    store: Experiments
    exposures: ExposureLog
    events: EventLog
    engine: Mixes
    prices: Prices | None = None
    troubles: dict[str, str] = field(default_factory=dict)
    """Running experiments that cannot be served here, and why."""

    def __post_init__(self) -> None:
        self.loop = Loop(self.store, self.exposures, self.events, self)
        self._ready: tuple[_Ready, ...] = ()
        self._lists: tuple[_Ready, ...] = ()
        self._prices: tuple[_Ready, ...] = ()
        self._policy: Serving | None = None
        self._seen: object = None
        self.prepare()

    @property
    def served(self) -> frozenset[str]:
        """Names of the experiments that askers are dealt to now."""
        return frozenset(ready.record.name for ready in self._ready)

    def turn(self) -> list[str]:
        """One turn of the loop; what it did, and what other processes did, is served from then on."""
        done = self.loop.turn()
        for line in done:
            _logger.info("%s", line)
        self.prepare()
        return done

    def prepare(self) -> None:
        """Make ready what runs and what is in force."""
        running, policy = self.store.running(), self.store.policy
        if self._seen == (running, policy):
            return
        troubles, ready = {}, []
        for record in running:
            arms = [record.parameters(arm.name) for arm in record.experiment.arms]
            trouble = next((why for own in arms if (why := self.refuses(own))), "")
            if trouble:
                _logger.warning("experiment %r runs, but not here: %s", record.name, trouble)
                troubles[record.name] = trouble
            else:
                ready.append(_Ready.of(record))
        if self.refuses(policy.parameters):
            _logger.warning("what is in force cannot be served: %s", self.refuses(policy.parameters))
            policy = Policy()
        self.troubles, self._ready = troubles, tuple(ready)
        self._lists = tuple(own for own in ready if "lists" in own.record.experiment.surfaces)
        self._prices = tuple(own for own in ready if "prices" in own.record.experiment.surfaces)
        self.apply(policy)
        self._seen = (running, self.store.policy)

    def serving(self, asked: RecommendRequest) -> Serving | None:
        """How a question is served; None: as the engine does, or as the asker said."""
        if not (self._lists or self._policy):
            return None
        if asked.objectives is not None or asked.diversity is not None or asked.strategy is not None:
            return None
        plain = asked.model_fields_set <= _BESIDE
        known = {"user": asked.user_id or "", "visitor": asked.visitor_id or ""}
        for ready in self._lists:
            if plain or not ready.narrow:
                found = self._dealt(ready, known)
                if found is not None:
                    return found
        policy = self._policy
        if policy is None or (policy.parameters.strategy is not None and not plain):
            return None
        holdout = self.store.policy.holdout
        unit = known["user"] or known["visitor"]
        return None if holdout is not None and unit and holdout.holds(unit) else policy

    @property
    def tries_prices(self) -> bool:
        """Whether an experiment on prices is on."""
        return bool(self._prices)

    def price_arms(self, user_id: str | None, items: Sequence[str], *, apart: bool) -> tuple[PriceArm | None, ...]:
        """Where experiments put the prices of these items, all in the catalogue; who is put somewhere is exposed.

        Parameters
        ----------
        apart
            Whether this person may be asked another price than others; experiments that deal people need that.
        """
        arms: list[PriceArm | None] = [None] * len(items)
        now = self.store.now()
        for ready in self._prices:
            if ready.record.experiment.switchback is None:
                found = self._dealt(ready, {"user": user_id}) if apart and user_id else None
                own = [None if found is None else _price_arm(found)] * len(items)
            else:
                own = [self._switched(ready, item, now) for item in items]
            arms = [arm or other for arm, other in zip(arms, own, strict=True)]
        return tuple(arms) if any(arms) else ()

    def refuses(self, parameters: Parameters) -> str:
        """Why these cannot be served here; "" where they can."""
        if parameters.mix is not None:
            try:
                self.engine.check_mix(parameters.mix)
            except UsageError as error:
                return str(error)
        if parameters.pricing is None:
            return ""
        return "no prices are quoted here" if self.prices is None else self.prices.refuses(parameters.pricing)

    def apply(self, policy: Policy) -> None:
        """Serve this from now on to whoever is in no experiment."""
        own = policy.parameters
        bare = own.mix is None and own.strategy is None
        self._policy = None if bare else Serving(own, f"#{policy.experiment}/{policy.arm}")
        if self.prices is not None:
            tried = {serving.parameters.pricing for ready in self._prices for serving in ready.servings.values()}
            self.prices.go_by(own.pricing, frozenset(tried))

    def _dealt(self, ready: _Ready, known: Mapping[str, str]) -> Serving | None:
        allocation, name = ready.allocation(self.store.now()), ready.record.name
        pseudonym = self.events.vault.pseudonym
        remembered = {
            (attribute, value): {allocation.slot(): arm}
            for attribute, value in known.items()
            if value and (arm := self.exposures.arm_of(name, pseudonym(value))) is not None
        }
        dealt = deal(allocation, known, remembered)
        if dealt is None:
            return None
        arm, unit = allocation.arms[dealt.arm], pseudonym(dealt.identity[1])
        return ready.servings[arm] if self.exposures.expose(name, unit, arm, subject=unit) else None

    def _switched(self, ready: _Ready, item: str, now: float) -> PriceArm | None:
        """The arm of an item in this slot of time; during the washout it is served there and not yet counted."""
        record = ready.record
        back, start = record.experiment.switchback, record.started
        assert back is not None and start is not None  # noqa: S101 - asked only of a running switchback
        slotted = switched(ready.allocation(now), back, item, now, start)
        if slotted is None:
            return None
        serving = ready.servings[record.experiment.arms[slotted.arm].name]
        if slotted.counts and not self.exposures.expose(record.name, slotted.unit, serving.arm):
            return None
        return _price_arm(serving, slotted.unit)


def _price_arm(serving: Serving, unit: str = "") -> PriceArm:
    return PriceArm(serving.experiment, serving.arm, serving.parameters.pricing, unit)


@contextlib.contextmanager
def conducting(
    engine: Mixes, events: EventLog, vault: Vault, folder: Path, prices: Prices | None = None
) -> Iterator[Conductor]:
    """The experiments kept in a folder, conducted over an engine; closed at the end."""
    with Experiments(folder, vault) as store:
        exposures = ExposureLog(folder, vault)
        try:
            yield Conductor(store, exposures, events, engine, prices)
        finally:
            exposures.close()

"""The loop that closes: what an experiment concludes is served, and what harms people is served no more.

An arm that wins takes the place of what was in force, if people are no less content with it. A share of the units goes
on as before for a while, so that guard-rails stay watched; once one breaks, what was in force before comes back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

from palate.core import PalateError, UsageError
from palate.data.event_log import EventLog
from palate.experiments.assignment import HOUR
from palate.experiments.definition import Arm, Experiment, Parameters, Policy
from palate.experiments.exposures import ExposureLog
from palate.experiments.findings import Report
from palate.experiments.looking import due, look
from palate.experiments.plan import Plan
from palate.experiments.store import Experiments, Record

SATISFACTION = "satisfaction"
"""The metric without which nothing is switched by itself."""

AFTER = ".after"
"""How the watch over a conclusion is called, after the experiment's name."""

LOOP = "palate"
"""Who acts, where no person does."""

_WATCHED_DAYS = 28.0
_logger = logging.getLogger("palate.experiments")


class Switches(Protocol):
    """Whatever serves: it takes over a policy."""

    def refuses(self, parameters: Parameters) -> str:
        """Why these cannot be served here; "" where they can."""
        ...

    def apply(self, policy: Policy) -> None:
        """Serve this from now on to whoever is in no experiment."""
        ...


class Elsewhere:
    """Switches of a process that serves nothing: the server takes the policy from the journal."""

    def refuses(self, parameters: Parameters) -> str:
        """Nothing is known against them here."""
        return ""

    def apply(self, policy: Policy) -> None:
        """The journal says it already."""


@dataclass(frozen=True)
class Conclusion:
    """What became of an experiment.

    Parameters
    ----------
    winner
        The arm that was better; "" where none was.
    switched
        Whether it is in force now.
    why
        In a sentence.
    """

    name: str
    winner: str
    switched: bool
    why: str


@dataclass
class Loop:
    """Looks at experiments when it is time, and acts on what is seen.

    Parameters
    ----------
    events
        The log of answers and of what people did.
    """

    store: Experiments
    exposures: ExposureLog
    events: EventLog
    switches: Switches = field(default_factory=Elsewhere)
    _guarded: dict[str, float] = field(default_factory=dict)

    def turn(self) -> list[str]:
        """One turn over everything that runs; returns what was done, in sentences."""
        self.store.refresh()
        done: list[str] = []
        for record in self.store.running():
            try:
                done += self._attend(record)
            except PalateError as error:
                # One experiment that cannot be read must not keep the others from being watched.
                _logger.warning("experiment %r was not attended to: %s", record.name, error)
                done.append(f"{record.name} was not attended to: {error}")
        return done

    def look(self, name: str, *, final: bool = False) -> Report:
        """Look now and write the look down.

        Raises
        ------
        UsageError
            It does not run, or its design does not allow a look now.
        """
        record = self.store.of(name)
        if record.state != "running":
            raise UsageError(f"experiment {name!r} is {record.state}; only a running one is looked at.")
        design = record.experiment.plan.design
        early = design != "always-valid" and not due(record, self.exposures.count(name), self.store.now())
        if early and not final:
            raise UsageError(
                f"experiment {name!r} is {design}: looking before its time would spoil its error rate. It is looked at "
                "by itself when its next units are in."
            )
        return look(self.store, self.exposures, self.events, name, final=final)

    def conclude(
        self, name: str, winner: str | None = None, *, by: str = "", even_so: bool = False, report: Report | None = None
    ) -> Conclusion:
        """End an experiment, and put its winner in force.

        Parameters
        ----------
        winner
            Whom people choose; the arm that won, where None.
        even_so
            Let people choose what the data does not show to be better.
        report
            The look that decides; a final one is taken where None.

        Raises
        ------
        UsageError
            Nobody was exposed, it never ran, or the data does not bear the choice out.
        """
        record = self.store.of(name)
        if record.state not in ("running", "stopped"):
            raise UsageError(f"experiment {name!r} is {record.state}; only one that ran can be concluded.")
        if not self.exposures.count(name):
            raise UsageError(
                f"nobody was exposed to experiment {name!r}; there is nothing to conclude. Stop it instead."
            )
        if report is None:
            report = look(self.store, self.exposures, self.events, name, final=True)
        shown = (report.winner or "") if report.decision == "ship" else ""
        chosen = shown if winner is None else winner
        if chosen:
            record.experiment.arm(chosen)
        if chosen not in ("", record.experiment.plan.control, shown) and not even_so:
            raise UsageError(
                f"the data does not show that {chosen!r} is better. {report.words()[-1]} Nothing was done."
            )
        if chosen == record.experiment.plan.control:
            chosen = ""
        hindrance = self._hindrance(record, chosen, report, even_so)
        why = hindrance or report.words()[-1]
        self.store.conclude(name, chosen, why, by)
        if chosen and not hindrance:
            self._switch(self.store.of(name), chosen, by)
        return Conclusion(name, chosen, bool(chosen) and not hindrance, why)

    def _attend(self, record: Record) -> list[str]:
        name, now = record.name, self.store.now()
        over = record.days(now) >= record.experiment.days
        units = self.exposures.count(name)
        report: Report | None = None
        if units and (over or due(record, units, now)):
            report = look(self.store, self.exposures, self.events, name, final=over)
            broken = report.stop
        else:
            broken = self._between_looks(record, units, now)
        if broken:
            return self._retreat(record, broken)
        decided = report is not None and (report.decision in ("ship", "keep") or (over and report.open))
        if decided and record.experiment.decides == "itself" and not record.experiment.follows:
            return [self.conclude(name, by=LOOP, report=report).why]
        if over:
            why = f"its {record.experiment.days:g} days are over"
            self.store.stop(name, why, LOOP)
            return [f"{name}: {why}."]
        return []

    def _between_looks(self, record: Record, units: int, now: float) -> tuple[str, ...]:
        """Arms that break a guard-rail, where goals may not be read yet: guard-rails may be at any time."""
        plan = record.experiment.plan
        if plan.design == "always-valid" or not plan.guards or not units:
            return ()
        if now - self._guarded.get(record.name, record.started or 0.0) < record.experiment.look_hours * HOUR:
            return ()
        self._guarded[record.name] = now
        guards = plan.model_copy(update={"metrics": plan.guards, "design": "always-valid"})
        return look(self.store, self.exposures, self.events, record.name, plan=guards).stop

    def _retreat(self, record: Record, broken: tuple[str, ...]) -> list[str]:
        """Stop an experiment that does harm; where it watched over a conclusion, take that back."""
        why = f"a guard-rail broke in {', '.join(broken)}"
        self.store.stop(record.name, why, LOOP)
        said = [f"{record.name}: {why}."]
        if record.experiment.follows and self.store.policy.experiment == record.experiment.follows:
            before = next(
                (
                    policy
                    for policy, _ in reversed(self.store.policies)
                    if policy.experiment != record.experiment.follows
                ),
                Policy(),
            )
            self.switches.apply(before)
            self.store.put_in_force(before, f"{why}, after {record.experiment.follows} was concluded", LOOP)
            said.append(f"{record.name}: what was served before is in force again.")
        return said

    def _hindrance(self, record: Record, winner: str, report: Report, even_so: bool) -> str:
        """Why a winner is not put in force; "" where it is."""
        if not winner:
            return ""
        if winner in report.stop:
            return f"{winner} broke a guard-rail; it is not served."
        refused = self.switches.refuses(record.parameters(winner))
        if refused:
            return f"{winner} cannot be served: {refused}"
        return "" if even_so else _discontent(report, winner)

    def _switch(self, record: Record, winner: str, by: str) -> None:
        before = self.store.policy
        own = record.experiment
        parameters = _laid_over(before.parameters, record.parameters(winner), own)
        policy = Policy(parameters=parameters, experiment=own.name, arm=winner, holdout=own.holdout or before.holdout)
        self.switches.apply(policy)
        self.store.put_in_force(policy, f"{own.name} was concluded for {winner}", by)
        watch = watched(record, winner)
        if watch is not None:
            self.store.declare(watch, LOOP)
            self.store.start(watch.name, LOOP)


def _discontent(report: Report, winner: str) -> str:
    """What is known against a winner by people's satisfaction; "" where nothing is."""
    own = next((one for one in report.compared if (one.metric, one.arm) == (SATISFACTION, winner)), None)
    if own is None or own.verdict == "unmeasured":
        return f"whether people are content with {winner} was not measured; nothing is switched by itself."
    return f"people are less content with {winner}; it is not served." if own.verdict == "worse" else ""


def watched(record: Record, winner: str) -> Experiment | None:
    """The experiment that watches over a conclusion: a few keep what was served before; None where nobody does.

    Guard-rails stay what they were, and what the arm won by becomes one: should it turn out worse, that is a breach.
    """
    own = record.experiment
    if not own.hold_back:
        return None
    arms = (
        Arm(name="before", weight=own.hold_back, parameters=record.parameters(own.plan.control)),
        Arm(name="after", weight=1.0 - own.hold_back, parameters=record.parameters(winner)),
    )
    metrics = tuple(metric.guarding() if metric.role == "goal" else metric for metric in own.plan.metrics)
    plan = Plan(
        control="before",
        shares={arm.name: arm.weight for arm in arms},
        metrics=metrics,
        planned_units=own.plan.planned_units,
        guard_alpha=own.plan.guard_alpha,
        min_units=own.plan.min_units,
        covariate_days=own.plan.covariate_days,
    )
    name = f"{own.name[: 64 - len(AFTER)]}{AFTER}"
    kept = {"holdout": own.holdout, "namespace": own.namespace, "unit": own.unit, "switchback": own.switchback}
    return Experiment(
        name=name, arms=arms, plan=plan, days=_WATCHED_DAYS, look_hours=own.look_hours, follows=own.name, **kept
    )


def _laid_over(before: Parameters, chosen: Parameters, own: Experiment) -> Parameters:
    """What an experiment decided, over what was in force on surfaces that it did not touch."""
    lists = chosen if "lists" in own.surfaces else before
    prices = chosen if "prices" in own.surfaces else before
    return Parameters(mix=lists.mix, strategy=lists.strategy, pricing=prices.pricing)

"""Experiments kept: declared, started, stopped, concluded, each step written to a journal that only grows.

The journal is an event log of its own (chained, so that a step rewritten later is found), and a step is written under
its number: where two people change the same experiment at the same moment, one of them is told so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from palate.core import ArtefactError, UnknownIdError, UsageError
from palate.core.configuration import suggestion
from palate.data.event_log import Entry, EventLog
from palate.experiments.assignment import HOUR
from palate.experiments.definition import Experiment, Parameters, Policy, changes, told_experiment
from palate.experiments.plan import Look
from palate.privacy import Vault

State = Literal["draft", "running", "stopped", "concluded"]
DAY = 24 * HOUR
JOURNAL = "journal.sqlite"
_POLICY = "#policy"
"""No experiment can be called so."""
_MOST_LOOKS = 2_000
"""Looks of one experiment; beyond them it is looked at no more, which keeps the journal small."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an experiment: what was done, when (seconds since 1970 UTC), by whom and why."""

    what: str
    time: float
    by: str
    why: str


@dataclass(frozen=True)
class Seen:
    """A look as it was written down.

    Parameters
    ----------
    look
        For the next look to go on from.
    report
        What was found, as plain values; see ``experiments.looking.facts``.
    """

    look: Look
    report: Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """An experiment and what became of it.

    Parameters
    ----------
    in_force
        What was served when it started; arms without parameters serve this.
    winner
        The arm that was concluded to be better; "" where none was.
    """

    experiment: Experiment
    state: State = "draft"
    steps: tuple[Step, ...] = ()
    started: float | None = None
    ended: float | None = None
    in_force: Parameters = field(default_factory=Parameters)
    winner: str = ""
    seen: tuple[Seen, ...] = ()

    @property
    def name(self) -> str:
        """The experiment's."""
        return self.experiment.name

    def parameters(self, arm: str) -> Parameters:
        """What an arm serves."""
        return self.experiment.arm(arm).parameters or self.in_force

    def days(self, now: float) -> float:
        """Days since the start; 0 before it."""
        return 0.0 if self.started is None else max(now - self.started, 0.0) / DAY


class Experiments:
    """The experiments of one shop. Safe to use from many threads and several processes.

    Parameters
    ----------
    folder
        Made where missing.
    clock
        Seconds since 1970 UTC.

    Raises
    ------
    ArtefactError
        The journal cannot be used, or was rewritten.
    """

    def __init__(self, folder: str | Path, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self.folder = Path(folder)
        self._clock = clock
        self._journal = EventLog(self.folder / JOURNAL, vault, tenant="experiments", clock=clock)
        self._lock = threading.RLock()
        self._read = 0
        self._latest = 0.0
        self._records: dict[str, Record] = {}
        self._policies: list[tuple[Policy, Step]] = []
        verdict = self._journal.verify()
        if not verdict.ok:
            self._journal.close()
            raise ArtefactError(f"{self.folder / JOURNAL}: {verdict.problem}. The experiments cannot be trusted.")
        self.refresh()

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def refresh(self) -> bool:
        """Take in what was written since, by whatever process; returns whether there was anything."""
        with self._lock:
            before = self._read
            for row in self._journal.replay(("event", "answer"), after=self._read):
                self._read = row.seq
                self._take(row.sort, row.body)
            return self._read != before

    def now(self) -> float:
        """The time, which never runs backwards against what is written."""
        return max(self._clock(), self._latest)

    def all(self) -> tuple[Record, ...]:
        """Every experiment, in the order they were declared."""
        return tuple(self._records.values())

    def running(self) -> tuple[Record, ...]:
        """Those that run, in the order they were declared."""
        return tuple(record for record in self.all() if record.state == "running")

    def of(self, name: str) -> Record:
        """One experiment.

        Raises
        ------
        UnknownIdError
            There is none of that name.
        """
        found = self._records.get(name)
        if found is None:
            known = suggestion(name, list(self._records)) if self._records else "None has been created yet."
            raise UnknownIdError(f"there is no experiment {name!r}. {known}")
        return found

    @property
    def policy(self) -> Policy:
        """What is in force."""
        return self._policies[-1][0] if self._policies else Policy()

    @property
    def policies(self) -> tuple[tuple[Policy, Step], ...]:
        """What came into force one after the other, and why."""
        return tuple(self._policies)

    def declare(self, experiment: Experiment, by: str = "") -> Record:
        """Write an experiment down as a draft; a draft of the same name is replaced.

        Raises
        ------
        UsageError
            One of that name was started and says something else.
        """
        with self._lock:
            self.refresh()
            known = self._records.get(experiment.name)
            if known is not None:
                different = changes(known.experiment, experiment)
                if not different:
                    return known
                if known.state != "draft":
                    shown = "; ".join(different[:5]) + (
                        f"; and {len(different) - 5} more" if len(different) > 5 else ""
                    )
                    raise UsageError(
                        f"experiment {known.name!r} is {known.state}, and what was agreed before it started is not "
                        f"edited ({shown}). Stop it, and create the changed one under another name."
                    )
            return self._write(experiment.name, "declared", by, "", declaration=experiment.model_dump(mode="json"))

    def start(self, name: str, by: str = "") -> Record:
        """Let a draft run. Watches over earlier conclusions make room for it.

        Raises
        ------
        UsageError
            It is no draft, or could meet another running experiment in the same person.
        """
        with self._lock:
            self.refresh()
            record = self.of(name)
            if record.state != "draft":
                hint = "it runs already" if record.state == "running" else "create it anew under another name"
                raise UsageError(f"experiment {name!r} is {record.state} and cannot be started: {hint}.")
            for other in self.running():
                clash = _clash(record.experiment, other.experiment)
                if clash and other.experiment.follows and not record.experiment.follows:
                    self.stop(other.name, f"makes room for {name}", by)
                elif clash:
                    raise UsageError(clash)
            return self._write(name, "started", by, "", in_force=self.policy.parameters.model_dump(mode="json"))

    def stop(self, name: str, why: str, by: str = "") -> Record:
        """End a running experiment; everybody is served what is in force.

        Raises
        ------
        UsageError
            It does not run.
        """
        with self._lock:
            self.refresh()
            record = self.of(name)
            if record.state != "running":
                raise UsageError(f"experiment {name!r} is {record.state}; only a running one can be stopped.")
            return self._write(name, "stopped", by, why)

    def conclude(self, name: str, winner: str, why: str, by: str = "") -> Record:
        """Write down what an experiment showed; ``winner`` is "" where no arm was better.

        Raises
        ------
        UsageError
            It was never started, or is concluded already.
        """
        with self._lock:
            self.refresh()
            record = self.of(name)
            if record.state not in ("running", "stopped"):
                raise UsageError(f"experiment {name!r} is {record.state}; only one that ran can be concluded.")
            if winner:
                record.experiment.arm(winner)
            return self._write(name, "concluded", by, why, winner=winner)

    def put_in_force(self, policy: Policy, why: str, by: str = "") -> None:
        """From now on this is served to whoever is in no experiment."""
        with self._lock:
            self.refresh()
            number = len(self._policies) + 1
            body = {"step": "in force", "policy": policy.model_dump(mode="json")}
            self._commit("event", f"{_POLICY}/{number}", {**body, "by": by, "why": why}, "the policy in force")

    def note_look(self, name: str, seen: Seen) -> None:
        """Keep a look, for the next one to go on from."""
        with self._lock:
            self.refresh()
            number = len(self.of(name).seen) + 1
            body = {"experiment": name, "look": seen.look.model_dump(mode="json"), "report": dict(seen.report)}
            self._commit("answer", f"{name}/look/{number}", body, f"experiment {name!r}")

    def has_room(self, name: str) -> bool:
        """Whether another look may be written."""
        return len(self.of(name).seen) < _MOST_LOOKS

    def _write(self, name: str, step: str, by: str, why: str, **more: Any) -> Record:
        known = self._records.get(name)
        number = 1 if known is None else len(known.steps) + 1
        body = {"experiment": name, "step": step, "by": by, "why": why, **more}
        self._commit("event", f"{name}/{number}", body, f"experiment {name!r}")
        return self._records[name]

    def _commit(self, sort: str, key: str, body: dict[str, Any], what: str) -> None:
        (fresh,) = self._journal.commit([Entry(sort, key, "", {**body, "time": self.now()})]).result()
        self.refresh()
        if not fresh:
            raise UsageError(f"somebody else changed {what} at the same moment; look at it and try again.")

    def _take(self, sort: str, body: Mapping[str, Any]) -> None:
        """One row of the journal, in the order it was written."""
        self._latest = max(self._latest, float(body["time"]))
        if sort == "answer":
            record = self._records[body["experiment"]]
            seen = Seen(Look.model_validate(body["look"]), body["report"])
            self._records[record.name] = replace(record, seen=(*record.seen, seen))
            return
        step = Step(body["step"], float(body["time"]), body["by"], body["why"])
        if step.what == "in force":
            self._policies.append((Policy.model_validate(body["policy"]), step))
            return
        name = body["experiment"]
        if step.what == "declared":
            steps = self._records[name].steps if name in self._records else ()
            declared = told_experiment(body["declaration"], str(self.folder / JOURNAL))
            self._records[name] = Record(declared, steps=(*steps, step))
            return
        record = replace(self._records[name], steps=(*self._records[name].steps, step))
        if step.what == "started":
            in_force = Parameters.model_validate(body["in_force"])
            record = replace(record, state="running", started=step.time, in_force=in_force)
        elif step.what == "stopped":
            record = replace(record, state="stopped", ended=step.time)
        else:
            record = replace(record, state="concluded", ended=record.ended or step.time, winner=body["winner"])
        self._records[name] = record


def _clash(new: Experiment, running: Experiment) -> str:
    """Why two experiments cannot run at once; "" where they can."""
    mine, theirs = new.holdout, running.holdout
    if mine is not None and theirs is not None and mine.name == theirs.name and mine.share != theirs.share:
        return (
            f"experiments {new.name!r} and {running.name!r} hold out {mine.share:g} and {theirs.share:g} under the one "
            f"name {mine.name!r}; give both the same share."
        )
    both = sorted(new.surfaces & running.surfaces)
    one, other = new.namespace, running.namespace
    if not both or (one is not None and other is not None and not one.overlaps(other)):
        return ""
    return (
        f"experiment {new.name!r} changes {' and '.join(both)}, and so does {running.name!r}, which runs: nobody could "
        "say whose effect is seen. Give each its own part of one namespace, or stop that one."
    )

"""A look at an experiment: exposures and outcomes brought together from the logs, analysed, and written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from palate.core import UsageError
from palate.data.event_log import EventLog
from palate.experiments.analysis import analyse
from palate.experiments.assignment import HOUR
from palate.experiments.exposures import ExposureLog
from palate.experiments.findings import Compared, Report
from palate.experiments.outcomes import events_of_log
from palate.experiments.plan import Plan
from palate.experiments.store import DAY, Experiments, Record, Seen
from palate.measure import Interval


def outcomes(record: Record, log: EventLog) -> pl.DataFrame:
    """What happened, as the analysis of an experiment reads it.

    Returns
    -------
    ``unit``, ``kind``, ``timestamp`` (seconds since 1970 UTC) and what metrics count. Units are pseudonyms, or items
    and their slots; what happened to an item during a washout is nobody's outcome.
    """
    log.flush()
    started = record.started or 0.0
    events = events_of_log(log, since=started - record.experiment.plan.covariate_days * DAY)
    back = record.experiment.switchback
    if back is None:
        return events.rename({"user_id": "unit"})
    length, wash = back.hours * HOUR, back.washout_hours * HOUR
    passed = pl.col("timestamp") - started
    inside = events.filter((passed >= 0) & (passed % length >= wash) & pl.col("item_id").is_not_null())
    slot = (passed // length).cast(pl.Int64).cast(pl.String)
    return inside.with_columns(unit=pl.col("item_id") + "|" + slot)


def look(
    store: Experiments,
    exposures: ExposureLog,
    log: EventLog,
    name: str,
    *,
    final: bool = False,
    plan: Plan | None = None,
) -> Report:
    """Look at an experiment now, and write the look down.

    Parameters
    ----------
    final
        The look ends the experiment, even if fewer units came than were planned.
    plan
        Judge by this instead of the experiment's own, and write nothing down.
    """
    record = store.of(name)
    own = plan or record.experiment.plan
    if plan is None and not store.has_room(name):
        raise UsageError(f"experiment {name!r} was looked at too often for its journal; conclude it.")
    exposed, happened = exposures.table(name), outcomes(record, log)
    report = analyse(
        own,
        exposed,
        happened,
        # Asked last: people go on being exposed while all of that is read.
        now=store.now(),
        earlier=[seen.look for seen in record.seen] if plan is None else (),
        final=final,
        unit="unit",
    )
    if plan is None:
        store.note_look(name, Seen(report.look, facts(report)))
    return report


def due(record: Record, units: int, now: float) -> bool:
    """Whether it is time for a look.

    An always-valid design may be read at any time and is every ``look_hours``; a group-sequential one when the next
    share of the planned units is in; a fixed one at its end alone.
    """
    plan, last = record.experiment.plan, record.seen[-1].look if record.seen else None
    if record.state != "running" or not units:
        return False
    if plan.design == "always-valid":
        return last is None or now - last.time >= record.experiment.look_hours * HOUR
    looks = record.experiment.looks if plan.design == "group-sequential" else 1

    def passed(count: int) -> int:
        return min(int(looks * count / plan.planned_units), looks)

    return passed(units) > (0 if last is None else passed(last.units))


def facts(report: Report) -> dict[str, Any]:
    """A report as plain values, with its sentences in English and Chinese."""
    return {
        "time": report.time,
        "units": dict(report.mismatch.counts),
        "expected": dict(report.mismatch.expected),
        "in_two_arms": report.in_two_arms,
        "fraction": report.fraction,
        "mismatch_p": report.mismatch.p,
        "open": report.open,
        "decision": report.decision,
        "winner": report.winner,
        "stop": list(report.stop),
        "compared": [_compared(own) for own in report.compared],
        "words": {language: report.words(language) for language in ("en", "zh")},
    }


def _compared(own: Compared) -> dict[str, Any]:
    intervals: Mapping[str, Interval | None] = {
        "baseline": own.baseline,
        "treated": own.treated,
        "difference": own.difference,
        "relative": own.relative,
        "always_valid": own.always_valid,
        "relative_always_valid": own.relative_always_valid,
        "repeated": own.repeated,
    }
    return {
        "metric": own.metric,
        "role": own.role,
        "arm": own.arm,
        "verdict": own.verdict,
        "p": own.p_corrected,
        "guard": None if own.guard is None else own.guard.state,
        "margin": None if own.guard is None else own.guard.margin,
        **{name: _interval(interval) for name, interval in intervals.items()},
    }


def _interval(interval: Interval | None) -> list[float | None] | None:
    """Estimate, low, high; None for what is not known."""
    if interval is None or not math.isfinite(interval.estimate):
        return None
    bounds = (interval.estimate, interval.low, interval.high)
    return [value if math.isfinite(value) else None for value in bounds]

"""An experiment at one look: the gate first, then every metric of every arm, guard-rails, and what to do.

    plan = Plan(control="A", shares={"A": 1, "B": 1}, metrics=(conversion(), revenue().guarding(0.02)),
                planned_units=200_000)
    report = analyse(plan, exposures, events, now=now, earlier=looks)

The report's ``look`` is kept and handed to the next analysis, so that looking often costs nothing that was not agreed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from palate.core import UsageError
from palate.experiments.comparing import comparisons
from palate.experiments.findings import Compared, Decision, Reason, Report
from palate.experiments.metrics import measured
from palate.experiments.mismatch import Mismatch, mismatch
from palate.experiments.plan import Look, Plan, Sight
from palate.experiments.units import Units, first_exposures


def analyse(
    plan: Plan,
    exposures: pl.DataFrame,
    events: pl.DataFrame | None = None,
    *,
    now: float,
    earlier: Sequence[Look] = (),
    final: bool = False,
    guards_only: bool = False,
    unit: str = "user_id",
) -> Report:
    """Analyse an experiment at one look.

    Parameters
    ----------
    exposures
        ``unit``, ``arm``, ``time`` (seconds since 1970 UTC), a row an exposure. Without ``events``, a row a unit with a
        column a metric (``name``, and ``name over``, ``name before``, ``name over before`` where it has them).
    events
        ``timestamp``, ``kind``, the column named by ``unit`` and what metrics need; see ``metrics.measured``.
    now
        Time of the look.
    earlier
        ``look`` of the reports before, oldest first.
    final
        This look ends the experiment even if fewer units came than were planned.
    guards_only
        Read the gate and the guard-rails alone, which may be done at any time; the goals' error is not spent.

    Raises
    ------
    DataError
        Exposures or events cannot be used; the message says what was found.
    UsageError
        The look lies before an earlier one.
    """
    if earlier and now < earlier[-1].time:
        raise UsageError(
            f"a look at {now:.0f} after one at {earlier[-1].time:.0f}: clocks do not go backwards; set this one right"
        )
    if guards_only:
        plan = plan.model_copy(update={"metrics": plan.guards})
    units, sizes, reasons, mismatched = gate(plan, exposures, now, earlier)
    fraction = units.table.height / plan.planned_units
    compared: tuple[Compared, ...] = ()
    if not reasons:
        table = units.table
        if events is not None:
            table = measured(plan.metrics, table, events, now=now, unit=unit, before_days=plan.covariate_days)
        compared = comparisons(plan, table, earlier, final=final)
    breached = {own.key for own in compared if own.guard is not None and own.guard.state == "broken"}
    breached |= set(earlier[-1].breached) if earlier else set()
    stop = tuple(arm for arm in plan.treatments if any(f"{own.name}/{arm}" in breached for own in plan.guards))
    ended = (final or fraction >= 1.0) and not guards_only
    decision, winner = ("refused", None) if reasons else _decided(plan, compared, stop, ended)
    return Report(
        time=now,
        control=plan.control,
        fraction=fraction,
        mismatch=sizes,
        open=not reasons,
        closed_because=reasons,
        compared=compared,
        stop=stop,
        decision=decision,
        winner=winner,
        in_two_arms=units.in_two_arms,
        look=Look(
            time=now,
            units=units.table.height,
            seen={own.key: Sight(z=own.z, fraction=own.fraction) for own in compared if own.reason is None},
            breached=tuple(sorted(breached)),
            mismatched=mismatched,
        ),
    )


def gate(
    plan: Plan, exposures: pl.DataFrame, now: float, earlier: Sequence[Look] = ()
) -> tuple[Units, Mismatch, tuple[Reason, ...], bool]:
    """Units and sizes of arms, why nothing may be shown (empty: something may), and whether sizes are or were amiss."""
    units = first_exposures(plan, exposures, now)
    sizes = mismatch(units.counts(plan), plan.shares, plan.planned_units)
    mismatched = sizes.found(plan.mismatch_alpha) or any(look.mismatched for look in earlier)
    return units, sizes, _closed(plan, units, sizes, mismatched), mismatched


def _closed(plan: Plan, units: Units, sizes: Mismatch, mismatched: bool) -> tuple[Reason, ...]:
    """Why nothing may be shown."""
    counts, reasons = sizes.counts, []
    total = sum(counts.values())
    if not total:
        return (Reason("nobody", {}),)
    empty = [arm for arm, count in counts.items() if not count]
    if empty:
        reasons.append(Reason("empty arm", {"arm": ", ".join(empty), "units": total}))
    if mismatched:
        shown = ", ".join(f"{arm} {counts[arm]} ({sizes.expected[arm]:.0f})" for arm in counts)
        reasons.append(Reason("mismatch", {"counts": shown, "p": sizes.p}))
    share = units.in_two_arms / (total + units.in_two_arms)
    if share > plan.max_in_two_arms:
        reasons.append(Reason("two arms", {"units": units.in_two_arms, "share": share, "most": plan.max_in_two_arms}))
    return tuple(reasons)


def _decided(plan: Plan, compared: Sequence[Compared], stop: Sequence[str], ended: bool) -> tuple[Decision, str | None]:
    """What to do, and the winning arm."""
    running = [arm for arm in plan.treatments if arm not in stop]
    if not running:
        return "stop", None
    goals = {arm: [own for own in compared if own.arm == arm and own.role == "goal"] for arm in running}
    shown = {arm: {own.verdict for own in goals[arm]} for arm in running}
    guarded = {
        arm: all(own.guard.state == "holds" for own in compared if own.arm == arm and own.guard is not None)
        for arm in running
    }
    winners = [
        arm
        for arm in running
        if "better" in shown[arm] and "worse" not in shown[arm] and (guarded[arm] or not plan.safety_first)
    ]
    if winners:
        return "ship", max(winners, key=lambda arm: _gain(plan, goals[arm]))
    if all("worse" in shown[arm] for arm in running):
        return "keep", None
    return ("inconclusive" if ended else "continue"), None


def _gain(plan: Plan, goals: Sequence[Compared]) -> float:
    """By how much an arm is better in the plan's first goal."""
    first = next(metric for metric in plan.metrics if metric.role == "goal")
    own = next(own for own in goals if own.metric == first.name)
    change = own.relative.estimate if math.isfinite(own.relative.estimate) else own.difference.estimate
    return change if first.better == "higher" else -change

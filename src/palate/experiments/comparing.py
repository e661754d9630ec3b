"""One metric of one arm against the control, under the plan's design; then the verdicts of all together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from palate.experiments.discovery import corrected
from palate.experiments.findings import Compared, Guard, GuardState, Reason, Verdict
from palate.experiments.group_sequential import critical_values, sequential_p
from palate.experiments.metrics import Metric
from palate.experiments.plan import Look, Plan, Sight
from palate.experiments.sequential import always_valid_p, half_width, one_sided_p
from palate.experiments.variance import Estimate, columns, estimates, normal_quantile, single_p
from palate.measure import Interval


@dataclass(frozen=True, slots=True)
class _Pair:
    """One metric in one arm and in the control."""

    metric: Metric
    arm: str
    control: Estimate
    treated: Estimate
    fraction: float

    @property
    def key(self) -> str:
        return f"{self.metric.name}/{self.arm}"

    @property
    def z(self) -> float:
        return (self.treated.value - self.control.value) / math.hypot(self.control.error, self.treated.error)


def comparisons(
    plan: Plan, table: pl.DataFrame, earlier: Sequence[Look] = (), *, final: bool = False
) -> tuple[Compared, ...]:
    """All metrics of all arms against the control, with verdicts.

    Parameters
    ----------
    table
        A row a unit: ``arm`` and the metrics' columns.
    earlier
        Looks before this one, oldest first.
    final
        This look ends the experiment.
    """
    found = []
    for metric in plan.metrics:
        unfit = _unfit(table, metric)
        by_arm = {} if unfit else estimates(table, metric)
        for arm in plan.treatments:
            control, treated = by_arm.get(plan.control), by_arm.get(arm)
            reason = unfit or _unready(metric, arm, control, treated, plan.min_units)
            if reason is not None or control is None or treated is None:
                guard = Guard("unmeasured", 1.0, 1.0, metric.margin) if metric.role == "guard-rail" else None
                found.append(Compared(metric.name, metric.role, arm, guard=guard, reason=reason))
                continue
            fraction = plan.fraction(arm, control.units + treated.units)
            found.append(_against(plan, _Pair(metric, arm, control, treated, fraction), earlier, final))
    return _judged(plan, found, final)


def _unfit(table: pl.DataFrame, metric: Metric) -> Reason | None:
    """Why a metric's numbers cannot be used at all."""
    missing = [name for name in columns(table, metric) if name not in table.columns]
    if missing:
        return Reason("no column", {"metric": metric.name, "column": ", ".join(missing)})
    strange = table.filter(pl.any_horizontal(~pl.col(*columns(table, metric)).cast(pl.Float64).is_finite()))
    if strange.height:
        return Reason("not numbers", {"metric": metric.name, "count": strange.height, "units": table.height})
    return None


def _unready(metric: Metric, arm: str, control: Estimate | None, treated: Estimate | None, least: int) -> Reason | None:
    """Why a comparison cannot be made yet."""
    fewest = min(own.units if own is not None else 0 for own in (control, treated))
    if control is None or treated is None or fewest < least:
        return Reason("too few", {"metric": metric.name, "arm": arm, "units": fewest, "least": least})
    if not math.isfinite(control.value - treated.value):
        return Reason("no value", {"metric": metric.name, "arm": arm})
    if not math.hypot(control.error, treated.error) > 0:
        return Reason("all alike", {"metric": metric.name, "arm": arm})
    return None


def _against(plan: Plan, pair: _Pair, earlier: Sequence[Look], final: bool) -> Compared:
    once = normal_quantile(plan.alpha)
    lasting = float(half_width(pair.fraction, plan.alpha)) / once
    single = _at_one_look(pair, plan.alpha)
    seen = [look.seen[pair.key] for look in earlier if pair.key in look.seen]
    trail = _trail(plan, [*seen, Sight(z=pair.z, fraction=pair.fraction)], final)
    grouped = plan.design == "group-sequential"
    return Compared(
        metric=pair.metric.name,
        role=pair.metric.role,
        arm=pair.arm,
        baseline=_around(pair.control, once),
        treated=_around(pair.treated, once),
        difference=single.difference(1.0),
        relative=single.relative(1.0),
        always_valid=single.difference(lasting),
        relative_always_valid=single.relative(lasting),
        repeated=single.difference(trail.width / once) if grouped else None,
        p=single.p,
        p_design=trail.p,
        p_corrected=trail.p,
        z=pair.z,
        direction=trail.direction,
        fraction=pair.fraction,
        cut=pair.treated.cut,
        guard=_guard(plan, pair, earlier) if pair.metric.role == "guard-rail" else None,
    )


@dataclass(frozen=True, slots=True)
class _Single:
    """tea-tasting's comparison of two means at a single look, stretched to other widths."""

    effect: float
    half: float
    ratio: float
    half_ratio: float
    p: float

    def difference(self, stretch: float) -> Interval:
        return Interval(self.effect, self.effect - stretch * self.half, self.effect + stretch * self.half)

    def relative(self, stretch: float) -> Interval:
        if not (self.ratio > 0 and self.half_ratio >= 1):
            return Interval(self.ratio - 1.0, math.nan, math.nan)
        factor = self.half_ratio**stretch
        return Interval(self.ratio - 1.0, self.ratio / factor - 1.0, self.ratio * factor - 1.0)


def _at_one_look(pair: _Pair, alpha: float) -> _Single:
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics import Mean

    both = (
        Aggregates(own.units, {"value": own.value}, {"value": own.error**2 * own.units})
        for own in (pair.control, pair.treated)
    )
    found = Mean("value", use_t=False, equal_var=False, confidence_level=1.0 - alpha).analyze_aggregates(*both)
    return _Single(
        effect=float(found.effect_size),
        half=float(found.effect_size_ci_upper - found.effect_size),
        ratio=float(found.rel_effect_size) + 1.0 if pair.control.value > 0 else math.nan,
        half_ratio=float((found.rel_effect_size_ci_upper + 1.0) / (found.rel_effect_size + 1.0)),
        p=float(found.pvalue),
    )


@dataclass(frozen=True, slots=True)
class _Trail:
    """What all looks so far say: p under the design, which way, and the critical value now."""

    p: float
    direction: float
    width: float


def _trail(plan: Plan, seen: Sequence[Sight], final: bool) -> _Trail:
    z = np.array([sight.z for sight in seen])
    fractions = np.array([sight.fraction for sight in seen])
    if plan.design == "fixed":
        # Read once: at the first look from the planned end on, whatever came later.
        over = fractions >= 1.0
        over[-1] |= final
        read = int(np.argmax(over)) if over.any() else len(z) - 1
        return _Trail(single_p(z[read]) if over.any() else 1.0, float(np.sign(z[read])), normal_quantile(plan.alpha))
    if plan.design == "always-valid":
        widths = half_width(fractions, plan.alpha)
        p = float(always_valid_p(z, fractions, plan.alpha).min())
    else:
        # A look that saw nothing new, or came after the planned end, has no error to spend.
        rising = np.diff(np.maximum.accumulate(fractions), prepend=0.0) > 0
        counted = rising & (np.cumsum(fractions >= 1.0) - (fractions >= 1.0) == 0)
        last = final and bool(counted[-1])
        z, fractions = z[counted], fractions[counted]
        widths = critical_values(fractions, plan.alpha, plan.spending, final=last)
        p = sequential_p(z, fractions, plan.spending, final=last)
    furthest = int(np.argmax(np.abs(z) / widths))
    return _Trail(p, float(np.sign(z[furthest])), float(widths[-1]))


def _guard(plan: Plan, pair: _Pair, earlier: Sequence[Look]) -> Guard:
    """Whether an arm is worse than the margin allows; read at every look, whatever the design."""
    metric, control, treated = pair.metric, pair.control, pair.treated
    alpha = plan.guard_alpha / (len(plan.guards) * len(plan.treatments))
    good = 1.0 if metric.better == "higher" else -1.0
    factor = 1.0 - good * math.copysign(metric.margin, control.value)
    shortfall = good * (factor * control.value - treated.value)
    z = shortfall / math.hypot(factor * control.error, treated.error)
    broken, holds = (float(one_sided_p(side, pair.fraction, alpha)) for side in (z, -z))
    before = bool(earlier) and pair.key in earlier[-1].breached
    state: GuardState = "broken" if before or broken <= alpha else "holds" if holds <= alpha else "watching"
    return Guard(state, broken, holds, metric.margin)


def _judged(plan: Plan, found: Sequence[Compared], final: bool) -> tuple[Compared, ...]:
    """Correct p among the comparisons of each role, and say what each shows."""
    good = {metric.name: metric.better for metric in plan.metrics}
    p = np.array([own.p_design for own in found])
    for role in {own.role for own in found}:
        # What is not measured yet counts too, or it would take back what was shown when it comes.
        family = [place for place, own in enumerate(found) if own.role == role]
        p[family] = corrected(p[family], plan.correction)
    return tuple(
        replace(own, p_corrected=float(q), verdict=verdict(own, float(q), good[own.metric], plan.alpha, final))
        for own, q in zip(found, p, strict=True)
    )


def verdict(own: Compared, p: float, better: str, alpha: float, final: bool) -> Verdict:
    """What a comparison shows with this corrected p; ``better`` says which way is good, ``higher`` or ``lower``."""
    if own.reason is not None:
        return "unmeasured"
    if p <= alpha:
        return "better" if (own.direction > 0) == (better == "higher") else "worse"
    return "no difference shown" if final or own.fraction >= 1.0 else "undecided"


def _around(own: Estimate, width: float) -> Interval:
    return Interval(own.value, own.value - width * own.error, own.value + width * own.error)

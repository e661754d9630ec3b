"""Whether a log can answer for a policy at all, and in words why not.

A weight is the probability a policy gives to what was chosen over the probability it was chosen with. Where a policy
would do what the log hardly ever did, a few weights carry everything, intervals are too narrow, and no estimate is
better than one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from palate.core import Float64Array, Settings, UsageError
from palate.data.tables import Note
from palate.experiments.logs import Logged
from palate.measure import Interval, influence_interval

WORDS: Mapping[str, tuple[str, str]] = {
    "certain": (
        "every choice of the log was made with certainty: it tells nothing of any other. Log with exploration.",
        "日志中的每次选择都是确定的，无法推知其他策略。请在记录时保留探索。",
    ),
    "uncovered": (
        "{share:.1%} of what the policy would choose ({names}) was never chosen in the log.",
        "策略的选择中有 {share:.1%}（{names}）在日志中从未出现。",
    ),
    "effective": (
        "{lists:,} choices of {people:,} people are worth {effective:,.0f} under this policy; at least {least:,.0f} "
        "are due. Log longer, or with more exploration.",
        "{people:,} 人的 {lists:,} 次选择对该策略只相当于 {effective:,.0f} 次，至少需要 {least:,.0f} 次。"
        "请延长记录时间或增加探索。",
    ),
    "largest": (
        "one person's choices carry {share:.0%} of all weight; {most:.0%} is the most. Log with more exploration.",
        "单个用户的选择占全部权重的 {share:.0%}，上限为 {most:.0%}。请增加探索。",
    ),
    "unfit": (
        "weights should average 1 and average {mean:.3f} [{low:.3f}, {high:.3f}]: the logged probabilities are not "
        "those the choices were made with, or the policy chooses where the log could not.",
        "权重均值应为 1，实际为 {mean:.3f} [{low:.3f}, {high:.3f}]：所记概率与实际选择不符，或策略选择了日志不可能"
        "选择的对象。",
    ),
    "rewarded": (
        "what was rewarded is worth {rewarded:,.1f} choices under this policy; at least {least:,.0f} are due for an "
        "interval. Log longer.",
        "获得回报的选择对该策略只相当于 {rewarded:,.1f} 次，给出区间至少需要 {least:,.0f} 次。请延长记录时间。",
    ),
}
"""Sentences by code of the reason, in English and Chinese."""

_TRIFLE = 0.02
"""How far the mean weight may lie from 1 where a large log would tell even that."""


class SupportSettings(Settings):
    """Below what a log does not answer.

    Parameters
    ----------
    effective
        Least effective number of people (or of choices, where each is somebody else's).
    uncovered
        Largest share of a policy's choices that the log never made.
    largest
        Largest share of all weight that one person may carry.
    rewarded
        Least effective number of rewarded choices.
    """

    effective: float = Field(default=100.0, ge=1)
    uncovered: float = Field(default=0.01, ge=0, lt=1)
    largest: float = Field(default=0.1, gt=0, le=1)
    rewarded: float = Field(default=10.0, ge=0)


@dataclass(frozen=True)
class Support:
    """How much of a log speaks of a policy.

    Parameters
    ----------
    lists, people
        Choices, and whose they are.
    effective
        Of how many equally weighted people the weights are worth, (sum w)^2 / sum w^2 (Kish, 1965).
    largest
        Share of the weight of whoever carries most.
    uncovered, missing
        Share of the policy's choices that the log never made, and which arms these are.
    mean_weight
        1 in expectation; its 99.99 % interval.
    rewarded
        Of how many equally weighted ones the rewarded choices are worth.
    certain
        Whether the log never had a choice.
    """

    lists: int
    people: int
    effective: float
    largest: float
    uncovered: float
    missing: tuple[str, ...]
    mean_weight: Interval
    rewarded: float
    certain: bool

    def refusals(self, settings: SupportSettings | None = None) -> tuple[Note, ...]:
        """Why the log does not answer; none where it does."""
        least, found = settings or SupportSettings(), []
        low, high = self.mean_weight.low, self.mean_weight.high
        if self.certain:
            return (Note("certain", {}),)
        if self.uncovered > least.uncovered:
            found.append(Note("uncovered", {"share": self.uncovered, "names": ", ".join(self.missing[:5])}))
        if self.effective < least.effective:
            counts = {"lists": self.lists, "people": self.people, "effective": self.effective}
            found.append(Note("effective", {**counts, "least": least.effective}))
        if self.largest > least.largest:
            found.append(Note("largest", {"share": self.largest, "most": least.largest}))
        if not found and (high < 1 - _TRIFLE or low > 1 + _TRIFLE):
            found.append(Note("unfit", {"mean": self.mean_weight.estimate, "low": low, "high": high}))
        if not found and self.rewarded < least.rewarded:
            found.append(Note("rewarded", {"rewarded": self.rewarded, "least": least.rewarded}))
        return tuple(found)


def weights_of(logged: Logged, shares: Float64Array) -> Float64Array:
    """Importance weight of each choice, float64 (n,).

    Parameters
    ----------
    shares
        float64 (n, K), probabilities the policy gives to the arms in each context.

    Raises
    ------
    UsageError
        These are not probabilities of the log's arms for each of its choices.
    """
    if shares.shape != (len(logged), len(logged.names)):
        raise UsageError(f"probabilities of {len(logged.names)} arms are due for each of {len(logged)} lists")
    if not (np.isfinite(shares).all() and (shares >= 0).all() and (shares.sum(axis=1) <= 1 + 1e-6).all()):
        raise UsageError("a policy's probabilities must not be negative, and must add up to 1 for each list")
    return np.asarray(shares[np.arange(len(logged)), logged.arms] / logged.propensities, dtype=np.float64)


def support(logged: Logged, shares: Float64Array) -> Support:
    """How much of a log speaks of a policy with these probabilities, float64 (n, K)."""
    weights = weights_of(logged, shares)
    of_person = _summed(weights, logged)
    total = max(float(of_person.sum()), 1e-300)
    never = np.bincount(logged.arms, minlength=len(logged.names)) == 0
    # What a policy leaves over to 1 goes to arms that the log has no name for.
    missed = shares[:, never].mean(axis=0)
    unnamed = float(np.maximum(1.0 - shares.sum(axis=1), 0.0).mean())
    missing = [logged.names[arm] for arm in np.flatnonzero(never) if shares[:, arm].any()]
    return Support(
        lists=len(logged),
        people=len(of_person),
        effective=_effective(of_person),
        largest=float(of_person.max(initial=0.0) / total),
        uncovered=float(missed.sum()) + unnamed,
        missing=(*missing, *(("unknown to the log",) if unnamed > 1e-6 else ())),
        mean_weight=influence_interval(weights, logged.people, level=0.9999),
        rewarded=_effective(_summed(weights * np.abs(logged.rewards), logged)),
        certain=bool((logged.propensities >= 1.0).all()),
    )


def in_words(refusals: Iterable[Note], language: str = "en") -> list[str]:
    """A sentence a reason, in ``"en"`` or ``"zh"``."""
    return [WORDS[note.code][language == "zh"].format(**note.values) for note in refusals]


def _summed(values: Float64Array, logged: Logged) -> Float64Array:
    """Sums over each person's choices."""
    return np.asarray(np.bincount(logged.person, weights=values), dtype=np.float64)


def _effective(sums: Float64Array) -> float:
    squares = float((sums**2).sum())
    return float(sums.sum()) ** 2 / squares if squares > 0 else 0.0

"""What an analysis found, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from palate.core import UsageError
from palate.experiments.mismatch import Mismatch
from palate.experiments.plan import Look
from palate.measure import Interval

Verdict = Literal["better", "worse", "undecided", "no difference shown", "unmeasured"]
GuardState = Literal["holds", "watching", "broken", "unmeasured"]
Decision = Literal["refused", "stop", "ship", "keep", "continue", "inconclusive"]
"""Of the experiment: nothing may be read; an arm harms a guard-rail; an arm has won; none has, and some are worse; go
on; the planned end is reached and nothing was shown."""


UNKNOWN = Interval(math.nan, math.nan, math.nan)
"""Of what was not measured."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not shown: a code, and the numbers and names that belong to it."""

    code: str
    values: Mapping[str, str | int | float]

    def words(self, language: str = "en") -> str:
        """The sentence; ``en`` or ``zh``."""
        from palate.experiments.analysis_words import sentence

        return sentence(self.code, language, **self.values)


@dataclass(frozen=True, slots=True)
class Guard:
    """State of a guard-rail in one arm.

    Parameters
    ----------
    state
        ``broken``: worse than the margin allows, and the arm has to stop; ``holds``: shown not to be.
    p_broken, p_holds
        Evidence of each, that may be read at every look.
    margin
        Relative harm that is put up with.
    """

    state: GuardState
    p_broken: float
    p_holds: float
    margin: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of one arm against the control.

    Parameters
    ----------
    baseline, treated
        The control's and the arm's statistic with its interval at a single look.
    difference, relative
        Arm less control; arm over control less 1. Right at a single look, the planned end.
    always_valid, relative_always_valid
        The same, right at all looks at once.
    repeated
        The difference, right at all looks of a group-sequential plan; None in other designs.
    p
        Two-sided, of a single look.
    p_design
        Two-sided, right under the plan's design, the smallest so far.
    p_corrected
        The same, corrected for the other comparisons of this role; verdicts go by it.
    z, direction
        Difference over its standard error now; 1 or -1, which way the looks so far point most strongly.
    fraction
        Share of the planned units that was measured.
    cut
        Share of the variance that the covariate took out.
    reason
        Why it is ``unmeasured``; None where it is measured.
    """

    metric: str
    role: str
    arm: str
    baseline: Interval = UNKNOWN
    treated: Interval = UNKNOWN
    difference: Interval = UNKNOWN
    relative: Interval = UNKNOWN
    always_valid: Interval = UNKNOWN
    relative_always_valid: Interval = UNKNOWN
    repeated: Interval | None = None
    p: float = 1.0
    p_design: float = 1.0
    p_corrected: float = 1.0
    z: float = 0.0
    direction: float = 0.0
    fraction: float = 0.0
    cut: float = 0.0
    verdict: Verdict = "unmeasured"
    guard: Guard | None = None
    reason: Reason | None = None

    @property
    def key(self) -> str:
        """``metric/arm``."""
        return f"{self.metric}/{self.arm}"


@dataclass(frozen=True)
class Report:
    """An experiment at one look.

    Parameters
    ----------
    time
        Seconds since 1970 UTC.
    control
        The arm the others are compared with.
    fraction
        Share of the planned units that were exposed.
    mismatch
        Whether arms have the sizes they should have.
    open
        Whether the gate is open; nothing is compared behind a closed one.
    closed_because
        Why it is not.
    compared
        In the order of metrics, then arms.
    stop
        Arms that harm a guard-rail and have to stop now.
    decision, winner
        What to do; the arm to ship, where one has won.
    in_two_arms
        Units left out since they were seen in several arms.
    look
        To be kept and handed to the next look.
    """

    time: float
    control: str
    fraction: float
    mismatch: Mismatch
    open: bool
    closed_because: tuple[Reason, ...]
    compared: tuple[Compared, ...]
    stop: tuple[str, ...]
    decision: Decision
    winner: str | None
    in_two_arms: int
    look: Look

    def of(self, metric: str, arm: str) -> Compared:
        """One comparison.

        Raises
        ------
        UsageError
            It was not made: the gate is closed, or there is no such metric or arm.
        """
        for own in self.compared:
            if own.metric == metric and own.arm == arm:
                return own
        raise UsageError(f"{metric!r} of {arm!r} was not compared: {'no such pair' if self.open else 'gate closed'}")

    def words(self, language: str = "en") -> list[str]:
        """What was found, in sentences; ``en`` or ``zh``."""
        from palate.experiments.analysis_words import told

        return told(self, language)

"""One search for good settings, for a night or for six tries: what is known to be worth a try, then suggestions.

Suggestions come from a tree-structured Parzen estimator (Bergstra et al., 2011) in Optuna. Each follows from the seed
and the trials finished so far and from nothing else, so that a search that was killed and goes on tries what it would
have tried. What mattered is told by functional analysis of variance (Hutter et al., 2014).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from pydantic import BaseModel

from palate.core import PalateError, UsageError
from palate.core.space import Range, Space, Span, Value, changed, value_at
from palate.evaluation.journal import Trial, distributions_of, importance_of, keep, opened, reread, trials_of

if TYPE_CHECKING:
    from optuna.study import Study

SettingsT = TypeVar("SettingsT", bound=BaseModel)

STARTUP = 10
"""Trials before suggestions follow from what was found; those before are drawn evenly."""

RETRIES = 40
"""Suggestions in a row that were tried already before a space counts as exhausted."""

DIGITS = 4
"""Significant digits of a suggested number."""

FAILURES = (PalateError, ArithmeticError, MemoryError, RuntimeError, ValueError)
"""What extreme settings may do to a model; it costs the trial and not the search."""

Heard = Callable[["Trial", float], None]
"""Hears of each trial as it ends, and of the share of the budget that is spent."""


@dataclass(frozen=True)
class Budget:
    """How long a search goes on, runs before included: until ``trials`` trials or ``minutes`` minutes, or the first.

    Raises
    ------
    UsageError
        Nothing could be tried, or the search would never end.
    """

    trials: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.minutes is None:
            raise UsageError("a search needs a budget: trials, minutes, or both")
        if self.trials is not None and self.trials < 1:
            raise UsageError(f"a budget of {self.trials} settings allows nothing to be tried")
        if self.minutes is not None and not 0 < self.minutes < np.inf:
            raise UsageError(f"a budget of {self.minutes:g} minutes allows nothing to be tried, or has no end")

    def share(self, trials: int, seconds: float) -> float:
        """How much of it is spent, 0 to 1 and beyond."""
        return max(trials / self.trials if self.trials else 0.0, seconds / (60 * self.minutes) if self.minutes else 0.0)

    def allows(self, trials: int, seconds: float, expected: float) -> bool:
        """Whether another trial, expected to take so many seconds, still fits; the first always does."""
        if not trials:
            return True
        fits = self.minutes is None or seconds + expected <= 60 * self.minutes
        return fits and self.share(trials, seconds) < 1


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Parameters
    ----------
    trials
        In order; the settings it started from come first.
    ended
        By the ``budget``, because the space was ``exhausted``, or ``interrupted`` by hand.
    importance
        Share of what varied in quality that each setting explains; empty where trials are too few to tell.
    resumed
        Trials that an earlier run had finished.
    """

    trials: tuple[Trial, ...]
    ended: Literal["budget", "exhausted", "interrupted"]
    importance: Mapping[str, float]
    resumed: int = 0

    @property
    def best(self) -> Trial | None:
        """The best trial, the first of equals; None where none succeeded."""
        ranked = [trial for trial in self.trials if trial.quality is not None]
        return max(ranked, key=lambda trial: trial.quality or 0.0, default=None)


def search(
    start: SettingsT,
    space: Space,
    measure: Callable[[SettingsT], float],
    *,
    budget: Budget,
    seed: int = 0,
    journal: Path | None = None,
    heard: Heard | None = None,
) -> Found:
    """Try settings until the budget is spent: those given, those known to be worth a try, then suggestions.

    Parameters
    ----------
    start
        Where to begin; settings outside the space stay as they are here.
    measure
        Quality of settings, more is better.
    journal
        A file (Optuna's journal) that keeps every trial as it ends; a search that finds one goes on from there. The
        caller names it so that another space, start, seed or measure has another file.

    Raises
    ------
    UsageError
        Another process holds the journal.
    PalateError
        The journal cannot be read; whatever the settings to start from raise.
    """
    space = space.covering(start)
    with opened(journal) as study:
        return _search(start, space, measure, budget=budget, seed=seed, study=study, journal=journal, heard=heard)


def _search(
    start: SettingsT,
    space: Space,
    measure: Callable[[SettingsT], float],
    *,
    budget: Budget,
    seed: int,
    study: Study,
    journal: Path | None,
    heard: Heard | None,
) -> Found:
    known, ranges = list(_known(start, space)), space.ranges
    trials = trials_of(study)
    resumed, earlier, started = len(trials), sum(trial.seconds for trial in trials), time.perf_counter()
    ended: Literal["budget", "exhausted", "interrupted"] = "budget"
    try:
        while budget.allows(
            len(trials),
            spent := earlier + time.perf_counter() - started,
            median(trial.seconds for trial in trials) if trials else 0.0,
        ):
            values = _next(known, ranges, trials, study, seed)
            if values is None:
                ended = "exhausted"
                break
            trial = _tried(start, values, measure, first=not trials)
            keep(study, trial, ranges)
            trials.append(trial)
            if heard is not None:
                heard(trial, budget.share(len(trials), spent + trial.seconds))
    except KeyboardInterrupt:
        ended = "interrupted"
        study = reread(study, journal)
    return Found(tuple(trials_of(study)), ended, importance_of(study, seed), resumed)


def _next(
    known: Iterable[Mapping[str, Value]],
    ranges: Mapping[str, Range],
    trials: Sequence[Trial],
    study: Study,
    seed: int,
) -> Mapping[str, Value] | None:
    """Settings that were not tried yet: what is known to be worth it, then suggestions; None where none are found."""
    tried = {_key(trial.values) for trial in trials}
    for values in chain(known, _suggestions(study, ranges, seed, len(trials))):
        if _key(values) not in tried:
            return values
    return None


def _known(start: SettingsT, space: Space) -> Iterator[dict[str, Value]]:
    """Where the search starts, then what is worth a try."""
    for entry in ({}, *space.first):
        settings = changed(start, entry)
        yield {name: value_at(settings, name) for name in space.ranges}


def _suggestions(study: Study, ranges: Mapping[str, Range], seed: int, finished: int) -> Iterator[dict[str, Value]]:
    """What the estimator would try next, again and again, each from a seed of its own.

    It asks a copy in memory: a suggestion that comes to nothing leaves no trace in what is kept.
    """
    import optuna

    copy = optuna.create_study(direction="maximize")
    copy.add_trials(study.trials)
    for retry in range(RETRIES):
        drawn = int(np.random.SeedSequence([seed, finished, retry]).generate_state(1)[0])
        copy.sampler = optuna.samplers.TPESampler(seed=drawn, n_startup_trials=STARTUP, constant_liar=False)
        asked = copy.ask(distributions_of(ranges))
        yield {name: _rounded(value, ranges[name]) for name, value in asked.params.items()}
        copy.tell(asked, state=optuna.trial.TrialState.FAIL)


def _rounded(value: Value, own: Range) -> Value:
    """A number as people write it, within its range: what is measured is then what is reported, to the last digit."""
    if not isinstance(value, float) or not isinstance(own, Span):
        return value
    return float(min(max(float(f"{value:.{DIGITS}g}"), own.low), own.high))


def _tried(start: SettingsT, values: Mapping[str, Value], measure: Callable[[SettingsT], float], first: bool) -> Trial:
    began = time.perf_counter()
    try:
        quality = float(measure(changed(start, values)))
        failure = "" if np.isfinite(quality) else f"its quality is {quality}"
    except FAILURES as error:
        if first:
            raise
        quality, failure = np.nan, f"{type(error).__name__}: {error}"
    return Trial(dict(values), None if failure else quality, time.perf_counter() - began, failure)


def _key(values: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    """Values to the precision that could matter; text tells None, True and 1 apart."""
    return tuple(
        (name, f"{value:.6g}" if isinstance(value, float) else repr(value)) for name, value in sorted(values.items())
    )

"""Trials of a search, kept in Optuna's journal: one line as each ends, so that nothing half done is ever read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from palate.core import PalateError, UsageError
from palate.core.space import Range, Span, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

TELLING = 8
"""Fewer finished trials say nothing of what mattered."""


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Parameters
    ----------
    values
        Of every setting searched, by name.
    quality
        What they are worth, more is better; None where they failed.
    seconds
        It took to find out.
    failure
        Why they failed, in words.
    """

    values: Mapping[str, Value]
    quality: float | None
    seconds: float
    failure: str = ""


@contextmanager
def opened(journal: Path | None) -> Iterator[Study]:
    """What is kept in a journal, for this process alone; in memory where None.

    Raises
    ------
    UsageError
        Another process holds the journal.
    PalateError
        The file is no journal.
    """
    if journal is None:
        yield _study(None)
        return
    with _alone(journal):
        yield _study(journal)


def reread(study: Study, journal: Path | None) -> Study:
    """What is kept, read anew: an interrupt may have come after a trial was written and before it was in memory."""
    if journal is None:
        return study
    _mend(journal)
    return _study(journal)


def trials_of(study: Study) -> list[Trial]:
    """What has ended, in order."""
    found = []
    for kept in study.get_trials(deepcopy=False):
        failure, seconds = kept.user_attrs["failure"], kept.user_attrs["seconds"]
        found.append(Trial(kept.params, None if failure else kept.value, seconds, failure))
    return found


def keep(study: Study, trial: Trial, ranges: Mapping[str, Range]) -> None:
    """Write down a trial that has ended."""
    from optuna.trial import TrialState, create_trial

    study.add_trial(
        create_trial(
            state=TrialState.FAIL if trial.failure else TrialState.COMPLETE,
            params=dict(trial.values),
            distributions=distributions_of(ranges),
            value=trial.quality,
            user_attrs={"seconds": trial.seconds, "failure": trial.failure},
        )
    )


def distributions_of(ranges: Mapping[str, Range]) -> dict[str, BaseDistribution]:
    """Ranges in Optuna's words."""
    from optuna import distributions

    found: dict[str, BaseDistribution] = {}
    for name, own in ranges.items():
        if not isinstance(own, Span):
            found[name] = distributions.CategoricalDistribution(own.values)
        elif own.whole:
            found[name] = distributions.IntDistribution(int(own.low), int(own.high), log=own.log)
        else:
            found[name] = distributions.FloatDistribution(own.low, own.high, log=own.log)
    return found


def importance_of(study: Study, seed: int) -> dict[str, float]:
    """Share of what varies in quality that each setting explains; empty where trials are too few to tell."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(finished) < TELLING or len({trial.value for trial in finished}) == 1:
        return {}
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {name: float(share) for name, share in shares.items()}


@contextmanager
def _alone(journal: Path) -> Iterator[None]:
    """Hold a journal as long as this process searches; the system lets go of it when a process dies, however it dies.

    Raises
    ------
    UsageError
        Another process holds it.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("ab") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"another process searches with {journal}; wait for it, or keep this search elsewhere (--state)"
                ) from None
        _mend(journal)
        yield


def _mend(journal: Path) -> None:
    """Cut off a last line that was being written when the process was killed."""
    written = journal.read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    if len(whole) < len(written):
        journal.write_bytes(whole)


def _study(journal: Path | None) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if journal is None:
        return optuna.create_study(direction="maximize")

    class Held(JournalFileOpenLock):
        """The whole search holds the journal; a lock of Optuna outlives a killed process by half a minute."""

        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            return None

    try:
        storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=Held(str(journal))))
        return optuna.create_study(storage=storage, study_name="palate", direction="maximize", load_if_exists=True)
    except (ValueError, KeyError, TypeError) as error:
        raise PalateError(f"{journal} cannot be read as the journal of a search ({error}). Move it away.") from None

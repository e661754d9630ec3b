"""Does anything know what it cannot know? Audits that a peeking model, feature or split fails.

Two worlds are made that differ only in what nobody may know: in the second one the held-out answers are drawn anew.
Whoever answers the same questions differently in the two worlds has looked. A third world renames every id: whoever
does better or worse there has read ids, which in several benchmark files follow first appearance and give the future
away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from palate.core import Ids, IntArray
from palate.core.ids import id_hash
from palate.data import Catalogue, Dataset, Fold
from palate.evaluation.answers import Answers
from palate.evaluation.protocols import Trial, plan
from palate.measure import accuracy, compare

Pipeline = Callable[[Trial], Answers]
"""Everything under audit: fits on a trial as it would in earnest, and answers ``trial.test``."""


@dataclass(frozen=True)
class Audit:
    """What was found; ``findings`` is empty where nothing is wrong.

    Parameters
    ----------
    changed
        Share of questions answered differently when only the held-out answers were changed; honest is exactly 0.
    renamed
        Recall@20 with all ids renamed, less recall@20 before.
    findings
        What is wrong, in words.
    """

    changed: float
    renamed: float
    findings: tuple[str, ...]

    @property
    def honest(self) -> bool:
        return not self.findings


def audit(
    pipeline: Pipeline, dataset: Dataset, protocol: str = "loo-strict", *, seed: int = 0, tolerance: float = 0.01
) -> Audit:
    """Run a whole pipeline in three worlds and compare its answers.

    Parameters
    ----------
    pipeline
        Called three times, once a world. It must be deterministic.
    tolerance
        Difference of recall@20 that renaming ids may make: ties fall otherwise, and random starts are dealt otherwise.
    """
    trial = plan(dataset, protocol)
    answers = pipeline(trial)
    other = plan(alter_future(dataset, trial, seed), protocol)
    changed = float((pipeline(other).items != answers.items).any(axis=1).mean())
    twin = renamed(dataset, seed)
    elsewhere = plan(twin.dataset, protocol)
    before = _recall(answers, trial.test)
    after = _recall(pipeline(elsewhere), elsewhere.test)[twin.questions(trial.test, elsewhere.test)]
    comparison = compare(after, before, seed=seed)[0].difference
    findings = [*check(trial)]
    if changed:
        findings.append(
            f"{changed:.1%} of the questions were answered differently when nothing but the held-out answers had "
            "changed: something reads them"
        )
    if abs(comparison.estimate) > tolerance and (comparison.low > 0 or comparison.high < 0):
        findings.append(
            f"recall@20 went from {before.mean():.4f} to {after.mean():.4f} when nothing but the ids had changed: "
            "something reads ids or the order of rows"
        )
    return Audit(changed, comparison.estimate, tuple(findings))


def check(trial: Trial) -> tuple[str, ...]:
    """What is wrong with a split itself, in words; nothing for an honest one."""
    findings = []
    for name, fold in (("validation", trial.validation), ("test", trial.test)):
        if fold is None or fold.queries.when is None:
            continue
        history = fold.queries.history
        late = history.times > fold.queries.when[history.rows]
        if bool(late.any()):
            findings.append(f"{int(late.sum()):,} events of {name} histories lie after the moment asked about")
    allowed = int((~trial.held_out).sum())
    if trial.learnt.n_events > allowed:
        findings.append(f"{trial.learnt.n_events:,} events are learnt from, but only {allowed:,} are not held out")
    return tuple(findings)


def alter_future(dataset: Dataset, trial: Trial, seed: int = 0) -> Dataset:
    """The same data with other items in all held-out events.

    They are drawn from the whole catalogue, not dealt anew among the events: dealing would keep every item's count, and
    a popularity that counts the answers would look honest.
    """
    items = dataset.events["item"].to_numpy().copy()
    interest = dataset.sequence_rows
    rows = interest[trial.held_out[interest]]
    items[rows] = np.random.default_rng(seed).integers(0, dataset.n_items, len(rows))
    return replace(dataset, events=dataset.events.with_columns(pl.Series("item", items)))


@dataclass(frozen=True)
class Renamed:
    """The same data under other names.

    Parameters
    ----------
    dataset
        With new ids, and with users and items in the order these bring about.
    users
        int32 (n_users,), the new position of each old user.
    """

    dataset: Dataset
    users: IntArray

    def questions(self, old: Fold, new: Fold) -> IntArray:
        """Row in ``new`` of each question of ``old``, both in order of users."""
        order = np.argsort(new.users, kind="stable")
        return order[np.searchsorted(new.users[order], self.users[old.users])].astype(np.int32)


def renamed(dataset: Dataset, seed: int = 0) -> Renamed:
    """Give every user and item another id; nothing else changes, only positions, which follow ids."""
    user_ids, users = _rename(dataset.user_ids, seed)
    item_ids, items = _rename(dataset.item_ids, seed)
    events = dataset.events
    codes = events["item"].to_numpy()
    events = events.with_columns(
        pl.Series("user", users[events["user"].to_numpy()]),
        pl.Series("item", np.where(codes >= 0, items[codes], -1).astype(np.int32)),
    ).sort("user", maintain_order=True)
    frame = dataset.catalogue.frame[np.argsort(items)].with_columns(pl.Series("item_id", item_ids.names))
    people = dataset.users
    if people is not None:
        people = people[np.argsort(users)].with_columns(pl.Series("user_id", user_ids.names))
    twin = replace(dataset, events=events, user_ids=user_ids, catalogue=Catalogue(item_ids, frame), users=people)
    return Renamed(twin, users)


def _rename(ids: Ids, seed: int) -> tuple[Ids, IntArray]:
    """New ids, and the new position of each old one."""
    names = [f"{id_hash(f'{seed}:{name}'):016x}" for name in ids.names]
    new = Ids.hashed(names, ids.what)
    return new, new.positions(names)


def _recall(answers: Answers, fold: Fold) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return accuracy(answers.items, fold.targets, cutoffs=(20,))["recall@20"]

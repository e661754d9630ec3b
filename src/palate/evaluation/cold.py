"""Items that nobody has touched yet: a share of the catalogue is held out of every fit, and only these are asked for.

They are ranked in the full catalogue, against every item that is known. Ranking them among a few candidates, as is
often done, says little about whether anybody would ever see them. What showing them costs those who look for other
items is measured beside it: on the other questions, against the same engine without the items, and against one that was
taught with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from palate.core import BoolArray, Float64Array, IntArray, Ragged, UsageError
from palate.core.arrays import offsets_of
from palate.data import Dataset, Fold
from palate.evaluation.answers import Answers
from palate.evaluation.contenders import FittedEngine, Progress
from palate.evaluation.metrics import figures
from palate.evaluation.protocols import Trial
from palate.measure import accuracy, compare

MEASURES = ("recall@10", "ndcg@10")
PLACES, NO_PLACES, WARM_ONLY, WHOLE = "places", "no places", "warm only", "whole"
"""The engine as it is; without places for new items; with the items held out ruled out; taught with these items too."""


@dataclass(frozen=True)
class HeldOut:
    """A trial whose questions are split by whether an item that was held out of every fit answers them.

    Parameters
    ----------
    trial
        Asks for these items only.
    warm
        The questions that none of them answers.
    items
        int32, ascending.
    """

    trial: Trial
    warm: Fold
    items: IntArray


@runtime_checkable
class Places(Protocol):
    """An engine that keeps places in its lists for items that nobody chose yet."""

    def without_places(self) -> Self: ...


Ask = Callable[[FittedEngine, Fold, Callable[[float], None]], Answers]


def hold_out_items(trial: Trial, share: float, seed: int = 0) -> HeldOut:
    """The same trial, in which a share of the items, drawn by seed, has no event in anything that is learnt from.

    Asked are the test questions that such an item answers, with only these items relevant; histories stay as they were.

    Parameters
    ----------
    share
        Of the items, above 0 and below 1.

    Raises
    ------
    UsageError
        The share is out of bounds, or no question is answered by an item held out.
    """
    if not 0 < share < 1:
        raise UsageError(f"cold items: a share of {share:g} of the items; it must lie between 0 and 1")
    n_items = trial.train.n_items
    cold = np.zeros(n_items, dtype=bool)
    cold[np.random.default_rng(seed).permutation(n_items)[: max(1, round(share * n_items))]] = True
    test = _asking_for(trial.test, cold)
    if not len(test):
        raise UsageError(f"no question is answered by one of the {int(cold.sum()):,} items held out; raise the share")
    warm = _answered_otherwise(trial.test, cold)
    if not len(warm):
        raise UsageError(
            f"every question is answered by one of the {int(cold.sum()):,} items held out; lower the share"
        )
    train = _without(trial.train, cold)
    validation = None
    if trial.validation is not None:
        selecting = _answered_otherwise(trial.validation, cold)
        validation = replace(selecting, dataset=train) if len(selecting) else None
    note = (
        f"cold items: {int(cold.sum()):,} of {n_items:,} items are held out of every fit, and {len(test):,} questions "
        "ask for them"
    )
    known = _without(test.dataset, cold)
    asking = replace(
        trial,
        name=f"{trial.name}, cold items",
        train=train,
        validation=validation,
        test=replace(test, dataset=known),
        refit=None if trial.refit is None else _without(trial.refit, cold),
        notes=(*trial.notes, note),
    )
    return HeldOut(asking, replace(warm, dataset=known), np.nonzero(cold)[0].astype(np.int32))


def keeping(
    held: HeldOut,
    engine: FittedEngine,
    whole: Callable[[], FittedEngine],
    ask: Ask,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What an engine finds of the items held out, and what it keeps for the questions that others answer.

    Parameters
    ----------
    engine
        Fitted without the items.
    whole
        Fits one with them; called last.
    ask
        An engine's answers to a fold.

    Returns
    -------
    ``items``, ``catalogue``, ``questions`` (``cold`` and ``warm``) and ``engines``: for each its name, figures of the
    ``cold`` and the ``warm`` questions, and of the first two what they keep (``kept``) of the others' NDCG@10 on warm
    questions, with 95 % intervals over users.
    """
    cold, report = held.trial.test, progress or (lambda _stage, _share: None)
    excludes = Ragged.repeated(held.items, len(held.warm))
    if held.warm.queries.excludes is not None:
        excludes = _joined(held.warm.queries.excludes, excludes)
    known_alone = replace(held.warm, queries=replace(held.warm.queries, excludes=excludes))

    def of(asked: FittedEngine, fold: Fold, name: str, which: str) -> Mapping[str, Float64Array]:
        answers = ask(asked, fold, lambda share: report(f"{which} items: {name}", share))
        found = accuracy(answers.items, fold.targets, cutoffs=(10,))
        return {measure: found[measure] for measure in MEASURES}

    asked: dict[str, FittedEngine] = {PLACES: engine}
    plain = engine.without_places() if isinstance(engine, Places) else engine
    if plain is not engine:
        asked[NO_PLACES] = plain
    tables = {"cold": {name: of(one, cold, name, "cold") for name, one in asked.items()}}
    tables["warm"] = {name: of(one, held.warm, name, "warm") for name, one in asked.items()}
    tables["warm"][WARM_ONLY] = of(engine, known_alone, WARM_ONLY, "warm")
    taught = whole()
    tables["cold"][WHOLE] = of(taught, cold, WHOLE, "cold")
    tables["warm"][WHOLE] = of(taught, held.warm, WHOLE, "warm")
    told = {
        which: figures(
            {name: dict(columns) for name, columns in tables[which].items()},
            {name: {} for name in tables[which]},
            fold.users,
            seed,
        )
        for which, fold in (("cold", cold), ("warm", held.warm))
    }
    return {
        "items": len(held.items),
        "catalogue": held.trial.train.n_items,
        "questions": {"cold": len(cold), "warm": len(held.warm)},
        "engines": [
            {
                "engine": name,
                "cold": told["cold"].get(name),
                "warm": told["warm"][name],
                "kept": {
                    other: _kept(tables["warm"][name], tables["warm"][other], held.warm.users, seed)
                    for other in (WARM_ONLY, WHOLE)
                    if name in asked
                },
            }
            for name in (*asked, WARM_ONLY, WHOLE)
        ],
    }


def _kept(
    ours: Mapping[str, Float64Array], theirs: Mapping[str, Float64Array], users: IntArray, seed: int
) -> dict[str, Any]:
    """Our mean over theirs, paired."""
    found = compare(ours["ndcg@10"], theirs["ndcg@10"], users, seed=seed)[0].relative
    return {"share": found.estimate + 1, "ci95": [found.low + 1, found.high + 1]}


def _joined(first: Ragged, second: Ragged) -> Ragged:
    """Both rows of every question, one after the other."""
    rows = np.concatenate([first.rows, second.rows])
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=len(first))
    return Ragged(offsets_of(counts), np.concatenate([first.values, second.values])[order])


def _without(dataset: Dataset, cold: BoolArray) -> Dataset:
    items = dataset.events["item"].to_numpy()
    return dataset.only((items < 0) | ~cold[np.maximum(items, 0)])


def _is_cold(fold: Fold, cold: BoolArray) -> BoolArray:
    """Which targets are held out; bool, aligned with ``fold.targets.values``."""
    values = fold.targets.values
    found: BoolArray = (values >= 0) & cold[np.maximum(values, 0)]
    return found


def _answered_otherwise(fold: Fold, cold: BoolArray) -> Fold:
    """Only the questions that no held-out item answers."""
    counts = np.bincount(fold.targets.rows[_is_cold(fold, cold)], minlength=len(fold))
    return fold.take(np.nonzero(counts == 0)[0].astype(np.int32))


def _asking_for(fold: Fold, cold: BoolArray) -> Fold:
    """Only the questions that held-out items answer, with only these items relevant."""
    kept = _is_cold(fold, cold)
    counts = np.bincount(fold.targets.rows[kept], minlength=len(fold))
    relevant = Ragged(offsets_of(counts), fold.targets.values[kept])
    return replace(fold, targets=relevant).take(np.nonzero(counts)[0].astype(np.int32))

"""Items that nobody has touched yet: a share of the catalogue is held out of every fit, and only these are asked for.

They are ranked in the full catalogue, against every item that is known. Ranking them among a few candidates, as is
often done, says little about whether anybody would ever see them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.core import BoolArray, Ragged, UsageError
from palate.core.arrays import offsets_of
from palate.data import Dataset, Fold
from palate.evaluation.protocols import Trial


def hold_out_items(trial: Trial, share: float, seed: int = 0) -> Trial:
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
    train = _without(trial.train, cold)
    validation = None
    if trial.validation is not None:
        warm = trial.validation.take(np.nonzero(~_answered_by(trial.validation, cold))[0].astype(np.int32))
        validation = replace(warm, dataset=train) if len(warm) else None
    note = (
        f"cold items: {int(cold.sum()):,} of {n_items:,} items are held out of every fit, and {len(test):,} questions "
        "ask for them"
    )
    return replace(
        trial,
        name=f"{trial.name}, cold items",
        train=train,
        validation=validation,
        test=replace(test, dataset=_without(test.dataset, cold)),
        refit=None if trial.refit is None else _without(trial.refit, cold),
        notes=(*trial.notes, note),
    )


def _without(dataset: Dataset, cold: BoolArray) -> Dataset:
    items = dataset.events["item"].to_numpy()
    return dataset.only((items < 0) | ~cold[np.maximum(items, 0)])


def _is_cold(fold: Fold, cold: BoolArray) -> BoolArray:
    """Which targets are held out; bool, aligned with ``fold.targets.values``."""
    values = fold.targets.values
    found: BoolArray = (values >= 0) & cold[np.maximum(values, 0)]
    return found


def _answered_by(fold: Fold, cold: BoolArray) -> BoolArray:
    """Which questions have a held-out item among their answers; bool (n,)."""
    return np.bincount(fold.targets.rows[_is_cold(fold, cold)], minlength=len(fold)) > 0


def _asking_for(fold: Fold, cold: BoolArray) -> Fold:
    """Only the questions that held-out items answer, with only these items relevant."""
    kept = _is_cold(fold, cold)
    counts = np.bincount(fold.targets.rows[kept], minlength=len(fold))
    relevant = Ragged(offsets_of(counts), fold.targets.values[kept])
    return replace(fold, targets=relevant).take(np.nonzero(counts)[0].astype(np.int32))

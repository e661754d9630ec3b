"""The same small budget of settings for every model, chosen on validation and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from palate.core import Scorer, Settings, UsageError
from palate.data import Dataset, Fold
from palate.evaluation.answers import by_scores
from palate.measure import accuracy

BUDGET = 6
"""Settings tried for each model, the default among them."""

SAMPLE = 4000
"""Validation questions that settings and models are chosen by."""

MEASURE = "ndcg@10"


class Tunable(Protocol):
    """A model class that is built from its settings alone."""

    def __call__(self, settings: Any) -> Scorer[Dataset]: ...


@dataclass(frozen=True)
class Tuned:
    """The outcome of a search.

    Parameters
    ----------
    model
        Fitted with the settings chosen.
    tried
        ``{"settings", "ndcg@10"}`` for each settings tried, in order.
    """

    model: Scorer[Dataset]
    tried: tuple[dict[str, Any], ...]


def sample(fold: Fold, size: int = SAMPLE, seed: int = 0) -> Fold:
    """At most ``size`` questions of a fold, drawn by seed, in their order."""
    if len(fold) <= size:
        return fold
    rows = np.random.default_rng(seed).choice(len(fold), size=size, replace=False)
    return fold.take(np.sort(rows).astype(np.int32))


def validated(model: Scorer[Dataset], validation: Fold) -> float:
    """A fitted model's N@10 on validation questions."""
    answers = by_scores(model, validation)
    return float(accuracy(answers.items, validation.targets, cutoffs=(10,))[MEASURE].mean())


def grid_of(settings: Settings) -> Sequence[Settings]:
    """What a settings class offers a tuner, the given settings first; only these where it offers nothing."""
    offered: Callable[[], Sequence[Settings]] | None = getattr(type(settings), "grid", None)
    others = [] if offered is None else [entry for entry in offered() if entry != settings]
    return [settings, *others]


def tune(
    build: Tunable,
    settings: Settings,
    train: Dataset,
    validation: Fold,
    *,
    budget: int = BUDGET,
    seed: int = 0,
) -> Tuned:
    """Try settings on a sample of the validation questions and keep the best; the first wins a tie.

    Parameters
    ----------
    build
        The model's class.
    settings
        Where to start, usually the defaults.
    budget
        How many settings are tried, these included.

    Raises
    ------
    UsageError
        The budget allows no settings at all.
    """
    asked = sample(validation, seed=seed)
    best: tuple[float, Scorer[Dataset]] | None = None
    tried: list[dict[str, Any]] = []
    for entry in grid_of(settings)[:budget]:
        model = build(entry).fit(train)
        quality = validated(model, asked)
        tried.append({"settings": entry.model_dump(mode="json"), MEASURE: quality})
        if best is None or quality > best[0]:
            best = quality, model
    if best is None:
        raise UsageError(f"a budget of {budget} settings allows nothing to be tried")
    return Tuned(best[1], tuple(tried))

"""The same small budget of settings for every model, chosen on validation and on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from palate.core import Scorer, Settings
from palate.core.space import changed, space_of
from palate.data import Dataset, Fold
from palate.evaluation.answers import by_scores
from palate.evaluation.search import Budget, search
from palate.measure import accuracy

BUDGET = 6
"""Settings tried for each model, the default among them."""

MINUTES = 10.0
"""After so long no further settings are tried for a model; the same for every model."""

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
    answers = by_scores(model.score, validation, model.name)
    return float(accuracy(answers.items, validation.targets, cutoffs=(10,))[MEASURE].mean())


def tune(
    build: Tunable,
    settings: Settings,
    train: Dataset,
    validation: Fold,
    *,
    budget: int = BUDGET,
    minutes: float = MINUTES,
    seed: int = 0,
    fitted: Scorer[Dataset] | None = None,
) -> Tuned:
    """Try settings on a sample of the validation questions and keep the best; the first wins a tie.

    What is tried, and in which order, is what ``palate.evaluation.search`` tries: these settings, those their class
    knows to be worth a try, then suggestions.

    Parameters
    ----------
    build
        The model's class.
    settings
        Where to start, usually the defaults.
    budget, minutes
        How many settings are tried, these included, and for how long.
    fitted
        The model with these settings, where it is fitted on ``train`` already.

    Raises
    ------
    UsageError
        The budget allows no settings at all.
    """
    asked = sample(validation, seed=seed)
    best: tuple[float, Scorer[Dataset]] | None = None

    def measure(entry: Settings) -> float:
        nonlocal best
        model = fitted if fitted is not None and entry == settings else build(entry).fit(train)
        quality = validated(model, asked)
        if best is None or quality > best[0]:
            best = quality, model
        return quality

    found = search(settings, space_of(settings), measure, budget=Budget(budget, minutes), seed=seed)
    if found.ended == "interrupted" or best is None:
        raise KeyboardInterrupt  # what follows would speak of a search cut short as of a whole one
    tried = tuple(
        {"settings": changed(settings, trial.values).model_dump(mode="json"), MEASURE: trial.quality}
        for trial in found.trials
        if trial.quality is not None
    )
    return Tuned(best[1], tried)

"""From answers to figures: one table of numbers a question for each model, and the figures of whole runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, FloatArray, Int64Array, IntArray, Ragged
from palate.data import Dataset
from palate.evaluation.answers import Answers
from palate.measure import (
    accuracy,
    audience_diversity,
    category_diversity,
    coverage,
    gini,
    novelty,
    resampled_means,
    vector_diversity,
)
from palate.measure.intervals import bounds

LIST = 10
"""Length of the lists whose novelty, diversity, coverage and Gini are reported."""

Columns = dict[str, Float64Array]
"""Name of a measure -> float64 (n,), a number for each question."""


@dataclass(frozen=True)
class Yardstick:
    """What answers are held against, the same for every model.

    Parameters
    ----------
    learnt
        The events the models have seen; popularity is counted in them.
    targets
        Relevant items of the n questions.
    users
        int32 (n,), whose questions they are; intervals are over users.
    vectors
        float32 (n_items, d), what items mean; None where nothing says so.
    """

    learnt: Dataset
    targets: Ragged
    users: IntArray
    vectors: FloatArray | None = None

    @property
    def popularity(self) -> Int64Array:
        return self.learnt.popularity

    @property
    def diversity(self) -> str:
        """What ``diversity@10`` goes by: categories where items have them, else vectors, else who wants the items."""
        if self.learnt.catalogue.categories[1]:
            return "category"
        return "vector" if self.vectors is not None else "audience"


def per_question(answers: Answers, yardstick: Yardstick) -> Columns:
    """Every measure that is a mean over questions."""
    columns = accuracy(answers.items, yardstick.targets)
    columns["mrr"] = answers.reciprocal
    shown = answers.items[:, :LIST]
    columns[f"novelty@{LIST}"] = novelty(shown, yardstick.popularity)
    if yardstick.diversity == "category":
        columns[f"diversity_category@{LIST}"] = category_diversity(shown, yardstick.learnt.catalogue.categories[0])
    if yardstick.vectors is not None:
        columns[f"diversity_vector@{LIST}"] = vector_diversity(shown, yardstick.vectors)
    if yardstick.diversity == "audience":
        columns[f"diversity_audience@{LIST}"] = audience_diversity(shown, yardstick.learnt.matrix())
    columns[f"diversity@{LIST}"] = columns[f"diversity_{yardstick.diversity}@{LIST}"]
    return columns


def of_the_run(answers: Answers, n_items: int) -> dict[str, float]:
    """Measures of all lists together, which have no value for a single question."""
    shown = answers.items[:, :LIST]
    return {f"coverage@{LIST}": coverage(shown, n_items), f"gini@{LIST}": gini(shown, n_items)}


def figures(
    tables: Mapping[str, Columns], whole: Mapping[str, Mapping[str, float]], users: IntArray, seed: int
) -> dict[str, dict[str, object]]:
    """Means and 95 % intervals of every model, drawn together so that all models see the same resampled users."""
    names = [(model, measure) for model, columns in tables.items() for measure in columns]
    values = np.column_stack([tables[model][measure] for model, measure in names])
    low, high = bounds(resampled_means(values, users, seed=seed))
    result: dict[str, dict[str, object]] = {}
    intervals: dict[str, dict[str, list[float]]] = {model: {} for model in tables}
    for place, (model, measure) in enumerate(names):
        result.setdefault(model, {})[measure] = float(values[:, place].mean())
        intervals[model][measure] = [float(low[place]), float(high[place])]
    for model, run in whole.items():
        result[model].update(run)
        result[model]["ci95"] = intervals[model]
    return result

"""Ranking a list that is shown: which of these, in this order and at these prices, will be chosen.

Learnt from lists that people were shown and chose from. The probabilities are of one population: that something of the
list is chosen; they sum to 1 over a list. Boosted trees of the likelihood of the choice among its list (the conditional
logit of McFadden, 1974, with trees in place of its weights), as counting position in is what tells liking from
convenience.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from palate.core import BoolArray, Float64Array, FloatArray, Int64Array, IntArray, Queries, Ragged, Rankings, Settings
from palate.core.ids import id_hash
from palate.core.recommender import Arrays
from palate.core.threads import threads
from palate.core.trees import repeatable
from palate.data import Dataset
from palate.data.shown import CHOICES, ShownLists
from palate.ranking.shown_facts import ShownFacts
from palate.ranking.shown_features import NAMES, build_shown

SOURCE = "shown"
"""Name of this ranking among the sources of an answer."""


class ShownSettings(Settings):
    """Of the boosted trees over lists that were shown.

    Parameters
    ----------
    learn
        Learn from them where the data has such lists.
    least
        Fewer lists with a choice teach nothing.
    trees, leaves, learning_rate, minimum_leaf, feature_fraction, bagging_fraction
        Most trees, leaves of each, size of a step, items a leaf needs, shares of columns and lists that a tree sees.
    patience
        Trees without gain on the stopping lists before training ends.
    held
        Share of the lists, the last in time, that decide when to stop and how sure to be. Then all are learnt from.
    """

    learn: bool = True
    least: int = Field(default=500, ge=50)
    trees: int = Field(default=400, ge=1)
    leaves: int = Field(default=15, ge=2)
    learning_rate: float = Field(default=0.06, gt=0)
    minimum_leaf: int = Field(default=50, ge=1)
    feature_fraction: float = Field(default=0.6, gt=0, le=1)
    bagging_fraction: float = Field(default=0.8, gt=0, le=1)
    patience: int = Field(default=40, ge=1)
    held: float = Field(default=0.15, gt=0, lt=1)


@dataclass(frozen=True)
class ShownRanker:
    """Fitted trees.

    Parameters
    ----------
    model
        LightGBM's own text format.
    facts
        Counts of what was shown and chosen.
    clicks
        Kinds of event that are a choice; int32.
    sharpness
        What utilities are multiplied by before they become probabilities.
    trees, lists
        Trees in use, and lists learnt from.
    """

    model: str
    facts: ShownFacts
    clicks: IntArray
    sharpness: float
    trees: int
    lists: int

    def utility(self, queries: Queries) -> FloatArray:
        """What speaks for each candidate; float32 (len(candidates.values),)."""
        table = build_shown(self.facts, queries, self.clicks)
        if not len(table):
            return np.zeros(0, dtype=np.float32)
        return np.asarray(self._booster.predict(table, raw_score=True, num_threads=threads()), dtype=np.float32)

    def probability(self, queries: Queries) -> FloatArray:
        """How likely each candidate is to be the one chosen, if one is; float32 (len(candidates.values),).

        Those of one list sum to 1.
        """
        lists = _lists(queries)
        return _softmax(self.sharpness * self.utility(queries).astype(np.float64), lists).astype(np.float32)

    def rank(self, queries: Queries) -> Rankings:
        """The candidates of n questions by probability, which is their score; an exact tie keeps the order shown."""
        lists, k = _lists(queries), queries.k
        probability = self.probability(queries)
        open_ = ~_ruled_out(queries, lists)
        cells = np.flatnonzero(open_)
        order = cells[np.lexsort((cells, -probability[cells], lists.rows[cells]))]
        rows = lists.rows[order]
        place = np.arange(len(order)) - np.searchsorted(rows, rows)
        order, rows, place = order[place < k], rows[place < k], place[place < k]
        items = np.full((len(queries), k), -1, dtype=np.int32)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        items[rows, place], scores[rows, place] = lists.values[order], probability[order]
        return Rankings(items, scores, (items >= 0).astype(np.uint32), (SOURCE,))

    def contributions(self, queries: Queries) -> tuple[FloatArray, Float64Array]:
        """The feature table (l, f), and what each column adds to each utility, the base last (TreeSHAP); (l, f + 1)."""
        table = build_shown(self.facts, queries, self.clicks)
        return table, np.asarray(self._booster.predict(table, pred_contrib=True), dtype=np.float64)

    def describe(self) -> dict[str, Any]:
        """What it is, for pages and logs."""
        return {"lists": self.lists, "trees": self.trees, "features": len(NAMES)}

    def importance(self) -> dict[str, float]:
        """Share of the gain that each feature brought, the most important first."""
        gains = np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)
        order = np.argsort(-gains, kind="stable")
        return {NAMES[i]: float(gains[i] / max(gains.sum(), 1e-12)) for i in order}

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.model)

    def arrays(self) -> Arrays:
        """Everything but the trees and the names of devices."""
        return {
            **self.facts.arrays(),
            "clicks": self.clicks,
            "numbers": np.array([self.sharpness, self.trees, self.lists], dtype=np.float64),
        }

    @classmethod
    def restore(cls, model: str, devices: tuple[str, ...], arrays: Arrays) -> ShownRanker:
        """The ranker that ``arrays`` gave."""
        sharpness, trees, lists = (float(value) for value in arrays["numbers"])
        clicks = np.asarray(arrays["clicks"], dtype=np.int32)
        return cls(model, ShownFacts.restore(arrays, devices), clicks, sharpness, int(trees), int(lists))


def learn_shown(
    dataset: Dataset, settings: ShownSettings, seed: int, *, notes: list[str] | None = None
) -> ShownRanker | None:
    """Learn from the lists of a dataset; None where there are too few, and ``notes`` say so where there are any."""
    if not settings.learn:
        return None
    lists = ShownLists.of(dataset)
    chosen = lists.take(lists.chosen >= 0)
    if len(chosen) < settings.least:
        if len(chosen) and notes is not None:
            notes.append(f"lists that are shown keep their order: only {len(chosen)} were chosen from")
        return None
    facts = ShownFacts.of(dataset, lists)
    clicks = np.array([dataset.kinds.position(name) for name in CHOICES], dtype=np.int32)
    table = build_shown(facts, chosen.queries(dataset), clicks)
    late = np.arange(len(chosen)) >= round(len(chosen) * (1 - settings.held))
    early = _grown(table, chosen, ~late, settings, settings.trees, seed=seed, watched=late)
    trees = max(int(early.best_iteration), 1)
    held = chosen.take(late)
    utilities = early.predict(table[late[chosen.lists.rows]], raw_score=True, num_iteration=trees)
    sharpness = _sharpness(np.asarray(utilities, dtype=np.float64), held)
    everything = np.ones(len(chosen), dtype=bool)
    final = _grown(table, chosen, everything, settings, round(trees / (1 - settings.held)), seed=seed)
    if notes is not None:
        notes.append(f"lists that are shown are ranked by {len(chosen):,} choices from lists")
    return ShownRanker(final.model_to_string(), facts, clicks, sharpness, final.current_iteration(), len(chosen))


def _grown(
    table: FloatArray,
    lists: ShownLists,
    learnt: BoolArray,
    settings: ShownSettings,
    trees: int,
    *,
    seed: int,
    watched: BoolArray | None = None,
) -> Any:
    """Trees taught by some lists, and stopped by others where there are any."""
    import lightgbm

    rows, targets = lists.lists.rows, lists.targets

    def part(which: BoolArray, reference: Any = None) -> Any:
        cells, lengths = which[rows], lists.lists.lengths[which]
        return lightgbm.Dataset(
            table[cells], targets[cells], group=lengths, feature_name=list(NAMES), reference=reference
        )

    data = part(learnt)
    parameters = {
        **repeatable((seed + id_hash(SOURCE)) % 2**31, threads()),
        "objective": _choice_loss(lists.lists.lengths[learnt]),
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.minimum_leaf,
        "min_sum_hessian_in_leaf": 1.0,
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.bagging_fraction,
        "bagging_freq": 1,
        "max_bin": 127,
        "metric": "none",
    }
    if watched is None:
        return lightgbm.train(parameters, data, trees)
    held = lists.take(watched)

    def loss(utilities: Float64Array, _data: Any) -> tuple[str, float, bool]:
        return "choice", _loss(utilities, held), False

    stop = lightgbm.early_stopping(settings.patience, verbose=False)
    return lightgbm.train(parameters, data, trees, valid_sets=[part(watched, data)], feval=loss, callbacks=[stop])


def _choice_loss(lengths: Int64Array) -> Callable[[Float64Array, Any], tuple[Float64Array, Float64Array]]:
    """Gradient and curvature of the negative log likelihood of each list's choice."""
    lists = Ragged(np.append(0, np.cumsum(lengths)).astype(np.int64), np.zeros(int(lengths.sum()), np.int32))

    def gradient(utilities: Float64Array, data: Any) -> tuple[Float64Array, Float64Array]:
        share = _softmax(utilities, lists)
        return share - data.get_label(), np.maximum(share * (1 - share), 1e-4)

    return gradient


def _loss(utilities: NDArray[np.floating], lists: ShownLists) -> float:
    """Mean negative log likelihood of the choices, nats a list."""
    share = _softmax(np.asarray(utilities, dtype=np.float64), lists.lists)[lists.targets]
    return float(-np.log(np.maximum(share, 1e-12)).mean())


def _sharpness(utilities: Float64Array, lists: ShownLists) -> float:
    """The factor under which the choices of lists nobody learnt from are likeliest (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda log: _loss(np.exp(log) * utilities, lists), bounds=(-2.0, 1.0), method="bounded")
    return float(np.exp(found.x))


def _softmax(utilities: Float64Array, lists: Ragged) -> Float64Array:
    """Shares within each list."""
    if not len(utilities):
        return utilities
    some = lists.lengths > 0
    starts, lengths = lists.indptr[:-1][some], lists.lengths[some]
    raised = np.exp(utilities - np.repeat(np.maximum.reduceat(utilities, starts), lengths))
    return np.asarray(raised / np.repeat(np.add.reduceat(raised, starts), lengths))


def _lists(queries: Queries) -> Ragged:
    return Ragged.of([[] for _ in range(len(queries))]) if queries.candidates is None else queries.candidates


def _ruled_out(queries: Queries, lists: Ragged) -> BoolArray:
    """Which candidates must not be answered: unknown and repeated ones, excludes, seen ones if masked."""
    out = np.asarray(lists.values < 0)
    if not len(out):
        return out
    width = int(max(lists.values.max(initial=0), queries.history.items.max(initial=0))) + 1
    keys = lists.rows.astype(np.int64) * width + lists.values
    again = np.ones(len(keys), dtype=bool)
    again[np.unique(keys, return_index=True)[1]] = False
    out |= again
    if queries.mask_seen:
        out |= np.isin(keys, queries.history.rows.astype(np.int64) * width + queries.history.items)
    if queries.excludes is not None:
        known = queries.excludes.values < width
        out |= np.isin(keys, (queries.excludes.rows.astype(np.int64) * width + queries.excludes.values)[known])
    return np.asarray(out)

"""How likely somebody is to like an item that is held out to them: a calibrated probability from the feature table.

It judges what was generated: a wish finds many things, and few of them are truly wanted. Taught by reactions that the
sources have not seen: occasions on which people looked at something, and whether they took and kept it.

What somebody looks at is chosen already, the first thing of a visit most of all, by what no feature tells: in the demo
shop 14 % of first looks are likes and 7 % of sixth ones. An item that a wish found was not chosen by anybody. So the
odds fall with the log of the place in the visit, and an item is judged as though it were come to in the middle of its
shelf.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import Field

from palate.core import BoolArray, Float64Array, FloatArray, IntArray, Queries, Settings
from palate.core.ids import id_hash
from palate.core.recommender import Arrays
from palate.core.trees import repeatable
from palate.measure.calibrators import Calibrator, chosen, logistic_weights
from palate.ranking.candidates import Candidates, propose
from palate.ranking.features import feature_names
from palate.ranking.pipeline import BATCH, Pipeline
from palate.ranking.reactions import Habits
from palate.ranking.sources import ask

HABITS = ("liking", "dwell")
"""Columns beside those of the feature table."""

PASSING = frozenset({"fused", "proposers", "popularity", "history_length", "days_since_last", "item_age"})
"""Features that say how long a shop was watched, or what moment it is, rather than who likes what."""

SLOW = frozenset({"sequential", "sasrec", "gru4rec", "generative", "semantic_transitions", "semantic_tuned"})
"""Sources that are not worth fitting once more for this."""


class AttractivenessSettings(Settings):
    """Of the boosted trees and of what they learn from.

    Parameters
    ----------
    learn
        Learn it where reactions tell likes from dislikes.
    trees, leaves, learning_rate, minimum_leaf
        Size of the ensemble, of a tree, of a step, and reactions a leaf needs.
    parts
        Parts of the people; each is foretold by trees that the others taught, and the calibration learns from that.
    reactions
        At most this many are learnt from, drawn by seed.
    held
        Share of events, the last in time, whose reactions are learnt from; the sources learn from those before.
    least
        Fewer likes, or fewer dislikes, teach nothing.
    strength
        Looks that a category's share of likes is worth where an item has few of its own.
    lift
        What the filter keeps is liked so many times as often as all that is judged.
    """

    learn: bool = True
    trees: int = Field(default=100, ge=1)
    leaves: int = Field(default=4, ge=2)
    learning_rate: float = Field(default=0.05, gt=0)
    minimum_leaf: int = Field(default=60, ge=1)
    parts: int = Field(default=5, ge=2)
    reactions: int = Field(default=8_000, ge=200)
    held: float = Field(default=0.25, gt=0, lt=1)
    least: int = Field(default=60, ge=10)
    strength: float = Field(default=20.0, gt=0)
    lift: float = Field(default=3.0, ge=1)


@dataclass(frozen=True)
class Attractiveness:
    """A fitted judge.

    Parameters
    ----------
    model
        LightGBM's own text format.
    names
        Features, in order.
    calibrator
        From log-odds to probabilities.
    late
        What being come to in the middle of a shelf adds to the trees' log-odds; not above 0.
    habits
        What people make of items when they look at them.
    threshold
        Probability from which on the filter keeps an item.
    base
        Share of likes among the reactions it learnt from.
    """

    model: str
    names: tuple[str, ...]
    calibrator: Calibrator
    late: float
    habits: Habits
    threshold: float
    base: float

    def probability(self, pipeline: Pipeline, queries: Queries, items: IntArray) -> FloatArray:
        """How likely each of n askers is to like each of m items; float32 (n, m), 0 for pads (-1)."""
        parts, pipeline = [], judged_by(pipeline)
        for start in range(0, len(queries), BATCH):
            rows = slice(start, min(start + BATCH, len(queries)))
            table = features(pipeline, self.habits, queries.take(rows), items[rows])
            n, m, f = table.shape
            odds = self._booster.predict(table.reshape(n * m, f), raw_score=True, num_threads=1)
            parts.append(self.calibrator(odds + self.late).reshape(n, m))
        found = np.concatenate(parts) if parts else np.zeros(items.shape)
        return np.where(items >= 0, found, 0).astype(np.float32)

    def keeps(self, probability: FloatArray) -> BoolArray:
        """Which items the filter keeps."""
        return np.asarray(probability >= self.threshold)

    def describe(self) -> dict[str, Any]:
        """What it is, for pages and logs."""
        return {
            "calibration": self.calibrator.kind,
            "base": round(self.base, 4),
            "threshold": round(self.threshold, 4),
            "features": len(self.names),
        }

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.model)

    def arrays(self) -> Arrays:
        """Everything but the trees."""
        return {
            **self.calibrator.arrays(),
            "isotonic": np.array([self.calibrator.kind == "isotonic"]),
            "liking": self.habits.liking,
            "dwell": self.habits.dwell,
            "numbers": np.array([self.late, self.threshold, self.base]),
        }

    @classmethod
    def restore(cls, model: str, names: tuple[str, ...], arrays: Arrays) -> Attractiveness:
        """The judge that ``arrays`` gave."""
        late, threshold, base = (float(value) for value in arrays["numbers"])
        calibrator = Calibrator.restore("isotonic" if bool(arrays["isotonic"][0]) else "platt", arrays)
        habits = Habits(np.asarray(arrays["liking"]), np.asarray(arrays["dwell"]))
        return cls(model, names, calibrator, late, habits, threshold, base)


def judged_by(pipeline: Pipeline) -> Pipeline:
    """The part of a ranking that a judge asks: its quick sources."""
    sources = {name: model for name, model in pipeline.sources.items() if name not in SLOW}
    weights = np.full(len(sources), 1 / max(len(sources), 1), dtype=np.float32)
    names = feature_names(tuple(sources), pipeline.facts)
    return replace(pipeline, sources=sources, weights=weights, ranker=None, names=names)


def features(pipeline: Pipeline, habits: Habits, queries: Queries, items: IntArray) -> FloatArray:
    """What is known of n askers and m items each, whether any source proposes them or not; float32 (n, m, f).

    The items stand at the end of the question's own candidates, so that a rank among candidates means what it means to
    the ranker. A wish is left out: people who look at something have not said why.
    """
    alone = replace(queries, text=None, candidates=None, excludes=None, mask_seen=False)
    scores = ask(pipeline.sources, alone, pipeline.n_items)
    own = propose(scores, pipeline.candidates)
    inside = (own.items[:, :, None] == items[:, None, :]) & (items >= 0)[:, None, :]
    place = inside.argmax(axis=1)
    there = inside.any(axis=1)
    fused = np.where(there, np.take_along_axis(own.fused, place, axis=1), 0).astype(np.float32)
    bits = np.where(there, np.take_along_axis(own.sources, place, axis=1), 0).astype(np.uint32)
    together = Candidates(
        np.concatenate([own.items, items], axis=1),
        np.concatenate([own.fused, fused], axis=1),
        np.concatenate([own.sources, bits], axis=1),
    )
    table = pipeline.features(alone, together, scores)[:, own.items.shape[1] :]
    known = (items >= 0) & (items < len(habits.liking))
    row = np.where(known, items, 0)
    own_habits = [np.where(known, column[row], np.float32(0)) for column in (habits.liking, habits.dwell)]
    lasting = [place for place, name in enumerate(pipeline.names) if _lasts(name)]
    return np.concatenate([table[:, :, lasting], np.stack(own_habits, axis=-1)], axis=2).astype(np.float32)


def judged_names(pipeline: Pipeline) -> tuple[str, ...]:
    """Names of the columns of ``features``."""
    return (*(name for name in pipeline.names if _lasts(name)), *HABITS)


def _lasts(name: str) -> bool:
    return name.partition(".")[0] not in PASSING


def learn_attractiveness(
    pipeline: Pipeline,
    habits: Habits,
    queries: Queries,
    items: IntArray,
    *,
    liked: BoolArray,
    users: IntArray,
    order: IntArray,
    settings: AttractivenessSettings,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Attractiveness:
    """Learn from n reactions, likes and dislikes among them.

    Parameters
    ----------
    pipeline, habits
        Fitted on what happened before the reactions.
    queries
        Each history ends before its reaction.
    items, liked, users, order
        int32 (n,), bool (n,), int32 (n,), int32 (n,): the item looked at, what came of it, who looked, and how many
        items the same person had looked at before in that visit.
    """
    tables = []
    for start in range(0, len(queries), BATCH):
        rows = slice(start, min(start + BATCH, len(queries)))
        tables.append(features(pipeline, habits, queries.take(rows), items[rows, None])[:, 0])
        if progress is not None:
            progress(rows.stop / len(queries))
    table, names = np.concatenate(tables), judged_names(pipeline)
    # A person stands in one part, so that no part is foretold by what the same person did.
    drawn = np.random.default_rng([seed, id_hash("attractiveness") % 2**32])
    part = drawn.integers(settings.parts, size=int(users.max(initial=0)) + 1)[users]
    odds = np.zeros(len(table))
    for held in np.unique(part):
        outside = part != held
        odds[~outside] = _trees(table[outside], liked[outside], names, settings, seed).predict(
            table[~outside], raw_score=True, num_threads=1
        )
    before = np.log1p(order)
    own, by_place, _ = logistic_weights(np.column_stack([odds, before]), liked.astype(np.float64))
    slope = min(by_place / own, 0.0) if own > 0 else 0.0
    calibrator = chosen(odds + slope * before, liked, part)
    late = slope * float(np.log1p(_middle(pipeline.facts.categories[:, 0], items, order)))
    judged = calibrator(odds + late)
    threshold = _threshold(judged, float(judged.mean()), settings.lift)
    model = _trees(table, liked, names, settings, seed).model_to_string()
    return Attractiveness(model, names, calibrator, late, habits, threshold, float(liked.mean()))


def _middle(shelves: IntArray, items: IntArray, order: IntArray) -> float:
    """Half the items on the shelf of most looks; as far as people came in a visit where there are no categories."""
    known = shelves[items] >= 0
    if not known.any():
        return float(order.max(initial=0))
    sizes = np.bincount(shelves + 1)
    return float(np.median(sizes[shelves[items[known]] + 1])) / 2


def _trees(
    table: FloatArray, liked: BoolArray, names: tuple[str, ...], settings: AttractivenessSettings, seed: int
) -> Any:
    import lightgbm

    parameters = {
        **repeatable(seed),
        "objective": "binary",
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.minimum_leaf,
        "lambda_l2": 5.0,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "max_bin": 63,
    }
    data = lightgbm.Dataset(table, liked.astype(np.int8), feature_name=list(names), free_raw_data=True)
    return lightgbm.train(parameters, data, settings.trees)


def _threshold(probability: Float64Array, base: float, lift: float) -> float:
    """The lowest probability from which on the mean is so many times the base; the highest tenth where none is."""
    order = np.sort(probability)[::-1]
    means = np.cumsum(order) / np.arange(1, len(order) + 1)
    # Ties stand together: a threshold keeps all of them or none.
    last = np.append(order[1:] < order[:-1], True)
    fitting = np.flatnonzero(last & (means >= lift * base))
    return float(order[fitting[-1]]) if len(fitting) else float(np.quantile(probability, 0.9))

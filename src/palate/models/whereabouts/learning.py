"""How the ranker learns: visits that happened are asked for, of a crowd that ends before them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from palate.behaviour.gazetteer import Gazetteer
from palate.core import BoolArray, FloatArray, Histories, Int64Array, IntArray, Queries
from palate.core.threads import threads
from palate.core.trees import repeatable
from palate.models.whereabouts.asked import Asked
from palate.models.whereabouts.crowd import gather
from palate.models.whereabouts.settings import PlacesSettings
from palate.models.whereabouts.table import Table, build, names

BATCH = 512
"""Questions whose tables are made at once."""

FEWEST = 100
"""Questions whose answer is among the candidates; with fewer, nothing is learnt and fixed weights order."""


class Examples(NamedTuple):
    """Questions with their answers.

    Parameters
    ----------
    features
        float32 (c, f).
    relevant
        bool (c,).
    sizes
        int64 (n,), candidates of each question.
    """

    features: FloatArray
    relevant: BoolArray
    sizes: Int64Array


def examples(sequences: Histories, hours: IntArray, places: Gazetteer, settings: PlacesSettings) -> Examples | None:
    """Visits of the later part of the data, asked with what their user did before; None where they are too few.

    Parameters
    ----------
    hours
        int32 (m,), see ``crowd.gather``.
    """
    rng = np.random.default_rng(settings.seed)
    moment = _moments(sequences)
    if not len(moment):
        return None
    edges = np.quantile(moment, np.linspace(settings.warm, 1.0, settings.folds + 1))
    edges[-1] = np.inf
    begins = sequences.indptr[:-1][sequences.rows]
    wanted = _asked(sequences, settings)
    parts: list[Examples] = []
    for start, stop in pairwise(edges):
        asked = np.flatnonzero((moment >= start) & (moment < stop) & wanted)
        most = settings.questions // settings.folds
        if len(asked) > most:
            asked = np.sort(rng.choice(asked, most, replace=False))
        known = moment < start
        if not len(asked) or not known.any():
            continue
        crowd = gather(sequences.where(known), hours[known], places, settings.trip_hours, settings.successors)
        histories = sequences.between(np.maximum(begins[asked], asked - settings.window), asked)
        queries = Queries(histories, when=sequences.times[asked])
        for rows in _batches(len(asked)):
            made = build(Asked.of(queries.take(rows), places, settings), crowd)
            parts.append(_drawn(made, sequences.items[asked[rows]], settings.negatives, rng))
    if sum(len(part.sizes) for part in parts) < FEWEST:
        return None
    return Examples(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def learn(given: Examples, settings: PlacesSettings) -> str:
    """Boosted trees in LightGBM's own text format."""
    import lightgbm

    parameters = {
        **repeatable(settings.seed, threads()),
        "objective": "lambdarank",
        "lambdarank_truncation_level": 10,
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.minimum_leaf,
        "feature_fraction": settings.feature_fraction,
        "max_bin": 127,
    }
    if settings.objective == "softmax":
        parameters["objective"] = "rank_xendcg"
    labels = given.relevant.astype(np.int8)
    table = lightgbm.Dataset(given.features, labels, group=given.sizes, feature_name=list(names()))
    return str(lightgbm.train(parameters, table, settings.trees).model_to_string())


def order(booster: Any, made: Table) -> FloatArray:
    """Scores of candidates; float32 (c,). Fixed weights where there is no booster."""
    if booster is None:
        columns = dict(zip(names(), np.nan_to_num(made.features).T, strict=True))
        return np.asarray(sum(weight * columns[name] for name, weight in PRIOR.items()), dtype=np.float32)
    few = len(made.item) < 64 * BATCH
    return np.asarray(booster.predict(made.features, num_threads=1 if few else threads()), dtype=np.float32)


PRIOR = {
    "share_month": 3.0,
    "share_daytype_hour": 3.0,
    "share_followed": 2.0,
    "moves": 0.3,
    "alike": 0.5,
    "popularity": 0.2,
    "busy": 0.2,
    "decay": 0.2,
}
"""Weights of the columns that order where too little is known to learn any."""


def _asked(sequences: Histories, settings: PlacesSettings) -> BoolArray:
    """Visits with a history that are asked for: the ends of outings of two visits or more, or every one."""
    inside = np.zeros(len(sequences.items), dtype=bool)
    inside[1:] = sequences.rows[1:] == sequences.rows[:-1]
    if settings.learn_from == "every" or np.isnan(sequences.times).any():
        return inside
    begun = np.append(np.diff(sequences.times) >= settings.trip_hours * 3600.0, True)
    follows = inside & ~np.concatenate([[True], begun[:-1]])
    last = np.append(~inside[1:], True) | begun
    ends = follows & last
    return ends if ends.sum() >= 2 * FEWEST else inside


def _batches(n: int) -> Iterator[slice]:
    for start in range(0, n, BATCH):
        yield slice(start, min(start + BATCH, n))


def _moments(sequences: Histories) -> np.ndarray:
    """When each visit happened; its place in the user's own order where not all times are known."""
    if not np.isnan(sequences.times).any():
        return sequences.times
    return 1.0 - (sequences.ages + 1) / np.repeat(sequences.lengths, sequences.lengths)


def _drawn(made: Table, targets: IntArray, negatives: int, rng: np.random.Generator) -> Examples:
    """The right candidate of each question that has it, and some wrong ones."""
    n = len(targets)
    relevant = made.item == targets[made.row]
    found = np.bincount(made.row, relevant, minlength=n) > 0
    lot = rng.random(len(made.row))
    lot[relevant] = -1.0
    shuffled = np.lexsort((lot, made.row))
    sizes = np.bincount(made.row, minlength=n)
    place = np.arange(len(shuffled)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.sort(shuffled[(place <= negatives) & found[made.row[shuffled]]])
    left = np.bincount(made.row[kept], minlength=n)
    return Examples(made.features[kept], relevant[kept], left[left > 0].astype(np.int64))

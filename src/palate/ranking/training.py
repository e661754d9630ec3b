"""Teaching the ranker: questions whose answers are known, asked of sources that have not seen them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.core import FloatArray
from palate.core.ids import id_hash
from palate.data import Fold
from palate.ranking.candidates import propose
from palate.ranking.fusion import normalised
from palate.ranking.pipeline import BATCH, Pipeline
from palate.ranking.ranker import Examples
from palate.ranking.sources import ask


def sample(fold: Fold, most: int, seed: int) -> Fold:
    """At most so many questions, drawn by seed and in the order drawn, so that a part of them is a sample too."""
    rng = np.random.default_rng([seed, id_hash("questions") % 2**32])
    return fold.take(rng.permutation(len(fold))[:most].astype(np.int32))


def examples(
    pipeline: Pipeline, fold: Fold, enough: int, progress: Callable[[float], None] | None = None
) -> tuple[Examples, FloatArray]:
    """Feature tables of the questions whose answer is proposed at all, and their normalised source scores.

    Parameters
    ----------
    fold
        Asked batch by batch, in order.
    enough
        No further batch is asked once so many answers were proposed.

    Returns
    -------
    The examples, and float32 (s, n, c) for the weights of the average.
    """
    features, relevant, valid, values = [], [], [], []
    for start in range(0, len(fold), BATCH):
        part = fold.take(slice(start, min(start + BATCH, len(fold))))
        scores = ask(pipeline.sources, part.queries, pipeline.n_items)
        candidates = propose(scores, pipeline.candidates)
        wanted = _membership(part, candidates.items)
        found = np.nonzero(wanted.any(axis=1))[0].astype(np.int32)
        if len(found):
            chosen, narrowed = candidates.take(found), scores.take(found)
            features.append(pipeline.features(part.queries.take(found), chosen, narrowed))
            relevant.append(wanted[found])
            valid.append(chosen.valid)
            values.append(normalised(narrowed.at(chosen.items)))
        done = sum(map(len, relevant))
        if progress is not None:
            progress(max((start + len(part)) / len(fold), min(done / enough, 1.0)))
        if done >= enough:
            break
    if not features:
        c, s = pipeline.candidates.total, len(pipeline.sources)
        nothing = np.zeros((0, c), dtype=bool)
        return Examples(np.zeros((0, c, len(pipeline.names)), np.float32), nothing, nothing), np.zeros(
            (s, 0, c), np.float32
        )
    return (
        Examples(np.concatenate(features), np.concatenate(relevant), np.concatenate(valid)),
        np.concatenate(values, axis=1),
    )


def joined(first: Examples, second: Examples) -> Examples:
    """Both, one after the other."""
    return Examples(
        np.concatenate([first.features, second.features]),
        np.concatenate([first.relevant, second.relevant]),
        np.concatenate([first.valid, second.valid]),
    )


def split(all_of_them: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """A part to learn from and a part (``share``) to stop by, drawn by seed."""
    rng = np.random.default_rng([seed, id_hash("stopping") % 2**32])
    held = rng.random(len(all_of_them)) < share

    def part(rows: np.ndarray) -> Examples:
        return Examples(all_of_them.features[rows], all_of_them.relevant[rows], all_of_them.valid[rows])

    return part(~held), part(held)


def _membership(fold: Fold, items: np.ndarray) -> np.ndarray:
    """Which candidates (n, c) are answers of their question."""
    n_items = int(max(items.max(initial=0), fold.targets.values.max(initial=0))) + 1
    answers = np.unique(fold.targets.rows.astype(np.int64) * n_items + fold.targets.values)
    keys = np.arange(len(items), dtype=np.int64)[:, None] * n_items + items
    return np.isin(keys, answers) & (items >= 0)

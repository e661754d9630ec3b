"""Lists that were shown, asked again: which item of the last list of a session was chosen.

Sessions are whole on one side: those whose last choice lies after the cut are asked, those that ended before it are
learnt from, and of a session that is asked nothing is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from palate.core import DataError, Float64Array, FloatArray, IntArray, Queries
from palate.data import Dataset
from palate.data.shown import ShownLists
from palate.measure import auc, compare, decisions, expected_calibration_error, holm, log_loss, mean_interval
from palate.measure.intervals import bounds
from palate.ranking.shown import ShownRanker
from palate.ranking.shown_facts import ShownFacts

ASK_AFTER = 0.8
"""Share of sessions, by the time of their last choice, that are learnt from."""


@dataclass(frozen=True)
class ShownTrial:
    """What is learnt from and what is asked.

    Parameters
    ----------
    train
        Sessions that ended before the cut.
    lists
        The last list with a choice of every later session.
    queries
        The same as questions; histories hold everything the user did before, in this session and in others.
    """

    train: Dataset
    lists: ShownLists
    queries: Queries


def last_choices(dataset: Dataset, share: float = ASK_AFTER) -> ShownTrial:
    """Cut in time by sessions.

    Raises
    ------
    DataError
        The data has no sessions, no times or no lists that were chosen from.
    """
    lists = ShownLists.of(dataset)
    if "session_id" not in dataset.events.columns or not dataset.has_times or not len(lists):
        raise DataError(
            f"{dataset.name} cannot be asked what was chosen from lists: that needs sessions, times, and lists that "
            "were shown (a column of ids, or impressions with an impression_id)."
        )
    sessions = dataset.events.select(pl.struct("user", "session_id").rank("dense").alias("s"))["s"].to_numpy()
    # A choice that its list does not hold is asked too, and every order is wrong about it.
    kind = dataset.events["kind"].to_numpy()[lists.rows]
    asked = np.flatnonzero((lists.chosen >= 0) | (kind != dataset.kinds.position("impression")))
    own = sessions[lists.rows[asked]]
    last = len(own) - 1 - np.unique(own[::-1], return_index=True)[1]
    ends = lists.times[asked[last]]
    cut = float(np.quantile(ends, share, method="lower"))
    tested = lists.take(np.sort(asked[last[ends > cut]]))
    finish = np.full(int(sessions.max()) + 1, -np.inf)
    np.maximum.at(finish, sessions, dataset.events["time"].to_numpy())
    train = dataset.only(finish[sessions] <= cut)
    return ShownTrial(train, tested, tested.queries(dataset))


def touched_first(queries: Queries) -> FloatArray:
    """The rule: what of the list was touched last comes first, then by place; float32 (len(candidates.values),)."""
    assert queries.candidates is not None  # noqa: S101
    lists, history = queries.candidates, queries.history
    width = int(max(lists.values.max(initial=0), history.items.max(initial=0))) + 1
    keys, wanted = history.rows.astype(np.int64) * width + history.items, lists.rows.astype(np.int64) * width
    own, first = np.unique(keys[::-1], return_index=True)
    ages = history.ages[::-1][first]
    place = np.arange(len(lists.values)) - lists.indptr[lists.rows]
    if not len(own):
        return (-place).astype(np.float32)
    at = np.minimum(np.searchsorted(own, wanted + lists.values), len(own) - 1)
    found = (own[at] == wanted + lists.values) & (lists.values >= 0)
    longest = int(ages.max(initial=0)) + 1
    return np.where(found, -ages[at].astype(np.float64), -float(longest) - place).astype(np.float32)


def often_chosen(facts: ShownFacts, queries: Queries) -> FloatArray:
    """Popularity: what was chosen most from other lists comes first, then by place; float32."""
    assert queries.candidates is not None  # noqa: S101
    lists = queries.candidates
    counts = facts.chosen.before(np.maximum(lists.values, 0), np.full(len(lists.values), np.nan))
    place = np.arange(len(lists.values)) - lists.indptr[lists.rows]
    return (counts - place / (1.0 + lists.lengths[lists.rows])).astype(np.float32)


def reciprocal_ranks(scores: FloatArray, lists: ShownLists) -> Float64Array:
    """One over the rank of the choice in each list, 0 where the list does not hold it; ties keep the order shown."""
    rows = lists.lists.rows
    order = np.lexsort((np.arange(len(rows)), -scores, rows))
    rank = np.empty(len(order))
    rank[order] = 1 + np.arange(len(order)) - lists.lists.indptr[rows[order]]
    found = np.zeros(len(lists))
    targets = lists.targets
    found[rows[targets]] = 1 / rank[targets]
    return found


def judged(trial: ShownTrial, ranker: ShownRanker, seed: int = 0, *, samples: int = 500) -> dict[str, Any]:
    """Every figure: the ranker beside the rule and popularity, paired, and what its probabilities are worth.

    Parameters
    ----------
    samples
        Resamples behind the intervals of probabilities.
    """
    lists, queries = trial.lists, trial.queries
    probability = ranker.probability(queries)
    scores = {
        "shown": probability,
        "touched_first": touched_first(queries),
        "often_chosen": often_chosen(ranker.facts, queries),
        "as_shown": -np.arange(len(probability), dtype=np.float32),
    }
    found = {name: reciprocal_ranks(own, lists) for name, own in scores.items()}
    paired = {name: compare(found["shown"], found[name], seed=seed)[0] for name in scores if name != "shown"}
    corrected = holm([own.p for own in paired.values()])
    return {
        "sessions": len(lists),
        "mrr": {name: _told(mean_interval(own, seed=seed)) for name, own in found.items()},
        "paired": [
            {"baseline": name, "difference": _told(own.difference), "p_holm": float(p)}
            for (name, own), p in zip(paired.items(), corrected, strict=True)
        ],
        "probabilities": prediction(lists, probability, seed=seed, samples=samples),
    }


def prediction(lists: ShownLists, probability: FloatArray, *, seed: int = 0, samples: int = 500) -> dict[str, Any]:
    """What probabilities of items in lists are worth, with 95 % intervals over lists.

    ``choice_log_loss`` is of the choice among its list; ``log_loss``, ``auc`` and the calibration error are of single
    items; accuracy, precision, recall and F1 of calling the likeliest item of each list the choice.
    """
    rows, truth = lists.lists.rows, lists.targets.astype(np.float64)
    likeliest = np.zeros(len(rows))
    order = np.lexsort((np.arange(len(rows)), -probability, rows))
    likeliest[order[lists.lists.indptr[:-1][lists.lists.lengths > 0]]] = 1.0
    chosen = np.full(len(lists), np.nan)
    chosen[rows[lists.targets]] = -np.log(np.maximum(probability[lists.targets].astype(np.float64), 1e-12))

    def figures(cells: Any, drawn: Any) -> list[float]:
        y, p = truth[cells], probability[cells].astype(np.float64)
        decided = decisions(y, likeliest[cells])
        return [
            float(np.nanmean(chosen[drawn])),
            log_loss(y, p),
            auc(y, p),
            expected_calibration_error(y, p, 20),
            decided.accuracy,
            decided.precision,
            decided.recall,
            decided.f1,
        ]

    names = ("choice_log_loss", "log_loss", "auc", "calibration_error", "accuracy", "precision", "recall", "f1")
    whole = figures(slice(None), slice(None))
    rng = np.random.default_rng(seed)
    replicates = np.array([_resampled(lists, rng, figures) for _ in range(samples)])
    low, high = bounds(replicates)
    return {
        name: {"estimate": own, "ci95": [float(least), float(most)]}
        for name, own, least, most in zip(names, whole, low, high, strict=True)
    }


def _resampled(lists: ShownLists, rng: np.random.Generator, figures: Any) -> list[float]:
    drawn: IntArray = rng.integers(0, len(lists), len(lists)).astype(np.int32)
    cells = lists.lists.take(drawn)
    starts = np.repeat(lists.lists.indptr[:-1][drawn] - cells.indptr[:-1], cells.lengths)
    found: list[float] = figures(np.arange(len(cells.values)) + starts, drawn)
    return found


def _told(interval: Any) -> dict[str, Any]:
    return {"estimate": interval.estimate, "ci95": [interval.low, interval.high]}

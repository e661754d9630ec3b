"""A list as a whole: items are chosen one by one for what the list gains by each of them.

What a list is worth is a weighted sum: its expected NDCG, the mean distance between its items (max-sum
diversification, Gollapudi and Sharma, 2009), and the mean of what its items are worth beside being right. Relevance is
a probability, so where the ranking is sure it is left alone, and where anything may come next a list gives little up by
showing different things; and it counts by place, so the first places go to what is likely and the last to what differs.
"""

from __future__ import annotations

import numpy as np

from palate.core import FloatArray, IntArray
from palate.core.rankings import NEVER
from palate.ranking.objectives import ObjectiveSettings

PAGE = 10
"""Items that are read together, from the best on."""

ACCURACY = 0.05
"""Expected NDCG that is worth as much as the greatest distance, or anything else in full."""


AGAIN = 2
"""Times that each item of a page is chosen anew, the others given: the first ones were chosen without knowing them."""


def chances(scores: FloatArray, sharpness: FloatArray) -> FloatArray:
    """Probability that each candidate is the one; float32 (n, c).

    Where little stands out, what comes next is seldom among the candidates at all. As a softmax over them gives the
    best ten .23 to .64 (fifths of Amazon Beauty), one of them is the one in .19 to .52 of all questions; on Scientific
    .21 to .63 and .24 to .59. So the softmax counts as much as it gives the best ten.

    Parameters
    ----------
    scores
        float32 (n, c); -inf: never.
    sharpness
        float32 (n, 1), what turns scores into log-odds.
    """
    possible = scores > NEVER
    logits = np.where(possible, scores * sharpness, NEVER)
    top = np.where(possible.any(axis=1, keepdims=True), logits.max(axis=1, keepdims=True), 0)
    odds = np.exp(logits - top)
    share = odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-30)
    best = np.partition(share, -PAGE, axis=1)[:, -PAGE:] if share.shape[1] > PAGE else share
    return np.asarray(share * best.sum(axis=1, keepdims=True), dtype=np.float32)


def composed(
    scores: FloatArray,
    chance: FloatArray,
    weights: ObjectiveSettings,
    k: int,
    *,
    beside: FloatArray | None = None,
    likeness: FloatArray | None = None,
) -> IntArray:
    """Columns of k candidates that make the best list.

    Each ten that are chosen stand in the order of relevance: no other objective looks at the order, a page is read from
    its top, and the first page of a long list is the short list.

    Parameters
    ----------
    scores
        float32 (n, c), the order of relevance; -inf: never choose.
    chance
        float32 (n, c), see ``chances``.
    beside
        float32 (n, c), weighted worth of the items beside being right.
    likeness
        float32 (n, c, c); None where diversity does not count.

    Returns
    -------
    int32 (n, min(k, c)), all different; columns whose score is -inf come last.
    """
    n, c = scores.shape
    rows, count = np.arange(n), min(k, c)
    page = max(min(k, PAGE), 2)
    relevance = chance * np.float32(weights.accuracy / ACCURACY)
    impossible = scores == NEVER
    worth = np.float32(0) if beside is None else beside / np.float32(page)
    distance, taken = np.zeros((n, c), dtype=np.float32), np.zeros((n, c), dtype=bool)
    chosen = np.zeros((n, count), dtype=np.int32)

    def move(columns: IntArray, sign: int) -> None:
        taken[rows, columns] = sign > 0
        if likeness is not None:
            np.add(distance, np.float32(sign) * (1 - likeness[rows, columns]), out=distance)

    def pick(step: int, others: int) -> None:
        value = relevance / np.float32(np.log2(step + 2)) + worth
        if likeness is not None and others:
            # Of the pairs of a page; on later pages all that was shown counts as much as a page.
            pairs = min(others, page - 1) / others * 2 / (page * (page - 1))
            value += np.float32(weights.diversity * pairs) * distance
        value[impossible] = np.finfo(np.float32).min  # below everything, yet above what is chosen already
        value[taken] = -np.inf
        chosen[:, step] = value.argmax(axis=1)
        move(chosen[:, step], 1)

    def in_order(part: slice) -> None:
        own = np.take_along_axis(scores, chosen[:, part], axis=1)
        order = np.argsort(-own, axis=1, kind="stable")
        chosen[:, part] = np.take_along_axis(chosen[:, part], order, axis=1)

    for first in range(0, count, PAGE):
        part = slice(first, min(first + PAGE, count))
        for step in range(part.start, part.stop):
            pick(step, step)
        in_order(part)
        for _ in range(AGAIN if likeness is not None else 0):
            for step in range(part.stop - 1, part.start - 1, -1):
                move(chosen[:, step], -1)
                pick(step, part.stop - 1)
            in_order(part)
    return chosen

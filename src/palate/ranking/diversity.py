"""Lists that do not say the same thing ten times: relevance and distances between items, summed and made large.

Chosen one by one (maximal marginal relevance, Carbonell and Goldstein, 1998), each by its mean likeness to all that is
chosen already, which is what intra-list distance is a mean of (max-sum diversification, Gollapudi and Sharma, 2009).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pydantic import Field

from palate.core import FloatArray, IntArray, Settings
from palate.core.rankings import NEVER


class DiversitySettings(Settings):
    """Of what a list gives up for difference.

    Parameters
    ----------
    strength
        0 = relevance alone (off), 1 = difference alone.
    depth
        Best candidates among which the list is chosen, as a multiple of its length.
    """

    strength: float = Field(default=0.0, ge=0, le=1)
    depth: int = Field(default=10, ge=1)


PAGE = 10
"""Items that are read together, from the best on."""

_DIRECTIONS = 64
"""Dimensions that categories are spread over where items have no language vectors."""


def category_vectors(categories: IntArray, n_categories: int) -> FloatArray:
    """Items by their categories alone: unit vectors whose cosines are about the share of categories in common.

    Every category gets a random direction, always the same, and an item the sum of its own (Achlioptas, 2003).

    Parameters
    ----------
    categories
        int32 (..., c), -1 pads.

    Returns
    -------
    float32 (..., 64); zeros where an item has none.
    """
    spread = _directions(n_categories)[np.maximum(categories, 0)] * (categories >= 0)[..., None]
    total = spread.sum(axis=-2)
    lengths = np.linalg.norm(total, axis=-1, keepdims=True)
    return np.asarray(total / np.maximum(lengths, 1e-9), dtype=np.float32)


@lru_cache(maxsize=8)
def _directions(n_categories: int) -> FloatArray:
    signs = np.random.default_rng(0).integers(0, 2, size=(n_categories, _DIRECTIONS)) * 2 - 1
    return np.asarray(signs / np.sqrt(_DIRECTIONS), dtype=np.float32)


def described_by(texts: FloatArray, categories: IntArray, n_categories: int) -> FloatArray:
    """What items are compared by: their texts and their categories, each worth half where there are both.

    Parameters
    ----------
    texts
        float32 (..., d), unit vectors or zeros; d may be 0.
    categories
        int32 (..., c), -1 pads.

    Returns
    -------
    float32 (..., d + 64), or what there is.
    """
    if not n_categories:
        return texts
    own = category_vectors(categories, n_categories)
    return own if not texts.shape[-1] else np.concatenate([texts, own], axis=-1) * np.float32(np.sqrt(0.5))


def diversify(scores: FloatArray, vectors: FloatArray, k: int, strength: float) -> IntArray:
    """Columns of k candidates chosen one by one for relevance less likeness to those already chosen.

    Each step takes the candidate with the highest ``(1 - strength) relevance - strength mean cosine``, where relevance
    is the score brought to 0..1 within its row. Each ten that are chosen stand in the order of relevance: a page is
    read from its top, and the first page of a long list is the short list.

    Parameters
    ----------
    scores
        float32 (n, c); -inf: never choose.
    vectors
        float32 (n, c, d), unit vectors (zeros where unknown).
    strength
        0 = relevance alone, 1 = difference alone.

    Returns
    -------
    int32 (n, min(k, c)), all different; columns whose score is -inf come last.
    """
    n, c = scores.shape
    possible = scores > NEVER
    low = np.where(possible, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(possible, scores, -np.inf).max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, 1)
    # Below every marginal, which lies between -1 and 1, yet above what is chosen already.
    relevance = np.divide(scores - low, span, out=np.zeros((n, c), dtype=np.float32), where=possible)
    handicap = np.where(possible, np.float32(0), np.float32(-10))
    likeness = np.zeros((n, c), dtype=np.float32)
    chosen = np.zeros((n, min(k, c)), dtype=np.int32)
    rows = np.arange(n)
    for step in range(chosen.shape[1]):
        best = ((1 - strength) * relevance - strength / max(step, 1) * likeness + handicap).argmax(axis=1)
        chosen[:, step] = best
        handicap[rows, best] = -np.inf
        likeness += np.matmul(vectors, vectors[rows, best][:, :, None])[:, :, 0]
    own = np.take_along_axis(scores, chosen, axis=1)
    for first in range(0, chosen.shape[1], PAGE):
        page = slice(first, first + PAGE)
        order = np.argsort(-own[:, page], axis=1, kind="stable")
        chosen[:, page] = np.take_along_axis(chosen[:, page], order, axis=1)
    return chosen

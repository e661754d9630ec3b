"""What lists are like beside being right: how much of the catalogue they show, how novel and how varied they are."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from palate.core import Float64Array, FloatArray, Int64Array, IntArray, Ragged

CHUNK = 2048
"""Lists looked at together; bounds memory."""


def exposure(items: IntArray, n_items: int) -> Int64Array:
    """How many lists show each item; int64 (n_items,)."""
    return np.bincount(items[items >= 0], minlength=n_items).astype(np.int64)


def coverage(items: IntArray, n_items: int) -> float:
    """Share of the catalogue that at least one list shows."""
    return float(np.count_nonzero(exposure(items, n_items)) / n_items)


def gini(items: IntArray, n_items: int) -> float:
    """Gini coefficient of exposure over the whole catalogue: 0 every item shown alike, near 1 one item shown always."""
    shown = np.sort(exposure(items, n_items)).astype(np.float64)
    total = shown.sum()
    if total == 0:
        return 0.0
    places = np.arange(1, n_items + 1)
    return float(((2 * places - n_items - 1) * shown).sum() / (n_items * total))


def novelty(items: IntArray, popularity: Int64Array) -> Float64Array:
    """Mean self-information of each list in bits, -log2 of an item's share of events (Zhou et al. 2010).

    Parameters
    ----------
    items
        int32 (n, k), -1 pads.
    popularity
        int64 (n_items,), training events; an item without events counts as having one.

    Returns
    -------
    float64 (n,), 0 for an empty list.
    """
    counts = np.maximum(popularity, 1)
    information = np.append(-np.log2(counts / counts.sum()), 0.0)
    mean: Float64Array = information[items].sum(axis=1) / np.maximum((items >= 0).sum(axis=1), 1)
    return mean


def category_diversity(items: IntArray, categories: Ragged) -> Float64Array:
    """Intra-list distance: mean over pairs of 1 - Jaccard similarity of their categories.

    Two items without categories are taken for alike, since nothing tells them apart.

    Parameters
    ----------
    items
        int32 (n, k), -1 pads.
    categories
        Categories of each item of the catalogue.

    Returns
    -------
    float64 (n,), 0 for lists of fewer than two items.
    """
    n_items = len(categories)
    width = int(categories.values.max(initial=0)) + 1
    ones = np.ones(len(categories.values), dtype=np.float32)
    member = sparse.csr_matrix((ones, categories.values, categories.indptr), shape=(n_items, width))
    rows, left, right = _pairs(items)
    low, high = np.minimum(left, right).astype(np.int64), np.maximum(left, right)
    # The same pair stands in many lists; each is looked at once.
    pairs, place = np.unique(low * n_items + high, return_inverse=True)
    low, high = pairs // n_items, pairs % n_items
    shared = np.empty(len(pairs))
    step = CHUNK * 64
    for start in range(0, len(pairs), step):
        part = slice(start, start + step)
        shared[part] = np.asarray(member[low[part]].multiply(member[high[part]]).sum(axis=1)).ravel()
    sizes = categories.lengths
    union = sizes[low] + sizes[high] - shared
    distance = 1.0 - np.where(union > 0, shared / np.maximum(union, 1), 1.0)
    return _mean_by_row(rows, distance[place.ravel()], len(items))


def vector_diversity(items: IntArray, vectors: FloatArray) -> Float64Array:
    """Intra-list distance: mean over pairs of 1 - cosine similarity.

    Parameters
    ----------
    items
        int32 (n, k), -1 pads.
    vectors
        float32 (n_items, d); a zero vector is at distance 1 from everything.

    Returns
    -------
    float64 (n,), 0 for lists of fewer than two items.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    result = np.zeros(len(items))
    for start in range(0, len(items), CHUNK):
        part = items[start : start + CHUNK]
        listed = part >= 0
        gathered = unit[np.maximum(part, 0)] * listed[..., None]
        total = gathered.sum(axis=1)
        # Sum over ordered pairs of different items: |sum of v|^2 less each item with itself.
        similarity = np.einsum("nd,nd->n", total, total) - np.einsum("nkd,nkd->n", gathered, gathered)
        count = listed.sum(axis=1)
        ordered = count * (count - 1)
        result[start : start + CHUNK] = np.where(ordered > 0, 1.0 - similarity / np.maximum(ordered, 1), 0.0)
    return result


def audience_diversity(items: IntArray, matrix: sparse.csr_matrix) -> Float64Array:
    """Intra-list distance by who wants the items: mean over pairs of 1 - cosine of their columns of users.

    For data that says nothing of its items.

    Parameters
    ----------
    items
        int32 (n, k), -1 pads.
    matrix
        Weights of interest, users by items.

    Returns
    -------
    float64 (n,), 0 for lists of fewer than two items.
    """
    n_items = matrix.shape[1]
    columns = matrix.T.tocsr().astype(np.float64)
    lengths = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=1)).ravel())
    unit = sparse.diags(1.0 / np.where(lengths > 0, lengths, 1.0)) @ columns
    rows, left, right = _pairs(items)
    low, high = np.minimum(left, right).astype(np.int64), np.maximum(left, right)
    pairs, place = np.unique(low * n_items + high, return_inverse=True)
    similarity = np.empty(len(pairs))
    step = CHUNK * 8
    for start in range(0, len(pairs), step):
        part = pairs[start : start + step]
        product = unit[part // n_items].multiply(unit[part % n_items])
        similarity[start : start + step] = np.asarray(product.sum(axis=1)).ravel()
    return _mean_by_row(rows, 1.0 - similarity[place.ravel()], len(items))


def _pairs(items: IntArray) -> tuple[Int64Array, IntArray, IntArray]:
    """Every unordered pair of each list: its row and both items."""
    first, second = np.triu_indices(items.shape[1], k=1)
    left, right = items[:, first], items[:, second]
    both = (left >= 0) & (right >= 0)
    return np.nonzero(both)[0].astype(np.int64), left[both], right[both]


def _mean_by_row(rows: Int64Array, values: Float64Array, n: int) -> Float64Array:
    sums = np.bincount(rows, weights=values, minlength=n)
    return sums / np.maximum(np.bincount(rows, minlength=n), 1)

"""How well ordered lists find what was relevant, one number a question.

Every function returns per-question arrays, so that the same numbers feed means, intervals, slices and paired tests.

Relevant items come as a ``Ragged`` of positions. An item named twice counts once. A negative position is a relevant
item that the catalogue does not have: nothing can find it, and it stays in the denominator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palate.core import BoolArray, Float64Array, Int64Array, IntArray, Ragged

CUTOFFS = (1, 5, 10, 20)
"""List lengths that everything is reported at."""


def distinct(targets: Ragged) -> Ragged:
    """The same relevant items without repetition, ascending in every row."""
    if not len(targets.values):
        return targets
    lowest = int(targets.values.min())
    span = int(targets.values.max()) - lowest + 1
    codes = np.unique(targets.rows.astype(np.int64) * span + (targets.values - lowest))
    indptr = np.searchsorted(codes, np.arange(len(targets) + 1, dtype=np.int64) * span).astype(np.int64)
    return Ragged(indptr, (codes % span + lowest).astype(np.int32))


def hits(items: IntArray, targets: Ragged) -> BoolArray:
    """Which places of each list hold a relevant item.

    Parameters
    ----------
    items
        int32 (n, k), best first, -1 pads; no item stands twice in a list.
    targets
        Relevant items of the n questions.

    Returns
    -------
    bool (n, k)
    """
    known = targets.values >= 0
    span = max(int(items.max(initial=0)), int(targets.values.max(initial=0))) + 1
    relevant = np.unique(targets.rows[known].astype(np.int64) * span + targets.values[known])
    if not len(relevant):
        return np.zeros(items.shape, dtype=bool)
    listed = np.arange(len(items), dtype=np.int64)[:, None] * span + items
    place = np.minimum(np.searchsorted(relevant, listed), len(relevant) - 1)
    found: BoolArray = (relevant[place] == listed) & (items >= 0)
    return found


def accuracy(items: IntArray, targets: Ragged, cutoffs: Sequence[int] = CUTOFFS) -> dict[str, Float64Array]:
    """Recall, NDCG, hit rate, precision and average precision at each cutoff.

    With h_r = 1 where place r (from 1) holds a relevant item, and R distinct relevant items:
    recall = sum h / R; hit = max h; precision = sum h / k; NDCG = sum h_r / log2(r + 1) over the same sum for the
    best possible list (Järvelin & Kekäläinen 2002, binary gains); average precision = sum h_r precision@r / min(R, k).
    A question without relevant items scores 0.

    Parameters
    ----------
    items
        int32 (n, at least max(cutoffs)), best first, -1 pads; shorter lists simply find nothing further down.

    Returns
    -------
    ``{"recall@1": float64 (n,), ...}``
    """
    found = hits(items[:, : max(cutoffs)], targets).astype(np.float64)
    if found.shape[1] < max(cutoffs):
        found = np.pad(found, ((0, 0), (0, max(cutoffs) - found.shape[1])))
    relevant = distinct(targets).lengths
    places = np.arange(1, found.shape[1] + 1)
    discounts = 1.0 / np.log2(places + 1.0)
    best = np.concatenate([[0.0], np.cumsum(discounts)])
    counts = np.cumsum(found, axis=1)
    gains = np.cumsum(found * discounts, axis=1)
    precisions = np.cumsum(found * counts / places, axis=1)
    columns: dict[str, Float64Array] = {}
    for k in cutoffs:
        reachable = np.minimum(relevant, k)
        columns[f"recall@{k}"] = counts[:, k - 1] / np.maximum(relevant, 1)
        columns[f"ndcg@{k}"] = gains[:, k - 1] / best[np.maximum(reachable, 1)]
        columns[f"hit@{k}"] = (counts[:, k - 1] > 0).astype(np.float64)
        columns[f"precision@{k}"] = counts[:, k - 1] / k
        columns[f"map@{k}"] = precisions[:, k - 1] / np.maximum(reachable, 1)
    return columns


def list_ranks(items: IntArray, targets: Ragged) -> Int64Array:
    """Place, from 1, of the first relevant item of each list; 0 where the list has none. int64 (n,)."""
    found = hits(items, targets)
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0).astype(np.int64)


def full_ranks(scores: np.ndarray[tuple[int, int], np.dtype[np.float32]], targets: Ragged) -> Int64Array:
    """Place, from 1, of the first relevant item when the whole catalogue is ordered by score.

    Of exactly equal scores the lower position stands first, as in ``palate.core.top_k``.

    Parameters
    ----------
    scores
        float32 (n, n_items), -inf where an item must not be answered; not NaN.
    targets
        Relevant items of the n questions.

    Returns
    -------
    int64 (n,), 0 where no relevant item can be answered at all.
    """
    ranks = np.zeros(len(scores), dtype=np.int64)
    known = (targets.values >= 0) & (targets.values < scores.shape[1])
    rows, columns = targets.rows[known], targets.values[known]
    values = scores[rows, columns]
    order = np.lexsort((columns, -values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    first = np.concatenate([[True], rows[1:] != rows[:-1]]) if len(rows) else np.zeros(0, dtype=bool)
    first &= values > -np.inf
    rows, columns, values = rows[first], columns[first], values[first, None]
    part = scores if len(rows) == len(scores) else scores[rows]
    ahead = np.count_nonzero(part > values, axis=1)
    tied_rows, tied_columns = np.divmod(np.flatnonzero(part == values), max(scores.shape[1], 1))
    ahead += np.bincount(tied_rows[tied_columns < columns[tied_rows]], minlength=len(rows))
    ranks[rows] = ahead + 1
    return ranks


def reciprocal(ranks: Int64Array) -> Float64Array:
    """1 / rank, 0 for rank 0; their mean is the mean reciprocal rank. float64 (n,)."""
    return np.where(ranks > 0, 1.0 / np.maximum(ranks, 1), 0.0)

"""How well candidates fit a history in category and price; fast for one question and for many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.behaviour.decay import recency_weights
from palate.core import BoolArray, Float64Array, FloatArray, Histories, IntArray
from palate.data import Catalogue

_BLOCK_CELLS = 1 << 24
_SMALLEST_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What the functions here need of a catalogue, worked out once.

    Parameters
    ----------
    categories
        int32 (n_items, depth), categories of each item, ``n_categories`` pads.
    counts
        float32 (n_items,), how many categories each item has.
    n_categories
        How many there are.
    log_price
        float32 (n_items,), NaN where unknown or not positive.
    spread
        Standard deviation of log prices over the catalogue.
    """

    categories: IntArray
    counts: FloatArray
    n_categories: int
    log_price: FloatArray
    spread: float


def item_facts(catalogue: Catalogue) -> ItemFacts:
    """Facts of a catalogue; make them once and keep them beside it."""
    per_item, names = catalogue.categories
    lengths = per_item.lengths
    padded = np.full((len(catalogue), int(lengths.max(initial=1)) or 1), len(names), dtype=np.int32)
    rows = per_item.rows
    padded[rows, np.arange(len(rows)) - per_item.indptr[rows]] = per_item.values
    log_price = np.log(np.where(catalogue.prices > 0, catalogue.prices, np.float32(np.nan)))
    known = log_price[~np.isnan(log_price)]
    spread = max(float(known.std()), _SMALLEST_SPREAD) if len(known) else 1.0
    return ItemFacts(padded, lengths.astype(np.float32), len(names), log_price, spread)


def category_affinity(
    histories: Histories, facts: ItemFacts, items: IntArray, weights: FloatArray | None = None
) -> FloatArray:
    """Share of a history's weight that lies in a candidate's categories, averaged over them.

    An item of exactly the categories that everything in the history has gets 1, one that shares none gets 0. Prefixes
    of a path are categories of their own, so a near miss counts for as much of the path as it shares.

    Parameters
    ----------
    items
        int32 (n, c), candidates, -1 pads.
    weights
        float32 (m,), weights of the history's events; ``recency_weights`` where left out.

    Returns
    -------
    float32 (n, c); 0 for empty histories, items without a category and padding.
    """
    weights = recency_weights(histories) if weights is None else weights
    result = np.zeros(items.shape, dtype=np.float32)
    if not facts.n_categories or not len(histories.items):
        return result
    size = max(1, _BLOCK_CELLS // (facts.n_categories + 1))
    for start in range(0, len(items), size):
        rows = slice(start, min(start + size, len(items)))
        events = slice(int(histories.indptr[rows.start]), int(histories.indptr[rows.stop]))
        part = histories.take(rows)
        result[rows] = _block_affinity(part, facts, items[rows], weights[events])
    return result


def _block_affinity(histories: Histories, facts: ItemFacts, items: IntArray, weights: FloatArray) -> FloatArray:
    n, width = len(items), facts.n_categories + 1
    rows = histories.rows.astype(np.int64)
    cells = rows[:, None] * width + facts.categories[histories.items]
    repeated = np.repeat(weights, cells.shape[1])
    mass = np.bincount(cells.reshape(-1), weights=repeated, minlength=n * width).reshape(n, width)
    mass[:, -1] = 0.0
    total = np.bincount(rows, weights=weights, minlength=n)
    share = (mass / np.where(total > 0, total, 1.0)[:, None]).astype(np.float32)
    found = share.reshape(-1)[np.arange(n)[:, None, None] * width + facts.categories[items]].sum(axis=2)
    counts = np.where(items >= 0, facts.counts[items], 0.0)
    return np.divide(found, counts, out=np.zeros(items.shape, dtype=np.float32), where=counts > 0)


def price_gap(histories: Histories, facts: ItemFacts, items: IntArray, weights: FloatArray | None = None) -> FloatArray:
    """How much dearer (> 0) or cheaper a candidate is than what the history holds, in spreads of its log prices.

    The spread of a short history leans on that of the catalogue, as if one event more had been seen.

    Parameters
    ----------
    items
        int32 (n, c), candidates, -1 pads.
    weights
        float32 (m,), weights of the history's events; ``recency_weights`` where left out.

    Returns
    -------
    float32 (n, c), clipped to 5 either way; 0 where a price is unknown, the history has none, or for padding.
    """
    weights = recency_weights(histories) if weights is None else weights
    mean, spread, known = price_level(histories, facts, weights)
    gap = (facts.log_price[items] - mean[:, None]) / spread[:, None]
    usable = known[:, None] & (items >= 0) & ~np.isnan(gap)
    return np.where(usable, np.clip(gap, -5.0, 5.0), 0.0).astype(np.float32)


def price_level(
    histories: Histories, facts: ItemFacts, weights: FloatArray
) -> tuple[Float64Array, Float64Array, BoolArray]:
    """Weighted mean and spread of the log prices of each history, and whether it has a price; each (n,)."""
    n = len(histories)
    logs = facts.log_price[histories.items].astype(np.float64)
    priced = ~np.isnan(logs)
    rows, logs, weight = histories.rows[priced], logs[priced], weights[priced].astype(np.float64)
    total = np.bincount(rows, weights=weight, minlength=n)
    known = total > 0
    mean = np.bincount(rows, weights=weight * logs, minlength=n) / np.where(known, total, 1.0)
    squares = np.bincount(rows, weights=weight * (logs - mean[rows]) ** 2, minlength=n)
    return mean, np.sqrt((squares + facts.spread**2) / (total + 1.0)), known

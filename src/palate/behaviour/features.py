"""Engineered features of items, for data without text: category, price and how people treat them."""

from __future__ import annotations

import numpy as np

from palate.core import Float64Array, FloatArray, IntArray
from palate.data import Catalogue, Dataset

MOST_CATEGORIES = 256
_HOUR = 3_600.0


def item_features(catalogue: Catalogue, dataset: Dataset | None = None) -> FloatArray:
    """Features of all items, ready for means and inner products.

    Categories (rarer ones count more, the commonest ``MOST_CATEGORIES`` are kept) and the standardised numbers (log
    price; with a dataset log popularity, repeats, rating, hours of the day and kinds of event) each have a block whose
    typical norm is 1; rows have norm 1, or 0 where nothing is known.

    Parameters
    ----------
    dataset
        Events over this catalogue; items it does not know keep neutral values.

    Returns
    -------
    float32 (n_items, d).
    """
    numbers = [np.log(np.where(catalogue.prices > 0, catalogue.prices, np.nan)).astype(np.float64)]
    if dataset is not None:
        numbers.extend(_habits(len(catalogue), dataset))
    columns = [column for column in map(_standardised, numbers) if column.any()]
    blocks = [_categories(catalogue)]
    if columns:
        blocks.append(np.stack(columns, axis=1) / np.sqrt(len(columns)))
    features = np.concatenate(blocks, axis=1)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, norms, out=np.zeros_like(features), where=norms > 0).astype(np.float32)


def _categories(catalogue: Catalogue) -> Float64Array:
    """Inverse-frequency weighted categories with rows of norm 1; (n_items, at most MOST_CATEGORIES)."""
    per_item, names = catalogue.categories
    counts = np.bincount(per_item.values, minlength=len(names))
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_CATEGORIES])
    column = np.full(len(names), -1, dtype=np.int64)
    column[kept] = np.arange(len(kept))
    block = np.zeros((len(catalogue), len(kept)))
    inside = column[per_item.values] >= 0 if len(names) else np.zeros(0, dtype=bool)
    values = per_item.values[inside]
    block[per_item.rows[inside], column[values]] = np.log1p(len(catalogue) / np.maximum(counts[values], 1))
    norms = np.linalg.norm(block, axis=1, keepdims=True)
    return np.divide(block, norms, out=block, where=norms > 0)


def _habits(n_items: int, dataset: Dataset) -> list[Float64Array]:
    """What people do with items: popularity, repeats, rating, hours of the day, kinds; each (n_items,), NaN unknown."""
    sequences = dataset.sequences
    items = sequences.items
    count = np.bincount(items, minlength=n_items).astype(np.float64)
    pairs = np.unique(sequences.rows.astype(np.int64) * n_items + items)
    buyers = np.bincount(pairs % n_items, minlength=n_items)
    columns = [np.log1p(count), np.where(count > 0, 1.0 - buyers / np.maximum(count, 1), np.nan)]
    if "value" in dataset.events.columns:
        ratings = dataset.events["value"].cast(float).fill_null(float("nan")).to_numpy()[dataset.sequence_rows]
        columns.append(_mean(items, ratings, n_items))
    angle = 2 * np.pi * (sequences.times % (24 * _HOUR)) / (24 * _HOUR)
    if dataset.has_times and not dataset.whole_days:
        columns.extend((_mean(items, np.sin(angle), n_items), _mean(items, np.cos(angle), n_items)))
    columns.extend(
        _mean(items, (sequences.kinds == kind).astype(np.float64), n_items) for kind in np.unique(sequences.kinds)
    )
    return columns


def _mean(items: IntArray, values: Float64Array, n_items: int) -> Float64Array:
    """Mean of known values by item, NaN where there is none."""
    known = ~np.isnan(values)
    total = np.bincount(items[known], weights=values[known], minlength=n_items)
    count = np.bincount(items[known], minlength=n_items)
    return np.divide(total, count, out=np.full(n_items, np.nan), where=count > 0)


def _standardised(values: Float64Array) -> Float64Array:
    """Mean 0 and standard deviation 1 over known values, clipped to 4; 0 where unknown or constant."""
    known = np.isfinite(values)
    if known.sum() < 2 or values[known].std() < 1e-9:
        return np.zeros_like(values)
    scaled = (values - values[known].mean()) / values[known].std()
    return np.where(known, np.clip(scaled, -4.0, 4.0), 0.0)

"""What the shop decides, whatever the models say: exclude, allow, boost, quota, stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from palate.core import BoolArray, FloatArray, IntArray, Settings, UsageError
from palate.data import Catalogue
from palate.data.filters import matches


class Boost(Settings):
    """Items with these properties move by so many standard deviations of a list's scores (negative: down)."""

    filter: Mapping[str, Any]
    by: float = Field(ge=-10, le=10)


class Quota(Settings):
    """At most so many items of a list share a value of this property."""

    property: str
    at_most: int = Field(ge=1)


class RuleSettings(Settings):
    """Rules, all off unless written.

    Parameters
    ----------
    allow
        Only items with these properties.
    exclude
        No items with these properties.
    boosts, quotas
        See ``Boost`` and ``Quota``.
    in_stock
        Leave out items whose stock is known and zero.
    """

    allow: Mapping[str, Any] | None = None
    exclude: Mapping[str, Any] | None = None
    boosts: tuple[Boost, ...] = ()
    quotas: tuple[Quota, ...] = ()
    in_stock: bool = True


def allowed(catalogue: Catalogue, rules: RuleSettings) -> BoolArray | None:
    """Which items may be answered at all; bool (n_items,), None where all may."""
    keep: BoolArray | None = None
    if rules.allow:
        keep = matches(catalogue, rules.allow)
    if rules.exclude:
        out = matches(catalogue, rules.exclude)
        keep = ~out if keep is None else keep & ~out
    stock = catalogue.column("stock") if rules.in_stock else None
    if stock is not None:
        gone = (stock <= 0).fill_null(False).to_numpy()
        if gone.any():
            keep = ~gone if keep is None else keep & ~gone
    return keep


def boosts(catalogue: Catalogue, rules: RuleSettings) -> FloatArray | None:
    """What each item's score moves by, in standard deviations; float32 (n_items,), None where nothing moves."""
    if not rules.boosts:
        return None
    total = np.zeros(len(catalogue), dtype=np.float32)
    for boost in rules.boosts:
        total[matches(catalogue, boost.filter)] += boost.by
    return total


def boosted(scores: FloatArray, items: IntArray, by: FloatArray) -> FloatArray:
    """Candidates' scores (n, c) after the boosts of their items; -inf stays."""
    finite = np.isfinite(scores)
    spread = np.array([row[ok].std() if ok.any() else 0.0 for row, ok in zip(scores, finite, strict=True)])
    moved = scores + by[np.maximum(items, 0)] * np.maximum(spread, 1e-6)[:, None]
    return np.where(finite, moved, scores).astype(np.float32)


def quota_codes(catalogue: Catalogue, quota: Quota) -> IntArray:
    """The value each item has of the quota's property, as codes; int32 (n_items,), -1 where it has none.

    Raises
    ------
    UsageError
        Items have no such property.
    """
    if catalogue.column(quota.property) is None:
        raise UsageError(f"quota: items have no property {quota.property!r}; they have {catalogue.frame.columns}")
    values = np.array(catalogue.strings(quota.property), dtype=str)
    _, codes = np.unique(values, return_inverse=True)
    return np.where(values == "", -1, codes).astype(np.int32)


def within_quotas(items: IntArray, quotas: Sequence[tuple[IntArray, int]], k: int) -> BoolArray:
    """Which places of ordered lists stay when each list is filled from its top, skipping what a quota has no room for.

    Parameters
    ----------
    items
        int32 (n, c), -1 pads.
    quotas
        For each the code of every item (-1: not counted) and how many of a code a list may hold.
    k
        A list is full at this length.

    Returns
    -------
    bool (n, c), at most k true in a row.
    """
    n, c = items.shape
    rows = np.arange(n)
    keep = np.zeros((n, c), dtype=bool)
    counts = [np.zeros((n, int(codes.max(initial=-1)) + 2), dtype=np.int32) for codes, _ in quotas]
    length = np.zeros(n, dtype=np.int64)
    for place in range(c):
        fits = (items[:, place] >= 0) & (length < k)
        own = [codes[np.maximum(items[:, place], 0)] for codes, _ in quotas]
        for code, count, (_, at_most) in zip(own, counts, quotas, strict=True):
            fits &= (code < 0) | (count[rows, code] < at_most)
        for code, count in zip(own, counts, strict=True):
            count[rows[fits], code[fits]] += 1
        keep[:, place] = fits
        length += fits
        if (length >= k).all():
            break
    return keep

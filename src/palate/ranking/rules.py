"""What the shop decides, whatever the models say: exclude, allow, boost, quota, stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from palate.core import BoolArray, FloatArray, IntArray, Queries, Ragged, Rankings, Settings, UsageError
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


def within_quota(items: IntArray, codes: IntArray, at_most: int) -> BoolArray:
    """Which places of ordered lists (n, c) keep to the quota: a value's later items beyond it do not."""
    values = np.where(items >= 0, codes[np.maximum(items, 0)], -1)
    same = (values[:, :, None] == values[:, None, :]) & (values >= 0)[:, :, None]
    earlier = np.tril(np.ones((items.shape[1], items.shape[1]), dtype=bool), -1)
    return np.asarray((same & earlier).sum(axis=2) < at_most)


def kept_to_quotas(wide: Rankings, quotas: Sequence[tuple[IntArray, int]], k: int) -> Rankings:
    """The first k of lists that keep to every quota, given as codes of items and how many of each are let in."""
    fits = np.ones(wide.items.shape, dtype=bool)
    for codes, at_most in quotas:
        fits &= within_quota(wide.items, codes, at_most)
    order = np.argsort(~fits, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(fits, order, axis=1)
    return Rankings(
        np.where(kept, np.take_along_axis(wide.items, order, axis=1), -1).astype(np.int32),
        np.where(kept, np.take_along_axis(wide.scores, order, axis=1), -np.inf).astype(np.float32),
        np.take_along_axis(wide.sources, order, axis=1),
        wide.names,
    )


def without(queries: Queries, forbidden: BoolArray) -> Queries:
    """The questions with forbidden items among their excludes."""
    out = np.nonzero(forbidden)[0].astype(np.int32)
    if queries.excludes is None:
        return replace(queries, excludes=Ragged.repeated(out, len(queries)))
    return replace(
        queries, excludes=Ragged.of([np.concatenate([queries.excludes[row], out]) for row in range(len(queries))])
    )

"""Association rules: who has these has that too, and how sure of it one can be (Agrawal, Imielinski & Swami, 1993)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from pydantic import Field

from palate.core import Float64Array, Int64Array, IntArray, Ragged, Settings, UsageError
from palate.core.arrays import offsets_of
from palate.data import Dataset
from palate.data.baskets import Baskets
from palate.measure import benjamini_hochberg, fisher_greater
from palate.models.itemsets import Itemsets, frequent_itemsets


class AssociationSettings(Settings):
    """Which rules are found.

    Parameters
    ----------
    support
        Share of the baskets that hold everything a rule names.
    confidence
        Share of the baskets with the left side that hold the right side too.
    lift
        How many times as often as by chance.
    longest, right
        Most items of a rule, and of its right side.
    false_discoveries
        Share of the rules that may be chance (Benjamini and Hochberg, over all candidates that were counted); 1 keeps
        everything.
    """

    support: float = Field(default=0.005, gt=0, le=1)
    confidence: float = Field(default=0.1, ge=0, le=1)
    lift: float = Field(default=1.0, ge=0)
    longest: int = Field(default=3, ge=2)
    right: int = Field(default=1, ge=1)
    false_discoveries: float = Field(default=0.05, gt=0, le=1)


@dataclass(frozen=True)
class Rules:
    """m rules, in no order of merit.

    Parameters
    ----------
    left, right
        Items of each side, rising.
    n_left, n_right, n_both
        int64 (m,), baskets that hold a side, and both.
    n_baskets
        All baskets.
    p
        float64 (m,), chance of so many baskets with both sides if they had nothing to do with each other.
    false_discoveries
        float64 (m,), smallest share of false discoveries at which the rule is kept.
    """

    left: Ragged
    right: Ragged
    n_left: Int64Array
    n_right: Int64Array
    n_both: Int64Array
    n_baskets: int
    p: Float64Array
    false_discoveries: Float64Array

    def __len__(self) -> int:
        return len(self.n_both)

    @property
    def support(self) -> Float64Array:
        """Share of all baskets that hold both sides."""
        return self.n_both / self.n_baskets

    @property
    def confidence(self) -> Float64Array:
        """Share of the baskets with the left side that hold the right side."""
        return self.n_both / self.n_left

    @property
    def lift(self) -> Float64Array:
        """Confidence over the right side's share of all baskets: 1 is chance."""
        return self.confidence * self.n_baskets / self.n_right

    @property
    def leverage(self) -> Float64Array:
        """Support less what chance would give (Piatetsky-Shapiro, 1991)."""
        return self.support - (self.n_left / self.n_baskets) * (self.n_right / self.n_baskets)

    @property
    def conviction(self) -> Float64Array:
        """How many times as often the rule would fail by chance (Brin et al., 1997); infinite where it never does."""
        fails = 1.0 - self.confidence
        chance = 1.0 - self.n_right / self.n_baskets
        return np.where(fails > 0, chance / np.where(fails > 0, fails, 1.0), np.inf)

    def take(self, rows: IntArray | Int64Array) -> Rules:
        """These rules, in this order."""
        places = np.asarray(rows, dtype=np.int32)
        return Rules(
            self.left.take(places),
            self.right.take(places),
            self.n_left[rows],
            self.n_right[rows],
            self.n_both[rows],
            self.n_baskets,
            self.p[rows],
            self.false_discoveries[rows],
        )

    def best(self, by: str, count: int) -> Rules:
        """The ``count`` rules of the highest measure ``by``; of equal ones those of more baskets, then in order.

        Parameters
        ----------
        by
            One of ``MEASURES``.

        Raises
        ------
        UsageError
            It is none of them.
        """
        if by not in MEASURES:
            raise UsageError(f"rules are not put in order by {by!r}; there are {', '.join(MEASURES)}")
        return self.take(np.lexsort((-self.n_both, -getattr(self, by)))[:count])

    def about(self, item: int) -> Rules:
        """Those that name an item on either side."""
        rows = [side.rows[side.values == item] for side in (self.left, self.right)]
        return self.take(np.unique(np.concatenate(rows)))

    def records(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Plain values, a mapping a rule; ``names`` are those of all items."""
        columns: dict[str, Any] = {name: getattr(self, name).tolist() for name in MEASURES}
        return [
            {
                "if": [names[item] for item in self.left[row]],
                "then": [names[item] for item in self.right[row]],
                **{name: values[row] for name, values in columns.items()},
                "baskets": int(self.n_both[row]),
                "p": float(self.p[row]),
                "false_discoveries": float(self.false_discoveries[row]),
            }
            for row in range(len(self))
        ]


MEASURES = ("lift", "confidence", "support", "leverage", "conviction")
"""Measures of a rule by which rules are put in order."""


def mine(dataset: Dataset, settings: AssociationSettings | None = None) -> Rules:
    """The rules of a dataset's baskets.

    Raises
    ------
    DataError
        Nothing says which events belong together.
    UsageError
        There are too many itemsets to count.
    """
    return mined(Baskets.of(dataset), dataset.n_items, settings or AssociationSettings())


def mined(baskets: Baskets, n_items: int, settings: AssociationSettings) -> Rules:
    """The rules of baskets; see ``mine``."""
    return association_rules(frequent_itemsets(baskets, n_items, settings.support, settings.longest), settings)


def association_rules(itemsets: Itemsets, settings: AssociationSettings) -> Rules:
    """Every rule that the settings let pass, of every frequent itemset; itemsets by length, then in lexical order."""
    left, right, counts, tests = [], [], [], 0
    for level in itemsets.levels[1:]:
        k = level.sets.shape[1]
        for chosen in (
            part for size in range(1, min(settings.right, k - 1) + 1) for part in combinations(range(k), size)
        ):
            others = [column for column in range(k) if column not in chosen]
            tests += level.tried
            one, other = level.sets[:, others], level.sets[:, list(chosen)]
            own = np.stack([itemsets.count(one), itemsets.count(other), level.counts])
            confident = own[2] / own[0] >= settings.confidence
            lifted = own[2] / own[0] * itemsets.n_baskets / own[1] >= settings.lift
            kept = confident & lifted
            left.append(one[kept])
            right.append(other[kept])
            counts.append(own[:, kept])
    n_left, n_right, n_both = np.concatenate([np.zeros((3, 0), np.int64), *counts], axis=1)
    p = fisher_greater(n_both, n_left, n_right, itemsets.n_baskets)
    shares = benjamini_hochberg(p, tests)
    rules = Rules(_sides(left), _sides(right), n_left, n_right, n_both, itemsets.n_baskets, p, shares)
    return rules.take(np.flatnonzero(shares <= settings.false_discoveries))


def _sides(blocks: list[IntArray]) -> Ragged:
    """Sides of rules, block by block of one width."""
    lengths = np.concatenate([np.zeros(0, np.int64), *(np.full(len(part), part.shape[1]) for part in blocks)])
    values = np.concatenate([np.zeros(0, np.int32), *(part.ravel() for part in blocks)])
    return Ragged(offsets_of(lengths), values)

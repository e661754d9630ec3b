"""What goes with an item, and what could stand in its place.

Two items are substitutes where they are of one kind and people compare them but take one; complements where people take
both, on one visit or one after the other, more often than chance would have it, and they are not of one kind ("also
viewed" against "also bought": McAuley, Pandey & Leskovec, 2015). Every pair is counted once a person. Where events are
all of one kind nobody is seen comparing, and texts, categories, prices and order decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import BoolArray, FloatArray, Histories, Int64Array, IntArray, Settings
from palate.data import Catalogue, Dataset
from palate.data.baskets import taken
from palate.data.dataset import DAY
from palate.models.linear import wide

Relation = Literal["complement", "substitute"]

_MOST_SHELVES = 4_000
"""With more categories than this, what goes with a category is not looked at: the square matrix grows too large."""


class RelationSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    visit
        Seconds without an event that end a visit.
    horizon, window
        What is taken or looked at within so many days, and so many events, after something was taken follows it.
    after, beside
        What somebody who looked at or took the one later, or looked at both on one visit, is worth as a witness that
        two things go together; one who took both on one visit is worth 1.
    shrinkage
        The lift of a pair is shrunk towards that of its categories by so many witnesses expected by chance.
    evidence, lift
        Complements have witnesses of at least this worth, and are taken together this many times as often as by chance.
    alike
        Items of unknown category whose texts have at least this cosine are of one kind.
    """

    visit: float = Field(default=1800.0, gt=0)
    horizon: float = Field(default=30.0, gt=0)
    window: int = Field(default=20, ge=1)
    after: float = Field(default=0.2, ge=0)
    beside: float = Field(default=0.2, ge=0)
    shrinkage: float = Field(default=1.0, gt=0)
    evidence: float = Field(default=0.5, ge=0)
    lift: float = Field(default=2.0, ge=0)
    alike: float = Field(default=0.4, ge=-1, le=1)


@dataclass(frozen=True)
class Company:
    """How many people had two items together; each float32 (n_items, n_items).

    Parameters
    ----------
    together
        Took both on one visit.
    after
        Took the row's item, and looked at or took the column's on a later visit.
    beside
        Looked at both on one visit and did not take both.
    """

    together: sparse.csr_matrix
    after: sparse.csr_matrix
    beside: sparse.csr_matrix

    @classmethod
    def of(cls, dataset: Dataset, settings: RelationSettings) -> Self:
        """Count what a dataset tells."""
        sequences, n = dataset.sequences, dataset.n_items
        bought, visits = taken(sequences), _visits(sequences, 0.0 if dataset.whole_days else settings.visit)
        together: list[Int64Array] = []
        after: list[Int64Array] = []
        beside: list[Int64Array] = []
        users, items, times = sequences.rows, sequences.items, sequences.times
        longest = int(sequences.lengths.max(initial=0))
        for distance in range(1, min(settings.window, longest - 1) + 1):
            first, then = slice(None, -distance), slice(distance, None)
            # An unknown time is within every horizon: NaN is never greater.
            pairs = (users[first] == users[then]) & (items[first] != items[then])
            pairs &= ~(times[then] - times[first] > settings.horizon * DAY)
            one_visit, both = visits[first] == visits[then], bought[first] & bought[then]
            keys = (users[first].astype(np.int64) * n + items[first]) * n + items[then]
            back = (users[first].astype(np.int64) * n + items[then]) * n + items[first]
            for chosen, parts in ((one_visit & both, together), (one_visit & ~both, beside)):
                parts += [keys[pairs & chosen], back[pairs & chosen]]
            after.append(keys[pairs & bought[first] & ~one_visit])
        in_one, looked = _distinct(together), _distinct(beside)
        only_looked = looked[~np.isin(looked, in_one, assume_unique=True)]
        return cls(_people(in_one, n), _people(_distinct(after), n), _people(only_looked, n))


def _visits(sequences: Histories, pause: float) -> Int64Array:
    """Number of the visit of each event; events without a time are visits of their own."""
    rows, times = sequences.rows, sequences.times
    same = (rows[1:] == rows[:-1]) & (times[1:] - times[:-1] <= pause)
    return np.concatenate([np.zeros(min(len(rows), 1), np.int64), np.cumsum(~same)])


def _distinct(parts: list[Int64Array]) -> Int64Array:
    return np.unique(np.concatenate([np.zeros(0, np.int64), *parts]))


def _people(keys: Int64Array, n: int) -> sparse.csr_matrix:
    """Distinct (user, item, item) as counts of users."""
    pairs = (np.ones(len(keys), dtype=np.float32), (keys // n % n, keys % n))
    return sparse.csr_matrix(pairs, shape=(n, n), dtype=np.float32)


@dataclass(frozen=True)
class Related:
    """What is known of one item and all others; arrays are float32 (n_items,).

    Parameters
    ----------
    score
        -inf where the relation does not hold.
    lift
        How many times as often as by chance they keep company.
    together, after, beside
        People, as in ``Company``.
    """

    score: FloatArray
    lift: FloatArray
    together: FloatArray
    after: FloatArray
    beside: FloatArray


@dataclass(frozen=True)
class Relations:
    """Complements and substitutes of a catalogue's items.

    Parameters
    ----------
    company
        Over the items that have events; the catalogue may have more.
    shelf
        int32 (n_items,), innermost category, -1 where unknown.
    prices
        float32 (n_items,), logarithms, NaN where unknown.
    vectors
        float32 (n_items, d), unit language vectors; d = 0 where there are none.
    settings
        How evidence is weighed.
    """

    company: Company
    shelf: IntArray
    prices: FloatArray
    vectors: FloatArray
    settings: RelationSettings

    @classmethod
    def of(cls, company: Company, catalogue: Catalogue, vectors: FloatArray, settings: RelationSettings) -> Self:
        """What was counted, over this catalogue."""
        n = len(catalogue)
        counted = (wide(part, n) for part in (company.together, company.after, company.beside))
        prices = np.log(np.maximum(catalogue.prices, 0.01)).astype(np.float32)
        return cls(Company(*counted), catalogue.innermost_categories, prices, vectors, settings)

    def of_item(self, item: int, relation: Relation) -> Related:
        """How every other item stands to one."""
        if relation == "complement":
            return self._complements(item)
        return self._substitutes(item)

    def _complements(self, item: int) -> Related:
        own = self.settings
        witnesses, lift = _row(self._witnesses, item), self._lift(item)
        holds = (witnesses >= own.evidence) & (lift >= own.lift)
        return self._related(item, np.where(holds, lift, -np.inf), lift)

    def _substitutes(self, item: int) -> Related:
        alike = self._cosines(item)
        away = np.abs(self.prices - self.prices[item])
        price = np.where(np.isnan(away), 0.5, np.exp(-away))
        compared = _surplus(self.company.beside, item, self.settings.shrinkage)
        both = _surplus(self.company.together, item, self.settings.shrinkage)
        followed = np.asarray((self._followers[[item]] @ self._followers.T).toarray()).ravel()
        everything = np.arange(len(self.shelf), dtype=np.int32)
        one_kind = self._one_kind(np.full_like(everything, item), everything, alike)
        if not self._described:
            one_kind = (compared > 0) | (followed > 0)
        score = np.maximum(alike, 0) + price + compared + followed - both
        score[~one_kind] = -np.inf
        return self._related(item, score, 1 + both)

    def _related(self, item: int, score: FloatArray, lift: FloatArray) -> Related:
        score = score.astype(np.float32)
        score[item] = -np.inf
        company = self.company
        counts = (_row(part, item) for part in (company.together, company.after, company.beside))
        return Related(score, lift.astype(np.float32), *counts)

    def _lift(self, item: int) -> FloatArray:
        """Witnesses of each item's company over those that chance would give, shrunk towards the categories' lift."""
        witnesses, (leaving, coming) = self._witnesses, self._margins
        expected = leaving[item] * coming / max(float(coming.sum()), 1e-9)
        shrinkage, usual = self.settings.shrinkage, self._usual
        prior = 1.0 if usual is None else usual[self.shelf[item]][self.shelf]
        return np.asarray((_row(witnesses, item) + shrinkage * prior) / (expected + shrinkage), dtype=np.float32)

    @property
    def _described(self) -> bool:
        """Whether anything tells one kind of thing from another."""
        return self.vectors.shape[1] > 0 or bool((self.shelf >= 0).any())

    @cached_property
    def _witnesses(self) -> sparse.csr_matrix:
        """Worth of the people who had two items of different kinds together; float32 (n_items, n_items)."""
        company, own = self.company, self.settings
        worth = sparse.coo_matrix(company.together + own.after * company.after + own.beside * company.beside)
        apart = ~self._one_kind(worth.row, worth.col, None)
        kept = (worth.data[apart], (worth.row[apart], worth.col[apart]))
        return sparse.csr_matrix(kept, shape=worth.shape, dtype=np.float32)

    @cached_property
    def _margins(self) -> tuple[FloatArray, FloatArray]:
        witnesses = self._witnesses
        return np.asarray(witnesses.sum(axis=1)).ravel(), np.asarray(witnesses.sum(axis=0)).ravel()

    @cached_property
    def _usual(self) -> FloatArray | None:
        """Lift of one category after another, the last row and column for unknown ones; None without categories."""
        shelves = int(self.shelf.max(initial=-1)) + 1
        if not 0 < shelves <= _MOST_SHELVES:
            return None
        place = np.where(self.shelf < 0, shelves, self.shelf)
        ones = np.ones(len(place), dtype=np.float32)
        member = sparse.csr_matrix((ones, (np.arange(len(place)), place)), shape=(len(place), shelves + 1))
        seen = (member.T @ self._witnesses @ member).toarray()
        leaving, coming = (member.T @ margin for margin in self._margins)
        expected = np.outer(leaving, coming) / max(float(coming.sum()), 1e-9)
        return np.asarray((seen + 1) / (expected + 1), dtype=np.float32)

    @cached_property
    def _followers(self) -> sparse.csr_matrix:
        """What is taken or looked at after each item, as rows of length 1."""
        after = self.company.after + self.company.together
        length = np.sqrt(np.asarray(after.multiply(after).sum(axis=1)).ravel())
        return sparse.csr_matrix(sparse.diags(1 / np.maximum(length, 1e-9)) @ after, dtype=np.float32)

    def _one_kind(self, left: IntArray, right: IntArray, cosines: FloatArray | None) -> BoolArray:
        """Whether pairs are of one kind: by category where both have one, else by their texts."""
        here, there = self.shelf[left], self.shelf[right]
        unknown = (here < 0) | (there < 0)
        result = here == there
        if unknown.any():
            pairs = np.nonzero(unknown)[0]
            given = self._pairs(left[pairs], right[pairs]) if cosines is None else cosines[pairs]
            result[pairs] = given >= self.settings.alike
        return np.asarray(result)

    def _pairs(self, left: IntArray, right: IntArray) -> FloatArray:
        """Cosines of the texts of pairs; a bounded number of vectors at a time."""
        parts = [
            np.einsum(
                "nd,nd->n", self.vectors[left[start : start + 50_000]], self.vectors[right[start : start + 50_000]]
            )
            for start in range(0, len(left), 50_000)
        ]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def _cosines(self, item: int) -> FloatArray:
        return np.asarray(self.vectors @ self.vectors[item], dtype=np.float32)


def _surplus(people: sparse.csr_matrix, item: int, shrinkage: float) -> FloatArray:
    """How far a pair's count is above chance, -1 (never) to 1 (always more), 0 at chance; float32 (n_items,)."""
    coming = np.asarray(people.sum(axis=0)).ravel()
    expected = coming[item] * coming / max(float(coming.sum()), 1e-9)
    ratio = (_row(people, item) + shrinkage) / (expected + shrinkage)
    return np.asarray((ratio - 1) / (ratio + 1), dtype=np.float32)


def _row(matrix: sparse.csr_matrix, item: int) -> FloatArray:
    return np.asarray(matrix[[item]].toarray(), dtype=np.float32).ravel()

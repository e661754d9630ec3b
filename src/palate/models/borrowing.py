"""Counts borrowed between items whose texts are near, so that rare and new items have transitions too.

With S the likeness of texts (a sparse top-n matrix), C the counts and n the events of items::

    C' = C + sources * S N^-1 C + targets * C N^-1 S' + prior * S + backoff * P(item | category)

What a near text is followed by counts as its share (``N^-1``: a count for each event), so that an item with many events
of its own hardly changes and an item without any lives on what it borrows: Dirichlet smoothing with a prior that knows
the texts. ``prior`` says that a text itself is followed by near texts. The last term, for items in categories, spreads
what follows a category over the items there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import BoolArray, FloatArray, IntArray, Settings
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.recommender import Arrays
from palate.data import Catalogue
from palate.models.linear import largest, row_blocks, wide

_CELLS = 12_000_000
"""Cells of a dense block of rows worked on at once: 48 MB."""


class BorrowingSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    sources, targets
        Events' worth of what near texts are followed by, and follow, for each unit of likeness.
    prior
        Counts between near texts themselves, for each unit of likeness.
    backoff
        Events' worth of what an item's innermost category is followed by.
    backoff_items
        Items that a category is followed by, the likeliest.
    keep
        Strongest entries kept of each row.
    """

    sources: float = Field(default=1.0, ge=0)
    targets: float = Field(default=1.0, ge=0)
    prior: float = Field(default=1.5, ge=0)
    backoff: float = Field(default=0.0, ge=0)
    backoff_items: int = Field(default=200, ge=1)
    keep: int = Field(default=200, ge=1)


@dataclass(frozen=True)
class Backoff:
    """What follows a category.

    Parameters
    ----------
    member
        float32 (n_items, n_categories), 1 where the innermost category of an item is this one.
    follow
        float32 (n_categories, n_items), share of each item among what follows the category, the likeliest only.
    """

    member: sparse.csr_matrix
    follow: sparse.csr_matrix

    @classmethod
    def of(cls, counts: sparse.csr_matrix, member: sparse.csr_matrix, most: int) -> Self:
        """From counts: category to category, then the items of the category by how often they are come to."""
        between = (member.T @ counts @ member).toarray()
        between /= np.maximum(between.sum(axis=1, keepdims=True), 1e-9)
        arrivals = np.asarray(counts.sum(axis=0)).ravel() + 1.0
        within = np.maximum(np.asarray(member.T @ arrivals).ravel(), 1e-9)
        spread = sparse.csr_matrix(sparse.diags(1 / within) @ member.T @ sparse.diags(arrivals), dtype=np.float32)
        n = counts.shape[0]
        parts = [
            largest((sparse.csr_matrix(between[rows]) @ spread).toarray().astype(np.float32), most)
            for rows in row_blocks(len(between), _CELLS, n)
        ]
        follow = sparse.vstack(parts, format="csr") if parts else sparse.csr_matrix((0, n), dtype=np.float32)
        return cls(member, sparse.csr_matrix(follow, dtype=np.float32))

    def grown(self, n_items: int) -> Self:
        """With items that came since, of unknown category."""
        member, follow = self.member.copy(), self.follow.copy()
        member.resize((n_items, member.shape[1]))
        follow.resize((follow.shape[0], n_items))
        return replace(self, member=member, follow=follow)

    def arrays(self) -> Arrays:
        return {**pack_sparse("member", self.member), **pack_sparse("follow", self.follow)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        return cls(unpack_sparse("member", arrays), unpack_sparse("follow", arrays))


def innermost(catalogue: Catalogue) -> sparse.csr_matrix:
    """Innermost category of each item as an indicator; float32 (n_items, n_categories), empty rows where unknown."""
    categories, names = catalogue.categories
    has = np.nonzero(categories.lengths)[0]
    last = categories.values[categories.indptr[1:][has] - 1]
    ones = np.ones(len(has), dtype=np.float32)
    return sparse.csr_matrix((ones, (has, last)), shape=(len(catalogue), len(names)), dtype=np.float32)


def near_texts(
    likeness: Callable[[IntArray], FloatArray], rows: IntArray, n_items: int, neighbours: int
) -> sparse.csr_matrix:
    """The most alike items of some items; float32 (len(rows), n_items).

    Parameters
    ----------
    likeness
        Gives float32 (r, n_items) for r positions; what is not positive is not alike.
    """
    parts = [sparse.csr_matrix((0, n_items), dtype=np.float32)]
    for block in row_blocks(len(rows), _CELLS, n_items):
        alike = likeness(rows[block])
        alike[np.arange(len(alike)), rows[block]] = 0
        parts.append(largest(alike, neighbours))
    return sparse.csr_matrix(sparse.vstack(parts, format="csr"), dtype=np.float32)


@dataclass(frozen=True)
class Borrowing:
    """Everything that is lent.

    Parameters
    ----------
    counts
        float32 (n_items, n_items), what was counted.
    popularity
        float32 (n_items,), events of each item.
    likeness
        float32 (n_items, n_items), near texts of each item.
    backoff
        None where it counts nothing.
    """

    counts: sparse.csr_matrix
    popularity: FloatArray
    likeness: sparse.csr_matrix
    backoff: Backoff | None
    settings: BorrowingSettings

    @property
    def n_items(self) -> int:
        return int(self.counts.shape[0])

    def matrix(self) -> sparse.csr_matrix:
        """Counts with what is borrowed, the strongest of each row; float32 (n_items, n_items)."""
        return self.rows(np.arange(self.n_items, dtype=np.int32))

    def rows(self, items: IntArray) -> sparse.csr_matrix:
        """Some rows of ``matrix``."""
        own, lent = self.settings, self._lent
        rates = sparse.csr_matrix(lent @ self.counts)
        heard = sparse.csr_matrix(lent @ self.likeness.T)
        parts = [sparse.csr_matrix((0, self.n_items), dtype=np.float32)]
        for block in row_blocks(len(items), _CELLS, self.n_items):
            part = items[block]
            total = (self.counts[part] + own.prior * self.likeness[part]).toarray()
            total += (own.sources * (self.likeness[part] @ rates)).toarray()
            total += (own.targets * (self.counts[part] @ heard)).toarray()
            if self.backoff is not None:
                total += (own.backoff * (self.backoff.member[part] @ self.backoff.follow)).toarray()
            parts.append(largest(total, own.keep))
        return sparse.csr_matrix(sparse.vstack(parts, format="csr"), dtype=np.float32)

    def changed_by(self, added: sparse.csr_matrix, chosen: BoolArray) -> IntArray:
        """Rows of ``matrix`` that are not what they were before these counts came; int32 positions.

        Parameters
        ----------
        added
            float32 (n_items, n_items), part of the counts.
        chosen
            bool (n_items,), items that have more events than before.
        """
        sources = (np.diff(added.indptr) > 0) | chosen
        borrowers = self.likeness @ sources.astype(np.float32) > 0
        followed = self.counts @ chosen.astype(np.float32) > 0
        return np.flatnonzero(sources | borrowers | followed).astype(np.int32)

    def around(self, items: IntArray) -> sparse.csr_matrix:
        """Rows and columns of some items, all else zero; float32 (n_items, n_items). Columns are whole."""
        others = np.ones(self.n_items, dtype=np.float32)
        others[items] = 0
        into = sparse.diags(others) @ self._columns(items)
        place = sparse.csr_matrix(
            (np.ones(len(items), dtype=np.float32), (np.arange(len(items)), items)), shape=(len(items), self.n_items)
        )
        return sparse.csr_matrix(place.T @ self.rows(items) + into @ place, dtype=np.float32)

    def grown(self, n_items: int, likeness: sparse.csr_matrix) -> Self:
        """With items that came since, which have no events, and other near texts."""
        more = n_items - self.n_items
        return replace(
            self,
            counts=wide(self.counts, n_items),
            popularity=np.concatenate([self.popularity, np.zeros(more, dtype=np.float32)]),
            likeness=likeness,
            backoff=None if self.backoff is None else self.backoff.grown(n_items),
        )

    def _columns(self, items: IntArray) -> sparse.csr_matrix:
        """Columns of the counts with what is borrowed; float32 (n_items, len(items)). The category lends nothing."""
        own, lent = self.settings, self._lent
        near = sparse.csr_matrix(self.likeness[items].T)
        counts = self.counts[:, items]
        total = counts + own.prior * near + own.sources * (self.likeness @ (lent @ counts))
        return sparse.csr_matrix(total + own.targets * (self.counts @ (lent @ near)), dtype=np.float32)

    @property
    def _lent(self) -> sparse.dia_matrix:
        """One over each item's events."""
        return sparse.diags((1.0 / np.maximum(self.popularity, 1)).astype(np.float32))

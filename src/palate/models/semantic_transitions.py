"""What follows what, with counts borrowed between items that read alike.

Transitions know nothing of an item nobody took, and little of a rare one. Texts do: what follows a text's near texts is
likely to follow it, and so are the near texts themselves. See ``palate.models.borrowing`` for the arithmetic.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Abilities, FloatArray, Histories, Ids, Int64Array, IntArray
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder
from palate.language.text_space import TextSpace
from palate.language.verbalise import item_texts
from palate.models.borrowing import Backoff, Borrowing, BorrowingSettings, innermost, near_texts
from palate.models.fitted import TextReader, need
from palate.models.linear import LinearModel, renewed, wide, with_rows
from palate.models.transitions import TransitionsSettings, both_ways, damped, new_counts, pair_counts, redamped


class SemanticTransitionsSettings(TransitionsSettings):
    """Hyper-parameters of the pair counts, and of what they borrow.

    Parameters
    ----------
    source_power
        As for transitions alone; with what is borrowed, rare items need less help.
    neighbours
        Near texts that lend to an item.
    dimensions, whitening
        Of the language vectors that say which texts are near; see ``TextSpace``.
    borrowing
        How much is lent.
    """

    source_power: float = Field(default=0.4, ge=0, le=1.5)
    neighbours: int = Field(default=20, ge=1)
    dimensions: int = Field(default=256, ge=1)
    whitening: float = Field(default=1.0, ge=0, le=1)
    borrowing: BorrowingSettings = BorrowingSettings()

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        pairs = super().search().only(["distance_power", "backward", "source_power", "damping", "decay"])
        return Space(
            {
                **pairs.ranges,
                "neighbours": Span(5, 100, log=True),
                "borrowing.sources": Span(0.0, 5.0),
                "borrowing.targets": Span(0.0, 5.0),
                "borrowing.prior": Span(0.0, 5.0),
                "borrowing.backoff": Span(0.0, 2.0),
            },
            first=(
                {"decay": 0.8},
                {"neighbours": 50},
                {"borrowing.prior": 0.5},
                {"borrowing.sources": 0.3, "borrowing.targets": 0.3, "borrowing.prior": 0.3},
                {"borrowing.sources": 3.0, "borrowing.targets": 3.0, "borrowing.prior": 3.0},
            ),
        )


class SemanticTransitions(LinearModel, TextReader):
    """Recommends what usually comes after things like those the asker chose.

    Parameters
    ----------
    settings
        The defaults where None.
    encoder
        What turns texts into vectors; None: nothing is read, and nothing is lent but by category. It is no part of the
        saved state: give the same one to the restored model.
    """

    name: ClassVar[str] = "semantic_transitions"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True)
    settings: SemanticTransitionsSettings

    def __init__(self, settings: SemanticTransitionsSettings | None, encoder: TextEncoder | None) -> None:
        super().__init__(settings or SemanticTransitionsSettings())
        self.encoder = encoder
        self._space: TextSpace | None = None
        self._vectors: FloatArray | None = None
        self._borrowing: Borrowing | None = None

    def fit(self, dataset: Dataset) -> Self:
        """Count ordered pairs, read the catalogue and let near texts lend to each other."""
        settings, n_items = self.settings, dataset.n_items
        raw = self._read(dataset.catalogue)
        self._space = TextSpace.of(raw, settings.dimensions, settings.whitening)
        self._vectors = self._space.project(raw)
        everything = np.arange(n_items, dtype=np.int32)
        likeness = near_texts(self._alike, everything, n_items, settings.neighbours)
        counts = both_ways(pair_counts(dataset.sequences, n_items, settings), settings)
        backoff = self._backoff(counts, dataset.catalogue)
        popularity = dataset.popularity.astype(np.float32)
        return self._lend(Borrowing(counts, popularity, likeness, backoff, settings.borrowing))

    def update(self, sequences: Histories, new: Int64Array) -> Self:
        """Count events that came since; see ``Transitions.update``. What categories are followed by stays as fitted.

        Only rows that the events change are worked out again; what is in the others is damped anew.

        Raises
        ------
        UsageError
            An item is none of those the model knows; ``extend`` it first.
        """
        before, weights, own = self._need_borrowing(), self._need().matrix, self.settings
        added, popularity = new_counts(sequences, new, before.popularity, own)
        counts = sparse.csr_matrix(before.counts + added, dtype=np.float32)
        self._borrowing = lent = replace(before, counts=counts, popularity=popularity)
        items = lent.changed_by(added, popularity != before.popularity)
        nothing = sparse.csr_matrix(weights.shape, dtype=np.float32)
        fresh = damped(with_rows(nothing, items, lent.rows(items)), popularity, own)[items]
        return self._take(with_rows(redamped(weights, before.popularity, popularity, own), items, fresh))

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Read the texts of some items, new or changed, again; between all others nothing changes."""
        before, state = self._need_borrowing(), self._need()
        if not len(items):
            return self
        assert self._space is not None and self._vectors is not None  # noqa: S101
        n = max(before.n_items, int(items.max()) + 1)
        rows = items.tolist()
        part = Catalogue(Ids([catalogue.ids[row] for row in rows]), catalogue.frame[rows])
        vectors = np.concatenate([self._vectors, np.zeros((n - before.n_items, self._space.dimensions), np.float32)])
        vectors[items] = self._space.project(self._read(part))
        self._vectors = vectors
        near = near_texts(self._alike, items, n, self.settings.neighbours)
        lent = before.grown(n, with_rows(wide(before.likeness, n), items, near))
        self._borrowing = lent
        fresh = damped(lent.around(items), lent.popularity, self.settings)
        return self._take(renewed(wide(state.matrix, n), fresh, items))

    def arrays(self) -> Arrays:
        lent = self._need_borrowing()
        assert self._space is not None and self._vectors is not None  # noqa: S101
        return {
            **super().arrays(),
            **pack_sparse("counts", lent.counts),
            **pack_sparse("likeness", lent.likeness),
            **({} if lent.backoff is None else lent.backoff.arrays()),
            **self._space.arrays(),
            "popularity": lent.popularity,
            "item_vectors": self._vectors,
        }

    def restore(self, arrays: Arrays) -> Self:
        self._space = TextSpace.from_arrays(arrays)
        self._vectors = np.asarray(arrays["item_vectors"], dtype=np.float32)
        self._borrowing = Borrowing(
            unpack_sparse("counts", arrays),
            np.asarray(arrays["popularity"], dtype=np.float32),
            unpack_sparse("likeness", arrays),
            Backoff.from_arrays(arrays) if "member.data" in arrays else None,
            self.settings.borrowing,
        )
        return super().restore(arrays)

    def _read(self, catalogue: Catalogue) -> FloatArray:
        if self.encoder is None:
            return np.zeros((len(catalogue), 1), dtype=np.float32)
        return self.encoder.encode(item_texts(catalogue))

    def _alike(self, rows: IntArray) -> FloatArray:
        """Cosines of texts with all texts; float32 (r, n_items)."""
        assert self._vectors is not None  # noqa: S101
        return np.asarray(self._vectors[rows] @ self._vectors.T, dtype=np.float32)

    def _backoff(self, counts: sparse.csr_matrix, catalogue: Catalogue) -> Backoff | None:
        own = self.settings.borrowing
        member = innermost(catalogue)
        return Backoff.of(counts, member, own.backoff_items) if own.backoff and member.nnz else None

    def _lend(self, lent: Borrowing) -> Self:
        self._borrowing = lent
        return self._take(damped(lent.matrix(), lent.popularity, self.settings))

    def _need_borrowing(self) -> Borrowing:
        return need(self._borrowing, self.name)

"""Generative retrieval: a network reads a history and writes the semantic id of what comes next.

``parallel``: every code is foreseen from one state at once (RPG, Hou et al., 2025). An item's score is the sum of the
logarithms of the chances of its codes, so the scores of a whole catalogue are one product with sums of code vectors.
``autoregressive``: code after code, along the ids that exist (TIGER, Rajput et al., 2023), by beam search.

Either way nothing that does not exist is written, and a new item is recommendable as soon as its text has an id. The
``hybrid`` writes candidates among the items with events, adds those without, and orders both by the product of state
and item vector (LIGER, Yang et al., 2024).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from palate.core import (
    Abilities,
    BoolArray,
    FloatArray,
    Histories,
    IntArray,
    Queries,
)
from palate.core.recommender import Arrays
from palate.core.space import Choice, Space, Span
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder
from palate.language.semantic_ids import SemanticIds, SemanticIdSettings
from palate.models.code_space import CodeSpace
from palate.models.fitted import TextReader, need
from palate.models.neural.course import Course
from palate.models.neural.described import Described
from palate.models.neural.lessons import LARGE, against_chance
from palate.models.neural.settings import ReaderSettings
from palate.models.reading import HistoryReader

if TYPE_CHECKING:
    from palate.models.neural.coded import CodedNetwork
    from palate.models.neural.network import SequenceNetwork
    from palate.models.neural.trie import Trie
    from palate.training.loop import Trained


class GenerativeSettings(ReaderSettings):
    """Hyper-parameters of the generative model, its ids and its training.

    Parameters
    ----------
    decoder
        ``parallel``: all codes at once; ``autoregressive``: one after the other.
    hybrid
        Whether what was generated, and items without events, are ordered by the product of vectors.
    ids
        Of the parallel decoder.
    written_ids
        Of the autoregressive one.
    existing
        Share of the parallel decoder's loss that compares the ids that exist, against comparing codes place by place;
        none where the catalogue has more than 40,000 items.
    behaviour, behaviour_dimensions
        Length of the part of behaviour in what ids are made from, that of texts being 1; and its directions.
    writer_blocks
        Layers that write codes one after the other.
    beam
        Beginnings kept while writing.
    candidates
        Items with events that the hybrid orders by vectors.
    dense
        Weight of the hybrid's loss of vectors.
    """

    decoder: Literal["parallel", "autoregressive"] = "parallel"
    hybrid: bool = False
    ids: SemanticIdSettings = SemanticIdSettings()
    written_ids: SemanticIdSettings = SemanticIdSettings(kind="residual", codes=4)
    existing: float = Field(default=0.5, ge=0, le=1)
    behaviour: float = Field(default=0.0, ge=0)
    behaviour_dimensions: int = Field(default=64, ge=1)
    writer_blocks: int = Field(default=1, ge=1)
    beam: int = Field(default=64, ge=1)
    candidates: int = Field(default=200, ge=1)
    dense: float = Field(default=1.0, ge=0)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        more: dict[str, Choice | Span] = {
            "ids.codes": Choice((16, 32, 64)),
            "existing": Span(0.0, 1.0),
            "behaviour": Span(0.0, 2.0),
        }
        own = super().search()
        return Space({**own.ranges, **more}, ({"behaviour": 1.0}, {"ids.codes": 64}, *own.first))


class Generative(HistoryReader, TextReader):
    """What comes next, written as a semantic id.

    Parameters
    ----------
    settings
        The defaults where None.
    encoder
        See ``HistoryReader``; where None, ids are made from behaviour alone.
    """

    name: ClassVar[str] = "generative"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_time=True)
    settings: GenerativeSettings

    def __init__(self, settings: GenerativeSettings | None = None, encoder: TextEncoder | None = None) -> None:
        super().__init__(settings or GenerativeSettings(), encoder)
        self._network: CodedNetwork | None = None
        self._ids: SemanticIds | None = None
        self._space: CodeSpace | None = None
        self._own: FloatArray = np.zeros((0, 0), np.float32)
        self._warm: BoolArray = np.zeros(0, dtype=np.bool_)
        self._table: tuple[FloatArray, FloatArray, Trie | None] | None = None

    @property
    def ids(self) -> SemanticIds:
        """Codebooks, and the codes of every item."""
        return need(self._ids, self.name)

    @property
    def n_items(self) -> int:
        return len(self.ids)

    @property
    def item_vectors(self) -> FloatArray:
        """What is read of each item; float32 (n_items, width)."""
        return self._tables[0]

    def score(self, queries: Queries) -> FloatArray:
        """Logarithms of how much likelier than chance ids are written; float32 (n, n_items), 0 without a history.

        Of the autoregressive decoder ids that the search did not reach have one score, below all that it did; of the
        hybrid what is no candidate comes after all candidates.
        """
        hidden = self.user_vectors(queries)
        if not len(hidden):
            return np.zeros((0, self.n_items), np.float32)
        scores = self._written(hidden)
        if self.settings.hybrid:
            scores = _dense_first(
                scores, against_chance(hidden @ self.item_vectors.T), ~self._warm, self.settings.candidates
            )
        scores[~hidden.any(axis=1)] = 0.0
        return scores

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Ids and vectors of items whose text is new or has changed; an item with events keeps its id."""
        from palate.models.neural.network import described

        if not len(items):
            return self
        texts, codes = self._described.of(catalogue, items, self.encoder)
        now = described(self._read_by, texts, codes, len(items))
        vectors = self._code_space.of(np.zeros((len(items), 0), np.float32) if texts is None else texts)
        known = self.n_items
        new = items >= known
        cold = ~new & ~np.concatenate([self._warm, np.ones(int(new.sum()), np.bool_)])[items]
        if cold.any():
            self._ids = self.ids.changed(items[cold], vectors[cold])
        if new.any():
            self._ids = self.ids.extended(vectors[new])
        room = np.zeros((self.n_items - known, now.shape[1]), np.float32)
        self._said = np.concatenate([self._said, room])
        self._said[items] = now
        self._own = np.concatenate([self._own, room])
        self._warm = np.concatenate([self._warm, np.zeros(len(room), np.bool_)])
        self._table = None
        return self

    def arrays(self) -> Arrays:
        from palate.models.neural.coded import saved

        return {
            "own": self._own,
            "said": self._said,
            "warm": self._warm,
            **self.ids.arrays(),
            **self._code_space.arrays(),
            **self._described.arrays(),
            **saved(self._fitted),
        }

    def restore(self, arrays: Arrays) -> Self:
        from palate.models.neural import network
        from palate.models.neural.coded import reader_arrays, restored

        self._own = np.asarray(arrays["own"], np.float32)
        self._said = np.asarray(arrays["said"], np.float32)
        self._warm = np.asarray(arrays["warm"], np.bool_)
        self._ids = SemanticIds.from_arrays(arrays)
        self._space = CodeSpace.from_arrays(arrays)
        self._described = Described.from_arrays(arrays)
        shape = self._shape(len(arrays["coded.reader.positions.weight"]))
        self._reader = network.restored(reader_arrays(arrays), shape)
        self._network = restored(self._around(self._reader, self._ids), arrays)
        self._table = None
        return self

    @property
    def _fitted(self) -> CodedNetwork:
        return need(self._network, self.name)

    @property
    def _code_space(self) -> CodeSpace:
        return need(self._space, self.name)

    @property
    def _tables(self) -> tuple[FloatArray, FloatArray, Trie | None]:
        """What is read of each item, the sum of the vectors of its codes, and the tree of ids that may be written."""
        if self._table is None:
            from palate.models.neural.coded import code_sums
            from palate.models.neural.trie import Trie

            sums = code_sums(self._fitted, self.ids.codes)
            trie = None
            if self.settings.decoder == "autoregressive":
                may = np.nonzero(self._warm | (not self.settings.hybrid))[0].astype(np.int32)
                trie = Trie.of(self.ids.codes[may], may)
            self._table = (self._own + self._said + sums, sums, trie)
        return self._table

    def _around(self, reader: Any, ids: SemanticIds) -> CodedNetwork:
        from palate.models.neural.coded import coded

        own = self._suited
        writes = own.writer_blocks if own.decoder == "autoregressive" else 0
        return coded(reader, ids, writes, heads=own.heads, dropout=own.dropout or 0.0, seed=own.seed)

    def _written(self, hidden: FloatArray) -> FloatArray:
        """Scores by codes; float32 (n, n_items)."""
        from palate.models.neural.writing import generated

        _, sums, trie = self._tables
        if trie is None:
            return against_chance(hidden @ sums.T)
        beams = generated(self._fitted, trie, hidden, min(self.settings.beam, len(trie.items)))
        chances = beams.chances + np.float32(np.log(max(self.n_items, 1)))
        scores = np.zeros((len(hidden), self.n_items), np.float32)
        found = beams.items >= 0
        scores += np.where(found, chances, np.inf).min(axis=1, keepdims=True, initial=0.0) - 1
        scores[np.nonzero(found)[0], beams.items[found]] = chances[found]
        return scores

    def _prepare(
        self, dataset: Dataset, texts: FloatArray | None, learnt: Histories, before: Generative | None
    ) -> tuple[np.ndarray, ...]:
        own = self.settings
        if before is None:
            self._space, vectors = CodeSpace.fit(
                dataset,
                texts,
                sequences=learnt,
                dimensions=own.behaviour_dimensions,
                share=own.behaviour,
                seed=own.seed,
            )
            self._ids = SemanticIds.fit(vectors, own.written_ids if own.decoder == "autoregressive" else own.ids)
        else:
            self._space, self._ids = before._code_space, before.ids
        self._warm = np.asarray(dataset.popularity > 0)
        return (self.ids.codes,)

    def _teach(self, reader: SequenceNetwork, course: Course, n_items: int) -> Trained:
        from palate.models.neural.coded import learn
        from palate.models.neural.network import vectors_of

        own, network = self.settings, self._around(reader, self.ids)
        existing, dense = own.existing if n_items <= LARGE else 0.0, own.dense if own.hybrid else 0.0
        trained = learn(network, course, existing=existing, dense=dense, beam=own.beam)
        whole, self._said = vectors_of(reader)
        self._own, self._network, self._table = whole - self._said, network, None
        return trained


def _dense_first(written: FloatArray, dense: FloatArray, cold: BoolArray, candidates: int) -> FloatArray:
    """Dense scores of the best written warm items and of all cold ones; behind them the rest, as written."""
    among = np.where(cold, -np.inf, written)
    warm = int((~cold).sum())
    if warm > candidates:
        border = -np.partition(-among, candidates - 1, axis=1)[:, candidates - 1, None]
        chosen = cold | (among >= border)
    else:
        chosen = np.ones(written.shape, dtype=bool)
    least = np.where(chosen, dense, np.inf).min(axis=1, keepdims=True, initial=0.0)
    most = np.where(chosen, -np.inf, written).max(axis=1, keepdims=True, initial=-1e9)
    return np.where(chosen, dense, written - most + least - 1).astype(np.float32)

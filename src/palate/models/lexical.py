"""Items that say the same words: nearest neighbours under TF-IDF.

Language vectors know what a thing is; words know which one it is: the brand, the line, the size. Both are needed, and
this one explains itself word by word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Abilities, FloatArray, IntArray, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Catalogue, Dataset
from palate.language.detect import cjk_share
from palate.language.registry import EncoderSettings
from palate.language.search import SearchSettings, TextSearch
from palate.language.verbalise import item_texts
from palate.language.vocabulary import Vocabulary
from palate.models.fitted import TextReader, need
from palate.models.item_blocks import part_of
from palate.models.linear import (
    ItemWeights,
    event_weights,
    recommend_in_batches,
    renewed,
    row_blocks,
    strongest,
    wide,
    with_rows,
)
from palate.models.similarity import strongest_stored

_CELLS = 16_000_000
_FEW = 4
"""Where more than one item in so many is new or changed, all neighbours are looked for again."""
_NAMING = re.compile(r"(title|brand|category)(_[a-z]{2,3})?")
"""Columns that name an item, in any language (``title_zh``)."""


class LexicalSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    neighbours
        Most similar items kept per item.
    decay
        What an event of the history is worth relative to the next one.
    text_weight
        What a wish in words is worth relative to the latest event.
    maximum_terms
        Size of the vocabulary.
    wishes
        What a wish is held against: ``names``, the words that name an item, by cosine; ``texts``, all that is said of
        it, by BM25 over words and Chinese characters; ``auto``: the texts of a catalogue that is mainly Chinese,
        Japanese or Korean. Sixty and twenty questions about places in Beijing, N@10: names .490 and .396, texts .778
        and .671.
    texts
        Of the latter.
    """

    neighbours: int = Field(default=200, ge=1)
    decay: float = Field(default=0.7, gt=0, le=1)
    text_weight: float = Field(default=4.0, ge=0)
    maximum_terms: int = Field(default=100_000, ge=100)
    wishes: Literal["auto", "names", "texts"] = "auto"
    texts: SearchSettings = Field(default_factory=SearchSettings)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {"neighbours": Span(20, 1000, log=True), "decay": Span(0.3, 1.0)},
            first=tuple({"decay": decay} for decay in (0.5, 0.6, 0.8, 0.9, 1.0)),
        )


class Lexical(TextReader):
    """Recommends what shares rare words with the history, or with a wish in words."""

    name: ClassVar[str] = "lexical"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_text=True)

    def __init__(self, settings: LexicalSettings | None = None) -> None:
        self.settings = settings or LexicalSettings()
        self._vocabulary: Vocabulary | None = None
        self._vectors: sparse.csr_matrix | None = None
        self._state: ItemWeights | None = None
        self._search: TextSearch | None = None

    @property
    def n_items(self) -> int:
        return need(self._state, self.name).n_items

    def fit(self, dataset: Dataset) -> Self:
        """Read the catalogue; events are not needed."""
        texts = _texts(dataset.catalogue)
        self._vocabulary = Vocabulary.of(texts, self.settings.maximum_terms)
        self._vectors = self._vocabulary.matrix(texts)
        self._state = ItemWeights(_neighbours(self._vectors, self.settings.neighbours), self.settings.decay)
        self._search = self._searching(dataset.catalogue)
        return self

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Read the texts of some items, new or changed, again: they and their neighbours find each other anew."""
        state, vectors = need(self._state, self.name), self._vectors
        assert vectors is not None and self._vocabulary is not None  # noqa: S101
        if not len(items):
            return self
        texts = _texts(catalogue)
        read = [texts[item] for item in items]
        vocabulary = self._vocabulary.extended(read)
        vectors = sparse.csr_matrix(vectors, copy=True)
        vectors.resize((vectors.shape[0], len(vocabulary)))
        vectors = with_rows(vectors, items, vocabulary.matrix(read))
        most = self.settings.neighbours
        if len(items) * _FEW > vectors.shape[0]:
            matrix = _neighbours(vectors, most)
        else:
            matrix = _neighbours_again(state.matrix, vectors, items, most)
        self._vocabulary, self._vectors, self._state = vocabulary, vectors, ItemWeights(matrix, state.decay)
        if self._search is not None:
            names = [catalogue.titles[item] for item in items]
            self._search = self._search.reread(items, item_texts(part_of(catalogue, items)), names)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Similarity to the history's items and to the wish; float32 (n, n_items), 0 where no word is shared."""
        state = need(self._state, self.name)
        scores = state.score(queries.history)
        if queries.text is not None and any(queries.text):
            scores += np.float32(self.settings.text_weight) * self.match(queries.text)
        return scores

    def match(self, texts: Sequence[str]) -> FloatArray:
        """How well items answer texts, about 1 for a very good answer; float32 (n, n_items)."""
        need(self._state, self.name)
        if self._search is not None:
            return self._search.scores(texts)
        assert self._vocabulary is not None and self._vectors is not None  # noqa: S101
        return np.asarray((self._vocabulary.wishes(texts) @ self._vectors.T).toarray(), dtype=np.float32)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event adds to each item's score; float32 (h, k). A wish in words is not an event."""
        return need(self._state, self.name).contributions(queries, items)

    def words(self, queries: Queries, item: int, most: int = 8) -> list[tuple[str, float]]:
        """Terms the item shares with the one question's history and wish, strongest first, with their exact shares.

        Shares are of the full similarity, before neighbours beyond the strongest were dropped.
        """
        need(self._state, self.name)
        assert self._vocabulary is not None and self._vectors is not None  # noqa: S101
        history = queries.history
        known = history.items < self.n_items
        weights = event_weights(history, self.settings.decay)[known]
        wanted = sparse.csr_matrix(weights[None, :]) @ self._vectors[history.items[known]]
        if queries.text is not None and queries.text[0].strip():
            wanted = wanted + self.settings.text_weight * self._vocabulary.wishes(queries.text)
        shared = sparse.csr_matrix(sparse.csr_matrix(wanted).multiply(self._vectors[item]))
        order = np.argsort(-shared.data, kind="stable")[:most]
        return [(self._vocabulary.names[shared.indices[i]], float(shared.data[i])) for i in order if shared.data[i] > 0]

    def arrays(self) -> Arrays:
        from palate.core.artefact import pack_sparse

        state = need(self._state, self.name)
        assert self._vocabulary is not None and self._vectors is not None  # noqa: S101
        search = {} if self._search is None else self._search.arrays()
        return {**state.arrays(), **pack_sparse("vectors", self._vectors), **self._vocabulary.arrays(), **search}

    def restore(self, arrays: Arrays) -> Self:
        from palate.core.artefact import unpack_sparse

        self._vocabulary = Vocabulary.from_arrays(arrays)
        self._vectors = unpack_sparse("vectors", arrays)
        self._state = ItemWeights.from_arrays(arrays, self.settings.decay)
        self._search = TextSearch(self.settings.texts).restore(arrays) if "search.terms" in arrays else None
        return self

    def _searching(self, catalogue: Catalogue) -> TextSearch | None:
        texts, wishes = item_texts(catalogue), self.settings.wishes
        if wishes == "auto":
            wishes = "texts" if cjk_share(texts) >= EncoderSettings().cjk_share else "names"
        return TextSearch(self.settings.texts).fit(texts, catalogue.titles) if wishes == "texts" else None


def _texts(catalogue: Catalogue) -> list[str]:
    """Title, brand and the innermost category in every language there is: what names an item."""
    import polars as pl

    columns = [name for name in catalogue.frame.columns if _NAMING.fullmatch(name)]
    columns.sort(key=lambda name: ("title", "brand", "category").index(name.partition("_")[0]))
    if "title" not in columns and catalogue.column("description") is not None:
        columns.insert(0, "description")
    if not columns:
        return [""] * len(catalogue)
    parts = []
    for name in columns:
        text = pl.col(name).cast(pl.String, strict=False)
        parts.append(text.str.split(" > ").list.last() if name.startswith("category") else text)
    return catalogue.frame.select(pl.concat_str(parts, separator=" ", ignore_nulls=True)).to_series().to_list()


def _neighbours(vectors: sparse.csr_matrix, neighbours: int) -> sparse.csr_matrix:
    """The most similar items of each item, itself left out; float32 (n_items, n_items)."""
    n, transposed = vectors.shape[0], sparse.csr_matrix(vectors.T)
    parts = []
    for rows in row_blocks(n, _CELLS, n):
        block = (vectors[rows] @ transposed).toarray()
        block[np.arange(len(block)), np.arange(rows.start, rows.start + len(block))] = 0
        parts.append(strongest(block, neighbours))
    return sparse.csr_matrix(sparse.vstack(parts, format="csr"), dtype=np.float32)


def _neighbours_again(
    matrix: sparse.csr_matrix, vectors: sparse.csr_matrix, items: IntArray, neighbours: int
) -> sparse.csr_matrix:
    """Neighbours after the vectors of a few items came or changed; float32 (n, n) from (m, m), m at most n.

    These items find their nearest, and become neighbours of those; between all others nothing changes, so that no known
    item loses a neighbour to a new one before the next fit.
    """
    n = vectors.shape[0]
    similar = sparse.coo_matrix(vectors[items] @ vectors.T)
    other = items[similar.row] != similar.col
    entries = (similar.data[other], (similar.row[other], similar.col[other]))
    nearest = strongest_stored(sparse.csr_matrix(entries, shape=similar.shape, dtype=np.float32), neighbours)
    scattered = with_rows(sparse.csr_matrix((n, n), dtype=np.float32), items, nearest)
    keep = np.ones(n, dtype=np.float32)
    keep[items] = 0
    # What was thought of these items before goes; of two of them, each has its own say.
    return renewed(wide(matrix, n), sparse.csr_matrix(scattered + sparse.diags(keep) @ scattered.T), items)

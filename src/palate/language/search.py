"""Search by words: BM25 over words, pairs of characters and characters, with related words and likeness of meaning.

Chinese has no spaces, so what a segmenter calls a word is a guess; pairs of characters and single ones find what it cut
otherwise. BM25: Robertson & Zaragoza, "The Probabilistic Relevance Framework" (2009).
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Float64Array, FloatArray, IntArray, NotFittedError, Settings
from palate.core.arrays import offsets_of
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.recommender import Arrays
from palate.language.encoder import TextEncoder
from palate.language.related import related
from palate.language.terms import is_cjk, surface_words, words_within

_CHARACTER, _PAIR = "\x01", "\x02"
"""Mark terms that are parts of words, so that the character 茶 and the word 茶 are counted apart."""


class SearchSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    saturation, length
        k1 and b of BM25.
    name
        What a word of a name counts for, relative to one of the text.
    pair, character
        What a pair of Chinese characters and a single one count for in a query, relative to a word.
    related
        What a related word counts for.
    meaning
        What the encoder's cosine counts for beside the best match by words.
    """

    saturation: float = Field(default=1.2, ge=0)
    length: float = Field(default=0.75, ge=0, le=1)
    name: float = Field(default=3.0, ge=0)
    pair: float = Field(default=0.6, ge=0)
    character: float = Field(default=0.3, ge=0)
    related: float = Field(default=0.5, ge=0)
    meaning: float = Field(default=0.5, ge=0)


class TextSearch:
    """Finds texts that answer a wish in words, in English or Chinese.

    Parameters
    ----------
    encoder
        Whose cosine joins in; none does where None.
    """

    def __init__(self, settings: SearchSettings | None = None, encoder: TextEncoder | None = None) -> None:
        self.settings = settings or SearchSettings()
        self._encoder = encoder
        self._index: dict[str, int] = {}
        self._counts: sparse.csr_matrix | None = None
        self._lengths: Float64Array = np.empty(0)
        self._weights: sparse.csr_matrix | None = None
        self._vectors: FloatArray | None = None

    def fit(self, texts: Sequence[str], names: Sequence[str] | None = None) -> Self:
        """Read n texts, and the names of the things they describe where they have names."""
        counted, self._lengths = self._read(texts, names)
        self._index = {term: column for column, term in enumerate(sorted({term for own in counted for term in own}))}
        self._counts = self._rows(counted)
        self._weights = self._weighed()
        self._vectors = None if self._encoder is None else self._encoder.encode(texts)
        return self

    def reread(self, rows: IntArray, texts: Sequence[str], names: Sequence[str] | None = None) -> TextSearch:
        """Another search in which some texts, changed ones or new ones behind the known, are read again.

        Parameters
        ----------
        rows
            int32 positions of these texts; new ones are all there are beyond the known ones.
        """
        counts, lengths = self._fitted, self._lengths
        grown, size = copy.copy(self), max(counts.shape[0], int(rows.max(initial=-1)) + 1)
        counted, read = self._read(texts, names)
        new = sorted({term for own in counted for term in own} - self._index.keys())
        grown._index = {**self._index, **{term: len(self._index) + place for place, term in enumerate(new)}}
        kept = np.ones(size, dtype=np.float32)
        kept[rows] = 0
        wide = sparse.csr_matrix(counts, copy=True)
        wide.resize((size, len(grown._index)))
        placed = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, np.arange(len(rows)))), (size, len(rows)))
        grown._counts = sparse.csr_matrix(sparse.diags(kept) @ wide + placed @ grown._rows(counted), dtype=np.float32)
        grown._counts.eliminate_zeros()
        grown._lengths = np.concatenate([lengths, np.zeros(size - len(lengths))])
        grown._lengths[rows] = read
        grown._weights = grown._weighed()
        if self._encoder is not None and self._vectors is not None:
            vectors = np.zeros((size, self._vectors.shape[1]), np.float32)
            vectors[: len(self._vectors)] = self._vectors
            vectors[rows] = self._encoder.encode(texts)
            grown._vectors = vectors
        return grown

    def scores(self, queries: Sequence[str]) -> FloatArray:
        """How well each text answers each query: by words up to 1 for the best, and meaning beside; float32 (q, n)."""
        weights = self._weighed() if self._weights is None else self._weights
        asked = [self._asked(query) for query in queries]
        indptr = offsets_of(np.array([len(terms) for terms in asked], dtype=np.int64))
        columns = np.array([self._index[term] for terms in asked for term in terms], dtype=np.int64)
        data = np.array([weight for terms in asked for weight in terms.values()], dtype=np.float32)
        wanted = sparse.csr_matrix((data, columns, indptr), shape=(len(queries), len(self._index)))
        found = np.asarray((wanted @ weights.T).toarray(), dtype=np.float32)
        best = found.max(axis=1, keepdims=True, initial=0)
        scores = found / np.where(best > 0, best, 1)
        if self._encoder is not None and self._vectors is not None:
            cosines = self._encoder.encode(queries) @ self._vectors.T
            scores = scores + np.float32(self.settings.meaning) * np.maximum(cosines, 0)
        return np.asarray(scores, dtype=np.float32)

    def arrays(self) -> Arrays:
        """What was read, without an encoder's vectors: the terms as UTF-8 JSON, how often each text has them."""
        terms = json.dumps(list(self._index), ensure_ascii=False).encode("utf-8", "surrogatepass")
        counts = pack_sparse("search", self._fitted)
        return {"search.terms": np.frombuffer(terms, dtype=np.uint8), "search.lengths": self._lengths, **counts}

    def restore(self, arrays: Arrays) -> Self:
        """Take what ``arrays`` gave; meaning is left to whoever has an encoder and fits anew."""
        terms = json.loads(np.asarray(arrays["search.terms"]).tobytes().decode("utf-8", "surrogatepass"))
        self._index = {term: column for column, term in enumerate(terms)}
        self._counts, self._lengths = unpack_sparse("search", arrays), np.asarray(arrays["search.lengths"])
        self._weights, self._vectors = self._weighed(), None
        return self

    @property
    def _fitted(self) -> sparse.csr_matrix:
        if self._counts is None:
            raise NotFittedError("the search was asked before it had read any text")
        return self._counts

    def _read(self, texts: Sequence[str], names: Sequence[str] | None) -> tuple[list[dict[str, float]], Float64Array]:
        """What each text and its name hold, and how long the text is."""
        counted: list[dict[str, float]] = [dict(_counts(text)) for text in texts]
        lengths = np.array([sum(counts.values()) for counts in counted], dtype=np.float64)
        for counts, name in zip(counted, names or (), strict=names is not None):
            for term, count in _counts(name).items():
                counts[term] = counts.get(term, 0.0) + self.settings.name * count
        return counted, lengths

    def _rows(self, counted: Sequence[Mapping[str, float]]) -> sparse.csr_matrix:
        """Counts as rows over the known terms; float32 (n, terms)."""
        indptr = offsets_of(np.array([len(counts) for counts in counted], dtype=np.int64))
        columns = np.array([self._index[term] for counts in counted for term in counts], dtype=np.int64)
        data = np.array([count for counts in counted for count in counts.values()], dtype=np.float32)
        return sparse.csr_matrix((data, columns, indptr), shape=(len(counted), len(self._index)))

    def _weighed(self) -> sparse.csr_matrix:
        """BM25 of every term in every text; float32 (n, terms)."""
        counts, lengths, own = self._fitted, self._lengths, self.settings
        df = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = np.log(1 + (counts.shape[0] - df + 0.5) / (df + 0.5))
        usual = max(float(lengths.mean()), 1.0) if len(lengths) else 1.0
        relative = own.saturation * (1 - own.length + own.length * lengths / usual)
        tf = counts.data.astype(np.float64)
        weights = idf[counts.indices] * tf * (own.saturation + 1) / (tf + np.repeat(relative, np.diff(counts.indptr)))
        return sparse.csr_matrix((weights.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)

    def _asked(self, query: str) -> dict[str, float]:
        """Known terms of a query and what each counts for."""
        own = self.settings
        wanted: dict[str, float] = {}

        def want(term: str, weight: float) -> None:
            if term in self._index and weight > wanted.get(term, 0.0):
                wanted[term] = weight

        for term in _counts(query):
            want(term, {_PAIR: own.pair, _CHARACTER: own.character}.get(term[0], 1.0))
        for _, word in surface_words(query):
            for other in related(word):
                want(other, own.related)
                for part in words_within(other):
                    want(part, own.related * 0.5)
                if is_cjk(other) and len(other) == 2:
                    want(_PAIR + other, own.related * own.pair)
                elif is_cjk(other) and len(other) == 1:
                    want(_CHARACTER + other, own.related)
        return wanted


def _counts(text: str) -> Counter[str]:
    """Words, shorter words within Chinese ones, pairs of characters and characters, stop words left out."""
    found = surface_words(text)
    counts: Counter[str] = Counter()
    for chinese, group in groupby(found, key=lambda pair: is_cjk(pair[1])):
        words = [word for _, word in group]
        counts.update(words)
        if not chinese:
            continue
        for word in words:
            counts.update(words_within(word))
            counts.update(_CHARACTER + letter for letter in word)
            counts.update(_PAIR + word[start : start + 2] for start in range(len(word) - 1))
        counts.update(_PAIR + first[-1] + second[0] for first, second in pairwise(words))
    return counts

"""Which words a corpus uses and how much each says: TF-IDF over words, their parts and pairs of neighbouring words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from palate.core import FloatArray
from palate.core.arrays import offsets_of
from palate.core.recommender import Arrays
from palate.language.related import related
from palate.language.terms import is_cjk, words, words_within

MAXIMUM_CHARACTERS = 2000
"""A text beyond this is not read: a title and a paragraph say what a thing is."""

_HOLDING, _RELATED = 0.5, 0.4
"""What a word that holds a wished-for one counts for, and a related one, relative to the word itself."""


@dataclass(frozen=True)
class Vocabulary:
    """Terms and their weights.

    Parameters
    ----------
    names
        Words, shorter Chinese words within them, and pairs of neighbouring words joined by a space.
    weights
        float32 (len(names),), inverse document frequency ``log((1 + n) / (1 + df)) + 1``.
    """

    names: tuple[str, ...]
    weights: FloatArray

    @classmethod
    def of(cls, texts: Sequence[str], maximum: int) -> Vocabulary:
        """The terms of a corpus; where there are more than ``maximum``, those in most texts."""
        in_texts: Counter[str] = Counter()
        for text in texts:
            in_texts.update(set(text_terms(text)))
        kept = sorted(in_texts.items(), key=lambda entry: (-entry[1], entry[0]))[:maximum]
        frequencies = np.array([count for _, count in kept], dtype=np.float64)
        weights = np.log((1 + len(texts)) / (1 + frequencies)) + 1
        return cls(tuple(term for term, _ in kept), weights.astype(np.float32))

    def extended(self, texts: Sequence[str]) -> Vocabulary:
        """With the terms of texts that came later after the known ones; they weigh what the rarest known term does."""
        new = sorted({term for text in texts for term in text_terms(text)} - self._index.keys())
        if not new:
            return self
        weights = np.full(len(new), self.weights.max(initial=1.0), dtype=np.float32)
        return Vocabulary((*self.names, *new), np.concatenate([self.weights, weights]))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: column for column, name in enumerate(self.names)}

    def matrix(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Texts as unit rows of ``(1 + log tf) idf``; float32 (n, n_terms); no known word gives an empty row."""
        index = self._index
        rows = [Counter(index[term] for term in text_terms(text) if term in index) for text in texts]
        indptr = offsets_of(np.array([len(row) for row in rows], dtype=np.int64))
        columns = np.fromiter((column for row in rows for column in row), dtype=np.int32, count=indptr[-1])
        counts = np.fromiter((count for row in rows for count in row.values()), dtype=np.float32, count=indptr[-1])
        data = (1 + np.log(counts)) * self.weights[columns]
        return _scaled(sparse.csr_matrix((data.astype(np.float32), columns, indptr), shape=(len(rows), len(self))))

    def wishes(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Wishes as unit rows over these terms; float32 (n, n_terms); no known word gives an empty row.

        As ``matrix``, and a Chinese word of one character, or one that the corpus does not use as it stands, leads to
        the words that hold it, a pair of its characters or one: 茶 means 绿茶 too. Related words count beside it.
        """
        return _unit_rows([self._wish(text) for text in texts], len(self))

    def _wish(self, text: str) -> dict[int, float]:
        index, wanted = self._index, dict[int, float]()
        for term, count in Counter(text_terms(text)).items():
            if term in index:
                wanted[index[term]] = (1 + np.log(count)) * float(self.weights[index[term]])
        for word in dict.fromkeys(words(text[:MAXIMUM_CHARACTERS])):
            if not is_cjk(word):
                continue
            holders = [] if word in index and len(word) > 1 else self._holders(word)
            others = [index[other] for other in related(word) if other in index]
            for columns, share in ((holders, _HOLDING), (others, _RELATED)):
                for column in columns:
                    wanted[column] = max(wanted.get(column, 0.0), share * float(self.weights[column]))
        return wanted

    def _holders(self, word: str) -> list[int]:
        """Columns of words that hold a Chinese word, else a pair of its characters, else one of them."""
        pairs = [word[start : start + 2] for start in range(len(word) - 1)]
        for parts in ([word], pairs, list(word)):
            found = [column for part in parts for column in self._holding.get(part, ())]
            found += [self._index[part] for part in parts if part in self._index]
            if found:
                return found
        return []

    @cached_property
    def _holding(self) -> dict[str, list[int]]:
        """Columns of Chinese words by the characters and pairs of characters within them."""
        found: dict[str, list[int]] = {}
        for column, name in enumerate(self.names):
            if " " in name or not is_cjk(name):
                continue
            for part in {*name, *(name[start : start + 2] for start in range(len(name) - 1))} - {name}:
                found.setdefault(part, []).append(column)
        return found

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The vocabulary as plain arrays: the names as UTF-8 JSON, and the weights."""
        names = json.dumps(self.names, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return {"vocabulary.names": np.frombuffer(names, dtype=np.uint8), "vocabulary.weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Vocabulary:
        """What ``arrays`` packed."""
        names = json.loads(np.asarray(arrays["vocabulary.names"]).tobytes().decode("utf-8", "surrogatepass"))
        return cls(tuple(names), np.asarray(arrays["vocabulary.weights"], dtype=np.float32))


def text_terms(text: str) -> list[str]:
    """What is counted of a text: its words, shorter words within Chinese ones, and pairs of neighbours."""
    single = words(text[:MAXIMUM_CHARACTERS])
    within = [part for word in single for part in words_within(word)]
    return [*single, *within, *(f"{first} {second}" for first, second in pairwise(single))]


def _unit_rows(rows: Sequence[dict[int, float]], width: int) -> sparse.csr_matrix:
    """Rows given as weights by column, scaled to length 1."""
    indptr = offsets_of(np.array([len(row) for row in rows], dtype=np.int64))
    columns = np.fromiter((column for row in rows for column in row), dtype=np.int32, count=indptr[-1])
    data = np.fromiter((weight for row in rows for weight in row.values()), dtype=np.float32, count=indptr[-1])
    return _scaled(sparse.csr_matrix((data, columns, indptr), shape=(len(rows), width)))


def _scaled(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same rows with length 1; empty ones stay empty."""
    lengths = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), lengths)
    norms = np.sqrt(np.bincount(rows, weights=matrix.data**2, minlength=matrix.shape[0]))
    matrix.data /= np.repeat(norms, lengths).astype(np.float32)
    return matrix

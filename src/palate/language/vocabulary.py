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
from palate.language.terms import words, words_within

MAXIMUM_CHARACTERS = 2000
"""A text beyond this is not read: a title and a paragraph say what a thing is."""


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
        lengths = np.diff(indptr)
        norms = np.sqrt(np.bincount(np.repeat(np.arange(len(rows)), lengths), weights=data**2, minlength=len(rows)))
        data /= np.repeat(norms, lengths).astype(np.float32)
        return sparse.csr_matrix((data.astype(np.float32), columns, indptr), shape=(len(rows), len(self)))

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

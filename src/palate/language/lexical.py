"""TF-IDF of words and character n-grams, folded by a truncated SVD: any language, no neural network.

Latent semantic analysis (Deerwester et al. 1990). Fitted on a catalogue's own texts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np
import xxhash
from scipy import sparse

from palate.core import FloatArray, NotFittedError, Settings
from palate.core.arrays import offsets_of
from palate.core.recommender import Arrays
from palate.language.encoder import unit_rows
from palate.language.terms import terms


class LexicalSettings(Settings):
    """Of the lexical encoder.

    Parameters
    ----------
    dimension
        Length of a vector; less where the catalogue has fewer texts or terms.
    max_terms
        The most frequent terms are kept.
    min_texts
        Terms in fewer texts are left out where the catalogue has at least 1,000 texts.
    max_characters
        A text beyond this is not read.
    seed
        Of the randomized SVD.
    """

    dimension: int = 256
    max_terms: int = 100_000
    min_texts: int = 2
    max_characters: int = 4000
    seed: int = 0


class LexicalEncoder:
    """A ``TextEncoder`` fitted on texts."""

    languages = ("*",)

    def __init__(self, settings: LexicalSettings | None = None) -> None:
        self.settings = settings or LexicalSettings()
        self._index: dict[str, int] = {}
        self._idf: FloatArray = np.empty(0, np.float32)
        self._components: FloatArray | None = None
        self._name = "lexical-unfitted"

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._fitted.shape[1]

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn terms, their weights and the directions of most variance from n texts."""
        counted = [Counter(terms(text[: self.settings.max_characters])) for text in texts]
        in_texts: Counter[str] = Counter()
        for counts in counted:
            in_texts.update(counts.keys())
        least = self.settings.min_texts if len(texts) >= 1000 else 1
        kept = sorted((term for term, n in in_texts.items() if n >= least), key=lambda term: (-in_texts[term], term))
        vocabulary = sorted(kept[: self.settings.max_terms])
        self._index = {term: column for column, term in enumerate(vocabulary)}
        frequency = np.array([in_texts[term] for term in vocabulary], dtype=np.float64)
        self._idf = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
        self._components = self._directions(self._weigh(counted))
        self._set_name()
        return self

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of n texts, float32 (n, dimension); zeros where no term is known."""
        if not len(texts):
            return np.zeros((0, self.dimension), dtype=np.float32)
        return unit_rows(self.weigh(texts) @ self._fitted)

    def weigh(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF of n texts, rows of length 1; float32 (n, n_terms)."""
        return self._weigh([Counter(terms(text[: self.settings.max_characters])) for text in texts])

    @property
    def directions(self) -> FloatArray:
        """What each term adds to a text's vector before that is scaled to length 1; float32 (n_terms, dimension)."""
        return self._fitted

    def column(self, term: str) -> int | None:
        """Row of a term in ``directions``, column in what ``weigh`` gives; None for an unknown term."""
        return self._index.get(term)

    def arrays(self) -> Arrays:
        """The fitted state, vocabulary included (UTF-8 JSON as bytes)."""
        vocabulary = json.dumps(list(self._index), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return {
            "vocabulary": np.frombuffer(vocabulary, dtype=np.uint8),
            "idf": self._idf,
            "components": self._fitted,
        }

    def restore(self, arrays: Arrays) -> Self:
        """Take a state saved by ``arrays``; gives identical vectors."""
        vocabulary = json.loads(np.asarray(arrays["vocabulary"]).tobytes().decode("utf-8", "surrogatepass"))
        self._index = {term: column for column, term in enumerate(vocabulary)}
        self._idf = np.asarray(arrays["idf"], dtype=np.float32)
        self._components = np.asarray(arrays["components"], dtype=np.float32)
        self._set_name()
        return self

    @property
    def _fitted(self) -> FloatArray:
        if self._components is None:
            raise NotFittedError("the lexical encoder was asked before it was fitted on a catalogue's texts")
        return self._components

    def _set_name(self) -> None:
        digest = xxhash.xxh3_64()
        for array in self.arrays().values():
            digest.update(np.ascontiguousarray(array).tobytes())
        self._name = f"lexical-{digest.hexdigest()}"

    def _weigh(self, counted: Sequence[Counter[str]]) -> sparse.csr_matrix:
        index = self._index
        rows = [[(index[term], n) for term, n in counts.items() if term in index] for counts in counted]
        indptr = offsets_of(np.array([len(row) for row in rows], dtype=np.int64))
        flat = np.array([pair for row in rows for pair in row], dtype=np.int64).reshape(-1, 2)
        data = (1 + np.log(flat[:, 1])).astype(np.float32) * self._idf[flat[:, 0]]
        matrix = sparse.csr_matrix((data, flat[:, 0].astype(np.int32), indptr), shape=(len(rows), len(index)))
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        matrix.data /= np.repeat(np.maximum(norms, 1e-12), np.diff(matrix.indptr)).astype(np.float32)
        matrix.sort_indices()
        return matrix

    def _directions(self, matrix: sparse.csr_matrix) -> FloatArray:
        dimension = min(self.settings.dimension, *matrix.shape)
        if dimension == 0:
            return np.zeros((matrix.shape[1], 1), dtype=np.float32)
        from sklearn.utils.extmath import randomized_svd

        _, _, directions = randomized_svd(matrix, dimension, n_iter=4, random_state=self.settings.seed)
        return np.ascontiguousarray(directions.T, dtype=np.float32)

"""Nearest neighbours among vectors: exact while that is quick, a graph beyond."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import sparse

from palate.core import FloatArray, IntArray, NotFittedError, Settings
from palate.core.arrays import offsets_of
from palate.core.recommender import Arrays

_BLOCK_BYTES = 64 << 20


class IndexSettings(Settings):
    """Of the index.

    Parameters
    ----------
    exact_below
        Fewer vectors than this are all compared; beyond, a graph is searched (HNSW, Malkov & Yashunin 2018).
    connectivity, expansion_add, expansion_search
        Of the graph: links of a vector, and how widely is looked around while building and while searching.
    """

    exact_below: int = 50_000
    connectivity: int = 16
    expansion_add: int = 128
    expansion_search: int = 128


class VectorIndex:
    """Finds the vectors with the highest inner product; with unit vectors, the nearest by cosine."""

    def __init__(self, settings: IndexSettings | None = None) -> None:
        self.settings = settings or IndexSettings()
        self._vectors: FloatArray | None = None
        self._graph: Any = None

    def build(self, vectors: FloatArray) -> Self:
        """Take n vectors, float32 (n, d), of length 1 or 0."""
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._graph = None
        if len(vectors) >= self.settings.exact_below:
            self._graph = self._empty_graph(vectors.shape[1])
            # The graph depends on the order of insertion: one thread builds the same one every time.
            self._graph.add(np.arange(len(vectors), dtype=np.uint64), self._vectors, threads=1)
        return self

    def search(self, queries: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
        """The k best vectors for each of q queries, float32 (q, d).

        Returns
        -------
        int32 (q, k) rows, -1 where there are fewer than k; float32 (q, k) inner products, falling, -inf there.
        """
        vectors = self._built
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int32)
        likeness = np.full((len(queries), k), -np.inf, dtype=np.float32)
        found = min(k, len(vectors))
        if not found or not len(queries):
            return rows, likeness
        if self._graph is not None:
            matches = self._graph.search(queries, found, threads=1)
            keys = np.asarray(matches.keys).reshape(len(queries), -1)
            rows[:, : keys.shape[1]] = keys
            likeness[:, : keys.shape[1]] = 1 - np.asarray(matches.distances).reshape(len(queries), -1)
            return rows, likeness
        for start in range(0, len(queries), _block(len(vectors))):
            part = slice(start, start + _block(len(vectors)))
            rows[part, :found], likeness[part, :found] = _best(queries[part] @ vectors.T, found)
        return rows, likeness

    def arrays(self) -> Arrays:
        """The state; the graph as the bytes of usearch's own format."""
        state: dict[str, Any] = {"vectors": self._built}
        if self._graph is not None:
            state["graph"] = np.frombuffer(bytes(self._graph.save()), dtype=np.uint8)
        return state

    def restore(self, arrays: Arrays) -> Self:
        """Take a state saved by ``arrays``."""
        self._vectors = np.asarray(arrays["vectors"], dtype=np.float32)
        self._graph = None
        if "graph" in arrays:
            self._graph = self._empty_graph(self._vectors.shape[1])
            self._graph.load(np.asarray(arrays["graph"]).tobytes())
        return self

    @property
    def _built(self) -> FloatArray:
        if self._vectors is None:
            raise NotFittedError("the index was asked before it was built")
        return self._vectors

    def _empty_graph(self, dimension: int) -> Any:
        from usearch.index import Index

        settings = self.settings
        return Index(
            ndim=dimension,
            metric="ip",
            dtype="bf16",
            connectivity=settings.connectivity,
            expansion_add=settings.expansion_add,
            expansion_search=settings.expansion_search,
        )


def nearest(vectors: FloatArray, k: int, settings: IndexSettings | None = None) -> sparse.csr_matrix:
    """The k nearest neighbours of every vector among the others.

    Parameters
    ----------
    vectors
        float32 (n, d), of length 1 or 0.

    Returns
    -------
    Cosines of the neighbours, float32 CSR (n, n), columns sorted, the vector itself left out. Only cosines above 0 are
    kept, so a vector of zeros has no neighbours.
    """
    n = len(vectors)
    index = VectorIndex(settings).build(vectors)
    rows, likeness = index.search(vectors, min(k + 1, n))
    keep = (rows >= 0) & (rows != np.arange(n, dtype=np.int32)[:, None]) & (likeness > 0)
    keep &= np.cumsum(keep, axis=1) <= k
    matrix = sparse.csr_matrix((likeness[keep], rows[keep], offsets_of(keep.sum(axis=1))), shape=(n, n))
    matrix.sort_indices()
    return matrix


def principal(vectors: FloatArray, dimension: int) -> tuple[FloatArray, FloatArray]:
    """Vectors in the directions that keep most of their inner products (Eckart & Young 1936).

    One question compared with every item reads the whole matrix, so half the columns is half the time.

    Returns
    -------
    float32 (n, dimension) vectors, not scaled to length 1 again; float32 (d, dimension) basis that takes a query there.
    """
    dimension = min(dimension, vectors.shape[1])
    gram = vectors.T.astype(np.float64) @ vectors
    _, directions = np.linalg.eigh(gram)
    basis = directions[:, ::-1][:, :dimension]
    # eigh leaves the sign open; the largest entry of each direction is made positive.
    signs = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(dimension)])
    basis = np.ascontiguousarray(basis * signs, dtype=np.float32)
    return vectors @ basis, basis


def _block(n: int) -> int:
    """How many rows of n float32 scores go at once."""
    return max(1, _BLOCK_BYTES // (4 * n))


def _best(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    columns = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < scores.shape[1] else np.argsort(-scores, axis=1)
    columns.sort(axis=1)
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).astype(np.int32), np.take_along_axis(values, order, axis=1)

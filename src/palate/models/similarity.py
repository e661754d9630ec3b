"""Similarity between the rows or columns of a sparse matrix, and who is nearest to whom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import sparse

from palate.core import FloatArray
from palate.models.linear import binary

Measure = Literal["cosine", "euclidean", "pearson"]

_ENTRIES = 8_000_000
"""Products of pairs summed at once; their sums take at most about 100 MB."""


def neighbours_of(
    matrix: sparse.csr_matrix,
    *,
    measure: Measure,
    neighbours: int,
    shrinkage: float = 0.0,
    length_power: float = 0.0,
) -> sparse.csr_matrix:
    """For each column the columns most similar to it, among those that share a row with it.

    Parameters
    ----------
    matrix
        float32 (n_rows, n), zeros where nothing is known.
    measure
        Of whole columns: cosine of the angle, 1 / (1 + Euclidean distance), or Pearson correlation (zeros count as
        values, so that it is the cosine of the centred columns).
    neighbours
        How many at most per column; the column itself is none of them.
    shrinkage
        A similarity seen in n common rows is multiplied with n / (n + shrinkage).
    length_power
        Rows with weight sum s count s**-length_power in the similarity.

    Returns
    -------
    float32 (n, n), row i holds the neighbours of column i; entries that are not positive are left out.
    """
    scaled = row_scaled(matrix, length_power)
    columns = scaled.T.tocsr()
    pattern = binary(matrix)
    pattern_columns = pattern.T.tocsr()
    squares = np.asarray(columns.multiply(columns).sum(axis=1), dtype=np.float32).ravel()
    means = np.asarray(columns.mean(axis=1), dtype=np.float32).ravel() * (measure == "pearson")
    squares -= np.float32(matrix.shape[0]) * means**2
    work = pattern_columns @ np.asarray(pattern.sum(axis=1)).ravel()
    parts = []
    for rows in _even_blocks(work, _ENTRIES):
        products = (columns[rows] @ scaled).tocsr()
        products.sort_indices()
        here = np.repeat(np.arange(rows.start, rows.stop), np.diff(products.indptr))
        there = products.indices
        values = _similarity(
            products.data,
            lengths=(squares[here], squares[there]),
            means=matrix.shape[0] * means[here] * means[there],
            measure=measure,
        )
        if shrinkage:
            common = (pattern_columns[rows] @ pattern).tocsr()
            common.sort_indices()
            values *= common.data / (common.data + np.float32(shrinkage))
        values[(here == there) | (values < 0)] = 0.0
        products.data = values
        parts.append(strongest_stored(products, neighbours))
    return sparse.csr_matrix(sparse.vstack(parts, format="csr"), dtype=np.float32)


def strongest_stored(matrix: sparse.csr_matrix, neighbours: int) -> sparse.csr_matrix:
    """The largest stored entries of each row; of equal ones the lower column. Entries that are not positive go."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    rank = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    keep = order[(rank < neighbours) & (matrix.data[order] > 0)]
    kept = (matrix.data[keep], (rows[keep], matrix.indices[keep]))
    return sparse.csr_matrix(kept, shape=matrix.shape, dtype=np.float32)


def _even_blocks(work: FloatArray, limit: int) -> Iterator[slice]:
    """Consecutive slices of rows, each of about ``limit`` work at most (or one row)."""
    group = np.cumsum(work, dtype=np.float64) // limit
    starts = np.concatenate([[0], np.nonzero(np.diff(group))[0] + 1, [len(work)]])
    for start, stop in pairwise(starts.tolist()):
        yield slice(start, stop)


def row_scaled(matrix: sparse.csr_matrix, length_power: float) -> sparse.csr_matrix:
    """Rows multiplied so that in products of columns a row with weight sum s counts s**-length_power."""
    if length_power == 0.0:
        return matrix
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    scale = np.where(sums > 0, np.maximum(sums, np.finfo(np.float32).tiny) ** (-length_power / 2), 0.0)
    return sparse.csr_matrix(sparse.diags(scale.astype(np.float32)) @ matrix, dtype=np.float32)


def _similarity(
    products: FloatArray, *, lengths: tuple[FloatArray, FloatArray], means: FloatArray, measure: Measure
) -> FloatArray:
    """Similarity of pairs of columns from inner products, squared lengths, and what centring takes from products."""
    left, right = lengths
    if measure == "euclidean":
        distance = np.sqrt(np.maximum(left + right - 2.0 * products, 0.0))
        return np.asarray(1.0 / (1.0 + distance), dtype=np.float32)
    scale = np.sqrt(np.maximum(left * right, np.finfo(np.float32).tiny))
    return np.asarray((products - means) / scale, dtype=np.float32)

"""EASE: a linear item-to-item model in closed form (Steck, "Embarrassingly Shallow Autoencoders", 2019).

``B = I - P / diag(P)`` with ``P = (X'X + lambda I)^-1``. The inverse is taken in place in single precision, so the
fit needs one dense square matrix and little else.
"""

from __future__ import annotations

import warnings
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import DataError, FloatArray, IntArray, Settings
from palate.core.space import Space, Span
from palate.data import Dataset
from palate.models.linear import LinearModel, row_blocks, scattered, strongest
from palate.models.similarity import row_scaled

_CELLS = 8_000_000
"""Cells of the dense matrix handled at once outside LAPACK: 32 MB."""


class EASESettings(Settings):
    """Hyper-parameters of EASE.

    Parameters
    ----------
    regularization
        lambda, in units of (squared) event weight.
    decay
        What an event of the history asked about is worth relative to the next one.
    length_power
        A training user with weight sum s counts s**-length_power: 0 = all users by their events, 1 = all alike.
    neighbours
        Strongest weights kept per item; the rest carry next to nothing and are dropped after the fit.
    maximum_items
        Items that enter the inverse, the most popular first: 20,000 need 1.6 GB and a minute on two cores.
    """

    regularization: float = Field(default=100.0, gt=0)
    decay: float = Field(default=0.6, gt=0, le=1)
    length_power: float = Field(default=0.0, ge=0, le=2)
    neighbours: int = Field(default=250, ge=1)
    maximum_items: int = Field(default=20_000, ge=1)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "regularization": Span(3.0, 3000.0, log=True),
                "decay": Span(0.3, 1.0),
                "length_power": Span(0.0, 1.0),
                "neighbours": Span(50, 1000, log=True),
            },
            first=(
                {"regularization": 100.0, "decay": 0.8},
                {"regularization": 30.0, "decay": 0.6},
                {"regularization": 300.0, "decay": 0.8},
                {"regularization": 300.0, "decay": 1.0},
                {"regularization": 1000.0, "decay": 1.0},
            ),
        )


class EASE(LinearModel):
    """Item weights that reconstruct each user's events from the user's other events best."""

    name: ClassVar[str] = "ease"
    settings: EASESettings

    def __init__(self, settings: EASESettings | None = None) -> None:
        super().__init__(settings or EASESettings())

    def fit(self, dataset: Dataset) -> Self:
        """Solve for the item weights.

        Raises
        ------
        DataError
            The data has too few different users for these settings: the matrix cannot be inverted.

        Warns
        -----
        UserWarning
            More items than ``maximum_items`` have events; the rarest are left out.
        """
        matrix = dataset.matrix()
        used = self._chosen(dataset)
        weights = _solve(row_scaled(matrix[:, used], self.settings.length_power), self.settings)
        return self._take(scattered(weights, used, dataset.n_items))

    def _chosen(self, dataset: Dataset) -> IntArray:
        """Items that enter the inverse: those with events, and no more of them than the settings allow."""
        popularity, limit = dataset.popularity, self.settings.maximum_items
        used = np.nonzero(popularity)[0].astype(np.int32)
        if len(used) > limit:
            kept = np.sort(used[np.argsort(-popularity[used], kind="stable")[:limit]])
            share = popularity[kept].sum() / popularity.sum()
            warnings.warn(
                f"EASE inverts an items x items matrix: of {len(used):,} items with events it keeps the {limit:,} most "
                f"popular ({share:.0%} of events). Raise maximum_items if memory allows (4 bytes x items squared).",
                stacklevel=3,
            )
            return kept
        return used


def _solve(matrix: sparse.csr_matrix, settings: EASESettings) -> sparse.csr_matrix:
    """EASE weights over the matrix's columns, the strongest per row."""
    from scipy.linalg import lapack

    n = matrix.shape[1]
    gram = _gram(matrix)
    gram[np.diag_indices(n)] += np.float32(settings.regularization)
    # The matrix is symmetric, so LAPACK may read its transpose, which lies in the order LAPACK works in: no copy.
    factor, info = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    if info != 0:
        raise DataError(
            f"EASE cannot invert the item matrix (leading minor {info} of {n}): single precision is not enough for "
            f"regularization {settings.regularization:g} on this data. Raise regularization."
        )
    inverse, info = lapack.spotri(factor, lower=1, overwrite_c=1)
    if info != 0:
        raise DataError(f"EASE cannot invert the item matrix (element {info} is zero). Raise regularization.")
    return _weights(inverse, settings.neighbours)


def _gram(matrix: sparse.csr_matrix) -> FloatArray:
    """X'X as a dense matrix, made block by block."""
    n = matrix.shape[1]
    transposed = matrix.T.tocsr()
    gram = np.empty((n, n), dtype=np.float32)
    for rows in row_blocks(n, _CELLS, n):
        gram[rows] = (transposed[rows] @ matrix).toarray()
    return gram


def _weights(inverse: FloatArray, neighbours: int) -> sparse.csr_matrix:
    """``I - P / diag(P)`` from the lower triangle of P, with only the strongest entries of each row."""
    n = len(inverse)
    diagonal = inverse.diagonal().copy()
    parts = []
    for rows in row_blocks(n, _CELLS, n):
        # Column-major: the columns of this block are contiguous, and hold the rows' right half by symmetry.
        block = np.empty((rows.stop - rows.start, n), dtype=np.float32)
        block[:, rows.start :] = inverse[rows.start :, rows].T
        block[:, : rows.start] = inverse[rows, : rows.start]
        corner = np.tril(inverse[rows, rows])
        block[:, rows] = corner + np.tril(corner, -1).T
        block /= -diagonal
        block[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = 0.0
        parts.append(strongest(block, neighbours))
    return sparse.csr_matrix(sparse.vstack(parts, format="csr"), dtype=np.float32)

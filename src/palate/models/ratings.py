"""Rating prediction from neighbours.

``r(u, k) = b(u, k) + sum sim(k, i) (r(u, i) - b(u, i)) / sum |sim|`` over the nearest other items i the user rated
(or, from users, the nearest other users who rated k). Baseline ``b = mean + user + item`` with damped deviations
(Koren, "Factor in the Neighbors", 2010, eq. 1). The answer never enters its own prediction: ratings of the asked pairs
are set aside before anything is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import DataError, FloatArray, IntArray, Settings, UsageError
from palate.data import Dataset
from palate.models.linear import binary
from palate.models.similarity import Measure

_CELLS = 4_000_000


class RatingSettings(Settings):
    """How ratings are predicted.

    Parameters
    ----------
    similarity
        Over common ratings, as deviations from the baseline: ``cosine``, ``euclidean`` (1 / (1 + root mean square
        distance)) or ``pearson``.
    neighbours
        Most similar rated items (or raters) that take part in a prediction.
    shrinkage
        Similarity from n common ratings counts n / (n + shrinkage).
    damping
        Ratings a user or item needs for half of its own deviation to be believed.
    """

    similarity: Measure = "pearson"
    neighbours: int = Field(default=40, ge=1)
    shrinkage: float = Field(default=50.0, ge=0)
    damping: float = Field(default=10.0, ge=0)


@dataclass(frozen=True)
class Ratings:
    """Who rated what how.

    Parameters
    ----------
    matrix
        float32 (n_users, n_items), stored entries are ratings (a rating of 0 is stored too); one a pair.
    """

    matrix: sparse.csr_matrix

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Latest rating of each user and item, from the ``value`` of events.

        Raises
        ------
        DataError
            No event has a value.
        """
        if "value" not in dataset.events.columns:
            raise DataError(
                "the data has no ratings (column value or rating): only ranking is possible, not prediction"
            )
        values = dataset.events["value"].cast(float).fill_null(float("nan")).to_numpy().astype(np.float32)
        users, items = dataset.events["user"].to_numpy(), dataset.events["item"].to_numpy()
        rated = ~np.isnan(values) & (items >= 0)
        if not rated.any():
            raise DataError("no event has a rating (column value or rating): only ranking is possible, not prediction")
        return cls.from_arrays(users[rated], items[rated], values[rated], (dataset.n_users, dataset.n_items))

    @classmethod
    def from_arrays(cls, users: IntArray, items: IntArray, values: FloatArray, shape: tuple[int, int]) -> Self:
        """From one array entry a rating (m,); the last rating of a pair counts."""
        pairs = users.astype(np.int64) * shape[1] + items
        _, newest = np.unique(pairs[::-1], return_index=True)
        pick = len(pairs) - 1 - newest
        matrix = sparse.csr_matrix((values[pick].astype(np.float32), (users[pick], items[pick])), shape=shape)
        return cls(matrix)

    def without(self, users: IntArray, items: IntArray) -> Ratings:
        """The same without the ratings of these pairs."""
        entries = self.matrix.tocoo()
        width = self.matrix.shape[1]
        keep = ~np.isin(entries.row.astype(np.int64) * width + entries.col, users.astype(np.int64) * width + items)
        kept = (entries.data[keep], (entries.row[keep], entries.col[keep]))
        return Ratings(sparse.csr_matrix(kept, shape=self.matrix.shape))


@dataclass(frozen=True)
class Baseline:
    """``b(u, i) = mean + users[u] + items[i]``."""

    mean: float
    users: FloatArray
    items: FloatArray

    @classmethod
    def of(cls, ratings: Ratings, damping: float) -> Self:
        """Damped deviations, items first, then users from what items leave."""
        entries = ratings.matrix.tocoo()
        if not entries.nnz:
            raise DataError("there are no ratings left to predict from once the asked pairs are set aside")
        mean = float(entries.data.mean(dtype=np.float64))
        items = _deviations(entries.data - mean, entries.col, ratings.matrix.shape[1], damping)
        users = _deviations(entries.data - mean - items[entries.col], entries.row, ratings.matrix.shape[0], damping)
        return cls(mean, users, items)

    def at(self, users: IntArray, items: IntArray) -> FloatArray:
        """Baseline of pairs; float32 (m,)."""
        return (self.mean + self.users[users] + self.items[items]).astype(np.float32)


def predict_from_items(ratings: Ratings, users: IntArray, items: IntArray, settings: RatingSettings) -> FloatArray:
    """Ratings of pairs (users[j], items[j]) from the same users' ratings of similar items; float32 (m,)."""
    _check(ratings, users, items)
    known = ratings.without(users, items)
    baseline = Baseline.of(known, settings.damping)
    residuals = _residuals(known, baseline)
    return baseline.at(users, items) + _neighbourhood(residuals, items, users, settings)


def predict_from_users(ratings: Ratings, users: IntArray, items: IntArray, settings: RatingSettings) -> FloatArray:
    """Ratings of pairs (users[j], items[j]) from similar users' ratings of the same items; float32 (m,)."""
    _check(ratings, users, items)
    known = ratings.without(users, items)
    baseline = Baseline.of(known, settings.damping)
    residuals = _residuals(known, baseline).T.tocsr()
    return baseline.at(users, items) + _neighbourhood(residuals, users, items, settings)


def _check(ratings: Ratings, users: IntArray, items: IntArray) -> None:
    n_users, n_items = ratings.matrix.shape
    if len(users) != len(items):
        raise UsageError(f"{len(users)} users and {len(items)} items: ratings are asked for pairs, one item a user")
    if len(users) and (users.min() < 0 or users.max() >= n_users or items.min() < 0 or items.max() >= n_items):
        raise UsageError(f"a pair lies outside the {n_users:,} users and {n_items:,} items of the ratings")


def _deviations(values: FloatArray, groups: IntArray, n: int, damping: float) -> FloatArray:
    sums = np.bincount(groups, weights=values, minlength=n)
    counts = np.bincount(groups, minlength=n)
    return np.asarray(sums / np.maximum(counts + damping, 1e-30), dtype=np.float32)


def _residuals(ratings: Ratings, baseline: Baseline) -> sparse.csr_matrix:
    entries = ratings.matrix.tocoo()
    values = (entries.data - baseline.at(entries.row, entries.col)).astype(np.float32)
    return sparse.csr_matrix((values, (entries.row, entries.col)), shape=ratings.matrix.shape)


def _neighbourhood(
    residuals: sparse.csr_matrix, columns: IntArray, rows: IntArray, settings: RatingSettings
) -> FloatArray:
    """Weighted mean of a row's residuals over the columns most similar to the asked one; float32 (m,)."""
    answer = np.zeros(len(columns), dtype=np.float32)
    asked, inverse = np.unique(columns, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(asked) + 1))
    products = _Products.of(residuals)
    mask = binary(residuals)
    # A block of asked columns at a time: similarities of all of them, then the pairs that ask about them.
    step = max(1, _CELLS // max(residuals.shape[1], 1))
    for start in range(0, len(asked), step):
        stop = min(start + step, len(asked))
        similar = products.similarity(asked[start:stop], settings)
        pairs = order[starts[start] : starts[stop]]
        for part in np.array_split(pairs, max(1, len(pairs) * residuals.shape[1] // _CELLS)):
            answer[part] = _weighted(similar[inverse[part] - start], rows[part], residuals, mask, settings.neighbours)
    return answer


def _weighted(
    similar: FloatArray, rows: IntArray, residuals: sparse.csr_matrix, mask: sparse.csr_matrix, neighbours: int
) -> FloatArray:
    weights = similar * mask[rows].toarray()
    width = weights.shape[1]
    if neighbours < width:
        size = np.abs(weights)
        border = -np.partition(-size, neighbours - 1, axis=1)[:, neighbours - 1, None]
        weights[size < border] = 0.0
    sums = np.asarray(residuals[rows].multiply(weights).sum(axis=1)).ravel()
    return np.asarray(sums / np.maximum(np.abs(weights).sum(axis=1), 1e-9), dtype=np.float32)


@dataclass(frozen=True)
class _Products:
    """Sparse matrices whose products give sums over common rows of two columns."""

    values: sparse.csr_matrix
    mask: sparse.csr_matrix
    squares: sparse.csr_matrix
    values_columns: sparse.csr_matrix
    mask_columns: sparse.csr_matrix
    squares_columns: sparse.csr_matrix

    @classmethod
    def of(cls, values: sparse.csr_matrix) -> Self:
        mask = binary(values)
        squares = values.multiply(values).tocsr()
        return cls(values, mask, squares, values.T.tocsr(), mask.T.tocsr(), squares.T.tocsr())

    def similarity(self, asked: IntArray, settings: RatingSettings) -> FloatArray:
        """Shrunk similarity of the asked columns to all; float32 (len(asked), n), 0 with themselves."""
        common = (self.mask_columns[asked] @ self.mask).toarray()
        product = (self.values_columns[asked] @ self.values).toarray()
        left = (self.squares_columns[asked] @ self.mask).toarray()
        right = (self.mask_columns[asked] @ self.squares).toarray()
        count = np.maximum(common, 1.0)
        if settings.similarity == "euclidean":
            similar = 1.0 / (1.0 + np.sqrt(np.maximum(left + right - 2.0 * product, 0.0) / count))
        else:
            if settings.similarity == "pearson":
                here = (self.values_columns[asked] @ self.mask).toarray()
                there = (self.mask_columns[asked] @ self.values).toarray()
                product -= here * there / count
                left -= here * here / count
                right -= there * there / count
            size = np.sqrt(np.maximum(left, 0.0) * np.maximum(right, 0.0))
            similar = np.where(size > 1e-6, product / np.maximum(size, 1e-6), 0.0)
        similar *= common / np.maximum(common + settings.shrinkage, 1e-9)
        similar[np.arange(len(asked)), asked] = 0.0
        return np.asarray(similar, dtype=np.float32)

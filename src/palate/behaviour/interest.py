"""What a user is interested in, as one vector: the recency-weighted mean of what the user turned to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from palate.behaviour.branch import Branch, branch
from palate.behaviour.decay import DAY, RecencySettings, recency_weights
from palate.behaviour.features import item_features
from palate.core import DataError, FloatArray, Histories, IntArray
from palate.data import Dataset


@dataclass(frozen=True, slots=True)
class Interest:
    """One user's interest in the making; ``InterestModel.update`` gives the next one.

    Parameters
    ----------
    total
        float32 (d,), weighted sum of item vectors.
    weight
        Sum of the weights.
    time
        Latest known time, seconds since 1970 UTC; NaN where there is none.
    """

    total: FloatArray
    weight: float
    time: float


@dataclass(frozen=True)
class InterestModel:
    """Interest vectors over item vectors.

    Parameters
    ----------
    vectors
        float32 (n_items, d), from a language model or from ``item_features``.
    branch
        Which of the two, and why.
    settings
        How fast the past fades.
    """

    vectors: FloatArray
    branch: Branch
    settings: RecencySettings

    @classmethod
    def of(
        cls, dataset: Dataset, text_vectors: FloatArray | None = None, settings: RecencySettings | None = None
    ) -> InterestModel:
        """Choose the branch by the data.

        Parameters
        ----------
        text_vectors
            float32 (n_items, d), vectors of the items' texts; needed where the catalogue has text.

        Raises
        ------
        DataError
            The catalogue has text but no vectors of it were given, or their number is another.
        """
        chosen = branch(dataset.catalogue)
        if chosen.name == "features":
            return cls(item_features(dataset.catalogue, dataset), chosen, settings or RecencySettings())
        if text_vectors is None or len(text_vectors) != dataset.n_items:
            given = "none" if text_vectors is None else f"{len(text_vectors):,}"
            raise DataError(
                f"the catalogue has text for {dataset.n_items:,} items and {given} were given as vectors. "
                "Encode the catalogue and pass one vector per item."
            )
        return cls(text_vectors, chosen, settings or RecencySettings())

    def interests(self, histories: Histories) -> FloatArray:
        """Weighted mean vectors of n histories; float32 (n, d), zeros for empty ones."""
        weights = recency_weights(histories, self.settings)
        shape = (len(histories), len(self.vectors))
        total = sparse.csr_matrix((weights, histories.items, histories.indptr), shape=shape) @ self.vectors
        weight = np.bincount(histories.rows, weights=weights, minlength=len(histories))[:, None]
        return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)

    def begin(self) -> Interest:
        """The interest of somebody who has done nothing yet."""
        return Interest(np.zeros(self.vectors.shape[1], dtype=np.float32), 0.0, float("nan"))

    def update(self, interest: Interest, item: int, time: float = float("nan"), weight: float = 1.0) -> Interest:
        """The interest after one more event; in microseconds, and the same as rebuilding from the whole history.

        Parameters
        ----------
        time
            Seconds since 1970 UTC; NaN where unknown.
        weight
            What the event is worth as evidence, > 0.
        """
        elapsed = time - interest.time
        days = elapsed / DAY if elapsed > 0 else 0.0
        fade = 2.0 ** -(days / self.settings.half_life_days + 1.0 / self.settings.half_life_events)
        newest = interest.time if interest.time >= time or math.isnan(time) else time
        total = interest.total * np.float32(fade) + self.vectors[item] * np.float32(weight)
        return Interest(total, interest.weight * fade + weight, newest)

    def vector(self, interest: Interest) -> FloatArray:
        """The weighted mean vector of an interest; float32 (d,)."""
        return interest.total / np.float32(interest.weight) if interest.weight > 0 else interest.total

    def similarity(self, interests: FloatArray, items: IntArray) -> FloatArray:
        """Cosine between interests (n, d) and items (n, c), -1 pads; float32 (n, c), 0 where either is empty."""
        chosen = self.vectors[items]
        product = np.matmul(chosen, interests[:, :, None])[:, :, 0]
        norms = np.linalg.norm(chosen, axis=2) * np.linalg.norm(interests, axis=1)[:, None]
        cosine = np.divide(product, norms, out=np.zeros_like(product), where=norms > 1e-12)
        return np.where(items >= 0, cosine, np.float32(0.0))

"""What semantic ids are made from: what is said of an item, and whom it stands beside in histories.

Ids from texts alone tell apart what nobody chooses between, and not what people do; codes that know of behaviour are
easier to foresee (LETTER, Wang et al., 2024). What stands beside what is a factorisation of damped pair counts. For
items without events it is foreseen from their texts, so that they get codes by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from palate.core import FloatArray, Histories
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.language import unit_rows
from palate.models.transitions import TransitionsSettings, pair_counts

_COUNTED = TransitionsSettings(window=20, distance_power=0.5)
_DAMPING = 0.15
_RIDGE = 1.0


@dataclass(frozen=True)
class CodeSpace:
    """How the texts of items become the vectors that are quantised.

    Parameters
    ----------
    foresight
        float32 (t, b), from a text to where in behaviour the item would stand.
    share
        Length of the part of behaviour.
    """

    foresight: FloatArray
    share: float

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        texts: FloatArray | None,
        *,
        sequences: Histories,
        dimensions: int,
        share: float,
        seed: int,
    ) -> tuple[Self, FloatArray]:
        """The space, and the vectors of all items, float32 (n_items, t + b).

        Parameters
        ----------
        texts
            float32 (n_items, t), what is said of each; None: behaviour alone.
        sequences
            What behaviour is read from.
        dimensions
            b, directions of behaviour.
        """
        said = np.zeros((dataset.n_items, 0), np.float32) if texts is None else texts
        if not share and said.shape[1]:
            return cls(np.zeros((said.shape[1], 0), np.float32), 0.0), said
        beside = _beside(sequences, dataset.n_items, dimensions, seed)
        known = beside.any(axis=1)
        inner = (said[known].T @ said[known]).astype(np.float64) + _RIDGE * np.eye(said.shape[1])
        foresight = np.linalg.solve(inner, said[known].T @ beside[known]).astype(np.float32)
        space = cls(foresight, share or 1.0)
        vectors = space.of(said)
        vectors[known, said.shape[1] :] = space.share * beside[known]
        return space, vectors

    def of(self, texts: FloatArray) -> FloatArray:
        """Vectors of items known by their texts alone; float32 (n, t + b)."""
        return np.concatenate([texts, np.float32(self.share) * unit_rows(texts @ self.foresight)], axis=1)

    def arrays(self) -> Arrays:
        return {"code_foresight": self.foresight, "code_share": np.array([self.share], np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        return cls(np.asarray(arrays["code_foresight"], np.float32), float(arrays["code_share"][0]))


def _beside(sequences: Histories, n_items: int, dimensions: int, seed: int) -> FloatArray:
    """Leading directions of who is beside whom; float32 (n_items, at most dimensions), rows of length 1 or 0."""
    from sklearn.utils.extmath import randomized_svd

    counts = pair_counts(sequences, n_items, _COUNTED)
    popularity = np.bincount(sequences.items, minlength=n_items)
    damp = sparse.diags(np.maximum(popularity, 1).astype(np.float64) ** -0.5)
    both = sparse.csr_matrix(damp @ (counts + counts.T) @ damp, dtype=np.float64)
    both.data = np.log1p(both.data / _DAMPING)
    vectors, sizes, _ = randomized_svd(both, min(dimensions, max(n_items - 1, 1)), n_iter=4, random_state=seed)
    return unit_rows((vectors * np.sqrt(sizes)).astype(np.float32))

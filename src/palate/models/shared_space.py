"""Directions of texts that mean the same in every shop.

``TextSpace`` turns a catalogue's vectors into directions of its own, and the first direction of one shop is not that of
another. Here a shop's vectors are centred and whitened by the symmetric root of its own covariance (ZCA, Bell &
Sejnowski, 1997): of all whitenings it moves every direction least, so that what a direction means stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from palate.core import Float64Array, FloatArray
from palate.core.recommender import Arrays
from palate.language.text_space import TextSpace

TYPICAL_TEXTS = 2_000
"""The usual spread of texts counts as much as this many texts of the shop. On validation of Beauty and of phones, 0 to
10,000 give the same N@10 within .001; a shop of a hundred items needs it."""

TYPICAL_CENTRE = 20
"""The usual mean counts as much as this many: a mean is known from few texts, and half of another's would make all
items of a shop alike."""


@dataclass(frozen=True)
class SharedSpace:
    """What several catalogues' texts have in common.

    Parameters
    ----------
    basis
        float32 (d, dimensions), orthonormal: the directions in which texts of one shop differ most.
    mean
        float32 (d,), of all texts.
    spread
        float32 (dimensions, dimensions), covariance within a shop along the basis.
    """

    basis: FloatArray
    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, shops: Sequence[FloatArray], dimensions: int) -> Self:
        """From the vectors of several catalogues, float32 (n, d) each; every shop counts alike."""
        said = [raw[raw.any(axis=1)] for raw in shops]
        known = [_moments(raw) for raw in said if len(raw)]
        if not known:
            width = shops[0].shape[1]
            return cls(np.eye(width, dtype=np.float32), np.zeros(width, np.float32), np.eye(width, dtype=np.float32))
        mean = np.mean([mean for mean, _ in known], axis=0)
        spread = np.mean([spread for _, spread in known], axis=0)
        _, directions = np.linalg.eigh(spread)
        basis = directions[:, ::-1][:, :dimensions]
        return cls(basis.astype(np.float32), mean.astype(np.float32), (basis.T @ spread @ basis).astype(np.float32))

    @property
    def dimensions(self) -> int:
        return int(self.basis.shape[1])

    def within(self, raw: FloatArray) -> TextSpace:
        """The way from one catalogue's vectors, float32 (n, d), to the shared directions; few texts are not trusted."""
        said = raw[raw.any(axis=1)]
        own, centred = (len(said) / (len(said) + usual) for usual in (TYPICAL_TEXTS, TYPICAL_CENTRE))
        mean, spread = self.mean.astype(np.float64), self.spread.astype(np.float64)
        if len(said):
            here, about = _moments(said)
            mean = centred * here + (1 - centred) * mean
            spread = own * (self.basis.T @ about @ self.basis) + (1 - own) * spread
        return TextSpace(mean.astype(np.float32), (self.basis @ _whitening(spread)).astype(np.float32))

    def arrays(self) -> Arrays:
        return {"basis": self.basis, "mean": self.mean, "spread": self.spread}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        return cls(*(np.asarray(arrays[name], np.float32) for name in ("basis", "mean", "spread")))


def _moments(raw: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Mean (d,) and covariance (d, d)."""
    mean = raw.mean(axis=0, dtype=np.float64)
    centred = (raw - mean).astype(np.float32)
    return mean, (centred.T @ centred).astype(np.float64) / len(raw)


def _whitening(spread: Float64Array) -> Float64Array:
    """The symmetric inverse root; directions in which nothing differs are left out."""
    values, directions = np.linalg.eigh(spread)
    least = max(float(values[-1]) * 1e-6, 1e-12)
    scale = np.where(values > least, np.maximum(values, least) ** -0.5, 0.0)
    return np.asarray((directions * scale) @ directions.T, dtype=np.float64)

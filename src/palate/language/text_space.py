"""The directions in which the texts of one catalogue differ.

Sentence vectors of one catalogue lean all the same way. Taking their mean away and flattening their spectrum
("all-but-the-top", Mu & Viswanath, 2018; whitening, Su et al., 2021) makes likeness tell more, and keeping only the
leading directions makes it fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from palate.core import FloatArray
from palate.core.recommender import Arrays
from palate.language.encoder import unit_rows

_TEXTS_PER_DIRECTION = 30


@dataclass(frozen=True)
class TextSpace:
    """A map from an encoder's vectors to a catalogue's leading directions.

    Parameters
    ----------
    mean
        float32 (d,), of the catalogue's vectors.
    projection
        float32 (d, dimensions).
    """

    mean: FloatArray
    projection: FloatArray

    @classmethod
    def of(cls, raw: FloatArray, dimensions: int, whitening: float = 0.0, remove: int = 0) -> Self:
        """From the spectrum of the covariance of a catalogue's vectors; rows of zeros (no text) do not count.

        Parameters
        ----------
        raw
            float32 (n, d).
        dimensions
            Leading directions kept.
        whitening
            0 = directions as they are, 1 = all of the same spread; proportionally less where there are fewer than 30
            texts a direction.
        remove
            Leading directions dropped.
        """
        said = raw[raw.any(axis=1)]
        if len(said) < 2:
            return cls.plain(raw.shape[1])
        mean = said.mean(axis=0)
        centred = said - mean
        spread, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(said))
        spread, directions = spread[::-1], directions[:, ::-1]
        useful = np.nonzero(spread > max(spread[0] * 1e-6, 1e-12))[0]
        chosen = useful[min(remove, max(len(useful) - 1, 0)) :][:dimensions]
        # With few texts a direction the trailing spread is chance, and evening it out would make all texts strangers.
        enough = min(1.0, len(said) / (_TEXTS_PER_DIRECTION * len(chosen)))
        scale = spread[chosen] ** (-whitening * enough / 2)
        # The sign of a direction is arbitrary; fixed, it is the same in every fit.
        signs = np.sign(directions[np.abs(directions[:, chosen]).argmax(axis=0), chosen])
        return cls(mean.astype(np.float32), (directions[:, chosen] * (scale * signs)).astype(np.float32))

    @classmethod
    def plain(cls, dimensions: int) -> Self:
        """Directions as they are."""
        return cls(np.zeros(dimensions, dtype=np.float32), np.eye(dimensions, dtype=np.float32))

    @property
    def dimensions(self) -> int:
        return int(self.projection.shape[1])

    def project(self, raw: FloatArray) -> FloatArray:
        """Encoder vectors (n, d) in these directions, rows of length 1; zeros stay zeros; float32 (n, dimensions)."""
        known = np.any(raw, axis=1, keepdims=True)
        return unit_rows(np.where(known, (raw - self.mean) @ self.projection, np.float32(0)))

    def recover(self, vectors: FloatArray) -> FloatArray:
        """The encoder's vectors whose projections point this way, as far as the kept directions tell.

        What the encoder says has length 1: that settles how far from the mean a direction reaches.

        Parameters
        ----------
        vectors
            float32 (n, dimensions), of any length.

        Returns
        -------
        float32 (n, d), rows of length 1; zeros stay zeros.
        """
        spread = np.square(self.projection).sum(axis=0)
        ways = vectors @ (self.projection / np.maximum(spread, 1e-12)).T
        squared, along = np.square(ways).sum(axis=1), ways @ self.mean
        short = 1 - float(np.square(self.mean).sum())
        reach = np.sqrt(np.maximum(along * along + squared * short, 0)) - along
        full = self.mean + (reach / np.maximum(squared, 1e-12))[:, None] * ways
        return unit_rows(np.where(np.any(vectors, axis=1, keepdims=True), full, 0).astype(np.float32))

    def arrays(self) -> Arrays:
        return {"text_mean": self.mean, "text_projection": self.projection}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        return cls(np.asarray(arrays["text_mean"], np.float32), np.asarray(arrays["text_projection"], np.float32))

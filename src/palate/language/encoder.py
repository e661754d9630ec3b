"""What an encoder is: texts in, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from palate.core import FloatArray


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors whose inner product is their likeness.

    Attributes
    ----------
    name
        Identity, weights included: two encoders of one name give the same vectors for the same text, so the name is a
        key of the cache.
    dimension
        Length of a vector.
    languages
        Codes of the languages it understands, e.g. ``("en",)``; ``("*",)`` for any.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def languages(self) -> tuple[str, ...]: ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of n texts.

        Returns
        -------
        float32 (n, dimension), rows of length 1; a row of zeros for a text that says nothing (empty, blank, without a
        single known term). The vector of a text does not depend on the texts beside it, up to rounding.
        """
        ...


def is_shaped(encoder: TextEncoder) -> bool:
    """Whether an encoder was taught on a catalogue, so that the spread of its directions means something.

    The vectors of others are better whitened; of these, whitening would undo a part of what was learnt.
    """
    return bool(getattr(encoder, "shaped", False))


def unit_rows(vectors: FloatArray) -> FloatArray:
    """The same directions with length 1; rows of zeros (or of numbers too small to divide by) become zeros."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    scaled: FloatArray = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-12)
    return scaled

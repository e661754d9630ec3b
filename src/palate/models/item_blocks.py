"""Item vectors from elsewhere beside those of texts: each block in directions of its own, joined without one drowning
another.

Blocks differ in length and spread, so each is centred, whitened and scaled to length 1 by itself before they stand
side by side; a cosine of what is joined is then the weighted mean of the blocks' cosines. An item without a vector in a
block is judged by the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from palate.core import FloatArray, Ids, IntArray
from palate.core.recommender import Arrays
from palate.data import Catalogue
from palate.language.text_space import TextSpace

_PREFIX = "block."


@dataclass(frozen=True)
class ItemBlocks:
    """Directions of every block of a catalogue, in the order of their names."""

    spaces: Mapping[str, TextSpace] = field(default_factory=dict)

    @classmethod
    def of(cls, catalogue: Catalogue, dimensions: int, whitening: float = 1.0) -> Self:
        """From the blocks of a catalogue; none where it has none."""
        return cls(
            {
                name: TextSpace.of(vectors, dimensions, whitening)
                for name, vectors in sorted(catalogue.blocks.items())
                if vectors.any()
            }
        )

    @property
    def dimensions(self) -> int:
        return sum(space.dimensions for space in self.spaces.values())

    def project(self, catalogue: Catalogue) -> FloatArray:
        """float32 (n, dimensions): the blocks side by side, each row of a block of length 1, or 0 where missing."""
        parts = [np.zeros((len(catalogue), 0), dtype=np.float32)]
        for name, space in self.spaces.items():
            vectors = catalogue.blocks.get(name)
            if vectors is None or vectors.shape[1] != len(space.mean):
                vectors = np.zeros((len(catalogue), len(space.mean)), dtype=np.float32)
            parts.append(space.project(vectors))
        return np.concatenate(parts, axis=1)

    def arrays(self) -> Arrays:
        return {
            f"{_PREFIX}{name}.{part}": value
            for name, space in self.spaces.items()
            for part, value in space.arrays().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave, among other arrays."""
        found: dict[str, dict[str, FloatArray]] = {}
        for key, value in arrays.items():
            if key.startswith(_PREFIX):
                name, _, part = key.removeprefix(_PREFIX).rpartition(".")
                found.setdefault(name, {})[part] = value
        return cls({name: TextSpace.from_arrays(found[name]) for name in sorted(found)})


def part_of(catalogue: Catalogue, items: IntArray) -> Catalogue:
    """A catalogue of these items alone, in this order."""
    rows = items.tolist()
    return Catalogue(Ids([catalogue.ids[row] for row in rows]), catalogue.frame[rows])

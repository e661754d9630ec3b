"""What the asker comes back to: their own items, the newest and most frequent first."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Settings
from palate.core.space import Space, Span
from palate.data import Dataset
from palate.models.linear import LinearModel


class RepeatsSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    decay
        What an event of the history is worth relative to the next one.
    """

    decay: float = Field(default=0.9, gt=0, le=1)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space({"decay": Span(0.3, 1.0)}, first=tuple({"decay": decay} for decay in (0.5, 0.7, 0.8, 0.97, 1.0)))


class Repeats(LinearModel):
    """Each item of the history speaks for itself; silent where seen items are masked."""

    name: ClassVar[str] = "repeats"
    settings: RepeatsSettings

    def __init__(self, settings: RepeatsSettings | None = None) -> None:
        super().__init__(settings or RepeatsSettings())

    def fit(self, dataset: Dataset) -> Self:
        """Nothing is learnt but the number of items."""
        identity = sparse.identity(dataset.n_items, dtype=np.float32, format="csr")
        return self._take(sparse.csr_matrix(identity))

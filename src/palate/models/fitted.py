"""What every model asks of itself: that it was fitted, and which items came since."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self, TypeVar

import numpy as np

from palate.core import IntArray, NotFittedError, UsageError
from palate.data import Catalogue

State = TypeVar("State")


def need(state: State | None, name: str) -> State:
    """The fitted state of the model of this name, or an error in words.

    Raises
    ------
    NotFittedError
        There is none.
    """
    if state is None:
        raise NotFittedError(f"{name} was asked before it was fitted; call fit(dataset) or restore(arrays) first")
    return state


def new_items(catalogue: Catalogue, known: int) -> IntArray:
    """Positions of the items beyond the ``known`` ones of a catalogue that grew; int32.

    Raises
    ------
    UsageError
        The catalogue is shorter than the known one, so it is not the same one grown.
    """
    if len(catalogue) < known:
        raise UsageError(f"a catalogue of {len(catalogue):,} items cannot extend one of {known:,}; fit again")
    return np.arange(known, len(catalogue), dtype=np.int32)


class TextReader(ABC):
    """A model that knows items by their texts: it takes up those that came since, and reads changed ones again.

    Old arrays are left as they are, so a shallow copy made before goes on as before.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def n_items(self) -> int:
        """Items known."""

    def extend(self, catalogue: Catalogue) -> Self:
        """Serve a catalogue that grew.

        Raises
        ------
        UsageError
            The catalogue is shorter than the known one, so it is not the same one grown.
        """
        return self.reread(catalogue, new_items(catalogue, self.n_items))

    @abstractmethod
    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Take the texts of some items, new or changed, for what they now are.

        Parameters
        ----------
        items
            int32 positions; new ones are all there are beyond the known ones.
        """

"""What every model asks of itself: that it was fitted, and which items came since."""

from __future__ import annotations

from typing import TypeVar

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

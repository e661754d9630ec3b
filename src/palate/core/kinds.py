"""Kinds of event and what each is worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from palate.core.arrays import FloatArray
from palate.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: its name and its weight as evidence of interest (negative: evidence against)."""

    name: str
    weight: float


DEFAULT_KINDS: tuple[Kind, ...] = (
    Kind("view", 0.3),
    Kind("click", 0.4),
    Kind("cart", 0.7),
    Kind("purchase", 1.0),
    Kind("return", -1.0),
    Kind("rating", 1.0),
    Kind("like", 1.0),
    Kind("dislike", -1.0),
    Kind("share", 1.0),
    Kind("search", 0.0),
    Kind("impression", 0.0),
)
"""Weights of the usual kinds. A kind of weight 0 is kept as context and never counts as interest."""


class Kinds:
    """An ordered, immutable set of kinds; positions are what arrays carry (int8).

    Parameters
    ----------
    extra
        The user's own kinds, added to the usual ones, or usual ones with another weight.
    """

    __slots__ = ("_index", "_kinds", "weights")

    def __init__(self, extra: Iterable[Kind] = ()) -> None:
        kinds = {kind.name: kind for kind in DEFAULT_KINDS}
        for kind in extra:
            if not kind.name or kind.name != kind.name.strip().lower():
                raise UsageError(f"kind {kind.name!r}: names are lower case without spaces around them")
            kinds[kind.name] = kind
        if len(kinds) > 127:
            raise UsageError(f"{len(kinds)} kinds of event; at most 127 are supported")
        self._kinds = tuple(kinds.values())
        self._index = {kind.name: position for position, kind in enumerate(self._kinds)}
        self.weights: FloatArray = np.array([kind.weight for kind in self._kinds], dtype=np.float32)
        self.weights.flags.writeable = False

    def __len__(self) -> int:
        return len(self._kinds)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kinds) and self._kinds == other._kinds

    def __hash__(self) -> int:
        return hash(self._kinds)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(kind.name for kind in self._kinds)

    def position(self, name: str) -> int:
        """Position of a kind by name.

        Raises
        ------
        UsageError
            The kind is not among these.
        """
        try:
            return self._index[name]
        except KeyError:
            raise UsageError(f"unknown kind {name!r}; known: {', '.join(self.names)}") from None

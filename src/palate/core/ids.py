"""External ids (strings, at the edges) and positions (int32, everywhere else)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice

import numpy as np
import xxhash

from palate.core.arrays import IntArray
from palate.core.errors import UnknownIdError

_NEAR = 500
"""Ids an unknown one is compared with at most."""


def id_hash(external: str) -> int:
    """Unsigned 64-bit hash of an id, the same on every machine and in every run (xxh3)."""
    return xxhash.xxh3_64_intdigest(external.encode())


class Ids:
    """An immutable two-way map between external ids and positions.

    ``Ids.hashed`` orders ids by a hash of themselves. Positions then carry no information: a file whose ids follow
    first appearance cannot leak the future through them, and "the lower position wins an exact tie" *is* "ties are
    broken by a hash of the id".
    """

    __slots__ = ("_index", "names", "what")

    def __init__(self, names: Sequence[str], what: str = "item") -> None:
        self.names: tuple[str, ...] = tuple(names)
        self.what = what
        self._index: dict[str, int] = {name: position for position, name in enumerate(self.names)}
        if len(self._index) != len(self.names):
            raise ValueError(f"{what} ids are not unique")

    @classmethod
    def hashed(cls, names: Iterable[str], what: str = "item") -> Ids:
        """Ids of these names without repetition, in hash order."""
        return cls(sorted(set(names), key=lambda name: (id_hash(name), name)), what)

    def extended(self, names: Iterable[str]) -> Ids:
        """These ids and the new ones after them, so that positions handed out before stay true."""
        new = [name for name in dict.fromkeys(names) if name not in self._index]
        return Ids((*self.names, *new), self.what) if new else self

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __getitem__(self, position: int) -> str:
        return self.names[position]

    def get(self, name: str) -> int:
        """Position of an id, -1 where it is unknown."""
        return self._index.get(name, -1)

    def position(self, name: str) -> int:
        """Position of an id.

        Raises
        ------
        UnknownIdError
            The id is not known here.
        """
        try:
            return self._index[name]
        except KeyError:
            raise self.unknown(name) from None

    def unknown(self, name: str) -> UnknownIdError:
        """The error that says an id is unknown; of items, which are no secret, with those written nearly alike."""
        alike = self._beginning_like(name) if self.what == "item" else {}
        near = [alike[own] for own in get_close_matches(name.casefold(), alike, n=3, cutoff=0.75)]
        told = f"; written nearly alike: {', '.join(near)}" if near else ""
        return UnknownIdError(f"unknown {self.what} {name!r}{told}")

    def _beginning_like(self, name: str) -> dict[str, str]:
        """Ids with the same beginning, by what they are without their case; few, since an answer must not wait."""
        start = name[:2].casefold()
        alike = (own for own in self.names if own[:2].casefold() == start and abs(len(own) - len(name)) <= 3)
        return {own.casefold(): own for own in islice(alike, _NEAR)}

    def positions(self, names: Iterable[str]) -> IntArray:
        """Positions of many ids, -1 where unknown; int32 (n,)."""
        return np.fromiter((self._index.get(name, -1) for name in names), dtype=np.int32)

    def externals(self, positions: Iterable[int]) -> list[str]:
        """External ids of positions; negative ones (padding) are left out."""
        return [self.names[position] for position in positions if position >= 0]

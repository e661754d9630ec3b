"""What was shown before: the last price of each item to whom, and the lowest one of each day."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from palate.core import Float64Array, Int64Array, IntArray

DAY = 86_400.0


class Last(NamedTuple):
    """A price shown: how much, when (seconds since 1970 UTC), and whether personal inputs had entered it."""

    price: float
    at: float
    personal: bool


class LastShown:
    """The prices shown last, at most ``size`` of them; of older ones none is held any more.

    Owners are pseudonyms, sessions, or "" for everybody.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._last: OrderedDict[tuple[str, str], Last] = OrderedDict()

    def get(self, owner: str, item: str) -> Last | None:
        """The last price of an item towards an owner."""
        return self._last.get((owner, item))

    def put(self, owner: str, item: str, last: Last) -> None:
        """Remember a price as the one shown last."""
        self._last[owner, item] = last
        self._last.move_to_end((owner, item))
        if len(self._last) > self._size:
            self._last.popitem(last=False)

    def __len__(self) -> int:
        return len(self._last)


class Lows:
    """The lowest price of each item on each of the last days; no larger than items times days.

    Parameters
    ----------
    days
        How many days before today count.
    """

    def __init__(self, days: int) -> None:
        self._days = days
        self._lowest = np.full((0, days + 1), np.nan)
        self._day: Int64Array = np.full(days + 1, -1, dtype=np.int64)

    def note(self, items: IntArray, prices: Float64Array, when: float) -> None:
        """Prices that everybody could see; int32 and float64 (n,)."""
        day = int(when // DAY)
        slot = day % (self._days + 1)
        if self._day[slot] > day or not len(items):  # a clock that went back by more than is remembered
            return
        if len(self._lowest) <= items.max():
            room = max(int(items.max()) + 1, 2 * len(self._lowest))
            grown = np.full((room, self._days + 1), np.nan)
            grown[: len(self._lowest)] = self._lowest
            self._lowest = grown
        if self._day[slot] != day:
            self._lowest[:, slot], self._day[slot] = np.nan, day
        np.fmin.at(self._lowest[:, slot], items, prices)

    def lowest(self, items: IntArray, when: float, days: int) -> Float64Array:
        """The lowest price of the days before today, NaN where none was shown; float64 (n,)."""
        today = int(when // DAY)
        counted = (self._day >= today - min(days, self._days)) & (self._day < today) & (self._day >= 0)
        known = (items >= 0) & (items < len(self._lowest))
        answer = np.full(len(items), np.nan)
        if counted.any() and known.any():
            answer[known] = np.fmin.reduce(self._lowest[items[known]][:, counted], axis=1)
        return answer

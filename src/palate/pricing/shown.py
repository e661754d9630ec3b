"""What was shown before: the last price of each item to whom, and the lowest one of each day."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from palate.core import BoolArray, Float64Array, Int64Array, IntArray
from palate.pricing.guardrails import GuardSettings

DAY = 86_400.0


class Last(NamedTuple):
    """A price shown: how much, when (seconds since 1970 UTC), and whether personal inputs had entered it.

    ``public`` is what strangers paid when it was made; NaN where nobody asked.
    """

    price: float
    at: float
    personal: bool
    public: float = math.nan


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

    def forget(self, owner: str) -> None:
        """Hold nothing towards an owner any more."""
        for key in [key for key in self._last if key[0] == owner]:
            del self._last[key]

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


@dataclass(frozen=True)
class Before:
    """What was shown before of n items; float64 (n,), NaN where nothing was.

    Parameters
    ----------
    price, at
        How much, and when (seconds since 1970 UTC).
    hold
        For how many seconds that is kept.
    personal
        bool (n,): personal inputs had entered it.
    public_price, public_at, public_hold
        The same of strangers, where the owner is somebody: while the price is held what it was measured by, so that it
        does not move when theirs does; else what everybody was shown last.
    """

    price: Float64Array
    at: Float64Array
    hold: Float64Array
    personal: BoolArray
    public_price: Float64Array
    public_at: Float64Array
    public_hold: Float64Array


class Shown:
    """Everything shown lately: towards people, within sessions, to everybody.

    Parameters
    ----------
    size
        Prices remembered at most.
    days
        How far back the lowest price is looked for.
    """

    def __init__(self, size: int, days: int) -> None:
        self._last, self.lows = LastShown(size), Lows(days)

    def before(
        self,
        items: Sequence[str],
        owners: Sequence[str],
        session: str,
        *,
        allowed: Sequence[bool],
        settings: GuardSettings,
        now: float,
    ) -> Before:
        """What was shown before, within the session rather than towards its owner.

        Parameters
        ----------
        owners
            Of each item, whose price it is: a pseudonym, or "" for everybody's.
        allowed
            Of each item, whether a price may be kept that personal inputs had entered.
        """
        rows: list[tuple[float, float, float, bool, float, float, float]] = []
        for item, owner, may in zip(items, owners, allowed, strict=True):
            hold = settings.session_seconds
            last = self._last.get(f"session {session}", item) if session else None
            if last is None or now - last.at >= hold or (last.personal and not may):
                hold, last = settings.cool_down_seconds, self._last.get(owner, item)
            if last is not None and last.personal and not may:
                last = None
            rows.append(
                (
                    *((np.nan, np.nan, hold, False) if last is None else (last.price, last.at, hold, last.personal)),
                    *self._strangers(item, owner, last, hold=hold, settings=settings, now=now),
                )
            )
        price, at, held, personal, *public = np.array(rows, dtype=np.float64).T.copy()
        return Before(price, at, held, personal != 0, *public)

    def _strangers(
        self, item: str, owner: str, last: Last | None, *, hold: float, settings: GuardSettings, now: float
    ) -> tuple[float, float, float]:
        """What strangers pay for an item that somebody was shown at the last price; how much, since when, how long."""
        if not owner:
            return math.nan, math.nan, math.nan
        if last is not None and max(now - last.at, 0.0) < hold:
            measured = last.public if last.personal else last.price
            if not math.isnan(measured):
                return measured, last.at, hold
        public = self._last.get("", item)
        if public is None:
            return math.nan, math.nan, math.nan
        return public.price, public.at, settings.cool_down_seconds

    def forget(self, person: str) -> None:
        """Hold no price towards a person any more; the lowest prices of past days were everybody's."""
        self._last.forget(person)

    def note(
        self,
        items: Sequence[str],
        positions: IntArray,
        owners: Sequence[str],
        session: str,
        *,
        prices: Float64Array,
        personal: BoolArray,
        public: Float64Array,
        drawn: BoolArray,
        now: float,
    ) -> None:
        """Keep what is shown now; an unchanged price keeps its time, unless the clock went back.

        Parameters
        ----------
        public
            What everybody pays meanwhile, where a price was a person's; NaN elsewhere.
        drawn
            bool (n,), whether that was asked of the policy just now: then it is held towards everybody from now on.
        """
        everybody = np.isfinite(prices) & ~personal & (positions >= 0)
        if everybody.any():
            self.lows.note(positions[everybody], prices[everybody], now)
        columns = (each.tolist() for each in (prices, personal, public, drawn))
        for item, owner, price, own, strangers, new in zip(items, owners, *columns, strict=True):
            if math.isnan(price):
                continue
            if owner and new and not math.isnan(strangers):
                self._put("", item, Last(strangers, now, False))
            for whose in (owner, f"session {session}") if session else (owner,):
                self._put(whose, item, Last(price, now, own, strangers))

    def _put(self, owner: str, item: str, latest: Last) -> None:
        price, now, personal, public = latest
        before = self._last.get(owner, item)
        if before is None or before.price != price or before.at > now:
            self._last.put(owner, item, latest)
        else:
            measured = before.public if math.isnan(public) else public
            self._last.put(owner, item, Last(price, before.at, personal, measured))

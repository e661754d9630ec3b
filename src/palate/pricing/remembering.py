"""Quotes given again: the same question gets the same quote for as long as its prices are held and good.

A quote is a promise until a time. Asked again before, it is the same promise under the same decision: nothing is
decided twice, and nothing is logged twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from palate.pricing.asking import Quote


class Quotes:
    """The latest quotes, at most ``size`` of them; 0 keeps none. Used under the quoter's lock."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._quotes: OrderedDict[Hashable, tuple[object, float, Quote]] = OrderedDict()

    def get(self, key: Hashable, state: object, now: float) -> Quote | None:
        """The quote of a question if it was given in this state of things and still holds."""
        found = self._quotes.get(key)
        if found is None:
            return None
        then, until, quote = found
        # A clock that went back makes every time doubtful: then the guard-rails decide.
        if then is not state or not quote.at <= now < until:
            del self._quotes[key]
            return None
        return quote

    def put(self, key: Hashable, state: object, quote: Quote, seconds: float) -> None:
        """Keep a quote for so long; one under no decision is not worth keeping."""
        if not (self._size and quote.decision_id and seconds > 0):
            return
        self._quotes[key] = (state, quote.at + seconds, quote)
        self._quotes.move_to_end(key)
        if len(self._quotes) > self._size:
            self._quotes.popitem(last=False)

    def clear(self) -> None:
        """Forget all: prices are made by other rules now."""
        self._quotes.clear()

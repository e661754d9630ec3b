"""What belongs to one catalogue: its book, its inputs, what may be asked of its items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from palate.core import BoolArray, IntArray
from palate.data import Catalogue
from palate.pricing.asking import Question
from palate.pricing.book import PriceBook
from palate.pricing.configuration import PricingSettings
from palate.pricing.guardrails import GuardSettings, Rails
from palate.pricing.inputs import Inputs, banned
from palate.pricing.packs import Pack
from palate.pricing.shown import Before


@dataclass(frozen=True)
class Shelf:
    """A catalogue with its prices.

    Parameters
    ----------
    banned
        By pack, items whose prices never take personal inputs; worked out when first asked for.
    """

    book: PriceBook
    inputs: Inputs
    banned: dict[str, BoolArray]

    @classmethod
    def of(cls, catalogue: Catalogue, settings: PricingSettings) -> Self:
        """Over a catalogue, with the shop's own file of prices."""
        book = PriceBook.of(catalogue, settings.currency, settings.prices)
        return cls(book, Inputs(settings, book), {})

    def off_limits(self, pack: Pack) -> BoolArray:
        """Whether each item's price never takes personal inputs under a pack; bool (n_items,)."""
        found = self.banned.get(pack.id)
        if found is None:
            found = self.banned[pack.id] = banned(self.book.catalogue, pack)
        return found


def rails_of(
    book: PriceBook,
    items: IntArray,
    pack: Pack,
    guard: GuardSettings,
    *,
    uses: BoolArray,
    before: Before,
    question: Question,
    now: float,
) -> Rails:
    """Between what these prices lie; ``uses`` bool (n,), whether personal inputs enter."""
    known = items >= 0
    # Personal inputs never raise a price above the list price, wherever that may be done.
    # That goes for a price which is held since they entered, too.
    highest = np.where(uses | before.personal, 1.0, np.nan if pack.above_list == "public" else 1.0)
    parity = np.where(uses, guard.segments.get(question.segment, guard.parity), guard.parity)
    same = np.where(known, book.same_currency[items], True) if len(book.list_price) else ~known
    return Rails(
        book.at(book.list_price, items), book.at(book.cost, items), book.at(book.floor, items),
        book.at(book.ceiling, items), highest, parity, before.price, before.at, before.hold,
        before.public_price, before.public_at, before.public_hold, known, same, now,
    )  # fmt: skip

"""The lines of a quote: what a decision comes to for whoever asked, with what must be said beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from palate.core import BoolArray, IntArray
from palate.pricing.asking import Line, PriceArm, Question
from palate.pricing.book import PriceBook
from palate.pricing.deciding import Outcome
from palate.pricing.guardrails import LARGEST, names_of
from palate.pricing.packs import Pack
from palate.pricing.shown import Lows


def lines_of(
    question: Question,
    pack: Pack,
    book: PriceBook,
    items: IntArray,
    *,
    outcome: Outcome,
    entered: BoolArray,
    arms: Sequence[PriceArm | None],
    lows: Lows,
    now: float,
) -> tuple[Line, ...]:
    """Lines with their disclosures, and beside a discount the lowest price of the days before where that is due.

    Parameters
    ----------
    entered
        bool (n,): personal inputs entered the price.
    arms
        Of each item, where an experiment put it; empty where none is on.
    """
    listed = book.at(book.list_price, items)
    discounted = (outcome.price < listed) & (pack.lowest_days > 0)
    lowest = listed
    if discounted.any():
        lowest = np.fmin(lows.lowest(items, now, pack.lowest_days), listed)
    columns = (outcome.price, listed, outcome.low, outcome.high, lowest, entered, discounted, outcome.clips, items)
    lines = []
    for item, arm, price, list_price, low, high, before, personal, cut, clips, position in zip(
        question.items, arms or (None,) * len(items), *(column.tolist() for column in columns), strict=True
    ):
        currency = currency_of(book, position)
        tried = None if arm is None else {"name": arm.experiment, "arm": arm.arm}
        if math.isnan(price):
            lines.append(Line(item, None, None, None, None, currency, False, "", None, names_of(clips), tried))
            continue
        disclosure = pack.disclosure.of(personal, price != list_price, question.language)
        told = (currency, personal, disclosure, before if cut else None, names_of(clips), tried)
        lines.append(Line(item, price, list_price, low, high, *told))
    return tuple(lines)


def list_lines(question: Question, book: PriceBook, items: IntArray) -> tuple[Line, ...]:
    """List prices, where nothing else may be asked."""
    lines = []
    for item, position, listed in zip(
        question.items, items.tolist(), book.at(book.list_price, items).tolist(), strict=True
    ):
        price = listed if 0 < listed <= LARGEST else None
        lines.append(Line(item, price, price, price, price, currency_of(book, position), False, "", None, ("unknown",)))
    return tuple(lines)


def currency_of(book: PriceBook, position: int) -> str:
    """The currency of an item, the shop's for an unknown one."""
    return book.currency[position] if position >= 0 else book.shop_currency

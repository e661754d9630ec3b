"""The price book: what each item lists at and costs, from the catalogue and a file of the merchant's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.core import BoolArray, DataError, Float64Array, IntArray
from palate.data import Catalogue
from palate.data.files import read_table
from palate.pricing.guardrails import LARGEST

MONEY = ("list_price", "cost", "floor", "ceiling")
_MOST_MISTAKES = 5


@dataclass(frozen=True)
class PriceBook:
    """Prices of n items in the order of the catalogue; float64 (n,), NaN where unknown.

    Parameters
    ----------
    catalogue
        The items. A book belongs to one catalogue; a changed one needs a new book.
    list_price, cost, floor, ceiling
        What stands there, also where it makes no sense: the guard-rails judge it for each price asked.
    same_currency
        bool (n,), whether the item is priced in the shop's currency.
    currency, shop_currency
        Of each item, and of the shop.
    """

    catalogue: Catalogue
    list_price: Float64Array
    cost: Float64Array
    floor: Float64Array
    ceiling: Float64Array
    same_currency: BoolArray
    currency: tuple[str, ...]
    shop_currency: str

    @classmethod
    def of(cls, catalogue: Catalogue, currency: str, prices: str | Path = "") -> PriceBook:
        """A book from a catalogue's columns and a CSV file that goes before them.

        Raises
        ------
        DataError
            A row of the file is no price; the message names the first of them, and nothing is taken from the file.
        """
        columns = {name: numbers(catalogue, name) for name in MONEY}
        columns["list_price"] = np.where(
            np.isnan(columns["list_price"]), numbers(catalogue, "price"), columns["list_price"]
        )
        currencies = np.array([name.strip().upper() for name in catalogue.strings("currency")], dtype=object)
        if prices:
            _lay_over(columns, currencies, catalogue, Path(prices))
        currencies[currencies == ""] = currency
        return cls(
            catalogue,
            **columns,
            same_currency=currencies == currency,
            currency=tuple(currencies),
            shop_currency=currency,
        )

    def at(self, values: Float64Array, items: IntArray) -> Float64Array:
        """One of the book's columns for these items (int32 (n,), -1 for unknown ones); float64 (n,), NaN for them."""
        if not len(values):
            return np.full(len(items), np.nan)
        return np.where(items >= 0, values[items], np.nan)

    def mistakes(self) -> Iterator[str]:
        """Items that cannot be priced freely and why, a sentence a sort of mistake."""
        listed = (self.list_price > 0) & (self.list_price <= LARGEST)
        with np.errstate(invalid="ignore"):
            sorts = (
                (~listed & ~np.isnan(self.list_price), "a list price that is no price; they have none"),
                (np.isnan(self.list_price), "no list price; they have no price"),
                (listed & np.isnan(self.cost), "no cost; they are sold at their list price"),
                (self.cost > self.list_price, "a cost above their list price; they are sold at it"),
                (self.floor > self.ceiling, "a floor above their ceiling; they are sold at their list price"),
                (~self.same_currency, "another currency; they are sold at their list price"),
            )
        for rows, what in sorts:
            if rows.any():
                first = self.catalogue.ids[int(np.flatnonzero(rows)[0])]
                yield f"{int(rows.sum()):,} of {len(rows):,} items have {what} ({first!r} for one)"


def numbers(catalogue: Catalogue, name: str) -> Float64Array:
    """A column of the catalogue as numbers, NaN where there is none; float64 (n_items,)."""
    series = catalogue.column(name)
    if series is None:
        return np.full(len(catalogue), np.nan)
    if series.dtype == pl.Float32:  # 19.99 was meant, not the nearest number of 24 bits
        series = series.cast(pl.String)
    return np.array(series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy())


def _lay_over(
    columns: dict[str, Float64Array], currencies: NDArray[np.object_], catalogue: Catalogue, path: Path
) -> None:
    """Put what a file says in place of what the catalogue does."""
    found = read_table(path, "prices")
    table, lines = found.frame, found.lines.to_list()
    if "item_id" not in table.columns:
        raise DataError(f"{path} has no column item_id. It has: {', '.join(table.columns)}. Nothing was taken from it.")
    if not any(name in table.columns for name in MONEY):
        raise DataError(f"{path} has none of the columns {', '.join(MONEY)}. Nothing was taken from it.")
    names = table["item_id"].cast(pl.String)
    rows = catalogue.ids.positions(name or "" for name in names)
    torn = [] if found.broken is None else found.broken.lines.to_list()
    mistakes = [f"row {line} has too many or too few fields" for line in torn]
    mistakes += [f"row {lines[row]}: unknown item {names[row]!r}" for row in np.flatnonzero(rows < 0).tolist()]
    twice = np.flatnonzero(names.is_duplicated().to_numpy()).tolist()
    mistakes += [f"row {lines[row]}: {names[row]!r} stands there twice" for row in twice]
    for name in MONEY:
        if name not in table.columns:
            continue
        written = table[name].cast(pl.String).str.strip_chars()
        said = (written.fill_null("") != "").to_numpy()
        values = written.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        least = 0.0 if name == "cost" else np.nextafter(0.0, 1.0)
        wrong = said & ~((values >= least) & (values <= LARGEST))
        mistakes += [f"row {lines[row]}: {name} {written[row]!r} is no price" for row in np.flatnonzero(wrong).tolist()]
        taken = said & (rows >= 0) & ~wrong
        columns[name][rows[taken]] = values[taken]
    if mistakes:
        more = f" (and {len(mistakes) - _MOST_MISTAKES} more)" if len(mistakes) > _MOST_MISTAKES else ""
        raise DataError(f"{path}: {'; '.join(mistakes[:_MOST_MISTAKES])}{more}. Nothing was taken from it.")
    if "currency" in table.columns:
        told = table["currency"].cast(pl.String).fill_null("").str.strip_chars().str.to_uppercase().to_list()
        for row, name in zip(rows.tolist(), told, strict=True):
            if name:
                currencies[row] = name

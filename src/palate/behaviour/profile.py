"""Who a user is by what the user did: how often, how lately, in which categories, at which prices; readable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from palate.behaviour.affinity import item_facts, price_level
from palate.behaviour.decay import DAY, RecencySettings, recency_weights
from palate.behaviour.words import profile_sentence, root_words
from palate.core import Float64Array, FloatArray, Histories, Int64Array, IntArray, Kinds
from palate.data import Catalogue, Dataset

_MONTH = 30.0


@dataclass(frozen=True)
class Profiles:
    """Profiles of n users as arrays.

    Parameters
    ----------
    events, items
        int32 (n,), events of interest, and different items among them.
    frequency
        float64 (n,), events per 30 days between the first and ``now``, over at least 30 days; NaN without times.
    recency
        float64 (n,), days since the newest event; NaN without times.
    mix
        float32 (n, n_categories), recency-weighted shares of the outermost categories; rows sum to 1 or are empty.
    price, price_spread
        float64 (n,), recency-weighted geometric mean price and standard deviation of log prices; NaN where unknown.
    kinds
        int32 (n, n_kinds), events by kind.
    price_mix
        float64 (n, 3), recency-weighted shares of the cheapest, middle and dearest third of the catalogue; zeros where
        no price is known.
    spend
        float64 (n,), paid for what was bought, quantities counted and returns left aside; NaN where no price is known.
    dwell, rating
        float64 (n,), mean seconds and mean stars; NaN where unknown.
    categories
        Names of the categories in English (as the data has them) and in Chinese (the same where it has none).
    kind_names
        Names of the kinds.
    currency
        Of the prices; "" where unknown.
    """

    events: IntArray
    items: IntArray
    frequency: Float64Array
    recency: Float64Array
    mix: sparse.csr_matrix
    price: Float64Array
    price_spread: Float64Array
    price_mix: Float64Array
    spend: Float64Array
    kinds: IntArray
    dwell: Float64Array
    rating: Float64Array
    categories: tuple[tuple[str, str], ...]
    kind_names: tuple[str, ...]
    currency: str

    def __len__(self) -> int:
        return len(self.events)

    def table(self, row: int, language: str = "en") -> dict[str, Any]:
        """One profile as plain values, categories named in a language; what is unknown is left out."""
        own = int(language.startswith("zh"))
        shares = sorted(self._shares(row), key=lambda pair: -pair[1])
        table: dict[str, Any] = {
            "events": int(self.events[row]),
            "items": int(self.items[row]),
            "categories": {self.categories[position][own]: round(share, 3) for position, share in shares},
            "kinds": {name: int(count) for name, count in zip(self.kind_names, self.kinds[row], strict=True) if count},
        }
        numbers = {
            "events_per_month": self.frequency[row],
            "days_since_last": self.recency[row],
            "usual_price": self.price[row],
            "price_spread": self.price_spread[row],
            "spend": self.spend[row],
            "mean_dwell_seconds": self.dwell[row],
            "mean_rating": self.rating[row],
        }
        table |= {name: round(float(value), 2) for name, value in numbers.items() if not np.isnan(value)}
        if self.price_mix[row].any():
            shares_of = zip(("cheap", "middle", "dear"), self.price_mix[row], strict=True)
            table["price_mix"] = {name: round(float(share), 3) for name, share in shares_of}
        if ("usual_price" in table or "spend" in table) and self.currency:
            table["currency"] = self.currency
        return table

    def sentence(self, row: int, language: str = "en") -> str:
        """One profile as a sentence, in English or (``"zh"``) in Chinese."""
        shares = sorted(self._shares(row), key=lambda pair: -pair[1])[:2]
        chinese = language.startswith("zh")
        main = [self.categories[position][int(chinese)] for position, share in shares if share >= 0.2]
        counts = dict(zip(self.kind_names, self.kinds[row], strict=True))
        return profile_sentence(
            chinese=chinese,
            events=int(self.events[row]),
            categories=main,
            buys=counts.get("purchase", 0) > 0,
            price=float(self.price[row]),
            currency=self.currency,
            days=float(self.recency[row]),
        )

    def _shares(self, row: int) -> list[tuple[int, float]]:
        inside = slice(self.mix.indptr[row], self.mix.indptr[row + 1])
        return [
            (int(position), float(share))
            for position, share in zip(self.mix.indices[inside], self.mix.data[inside], strict=True)
        ]


def profiles(
    histories: Histories,
    catalogue: Catalogue,
    now: float | Float64Array = float("nan"),
    *,
    kinds: Kinds | None = None,
    dwell: FloatArray | None = None,
    ratings: FloatArray | None = None,
    amounts: FloatArray | None = None,
    settings: RecencySettings | None = None,
) -> Profiles:
    """Profiles of n histories at once.

    Parameters
    ----------
    now
        Seconds since 1970 UTC, one for all or one each; the newest event of each where NaN.
    dwell, ratings
        float32 (m,), aligned with the events of the histories, NaN where unknown: seconds and stars.
    amounts
        float32 (m,), paid with each event; the catalogue's price of what was purchased where left out.
    """
    kinds = kinds or Kinds()
    n, rows = len(histories), histories.rows
    weights = recency_weights(histories, settings)
    facts = item_facts(catalogue)
    mean, _, priced = price_level(histories, facts, weights)
    first, last = _span(histories)
    moment = np.broadcast_to(np.asarray(now, dtype=np.float64), (n,))
    moment = np.where(np.isnan(moment), last, moment)
    recency = np.maximum(moment - last, 0.0) / DAY
    months = np.maximum((moment - first) / DAY, _MONTH) / _MONTH
    currency = catalogue.column("currency")
    known = currency.drop_nulls() if currency is not None else None
    pairs = np.unique(rows.astype(np.int64) * max(len(catalogue), 1) + histories.items) // max(len(catalogue), 1)
    cells = rows.astype(np.int64) * len(kinds) + histories.kinds
    words, roots = root_words(catalogue)
    return Profiles(
        events=histories.lengths.astype(np.int32),
        items=np.bincount(pairs, minlength=n).astype(np.int32),
        frequency=np.where(np.isnan(months), np.nan, histories.lengths / months),
        recency=recency,
        mix=_mix(histories, weights, roots),
        price=np.where(priced, np.exp(mean), np.nan),
        price_spread=_spread(histories, facts.log_price, weights, mean, priced),
        price_mix=_price_mix(histories, weights, facts.log_price),
        spend=_spend(histories, catalogue, kinds, amounts),
        kinds=np.bincount(cells, minlength=n * len(kinds)).reshape(n, len(kinds)).astype(np.int32),
        dwell=_row_mean(histories, dwell),
        rating=_row_mean(histories, ratings),
        categories=words,
        kind_names=kinds.names,
        currency=str(known.mode().sort()[0]) if known is not None and len(known) else "",
    )


def dataset_profiles(
    dataset: Dataset, now: float | Float64Array = float("nan"), settings: RecencySettings | None = None
) -> Profiles:
    """Profiles of all users of a dataset, with dwell times and ratings where it has them."""

    rows = dataset.sequence_rows
    return profiles(
        dataset.sequences,
        dataset.catalogue,
        now,
        kinds=dataset.kinds,
        dwell=event_numbers(dataset, "dwell", rows),
        ratings=event_numbers(dataset, "value", rows),
        amounts=event_amounts(dataset, rows),
        settings=settings,
    )


def event_numbers(dataset: Dataset, name: str, rows: Int64Array) -> FloatArray | None:
    """A column of some rows of the events; float32 (m,), NaN where unknown. None where there is no such column."""
    if name not in dataset.events.columns:
        return None
    return dataset.events[name].gather(rows).cast(pl.Float32).fill_null(float("nan")).to_numpy()


def event_amounts(dataset: Dataset, rows: Int64Array) -> FloatArray:
    """What was paid with some rows of the events; float32 (m,), NaN where unknown or nothing was bought.

    Of a purchase it is the price, the catalogue's where the event has none, times the quantity.
    """
    events = dataset.events[["item", "kind"]][rows]
    prices = dataset.catalogue.prices[events["item"].to_numpy()]
    paid, quantity = event_numbers(dataset, "price", rows), event_numbers(dataset, "quantity", rows)
    amounts = prices if paid is None else np.where(np.isnan(paid), prices, paid)
    if quantity is not None:
        amounts = amounts * np.where(np.isnan(quantity), 1, np.maximum(quantity, 0))
    bought = events["kind"].to_numpy() == dataset.kinds.position("purchase")
    return np.where(bought, amounts, np.nan).astype(np.float32)


def _span(histories: Histories) -> tuple[Float64Array, Float64Array]:
    """First and last known time of each row, NaN where none is; float64 (n,) each."""
    known = ~np.isnan(histories.times)
    rows, times = histories.rows[known], histories.times[known]
    first, last = np.full(len(histories), np.inf), np.full(len(histories), -np.inf)
    np.minimum.at(first, rows, times)
    np.maximum.at(last, rows, times)
    unknown = np.isinf(first)
    return np.where(unknown, np.nan, first), np.where(unknown, np.nan, last)


def _mix(histories: Histories, weights: FloatArray, roots: sparse.csr_matrix) -> sparse.csr_matrix:
    """Shares of the outermost categories; an item of several counts for each in part."""
    shape = (len(histories), roots.shape[0])
    mass = (sparse.csr_matrix((weights, histories.items, histories.indptr), shape=shape) @ roots).tocsr()
    mass.sort_indices()
    total = np.asarray(mass.sum(axis=1)).reshape(-1)
    mass.data = mass.data / np.repeat(np.where(total > 0, total, 1.0), np.diff(mass.indptr))
    return mass.astype(np.float32)


def _spread(
    histories: Histories, log_price: FloatArray, weights: FloatArray, mean: Float64Array, priced: np.ndarray[Any, Any]
) -> Float64Array:
    logs = log_price[histories.items].astype(np.float64)
    known = ~np.isnan(logs)
    rows, weight = histories.rows[known], weights[known].astype(np.float64)
    squares = np.bincount(rows, weights=weight * (logs[known] - mean[rows]) ** 2, minlength=len(histories))
    total = np.bincount(rows, weights=weight, minlength=len(histories))
    return np.where(priced, np.sqrt(squares / np.where(priced, total, 1.0)), np.nan)


def _price_mix(histories: Histories, weights: FloatArray, log_price: FloatArray) -> Float64Array:
    """Shares of the thirds of the catalogue's prices; float64 (n, 3)."""
    n, known = len(histories), ~np.isnan(log_price)
    if not known.any():
        return np.zeros((n, 3))
    borders = np.quantile(log_price[known], (1 / 3, 2 / 3))
    logs = log_price[histories.items]
    priced = ~np.isnan(logs)
    third = np.searchsorted(borders, logs[priced], side="left")
    mass = np.bincount(histories.rows[priced] * 3 + third, weights=weights[priced], minlength=3 * n).reshape(n, 3)
    total = mass.sum(axis=1, keepdims=True)
    return np.asarray(mass / np.where(total > 0, total, 1.0))


def _spend(histories: Histories, catalogue: Catalogue, kinds: Kinds, amounts: FloatArray | None) -> Float64Array:
    """Paid by each row in all, NaN where nothing is known of it; float64 (n,)."""
    if amounts is None:
        bought = histories.kinds == kinds.position("purchase")
        amounts = np.where(bought, catalogue.prices[histories.items], np.float32(np.nan))
    known = ~np.isnan(amounts)
    rows, n = histories.rows[known], len(histories)
    total = np.bincount(rows, weights=amounts[known], minlength=n)
    return np.where(np.bincount(rows, minlength=n) > 0, total, np.nan)


def _row_mean(histories: Histories, values: FloatArray | None) -> Float64Array:
    """Mean of known values by row, NaN where there is none; float64 (n,)."""
    if values is None:
        return np.full(len(histories), np.nan)
    known = ~np.isnan(values)
    rows = histories.rows[known]
    total = np.bincount(rows, weights=values[known], minlength=len(histories))
    count = np.bincount(rows, minlength=len(histories))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)

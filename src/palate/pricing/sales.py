"""From a sales history to a panel: item by period, what was asked and what was sold, and what else was going on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field

from palate.core import DataError, Float64Array, Ids, Int64Array, IntArray, Settings, UsageError
from palate.data import Dataset
from palate.data.tables import Note
from palate.forecast import SeriesSettings
from palate.forecast.series import categories_of, demand_rows

Counted = Literal["units", "orders"]

UNNAMED = "(none)"
"""The category of items that have none."""

_YEAR = 365.25
_GIVEN = ("item_id", "category", "store", "period", "price", "quantity", "stock_out")
_SEASON = ("season_cos_1", "season_sin_1", "season_cos_2", "season_sin_2")


class PanelSettings(Settings):
    """How a sales history becomes a panel.

    Parameters
    ----------
    days
        Days of a period.
    demand
        ``units``: quantities summed; ``orders``: lines counted, for shops that grant large orders a lower price, where
        the quantity sets the price and not the other way round.
    by_store
        Whether prices and sales are kept apart by the place of an event, where there is one.
    least_sales
        Periods with sales that an item needs, per store.
    absurd
        Prices more than so many times above or below the item's median are left out.
    """

    days: Annotated[int, Field(ge=1, le=91)] = 7
    demand: Counted = "units"
    by_store: bool = True
    least_sales: Annotated[int, Field(ge=2)] = 12
    absurd: Annotated[float, Field(gt=1)] = 10.0


@dataclass(frozen=True)
class SalesPanel:
    """n rows: an item, in a store where stores are known, in a period.

    Parameters
    ----------
    ids
        Items; int32 positions in ``item`` mean these.
    item, unit, period
        int32 (n,). A unit is an item in one store: what has a level of its own.
    price, quantity
        float64 (n,), in one currency, above 0; units or orders, 0 and more.
    features
        float64 (n, f): what else may move prices and demand, finite. Season, trend and age come first.
    names
        Names of the f columns.
    categories
        Names of categories.
    category
        int32 (len(ids),), of each item a position in ``categories``.
    cluster
        int32 (n,), rows that may err together where that is known and wider or narrower than an item; None where items
        are what errs together.
    days
        Days of a period; 0 where rows have no period.
    counted
        What ``quantity`` is.
    notes
        What was left out or filled on the way.
    """

    ids: Ids
    item: IntArray
    unit: IntArray
    period: IntArray
    price: Float64Array
    quantity: Float64Array
    features: Float64Array
    names: tuple[str, ...]
    categories: tuple[str, ...]
    category: IntArray
    cluster: IntArray | None = None
    days: int = 0
    counted: Counted = "units"
    notes: tuple[Note, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.item)

    @cached_property
    def empty_share(self) -> float:
        """Share of rows in which nothing was sold."""
        return float((self.quantity == 0).mean())

    @property
    def row_category(self) -> IntArray:
        """int32 (n,)."""
        return self.category[self.item]


def sales_panel(
    dataset: Dataset,
    settings: PanelSettings | None = None,
    series: SeriesSettings | None = None,
    *,
    stock_outs: pl.DataFrame | None = None,
) -> SalesPanel:
    """The panel of a dataset whose purchases have prices.

    A period's price is the median of its lines' prices, one line one vote: averages weighted by quantity would fall
    wherever much was bought cheaply, whatever the price tag said. In periods without sales the last known price stands.
    Returns are never sales, and a last period that the record does not hold whole is left out.

    Parameters
    ----------
    series
        Kind of event, time zone and returns, as forecasts read them.
    stock_outs
        ``item_id`` and ``day`` (a date): when an item could not be bought. Such periods say nothing of demand and are
        left out.

    Raises
    ------
    UsageError
        Events have no price.
    DataError
        Currencies are mixed, or nothing usable is left.
    """
    settings, series = settings or PanelSettings(), series or SeriesSettings()
    if "price" not in dataset.events.columns:
        raise UsageError(
            "the events have no price: elasticity needs what was asked at each sale. Add a column price to events.*, "
            "or name it with --columns price=..."
        )
    _one_currency(dataset)
    rows, notes = demand_rows(dataset, series)
    gathered = dataset.events.select("price").with_columns(
        pl.col("price").cast(pl.Float64),
        (dataset.events["place"] if "place" in dataset.events.columns else pl.lit("")).alias("store"),
    )[rows["row"].to_list()]
    first = int(rows["day"].min())  # type: ignore[arg-type]
    lines = rows.hstack(gathered).filter(pl.col("amount") > 0, pl.col("item") >= 0)
    lines = lines.with_columns(((pl.col("day") - first) // settings.days).cast(pl.Int32).alias("period"))
    whole = (int(rows["day"].max()) - first + 1) // settings.days  # type: ignore[arg-type]
    lines = lines.filter(pl.col("period") < max(whole, 1))
    unpriced = lines.height
    lines = lines.filter(pl.col("price").is_finite() & (pl.col("price") > 0))
    if not lines.height:
        raise DataError("no sale has a price above 0: there is nothing to learn an elasticity from.")
    if unpriced > lines.height:
        notes = (*notes, Note("unpriced", {"count": unpriced - lines.height, "of": unpriced}))
    notes = (*notes, *_bulk(lines))
    store = pl.col("store").fill_null("") if settings.by_store else pl.lit("").alias("store")
    sold = pl.len().cast(pl.Float64) if settings.demand == "orders" else pl.col("amount").sum()
    cells = lines.group_by("item", store, "period").agg(pl.col("price").median(), sold.alias("quantity"))
    names, of_item = _categories(dataset)
    ids = dataset.item_ids.names
    frame = cells.with_columns(
        pl.Series("item_id", [ids[item] for item in cells["item"]], dtype=pl.String),
        pl.Series("category", [names[of_item[item]] for item in cells["item"]], dtype=pl.String),
    ).drop("item")
    if stock_outs is not None:
        frame = _out_of_stock(frame, stock_outs, first, settings.days)
    return panel_of(frame, settings, notes=notes, start=np.datetime64(first, "D"))


def panel_of(
    frame: pl.DataFrame,
    settings: PanelSettings | None = None,
    *,
    fill: bool = True,
    cluster: str | None = None,
    season: bool = True,
    notes: tuple[Note, ...] = (),
    start: np.datetime64 | None = None,
) -> SalesPanel:
    """The panel of a frame with one row an item (and store) and period.

    Parameters
    ----------
    frame
        ``item_id``, ``price`` and ``quantity``; where known ``period`` (whole numbers, in order of time), ``category``,
        ``store``, ``stock_out`` (true: left out). Every other column is a number that may move prices and demand.
    fill
        Whether periods between the first and the last sale of an item that are missing are periods without sales.
    cluster
        A column that names rows which may err together.
    season
        Whether season, trend and age are added; they need a ``period``.
    start
        First day of period 0, which puts the season where it belongs in the year.

    Raises
    ------
    DataError
        A column is missing or no number, or nothing usable is left.
    """
    settings = settings or PanelSettings()
    missing = [name for name in ("item_id", "price", "quantity") if name not in frame.columns]
    if missing:
        raise DataError(f"sales need the columns item_id, price and quantity; {', '.join(missing)} is missing.")
    timed = "period" in frame.columns
    extra = [name for name in frame.columns if name not in (*_GIVEN, cluster)]
    texts = [name for name in (*extra, "price", "quantity") if not frame[name].dtype.is_numeric()]
    if texts:
        raise DataError(f"{', '.join(texts)}: no numbers. Turn them into columns of numbers, or leave them out.")
    full = frame.with_columns(
        pl.col("item_id").cast(pl.String),
        pl.col("price", "quantity", *extra).cast(pl.Float64),
        *(pl.lit(default).alias(name) for name, default in _DEFAULTS.items() if name not in frame.columns),
    ).with_columns(pl.col("category").fill_null(UNNAMED), pl.col("store").cast(pl.String).fill_null(""))
    full, left = _usable(full, settings, timed)
    if fill and timed:
        full, filled = _filled(full, extra)
        left = (*left, *filled)
    there = full.filter(~pl.col("stock_out")).drop_nulls("price")
    if there.height < full.height:
        left = (*left, Note("stock_out", {"count": full.height - there.height, "of": full.height}))
    full = there
    if not full.height:
        raise DataError(
            f"nothing is left to learn from: no item sold in {settings.least_sales} periods or more at a known price."
        )
    columns = _seasons(full, settings, start) if timed and season else {}
    columns |= {name: _finite(full[name].to_numpy()) for name in extra}
    ids = Ids.hashed(full["item_id"].unique().to_list(), "item")
    item = ids.positions(full["item_id"].to_list()).astype(np.int32)
    categories = tuple(sorted(full["category"].unique().to_list()))
    place = {name: position for position, name in enumerate(categories)}
    category = np.zeros(len(ids), dtype=np.int32)
    category[item] = full["category"].replace_strict(place, return_dtype=pl.Int32).to_numpy()
    return SalesPanel(
        ids=ids,
        item=item,
        unit=full.select(pl.struct("item_id", "store").rank("dense"))["item_id"].to_numpy().astype(np.int32) - 1,
        period=full["period"].to_numpy().astype(np.int32),
        price=full["price"].to_numpy().astype(np.float64),
        quantity=full["quantity"].to_numpy().astype(np.float64),
        features=np.column_stack(list(columns.values())) if columns else np.zeros((full.height, 0)),
        names=tuple(columns),
        categories=categories,
        category=category,
        cluster=None if cluster is None else full[cluster].rank("dense").to_numpy().astype(np.int32) - 1,
        days=settings.days if timed else 0,
        counted=settings.demand,
        notes=(*notes, *left),
    )


_DEFAULTS = {"category": UNNAMED, "store": "", "period": 0, "stock_out": False}


def _usable(full: pl.DataFrame, settings: PanelSettings, timed: bool) -> tuple[pl.DataFrame, tuple[Note, ...]]:
    """Rows that say something of demand at a price, and notes on the others."""
    notes: tuple[Note, ...] = ()
    out = pl.col("stock_out").cast(pl.Boolean).fill_null(False)

    def keep(told: str, wanted: pl.Expr) -> None:
        nonlocal full, notes
        before = full.height
        full = full.filter(wanted)
        if full.height < before:
            notes = (*notes, Note(told, {"count": before - full.height, "of": before}))

    full = full.with_columns(
        out,
        pl.when(out).then(pl.col("quantity").fill_null(0.0)).otherwise("quantity").alias("quantity"),
    )
    keep("impossible", (pl.col("quantity") >= 0) & (pl.col("price").is_null() | (pl.col("price") > 0)))
    keep("impossible", pl.col("quantity").is_finite() & pl.col("price").fill_null(1.0).is_finite())
    away = (pl.col("price").log() - pl.col("price").median().over("item_id").log()).abs()
    keep("absurd", pl.col("price").is_null() | (away <= np.log(settings.absurd)))
    if timed and full.select(pl.struct("item_id", "store", "period").is_duplicated().any()).item():
        raise DataError("an item has several rows in one period; sum its sales first, or give the store of each row.")
    least = settings.least_sales
    sold = (pl.col("quantity") > 0) & pl.col("price").is_not_null() & ~pl.col("stock_out")
    keep("rare", sold.sum().over("item_id", "store") >= least)
    return full, notes


def _filled(full: pl.DataFrame, extra: list[str]) -> tuple[pl.DataFrame, tuple[Note, ...]]:
    """Every period between a unit's first and last, quantity 0 and the last known price where nothing was sold."""
    unit = ["item_id", "store"]
    spans = full.group_by(*unit, maintain_order=True).agg(
        pl.int_range(pl.col("period").min(), pl.col("period").max() + 1).alias("period"), pl.col("category").first()
    )
    grid = spans.explode("period").with_columns(pl.col("period").cast(full["period"].dtype))
    joined = grid.join(full.drop("category"), on=[*unit, "period"], how="left").sort(*unit, "period")
    empty = int(joined["quantity"].null_count())
    joined = joined.with_columns(
        pl.col("price").forward_fill().over(unit),
        pl.col("stock_out").fill_null(False),
        pl.col("quantity").fill_null(0.0),
        *(pl.col(name).fill_null(0.0) for name in extra),
    ).drop_nulls("price")
    return joined, ((Note("carried", {"count": empty, "of": joined.height}),) if empty else ())


def _seasons(full: pl.DataFrame, settings: PanelSettings, start: np.datetime64 | None) -> dict[str, Float64Array]:
    """Two waves of the year, how late it is, and how long the item has been there."""
    period = full["period"].to_numpy().astype(np.float64)
    begin = 0.0 if start is None else float((start - start.astype("datetime64[Y]").astype("datetime64[D]")).astype(int))
    angle = 2 * np.pi * (begin + period * settings.days) / _YEAR
    waves = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    born = full.select(pl.col("period").min().over("item_id"))["period"].to_numpy()
    trend = (period - period.min()) * settings.days / _YEAR
    return {**dict(zip(_SEASON, waves, strict=True)), "trend": trend, "age": np.log1p(period - born)}


def _categories(dataset: Dataset) -> tuple[list[str], Int64Array]:
    try:
        return categories_of(dataset)
    except UsageError:
        return [UNNAMED], np.zeros(dataset.n_items, dtype=np.int64)


def _one_currency(dataset: Dataset) -> None:
    if "currency" not in dataset.events.columns:
        return
    found = sorted(dataset.events["currency"].drop_nulls().unique().to_list())
    if len(found) > 1:
        raise DataError(
            f"prices are in {len(found)} currencies ({', '.join(found[:5])}): a price cannot be compared with another. "
            "Convert them, or keep the events of one currency."
        )


def _bulk(lines: pl.DataFrame) -> tuple[Note, ...]:
    """Whether one day's lines of an item have several prices, the lower ones with the larger quantities."""
    days = lines.group_by("item", "store", "day").agg(
        pl.len().alias("lines"),
        pl.col("price").n_unique().alias("prices"),
        pl.corr(pl.col("price").log(), pl.col("amount").log(), method="pearson").alias("together"),
    )
    several = days.filter(pl.col("lines") >= 2)
    if not several.height:
        return ()
    mixed = several.filter(pl.col("prices") > 1, pl.col("together").is_finite())
    share = mixed.height / several.height
    if share < 0.05 or float(mixed["together"].mean() or 0.0) > -0.3:  # type: ignore[arg-type]
        return ()
    return (Note("bulk", {"share": share}),)


def _out_of_stock(frame: pl.DataFrame, stock_outs: pl.DataFrame, first: int, days: int) -> pl.DataFrame:
    """Marks item-periods in which the item could not be bought on some day, sold or not."""
    missing = [name for name in ("item_id", "day") if name not in stock_outs.columns]
    if missing:
        raise DataError(f"stock-outs need the columns item_id and day; {', '.join(missing)} is missing.")
    day = pl.col("day").cast(pl.Date).cast(pl.Int32)
    out = stock_outs.select(
        pl.col("item_id").cast(pl.String), ((day - first) // days).cast(pl.Int32).alias("period")
    ).unique()
    stores = frame.select("item_id", "store", "category").unique()
    rows = out.join(stores, on="item_id", how="inner").with_columns(pl.lit(True).alias("stock_out"))
    return frame.join(rows, on=["item_id", "store", "category", "period"], how="full", coalesce=True)


def _finite(values: Float64Array) -> Float64Array:
    """Unknown values at the column's mean."""
    known = np.isfinite(values)
    return np.where(known, values, values[known].mean() if known.any() else 0.0)

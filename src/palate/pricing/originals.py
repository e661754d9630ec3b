"""Panels of sales from files: a table of one's own, and three public histories with their original columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from palate.core import DataError, UsageError
from palate.core.configuration import suggestion
from palate.data.downloads import Say, to_stderr
from palate.data.files import read_table
from palate.data.invoices import online_retail as invoices_of
from palate.data.tables import Note
from palate.pricing.sales import PanelSettings, SalesPanel, panel_of, sales_panel


def online_retail(folder: str | Path, settings: PanelSettings | None = None, *, say: Say = to_stderr) -> SalesPanel:
    """UCI Online Retail by item and week. Its prices fall with the size of an order, so orders are counted.

    Raises
    ------
    DataError
        There is no such file, or nothing usable in it.
    """
    settings = settings or PanelSettings(demand="orders", by_store=False, least_sales=26)
    return sales_panel(invoices_of(folder, say=say), settings)


def complete_journey(folder: str | Path, settings: PanelSettings | None = None) -> SalesPanel:
    """Complete Journey 2.0 (84.51 degrees) by product and week, from the sample of its transactions.

    A price is what members paid for one before their own coupons, (sales value + coupon match) / quantity, the median
    of the week. Whether the product had coupons out that week is what else is known.

    Raises
    ------
    DataError
        A file or a column is missing.
    """
    settings = settings or PanelSettings(least_sales=15)
    names = ("transactions_sample", "products", "coupons", "campaign_descriptions")
    lines, products, coupons, campaigns = (_table(Path(folder), name) for name in names)
    lines = lines.filter(pl.col("quantity") > 0, pl.col("sales_value") > 0).with_columns(
        ((pl.col("sales_value") + pl.col("coupon_match_disc")) / pl.col("quantity")).alias("price"),
        pl.col("week").cast(pl.Int32).alias("period"),
    )
    sales = lines.group_by("product_id", "period").agg(pl.col("price").median(), pl.len().alias("quantity"))
    first = lines["transaction_timestamp"].min()
    begin = np.datetime64(first, "D") - 7 * int(lines["period"].min())  # type: ignore[arg-type, call-overload]
    day = [pl.col(name).str.to_date().alias(name) for name in ("start_date", "end_date")]
    out = campaigns.with_columns(day).join(coupons, on="campaign_id").select("product_id", "start_date", "end_date")
    weeks = pl.int_ranges(*((pl.col(name) - pl.lit(begin).cast(pl.Date)).dt.total_days() // 7 for name in _SPAN))
    out = out.with_columns(weeks.cast(pl.List(pl.Int32)).alias("period")).explode("period").drop_nulls("period")
    coupon = out.select("product_id", "period").unique().with_columns(pl.lit(1.0).alias("coupon"))
    frame = (
        sales.join(coupon, on=["product_id", "period"], how="left")
        .join(products.select("product_id", category="product_category"), on="product_id", how="left")
        .with_columns(pl.col("coupon").fill_null(0.0))
        .rename({"product_id": "item_id"})
    )
    return panel_of(frame, settings, notes=(Note("sample"),), start=begin)


_SPAN = ("start_date", "end_date")


def orange_juice(folder: str | Path, *, runs_as_stores: bool = False) -> SalesPanel:
    """Dominick's orange juice: sales, price, brand and whether the brand was featured. Store and week are missing.

    Parameters
    ----------
    runs_as_stores
        The file goes brand by brand in runs of about 116 rows. Whether a run is taken for one store, with a level of
        its own: a guess at what is missing, to see how much it matters.

    Raises
    ------
    DataError
        A file or a column is missing.
    """
    sales = _table(Path(folder), "sales")
    run = (pl.col("brand") != pl.col("brand").shift(1)).fill_null(True).cum_sum()
    frame = sales.select(
        pl.col("brand").alias("item_id"),
        pl.col("brand").alias("category"),
        "price",
        pl.col("sales").alias("quantity"),
        pl.col("feat").cast(pl.Float64).alias("featured"),
        run.cast(pl.String).alias("run"),
    )
    if runs_as_stores:
        frame = frame.with_columns(pl.col("run").alias("store"))
    return panel_of(frame, fill=False, cluster="run", notes=(Note("no_store_no_week"),))


def sales_file(
    path: Path, settings: PanelSettings | None = None, columns: Mapping[str, str] | None = None
) -> SalesPanel:
    """A table with one row an item (and store) and period; ``panel_of`` says which columns it may have.

    Parameters
    ----------
    columns
        Canonical name -> name in the file.

    Raises
    ------
    DataError
        The file cannot be read, or holds no sales.
    """
    frame = read_table(path, "sales").frame
    frame = frame.rename({theirs: ours for ours, theirs in (columns or {}).items() if theirs in frame.columns})
    texts = [name for name in frame.columns if frame[name].dtype == pl.String and name not in _NAMES]
    numbers = frame.with_columns(pl.col(name).str.strip_chars().replace("", None) for name in texts)
    for name in texts:
        cast = numbers[name].replace({"true": "1", "false": "0"}).cast(pl.Float64, strict=False)
        if cast.null_count() == numbers[name].null_count():
            numbers = numbers.with_columns(cast)
    whole = [name for name in ("period",) if name in numbers.columns and numbers[name].dtype.is_float()]
    flags = [name for name in ("stock_out",) if name in numbers.columns and numbers[name].dtype.is_numeric()]
    return panel_of(
        numbers.with_columns(pl.col(whole).cast(pl.Int32, strict=False), pl.col(flags) > 0),
        settings,
    )


_NAMES = ("item_id", "category", "store")

PUBLIC = ["complete-journey", "online-retail", "orange-juice"]
"""Histories that ``public`` knows."""


def public(name: str, folder: str | Path, settings: PanelSettings | None = None) -> SalesPanel:
    """A public history by its name.

    Parameters
    ----------
    settings
        What suits the history where None; orange juice has neither periods nor orders to choose.

    Raises
    ------
    UsageError
        No history has this name.
    DataError
        The folder does not hold it.
    """
    match name:
        case "online-retail":
            return online_retail(folder, settings)
        case "complete-journey":
            return complete_journey(folder, settings)
        case "orange-juice":
            return orange_juice(folder)
    raise UsageError(f"{name!r} is no public history of sales. {suggestion(name, PUBLIC)}")


def _table(folder: Path, name: str) -> pl.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise DataError(f"{path} is not there. The README of the data set says where its original is.")
    return pl.read_parquet(path)

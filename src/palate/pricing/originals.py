"""Panels of three public sales histories, from their original columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from palate.core import DataError
from palate.data.downloads import Say, to_stderr
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


def _table(folder: Path, name: str) -> pl.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise DataError(f"{path} is not there. The README of the data set says where its original is.")
    return pl.read_parquet(path)

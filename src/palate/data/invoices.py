"""Invoice lines, as shops export them, put right: guests, postage and other codes, spellings of one code, names."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from palate.core import DataError
from palate.data.dataset import Dataset
from palate.data.downloads import Say, original, to_stderr

_FILES = ("lines.parquet", "Online Retail.csv", "online_retail.csv", "OnlineRetail.csv", "data.csv")
_COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")

_GOODS = r"^\d{5}"
"""Codes of goods begin with five digits; the others are postage, fees, discounts, samples, vouchers and corrections."""

GUEST = "guest-"
"""What the user id of an invoice without a customer begins with; the invoice number follows."""


def online_retail(folder: str | Path, *, guests: bool = True, say: Say = to_stderr) -> Dataset:
    """UCI Online Retail: a British gift shop's invoices, December 2010 to December 2011 (Chen, Sain & Guo, 2012).

    Parameters
    ----------
    folder
        Where the lines are, as Parquet or CSV with the original column names.
    guests
        Keep invoices without a customer (a quarter of all lines): each is a user of its own who came once.
    say
        Hears, in words, what was put right and left out.

    Raises
    ------
    DataError
        There is no such file, or it is not what it should be.
    """
    lines = _lines(Path(folder))
    return invoices(lines, guests=guests, name="online-retail", say=say)


def invoices(lines: pl.DataFrame, *, guests: bool = True, name: str = "invoices", say: Say = to_stderr) -> Dataset:
    """A dataset from invoice lines with the columns of Online Retail.

    Left out are codes that are no goods, and lines without a price (stock that was found, lost or thrown away). Codes
    that differ in case only are one item; an item is called what most of its lines call it. Lines of a negative
    quantity are returns, never sales.

    Parameters
    ----------
    guests, say
        See ``online_retail``.

    Raises
    ------
    DataError
        A column is missing, or nothing is sold.
    """
    missing = [column for column in _COLUMNS if column not in lines.columns]
    if missing:
        raise DataError(f"invoice lines need the columns {', '.join(_COLUMNS)}; {', '.join(missing)} is missing.")
    code = pl.col("StockCode").cast(pl.String).str.strip_chars().str.to_uppercase()
    known = pl.col("CustomerID").cast(pl.String).str.strip_chars().str.strip_suffix(".0").replace("", None)
    coded = lines.with_columns(code.alias("StockCode"), known.alias("CustomerID"))
    goods = coded.filter(pl.col("StockCode").str.contains(_GOODS))
    sold = goods.filter(pl.col("UnitPrice") > 0)
    free, without = goods.height - sold.height, sold["CustomerID"].null_count()
    if guests:
        sold = sold.with_columns(pl.coalesce("CustomerID", pl.concat_str(pl.lit(GUEST), pl.col("InvoiceNo"))))
    else:
        sold = sold.drop_nulls("CustomerID")
    if not sold.height:
        raise DataError("none of the invoice lines sells anything: no code begins with five digits at a price above 0.")
    spellings = lines["StockCode"].n_unique() - coded["StockCode"].n_unique()
    say(
        f"{name}: {lines.height:,} lines; {lines.height - goods.height:,} of codes that are no goods and {free:,} "
        f"without a price were left out; {spellings:,} codes differed in case only; {without:,} lines without a "
        f"customer {'are of guests' if guests else 'were left out'}."
    )
    titles = (
        sold.drop_nulls("Description")
        .with_columns(pl.col("Description").str.strip_chars())
        .group_by("StockCode", "Description")
        .agg(pl.len(), pl.col("UnitPrice").median())
        .sort("StockCode", "len", "Description", descending=[False, True, False])
        .unique("StockCode", keep="first", maintain_order=True)
    )
    items = titles.select(item_id="StockCode", title="Description", price="UnitPrice")
    return Dataset.from_frames(sold.drop("Description"), items, name=name)


def _lines(folder: Path) -> pl.DataFrame:
    for name in _FILES:
        content = original(folder, name)
        if content is None:
            continue
        if name.endswith(".parquet"):
            return pl.read_parquet(io.BytesIO(content))
        texts = dict.fromkeys(("InvoiceNo", "StockCode", "CustomerID", "Description"), pl.String)
        try:
            return pl.read_csv(io.BytesIO(content), schema_overrides=texts, encoding="utf8-lossy")
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{folder / name} is no table: {str(error).splitlines()[0]}") from None
    raise DataError(
        f"{folder} has none of {', '.join(_FILES)}. Get Online Retail from archive.ics.uci.edu/dataset/352 and save "
        "its sheet as CSV there."
    )

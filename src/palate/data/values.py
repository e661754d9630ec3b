"""Single columns made canonical: ids, numbers and texts, whatever type and dirt they arrive with."""

from __future__ import annotations

import html

import polars as pl

from palate.data.tables import as_plain

_MISSING_IDS = ("", "nan", "null", "none", "<na>", "n/a")
_MISSING_TEXTS = ("n/a", "#n/a", "<na>", "nan", "null", "none", "-", "--", "暂无")
_ENTITY = r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
_PLAIN_NUMBER = r"^-?(0|[1-9]\d{0,14})(\.\d+)?$"

LONGEST = {"title": 1_000, "brand": 300, "category": 2_000}
"""Characters kept of a text; ``LONGEST_OTHER`` of the others. No encoder reads more, and one absurd title of a million
characters must not decide how much memory a batch takes."""

LONGEST_OTHER = 20_000


def as_id(series: pl.Series) -> pl.Series:
    """Ids as text, null where missing. 17850.0, which is 17850 in a column with gaps, is "17850"."""
    dtype = series.dtype
    if dtype.is_float():
        whole = (series == series.floor()) & (series.abs() < 2**53)
        series = series.set(series.is_infinite().fill_null(False), None).fill_nan(None)
        integers = series.set(~whole.fill_null(False), None).cast(pl.Int64).cast(pl.String)
        return (
            integers
            if bool(whole.fill_null(True).all())
            else integers.zip_with(integers.is_not_null(), series.cast(pl.String))
        )
    if dtype.is_integer():
        return series.cast(pl.String)
    if dtype != pl.String:
        series = as_text(series)
    stripped = series.str.strip_chars(" \t\r\n\ufeff\u3000")
    return stripped.set(stripped.str.to_lowercase().is_in(_MISSING_IDS).fill_null(False), None)


def as_text(series: pl.Series) -> pl.Series:
    """Any column as text."""
    dtype = series.dtype
    if dtype == pl.String:
        return series
    if dtype.is_float():
        return as_id(series)
    if dtype.is_numeric() or dtype.is_temporal() or dtype in (pl.Boolean, pl.Null):
        return series.cast(pl.String)
    return as_plain(series)


def as_number(series: pl.Series) -> tuple[pl.Series, int]:
    """Numbers, null where there is none, and how many values were there that are no finite number.

    "$1,299.00" and "1299,5 €" are numbers.
    """
    dtype = series.dtype
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        numbers = series.cast(pl.Float64)
    elif dtype == pl.String:
        bare = series.str.replace_all(r"[\s$€£¥￥元]|USD|EUR|GBP|CNY|RMB", "")
        grouped = bare.str.contains(r"^-?\d{1,3}(,\d{3})+(\.\d+)?$").fill_null(False)
        decimal_comma = bare.str.contains(r"^-?\d+,\d{1,2}$").fill_null(False)
        if grouped.any():
            bare = bare.zip_with(~grouped, bare.str.replace_all(",", "", literal=True))
        if decimal_comma.any():
            bare = bare.zip_with(~decimal_comma, bare.str.replace(",", ".", literal=True))
        numbers = bare.set((bare == "").fill_null(False), None).cast(pl.Float64, strict=False)
        series = bare.set(bare.str.to_lowercase().is_in([*_MISSING_IDS, *_MISSING_TEXTS]).fill_null(False), None)
    else:
        return pl.repeat(None, len(series), dtype=pl.Float64, eager=True), len(series) - series.null_count()
    numbers = numbers.fill_nan(None)
    infinite = numbers.is_infinite().fill_null(False)
    numbers = numbers.set(infinite, None)
    missing = series.is_null() | (series.is_nan() if dtype.is_float() else False)
    return numbers, int((numbers.is_null() & ~missing).sum())


def clean_texts(series: pl.Series, longest: int) -> tuple[pl.Series, dict[str, int]]:
    """A column of texts without byte-order marks, HTML entities, placeholders for nothing and absurd lengths.

    Returns
    -------
    The column, null where it says nothing, and how many values each repair changed: ``marks``, ``entities``,
    ``placeholders``, ``truncated``.
    """
    repairs: dict[str, int] = {}

    def change(name: str, hit: pl.Series, repaired: pl.Series) -> pl.Series:
        hit = hit.fill_null(False)
        count = int(hit.sum())
        if not count:
            return texts
        repairs[name] = count
        return texts.zip_with(~hit, repaired)

    texts = series
    hit = texts.str.contains("\ufeff", literal=True)
    texts = change("marks", hit, texts.str.replace_all("\ufeff", "", literal=True)) if hit.any() else texts
    places = texts.str.contains(_ENTITY).fill_null(False).arg_true()
    if len(places):
        repairs["entities"] = len(places)
        readable = [html.unescape(text) for text in texts[places].to_list()]
        texts = texts.scatter(places, pl.Series(readable, dtype=pl.String))
    texts = texts.str.strip_chars()
    lower = texts.str.to_lowercase().is_in(_MISSING_TEXTS)
    texts = change("placeholders", lower, pl.repeat(None, len(texts), dtype=pl.String, eager=True))
    texts = texts.set((texts == "").fill_null(False), None)
    long = texts.str.len_chars() > longest
    texts = change("truncated", long, texts.str.slice(0, longest)) if long.any() else texts
    return texts, repairs


def typed_property(series: pl.Series) -> pl.Series:
    """A text column that holds plain numbers throughout as numbers; "007" stays text."""
    if series.dtype != pl.String or series.null_count() == len(series):
        return series
    if not bool(series.str.contains(_PLAIN_NUMBER).fill_null(True).all()):
        return series
    fractions = bool(series.str.contains(".", literal=True).any())
    return series.cast(pl.Float64 if fractions else pl.Int64)

"""Words for profiles: names of categories in both languages, and the sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from palate.core import Ragged
from palate.data import Catalogue
from palate.data.catalogue import category_names

_SEPARATOR = " > "


def root_words(catalogue: Catalogue) -> tuple[tuple[tuple[str, str], ...], sparse.csr_matrix]:
    """Outermost categories in English and Chinese, and how items share in them.

    Chinese names come from a column ``category_zh`` where the catalogue has one.

    Returns
    -------
    (English, Chinese) names, and float32 (n_items, n_names) whose rows sum to 1 or are empty.
    """
    per_item, names = catalogue.categories
    is_root = np.array([_SEPARATOR not in name for name in names], dtype=bool)
    column = np.cumsum(is_root) - 1
    kept = is_root[per_item.values]
    rows, columns = per_item.rows[kept], column[per_item.values[kept]]
    counts = np.bincount(rows, minlength=len(catalogue))
    shares = (1.0 / counts[rows]).astype(np.float32)
    matrix = sparse.csr_matrix((shares, (rows, columns)), shape=(len(catalogue), int(is_root.sum())))
    chinese = _chinese_roots(catalogue, per_item, names)
    words = tuple((name, chinese.get(name, name)) for name, root in zip(names, is_root, strict=True) if root)
    return words, matrix


def _chinese_roots(catalogue: Catalogue, per_item: Ragged, names: tuple[str, ...]) -> dict[str, str]:
    """Chinese name of each outermost category, from the first item that says it."""
    series = catalogue.column("category_zh")
    if series is None:
        return {}
    chinese: dict[str, str] = {}
    for position, value in enumerate(catalogue.strings("category_zh")):
        own = per_item[position]
        if value and len(own):
            chinese.setdefault(names[own[0]], category_names(value)[0])
    return chinese


def profile_sentence(
    *,
    chinese: bool,
    events: int,
    categories: Sequence[str],
    buys: bool,
    price: float,
    currency: str,
    days: float,
) -> str:
    """A profile in one sentence.

    Parameters
    ----------
    categories
        Main categories, the strongest first; may be empty.
    price
        Usual price, NaN where unknown.
    days
        Days since the newest event, NaN where unknown.
    """
    if not events:
        return "还没有任何行为记录。" if chinese else "Nothing known yet."
    parts = []
    if chinese:
        verb = "主要购买" if buys else "主要浏览"
        parts.append(f"{verb}{'和'.join(categories)}" if categories else f"有 {events} 次行为，类别分散")
        if not np.isnan(price):
            parts.append(f"价位约 {_amount(price)}{' ' + currency if currency else ''}")
        if not np.isnan(days):
            parts.append(_ago_chinese(days))
        return "，".join(parts) + "。"
    verb = "Buys mostly" if buys else "Looks mostly at"
    parts.append(f"{verb} {' and '.join(categories)}" if categories else f"{events} events over many categories")
    if not np.isnan(price):
        parts.append(f"around {_amount(price)}{' ' + currency if currency else ''}")
    if not np.isnan(days):
        parts.append(_ago_english(days))
    return ", ".join(parts) + "."


def _amount(price: float) -> str:
    return f"{price:,.0f}" if price >= 10 else f"{price:.2f}"


def _ago_english(days: float) -> str:
    whole = int(days)
    return "last seen today" if whole == 0 else f"last seen {whole:,} {'day' if whole == 1 else 'days'} ago"


def _ago_chinese(days: float) -> str:
    whole = int(days)
    return "今天来过" if whole == 0 else f"{whole:,} 天前来过"

"""Which items have these properties: the one reading of filters, for requests, rules and reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from palate.core import BoolArray, UsageError
from palate.data.catalogue import Catalogue

OPERATORS = ("lt", "lte", "gt", "gte", "not", "contains", "prefix")
"""What a property may be compared by, beside being one value or any of a list."""

_EXACT = 2**53
"""Whole numbers below this are the same as text and as a number."""

_COMPARE: Mapping[str, Callable[[pl.Series, Any], pl.Series]] = {
    "lt": lambda column, bound: column < bound,
    "lte": lambda column, bound: column <= bound,
    "gt": lambda column, bound: column > bound,
    "gte": lambda column, bound: column >= bound,
}


def matches(catalogue: Catalogue, conditions: Mapping[str, Any]) -> BoolArray:
    """Items for which every condition holds.

    Parameters
    ----------
    catalogue
        n items.
    conditions
        Property -> a value it must equal, a list it must be one of, or a mapping of operators that must all hold:
        ``{"price": {"lte": 20}, "brand": ["OPI", "Essie"], "category": "Beauty > Makeup"}``. A category is met by any
        of its prefixes and parts. Text is compared without regard to case; a property an item lacks meets nothing
        but ``not``.

    Returns
    -------
    bool (n,)

    Raises
    ------
    UsageError
        A property or an operator is unknown, or a value cannot be compared with the property.
    """
    if not isinstance(conditions, Mapping):
        raise UsageError(f"filter: a mapping of properties is needed, not {type(conditions).__name__}")
    found = np.ones(len(catalogue), dtype=bool)
    for name, condition in conditions.items():
        if name not in catalogue.frame.columns:
            known = ", ".join(catalogue.frame.columns)
            raise UsageError(f"filter: items have no property {name!r}; they have {known}")
        found &= _meets(catalogue, name, condition)
    return found


def _meets(catalogue: Catalogue, name: str, condition: Any) -> BoolArray:
    if not isinstance(condition, Mapping):
        return _is_any(catalogue, name, condition if isinstance(condition, list | tuple) else [condition])
    if not condition:
        raise UsageError(f"filter: {name} has no operator; there are {', '.join(OPERATORS)}")
    found = np.ones(len(catalogue), dtype=bool)
    for operator, value in condition.items():
        found &= _operated(catalogue, name, operator, value)
    return found


def _operated(catalogue: Catalogue, name: str, operator: str, value: Any) -> BoolArray:
    column = catalogue.frame[name]
    if operator == "not":
        return ~_is_any(catalogue, name, value if isinstance(value, list | tuple) else [value])
    if operator in ("contains", "prefix"):
        if not isinstance(value, str):
            raise UsageError(f"filter: {name} {operator}: text is needed, not {value!r}")
        folded, part = _folded(column), value.casefold()
        hit = folded.str.contains(part, literal=True) if operator == "contains" else folded.str.starts_with(part)
        return _bools(hit)
    if operator not in _COMPARE:
        raise UsageError(f"filter: {name} has no operator {operator!r}; there are {', '.join(OPERATORS)}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UsageError(f"filter: {name} {operator}: a number or text is needed, not {value!r}")
    if isinstance(value, str) and column.dtype != pl.String:
        raise UsageError(f"filter: {name} {operator}: {name} is a number, {value!r} is not")
    if isinstance(value, str):
        return _bools(_COMPARE[operator](column, value))
    bound = pl.Series([_float(value)], dtype=pl.Float64)
    if column.dtype == pl.Float32:
        # A price is kept in single precision: one of 143.9 is not below 143.9.
        bound = bound.cast(pl.Float32).cast(pl.Float64)
    return _bools(_COMPARE[operator](_numbers(column), bound[0]))


def _is_any(catalogue: Catalogue, name: str, values: list[Any] | tuple[Any, ...]) -> BoolArray:
    """Items whose property is one of these values."""
    strange = [value for value in values if value is not None and not isinstance(value, str | int | float | bool)]
    if strange:
        raise UsageError(f"filter: {name}: {strange[0]!r} is neither text, number nor truth value")
    column = catalogue.frame[name]
    found = _bools(column.is_null()) if None in values else np.zeros(len(catalogue), dtype=bool)
    wanted = [value for value in values if value is not None]
    numbers = [_float(value) for value in wanted if isinstance(value, int | float) and not isinstance(value, bool)]
    exact = [value for value in wanted if isinstance(value, str) or (isinstance(value, int) and abs(value) < _EXACT)]
    texts = {str(value).casefold() for value in exact}
    if name == "category":
        return found | _in_categories(catalogue, texts)
    if numbers:
        # A price is stored in single precision: 9.99 as asked must meet 9.99 as kept.
        kept = _numbers(column).cast(pl.Float32)
        found |= _bools(kept.is_in(pl.Series(numbers, dtype=pl.Float32).implode()))
    if texts:
        found |= _bools(_folded(column).is_in(list(texts)))
    return found


def _in_categories(catalogue: Catalogue, wanted: set[str]) -> BoolArray:
    per_item, names = catalogue.categories
    chosen = np.array([name.casefold() in wanted for name in names], dtype=bool)
    found = np.zeros(len(catalogue), dtype=bool)
    if len(names):
        found[per_item.rows[chosen[per_item.values]]] = True
    return found | _bools(_folded(catalogue.frame["category"]).is_in(list(wanted)))


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _numbers(column: pl.Series) -> pl.Series:
    return column.cast(pl.Float64, strict=False).fill_nan(None)


def _folded(column: pl.Series) -> pl.Series:
    return column.cast(pl.String, strict=False).str.to_lowercase()


def _bools(series: pl.Series) -> BoolArray:
    return series.fill_null(False).to_numpy().astype(bool)

"""Filters by property mean one thing everywhere."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import UsageError
from palate.data import Catalogue, matches

ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "title": ["Red nail polish", "Tea", "绿茶", None],
        "brand": ["OPI", "opi", "Essie", None],
        "category": ["Beauty > Makeup > Nails", "Food > Tea", "茶|饮料", None],
        "price": pl.Series([9.99, 20.0, None, 100.0], dtype=pl.Float32),
        "year": ["1995", "2001", "V", None],
        "new": [True, False, None, True],
    }
)
CATALOGUE = Catalogue.of(ITEMS)


def found(conditions: Any) -> set[str]:
    return set(CATALOGUE.ids.externals(matches(CATALOGUE, conditions).nonzero()[0].tolist()))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, "abcd"),
        ({"brand": "OPI"}, "ab"),
        ({"brand": ["essie", "opi"]}, "abc"),
        ({"brand": {"not": "opi"}}, "cd"),
        ({"brand": None}, "d"),
        ({"brand": {"not": None}}, "abc"),
        ({"brand": []}, ""),
        ({"price": 9.99}, "a"),
        ({"price": {"lte": 20}}, "ab"),
        ({"price": {"gt": 9.99, "lt": 100}}, "b"),
        ({"price": {"gte": 20}, "brand": "opi"}, "b"),
        ({"price": {"not": [20, 100]}}, "ac"),
        ({"category": "Beauty"}, "a"),
        ({"category": "beauty > makeup"}, "a"),
        ({"category": "Makeup"}, ""),
        ({"category": "饮料"}, "c"),
        ({"category": ["茶", "Food"]}, "bc"),
        ({"category": {"not": "Food"}}, "acd"),
        ({"category": {"contains": "makeup"}}, "a"),
        ({"title": {"contains": "茶"}}, "c"),
        ({"title": {"prefix": "red"}}, "a"),
        ({"year": {"gte": 1990}}, "ab"),
        ({"year": 1995}, "a"),
        ({"price": {"lt": 10**400}}, "abd"),
        ({"price": 10**400}, ""),
        ({"year": {"lt": "2"}}, "a"),
        ({"new": True}, "ad"),
        ({"new": False}, "b"),
        ({"item_id": ["a", "zzz"]}, "a"),
    ],
)
def test_conditions_mean_what_they_say(conditions: dict[str, Any], expected: str) -> None:
    assert found(conditions) == set(expected)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"colour": "red"}, "no property 'colour'; they have item_id, title"),
        ({"price": {"below": 3}}, "no operator 'below'; there are lt, lte"),
        ({"price": {}}, "price has no operator"),
        ({"price": {"lt": "cheap"}}, "price is a number, 'cheap' is not"),
        ({"price": {"lt": None}}, "a number or text is needed"),
        ({"price": {"lt": True}}, "a number or text is needed"),
        ({"title": {"contains": 3}}, "text is needed"),
        ({"title": [["x"]]}, "neither text, number nor truth value"),
        (["title"], "a mapping of properties is needed"),
    ],
)
def test_filters_that_mean_nothing_are_refused(conditions: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        matches(CATALOGUE, conditions)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.text(max_size=3), max_size=3)
)


@given(
    st.dictionaries(
        st.sampled_from(ITEMS.columns),
        st.one_of(VALUES, st.dictionaries(st.sampled_from(["lt", "gte", "not", "contains", "prefix", "?"]), VALUES)),
    )
)
def test_any_filter_is_answered_or_refused(conditions: dict[str, Any]) -> None:
    try:
        hit = matches(CATALOGUE, conditions)
    except UsageError:
        return
    assert hit.shape == (4,)
    assert hit.dtype == bool

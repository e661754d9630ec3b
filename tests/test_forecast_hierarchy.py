"""Sums that add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import Ids, UsageError
from palate.forecast import Forecast, ForecastSettings
from palate.forecast.hierarchy import Hierarchy, Method, reconciled
from palate.forecast.tree import forecast_tree, hierarchy
from tests.forecast_world import START, dataset

DAYS = 3


def told(kind: str, n: int, rng: np.random.Generator, size: float) -> Forecast:
    mean = rng.uniform(0.5, 1.5, (n, DAYS)) * size
    wide = rng.uniform(0.2, 1.0, (n, 1)) * size
    names = Ids([f"{kind}{row}" for row in range(n)], kind)
    none, zero = np.full(n, np.nan), np.zeros(n, dtype=np.int32)
    bounds = (np.maximum(mean - wide, 0), mean + wide)
    return Forecast(kind, names, START, mean, mean, *bounds, 0.9, ("x",), zero, zero, none, none)


def tree(seed: int, items: int = 7) -> Hierarchy:
    rng = np.random.default_rng(seed)
    categories = rng.permutation(np.arange(items) % 3)
    levels = (told("total", 1, rng, items), told("category", 3, rng, items / 3), told("item", items, rng, 1.0))
    return Hierarchy(levels, (np.zeros(items, dtype=np.int64), categories.astype(np.int64)))


@given(st.integers(0, 500), st.sampled_from(["bottom_up", "ols", "mint"]))
def test_whatever_the_method_levels_add_up(seed: int, method: Method) -> None:
    made = reconciled(tree(seed), method)
    total, category, item = made.levels
    assert np.allclose(item.mean.sum(axis=0), total.mean[0])
    for group in range(3):
        assert np.allclose(item.mean[made.members[1] == group].sum(axis=0), category.mean[group])
    assert (item.lower <= item.upper).all()


def test_ols_is_the_projection() -> None:
    base = tree(3)
    dense = base.summing().toarray()
    means = np.concatenate([level.mean for level in base.levels])
    expected = dense @ np.linalg.solve(dense.T @ dense, dense.T @ means)
    made = np.concatenate([level.mean for level in reconciled(base, "ols").levels])
    assert np.allclose(made, expected, atol=1e-7)


def test_what_adds_up_already_stays_and_certain_levels_move_least() -> None:
    base = reconciled(tree(4), "bottom_up")
    for method in ("ols", "mint"):
        for before, after in zip(base.levels, reconciled(base, method).levels, strict=True):
            assert np.allclose(before.mean, after.mean, atol=1e-6)
    rough = tree(4)
    total = rough.levels[0]
    sure = Hierarchy(
        (replace(total, lower=total.mean - 1e-3, upper=total.mean + 1e-3), *rough.levels[1:]), rough.members
    )
    moved = [abs(reconciled(one, "mint").levels[0].mean - total.mean).max() for one in (sure, rough)]
    assert moved[0] < moved[1] / 10


def test_a_shop_adds_up_and_mistakes_are_told_in_words() -> None:
    settings = ForecastSettings(horizon=14, origins=2, most_classical=0)
    base = hierarchy(dataset(), settings=settings)
    assert [level.kind for level in base.levels] == ["total", "category", "item"]
    item = forecast_tree(dataset(), "item", settings=settings)
    total = forecast_tree(dataset(), "total", settings=settings)
    assert np.allclose(item.mean.sum(axis=0), total.mean[0])
    with pytest.raises(UsageError, match="does not"):
        forecast_tree(dataset(), "region", settings=settings)
    with pytest.raises(UsageError, match="bottom_up, ols, mint"):
        reconciled(base, "magic")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must belong"):
        Hierarchy(base.levels, (base.members[0], base.members[1] + 9))

"""Items, categories and the total of one dataset, forecast apart and made to add up."""

from __future__ import annotations

from typing import cast

import numpy as np

from palate.core import UsageError
from palate.data import Dataset
from palate.forecast.choosing import Report
from palate.forecast.forecasting import forecast
from palate.forecast.hierarchy import Hierarchy, Method, reconciled
from palate.forecast.result import Forecast
from palate.forecast.series import By, categories_of, daily
from palate.forecast.settings import ForecastSettings, SeriesSettings

LEVELS: tuple[By, ...] = ("total", "category", "item")
"""From the top down."""


def forecast_tree(
    dataset: Dataset,
    by: By,
    series: SeriesSettings | None = None,
    settings: ForecastSettings | None = None,
    *,
    method: str = "mint",
    progress: Report = lambda step, fraction: None,
) -> Forecast:
    """One level of the tree of items, categories (where there are any) and the total, reconciled with the others.

    Raises
    ------
    UsageError
        The level is not one of the tree, or there is no such method.
    """
    tree = hierarchy(dataset, series, settings, progress=progress)
    found = {level.kind: level for level in reconciled(tree, cast("Method", method)).levels}
    if by not in found:
        raise UsageError(f"{', '.join(found)} add up; {by} does not. Leave --reconcile out.")
    return found[by]


def hierarchy(
    dataset: Dataset,
    series: SeriesSettings | None = None,
    settings: ForecastSettings | None = None,
    *,
    progress: Report = lambda step, fraction: None,
) -> Hierarchy:
    """Base forecasts of items, of categories where there are any, and of the total, each level by itself."""
    categorised = bool(dataset.catalogue.categories[1])
    kinds = LEVELS if categorised else ("total", "item")
    levels = {kind: forecast(daily(dataset, kind, series), settings, progress=progress) for kind in kinds}
    items = levels["item"]
    members = [np.zeros(len(items), dtype=np.int64)]
    if categorised:
        names, of_item = categories_of(dataset)
        places = levels["category"].ids.positions(names)
        members.append(places[of_item[dataset.item_ids.positions(items.ids.names)]].astype(np.int64))
    return Hierarchy(tuple(levels.values()), tuple(members))

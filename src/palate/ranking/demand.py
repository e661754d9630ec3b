"""What demand of an item's category will be, against what it was lately, as it could be foreseen at any moment.

The forecast room looks ahead from moments a fortnight apart, each time from nothing but what lay before: every
category gets the forecaster that served it best until then. A question sees the last such forecast before its moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import Field

from palate.core import DataError, Float64Array, FloatArray, IntArray, Settings
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.data.dataset import DAY
from palate.forecast import Panel, daily, forecast
from palate.forecast.forecasting import VECTORISED
from palate.forecast.series import categories_of
from palate.forecast.settings import ForecastSettings


class DemandSettings(Settings):
    """Of forecasts as a feature.

    Parameters
    ----------
    learn
        Whether the ranker sees them, where every event has a time and items have categories.
    horizon
        Days ahead; as many days before the moment are what is usual lately.
    apart
        Days between the moments that are looked ahead from.
    moments
        At most so many of them, the last ones; questions about earlier moments see nothing.
    """

    learn: bool = False
    horizon: int = Field(default=28, ge=1, le=366)
    apart: int = Field(default=14, ge=1)
    moments: int = Field(default=24, ge=1)

    def told_by(self, dataset: Dataset) -> DemandSettings:
        """The same settings, off where this data says nothing of demand by category."""
        there = dataset.has_times and len(dataset.catalogue.categories[1]) > 1
        return self.model_copy(update={"learn": self.learn and there})


@dataclass(frozen=True)
class Demand:
    """Forecasts of G categories from o moments.

    Parameters
    ----------
    moments
        float64 (o,), seconds, rising.
    ahead
        float32 (o, G), log of one plus the demand expected within the horizon over one plus that of as many days
        before; NaN where nothing could be foreseen.
    of_item
        int32 (n_items,), category of each item.
    """

    moments: Float64Array
    ahead: FloatArray
    of_item: IntArray

    @classmethod
    def nothing(cls) -> Self:
        """Where it is off, or the data does not tell."""
        return cls(np.zeros(0), np.zeros((0, 0), np.float32), np.zeros(0, np.int32))

    @classmethod
    def of(cls, dataset: Dataset, settings: DemandSettings) -> Self:
        """Look ahead from every moment; see ``DemandSettings.told_by`` for when there is something to see."""
        if not settings.learn:
            return cls.nothing()
        times = dataset.events["time"].to_numpy()
        names, of_item = categories_of(dataset)
        end = np.floor(times.max(initial=0.0) / DAY + 1) * DAY
        begin = times.min(initial=end) + 2 * settings.horizon * DAY
        moments = end - DAY * settings.apart * np.arange(settings.moments)[::-1]
        # One is there in any case, so that a part of the data has the columns that all of it has.
        moments = moments[(moments >= begin) | (moments == end)]
        place = {name: position for position, name in enumerate(names)}
        ahead = np.full((len(moments), len(names)), np.nan, dtype=np.float32)
        for row, moment in enumerate(moments):
            series, values = _foreseen(dataset.only(times < moment), settings.horizon)
            ahead[row, [place[name] for name in series]] = values
        return cls(moments, ahead, of_item.astype(np.int32))

    def __bool__(self) -> bool:
        return len(self.moments) > 0

    def at(self, items: IntArray, when: Float64Array) -> FloatArray:
        """What is foreseen of the categories of items; float32 (n, c), NaN where nothing is.

        Parameters
        ----------
        items
            int32 (n, c); of items that came since nothing is foreseen.
        when
            float64 (n,), seconds; NaN gives NaN.
        """
        row = np.searchsorted(self.moments, when, side="right")[:, None] - 1
        known = (items < len(self.of_item)) & (row >= 0) & ~np.isnan(when)[:, None]
        category = self.of_item[np.where(known, items, 0)]
        return np.where(known, self.ahead[np.maximum(row, 0), category], np.float32(np.nan))

    def arrays(self) -> Arrays:
        if not self:
            return {}
        return {"demand_moments": self.moments, "demand_ahead": self.ahead, "demand_of_item": self.of_item}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave; nothing is known where it gave nothing."""
        if "demand_moments" not in arrays:
            return cls.nothing()
        return cls(arrays["demand_moments"], arrays["demand_ahead"], arrays["demand_of_item"])


def _foreseen(past: Dataset, horizon: int) -> tuple[tuple[str, ...], FloatArray]:
    """Names of categories, and what is expected of each over what was; nothing where the past is too short."""
    try:
        panel = daily(past, "category")
        told = forecast(panel, ForecastSettings(horizon=horizon, models=VECTORISED))
    except DataError:
        return (), np.zeros(0, np.float32)
    expected = np.maximum(told.mean.sum(axis=1), 0.0)
    return tuple(panel.ids.names), np.log((1 + expected) / (1 + _lately(panel, horizon))).astype(np.float32)


def _lately(panel: Panel, days: int) -> Float64Array:
    """Demand of the last days, those unknown counted as the mean of the others; float64 (n,)."""
    last = panel.values[:, -days:]
    known = ~np.isnan(last)
    total = np.where(known, last, 0.0).sum(axis=1)
    return np.asarray(np.maximum(total * days / np.maximum(known.sum(axis=1), 1), 0.0))

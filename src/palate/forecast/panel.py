"""Many daily series side by side: the one shape that every forecaster reads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from palate.core import DataError, Float64Array, Ids, Int64Array
from palate.data.tables import Note

WEEK = 7
"""Days of a season."""

DayArray = NDArray[np.datetime64]
"""Dates, datetime64[D]."""


@dataclass(frozen=True)
class Panel:
    """n series over the same T days.

    Parameters
    ----------
    kind
        What a series is of: item, category, segment, region, total.
    ids
        Names of the series; the position of a name is its row.
    start
        The first day, datetime64[D].
    values
        float64 (n, T), demand of each day; NaN where it is unknown (before the first sale, in a gap of the record).
    notes
        What was left out, cut or filled on the way.
    """

    kind: str
    ids: Ids
    start: np.datetime64
    values: Float64Array
    notes: tuple[Note, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.values.shape[0] != len(self.ids):
            raise ValueError(f"{len(self.ids)} names for {self.values.shape[0]} series")
        if np.isinf(self.values).any():
            raise DataError(f"a {self.kind} has an infinite value on some day; a forecast needs finite ones")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def length(self) -> int:
        """Days."""
        return int(self.values.shape[1])

    @cached_property
    def days(self) -> DayArray:
        """datetime64[D] (T,)."""
        return np.asarray(self.start + np.arange(self.length))

    def after(self, horizon: int) -> DayArray:
        """The days that follow; datetime64[D] (horizon,)."""
        return np.asarray(self.start + np.arange(self.length, self.length + horizon))

    def until(self, length: int) -> Panel:
        """The first ``length`` days: what was known then."""
        return replace(self, values=self.values[:, :length])

    def rows(self, positions: Int64Array) -> Panel:
        """Some of the series; int64 (m,)."""
        names = [self.ids[int(position)] for position in positions]
        return replace(self, ids=Ids(names, self.ids.what), values=self.values[positions])

    @cached_property
    def floor(self) -> float:
        """What no forecast goes below: 0 where nothing ever did."""
        least = np.nanmin(self.values, initial=0.0)
        return 0.0 if least >= 0 else -np.inf

    @cached_property
    def scale(self) -> Float64Array:
        """Mean absolute change from one week to the next; what MASE divides by; float64 (n,).

        The mean absolute value where nothing changes, and 1 where there is nothing at all (Hyndman & Koehler 2006).
        """
        return scale_of(self.values)


def scale_of(values: Float64Array) -> Float64Array:
    """See ``Panel.scale``."""
    change = (
        mean_known(np.abs(values[:, WEEK:] - values[:, :-WEEK])) if values.shape[1] > WEEK else np.zeros(len(values))
    )
    size = mean_known(np.abs(values))
    return np.where(change > 0, change, np.where(size > 0, size, 1.0))


def mean_known(values: Float64Array) -> Float64Array:
    """Mean of what is known in each row, 0 where nothing is."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))

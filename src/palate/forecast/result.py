"""What a forecast is: the value that ranking, pricing, the server and the report read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from palate.core import Float64Array, FloatArray, Ids, IntArray
from palate.core.numbers import known
from palate.core.recommender import Arrays
from palate.data.tables import Note
from palate.forecast.panel import DayArray

MASE = "mase"


@dataclass(frozen=True)
class Forecast:
    """Demand of n series on the days ahead.

    Parameters
    ----------
    kind
        What the series are of: item, category, segment, region, total.
    ids
        Their names; the position of a name is its row.
    start
        The first day ahead, datetime64[D].
    mean
        float64 (n, horizon), expected demand: sums of it mean something.
    median
        float64 (n, horizon), the demand that is exceeded as often as not.
    lower, upper
        float64 (n, horizon), bounds about the median.
    level
        Share of days that the bounds cover, over all series.
    models
        Names of forecasters.
    chosen
        int32 (n,), the one whose median stands here, a position in ``models``.
    chosen_mean
        int32 (n,), the one whose mean stands here.
    error
        float64 (n,), mean absolute scaled error (MASE) of the chosen one at the past origins; NaN where a series is too
        young for any.
    naive_error
        float64 (n,), the same of the seasonal naive forecast.
    notes
        What was left out, cut or filled on the way.
    """

    kind: str
    ids: Ids
    start: np.datetime64
    mean: Float64Array
    median: Float64Array
    lower: Float64Array
    upper: Float64Array
    level: float
    models: tuple[str, ...]
    chosen: IntArray
    chosen_mean: IntArray
    error: Float64Array
    naive_error: Float64Array
    notes: tuple[Note, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def horizon(self) -> int:
        return int(self.mean.shape[1])

    @property
    def days(self) -> DayArray:
        """datetime64[D] (horizon,)."""
        return np.asarray(self.start + np.arange(self.horizon))

    def demand(self, names: Ids) -> FloatArray:
        """Expected demand a day of these, 0 where nothing is known of one; float32 (len(names),).

        What ranking takes as a feature and pricing as the demand at today's price.
        """
        rows = self.ids.positions(names.names)
        daily = np.append(self.mean.mean(axis=1), 0.0)
        return daily[rows].astype(np.float32)

    def of(self, name: str, horizon: int | None = None) -> dict[str, Any]:
        """One series as JSON values, all of its days or the first ``horizon``.

        Raises
        ------
        UnknownIdError
            There is no such series.
        """
        row = self.ids.position(name)
        days = [
            {"day": str(day), "mean": mean, "median": median, "lower": lower, "upper": upper}
            for day, mean, median, lower, upper in zip(
                self.days,
                *(_rounded(values[row]) for values in (self.mean, self.median, self.lower, self.upper)),
                strict=True,
            )
        ]
        return {**self.summary(row, horizon), "level": self.level, "days": days[:horizon]}

    def summary(self, row: int, horizon: int | None = None) -> dict[str, Any]:
        """One series in a line: its sum over the days, which forecaster it got and how far that was off before."""
        return {
            "kind": self.kind,
            "id": self.ids[row],
            "sum": round(float(self.mean[row, :horizon].sum()), 4),
            "model": self.models[self.chosen[row]],
            "mean_model": self.models[self.chosen_mean[row]],
            MASE: known(self.error[row], 4),
            f"naive_{MASE}": known(self.naive_error[row], 4),
        }

    def arrays(self) -> Arrays:
        """What a saved thing keeps beside the names."""
        return {
            "start": np.array([self.start.astype(np.int64)]),
            **{name: getattr(self, name) for name in _KEPT},
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, manifest: Mapping[str, Any]) -> Self:
        """What ``arrays`` and ``manifest`` gave."""
        return cls(
            kind=manifest["kind"],
            ids=Ids(manifest["ids"], manifest["kind"]),
            start=np.datetime64(int(arrays["start"][0]), "D"),
            mean=arrays["mean"],
            median=arrays["median"],
            lower=arrays["lower"],
            upper=arrays["upper"],
            level=float(manifest["level"]),
            models=tuple(manifest["models"]),
            chosen=arrays["chosen"],
            chosen_mean=arrays["chosen_mean"],
            error=arrays["error"],
            naive_error=arrays["naive_error"],
        )

    def manifest(self) -> dict[str, Any]:
        """What a saved thing says of it."""
        return {"kind": self.kind, "ids": list(self.ids.names), "level": self.level, "models": list(self.models)}


_KEPT = ("mean", "median", "lower", "upper", "chosen", "chosen_mean", "error", "naive_error")


def _rounded(values: Float64Array) -> list[float | None]:
    return [known(value, 4) for value in values]

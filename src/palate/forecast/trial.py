"""How good forecasts are: days after the choice was made, that nothing has seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from palate.core import Float64Array, IntArray
from palate.forecast.choosing import Backtest, Report, backtest, choose, origins_of
from palate.forecast.forecasters import Paths
from palate.forecast.forecasting import NAIVE, NETWORKS, assembled, forecasters, learn_calendar
from palate.forecast.panel import Panel
from palate.forecast.settings import ForecastSettings


@dataclass(frozen=True)
class Trial:
    """What forecasts came to at several origins.

    Parameters
    ----------
    tried
        What every forecaster said at all origins, those of the choice before those that are judged.
    chosen, chosen_mean
        int32 (tests, n), forecasters chosen at each judged origin by what lay before it.
    covered
        float64 (tests, n), share of known days within the interval.
    level
        Share that was asked for.
    """

    tried: Backtest
    chosen: IntArray
    chosen_mean: IntArray
    covered: Float64Array
    level: float

    def errors(self, name: str = "") -> Float64Array:
        """MASE of each judged origin and series, of the chosen forecaster or of one by name; float64 (tests, n)."""
        return self._judged(self.tried.absolute, self.chosen, name)

    def squared(self, name: str = "") -> Float64Array:
        """Squared scaled errors of the mean; float64 (tests, n)."""
        return self._judged(self.tried.squared, self.chosen_mean, name)

    def _judged(self, errors: Float64Array, chosen: IntArray, name: str) -> Float64Array:
        tests, n = chosen.shape
        judged = np.moveaxis(errors[:, :, -tests:], 2, 1)
        if name:
            return np.asarray(judged[self.tried.names.index(name)])
        return np.asarray(judged[chosen, np.arange(tests)[:, None], np.arange(n)])

    def as_json(self) -> dict[str, Any]:
        """Means over series and origins that every forecaster answered, with the gain over the seasonal naive one."""
        names = self.tried.names
        whole = np.all([~np.isnan(self.errors(name)) for name in ("", *names)], axis=0)

        def mean(errors: Float64Array) -> float:
            return float(errors[whole].mean()) if whole.any() else float("nan")

        naive, own = mean(self.errors(NAIVE)), mean(self.errors())
        rough, fine = (np.sqrt(mean(self.squared(name))) for name in (NAIVE, ""))
        return {
            "series": self.chosen.shape[1],
            "tests": len(self.chosen),
            "mase": {"chosen": _short(own), **{name: _short(mean(self.errors(name))) for name in names}},
            "mase_gain": _short(1 - own / naive),
            "rmsse_of_mean": {"chosen": _short(fine), NAIVE: _short(rough)},
            "rmsse_gain": _short(1 - fine / rough),
            "coverage": _short(float(np.nanmean(self.covered))),
            "coverage_by_origin": [_short(float(np.nanmean(row))) for row in self.covered],
            "level": self.level,
            "chosen": dict(zip(names, np.bincount(self.chosen.ravel(), minlength=len(names)).tolist(), strict=True)),
        }


def trial(
    panel: Panel, settings: ForecastSettings, *, tests: int = 4, progress: Report = lambda step, fraction: None
) -> Trial:
    """Forecast from the last ``tests`` origins, each by what was chosen and measured on the origins before it."""
    competitors, _ = forecasters(panel, settings)
    horizon = settings.horizon
    origins = origins_of(panel.length, horizon, settings.origins + tests)
    learn = partial(learn_calendar, countries=settings.countries)
    tried = backtest(panel, competitors, learn, horizon, origins, once=NETWORKS, report=progress)
    chosen, chosen_mean, covered = [], [], []
    own = np.arange(len(panel))
    for place in range(len(origins) - tests, len(origins)):
        before = tried.window(place - settings.origins, place)
        chosen.append(choose(before.absolute))
        chosen_mean.append(choose(before.squared))
        paths = Paths(
            tried.mean[chosen_mean[-1], own, place].astype(np.float64),
            tried.median[chosen[-1], own, place].astype(np.float64),
        )
        known = panel.until(int(origins[place]))
        told = assembled(
            known, before, chosen=chosen[-1], chosen_mean=chosen_mean[-1], paths=paths, level=settings.level
        )
        truth = tried.truth[:, place]
        # A day exactly on a bound is inside; truth has the precision of what is compared with it.
        inside = (truth >= told.lower - 1e-6) & (truth <= told.upper + 1e-6)
        days = (~np.isnan(truth)).sum(axis=1)
        covered.append(np.where(days > 0, (inside & ~np.isnan(truth)).sum(axis=1) / np.maximum(days, 1), np.nan))
    return Trial(tried, np.array(chosen), np.array(chosen_mean), np.array(covered), settings.level)


def _short(value: float) -> float:
    return round(float(value), 4)

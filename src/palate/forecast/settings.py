"""How demand is counted and forecast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from palate.core import Settings

MODELS = (
    "seasonal_naive",
    "smoothing_7",
    "smoothing_28",
    "smoothing_91",
    "croston",
    "tsb",
    "adida",
    "ets",
    "arima",
    "lstm",
    "gru",
)
"""Every forecaster, the simplest first; of two that are equally good the earlier one is chosen."""


class SeriesSettings(Settings):
    """How events become daily series.

    Parameters
    ----------
    kind
        The kind of event that is demand; "": purchase, else the most frequent kind that speaks for an item.
    returns
        ``ignore``: what came back was wanted when it was bought; ``subtract``: net of what came back, so that days may
        be negative.
    time_zone
        Where a day begins and ends, an IANA name; days of 23 and 25 hours are days like others.
    gap_days
        So many days in a row without any event, where there is one on almost every such day, are a gap in the record
        and not days of no demand.
    most_days
        Older days are not looked at.
    """

    kind: str = ""
    returns: Literal["ignore", "subtract"] = "ignore"
    time_zone: str = "UTC"
    gap_days: Annotated[int, Field(ge=1)] = 2
    most_days: Annotated[int, Field(ge=1)] = 1_100


class ForecastSettings(Settings):
    """How series are forecast.

    Parameters
    ----------
    horizon
        Days ahead.
    origins
        Moments in the past from which the same number of days was forecast to choose models and set intervals.
    level
        Share of days that an interval covers.
    models
        Which forecasters compete (see ``MODELS``); empty: those that the number of series leaves time for.
    most_classical
        Series up to which ETS, ARIMA and the intermittent methods, which look at one series at a time, compete.
    countries
        Calendars of public holidays (ISO 3166 codes that the library ``holidays`` knows).
    seed
        Everything drawn by chance follows from it.
    """

    horizon: Annotated[int, Field(ge=1, le=366)] = 28
    origins: Annotated[int, Field(ge=1, le=24)] = 4
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    models: tuple[str, ...] = ()
    most_classical: Annotated[int, Field(ge=0)] = 60
    countries: tuple[str, ...] = ("US", "GB", "CN")
    seed: int = 0

    @field_validator("models")
    @classmethod
    def _known(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(models) - set(MODELS))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such forecaster. Known: {', '.join(MODELS)}")
        return tuple(name for name in MODELS if name in models)

"""What demand will be: daily series of items, categories, segments and regions, forecast with intervals that add up."""

from palate.forecast.forecasting import forecast
from palate.forecast.panel import Panel
from palate.forecast.result import Forecast
from palate.forecast.series import LEVELS, By, daily
from palate.forecast.settings import MODELS, ForecastSettings, SeriesSettings

__all__ = [
    "LEVELS",
    "MODELS",
    "By",
    "Forecast",
    "ForecastSettings",
    "Panel",
    "SeriesSettings",
    "daily",
    "forecast",
]

"""The route that says what demand will be: of an item, a category, or of everything."""

from __future__ import annotations

import threading
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from palate.forecast import Forecast, ForecastSettings, daily, forecast
from palate.forecast.words import in_words
from palate.serving.answers import json_response
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.responses import Forecasted
from palate.serving.schemas import Language

HORIZON = 28

Kind = Annotated[Literal["item", "category", "total"], Path(description="What the series is of.")]
SeriesId = Annotated[str, Path(min_length=1, max_length=256, description='Its name; "total" for everything.')]
Horizon = Annotated[int, Query(ge=1, le=HORIZON, description="Days ahead.")]
_DOCUMENTED: dict[int | str, dict[str, Any]] = {200: {"model": Forecasted}, **documented(400, 401, 404, 422)}


class Forecasts:
    """Forecasts of all series of a kind, made when the first is asked for, over what the engine was trained on.

    Only forecasters that answer for all series at once: 20,000 series take seconds, once.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._made: dict[str, tuple[str, Forecast]] = {}
        self._making = threading.Lock()

    def of(self, kind: Literal["item", "category", "total"]) -> Forecast:
        """All series of a kind; at most one forecast a kind is held."""
        with self._making:
            engine = self._live.engine
            version, made = self._made.get(kind, ("", None))
            if made is None or version != engine.version:
                made = forecast(daily(engine.dataset, kind), ForecastSettings(horizon=HORIZON, most_classical=0))
                self._made[kind] = (engine.version, made)
            return made


def router(live: Live) -> APIRouter:
    """The route, over a live engine."""
    routes = APIRouter(tags=["forecast"])
    forecasts = Forecasts(live)

    @routes.get(
        "/v1/forecast/{kind}/{series_id:path}",
        responses=_DOCUMENTED,
        summary="Demand on the days after the training data, with bounds that cover nine days in ten.",
    )
    async def demand(
        kind: Kind, series_id: SeriesId, horizon: Horizon = HORIZON, language: Language = "en"
    ) -> Response:
        made = await live.elsewhere(lambda: forecasts.of(kind))
        return json_response({**made.of(series_id, horizon), "notes": in_words(made.notes, language)})

    return routes

"""The route that says what somebody will do next, and how likely; it learns on demand, beside recommendations."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field, model_validator
from starlette.responses import Response

from palate.serving.answers import json_response
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.responses import Predictions
from palate.serving.schemas import Id, Language, Moment, PastEvent, Request

Behaviour = Literal["view", "click", "purchase", "rating"]
Price = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class PredictRequest(Request):
    """About whom, about what, and when."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "u42", "items": ["i17", "i99"], "kinds": ["purchase"], "inputs": 5},
                {"history": [{"item_id": "i17", "kind": "view"}], "items": ["i99"], "prices": [19.9]},
            ]
        }
    )

    items: list[Id] = Field(min_length=1, max_length=100, description="About these items.")
    user_id: Id | None = Field(None, description="Whom; somebody unknown did nothing yet.")
    history: list[Id | PastEvent] | None = Field(
        None, max_length=1_000, description="What the person did, oldest first; instead of what is stored."
    )
    kinds: list[Behaviour] | None = Field(
        None, min_length=1, max_length=4, description="Which behaviours; all that the data taught where left out."
    )
    prices: list[Price | None] | None = Field(
        None, max_length=100, description="Asked now, one an item; list prices where left out."
    )
    when: Moment | None = Field(None, description="The moment asked about; now where left out.")
    inputs: int = Field(0, ge=0, le=20, description="How many inputs behind each probability to name.")
    language: Language = "en"

    @model_validator(mode="after")
    def _a_price_an_item(self) -> PredictRequest:
        if self.prices is not None and len(self.prices) != len(self.items):
            raise ValueError(f"{len(self.prices)} prices for {len(self.items)} items; give one an item, or none")
        if self.history is not None and self.user_id is not None:
            raise ValueError("a history or a user_id, not both")
        return self


def router(live: Live) -> APIRouter:
    """The route, over a live engine."""
    routes = APIRouter(tags=["predictions"])

    @routes.post(
        "/v1/predict",
        responses={200: {"model": Predictions}, **documented(400, 401, 404, 413, 415, 422, 503)},
        summary="How likely is this person to view, click, buy or rate highly? With intervals.",
    )
    async def predict(asked: PredictRequest) -> Response:
        started = time.perf_counter()
        engine = live.engine
        history: list[Any] | None = None
        if asked.history is not None:
            history = [one if isinstance(one, str) else one.model_dump(exclude_none=True) for one in asked.history]
        user = None if asked.user_id is None else live.known_as(asked.user_id)
        found = await live.elsewhere(
            lambda: engine.predict(
                asked.items,
                user,
                history=history,
                kinds=asked.kinds,
                prices=asked.prices,
                when=asked.when,
                inputs=asked.inputs,
                language=asked.language,
            )
        )
        told = asdict(found)
        predictions = [{"id": own.pop("item"), **own} for own in told.pop("predictions")]
        return json_response(
            {
                "model_version": engine.version,
                "took_ms": (time.perf_counter() - started) * 1e3,
                "predictions": predictions,
                **told,
            }
        )

    return routes

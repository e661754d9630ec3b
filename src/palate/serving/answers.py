"""Routes that answer: recommend, similar, explain. ``recommend`` is the hot path and stays thin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import is_dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from palate.core import UnknownIdError
from palate.serving.live import Live
from palate.serving.metrics import Metrics
from palate.serving.problems import documented
from palate.serving.responses import Explained, Recommendations
from palate.serving.schemas import Language, PastEvent, Range, RecommendRequest
from palate.serving.settings import ServingSettings

T = TypeVar("T")
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
ItemId = Annotated[str, Path(min_length=1, max_length=256, description="An item's id.")]
UserId = Annotated[str | None, Query(min_length=1, max_length=256)]
Count = Annotated[int, Query(ge=1, le=200)]


def json_response(values: Any) -> Response:
    """Plain values as a JSON answer, not checked twice."""
    return Response(orjson.dumps(values, default=_plain, option=_JSON), media_type="application/json")


def router(live: Live, settings: ServingSettings, metrics: Metrics) -> APIRouter:
    """The answering routes over a live engine."""
    routes = APIRouter(tags=["answers"])
    # Reading words and explaining take long enough to be felt by others, so they leave the event loop.
    slow = ThreadPoolExecutor(2, thread_name_prefix="palate-answer")

    async def elsewhere(work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(slow, work)

    def answered(answer: Any, properties: bool, **note: Any) -> Response:
        name = live.note_answer(answer, **note) if settings.log_answers else ""
        metrics.items.inc(len(answer.items))
        if answer.degraded:
            metrics.degraded.inc()
        return json_response(_body(name, answer, properties))

    @routes.post(
        "/v1/recommend",
        responses={200: {"model": Recommendations}, **documented(400, 401, 404, 413, 415, 422, 503)},
        summary="What should this person see?",
    )
    async def recommend(asked: RecommendRequest) -> Response:
        question = _question(asked)
        user = None if asked.user_id is None else live.known_as(asked.user_id)
        engine = live.engine
        if asked.text or asked.explain:
            answer = await elsewhere(lambda: engine.recommend(user, asked.count, **question))
        else:
            answer = engine.recommend(user, asked.count, **question)
        return answered(
            answer,
            asked.return_properties,
            user_id=asked.user_id,
            scenario=asked.scenario,
            personal=_told(asked),
        )

    @routes.get(
        "/v1/similar/{item_id:path}",
        responses={200: {"model": Recommendations}, **documented(401, 404, 422, 503)},
        summary="What is like this item?",
    )
    async def similar(item_id: ItemId, count: Count = 10, return_properties: bool = False) -> Response:
        _known(live, item_id)
        answer = await elsewhere(lambda: live.engine.similar(item_id, count))
        return answered(answer, return_properties, scenario="similar")

    @routes.get(
        "/v1/explain/{item_id:path}",
        responses={200: {"model": Explained}, **documented(401, 404, 422, 503)},
        summary="Why is this item scored as it is?",
    )
    async def explain(item_id: ItemId, user_id: UserId = None, language: Language = "en") -> Response:
        _known(live, item_id)
        user = None if user_id is None else live.known_as(user_id)
        explanation = await elsewhere(lambda: live.engine.explain(item_id, user, language=language))
        return json_response({name: getattr(explanation, name) for name in Explained.model_fields})

    return routes


def _question(asked: RecommendRequest) -> dict[str, Any]:
    """A request in the engine's words; only what was said, so that the engine's defaults stay the engine's."""
    question: dict[str, Any] = {"explain": asked.explain, "language": asked.language}
    if asked.history is not None:
        question["history"] = [
            event.model_dump(exclude_none=True) if isinstance(event, PastEvent) else event for event in asked.history
        ]
    if asked.text:
        question["text"] = asked.text
    if asked.filter:
        question["filter"] = {
            name: wanted.model_dump(exclude_none=True) if isinstance(wanted, Range) else wanted
            for name, wanted in asked.filter.items()
        }
    if asked.exclude_ids:
        question["exclude"] = asked.exclude_ids
    if asked.candidates is not None:
        question["candidates"] = asked.candidates
    if asked.context is not None:
        question["context"] = asked.context.model_dump(exclude_none=True)
    if asked.diversity is not None:
        question["diversity"] = asked.diversity
    if asked.scenario is not None:
        question["scenario"] = asked.scenario
    return question


def _told(asked: RecommendRequest) -> dict[str, Any] | None:
    """What a question tells of the asker: the words, the place, the device, the told history, what is filtered for."""
    if not (asked.text or asked.history or asked.context or asked.filter):
        return None
    return asked.model_dump(include={"text", "context", "history", "filter"}, exclude_defaults=True, exclude_none=True)


def _known(live: Live, item_id: str) -> None:
    if item_id not in live.engine.catalogue.ids:
        raise UnknownIdError(f"unknown item {item_id!r}")


def _body(name: str, answer: Any, properties: bool) -> dict[str, Any]:
    return {
        "recommendation_id": name,
        "model_version": answer.model_version,
        "degraded": answer.degraded,
        "took_ms": round(answer.took_ms, 3),
        "items": [
            {
                "id": item.item,
                "score": item.score,
                "source": item.source,
                "reasons": [
                    {"kind": reason.kind, "text": reason.text, "weight": reason.weight, "item": reason.item}
                    for reason in item.reasons
                ],
                "properties": item.properties if properties else {},
            }
            for item in answer.items
        ],
    }


def _plain(value: Any) -> Any:
    """What orjson does not know by itself."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return str(value)

"""The route that asks back: which few items a newcomer should be asked about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from palate.serving.answers import json_response
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.responses import Questions
from palate.serving.schemas import Comparison, Id, Name, Request, Wanted


class Answered(Request):
    """One question that was answered."""

    item_id: Id
    liked: bool = False


class QuestionsRequest(Request):
    """What is known of a newcomer so far; everything may be left out."""

    user_id: Id | None = Field(None, description="What this person already did counts as answered with yes.")
    answered: list[Answered] = Field(default_factory=list, max_length=200, description="Every answer so far.")
    count: int = Field(1, ge=1, le=20, description="How many questions; one at a time makes the most of each answer.")
    recommend: int = Field(0, ge=0, le=200, description="Items to recommend already, yes and no made use of.")
    filter: dict[Name, Wanted] | None = Field(None, max_length=20, description="Ask only about items like these.")


def router(live: Live) -> APIRouter:
    """The asking route over a live engine."""
    routes = APIRouter(tags=["answers"])

    @routes.post(
        "/v1/questions",
        responses={200: {"model": Questions}, **documented(400, 401, 404, 413, 415, 422, 503)},
        summary="Which items should this newcomer be asked about next?",
    )
    async def questions(asked: QuestionsRequest) -> Response:
        started = time.perf_counter()
        user = None if asked.user_id is None else live.known_as(asked.user_id)
        answered = {answer.item_id: answer.liked for answer in asked.answered}
        conditions: dict[str, Any] = {
            name: wanted.model_dump(exclude_none=True, by_alias=True) if isinstance(wanted, Comparison) else wanted
            for name, wanted in (asked.filter or {}).items()
        }
        engine = live.engine
        found = await live.elsewhere(lambda: engine.ask(asked.count, answered=answered, user=user, filter=conditions))
        items: Sequence[Any] = ()
        if asked.recommend:
            items = await live.elsewhere(lambda: engine.recommend_to_newcomer(answered, asked.recommend, user=user))
        return json_response(
            {
                "model_version": live.engine.version,
                "took_ms": (time.perf_counter() - started) * 1e3,
                "questions": [{"id": one.item, "title": one.title, "chance": one.chance} for one in found],
                "items": [{"id": one.item, "score": one.score} for one in items],
            }
        )

    return routes

"""Routes that take in: events, items, users. Idempotent, in batches, with a verdict for every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from palate.serving.answers import json_response
from palate.serving.live import Live, RowFate
from palate.serving.metrics import Metrics
from palate.serving.problems import documented, problem
from palate.serving.responses import Verdicts
from palate.serving.schemas import EventsRequest, ItemsRequest, UsersRequest

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Verdicts},
    **documented(400, 401, 404, 413, 415, 422, 503),
}


def router(live: Live, metrics: Metrics) -> APIRouter:
    """The routes that take in, over a live engine."""
    routes = APIRouter(tags=["feedback"])

    def settled(sort: str, fates: Sequence[RowFate]) -> Response:
        for fate in fates:
            metrics.rows(sort, fate.status)
        counts = Counter(fate.status for fate in fates)
        if counts["rejected"] == len(fates):
            mistakes = [
                {"at": f"{sort}s.{place}", "problem": fate.reason or "rejected"} for place, fate in enumerate(fates)
            ]
            unknown = all((fate.reason or "").startswith("unknown item") for fate in fates)
            detail = f"{mistakes[0]['at']}: {mistakes[0]['problem']}. Nothing was taken."
            return problem(
                404 if unknown else 422, detail, name="unknown-id" if unknown else "rejected", errors=mistakes
            )
        return json_response(
            {
                "accepted": counts["accepted"],
                "duplicate": counts["duplicate"],
                "rejected": counts["rejected"],
                "results": [{"id": fate.id, "status": fate.status, "reason": fate.reason} for fate in fates],
            }
        )

    @routes.post("/v1/events", responses=_RESPONSES, summary="This happened. The next answer knows it.")
    async def events(asked: EventsRequest) -> Response:
        return settled("event", await live.take_events(asked.events))

    @routes.post("/v1/items", responses=_RESPONSES, summary="This exists now. It can be recommended at once.")
    async def items(asked: ItemsRequest) -> Response:
        return settled("item", await live.take_items(asked.items))

    @routes.post("/v1/users", responses=_RESPONSES, summary="This is known of a person.")
    async def users(asked: UsersRequest) -> Response:
        return settled("user", await live.take_users(asked.users))

    return routes

"""Routes on which people see what is known of them, and correct it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from palate.core import UnknownIdError
from palate.serving.answers import json_response
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.responses import Profile
from palate.serving.schemas import CorrectionRequest, Language

PersonId = Annotated[
    str, Path(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$", description="A person's id.")
]
_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"model": Profile},
    **documented(400, 401, 404, 413, 415, 422, 503),
}


def router(live: Live) -> APIRouter:
    """The routes about people, over a live engine."""
    routes = APIRouter(tags=["people"])

    async def told(user_id: str, language: str) -> Response:
        name = live.known_as(user_id)
        try:
            portrait = await live.elsewhere(lambda: live.engine.portrait(name, language))
        except UnknownIdError:
            # The engine knows pseudonyms, which are nobody's business; ids stay out of what may be written down.
            raise UnknownIdError("nobody is known under this id yet; one event of theirs is enough") from None
        return json_response(asdict(portrait))

    @routes.get("/v1/users/{user_id:path}/profile", responses=_DOCUMENTED, summary="What is known of this person?")
    async def profile(user_id: PersonId, language: Language = "en") -> Response:
        return await told(user_id, language)

    @routes.patch(
        "/v1/users/{user_id:path}/profile",
        responses=_DOCUMENTED,
        summary="This is how the person corrects it. The next answer follows.",
    )
    async def correct(user_id: PersonId, asked: CorrectionRequest, language: Language = "en") -> Response:
        changes = asked.model_dump()
        await live.take_corrections(user_id, lambda edits: edits.changed(**changes))
        return await told(user_id, language)

    return routes

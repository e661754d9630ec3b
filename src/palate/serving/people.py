"""Routes on which people see what is known of them, and correct it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from palate.core import UnknownIdError
from palate.pricing.quoting import Quoter
from palate.privacy import REMAINS
from palate.serving.answers import json_response
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.schemas import CorrectionRequest, Language

PersonId = Annotated[
    str, Path(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$", description="A person's id.")
]


class Profile(BaseModel):
    """What is known of a person, and how they corrected it."""

    sentence: str = Field(description="Habits in one sentence.")
    summary: str = Field(description="Interests in one sentence, the strongest first.")
    table: dict[str, Any] = Field(description="Habits as values: frequency, recency, spend, prices, categories, kinds.")
    interests: list[dict[str, Any]] = Field(description="name, share, events, first, last, mood (-1 to 1), items.")
    muted: list[str]
    added: list[str]
    branch: str = Field(description="Whether interests rest on texts or on engineered features, and why.")


class Forgotten(BaseModel):
    """Somebody is forgotten."""

    forgotten: bool
    remains: str = Field(description="What stays, and why it leads to nobody.")


_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"model": Profile},
    **documented(400, 401, 404, 413, 415, 422, 503),
}


def router(live: Live, quoter: Quoter | None) -> APIRouter:
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

    @routes.delete(
        "/v1/users/{user_id:path}",
        responses={200: {"model": Forgotten}, **documented(400, 401, 404, 422, 503)},
        summary="Forget this person.",
    )
    async def forget(user_id: PersonId, language: Language = "en") -> Response:
        known = await live.forget(user_id)
        if quoter is not None:
            person, forget = live.log.vault.pseudonym(user_id), quoter.forget
            known = await live.elsewhere(lambda: forget(person)) or known
        if not known:
            raise UnknownIdError("nobody is known under this id; there is nothing to forget")
        return json_response({"forgotten": True, "remains": REMAINS[language]})

    return routes

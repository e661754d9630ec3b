"""Routes of prices: quote, explain, refuse, and the rules by which they are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import AliasChoices, ConfigDict, Field
from starlette.responses import Response

from palate.core import UnknownIdError
from palate.pricing.asking import MOST_ITEMS, Question, Quote
from palate.pricing.configuration import CLOCK
from palate.pricing.explaining import explained
from palate.pricing.packs import rules
from palate.pricing.quoting import Quoter, open_or_off
from palate.serving.answers import Pricer, json_response
from palate.serving.experimenting import Conductor
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.responses import PriceExplained, PriceRules, PricesRefused, Quoted
from palate.serving.schemas import Id, Language, PriceTerms, RecommendRequest, Request
from palate.serving.swift import SwiftRoute

Jurisdiction = Annotated[
    str, Query(max_length=16, description="ISO 3166, such as CN or US-NY; the shop's own if empty.")
]
DecisionId = Annotated[str, Path(pattern=r"^q_[0-9a-f]{32}$", description="Of a quote.")]


class PriceRequest(PriceTerms):
    """What should these cost, for whom, where."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": ["i17"], "jurisdiction": "DE"},
                {
                    "user_id": "u42",
                    "items": ["i17", "i3"],
                    "jurisdiction": "US-NY",
                    "consent": True,
                    "context": {"session": "s1", "inputs": {"loyalty": 0.4}},
                },
            ]
        }
    )

    user_id: Id | None = Field(
        None,
        validation_alias=AliasChoices("user_id", "user"),
        description="Who asks. Without one nothing personal enters. `user` is understood too.",
    )
    items: list[Id] = Field(min_length=1, max_length=MOST_ITEMS, description="Ids, each once.")
    language: Language = Field("en", description="Language of what is disclosed.")


class RefusalRequest(Request):
    """Somebody refuses personal prices, or no longer does."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": "u42", "refused": True}]})

    user_id: Id
    refused: bool = True


def asked_for(live: Live, user: str | None, items: tuple[str, ...], terms: PriceTerms, language: str) -> Question:
    """A question in the words of the pricing room."""
    context = terms.context
    return Question(
        items,
        person="" if user is None else live.log.vault.pseudonym(user),
        told={} if context is None else {name: float(value) for name, value in context.inputs.items()},
        session="" if context is None else context.session,
        segment="" if context is None else context.segment,
        jurisdiction=terms.jurisdiction or None,
        consent=terms.consent,
        currency="" if context is None else context.currency,
        language=language,
    )


def open_quoter(quoter: Quoter | None) -> Quoter:
    """The quoter, where there is one.

    Raises
    ------
    UsageError
        Prices are off.
    """
    open_or_off(None if quoter is None else quoter.settings)
    assert quoter is not None  # noqa: S101 - refused above
    return quoter


async def quoted(
    live: Live, quoter: Quoter | None, conductor: Conductor | None, question: Question, user: str | None
) -> Quote:
    """A quote, by the arms of experiments where some are on.

    It is made outside the event loop where the engine has to be asked for its score of a user.
    """
    shop = open_quoter(quoter)
    if conductor is not None and conductor.tries_prices:
        question = dealt(live, shop, conductor, question, user)
    if user is not None and question.consent and shop.asks_engine:
        known = replace(question, user=live.known_as(user))
        return await live.elsewhere(lambda: shop.quote(known))
    return shop.quote(question)


def dealt(live: Live, quoter: Quoter, conductor: Conductor, question: Question, user: str | None) -> Question:
    """A question whose items were dealt to arms; what the catalogue does not hold takes no part."""
    question.check(quoter.settings.currency)  # who asks what makes no sense is exposed to nothing
    ids = live.engine.catalogue.ids
    known = [item for item in question.items if item in ids]
    arms = conductor.price_arms(user, known, apart=quoter.may_be_personal(question))
    if not arms:
        return question
    found = dict(zip(known, arms, strict=True))
    return replace(question, arms=tuple(found.get(item) for item in question.items))


def pricer(live: Live, quoter: Quoter | None, conductor: Conductor | None = None) -> Pricer:
    """Prices what was recommended, in the terms of the request."""

    async def priced(asked: RecommendRequest, answer: Any) -> Quote:
        items = tuple(item.item for item in answer.items)
        terms = asked.pricing or PriceTerms()
        question = asked_for(live, asked.user_id, items, terms, asked.language)
        return await quoted(live, quoter, conductor, question, asked.user_id)

    return priced


def asked(live: Live, quoter: Quoter | None, conductor: Conductor | None = None) -> APIRouter:
    """The route that is asked most; without a quoter it says that prices are off."""
    routes = APIRouter(tags=["prices"], route_class=SwiftRoute)

    @routes.post(
        "/v1/price",
        responses={200: {"model": Quoted}, **documented(400, 401, 413, 415, 422, 503)},
        summary="What do these cost, here, now, for this person?",
    )
    async def price(asked: PriceRequest) -> Response:
        question = asked_for(live, asked.user_id, tuple(asked.items), asked, asked.language)
        quote = await quoted(live, quoter, conductor, question, asked.user_id)
        return Response(quote.body, media_type="application/json")

    return routes


def router(live: Live, quoter: Quoter | None) -> APIRouter:
    """The other routes over a live engine; without a quoter they say that prices are off."""
    routes = APIRouter(tags=["prices"])

    @routes.get(
        "/v1/price/rules",
        responses={200: {"model": PriceRules}, **documented(401, 422)},
        summary="By which rules are prices made?",
    )
    async def page(jurisdiction: Jurisdiction = "", language: Language = "en") -> Response:
        shop = open_quoter(quoter)
        settings = shop.settings
        guard = settings.guard.model_dump(exclude={"segments"})
        return json_response(
            {
                "policy": shop.policy.name,
                "model": shop.model,
                "currency": settings.currency,
                "valid_seconds": settings.valid_seconds,
                "inputs": [
                    {"name": each.name, "source": each.source, "personal": each.from_person} for each in settings.inputs
                ],
                "bounds": guard,
                "clock_inputs": list(CLOCK),
                "law": rules(shop.packs.of(jurisdiction or settings.jurisdiction), language),
            }
        )

    @routes.get(
        "/v1/price/{decision_id}/explain",
        responses={200: {"model": PriceExplained}, **documented(401, 404, 422, 503)},
        summary="Why was this the price?",
    )
    async def explain(decision_id: DecisionId, language: Language = "en") -> Response:
        shop = open_quoter(quoter)

        def told() -> dict[str, Any]:
            decision = shop.log.find(decision_id)
            if decision is None:
                raise UnknownIdError(f"no decision is called {decision_id!r}; it may be older than what is kept")
            then, repeated = shop.repeated(decision)
            pack = shop.packs.by_id.get(str(decision.facts.get("pack")))
            return explained(decision, then, repeated, pack, language)

        return json_response(await live.elsewhere(told))

    @routes.post(
        "/v1/price/opt-out",
        responses={200: {"model": PricesRefused}, **documented(400, 401, 413, 415, 422, 503)},
        summary="This person refuses personal prices, from the next price on.",
    )
    async def refuse(asked: RefusalRequest) -> Response:
        shop = open_quoter(quoter)
        person = live.log.vault.pseudonym(asked.user_id)
        await live.elsewhere(lambda: shop.refuse(person, asked.refused))
        return json_response({"user_id": asked.user_id, "refused": asked.refused})

    return routes

"""Routes that answer: recommend, similar, explain. ``recommend`` is the hot path and stays thin."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from palate.pricing.asking import Quote
from palate.serving.crowd import Crowd
from palate.serving.experimenting import Conductor, Serving
from palate.serving.live import Live
from palate.serving.memory import Memory
from palate.serving.metrics import Metrics
from palate.serving.problems import documented
from palate.serving.responses import Explained, Recommendations
from palate.serving.schemas import Comparison, Language, Likeness, Name, PastEvent, RecommendRequest
from palate.serving.settings import ServingSettings

_SIMPLE = frozenset(
    {"user_id", "visitor_id", "count", "scenario", "explain", "return_properties", "language", "diversity"}
)
_PLAIN = _SIMPLE - {"scenario"}
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
ItemId = Annotated[str, Path(min_length=1, max_length=256, description="An item's id.")]
UserId = Annotated[str | None, Query(min_length=1, max_length=256)]
Count = Annotated[int, Query(ge=1, le=200)]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer with everything written out that does not change when it is given again."""

    answer: Any
    body: bytes
    quote: Quote | None = None

    @classmethod
    def of(
        cls, answer: Any, properties: bool, quote: Quote | None = None, experiment: dict[str, str] | None = None
    ) -> Prepared:
        """Write an answer out, with the items' properties or without, with their prices or without."""
        priced = {} if quote is None else quote.as_json()
        prices = {line["item_id"]: {"price": line} for line in priced.pop("prices", ())}
        body = {
            "model_version": answer.model_version,
            "degraded": answer.degraded,
            **({} if answer.choice is None else {"mix": answer.choice.mix}),
            **({} if answer.strategy is None else {"strategy": answer.strategy}),
            **({} if answer.narration is None else {"narration": answer.narration}),
            **({"pricing": priced} if priced else {}),
            **({} if experiment is None else {"experiment": experiment}),
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
                    **({} if item.story is None else {"story": item.story}),
                    **prices.get(item.item, {}),
                }
                for item in answer.items
            ],
        }
        return cls(answer, orjson.dumps(body, default=_plain, option=_JSON), quote)

    def response(self, name: str, took_ms: float) -> Response:
        """The answer under its own recommendation id; ``took_ms`` is how long this asker waited for it."""
        head = b'{"recommendation_id":"%b","took_ms":%.3f,' % (name.encode(), took_ms)
        return Response(head + self.body[1:], media_type="application/json")


def json_response(values: Any) -> Response:
    """Plain values as a JSON answer, not checked twice."""
    return Response(orjson.dumps(values, default=_plain, option=_JSON), media_type="application/json")


Pricer = Callable[[RecommendRequest, Any], Awaitable[Quote]]
"""Prices what was recommended."""


def router(
    live: Live, settings: ServingSettings, metrics: Metrics, priced: Pricer, conductor: Conductor | None = None
) -> APIRouter:
    """The answering routes over a live engine."""
    routes = APIRouter(tags=["answers"])
    crowd = Crowd(live)
    memory: Memory[Prepared] = Memory(settings.remembered_answers, settings.remembered_seconds)

    def answered(prepared: Prepared, started: float, **note: Any) -> Response:
        answer = prepared.answer
        name = live.note_answer(answer, quote=prepared.quote, **note) if settings.log_answers else ""
        metrics.items.inc(len(answer.items))
        if answer.degraded:
            metrics.degraded.inc()
        return prepared.response(name, (time.perf_counter() - started) * 1e3)

    @routes.post(
        "/v1/recommend",
        responses={200: {"model": Recommendations}, **documented(400, 401, 404, 413, 415, 422, 503)},
        summary="What should this person see?",
    )
    async def recommend(asked: RecommendRequest) -> Response:
        started = time.perf_counter()
        who = asked.user_id or asked.visitor_id
        user = None if who is None else live.known_as(who)
        serving = None if conductor is None else conductor.serving(asked)
        mix, strategy = (None, None) if serving is None else (serving.parameters.mix, serving.parameters.strategy)
        # Where a bandit draws, the same question may be answered otherwise the next time.
        drawn = live.engine.draws and mix is None
        key = None if drawn or strategy is not None else _key(asked, user, serving)
        # Taken before the answer is worked out: what happens meanwhile must not pass for known.
        state = live.state_of(user)
        prepared = memory.get(key, state) if key is not None else None
        if prepared is None:
            engine, question = live.engine, _question(asked)
            if asked.strategy is not None or strategy is not None:
                wanted = (asked.strategy or strategy).model_dump(exclude_none=True)  # type: ignore[union-attr]
                answer = await live.apart(
                    lambda free: engine.pursue(user, asked.count, strategy=wanted, generate=free, **question)
                )
            elif not asked.explain and asked.model_fields_set <= _PLAIN:
                answer = await crowd.ask(user, asked.count, asked.diversity, mix)
            elif asked.text or question["explain"] or live.busy:
                answer = await live.elsewhere(lambda: engine.recommend(user, asked.count, mix=mix, **question))
            else:
                answer = engine.recommend(user, asked.count, mix=mix, **question)
            if asked.narrate:
                answer = await narrated(live, answer, asked.language)
            quote = None if asked.pricing is None or not answer.items else await priced(asked, answer)
            prepared = Prepared.of(answer, asked.return_properties, quote, serving.note if serving else None)
            if key is not None:
                memory.put(key, state, prepared)
        else:
            metrics.remembered.inc()
        return answered(
            prepared,
            started,
            user_id=who,
            scenario=asked.scenario,
            personal=_told(asked),
            experiment=serving.note if serving else None,
        )

    @routes.get(
        "/v1/similar/{item_id:path}",
        responses={200: {"model": Recommendations}, **documented(401, 404, 422, 503)},
        summary="What is like this item, goes with it, or could stand in its place?",
    )
    async def similar(
        item_id: ItemId,
        count: Count = 10,
        kind: Likeness = "any",
        language: Language = "en",
        return_properties: bool = False,
    ) -> Response:
        _known(live, item_id)
        started = time.perf_counter()
        answer = await live.elsewhere(lambda: live.engine.similar(item_id, count, kind=kind, language=language))
        return answered(Prepared.of(answer, return_properties), started, scenario="similar")

    @routes.get(
        "/v1/explain/{item_id:path}",
        responses={200: {"model": Explained}, **documented(401, 404, 422, 503)},
        summary="Why is this item scored as it is?",
    )
    async def explain(
        item_id: ItemId,
        user_id: UserId = None,
        *,
        when: Annotated[
            float | None, Query(ge=0, le=4_102_444_800, description="Seconds since 1970 UTC; now where left out.")
        ] = None,
        place: Annotated[Name | None, Query(description="Where it is asked, as events name it.")] = None,
        device: Annotated[Name | None, Query(description="What it is asked with.")] = None,
        language: Language = "en",
        narrate: bool = False,
    ) -> Response:
        _known(live, item_id)
        user = None if user_id is None else live.known_as(user_id)
        context = _said(when=when, place=place, device=device)
        explanation = await live.elsewhere(
            lambda: live.engine.explain(item_id, user, context=context, language=language)
        )
        if narrate:
            explanation = await narrated(live, explanation, language)
        return json_response({name: getattr(explanation, name) for name in Explained.model_fields})

    return routes


def _said(**context: float | str | None) -> dict[str, Any]:
    return {name: value for name, value in context.items() if value is not None}


async def narrated(live: Live, told: Any, language: str) -> Any:
    """The same with its reasons in words, where a text generator may keep it waiting."""
    return await live.apart(lambda free: live.engine.narrate(told, generate=free, language=language))


def _question(asked: RecommendRequest) -> dict[str, Any]:
    """A request in the engine's words; only what was said, so that the engine's defaults stay the engine's."""
    question: dict[str, Any] = {"explain": asked.explain or asked.narrate, "language": asked.language}
    if asked.history is not None:
        question["history"] = [
            event.model_dump(exclude_none=True) if isinstance(event, PastEvent) else event for event in asked.history
        ]
    if asked.text:
        question["text"] = asked.text
    if asked.filter:
        question["filter"] = {
            name: wanted.model_dump(exclude_none=True, by_alias=True) if isinstance(wanted, Comparison) else wanted
            for name, wanted in asked.filter.items()
        }
    if asked.exclude_ids:
        question["exclude"] = asked.exclude_ids
    if asked.candidates is not None:
        question["candidates"] = asked.candidates
    if asked.as_shown:
        question["as_shown"] = True
    if asked.prices is not None:
        question["prices"] = asked.prices
    if asked.context is not None:
        question["context"] = asked.context.model_dump(exclude_none=True)
    if asked.diversity is not None:
        question["diversity"] = asked.diversity
    if asked.objectives is not None:
        question["objectives"] = asked.objectives.model_dump(exclude_none=True)
    if asked.scenario is not None:
        question["scenario"] = asked.scenario
    return question


def _told(asked: RecommendRequest) -> dict[str, Any] | None:
    """What a question tells of the asker: the words, the place, the device, the told history, what is filtered for."""
    if not (asked.text or asked.history or asked.context or asked.filter):
        return None
    return asked.model_dump(
        include={"text", "context", "history", "filter"}, exclude_defaults=True, exclude_none=True, by_alias=True
    )


def _known(live: Live, item_id: str) -> None:
    live.engine.catalogue.ids.position(item_id)


def _key(asked: RecommendRequest, user: str | None, serving: Serving | None) -> Hashable:
    """What tells one simple question from another; None for questions not worth remembering, asked in many ways."""
    if not asked.model_fields_set <= _SIMPLE:
        return None
    way = "" if serving is None else serving.key
    said = asked.count, asked.scenario, asked.explain, asked.return_properties, asked.language, asked.diversity
    return user, way, *said


def _plain(value: Any) -> Any:
    """What orjson does not know by itself."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return str(value)

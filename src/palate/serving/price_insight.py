"""Routes that look back and ahead on prices: what was decided, what an item cost when, what others would bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from palate.core import Float64Array, FloatArray, IntArray, UnknownIdError, clock
from palate.core.numbers import known
from palate.data.log_table import latest_rows
from palate.pricing.guardrails import names_of
from palate.pricing.measured import Measured
from palate.pricing.packs import LANGUAGES
from palate.pricing.policies import DemandPolicy
from palate.pricing.quoting import Quoter
from palate.pricing.sales_words import why_not
from palate.pricing.terms import Demand
from palate.serving.answers import json_response
from palate.serving.live import Live
from palate.serving.prices import open_quoter
from palate.serving.problems import documented
from palate.serving.responses import Elasticities, PriceDecisions, PriceWhatIf

_DRAWS = 200
_STEP = 0.02
_MOST_ITEMS = 2_000
_REACH = (0.6, 1.4)
_RUNGS = 33
_MOST_CATEGORIES = 24

ItemWanted = Annotated[str, Query(min_length=1, max_length=256, description="An item's id.")]
Decisions = Annotated[int, Query(ge=1, le=500, description="How many decisions, the newest first.")]


def router(live: Live, quoter: Quoter | None) -> APIRouter:
    """The routes over a quoter; without one they say that prices are off.

    Raises
    ------
    DataError
        The settings name a file of elasticities that is none.
    """
    routes = APIRouter(tags=["prices"])
    written = "" if quoter is None else quoter.settings.elasticities
    measured = Measured.read(written) if written else None

    @routes.get(
        "/v1/price/decisions",
        responses={200: {"model": PriceDecisions}, **documented(401, 422)},
        summary="Which prices were decided lately, of one item or of all?",
    )
    async def decisions(item: Annotated[str, Query(max_length=256)] = "", count: Decisions = 50) -> Response:
        shop = open_quoter(quoter)
        found = await live.elsewhere(lambda: decided(shop, item, count))
        called = titles(shop, (line["item_id"] for one in found for line in one["prices"]))
        return json_response({"decisions": found, "titles": called})

    @routes.get(
        "/v1/price/what-if",
        responses={200: {"model": PriceWhatIf}, **documented(401, 404, 422)},
        summary="What would other prices of this item bring, by what is believed of demand?",
    )
    async def what_if(item: ItemWanted) -> Response:
        shop = open_quoter(quoter)
        return json_response(await live.elsewhere(lambda: foreseen(shop, item, measured)))

    @routes.get(
        "/v1/price/elasticities",
        responses={200: {"model": Elasticities}, **documented(401, 422)},
        summary="How does demand answer to prices, category by category?",
    )
    async def elasticities() -> Response:
        shop = open_quoter(quoter)
        return json_response(await live.elsewhere(lambda: by_category(shop, measured)))

    return routes


def titles(quoter: Quoter, items: Iterable[str]) -> dict[str, dict[str, str]]:
    """What items are called in the languages of the catalogue; those that left it are called nothing."""
    catalogue = quoter.shelf.book.catalogue
    known = [item for item in dict.fromkeys(items) if item in catalogue.ids]
    properties = {item: catalogue.properties(catalogue.ids.position(item)) for item in known}
    return {
        item: {name: str(own[name]) for name in ("title", "title_zh") if own.get(name)}
        for item, own in properties.items()
    }


def decided(quoter: Quoter, item: str, count: int) -> list[dict[str, Any]]:
    """The newest decisions: whose price it was is not told, only that it was somebody's."""
    log = quoter.log.log
    log.flush()
    holding = orjson.dumps(item).decode() if item else ""
    told = []
    for name, body in latest_rows(log, "price", count, holding):
        outcome = body["outcome"]
        lines = [
            {
                "item_id": own,
                "price": outcome["price"][row],
                "list_price": body["rails"]["list_price"][row],
                "low": outcome["low"][row],
                "high": outcome["high"][row],
                "personal": body["personal"][row],
                "propensity": outcome["propensity"][row],
                "clips": list(names_of(int(body["clips"][row]))),
            }
            for row, own in enumerate(body["items"])
            if not item or own == item
        ]
        facts = {key: body["facts"].get(key) for key in ("jurisdiction", "pack", "consent", "refused")}
        told.append({"decision_id": name, "at": body["now"], "rules": body["rules"], **facts, "prices": lines})
    return told


def foreseen(quoter: Quoter, item: str, measured: Measured | None = None) -> dict[str, Any]:
    """What is believed to follow from each price of an item, to a stranger who asks now; and what was measured.

    Raises
    ------
    UnknownIdError
        The item is not in the catalogue.
    """
    book, guard = quoter.shelf.book, quoter.settings.guard
    if item not in book.catalogue.ids:
        raise UnknownIdError(f"unknown item {item!r}")
    position = book.catalogue.ids.position(item)
    listed, cost = float(book.list_price[position]), float(book.cost[position])
    told: dict[str, Any] = {
        "item_id": item,
        "titles": titles(quoter, [item]),
        "currency": quoter.settings.currency,
        "policy": quoter.policy.name,
        "list_price": known(listed),
        "cost": known(cost),
        "low": known(listed * guard.lowest),
        "high": known(listed * guard.highest),
        "believed": False,
        "elasticity": None,
        "rungs": [],
        "measured": None if measured is None else _measured(measured, item, cost),
    }
    if not isinstance(quoter.policy, DemandPolicy) or not listed > 0:
        return told
    features = _public(quoter, np.array([position], dtype=np.int32))
    relative = np.linspace(*_REACH, _RUNGS)[None, :]
    chance = quoter.policy.demand.probability(features, relative)[0]
    drawn = _drawn(quoter.policy.demand, features)
    spread = drawn.probability(np.repeat(features, _DRAWS, axis=0), np.repeat(relative, _DRAWS, axis=0))
    low, high = np.quantile(spread, (0.025, 0.975), axis=0)
    prices = relative[0] * listed
    told["rungs"] = [
        {
            "price": float(price),
            "chance": [float(mean), float(least), float(most)],
            "revenue": float(price * mean),
            "margin": known((price - cost) * mean),
        }
        for price, mean, least, most in zip(prices, chance, low, high, strict=True)
    ]
    told["elasticity"] = _interval(elasticity(quoter.policy.demand, features)[0])
    return {**told, "believed": True}


def by_category(quoter: Quoter, measured: Measured | None = None) -> dict[str, Any]:
    """Mean elasticity at the list price by category, with an interval of what is believed; and what was measured."""
    policy, book = quoter.policy, quoter.shelf.book
    sales = None if measured is None else _of_sales(measured)
    if not isinstance(policy, DemandPolicy):
        return {"policy": policy.name, "believed": False, "categories": [], "measured": sales}
    known = np.nonzero(book.list_price > 0)[0]
    chosen = known[np.linspace(0, len(known) - 1, min(len(known), _MOST_ITEMS)).astype(int)].astype(np.int32)
    names = np.array([_family(text) for text in book.catalogue.strings("category")])[chosen]
    drawn = elasticity(policy.demand, _public(quoter, chosen))
    categories = [
        {
            "category": str(name),
            "items": int((names == name).sum()),
            "elasticity": _interval(drawn[names == name].mean(0)),
        }
        for name in sorted(set(names.tolist()))
    ]
    return {"policy": policy.name, "believed": True, "categories": categories, "measured": sales}


def _measured(measured: Measured, item: str, cost: float) -> dict[str, Any]:
    """What sales say of one item."""
    used = measured.of(item)
    return {
        "elasticity": None if used["elasticity"] is None else [used[name] for name in ("elasticity", "low", "high")],
        "from": used["from"],
        "price": measured.items.get(item, {}).get("price"),
        "days": measured.days,
        "counted": measured.counted,
        "rungs": measured.foreseen(item, cost),
    }


def _of_sales(measured: Measured) -> dict[str, Any]:
    """What sales say of the shop and its categories, those that sold most first."""

    def told(own: Mapping[str, Any]) -> dict[str, Any]:
        known = own["elasticity"] is not None
        return {
            "category": own["name"],
            "elasticity": [own[name] for name in ("elasticity", "low", "high")] if known else None,
            "why": {language: why_not(own["reason"], language) for language in LANGUAGES},
        }

    order = sorted(measured.categories, key=lambda own: -int(own["periods"]))
    return {
        "level": measured.level,
        "overall": told(measured.overall),
        "categories": [told(own) for own in order[:_MOST_CATEGORIES]],
        "notes": list(measured.notes),
    }


def elasticity(demand: Demand, features: FloatArray) -> Float64Array:
    """Own-price elasticity at the list price, dlog P / dlog price by central difference; float64 (n, draws)."""
    n = len(features)
    at = np.tile([1.0 - _STEP, 1.0 + _STEP], (n * _DRAWS, 1))
    chance = _drawn(demand, features).probability(np.repeat(features, _DRAWS, axis=0), at)
    change = np.log(chance[:, 1] / chance[:, 0]) / np.log((1.0 + _STEP) / (1.0 - _STEP))
    return np.asarray(change.reshape(n, _DRAWS))


def _drawn(demand: Demand, features: FloatArray) -> Demand:
    # The same draws each time: a page that is looked at twice shows the same interval.
    return demand.draw(np.random.default_rng(0), len(features) * _DRAWS)


def _public(quoter: Quoter, items: IntArray) -> FloatArray:
    """Features of items for somebody of whom nothing is known."""
    pack = quoter.packs.of(quoter.settings.jurisdiction)
    nobody = np.zeros(len(items), dtype=np.bool_)
    gathered = quoter.shelf.inputs.gather(
        items, {}, pack, allowed=nobody, refusal="nobody asks", now=clock.now(), asked={}
    )
    return np.nan_to_num(gathered.features)


def _family(category: str) -> str:
    return category.rsplit(">", maxsplit=1)[-1].strip()


def _interval(drawn: Float64Array) -> list[float]:
    """Mean and the bounds of the middle 95 %."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return [float(drawn.mean()), float(low), float(high)]

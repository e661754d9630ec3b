"""The page at ``/`` and the few questions it needs answered: whom to try, what there is, who answers."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import Annotated, Any

import numpy as np
import polars as pl
from fastapi import APIRouter, Query
from starlette.responses import Response

from palate.serving.answers import json_response
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.settings import ServingSettings

_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_FILES = (
    *("index.html", "style.css", "app.js", "call.js", "tiles.js", "why.js", "words.js"),
    *("profile.js", "profile-words.js"),
    *("experiments.html", "study.css", "experiments.js", "experiment-words.js", "plots.js"),
    *("prices.html", "prices.js", "price-words.js"),
)
_SHOWN = (
    *("title", "category", "brand", "price", "currency", "title_zh", "category_zh", "brand_zh"),
    *("description_generated", "generated"),
)
_RECENT = 6


class Showroom:
    """Read-only views for the page, remembered as long as the catalogue stays the same."""

    def __init__(self, live: Live, settings: ServingSettings) -> None:
        self._live, self._settings = live, settings
        self._people: list[dict[str, Any]] | None = None
        self._titles: tuple[object, pl.Series] | None = None

    def people(self) -> list[dict[str, Any]]:
        """People with enough of a history to be interesting, spread over all of them, and what they did last."""
        if self._people is None:
            sequences = self._live.engine.dataset.sequences
            rich = np.nonzero(sequences.lengths >= min(5, int(sequences.lengths.max(initial=0))))[0]
            picked = rich[np.linspace(0, len(rich) - 1, min(self._settings.sample_users, len(rich))).astype(int)]
            names = self._live.engine.dataset.user_ids
            self._people = [
                {
                    "user_id": names[int(row)],
                    "events": int(sequences.lengths[row]),
                    "recent": [self.item(int(item)) for item in sequences.row(int(row))[-_RECENT:][::-1]],
                }
                for row in picked
            ]
        return self._people

    def search(self, words: str, count: int) -> list[dict[str, Any]]:
        """Items whose title, in whatever language, has these words; titles that begin with them come first."""
        catalogue = self._live.engine.catalogue
        if self._titles is None or self._titles[0] is not catalogue:
            spoken = zip(catalogue.titles, catalogue.strings("title_zh"), strict=True)
            # A line a language: a title begins a line, and words never run from one into the other.
            self._titles = (catalogue, pl.Series("title", [f"\n{one}\n{other}".lower() for one, other in spoken]))
        titles, needle = self._titles[1], words.strip().lower()
        if not needle:
            return []
        found = np.nonzero(titles.str.contains(needle, literal=True).to_numpy())[0]
        first = titles.gather(found).str.contains("\n" + needle, literal=True).to_numpy()
        return [self.item(int(position)) for position in np.concatenate([found[first], found[~first]])[:count]]

    def item(self, position: int) -> dict[str, Any]:
        """What the page shows of an item."""
        catalogue = self._live.engine.catalogue
        properties = catalogue.properties(position)
        name = catalogue.ids[position]
        shown = {key: properties[key] for key in _SHOWN if key in properties}
        return {"id": name, "properties": {"title": name, **shown}}


def router(live: Live, settings: ServingSettings) -> APIRouter:
    """The page and its helpers."""
    routes = APIRouter(tags=["page"])
    showroom = Showroom(live, settings)
    folder = files("palate.serving") / "page"
    for name in _FILES:
        media_type = _MEDIA_TYPES[name[name.index(".") :]] + "; charset=utf-8"
        path = "/" if name == "index.html" else f"/{name}"
        _serve_file(routes, path, (folder / name).read_bytes(), media_type)

    @routes.get("/v1/sample-users", responses=documented(401), summary="People the page offers to choose from.")
    async def sample_users() -> Response:
        return json_response({"users": await asyncio.to_thread(showroom.people)})

    @routes.get("/v1/catalogue/search", responses=documented(401, 422), summary="Items by words of their title.")
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=100)], count: Annotated[int, Query(ge=1, le=50)] = 8
    ) -> Response:
        return json_response({"items": await asyncio.to_thread(showroom.search, q, count)})

    return routes


def _serve_file(routes: APIRouter, path: str, content: bytes, media_type: str) -> None:
    async def serve() -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    routes.add_api_route(path, serve, methods=["GET"], include_in_schema=False)

"""The application: an engine, a log and a door, put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.responses import Response

import palate
from palate.data.event_log import EventLog
from palate.pricing.learning import Learner
from palate.pricing.quoting import Quoter
from palate.serving import (
    answers,
    asking,
    demand,
    experiments,
    feedback,
    foresight,
    people,
    price_insight,
    prices,
    problems,
    showroom,
)
from palate.serving.answers import json_response
from palate.serving.contract import ServedEngine
from palate.serving.door import Door
from palate.serving.experimenting import Conductor
from palate.serving.live import Live
from palate.serving.metrics import CONTENT_TYPE, Metrics
from palate.serving.problems import documented
from palate.serving.responses import Health
from palate.serving.settings import ServingSettings

_logger = logging.getLogger("palate.serving")


def create_app(
    engine: ServedEngine,
    log: EventLog,
    settings: ServingSettings | None = None,
    *,
    quoter: Quoter | None = None,
    conductor: Conductor | None = None,
    learner: Learner | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """An ASGI application over an engine.

    Parameters
    ----------
    engine
        Told here of everything the log holds, so that it starts where the last server stopped.
    log
        Where answers and events are recorded; the caller closes it after the application has shut down.
    quoter
        Who quotes prices; without one they are off. The caller closes it too.
    conductor
        Who conducts experiments; without one there are none. The caller closes its logs.
    learner
        Who learns demand from sales, for the quoter; without one nothing is learnt.
    clock
        Seconds since 1970 UTC; when an event without a time happened.
    """
    settings = settings or ServingSettings()
    live, metrics = Live(engine, log, clock), Metrics()
    live.replay(settings.replay_rows)
    metrics.watch(engine.version, lambda: log.waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            if conductor is not None:
                await stack.enter_async_context(turning(conductor.turn, settings.experiment_seconds, "experiments"))
            if learner is not None:
                await stack.enter_async_context(turning(learner.turn, learner.seconds, "learning demand"))
            yield
        live.close()

    app = FastAPI(
        title="palate",
        version=palate.__version__,
        summary="Recommendations, explained; what happens changes the very next answer.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a path that is not there is said to be so, not sent on to another
    )
    problems.install(app)

    @app.get("/health/live", tags=["health"], responses={200: {"model": Health}}, summary="Is the process alive?")
    async def alive() -> Response:
        return json_response({"status": "ok"})

    @app.get(
        "/health/ready",
        tags=["health"],
        responses={200: {"model": Health}, **documented(503)},
        summary="May it be asked?",
    )
    async def ready() -> Response:
        failure = log.failure or (quoter.log.log.failure if quoter is not None else None)
        if failure is not None:
            return problems.problem(503, failure, name="not-ready")
        return json_response({"status": "ok"})

    @app.get("/metrics", tags=["health"], summary="Counters in Prometheus' text format.")
    async def counters() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/v1/status", tags=["answers"], responses=documented(401), summary="Which engine answers, over what.")
    async def status() -> Response:
        counts = {
            "users": engine.dataset.n_users,
            "items": len(engine.catalogue),
            "events": engine.dataset.n_events,
            "log_rows": log.head().seq,
        }
        return json_response({**engine.describe(), "version": engine.version, **counts})

    # Routes are tried in turn, and each costs time: what is asked most comes first.
    app.include_router(prices.asked(live, quoter, conductor))
    app.include_router(answers.router(live, settings, metrics, prices.pricer(live, quoter, conductor), conductor))
    app.include_router(experiments.router(live, conductor))
    app.include_router(prices.router(live, quoter))
    app.include_router(price_insight.router(live, quoter))
    app.include_router(asking.router(live))
    app.include_router(feedback.router(live, metrics))
    app.include_router(people.router(live, quoter))
    app.include_router(demand.router(live))
    app.include_router(foresight.router(live))
    if settings.page:
        app.include_router(showroom.router(live, settings))
    app.add_middleware(Door, settings=settings, metrics=metrics)
    return app


@asynccontextmanager
async def turning(turn: Callable[[], object], seconds: float, what: str) -> AsyncIterator[None]:
    """Something turns beside the answers, over and over, for as long as the block lasts."""

    stopped = asyncio.Event()

    async def over_and_over() -> None:
        while not stopped.is_set():
            try:
                await asyncio.to_thread(turn)
            except Exception:  # whatever it was, tomorrow's turns are due too
                _logger.exception("a turn of %s failed", what)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), seconds)

    task = asyncio.create_task(over_and_over())
    try:
        yield
    finally:
        # A turn that has begun is finished: its logs are closed next.
        stopped.set()
        await task

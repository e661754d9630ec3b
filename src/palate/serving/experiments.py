"""Routes that say what is tried, what was seen so far, and what is in force."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from palate.core import UnknownIdError
from palate.experiments.store import Record, Step
from palate.serving.answers import json_response
from palate.serving.experimenting import Conductor
from palate.serving.live import Live
from palate.serving.problems import documented
from palate.serving.responses import ExperimentsTold, ExperimentTold

ExperimentName = Annotated[str, Path(min_length=1, max_length=64, description="An experiment's name.")]
_TREND = ("metric", "arm", "role", "verdict")


def router(live: Live, conductor: Conductor | None) -> APIRouter:
    """The routes over a conductor; without one there are no experiments."""
    routes = APIRouter(tags=["experiments"])

    @routes.get(
        "/v1/experiments",
        responses={200: {"model": ExperimentsTold}, **documented(401)},
        summary="What is tried, and what is in force?",
    )
    async def everything() -> Response:
        if conductor is None:
            return json_response({"experiments": [], "policy": {}, "policies": []})
        records = conductor.store.all()
        policies = [
            {**policy.model_dump(mode="json"), "since": step.time, "why": step.why, "by": step.by}
            for policy, step in conductor.store.policies
        ]
        return json_response(
            {
                "experiments": [_summary(conductor, record) for record in records[::-1]],
                "policy": conductor.store.policy.model_dump(mode="json"),
                "policies": policies[::-1],
            }
        )

    @routes.get(
        "/v1/experiments/{name}",
        responses={200: {"model": ExperimentTold}, **documented(401, 404, 422)},
        summary="What was declared, done and seen of this experiment?",
    )
    async def one(name: ExperimentName) -> Response:
        if conductor is None:
            raise UnknownIdError(f"there is no experiment {name!r}; none are kept here")
        record = conductor.store.of(name)
        trend = [_point(seen.report) for seen in record.seen]
        return json_response(
            {
                **_summary(conductor, record),
                "declaration": record.experiment.model_dump(mode="json"),
                "fingerprint": record.experiment.fingerprint,
                "steps": [_step(step) for step in record.steps],
                "trend": trend,
            }
        )

    return routes


def _summary(conductor: Conductor, record: Record) -> dict[str, Any]:
    own, now = record.experiment, conductor.store.now()
    latest = record.seen[-1].report if record.seen else None
    units = {} if latest is None else latest["units"]
    return {
        "name": own.name,
        "state": record.state,
        "hypothesis": own.hypothesis,
        "unit": own.unit,
        "design": own.plan.design,
        "surfaces": sorted(own.surfaces),
        "control": own.plan.control,
        "arms": [
            {
                "name": arm.name,
                "weight": arm.weight,
                "units": units.get(arm.name, 0),
                "parameters": record.parameters(arm.name).model_dump(mode="json"),
            }
            for arm in own.arms
        ],
        "metrics": [{"name": metric.name, "role": metric.role, "better": metric.better} for metric in own.plan.metrics],
        "started": record.started,
        "ended": record.ended,
        "days": record.days(record.ended or now),
        "planned_days": own.days,
        "planned_units": own.plan.planned_units,
        "exposures": conductor.exposures.count(own.name),
        "turned_away": conductor.exposures.turned_away.get(own.name, 0),
        "winner": record.winner,
        "follows": own.follows,
        "looks": len(record.seen),
        "served": own.name in conductor.served,
        "trouble": conductor.troubles.get(own.name, ""),
        "latest": latest,
    }


def _step(step: Step) -> dict[str, Any]:
    return {"what": step.what, "time": step.time, "by": step.by, "why": step.why}


def _point(report: Any) -> dict[str, Any]:
    """Of a look what a plot over time needs."""
    return {
        "time": report["time"],
        "units": sum(report["units"].values()),
        "open": report["open"],
        "compared": [
            {
                **{key: compared[key] for key in _TREND},
                "relative": compared["relative_always_valid"],
                "absolute": compared["always_valid"],
            }
            for compared in report["compared"]
        ],
    }

"""Tuning a component: any model by name, a part of the engine or the whole, on validation questions and no others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import xxhash

from palate import models
from palate.core import Scorer, UsageError
from palate.core.configuration import suggestion
from palate.core.space import Space, range_around, space_of, value_at
from palate.data import Dataset, Fold
from palate.engine import Engine
from palate.engine.assembly import FitModel, Inner, assemble, fit_model, reader
from palate.engine.choosing import TEXT_SOURCES, sources_for
from palate.engine.settings import EngineSettings
from palate.evaluation.answers import by_lists
from palate.evaluation.contenders import ENTRY
from palate.evaluation.protocols import plan
from palate.evaluation.search import Budget, Found, Heard, search
from palate.evaluation.tuning import MEASURE, sample, validated
from palate.language import TextEncoder
from palate.measure import accuracy

PROTOCOLS = ("loo-strict", "temporal")
"""Protocols with validation questions that nothing else learns from."""

PARTS = ("ranker", "candidates", "fusion")
"""Parts of the engine that can be tuned by themselves; the sources are then fitted once."""

Measure = Callable[[EngineSettings], float]


@dataclass(frozen=True)
class Ground:
    """What is learnt from and what decides while a component is tuned. The test part is not in it.

    Parameters
    ----------
    train
        What everything is fitted on.
    asked
        A sample of the validation questions.
    seen
        Whether seen items are left out (``mask``) or stay (``keep``).
    inner
        Where the ranker's own questions come from, see ``palate.Engine.fit``.
    """

    protocol: str
    train: Dataset
    asked: Fold
    seen: Literal["mask", "keep"]
    inner: Inner
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Tuning:
    """What was found for a component.

    Parameters
    ----------
    path
        Where its settings stand in the engine's; "" for the engine itself.
    space
        What was searched, by names in the engine's settings.
    journal
        Where every trial is kept; None: nowhere.
    """

    component: str
    path: str
    seed: int
    ground: Ground
    space: Space
    found: Found
    journal: Path | None


def names() -> tuple[str, ...]:
    """Everything that can be tuned."""
    return (ENTRY, *PARTS, *models.BY_NAME)


def tune_component(
    dataset: Dataset,
    component: str,
    *,
    protocol: str,
    budget: Budget,
    settings: EngineSettings | None = None,
    only: Iterable[str] | None = None,
    seen: str = "auto",
    seed: int = 0,
    state: Path | None = None,
    heard: Heard | None = None,
) -> Tuning:
    """Search settings of one component by N@10 on validation questions.

    Parameters
    ----------
    component
        A model, ``ranker``, ``candidates``, ``fusion`` (of the engine without its ranker), or ``palate``: the whole.
    settings
        Where to start, and everything that is not searched.
    only
        Settings of the component to search; what its class declares where None.
    state
        A folder that keeps every trial; the same search goes on there, another one begins anew.

    Raises
    ------
    UsageError
        Component, setting or protocol are unknown, or the data does not allow them.
    """
    if component not in names():
        raise UsageError(f"unknown component {component!r}. {suggestion(component, list(names()))}")
    start = settings or EngineSettings()
    path = _path(component)
    ground = ground_of(dataset, protocol, seen=seen, seed=seed)
    start = start.model_copy(update={"models": start.models.seeded(seed), "seen": ground.seen})
    space = _space(component, path, start, ground, only)
    journal = (
        None if state is None else state / _file_name(component, start=start, space=space, ground=ground, seed=seed)
    )
    found = search(
        start, space, _measure(component, start, ground, seed), budget=budget, seed=seed, journal=journal, heard=heard
    )
    return Tuning(component, path, seed, ground, space, found, journal)


def ground_of(dataset: Dataset, protocol: str, *, seen: str = "auto", seed: int = 0) -> Ground:
    """A protocol without its test questions.

    Raises
    ------
    UsageError
        The protocol has no validation questions of its own, or not in this data.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(
            f"protocol {protocol!r}: settings are tuned on validation questions that nothing learns from, under "
            f"{' or '.join(PROTOCOLS)}"
        )
    trial = plan(dataset, protocol, seen=seen)
    if trial.validation is None or not len(trial.validation):
        raise UsageError(f"{protocol} leaves no validation questions in this data: {'; '.join(trial.notes)}")
    return Ground(
        protocol,
        trial.train,
        sample(trial.validation, seed=seed),
        "keep" if trial.seen == "keep" else "mask",
        trial.inner,
        trial.notes,
    )


def _path(component: str) -> str:
    if component == ENTRY:
        return ""
    return component if component in PARTS else f"models.{component}"


def _space(component: str, path: str, start: EngineSettings, ground: Ground, only: Iterable[str] | None) -> Space:
    if component == ENTRY:
        text = ground.train.catalogue.has_text
        sources = sources_for(ground.train, start, text, ground.seen == "mask", [])
        parts = [f"models.{name}" for name in sources] + ["ranker", "candidates"]
        below = [space_of(value_at(start, part)).under(part) for part in parts]
        declared = Space({name: own for part in below for name, own in part.ranges.items()})
    else:
        declared = space_of(value_at(start, path)).under(path)
    if only is None:
        if not declared.ranges:
            raise UsageError(f"{component} has no setting that could be searched")
        return declared
    own = value_at(start, path) if path else start
    wanted = {f"{path}.{name}" if path else name: name for name in only}
    if not wanted:
        raise UsageError("no setting is named; leave it out to search all of them")
    ranges = dict(declared.ranges)
    for full, name in wanted.items():
        if full not in ranges:
            ranges[full] = _range(component, own, name, list(type(own).model_fields) if path else list(declared.ranges))
    return replace(declared, ranges=ranges).only(wanted)


def _range(component: str, settings: Any, name: str, known: list[str]) -> Any:
    try:
        own = range_around(settings, name)
    except UsageError:
        raise UsageError(f"{component} has no setting {name!r}. {suggestion(name, known)}") from None
    if own is None:
        raise UsageError(f"{component}: {name} is neither a number, a switch nor a choice, so it cannot be searched")
    return own


def _measure(component: str, start: EngineSettings, ground: Ground, seed: int) -> Measure:
    """What settings of the component are worth: N@10 on the questions of the ground."""
    train, asked = ground.train, ground.asked
    engine_needed = component == ENTRY or component in PARTS
    encoder: TextEncoder | None = None
    if train.catalogue.has_text and (engine_needed or component in models.NEED_ENCODER):
        encoder = reader(train, start, [])
    if not engine_needed:
        if component in TEXT_SOURCES and not train.catalogue.has_text:
            raise UsageError(f"{component} reads texts, and the catalogue has none")
        return lambda settings: validated(fit_model(component, settings, encoder, train), asked)
    fit = _remembering(2 * len(start.sources)) if component in PARTS else None

    def measure(settings: EngineSettings) -> float:
        assembled = assemble(train, settings, seed=seed, inner=ground.inner, encoder=encoder, fit=fit)
        if component == "ranker" and assembled.pipeline.ranker is None:
            raise UsageError("there is too little data to teach a ranker, so it has nothing to tune")
        if component == "fusion":
            assembled = replace(assembled, pipeline=replace(assembled.pipeline, ranker=None))
        answers = by_lists(Engine(train, settings, assembled).rank, asked, ENTRY)
        return float(accuracy(answers.items, asked.targets, cutoffs=(10,))[MEASURE].mean())

    return measure


def _remembering(most: int) -> FitModel:
    """Fits a model only where neither its settings nor the data are those of one of the last fits."""
    kept: dict[tuple[str, str, str], Scorer[Dataset]] = {}

    def fit(
        name: str,
        settings: EngineSettings,
        encoder: TextEncoder | None,
        dataset: Dataset,
        **going_on: Any,
    ) -> Scorer[Dataset]:
        key = name, value_at(settings, f"models.{name}").model_dump_json(), dataset.fingerprint
        model = kept.pop(key) if key in kept else fit_model(name, settings, encoder, dataset, **going_on)
        kept[key] = model
        if len(kept) > most:
            del kept[next(iter(kept))]
        return model

    return fit


def _file_name(component: str, *, start: EngineSettings, space: Space, ground: Ground, seed: int) -> str:
    """A name that another search does not have."""
    whole = component == ENTRY or component in PARTS
    relevant = start if whole else value_at(start, _path(component))
    told = {
        "settings": relevant.model_dump(mode="json"),
        "encoder": start.encoder.model_dump(mode="json"),
        "space": repr(sorted(space.ranges.items())),
        "first": repr(space.first),
        "data": ground.train.fingerprint,
        "seen": ground.seen,
        "questions": len(ground.asked),
    }
    digest = xxhash.xxh3_64(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in ground.train.name)
    return f"{safe}.{component}.{ground.protocol}.{seed}.{digest}.journal"

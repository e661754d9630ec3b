"""Who is measured: the fused engine and single models, fitted on what the protocol allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, Self

from palate.core import Queries, Rankings, Refits, Scorer, UsageError
from palate.core.configuration import suggestion
from palate.core.recommender import fitted
from palate.data import Dataset, Fold
from palate.evaluation.protocols import Trial
from palate.evaluation.tuning import MEASURE, sample, tune, validated
from palate.models import ALONE, BY_NAME, FROM_EVENTS, READ_CATALOGUE

ENTRY = "palate"
"""The name under which the whole fused engine is reported."""


COLLABORATIVE: Mapping[str, Callable[..., Scorer[Dataset]]] = FROM_EVENTS
"""Models that learn from events alone, by name."""

SINGLE: Mapping[str, Callable[..., Scorer[Dataset]]] = ALONE
"""Models that can be measured, and tuned, without an engine, by name."""

Progress = Callable[[str, float], None]
"""Called with what is being done, and the share (0 to 1) of it that is done."""


class FittedEngine(Protocol):
    """What is asked of an engine here."""

    @property
    def sources(self) -> Mapping[str, Scorer[Dataset]]: ...

    @property
    def timings(self) -> Mapping[str, float]: ...

    def rank(self, queries: Queries) -> Rankings: ...

    def refit(self, dataset: Dataset) -> Self: ...


FitEngine = Callable[..., FittedEngine]
"""``fit(dataset, *, preset, seed, validation, progress)``, as ``palate.Engine.fit``. Two more are added only where the
protocol calls for them: ``learn_validation=True`` lets the ranker learn from the validation answers, ``inner="time"``
has it learn from questions that lie last in time, ``inner="baskets"`` from the last baskets."""


@dataclass
class Contenders:
    """Everything fitted, ready to be asked.

    Parameters
    ----------
    engine
        The fused engine, None where only single models were asked for that need none.
    singles
        Fitted single models by name.
    validation
        N@10 of single models on validation questions.
    tuning
        What was tried for each tuned model.
    seconds
        ``encode`` and ``fit``, wall time.
    """

    engine: FittedEngine | None = None
    singles: dict[str, Scorer[Dataset]] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    tuning: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: {"encode": 0.0, "fit": 0.0})


def gather(
    trial: Trial,
    models: Sequence[str] | None,
    *,
    preset: str,
    seed: int,
    tuned: bool,
    fit_engine: FitEngine,
    classes: Mapping[str, Callable[..., Scorer[Dataset]]],
    progress: Progress | None = None,
) -> Contenders:
    """Fit who is asked for: the engine and all its sources where ``models`` is None.

    Raises
    ------
    UsageError
        A name is neither ``palate``, nor a source of the engine, nor a known model.
    """
    started = time.perf_counter()
    found = Contenders()
    report = progress or (lambda _stage, _share: None)
    wanted = None if models is None else [name for name in dict.fromkeys(models) if name != ENTRY]
    for name in wanted or ():
        if name not in classes and name not in BY_NAME:
            raise UsageError(f"unknown model {name!r}. {suggestion(name, [ENTRY, *BY_NAME])}")
    if wanted is None or models is None or ENTRY in models or not set(wanted) <= set(classes):
        report("fit", 0.0)
        found.engine = fit_engine(
            trial.train,
            preset=preset,
            seed=seed,
            validation=trial.validation,
            progress=progress,
            **({"learn_validation": True} if trial.learn_validation else {}),
            **({"inner": trial.inner} if trial.inner != "last" else {}),
        )
        found.seconds["encode"] += float(found.engine.timings.get("encode", 0.0))
    sources = dict(found.engine.sources) if found.engine is not None else {}
    names = [*sources, *_baselines(sources, classes)] if wanted is None else wanted
    unknown = [name for name in names if name not in sources and name not in classes]
    if unknown:
        known = dict.fromkeys([ENTRY, *sources, *classes])
        raise UsageError(
            f"{unknown[0]!r} is no source of this engine and cannot be measured without one; here are "
            f"{', '.join(known)}. Name it under [engine] sources."
        )
    for place, name in enumerate(names):
        report(f"fit {name}", place / len(names))
        within = partial(report, f"fit {name}")
        _single(name, sources.get(name), classes.get(name), trial, found, tuned=tuned, seed=seed, progress=within)
    if found.engine is not None and trial.refit is not None:
        report("refit", 0.0)
        found.engine = found.engine.refit(trial.refit)
        found.seconds["encode"] += float(found.engine.timings.get("encode", 0.0))
        found.singles.update(
            {name: model for name, model in found.engine.sources.items() if name in names and name not in found.tuning}
        )
    found.seconds["fit"] = time.perf_counter() - started - found.seconds["encode"]
    return found


def _single(
    name: str,
    source: Scorer[Dataset] | None,
    build: Callable[..., Scorer[Dataset]] | None,
    trial: Trial,
    found: Contenders,
    *,
    tuned: bool,
    seed: int,
    progress: Callable[[float], None],
) -> None:
    """Have one single model fitted, tuned where that is asked, and its validation figure noted.

    Networks are not tuned: in the engine they have their defaults, and so they have beside it.
    """
    asked: Fold | None = None if trial.validation is None else sample(trial.validation, seed=seed)
    network = build is not None and isinstance(source or build(), Refits)
    if tuned and build is not None and asked is not None and not network:
        start = source.settings if source is not None else build().settings
        outcome = tune(build, start, trial.train, asked, seed=seed, fitted=source)
        found.tuning[name] = outcome.tried
        found.validation[name] = max(float(entry[MEASURE]) for entry in outcome.tried)
        model = outcome.model
    elif source is not None:
        model = source
    elif build is not None:
        model = fitted(build(), trial.train, lambda _stage, share: progress(share))
    else:
        raise UsageError(f"unknown model {name!r}")
    if name not in found.validation and asked is not None and events_alone(model):
        found.validation[name] = validated(model, asked)
    refitted_with_the_engine = source is not None and name not in found.tuning
    if trial.refit is not None and build is not None and not refitted_with_the_engine:
        model = fitted(build(model.settings), trial.refit, lambda _stage, share: progress(share))
    found.singles[name] = model


def _baselines(sources: Mapping[str, Scorer[Dataset]], classes: Mapping[str, Any]) -> tuple[str, ...]:
    """Collaborative models measured beside an engine's sources: a transformer that reads texts meets its like."""
    return tuple(name for name in ("sasrec",) if "sequential" in sources and name in classes and name not in sources)


def events_alone(model: Scorer[Dataset]) -> bool:
    """Whether a model is collaborative: it learns from events, and from nothing that is said of items."""
    reads = model.abilities.uses_text or model.abilities.unseen_items or model.name in READ_CATALOGUE
    return not reads

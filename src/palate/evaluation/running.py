"""From a folder to figures: split, fit, ask, measure, compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from palate.core import FloatArray, UsageError
from palate.data import Dataset, Fold
from palate.evaluation.answers import Answers, Score, by_lists, by_scores, check_parity
from palate.evaluation.cold import hold_out_items, keeping
from palate.evaluation.comparison import comparisons
from palate.evaluation.contenders import (
    ENTRY,
    SINGLE,
    Contenders,
    FitEngine,
    FittedEngine,
    Progress,
    events_alone,
    gather,
)
from palate.evaluation.maps import geography
from palate.evaluation.metrics import Columns, Yardstick, figures, of_the_run, per_question
from palate.evaluation.pareto import sweep
from palate.evaluation.protocols import Trial, plan
from palate.evaluation.result import Evaluation, peak_rss_mb
from palate.evaluation.slices import slices
from palate.models.association import mine

RULES = 15
"""Association rules in a report."""


def evaluate(
    data: str | Path | Dataset,
    *,
    protocol: str = "loo-strict",
    preset: str = "balanced",
    models: Sequence[str] | None = None,
    seen: str = "auto",
    seed: int = 0,
    cases: str | Path | None = None,
    tune: bool = False,
    cold_items: float = 0.0,
    pareto: bool = False,
    progress: Progress | None = None,
    fit: FitEngine | None = None,
) -> Evaluation:
    """Fit on data as a protocol allows, ask its questions once, and measure the answers.

    Parameters
    ----------
    data
        A folder (see ``palate.Dataset.load``) or a dataset.
    protocol
        One of ``palate.evaluation.PROTOCOLS``.
    preset
        The engine's preset.
    models
        Names to measure: ``palate`` (the fused engine) and single models; None: the engine and all its sources.
    seen
        ``mask`` seen items, ``keep`` them, or ``auto``: keep where training events often repeat.
    seed
        Of everything drawn at random: fitting, sampling, resampling.
    cases
        The file of questions of the protocol ``cases``.
    tune
        Search settings for every single model on validation first, the same budget for each.
    cold_items
        Share of the items to hold out of every fit; only these are then asked for, and what the engine keeps for the
        other questions is measured beside it, against one taught with these items too. 0: none.
    pareto
        Weigh accuracy against diversity, novelty and margin too, on the test questions.
    progress
        Called with what is being done and the share of it that is done.
    fit
        What fits the engine; ``palate.Engine.fit`` where None.

    Raises
    ------
    UsageError
        The protocol, a model or a setting is unknown, or the data does not allow the protocol; ``pareto`` without the
        fused engine.
    DataError
        The folder or the file of cases cannot be used.
    """
    started = time.perf_counter()
    report = progress or (lambda _stage, _share: None)
    if pareto and models is not None and ENTRY not in models:
        raise UsageError(f"objectives are weighed by the fused engine; ask for {ENTRY} among the models too")
    report("load", 0.0)
    dataset = data if isinstance(data, Dataset) else Dataset.load(data)
    loaded = time.perf_counter()
    whole_trial = plan(dataset, protocol, seen=seen, cases=None if cases is None else Path(cases))
    held = hold_out_items(whole_trial, cold_items, seed) if cold_items else None
    trial = whole_trial if held is None else held.trial
    fitting = partial(
        gather, preset=preset, seed=seed, fit_engine=fit or _fit_engine, classes=SINGLE, progress=progress
    )
    contenders = fitting(trial, models, tuned=tune)
    wanted_engine = models is None or ENTRY in models
    answers, rank_seconds = _ask(trial, contenders, wanted_engine, report)
    report("measure", 0.0)
    measuring = time.perf_counter()
    yardstick = Yardstick(trial.learnt, trial.test.targets, trial.test.users, meanings(contenders.engine))
    tables = {name: per_question(given, yardstick) for name, given in answers.items()}
    whole = {name: of_the_run(given, dataset.n_items) for name, given in answers.items()}
    best, why = best_single(contenders, tables)
    measured = figures(tables, whole, trial.test.users, seed)
    # Without the engine, the model named first is held against the others.
    compared = comparisons(tables, ENTRY if ENTRY in tables else next(iter(tables)), best, trial.test.users, seed)
    sliced = slices(trial.test, yardstick, tables, seed)
    weighed: dict[str, Any] = {}
    if pareto:
        weighed = sweep(contenders.engine, trial.test, yardstick, seed=seed, progress=_stage(report, "weigh"))
    measured_at = time.perf_counter()
    cold: dict[str, Any] = {}
    if held is not None and contenders.engine is not None and wanted_engine:

        def taught_with_them() -> FittedEngine:
            engine = fitting(whole_trial, [ENTRY], tuned=False).engine
            assert engine is not None  # noqa: S101
            return engine

        cold = keeping(held, contenders.engine, taught_with_them, _ask_engine, seed=seed, progress=report)
    ended = time.perf_counter()
    return Evaluation(
        protocol=trial.name,
        preset=preset,
        seed=seed,
        dataset={"users": dataset.n_users, "items": dataset.n_items, "events": dataset.n_events},
        queries=len(trial.test),
        models=measured,
        seconds={
            "load": loaded - started,
            **contenders.seconds,
            "rank": sum(rank_seconds.values()),
            "measure": measured_at - measuring,
            **({"warm": ended - measured_at} if cold else {}),
            "total": ended - started,
        },
        peak_rss_mb=peak_rss_mb(),
        name=dataset.name,
        seen=trial.seen,
        best_single=best,
        comparisons=compared,
        slices=sliced,
        validation=contenders.validation,
        tuning=contenders.tuning,
        rank_seconds=rank_seconds,
        diversity=yardstick.diversity,
        pareto=weighed,
        cold=cold,
        rules=_rules(trial.learnt),
        importance=_importance(contenders.engine) if wanted_engine else {},
        geography=geography(dataset, seed),
        notes=(*trial.notes, *why),
    )


def _rules(learnt: Dataset) -> list[dict[str, Any]]:
    """The rules of highest leverage in baskets that the data names; visits would be taken for baskets too readily."""
    if "basket_id" not in learnt.events.columns:
        return []
    return mine(learnt).best("leverage", RULES).records(learnt.catalogue.titles)


def _ask(
    trial: Trial, contenders: Contenders, wanted_engine: bool, report: Progress
) -> tuple[dict[str, Answers], dict[str, float]]:
    """Every contender's answers to the same questions, and how long each took."""
    answers: dict[str, Answers] = {}
    seconds: dict[str, float] = {}
    if contenders.engine is not None and wanted_engine:
        start = time.perf_counter()
        answers[ENTRY] = _ask_engine(contenders.engine, trial.test, _stage(report, f"rank {ENTRY}"))
        seconds[ENTRY] = time.perf_counter() - start
    for name, model in contenders.singles.items():
        start = time.perf_counter()
        answers[name] = by_scores(model.score, trial.test, name, _stage(report, f"rank {name}"))
        seconds[name] = time.perf_counter() - start
    return answers, seconds


def _ask_engine(engine: FittedEngine, fold: Fold, progress: Callable[[float], None]) -> Answers:
    """The engine's answers; by its scores where every item has one, so that ranks go through the whole catalogue."""
    score: Score | None = getattr(engine, "score", None)
    if score is None or getattr(engine, "rearranges", False):
        return by_lists(engine.rank, fold, ENTRY, progress)
    answers = by_scores(score, fold, ENTRY, progress)
    check_parity(engine.rank, fold, answers, ENTRY)
    return answers


def _stage(report: Progress, stage: str) -> Callable[[float], None]:
    return lambda share: report(stage, share)


def best_single(contenders: Contenders, tables: Mapping[str, Columns]) -> tuple[str | None, tuple[str, ...]]:
    """The best single collaborative model, by validation; by the test itself where nothing was held out before it."""
    collaborative = [name for name, model in contenders.singles.items() if events_alone(model)]
    if not collaborative:
        return None, ()
    if all(name in contenders.validation for name in collaborative):
        best = max(collaborative, key=lambda name: contenders.validation[name])
        return best, (f"best single collaborative model: {best}, chosen on validation questions",)
    best = max(collaborative, key=lambda name: float(np.mean(tables[name]["ndcg@10"])))
    return best, (f"best single collaborative model: {best}, chosen on the test questions, which favours it",)


def _importance(engine: FittedEngine | None) -> dict[str, Any]:
    """What the engine's ranker looks at; empty where it does not say."""
    said: Callable[[], Mapping[str, Any]] | None = getattr(engine, "describe", None)
    return {} if said is None else dict(said().get("importance", {}))


def meanings(engine: FittedEngine | None) -> FloatArray | None:
    """What items mean, float32 (n_items, d), where a source of the engine has read their texts."""
    for source in engine.sources.values() if engine is not None else ():
        vectors: FloatArray | None = getattr(source, "item_vectors", None)
        if source.abilities.uses_text and vectors is not None:
            return vectors
    return None


def _fit_engine(dataset: Dataset, **settings: Any) -> FittedEngine:
    """``palate.Engine.fit``, imported when an engine is asked for."""
    from palate.engine import Engine

    engine: FittedEngine = Engine.fit(dataset, **settings)
    return engine

"""From a dataset to fitted parts: which models, in which branch, taught on what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np

from palate.core import DataError, FloatArray, Scorer, UsageError
from palate.core.recommender import fitted
from palate.core.threads import limit_threads
from palate.data import Dataset, Fold, cut_at, cut_at_baskets, hold_out_last, time_quantile
from palate.engine.attracting import teach_attractiveness
from palate.engine.choosing import TEXT_SOURCES, sources_for, teachable
from palate.engine.settings import EngineSettings
from palate.engine.teaching import fresh_places, teach_ranker
from palate.language import CachedEncoder, LaterEncoder, TextEncoder, VectorCache, choose_encoder, load_encoder
from palate.language.text_space import TextSpace
from palate.language.verbalise import item_texts
from palate.ranking.attractiveness import Attractiveness
from palate.ranking.facts import ItemFacts
from palate.ranking.features import feature_names
from palate.ranking.fusion import learn_weights
from palate.ranking.pipeline import Pipeline
from palate.ranking.ranker import Examples, Growth, RankerSettings
from palate.ranking.training import examples, sample

Progress = Callable[[str, float], None]
"""Called with what is being done and the share (0 to 1) of it that is done."""

Inner = Literal["last", "time", "baskets"]
"""Questions with known answers that a ranker learns from."""


def silent(_stage: str, _share: float) -> None:
    """Progress nobody looks at."""


FEW = 500
"""With fewer people active in the last tenth of time, everybody's last events teach the ranker instead."""


@dataclass
class Clock:
    """Seconds spent by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class Assembled:
    """A fitted pipeline and how it came about.

    Parameters
    ----------
    pipeline
        Models, weights, ranker.
    encoder
        What reads texts; None where the data has none.
    masks_seen
        Whether items the asker had are left out of answers.
    seed, inner
        As they were given to ``assemble``.
    notes
        What was decided on the way, in words.
    seconds
        Spent by stage.
    attractiveness
        Judges what was generated; None where reactions teach nothing.
    """

    pipeline: Pipeline
    encoder: TextEncoder | None
    masks_seen: bool
    seed: int
    inner: Inner
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    attractiveness: Attractiveness | None = None


def assemble(
    dataset: Dataset,
    settings: EngineSettings,
    *,
    seed: int,
    progress: Progress = silent,
    validation: Fold | None = None,
    learn_validation: bool = False,
    inner: Inner = "last",
    growth: Growth | None = None,
    encoder: TextEncoder | None = None,
    fit: FitModel | None = None,
) -> Assembled:
    """Fit sources and teach the ranker.

    The ranker learns from inner questions, asked of sources that were fitted without their answers; then the sources
    are fitted on everything. ``validation`` only decides when the trees stop (and, with ``learn_validation``, is learnt
    from afterwards with that number of trees).

    Parameters
    ----------
    inner
        Whether inner questions are everybody's last event, the last tenth of time, or items held out of its baskets.
    growth
        How large each ensemble of the ranker gets and how sharp its scores are, no stopping.
    fit
        What fits a source; ``fit_model`` where None.

    Raises
    ------
    DataError
        No event shows interest in an item.
    UsageError
        No source can work with the data.
    """
    if not len(dataset.sequences.items):
        raise DataError(
            f"none of the {dataset.n_events:,} events shows interest in an item (a view, a purchase, a rating ...); "
            "there is nothing to learn from."
        )
    limit_threads(only_if_told=True)
    clock, notes = Clock(), list[str]()
    text = dataset.catalogue.has_text
    masks = settings.masks_seen(dataset) if validation is None else validation.queries.mask_seen
    names = sources_for(dataset, settings, text, masks, notes)
    if text and encoder is None:
        with clock.stage("encode"):
            progress("read the catalogue", 0.0)
            encoder = reader(dataset, settings, notes)
    names = teachable(names, encoder, notes)
    notes.append(_of_seen(dataset, masks))
    fit = fit or fit_model
    content = _fit_content(dataset, names, settings, encoder, fit=fit, clock=clock, progress=progress)
    fold = _inner(dataset, inner, settings.ranker)
    fold = replace(fold, queries=replace(fold.queries, mask_seen=masks))
    with clock.stage("fit"):
        teach = partial(_fit_sources, names=names, settings=settings, content=content, encoder=encoder, fit=fit)
        before = teach(fold.dataset, before={}, progress=lambda stage, share: progress(stage, share / 2))
        full = teach(dataset, before=before, progress=lambda stage, share: progress(stage, 0.5 + share / 2))
    vectors, space = _vectors(content)
    uniform = np.full(len(names), 1 / len(names), dtype=np.float32)
    told: dict[str, Any] = {
        "circumstances": settings.circumstances.told_by(dataset),
        "demand": settings.demand.told_by(dataset),
        "comes_back": not masks and dataset.repeats,
    }

    def facts_of(data: Dataset) -> ItemFacts:
        return ItemFacts.of(data, vectors, space, **told)

    def pipeline(sources: Mapping[str, Scorer[Dataset]], data: Dataset) -> Pipeline:
        facts = facts_of(data)
        names_of = feature_names(tuple(sources), facts)
        return Pipeline(sources, uniform, facts, None, names_of, settings.candidates, settings.wish, settings.fresh)

    with clock.stage("fit"):
        inner_pipeline, finished = pipeline(before, fold.dataset), pipeline(full, dataset)
        finished = replace(finished, facts=finished.facts.resting())
        asked = sample(fold, settings.ranker.questions, seed)
        own = settings.ranker
        taught, values = examples(inner_pipeline, asked, own.examples, lambda share: progress("questions", share))
        watched: Examples | None = None
        if validation is not None and (growth is None or learn_validation):
            held, enough = sample(validation, own.questions, seed), own.examples if learn_validation else own.stopping
            watched, _ = examples(finished, held, enough, lambda share: progress("validation", share))
        answers = taught.relevant.argmax(axis=1).astype(np.int32)
        weights = learn_weights(values, answers, settings.fusion)
        progress("ranker", 0.0)
        ranker = teach_ranker(
            taught,
            watched,
            names=finished.names,
            settings=settings,
            seed=seed,
            growth=growth,
            learn_validation=learn_validation,
            notes=notes,
        )
    with clock.stage("attractiveness"):
        progress("reactions", 0.0)
        judge = teach_attractiveness(
            dataset,
            finished,
            lambda data, own: teach(data, names=own, before={}, progress=silent),
            facts_of,
            settings=settings.attractiveness,
            seed=seed,
            notes=notes,
            progress=lambda share: progress("reactions", share),
        )
    notes += [note for model in full.values() for note in getattr(model, "notes", ())]
    fresh = fresh_places(settings.fresh, finished, taught, notes)
    pipeline_taught = replace(finished, weights=weights, ranker=ranker, fresh=fresh)
    return Assembled(pipeline_taught, encoder, masks, seed, inner, tuple(notes), clock.seconds, judge)


def _of_seen(dataset: Dataset, masks: bool) -> str:
    """What was decided about items the asker had, and what people do, in words."""
    share = f"{dataset.repeat_share:.1%} of events repeat an item of the same person"
    return f"seen items {'are masked' if masks else 'stay'}: {share}"


def _inner(dataset: Dataset, by: Inner, settings: RankerSettings) -> Fold:
    """What the ranker learns from; where people are few, several events of each."""
    if by == "time" and dataset.has_times:
        moment = time_quantile(dataset, 0.9)
        fold = cut_at(dataset, moment, moment)
        if len(fold) >= FEW:
            return fold
    if by == "baskets" and dataset.has_times:
        moment = time_quantile(dataset, 0.9)
        return cut_at_baskets(dataset, moment, moment, each=settings.questions_each)
    each = settings.questions // (2 * max(dataset.n_users, 1))
    return hold_out_last(dataset, count=int(np.clip(each, 1, settings.questions_each)))


def reader(dataset: Dataset, settings: EngineSettings, notes: list[str]) -> TextEncoder:
    """What reads this catalogue, each text once; ``notes`` gains which encoder and why."""
    return CachedEncoder(_encoder(dataset, settings, notes), VectorCache())


def _encoder(dataset: Dataset, settings: EngineSettings, notes: list[str]) -> TextEncoder:
    texts = item_texts(dataset.catalogue)
    choice = choose_encoder(texts, settings.encoder)
    notes.append(f"encoder {choice.encoder}: {choice.reason}")
    if choice.encoder == "lexical":
        return load_encoder(choice.encoder, texts, settings.encoder)
    return LaterEncoder(lambda: load_encoder(choice.encoder, (), settings.encoder), choice.encoder)


def build_model(name: str, settings: EngineSettings, encoder: TextEncoder | None) -> Scorer[Dataset]:
    """An unfitted model by name.

    Raises
    ------
    UsageError
        There is no model of that name.
    """
    from palate import models

    known: Mapping[str, Callable[..., Scorer[Dataset]]] = models.BY_NAME
    if name not in known:
        raise UsageError(f"unknown model {name!r}; there are {', '.join(known)}")
    own: Any = getattr(settings.models, name)
    if name in models.NEED_ENCODER:
        return known[name](own, encoder)
    return known[name](own)


def fit_model(
    name: str,
    settings: EngineSettings,
    encoder: TextEncoder | None,
    dataset: Dataset,
    *,
    earlier: Any = None,
    progress: Progress = silent,
) -> Scorer[Dataset]:
    """A model by name, fitted; what learns by steps was found by an ``earlier`` one, of almost the same
    events, to need so many.

    Raises
    ------
    UsageError
        There is no model of that name.
    """
    model: Scorer[Dataset] = fitted(build_model(name, settings, encoder), dataset, progress, earlier)
    return model


class FitModel(Protocol):
    """As ``fit_model``; whoever fits the same sources again and again may remember them."""

    def __call__(
        self,
        name: str,
        settings: EngineSettings,
        encoder: TextEncoder | None,
        dataset: Dataset,
        *,
        earlier: Any = None,
        progress: Progress = silent,
    ) -> Scorer[Dataset]: ...


def _fit_content(
    dataset: Dataset,
    names: tuple[str, ...],
    settings: EngineSettings,
    encoder: TextEncoder | None,
    *,
    fit: FitModel,
    clock: Clock,
    progress: Progress,
) -> dict[str, Scorer[Dataset]]:
    wanted = [name for name in names if name in TEXT_SOURCES]
    fitted = {}
    for place, name in enumerate(wanted):
        with clock.stage("encode" if name == "semantic" else "fit"):
            progress("read the catalogue", place / len(wanted))
            fitted[name] = fit(name, settings, encoder, dataset)
    return fitted


def _fit_sources(
    dataset: Dataset,
    *,
    names: tuple[str, ...],
    settings: EngineSettings,
    content: Mapping[str, Scorer[Dataset]],
    encoder: TextEncoder | None,
    fit: FitModel,
    before: Mapping[str, Scorer[Dataset]],
    progress: Progress,
) -> dict[str, Scorer[Dataset]]:
    """Fitted sources by name; what learns by steps knows from ``before`` how many it needs."""
    fitted: dict[str, Scorer[Dataset]] = {}
    for place, name in enumerate(names):
        progress("models", place / len(names))

        def within(stage: str, share: float, place: int = place, name: str = name) -> None:
            progress(f"{name}: {stage}", (place + share) / len(names))

        if name in content:
            fitted[name] = content[name]
        else:
            fitted[name] = fit(name, settings, encoder, dataset, earlier=before.get(name), progress=within)
    return fitted


def _vectors(content: Mapping[str, Scorer[Dataset]]) -> tuple[FloatArray | None, TextSpace | None]:
    semantic: Any = content.get("semantic")
    return (None, None) if semantic is None else (semantic.item_vectors, semantic.space)

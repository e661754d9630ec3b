"""What the ranker is taught by, and what its lessons tell of new items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from palate.core import Queries
from palate.core.ids import id_hash
from palate.data import Dataset
from palate.engine.settings import EngineSettings
from palate.ranking.attractiveness import Attractiveness, AttractivenessSettings, learn_attractiveness
from palate.ranking.fresh import FreshSettings, telling_of
from palate.ranking.pipeline import Pipeline
from palate.ranking.ranker import Examples, Ranker, learn
from palate.ranking.reactions import Habits, Reactions
from palate.ranking.training import joined, split

FEWEST_TREES = 30
"""With few questions the end is decided by chance, often at once: a tree or two leave most candidates alike."""

ENOUGH = 100
"""Fewer questions with a proposed answer teach a ranker nothing; the weighted average ranks then."""


def fresh_places(settings: FreshSettings, pipeline: Pipeline, taught: Examples, notes: list[str]) -> FreshSettings:
    """Whether items that nobody chose yet get places."""
    places = settings.places(pipeline.facts.fresh)
    if not places:
        return settings
    readers = [name for name, model in pipeline.sources.items() if model.abilities.uses_text]
    telling = telling_of(taught, pipeline.names, readers)
    if telling < settings.telling:
        notes.append(f"new items get no places: texts find what people chose {telling:.1f} times as often as chance")
        return settings.model_copy(update={"every": 0})
    notes.append(f"new items get {places} of {settings.every} places: {pipeline.facts.fresh.mean():.0%} have no event")
    return settings


def teach_ranker(
    taught: Examples,
    watched: Examples | None,
    *,
    names: tuple[str, ...],
    settings: EngineSettings,
    seed: int,
    trees: int | None,
    learn_validation: bool,
    notes: list[str],
) -> Ranker | None:
    """The ranker; None where there is too little to learn from."""
    if len(taught) < ENOUGH:
        notes.append(f"{len(taught)} questions with a proposed answer are too few to teach a ranker; weights rank")
        return None
    if trees is not None:
        return learn(taught, None, names, settings.ranker.model_copy(update={"trees": trees}), seed)
    if watched is None or len(watched) < ENOUGH:
        part, watched = split(taught, 0.15, seed)
        ranker = learn(part, watched, names, settings.ranker, seed)
        if len(taught) > settings.ranker.examples // 2:
            return ranker
        # What decided the end is missed where there is little: teach again with it, as many trees, and not so few that
        # most candidates tie.
        enough = max(ranker.trees, min(settings.ranker.trees, FEWEST_TREES))
        return learn(taught, None, names, settings.ranker.model_copy(update={"trees": enough}), seed)
    ranker = learn(taught, watched, names, settings.ranker, seed)
    if learn_validation:
        both = joined(taught, watched)
        return learn(both, None, names, settings.ranker.model_copy(update={"trees": ranker.trees}), seed)
    return ranker


def teach_attractiveness(
    pipeline: Pipeline,
    before: Dataset,
    dataset: Dataset,
    *,
    settings: AttractivenessSettings,
    seed: int,
    notes: list[str],
    progress: Callable[[float], None] | None = None,
) -> Attractiveness | None:
    """What judges generated items, from reactions that the sources have not seen; None where there are too few.

    Parameters
    ----------
    pipeline
        Fitted on ``before``, which holds the first events of every user of ``dataset``.
    """
    if not settings.learn:
        return None
    everything = Reactions.of(dataset)
    known = dataset.user_offsets[:-1] + np.diff(before.user_offsets)
    held = everything.take(everything.rows >= known[everything.users])
    drawn = np.random.default_rng([seed, id_hash("reactions") % 2**32])
    held = held.take(np.sort(drawn.permutation(len(held))[: settings.reactions]))
    groups = pipeline.facts.categories[:, 0]
    when = dataset.events["time"].to_numpy()[held.rows]
    judge = learn_attractiveness(
        pipeline,
        Habits.of(Reactions.of(before), groups, settings.strength),
        Queries(held.histories(dataset), mask_seen=False, when=when),
        held.items,
        liked=held.liked,
        users=held.users,
        settings=settings,
        seed=seed,
        progress=progress,
    )
    if judge is None:
        notes.append(f"nothing judges how attractive items are: {held.liked.sum()} of {len(held)} reactions are likes")
        return None
    notes.append(f"attractiveness: {held.liked.mean():.1%} of {len(held)} looks were likes; {judge.calibrator.kind}")
    # What it judges by is counted over everything, once it is taught.
    return replace(judge, habits=Habits.of(everything, groups, settings.strength))

"""What the ranker is taught by, and what its lessons tell of new items."""

from __future__ import annotations

from palate.engine.settings import EngineSettings
from palate.ranking.fresh import FreshSettings, telling_of
from palate.ranking.pipeline import Pipeline
from palate.ranking.ranker import Examples, Growth, Ranker, learn
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
    growth: Growth | None,
    learn_validation: bool,
    notes: list[str],
) -> Ranker | None:
    """The ranker; None where there is too little to learn from."""
    if len(taught) < ENOUGH:
        notes.append(f"{len(taught)} questions with a proposed answer are too few to teach a ranker; weights rank")
        return None
    if growth is not None:
        return learn(taught, None, names, settings.ranker, seed, growth=growth)
    if watched is None or len(watched) < ENOUGH:
        part, watched = split(taught, 0.15, seed)
        ranker = learn(part, watched, names, settings.ranker, seed)
        if len(taught) > settings.ranker.examples // 2:
            return ranker
        # What decided the end is missed where there is little: teach again with it, as many trees, and not so few that
        # most candidates tie.
        fewest = min(settings.ranker.trees, FEWEST_TREES)
        return learn(taught, None, names, settings.ranker, seed, growth=ranker.growth.at_least(fewest))
    ranker = learn(taught, watched, names, settings.ranker, seed)
    if learn_validation:
        return learn(joined(taught, watched), None, names, settings.ranker, seed, growth=ranker.growth)
    return ranker

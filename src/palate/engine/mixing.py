"""Who decides how a list is mixed: the asker, the settings, or a bandit that learns from reactions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from palate.core import Float64Array, IntArray, UsageError, clock
from palate.core.configuration import suggestion
from palate.data import Catalogue
from palate.engine.settings import EngineSettings
from palate.ranking.bandit import Bandit, Choice
from palate.ranking.context import CONTEXT
from palate.ranking.diversity import DiversitySettings
from palate.ranking.facts import ItemFacts
from palate.ranking.mixes import AVERAGE, LEARNED, Manner, Mix
from palate.ranking.objectives import ObjectiveSettings, check_objectives
from palate.ranking.pipeline import Pipeline


def check_mix(catalogue: Catalogue, pipeline: Pipeline, mix: Mix) -> None:
    """Refuse a mix that this ranking cannot give.

    Raises
    ------
    UsageError
        It is led by a model that is not there, wants diversity that cannot be told, or a margin that is unknown.
    """
    check_objectives(catalogue, mix.objectives)
    if not pipeline.playable((mix,)):
        known = [LEARNED, AVERAGE, *pipeline.sources]
        hint = suggestion(mix.lead, known) if mix.lead not in known else "It cannot tell how alike items are."
        raise UsageError(f"this engine cannot make lists by the mix {mix.name!r}, led by {mix.lead!r}. {hint}")


def check_mixes(catalogue: Catalogue, settings: EngineSettings) -> None:
    """Refuse objectives and mixes that make no sense for this catalogue, before anything is fitted.

    Raises
    ------
    UsageError
        Margin counts where there is none, or a mix is led by a model that does not exist.
    """
    from palate.models import BY_NAME

    check_objectives(catalogue, settings.objectives)
    if settings.bandit.policy == "off":
        return
    for mix in settings.bandit.mixes:
        check_objectives(catalogue, mix.objectives)
        known = [LEARNED, AVERAGE, *BY_NAME]
        if mix.lead not in known:
            raise UsageError(
                f"mix {mix.name!r} is led by {mix.lead!r}, which is no model. {suggestion(mix.lead, known)}"
            )


class Draw:
    """The mixes of n lists, drawn when the ranking knows their contexts.

    Parameters
    ----------
    names
        Recommendation ids of the lists.
    """

    def __init__(self, bandit: Bandit, names: Sequence[str]) -> None:
        self._bandit, self._names = bandit, names
        self._contexts: Float64Array = np.zeros((0, 0))
        self._arms: IntArray = np.zeros(0, dtype=np.int32)
        self._shares: Float64Array = np.zeros(0)

    def __call__(self, contexts: Float64Array) -> IntArray:
        self._contexts = contexts
        self._arms, self._shares = self._bandit.choose(contexts, self._names)
        return self._arms

    def settled(self) -> list[Choice]:
        """What was drawn, learnt as shown."""
        now = clock.now()
        choices = [
            Choice(self._bandit.arms[int(arm)], float(share), context, now)
            for arm, share, context in zip(self._arms, self._shares, self._contexts, strict=True)
        ]
        for name, choice in zip(self._names, choices, strict=True):
            self._bandit.shown(name, choice)
        return choices


class Mixing:
    """How an engine mixes its lists. Not safe for use from several threads at once; the engine sees to that.

    Parameters
    ----------
    pipeline
        Says which mixes can be given.
    """

    def __init__(self, settings: EngineSettings, pipeline: Pipeline) -> None:
        self.diversity = settings.diversity
        self.own = Mix(objectives=settings.objectives)
        self.mixes = pipeline.playable(settings.bandit.mixes)
        self.bandit: Bandit | None = None
        if settings.bandit.policy != "off" and self.mixes:
            self.bandit = Bandit(settings.bandit, [mix.name for mix in self.mixes], len(CONTEXT))

    @property
    def rearranges(self) -> bool:
        """Whether lists are made otherwise than by accuracy alone, even where nobody chooses."""
        return bool(self.diversity.strength) or not self.own.objectives.plain

    def manner(
        self,
        diversity: float | None = None,
        objectives: ObjectiveSettings | None = None,
        mix: Mix | None = None,
    ) -> Manner:
        """What an asker says, over a mix, over the settings.

        A diversity said outright goes before that of the objectives.
        """
        if mix is not None and diversity is None and objectives is None:
            return Manner(self.diversity, (mix,))
        chosen = self.own.objectives if objectives is None else objectives
        strength = self.diversity
        if diversity is not None:
            strength = DiversitySettings(strength=diversity)
            chosen = chosen.model_copy(update={"diversity": 0.0})
        return Manner(strength, (self.own.model_copy(update={"objectives": chosen}),))

    def weighed(self, catalogue: Catalogue, objectives: Iterable[ObjectiveSettings], facts: ItemFacts) -> Manner:
        """A manner with a mix for each weighting, all led by the learned ranker; refused where one makes no sense."""
        mixes = tuple(Mix(objectives=own) for own in objectives)
        for mix in mixes:
            check_objectives(catalogue, mix.objectives, facts)
        return Manner(self.diversity, mixes)

    @staticmethod
    def told(catalogue: Catalogue, weights: Mapping[str, float], facts: ItemFacts) -> ObjectiveSettings:
        """Weights in a caller's words; refused where they make no sense for the catalogue."""
        objectives = ObjectiveSettings.told(weights)
        check_objectives(catalogue, objectives, facts)
        return objectives

    def drawn(self, names: Sequence[str | None]) -> tuple[Manner, Draw, list[str]]:
        """A manner that draws the mixes of lists with these recommendation ids, fresh ones where None."""
        assert self.bandit is not None  # noqa: S101
        given = [name or f"r_{secrets.token_hex(16)}" for name in names]
        draw = Draw(self.bandit, given)
        return Manner(self.diversity, self.mixes, draw), draw, given

    def react(self, reactions: Iterable[tuple[str, str]]) -> int:
        """Learn from events, as pairs of recommendation id and kind; returns from how many."""
        bandit = self.bandit
        return 0 if bandit is None else sum(bandit.reacted(name, kind) for name, kind in reactions)

    def recall(self, shown: Iterable[tuple[str, Choice]]) -> None:
        """Learn which lists a log says were shown, by recommendation id."""
        if self.bandit is not None:
            for name, choice in shown:
                self.bandit.recalled(name, choice)

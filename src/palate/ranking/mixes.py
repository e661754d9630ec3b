"""Mixes: named ways in which the same candidates become a list, for people or a bandit to choose among."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pydantic import Field

from palate.core import Float64Array, FloatArray, IntArray, Settings
from palate.ranking.diversity import DiversitySettings
from palate.ranking.objectives import ObjectiveSettings, Worth

LEARNED, AVERAGE = "learned", "average"


class Mix(Settings):
    """One way to order candidates.

    Parameters
    ----------
    name
        How it is called in the log.
    lead
        ``learned``: the learned ranker orders. ``average``: the weighted average of the sources does. The name of a
        source: the average does, and that source holds half of its weight.
    objectives
        What counts beside accuracy.
    """

    name: str = Field(default=LEARNED, min_length=1, max_length=64)
    lead: str = LEARNED
    objectives: ObjectiveSettings = Field(default_factory=ObjectiveSettings)


MIXES: tuple[Mix, ...] = (
    Mix(),
    Mix(name="average", lead=AVERAGE),
    Mix(name="next", lead="transitions"),
    Mix(name="sequence", lead="sequential"),
    Mix(name="meaning", lead="semantic"),
    Mix(name="popular", objectives=ObjectiveSettings(accuracy=0.7, novelty=-0.3)),
    Mix(name="novel", objectives=ObjectiveSettings(accuracy=0.8, novelty=0.2)),
    Mix(name="diverse", objectives=ObjectiveSettings(accuracy=0.7, diversity=0.3)),
)
"""What a bandit chooses among where nothing else is said."""

Choose = Callable[[Float64Array], IntArray]
"""From the context of n questions, float64 (n, d), the mix of each: int32 (n,), positions among ``Manner.mixes``. It is
asked again where a list was too short, and must then say the same."""


@dataclass(frozen=True)
class Manner:
    """How candidates become lists, the shop's rules apart.

    Parameters
    ----------
    diversity
        Where a mix says nothing of it.
    mixes
        At least one; the first is taken where nobody chooses.
    choose
        Chooses a mix for each question.
    boost
        float32 (n_items,), moves of items' scores in standard deviations.
    worth
        What items are worth beside being right; of novelty alone something is known where None.
    """

    diversity: DiversitySettings = field(default_factory=DiversitySettings)
    mixes: tuple[Mix, ...] = (Mix(),)
    choose: Choose | None = None
    boost: FloatArray | None = None
    worth: Worth | None = None

    def weights(self, mix: Mix) -> ObjectiveSettings:
        """What counts in the lists of a mix, diversity where the mix says nothing of it included."""
        own = mix.objectives
        return own if own.diversity or not self.diversity.strength else own.with_diversity(self.diversity.strength)


def playable(mixes: Iterable[Mix], sources: Iterable[str], *, ranker: bool, compares: bool) -> tuple[Mix, ...]:
    """The mixes that a ranking can give and that are not twice the same.

    Parameters
    ----------
    sources
        Models it asks; a mix led by another one is left out.
    ranker
        Whether it has a learned ranker; without one, ``learned`` is the average under another name.
    compares
        Whether it can tell how alike items are; without, a mix cannot be more diverse.
    """
    known = {LEARNED, AVERAGE, *sources}
    found: dict[tuple[str, str], Mix] = {}
    for mix in mixes:
        if mix.lead not in known or (mix.objectives.diversity and not compares):
            continue
        lead = AVERAGE if mix.lead == LEARNED and not ranker else mix.lead
        found.setdefault((lead, mix.objectives.model_dump_json()), mix)
    return tuple(found.values())

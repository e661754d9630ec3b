"""Settings of the whole engine: one tree, each leaf written beside the component that uses it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from palate.core import Settings, UsageError
from palate.data import Dataset
from palate.data.dataset import REPEATS
from palate.language import EncoderSettings
from palate.models.als import ALSSettings
from palate.models.baskets import BasketSettings
from palate.models.bilinear import BilinearSettings
from palate.models.bpr import BPRSettings
from palate.models.ease import EASESettings
from palate.models.elicitation import ElicitationSettings
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.models.generative import GenerativeSettings
from palate.models.interest import InterestSettings
from palate.models.item_knn import ItemKNNSettings
from palate.models.knowledge import KnowledgeSettings
from palate.models.lexical import LexicalSettings
from palate.models.popularity import PopularitySettings
from palate.models.repeats import RepeatsSettings
from palate.models.semantic import SemanticSettings
from palate.models.semantic_transitions import SemanticTransitionsSettings
from palate.models.semantic_tuned import SemanticTunedSettings
from palate.models.sequential import GRU4REC, LSTM, SASREC, SequentialSettings
from palate.models.transfer import TransferSettings
from palate.models.transitions import TransitionsSettings
from palate.models.user_knn import UserKNNSettings
from palate.models.whereabouts.settings import PlacesSettings
from palate.ranking.attractiveness import AttractivenessSettings
from palate.ranking.bandit import BanditSettings
from palate.ranking.candidates import CandidateSettings
from palate.ranking.circumstances import CircumstanceSettings
from palate.ranking.demand import DemandSettings
from palate.ranking.diversity import DiversitySettings
from palate.ranking.fresh import FreshSettings
from palate.ranking.fusion import FusionSettings
from palate.ranking.objectives import ObjectiveSettings
from palate.ranking.pipeline import WishSettings
from palate.ranking.ranker import RankerSettings
from palate.ranking.rules import RuleSettings
from palate.ranking.shown import ShownSettings

FAST = (
    "popularity",
    "repeats",
    "baskets",
    "knowledge",
    "transitions",
    "item_knn",
    "ease",
    "als",
    "semantic",
    "lexical",
    "interest",
    "places",
)
"""Counts, factors and frozen text."""

BALANCED = (*FAST, "semantic_transitions", "sequential")
"""What ``fast`` has, and sequences learnt by a transformer."""

PRESETS: dict[str, tuple[str, ...]] = {"fast": FAST, "balanced": BALANCED, "thorough": BALANCED}
"""Sources of each preset."""

CHANGES: dict[str, dict[str, Any]] = {
    "fast": {},
    "balanced": {"ranker": {"members": 2}},
    "thorough": {
        "models": {"sequential": {"width": 192, "blocks": 3, "heads": 3, "patience": 6}},
        "ranker": {"members": 3, "examples": 12_000, "stopping": 5_000, "trees": 800, "learning_rate": 0.04},
        "candidates": {"total": 200, "per_source": 100},
    },
}
"""What else a preset sets: with more time a larger network, more questions, smaller steps, several ensembles."""


class ModelSettings(Settings):
    """Settings of each model, by its name."""

    popularity: PopularitySettings = Field(default_factory=PopularitySettings)
    repeats: RepeatsSettings = Field(default_factory=RepeatsSettings)
    baskets: BasketSettings = Field(default_factory=BasketSettings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)
    transitions: TransitionsSettings = Field(default_factory=TransitionsSettings)
    semantic_transitions: SemanticTransitionsSettings = Field(default_factory=SemanticTransitionsSettings)
    item_knn: ItemKNNSettings = Field(default_factory=ItemKNNSettings)
    user_knn: UserKNNSettings = Field(default_factory=UserKNNSettings)
    ease: EASESettings = Field(default_factory=EASESettings)
    als: ALSSettings = Field(default_factory=ALSSettings)
    bpr: BPRSettings = Field(default_factory=BPRSettings)
    semantic: SemanticSettings = Field(default_factory=SemanticSettings)
    semantic_tuned: SemanticTunedSettings = Field(default_factory=SemanticTunedSettings)
    lexical: LexicalSettings = Field(default_factory=LexicalSettings)
    interest: InterestSettings = Field(default_factory=InterestSettings)
    bilinear: BilinearSettings = Field(default_factory=BilinearSettings)
    sequential: SequentialSettings = Field(default_factory=SequentialSettings)
    transferred: TransferSettings = Field(default_factory=TransferSettings)
    sasrec: SequentialSettings = SASREC
    gru4rec: SequentialSettings = GRU4REC
    lstm: SequentialSettings = LSTM
    places: PlacesSettings = Field(default_factory=PlacesSettings)
    generative: GenerativeSettings = Field(default_factory=GenerativeSettings)
    next_behaviour: NextBehaviourSettings = Field(default_factory=NextBehaviourSettings)

    def seeded(self, seed: int) -> ModelSettings:
        """The same settings with ``seed`` added to that of every model that draws by chance."""
        own = {name: getattr(self, name) for name in type(self).model_fields}
        drawn = {name: entry for name, entry in own.items() if "seed" in type(entry).model_fields}
        changed = {name: entry.model_copy(update={"seed": entry.seed + seed}) for name, entry in drawn.items()}
        return self.model_copy(update=changed)


class EngineSettings(Settings):
    """The whole tree.

    Parameters
    ----------
    sources
        Names of the models that propose, in order; those of ``fast`` where settings are made by hand, see ``preset``.
    seen
        ``mask`` items the asker had, ``keep`` them, or decide by how often people come back to things.
    repeat_share
        ``auto`` keeps seen items where at least this share of events repeats an earlier item of the same user.
    ease_items
        EASE inverts an items x items matrix; with more items than this it is left out of the sources.
    history
        Newest events of an asker since training that are remembered.
    counting
        Share of the time that counting live events, for others to be told of, may take; 0: they continue histories
        and nothing more.
    """

    sources: tuple[str, ...] = FAST
    seen: Literal["auto", "mask", "keep"] = "auto"
    repeat_share: float = Field(default=REPEATS, ge=0, le=1)
    ease_items: int = Field(default=6000, ge=0)
    history: int = Field(default=200, ge=1)
    counting: float = Field(default=0.1, ge=0, le=1)
    encoder: EncoderSettings = Field(default_factory=EncoderSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    candidates: CandidateSettings = Field(default_factory=CandidateSettings)
    fusion: FusionSettings = Field(default_factory=FusionSettings)
    circumstances: CircumstanceSettings = Field(default_factory=CircumstanceSettings)
    demand: DemandSettings = Field(default_factory=DemandSettings)
    ranker: RankerSettings = Field(default_factory=RankerSettings)
    diversity: DiversitySettings = Field(default_factory=DiversitySettings)
    wish: WishSettings = Field(default_factory=WishSettings)
    fresh: FreshSettings = Field(default_factory=FreshSettings)
    rules: RuleSettings = Field(default_factory=RuleSettings)
    objectives: ObjectiveSettings = Field(default_factory=ObjectiveSettings)
    bandit: BanditSettings = Field(default_factory=BanditSettings)
    attractiveness: AttractivenessSettings = Field(default_factory=AttractivenessSettings)
    shown: ShownSettings = Field(default_factory=ShownSettings)
    questions: ElicitationSettings = Field(default_factory=ElicitationSettings)

    def masks_seen(self, dataset: Dataset) -> bool:
        """Whether items an asker had are left out of answers."""
        if self.seen == "auto":
            return dataset.repeat_share < self.repeat_share
        return self.seen == "mask"

    @classmethod
    def preset(cls, name: str) -> EngineSettings:
        """The settings of a preset.

        Raises
        ------
        UsageError
            There is no such preset.
        """
        if name not in PRESETS:
            raise UsageError(f"unknown preset {name!r}; there are {', '.join(PRESETS)}")
        return cls.model_validate({"sources": PRESETS[name], **CHANGES[name]})

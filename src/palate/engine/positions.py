"""The fitted engine as models and protocols see it: questions in positions, answers in positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import xxhash

from palate.core import FloatArray, Queries, Rankings, Scorer
from palate.data import Catalogue, Dataset
from palate.engine.assembly import Assembled
from palate.engine.mixing import Mixing
from palate.engine.settings import EngineSettings
from palate.engine.shelf import Shelf
from palate.ranking.objectives import ObjectiveSettings
from palate.ranking.pipeline import Pipeline


class Positions:
    """What was fitted, and the one path from questions to lists.

    Parameters
    ----------
    dataset
        What was learnt from.
    settings
        As given.
    assembled
        What learning came to.
    """

    def __init__(self, dataset: Dataset, settings: EngineSettings, assembled: Assembled) -> None:
        self.dataset, self.settings, self.assembled = dataset, settings, assembled
        self.notes, self.timings = assembled.notes, dict(assembled.seconds)
        self._shelf = Shelf.of(dataset.catalogue, assembled.pipeline, settings.rules, assembled.attractiveness)
        self.mixing = Mixing(settings, assembled.pipeline)
        digest = xxhash.xxh3_64(f"{dataset.fingerprint}{settings.model_dump_json()}{assembled.seed}".encode())
        self.version = digest.hexdigest()[:12]

    @property
    def catalogue(self) -> Catalogue:
        """What can be recommended, items that came since training included."""
        return self._shelf.catalogue

    @property
    def pipeline(self) -> Pipeline:
        """The fitted ranking."""
        return self._shelf.pipeline

    @property
    def sources(self) -> Mapping[str, Scorer[Dataset]]:
        """The fitted models by name."""
        return self.pipeline.sources

    @property
    def kind(self) -> Literal["text", "features"]:
        """Which branch the data took: texts through the language model, or engineered features."""
        return "text" if self.assembled.encoder is not None else "features"

    @property
    def masks_seen(self) -> bool:
        """Whether items the asker had are left out of answers."""
        return self.assembled.masks_seen

    def rank(self, queries: Queries) -> Rankings:
        """Answer n questions in positions: the one path, for tests and for the web alike."""
        return self._shelf.rank(queries, self.mixing.manner())

    def rank_each(self, queries: Queries, objectives: Sequence[ObjectiveSettings]) -> list[Rankings]:
        """Answer the same n questions once for each weighting of objectives; what they have in common is done once."""
        return self._shelf.rank_each(queries, self.mixing.weighed(self.catalogue, objectives, self.pipeline.facts))

    @property
    def draws(self) -> bool:
        """Whether a bandit chooses the mix of every list, so that the same question may be answered otherwise."""
        return self.mixing.bandit is not None

    @property
    def rearranges(self) -> bool:
        """Whether ``rank`` gives other lists than ``score`` orders, for other objectives' sake."""
        return self.mixing.rearranges

    def score(self, queries: Queries) -> FloatArray:
        """Scores that order the full catalogue as ``rank`` does, other objectives apart; float32 (n, n_items)."""
        return self._shelf.score(queries)

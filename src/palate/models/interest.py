"""Interest in kinds of thing, for data without text: what is like what somebody turned to, by category and price.

Where a catalogue has no words for a language model, engineered features take their place: the interest vector is the
recency-weighted mean of the features of what somebody did, and an item's score is its cosine with that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.behaviour import Branch, InterestModel, RecencySettings, item_features
from palate.core import Abilities, FloatArray, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Catalogue, Dataset
from palate.language import unit_rows
from palate.models.fitted import need, new_items
from palate.models.linear import recommend_in_batches

_BRANCH = Branch("features", "Interest is modelled from engineered features.", "兴趣由特征工程建模。")


class InterestSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    recency
        How fast the past fades.
    """

    recency: RecencySettings = Field(default_factory=RecencySettings)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        halves = (1.0, 2.0, 5.0, 20.0)
        return Space(
            {
                "recency.half_life_events": Span(0.5, 40.0, log=True),
                "recency.half_life_days": Span(3.0, 1000.0, log=True),
            },
            first=tuple({"recency.half_life_events": events} for events in halves),
        )


class Interest:
    """Recommends items whose features are those of the history's items."""

    name: ClassVar[str] = "interest"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_time=True)

    def __init__(self, settings: InterestSettings | None = None) -> None:
        self.settings = settings or InterestSettings()
        self._model: InterestModel | None = None

    @property
    def n_items(self) -> int:
        return len(self._need().vectors)

    def fit(self, dataset: Dataset) -> Self:
        """Work out the features of items."""
        vectors = item_features(dataset.catalogue, dataset)
        self._model = InterestModel(vectors, _BRANCH, self.settings.recency)
        return self

    def extend(self, catalogue: Catalogue) -> Self:
        """Take up items that came after the fit: each stands where the known items of its innermost category stand."""
        model = self._need()
        if not len(new_items(catalogue, self.n_items)):
            return self
        known, (categories, names) = len(model.vectors), catalogue.categories
        shape = (len(catalogue), len(names))
        member = sparse.csr_matrix((np.ones(len(categories.values)), categories.values, categories.indptr), shape=shape)
        counts = np.asarray(member[:known].sum(axis=0)).ravel()
        means = (member[:known].T @ model.vectors) / np.maximum(counts, 1)[:, None]
        # Nobody known is in an innermost category: the one around it speaks, and weighs little where one does.
        depth = np.arange(len(categories.values)) - np.repeat(categories.indptr[:-1], categories.lengths)
        nearness = np.where(counts[categories.values] > 0, 1e3**depth, 0.0)
        share = sparse.csr_matrix((nearness, categories.values, categories.indptr), shape=shape)[known:]
        new = unit_rows(np.asarray(share @ means, dtype=np.float32))
        self._model = replace(model, vectors=np.concatenate([model.vectors, new]))
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Cosine of interest and item; float32 (n, n_items), 0 where either is empty."""
        model = self._need()
        known = queries.history.items < self.n_items
        history = queries.history if known.all() else queries.history.where(known)
        wanted = model.interests(history)
        lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
        return np.asarray((wanted / np.maximum(lengths, 1e-12)) @ model.vectors.T, dtype=np.float32)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def arrays(self) -> Arrays:
        return {"vectors": self._need().vectors}

    def restore(self, arrays: Arrays) -> Self:
        vectors = np.asarray(arrays["vectors"], dtype=np.float32)
        self._model = InterestModel(vectors, _BRANCH, self.settings.recency)
        return self

    def _need(self) -> InterestModel:
        return need(self._model, self.name)

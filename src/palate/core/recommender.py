"""What a recommender is: a small protocol, not a base class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

import numpy as np

from palate.core.abilities import Abilities
from palate.core.arrays import FloatArray, Int64Array, IntArray
from palate.core.histories import Histories
from palate.core.queries import Queries
from palate.core.rankings import Rankings
from palate.core.settings import Settings

DatasetT_contra = TypeVar("DatasetT_contra", contravariant=True)
CatalogueT_contra = TypeVar("CatalogueT_contra", contravariant=True)

Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
"""A fitted model's state: names and arrays, written as safetensors. Nothing else is state."""


@runtime_checkable
class Recommender(Protocol[DatasetT_contra]):
    """Fit on a dataset, answer queries; nothing of the training users is needed at answer time.

    Attributes
    ----------
    name
        The field's name of the method, unique among models, e.g. ``"ease"``.
    settings
        Frozen hyper-parameters.
    abilities
        What the model can do; the conformance suite in ``palate.testing`` holds it to that.
    """

    name: ClassVar[str]
    abilities: ClassVar[Abilities]

    @property
    def settings(self) -> Settings: ...

    def fit(self, dataset: DatasetT_contra) -> Self:
        """Learn from a dataset and return self. Fitting again forgets what was learnt before."""
        ...

    def recommend(self, queries: Queries) -> Rankings:
        """Answer n queries at once."""
        ...

    def arrays(self) -> Arrays:
        """The fitted state. ``restore`` of these gives identical answers."""
        ...

    def restore(self, arrays: Arrays) -> Self:
        """Take a fitted state saved by ``arrays`` and return self."""
        ...


@runtime_checkable
class Scorer(Recommender[DatasetT_contra], Protocol[DatasetT_contra]):
    """A recommender that can score every item, so that its scores can be fused and explained."""

    def score(self, queries: Queries) -> FloatArray:
        """Scores of all items for every question, masks and excludes not yet applied.

        Returns
        -------
        float32 (n, n_items), freshly allocated, the caller may write to it. Finite, or -inf where the model has nothing
        to say about an item; 0 where a linear model has no evidence. Items are those the model knew when it was fitted
        or last extended: where the catalogue has grown since, ``widened`` gives the missing columns their 0. Events
        with newer items count nothing.
        """
        ...


@runtime_checkable
class Grows(Protocol[CatalogueT_contra]):
    """A model that can serve items it was not fitted on, from what the catalogue says of them."""

    def extend(self, catalogue: CatalogueT_contra) -> Self:
        """Serve a catalogue that grew: known items keep their positions, new ones follow them. Returns self."""
        ...


@runtime_checkable
class Continues(Protocol):
    """A model that takes in new events without a fit, fast enough to do so while it is in use."""

    def update(self, sequences: Histories, new: Int64Array) -> Self:
        """Count events that came since: whole histories, and how many of the last events of each are new.

        Old arrays are left as they are, so a shallow copy made before goes on as before. Returns self.
        """
        ...


@runtime_checkable
class Refits(Protocol[DatasetT_contra]):
    """A model that learns by steps, slowly, and reports how far it is."""

    def fit(self, dataset: DatasetT_contra, progress: Callable[[str, float], None] | None = None) -> Self:
        """``Recommender.fit``, reporting what goes on in words and the share of it that is done."""
        ...

    def refit(self, dataset: DatasetT_contra, progress: Callable[[str, float], None] | None = None) -> Self:
        """Another model, for other events of the same catalogue, taught as long as it proved right for this one."""
        ...


def fitted(model: Any, dataset: Any, progress: Callable[[str, float], None], earlier: Any = None) -> Any:
    """The model, fitted; what learns by steps reports them, and an ``earlier`` one knows how many it needs."""
    if isinstance(earlier, Refits):
        return earlier.refit(dataset, progress)
    return model.fit(dataset, progress) if isinstance(model, Refits) else model.fit(dataset)


def widened(scores: FloatArray, n_items: int) -> FloatArray:
    """Scores (n, m) as (n, n_items): 0, no evidence, for items that came after the model was fitted."""
    if scores.shape[1] >= n_items:
        return scores
    wide = np.zeros((len(scores), n_items), dtype=np.float32)
    wide[:, : scores.shape[1]] = scores
    return wide


@runtime_checkable
class ExplainsByHistory(Protocol):
    """A linear model: an item's score is a sum over the events of the history."""

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event of the one question adds to the score of each item.

        Parameters
        ----------
        queries
            Exactly one question, with a history of h events.
        items
            int32 (k,).

        Returns
        -------
        float32 (h, k); the sum over events is the item's score.
        """
        ...

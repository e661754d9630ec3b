"""A causal transformer over histories (SASRec: Kang & McAuley, 2018), its items known by id and by text.

Input and output vectors of an item are the same: a vector of its own plus its projected language vector plus vectors of
its attributes; each part can be switched off. An item without events is scored by what is said of it. The loss is the
full softmax over all items, which is what makes SASRec strong (Klenitskiy & Vasilev, 2023), or a sampled one where the
catalogue is large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from palate.core import (
    Abilities,
    FloatArray,
    IntArray,
    Queries,
    Rankings,
)
from palate.core.recommender import Arrays
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder
from palate.models.fitted import need, new_items
from palate.models.linear import known_events, recommend_in_batches
from palate.models.neural.described import Described
from palate.models.neural.lessons import LARGE, against_chance, cells_of, held_out, pairs_of, window_of
from palate.models.neural.settings import ReaderSettings
from palate.training import Report

if TYPE_CHECKING:
    from palate.models.neural.network import SequenceNetwork, Shape


class SequentialSettings(ReaderSettings):
    """Hyper-parameters of the transformer, and of its training.

    Parameters
    ----------
    loss
        ``softmax`` over all items, ``sampled`` softmax, ``calibrated`` binary cross-entropy; ``auto``: sampled where
        the catalogue has more than 40,000 items.
    negatives
        Shared samples a batch, for the last two losses.
    calibration
        Of the calibrated loss, 0 to 1.
    """

    loss: Literal["auto", "softmax", "sampled", "calibrated"] = "auto"
    negatives: int = Field(default=2048, ge=1)
    calibration: float = Field(default=0.75, ge=0, le=1)


SASREC = SequentialSettings(text=False, attributes=False)
"""Items known by their ids alone."""

GRU4REC = SASREC.model_copy(update={"blocks": 1})


class SequenceModel:
    """What comes next after all that came before, in its order; what the models below share.

    Parameters
    ----------
    settings
        The defaults where None.
    encoder
        What turns texts into vectors; None: items are known by their ids and attributes. It is no part of the saved
        state: give the same one to the restored model.
    """

    name: ClassVar[str]
    abilities: ClassVar[Abilities]
    body: ClassVar[str] = "transformer"

    defaults: ClassVar[SequentialSettings]

    def __init__(self, settings: SequentialSettings | None = None, encoder: TextEncoder | None = None) -> None:
        self.settings = settings or self.defaults
        self.encoder = encoder
        self._network: SequenceNetwork | None = None
        self._vectors: FloatArray | None = None
        self._said: FloatArray = np.zeros((0, 0), np.float32)
        self._described = Described()
        self.history: tuple[tuple[float, float, float], ...] = ()
        self.epochs = 0

    @property
    def item_vectors(self) -> FloatArray:
        """float32 (n_items, width): what a state is multiplied with."""
        return need(self._vectors, self.name)

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    def fit(self, dataset: Dataset, progress: Report | None = None) -> Self:
        """Learn from histories of two events and more; the newest event of some users decides when to end.

        Raises
        ------
        DataError
            Nobody did two things, so nothing follows anything.
        """
        return self._learn(dataset, None, progress)

    def refit(self, dataset: Dataset, progress: Report | None = None) -> Self:
        """Another model for other events of the same catalogue: as many epochs, and nothing held out to count them."""
        return type(self)(self.settings, self.encoder)._learn(dataset, self, progress)

    def score(self, queries: Queries) -> FloatArray:
        """Log of how much likelier than chance each item comes next; float32 (n, n_items), 0 without a history."""
        hidden = self.user_vectors(queries)
        scores = against_chance(hidden @ self.item_vectors.T)
        scores[~hidden.any(axis=1)] = 0.0
        return np.asarray(scores, dtype=np.float32)

    def user_vectors(self, queries: Queries) -> FloatArray:
        """The state after each history; float32 (n, width), zeros where nothing known happened."""
        from palate.models.neural.network import read

        history = known_events(queries.history, self.n_items)
        network = self._fitted
        return read(network, self.item_vectors, history, queries.when)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def arrays(self) -> Arrays:
        from palate.models.neural.network import saved

        return {
            "item_vectors": self.item_vectors,
            "said": self._said,
            **self._described.arrays(),
            **saved(self._fitted),
        }

    def restore(self, arrays: Arrays) -> Self:
        from palate.models.neural.network import restored

        self._vectors = np.asarray(arrays["item_vectors"], dtype=np.float32)
        self._said = np.asarray(arrays["said"], dtype=np.float32)
        self._described = Described.from_arrays(arrays)
        self._network = restored(arrays, self._shape(len(arrays["network.positions.weight"])))
        return self

    @property
    def _fitted(self) -> SequenceNetwork:
        return need(self._network, self.name)

    def _shape(self, window: int) -> Shape:
        from palate.models.neural.network import Shape

        return Shape.of(self.settings, self.body, window)

    def _learn(self, dataset: Dataset, before: SequenceModel | None, progress: Report | None) -> Self:
        from palate.models.neural.network import build, vectors_of
        from palate.models.neural.next_item import Objective, learn
        from palate.training.checkpoints import place_of

        settings, sequences = self.settings, dataset.sequences
        pairs = pairs_of(sequences, self.name)
        every = np.arange(dataset.n_items, dtype=np.int32)
        if before is None:
            self._described = Described.fit(dataset.catalogue, settings, self.encoder)
        else:
            self._described = before._described
        texts, codes = self._described.of(dataset.catalogue, every, self.encoder)
        window = window_of(sequences, settings) if before is None else before._fitted.window
        network = build(self._shape(window), dataset.popularity > 0, texts, codes, self._described.n_codes)
        learnt, held = (sequences, None) if before is not None else held_out(sequences, settings)
        loss = settings.loss
        if loss == "auto":
            loss = "sampled" if dataset.n_items > LARGE else "softmax"
        trained = learn(
            network,
            learnt,
            held,
            objective=Objective(loss, settings.negatives, settings.calibration),
            cells=cells_of(pairs, settings),
            settings=settings,
            mask_seen=not dataset.repeats,
            ends=None if before is None else before.epochs,
            checkpoint=place_of(self.name, settings, learnt, texts, codes),
            progress=progress,
        )
        self.history, self.epochs = trained.history, trained.epoch
        self._network = network
        self._vectors, self._said = vectors_of(network)
        return self


class Sequential(SequenceModel):
    """Items known by id, text, category and brand; what came since the training is known by the last three."""

    name: ClassVar[str] = "sequential"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_time=True)
    defaults: ClassVar[SequentialSettings] = SequentialSettings()

    def extend(self, catalogue: Catalogue) -> Self:
        """Serve a catalogue that grew: new items are scored by their text and attributes.

        Raises
        ------
        UsageError
            The catalogue is shorter than the known one, so it is not the same one grown.
        """
        return self.reread(catalogue, new_items(catalogue, self.n_items))

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Vectors of items whose text is new or has changed; what is theirs alone stays.

        Old arrays are left as they are, so a shallow copy made before goes on as before.

        Parameters
        ----------
        items
            int32 positions; new ones are all there are beyond the known ones.
        """
        from palate.models.neural.network import described

        if not len(items):
            return self
        old = self.item_vectors
        new = np.zeros((max(0, int(items.max()) + 1 - len(old)), old.shape[1]), np.float32)
        vectors, said = np.concatenate([old, new]), np.concatenate([self._said, new])
        texts, codes = self._described.of(catalogue, items, self.encoder)
        now = described(self._fitted, texts, codes, len(items))
        vectors[items] += now - said[items]
        said[items] = now
        self._vectors, self._said = vectors, said
        return self


class SASRec(SequenceModel):
    """The transformer with items known by their ids alone: a collaborative model."""

    name: ClassVar[str] = "sasrec"
    abilities: ClassVar[Abilities] = Abilities(uses_time=True)
    defaults: ClassVar[SequentialSettings] = SASREC


class GRU4Rec(SequenceModel):
    """Gated recurrent units over ids (Hidasi et al., 2016), with the same loss and training."""

    name: ClassVar[str] = "gru4rec"
    abilities: ClassVar[Abilities] = Abilities(uses_time=True)
    defaults: ClassVar[SequentialSettings] = GRU4REC
    body: ClassVar[str] = "gru"

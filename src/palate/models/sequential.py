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
)
from palate.core.recommender import Arrays
from palate.data import Catalogue
from palate.language import TextEncoder
from palate.models.fitted import TextReader, need
from palate.models.neural.course import Course
from palate.models.neural.described import Described
from palate.models.neural.lessons import LARGE, against_chance
from palate.models.neural.settings import ReaderSettings
from palate.models.reading import HistoryReader

if TYPE_CHECKING:
    from palate.models.neural.network import SequenceNetwork
    from palate.training.loop import Trained


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

LSTM = GRU4REC


class SequenceModel(HistoryReader):
    """What comes next after all that came before, in its order; what the models below share.

    Parameters
    ----------
    settings
        The defaults where None.
    encoder
        See ``HistoryReader``; where None, items are known by their ids and attributes.
    """

    defaults: ClassVar[SequentialSettings]
    settings: SequentialSettings

    def __init__(self, settings: SequentialSettings | None = None, encoder: TextEncoder | None = None) -> None:
        super().__init__(settings or self.defaults, encoder)
        self._vectors: FloatArray | None = None

    @property
    def item_vectors(self) -> FloatArray:
        """float32 (n_items, width): what is read of an item, and what a state is multiplied with."""
        return need(self._vectors, self.name)

    def score(self, queries: Queries) -> FloatArray:
        """Log of how much likelier than chance each item comes next; float32 (n, n_items), 0 without a history."""
        hidden = self.user_vectors(queries)
        scores = against_chance(hidden @ self.item_vectors.T)
        scores[~hidden.any(axis=1)] = 0.0
        return np.asarray(scores, dtype=np.float32)

    def arrays(self) -> Arrays:
        from palate.models.neural.network import saved

        return {
            "item_vectors": self.item_vectors,
            "said": self._said,
            **self._described.arrays(),
            **saved(self._read_by),
        }

    def restore(self, arrays: Arrays) -> Self:
        from palate.models.neural.network import restored

        self._vectors = np.asarray(arrays["item_vectors"], dtype=np.float32)
        self._said = np.asarray(arrays["said"], dtype=np.float32)
        self._described = Described.from_arrays(arrays)
        self._reader = restored(arrays, self._shape(len(arrays["network.positions.weight"])))
        return self

    def _teach(self, reader: SequenceNetwork, course: Course, n_items: int) -> Trained:
        from palate.models.neural.network import vectors_of
        from palate.models.neural.next_item import Objective, learn

        own, loss = self.settings, self.settings.loss
        if loss == "auto":
            loss = "sampled" if n_items > LARGE else "softmax"
        trained = learn(reader, course, Objective(loss, own.negatives, own.calibration))
        self._vectors, self._said = vectors_of(reader)
        return trained


class Sequential(SequenceModel, TextReader):
    """Items known by id, text, category and brand; what came since the training is known by the last three."""

    name: ClassVar[str] = "sequential"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_time=True)
    defaults: ClassVar[SequentialSettings] = SequentialSettings()

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Vectors of items whose text is new or has changed; what is theirs alone stays."""
        from palate.models.neural.network import described

        if not len(items):
            return self
        old = self.item_vectors
        new = np.zeros((max(0, int(items.max()) + 1 - len(old)), old.shape[1]), np.float32)
        vectors, said = np.concatenate([old, new]), np.concatenate([self._said, new])
        texts, codes = self._described.of(catalogue, items, self.encoder)
        now = described(self._read_by, texts, codes, len(items))
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


class LongShortTermMemory(SequenceModel):
    """Long short-term memory over ids, with the same loss and training."""

    name: ClassVar[str] = "lstm"
    abilities: ClassVar[Abilities] = Abilities(uses_time=True)
    defaults: ClassVar[SequentialSettings] = LSTM
    body: ClassVar[str] = "lstm"

"""The frame of models whose network reads histories: all of them but what the network is taught to foresee."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from palate.core import Abilities, FloatArray, Histories, Queries, Rankings
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder
from palate.models.fitted import need
from palate.models.linear import known_events, recommend_in_batches
from palate.models.neural.course import Course
from palate.models.neural.described import Described
from palate.models.neural.lessons import held_out, pairs_of, read_only, suited
from palate.training import Report

if TYPE_CHECKING:
    from palate.models.neural.network import SequenceNetwork, Shape
    from palate.training.loop import Trained


class HistoryReader(ABC):
    """A model adds ``name``, ``abilities``, its vectors and scores, and ``_teach``.

    Parameters
    ----------
    settings
        The model's own ``ReaderSettings``.
    encoder
        What turns texts into vectors; None: texts are not read. It is no part of the saved state: give the same one to
        the restored model.
    """

    name: ClassVar[str]
    abilities: ClassVar[Abilities]
    body: ClassVar[str] = "transformer"

    def __init__(self, settings: Any, encoder: TextEncoder | None) -> None:
        self.settings = self._suited = settings
        self.encoder = encoder
        self._reader: SequenceNetwork | None = None
        self._described = Described()
        self._said: FloatArray = np.zeros((0, 0), np.float32)
        self.history: tuple[tuple[float, float, float], ...] = ()
        self.epochs = 0

    @property
    @abstractmethod
    def item_vectors(self) -> FloatArray:
        """What is read of each item; float32 (n_items, width)."""

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

    @abstractmethod
    def score(self, queries: Queries) -> FloatArray:
        """See ``palate.core.Scorer``."""

    def user_vectors(self, queries: Queries) -> FloatArray:
        """The state after each history; float32 (n, width), zeros where nothing known happened."""
        from palate.models.neural.network import read

        history = known_events(queries.history, self.n_items)
        return read(self._read_by, self.item_vectors, history, queries.when)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    @property
    def _read_by(self) -> SequenceNetwork:
        return need(self._reader, self.name)

    def _shape(self, window: int) -> Shape:
        """Of the trained network that is being restored and reads this many events."""
        from palate.models.neural.network import Shape

        self._suited = read_only(self.settings, window)
        return Shape.of(self._suited, self.body)

    def _learn(self, dataset: Dataset, before: Self | None, progress: Report | None) -> Self:
        """Learn from a dataset; what ``before`` found out of almost the same events need not be found again."""
        from palate.models.neural.network import Shape, build
        from palate.training.checkpoints import place_of

        sequences, ends = dataset.sequences, None
        pairs = pairs_of(sequences, self.name)
        every = np.arange(dataset.n_items, dtype=np.int32)
        if before is None:
            settings = self._decided(suited(self.settings, pairs, sequences.lengths, dataset.popularity))
            self._described = self._describe(dataset.catalogue, settings)
            learnt, held = held_out(sequences, settings)
        else:
            settings, self._described = before._suited, before._described
            learnt, held, ends = sequences, None, before.epochs
        self._suited = settings
        texts, codes = self._described.of(dataset.catalogue, every, self.encoder)
        made = self._prepare(dataset, texts, learnt, before)
        reader = build(Shape.of(settings, self.body), dataset.popularity > 0, texts, codes, self._described.n_codes)
        trained = self._teach(
            reader,
            Course(
                learnt,
                held,
                mask_seen=not dataset.repeats,
                cells=settings.cells,
                settings=settings,
                ends=ends,
                checkpoint=place_of(self.name, settings, learnt, texts, codes, *made),
                progress=progress,
            ),
            dataset.n_items,
        )
        self.history, self.epochs, self._reader = trained.history, trained.epoch, reader
        return self

    def _decided(self, settings: Any) -> Any:
        """Settings in which nothing is left to the data, after what the model itself has to say of them."""
        return settings

    def _describe(self, catalogue: Catalogue, settings: Any) -> Described:
        """How what is said of items becomes numbers."""
        return Described.fit(catalogue, settings, self.encoder)

    def _prepare(
        self, dataset: Dataset, texts: FloatArray | None, learnt: Histories, before: Self | None
    ) -> tuple[np.ndarray, ...]:
        """Make what the network is built on; gives the arrays that a training depends on beside the data."""
        return ()

    @abstractmethod
    def _teach(self, reader: SequenceNetwork, course: Course, n_items: int) -> Trained:
        """Teach a network with drawn weights, and take vectors of items from it."""

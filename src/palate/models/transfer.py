"""A sequence model that knows items by what is said of them alone, learnt in some shops and of use in another.

UniSRec (Hou et al., 2022) and Recformer (Li et al., 2023) carry a sequence encoder over texts from one domain to
another. Here the texts of every shop stand in one space (``SharedSpace``), states start as the faded mean of what was
taken, which is the frozen semantic model, and the transformer learns in the shops it is pretrained on what to add to
it. Zero-shot, a new shop needs nothing but its texts: it is answered by how they are like what was taken, in meaning
and in words, and by as much of the network's reading as was of use (``Weighing``); few-shot, training goes on with the
shop's own events.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import astuple, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from palate.core import Abilities, FloatArray, Histories, IntArray, Queries, UsageError
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder, item_texts
from palate.models.lexical import Lexical
from palate.models.neural.course import Course
from palate.models.neural.described import Described
from palate.models.neural.lessons import held_out, pairs_of, read_only, suited
from palate.models.pretrained import MADE_OF, Pretrained
from palate.models.sequential import Sequential, SequentialSettings
from palate.models.shared_space import SharedSpace
from palate.models.weighing import Asked, Weighing, reads_words, weigh
from palate.training import Report
from palate.training.checkpoints import place_of

if TYPE_CHECKING:
    from palate.models.neural.network import SequenceNetwork, Shape
    from palate.training.loop import Trained

_WHOLE = tuple(name for name in MADE_OF if name != "text_dimensions")
_WORDS = "lexical."


class TransferSettings(SequentialSettings):
    """Hyper-parameters of the transferable sequence model; width and directions of texts must be equal.

    Parameters
    ----------
    pretrained
        Folder that ``palate pretrain`` wrote; "": it learns from this shop alone.
    training
        ``few-shot``: what is pretrained is taught further on the shop's events; ``zero-shot``: it stays as it is,
        beside likeness in meaning and in words.
    """

    pretrained: str = ""
    training: Literal["few-shot", "zero-shot"] = "few-shot"
    width: int = Field(default=384, ge=4)
    blocks: int = Field(default=1, ge=1)
    heads: int = Field(default=6, ge=1)
    text_dimensions: int = Field(default=384, ge=1)
    word_dimensions: int = Field(default=0, ge=0, le=0)
    own: bool = False
    attributes: bool = False
    likeness: bool = True
    learning_rate: float = Field(default=1e-3, gt=0)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks: what pretrained weights leave open."""
        return Space(
            {
                "event_dropout": Span(0.0, 0.4),
                "text_dropout": Span(0.0, 0.4),
                "epochs": Span(2, 20, log=True),
                "learning_rate": Span(1e-4, 3e-3, log=True),
                "weight_decay": Span(1e-3, 0.1, log=True),
            },
            first=({"learning_rate": 3e-4}, {"text_dropout": 0.1}),
        )


PRETRAINING = TransferSettings(loss="sampled", window=50, epochs=8, dropout=0.2)
"""How a network is pretrained where nothing else is said: sampled softmax, since every shop's catalogue is another."""


class Transferred(Sequential):
    """What comes next, told from texts alone; what is pretrained elsewhere is taken from ``settings.pretrained``."""

    name: ClassVar[str] = "transferred"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_time=True)
    defaults: ClassVar[SequentialSettings] = TransferSettings()
    settings: TransferSettings

    def __init__(self, settings: TransferSettings | None = None, encoder: TextEncoder | None = None) -> None:
        super().__init__(settings, encoder)
        self._begun: Pretrained | None = None
        self._made_of: dict[str, Any] = {name: getattr(self.settings, name) for name in _WHOLE}
        self._carried: tuple[Weighing, Lexical] | None = None

    def score(self, queries: Queries) -> FloatArray:
        """Log of how much likelier than chance each item comes next; zero-shot, what ``Weighing`` says of it."""
        if self._carried is None:
            return super().score(queries)
        weighing, lexical = self._carried
        return weighing.score(self.item_vectors, lexical, queries.history, partial(self._logits, queries))

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        if self._carried is not None:
            weighing, lexical = self._carried
            self._carried = weighing, copy(lexical).reread(catalogue, items)
        return super().reread(catalogue, items)

    def arrays(self) -> Arrays:
        numbers = [int(self._made_of[name]) for name in _WHOLE]
        carried: Arrays = {}
        if self._carried is not None:
            weighing, lexical = self._carried
            words = {_WORDS + name: value for name, value in lexical.arrays().items()}
            carried = {"weighing": np.array(astuple(weighing)), **words}
        return {**super().arrays(), "made_of": np.array(numbers, dtype=np.int64), **carried}

    def restore(self, arrays: Arrays) -> Self:
        numbers = [int(value) for value in arrays["made_of"]]
        self._made_of = {
            name: type(getattr(self.settings, name))(value) for name, value in zip(_WHOLE, numbers, strict=True)
        }
        self._carried = None
        if "weighing" in arrays:
            decay, power, words, network = arrays["weighing"].tolist()
            said = {name.removeprefix(_WORDS): value for name, value in arrays.items() if name.startswith(_WORDS)}
            self._carried = Weighing(decay, int(power), words, network), reads_words(decay).restore(said)
        return super().restore(arrays)

    def _learn(self, dataset: Dataset, before: Self | None, progress: Report | None) -> Self:
        own = self.settings
        self._begun, self._carried = _found(own, self.encoder), None
        if before is not None:
            self._made_of = before._made_of
        follows = bool((dataset.sequences.lengths >= 2).any())
        if self._begun is None or (follows and own.training == "few-shot"):
            return super()._learn(dataset, before, progress)
        return self._apply(dataset)

    def _apply(self, dataset: Dataset) -> Self:
        """Serve a catalogue with what is pretrained, and learn nothing."""
        from palate.models.neural.network import Shape, build, vectors_of
        from palate.models.neural.union import taken

        self._suited = self._decided(self.settings)
        self._described = self._describe(dataset.catalogue, self._suited)
        every = np.arange(dataset.n_items, dtype=np.int32)
        texts, _ = self._described.of(dataset.catalogue, every, self.encoder)
        still = self._suited.model_copy(update={"own": False, "dropout": 0.0})
        reader = build(Shape.of(still, self.body), dataset.popularity > 0, texts, None, 0)
        taken(reader, self._pretrained.weights)
        reader.eval()
        self.history, self.epochs, self._reader = (), 0, reader
        self._vectors, self._said = vectors_of(reader)
        weighing = self._pretrained.weighing
        self._carried = weighing, reads_words(weighing.decay).fit(dataset)
        return self

    def _logits(self, queries: Queries, history: Histories) -> FloatArray:
        return self.user_vectors(replace(queries, history=history)) @ self.item_vectors.T

    @property
    def _pretrained(self) -> Pretrained:
        assert self._begun is not None  # noqa: S101
        return self._begun

    def _decided(self, settings: Any) -> Any:
        if self._begun is not None:
            settings = settings.model_copy(update=dict(self._begun.made_of))
        self._made_of = {name: getattr(settings, name) for name in _WHOLE}
        return settings

    def _describe(self, catalogue: Catalogue, settings: Any) -> Described:
        raw = _read(catalogue, self.encoder, self.name)
        space = SharedSpace.of([raw], settings.text_dimensions) if self._begun is None else self._begun.space
        return replace(Described.fit(catalogue, settings, None), space=space.within(raw))

    def _shape(self, window: int) -> Shape:
        from palate.models.neural.network import Shape

        self._suited = read_only(self.settings.model_copy(update=self._made_of), window)
        return Shape.of(self._suited, self.body)

    def _prepare(self, dataset: Dataset, texts: Any, learnt: Histories, before: Self | None) -> tuple[Any, ...]:
        # A checkpoint of a training from other starting weights must not be gone on with.
        return () if self._begun is None else tuple(value for _, value in sorted(self._begun.weights.items()))

    def _teach(self, reader: SequenceNetwork, course: Course, n_items: int) -> Trained:
        from palate.models.neural.union import begin, taken

        if self._begun is None:
            begin(reader)
        else:
            taken(reader, self._begun.weights)
        return super()._teach(reader, course, n_items)


def pretrain(
    datasets: Sequence[Dataset],
    encoder: TextEncoder,
    settings: TransferSettings = PRETRAINING,
    progress: Report | None = None,
) -> Pretrained:
    """Learn from several shops what follows what, by texts alone; the newest event of some users decides the end.

    How much the network is worth beside likeness is asked of each shop with a network that the others taught: what one
    knows of the shops it has learnt from says nothing of a shop still to come.

    Raises
    ------
    UsageError
        No data were given, a catalogue has no text, or settings do not fit each other.
    DataError
        Nobody did two things.
    """
    from palate.models.neural.network import Shape, build, saved
    from palate.models.neural.next_item import Objective
    from palate.models.neural.union import Lesson, begin, learn_all, logits_of, moved

    if not datasets:
        raise UsageError("there is nothing to pretrain on; give one folder of data at least.")
    raw = [_read(dataset.catalogue, encoder, "pretraining") for dataset in datasets]
    space = SharedSpace.of(raw, settings.text_dimensions)
    texts = [space.within(part).project(part) for part in raw]
    whole = Histories.concatenate([dataset.sequences for dataset in datasets])
    popularity = np.concatenate([dataset.popularity for dataset in datasets])
    settings = suited(settings, pairs_of(whole, "pretraining"), whole.lengths, popularity)
    settings = settings.model_copy(update={"own": False, "text_dimensions": space.dimensions})
    table = np.concatenate(texts)
    lessons = []
    for dataset, rows in zip(datasets, moved(texts), strict=True):
        learnt, held = held_out(dataset.sequences, settings)
        lessons.append(Lesson(rows, learnt, held, mask_seen=not dataset.repeats))
    kind = "sampled" if settings.loss == "auto" else settings.loss
    # With one shop nothing can be said of a network in a shop that it has not seen.
    rounds = [*range(len(lessons)), None] if len(lessons) > 1 else [None]

    def taught(left_out: int | None) -> tuple[SequenceNetwork, Trained]:
        """A network of all shops but one."""
        network = build(Shape.of(settings, Transferred.body), popularity > 0, table, None, 0)
        begin(network)
        # A learnt map of texts is better in the shops it is learnt in and worse in others: few-shot teaching learns it.
        if network.table.project is not None:
            network.table.project.requires_grad_(False)
        own = [place for place in range(len(lessons)) if place != left_out]
        learnt = Histories.concatenate([datasets[place].sequences for place in own])
        course = Course(
            learnt,
            None,
            mask_seen=True,
            cells=settings.cells,
            settings=settings,
            ends=None,
            checkpoint=place_of("pretraining", settings, learnt, table),
            progress=None if progress is None else _part(progress, rounds.index(left_out), len(rounds)),
        )
        objective = Objective(kind, settings.negatives, settings.calibration)
        return network, learn_all(network, [lessons[place] for place in own], course, objective)

    asked = []
    for place, (dataset, vectors, lesson) in enumerate(zip(datasets, texts, lessons, strict=True)):
        if lesson.held is not None:
            histories, answers = lesson.held
            logits = logits_of(taught(place)[0], lesson) if len(lessons) > 1 else None
            asked.append(Asked(vectors, reads_words(1.0).fit(dataset), histories, answers, logits, not dataset.repeats))
    network, trained = taught(None)
    return Pretrained(
        space,
        saved(network),
        {name: getattr(settings, name) for name in MADE_OF},
        encoder.name,
        {
            dataset.name: {"users": dataset.n_users, "items": dataset.n_items, "events": dataset.n_events}
            for dataset in datasets
        },
        weigh(asked),
        trained.history,
    )


def _part(progress: Report, number: int, of: int) -> Report:
    """The progress of one training among several."""
    return lambda words, share: progress(words, (number + share) / of)


def _found(settings: TransferSettings, encoder: TextEncoder | None) -> Pretrained | None:
    if not settings.pretrained:
        if settings.training == "zero-shot":
            raise UsageError("zero-shot needs `pretrained`, a folder that `palate pretrain` wrote.")
        return None
    found = Pretrained.load(settings.pretrained)
    return found if encoder is None else found.reads_by(encoder.name)


def _read(catalogue: Catalogue, encoder: TextEncoder | None, who: str) -> Any:
    """What is said of all items, float32 (n, d)."""
    if encoder is None or not catalogue.has_text:
        raise UsageError(f"{who} knows items by their texts, and this catalogue has none; leave it out of the sources.")
    return encoder.encode(item_texts(catalogue))

"""What somebody will do next, asked in ids and told in words; learnt once, at the first need, beside the answers."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from palate.core import Histories, Queries, UsageError, clock
from palate.core.recommender import Arrays
from palate.data import Catalogue, Dataset
from palate.engine.questions import Told, check_language, told
from palate.language import TextEncoder, load_encoder
from palate.models.foreseeing.certainty import INTERVAL, LEVEL
from palate.models.foreseeing.occasions import in_words
from palate.models.foreseeing.settings import KINDS, NextBehaviourSettings

if TYPE_CHECKING:
    from palate.models.next_behaviour import NextBehaviour

MOST_INPUTS = 20


@dataclass(frozen=True)
class Input:
    """One thing a probability rests on: its value (None: unknown) and what it adds to the log-odds."""

    name: str
    value: float | None
    effect: float


@dataclass(frozen=True)
class Prediction:
    """How likely one kind of behaviour with one item is, between bounds.

    Parameters
    ----------
    known
        Events of the history that the probability rests on.
    """

    item: str
    kind: str
    probability: float
    low: float
    high: float
    known: int
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True)
class Predicted:
    """Predictions and what they mean.

    Parameters
    ----------
    populations
        Kind: of what, and among what, the probability is one.
    interval
        What the bounds are.
    level
        Of the bounds.
    bodies
        Kind: what foresees it.
    notes
        What could not be foreseen, and why.
    """

    predictions: tuple[Prediction, ...]
    populations: dict[str, str]
    interval: str
    level: float
    bodies: dict[str, str]
    notes: tuple[str, ...]


class Foretelling:
    """The next behaviour over whatever was learnt from.

    Parameters
    ----------
    dataset
        What is learnt from, at the first need.
    encoder
        The language model; terms are compared where None.
    """

    def __init__(self, dataset: Dataset, settings: NextBehaviourSettings, encoder: TextEncoder | None) -> None:
        self._dataset, self._settings, self._encoder = dataset, settings, encoder
        self._learning = threading.Lock()
        self._model: NextBehaviour | None = None
        self._titles = len(dataset.catalogue)

    def model(self, catalogue: Catalogue | None = None) -> NextBehaviour:
        """The fitted model, over a catalogue that may have grown since."""
        with self._learning:
            if self._model is None:
                self._model = self._unfitted().fit(self._dataset)
            return self._model if catalogue is None else self._model.extend(catalogue)

    def arrays(self) -> Arrays | None:
        """What was learnt; None where nothing was yet."""
        with self._learning:
            return None if self._model is None else {**self._model.arrays(), "titles": np.array([self._titles])}

    def restore(self, arrays: Arrays) -> None:
        """Take up what ``arrays`` gave, instead of learning."""
        with self._learning:
            self._titles = int(arrays["titles"][0])
            self._model = self._unfitted().restore(arrays)

    def _unfitted(self) -> NextBehaviour:
        """Without a language model terms of titles are compared: of those titles that were there to learn from."""
        from palate.models.next_behaviour import NextBehaviour

        titles = self._dataset.catalogue.titles[: self._titles]
        return NextBehaviour(self._settings, self._encoder or load_encoder("lexical", titles))

    def predict(
        self,
        catalogue: Catalogue,
        history: Histories,
        items: Sequence[str],
        *,
        kinds: Sequence[str] | None = None,
        prices: Sequence[float | None] | None = None,
        when: float | None = None,
        inputs: int = 0,
        language: str = "en",
    ) -> Predicted:
        """Probabilities for one person; see ``Engine.predict``."""
        check_language(language)
        places = catalogue.ids.positions(items)
        if not len(items):
            raise UsageError("name at least one item to foresee something about")
        if (places < 0).any():
            raise catalogue.ids.unknown(items[int(np.nonzero(places < 0)[0][0])])
        if prices is not None and len(prices) != len(items):
            raise UsageError(f"{len(prices)} prices for {len(items)} items; give one an item")
        for kind in kinds or ():
            if kind not in KINDS:
                raise UsageError(f"{kind!r} cannot be foreseen; what can: {', '.join(KINDS)}")
        model = self.model(catalogue)
        asked = np.array([clock.now() if when is None else when])
        queries = Queries(history, when=asked, mask_seen=False)
        paid = np.array([[math.nan if own is None else own for own in prices or [None] * len(items)]], np.float32)
        wanted = tuple(dict.fromkeys(kinds)) if kinds else model.kinds
        found = []
        for kind in wanted:
            told = model.probability(queries, places[None, :], kind, paid)
            for place, item in enumerate(items):
                behind = model.behind(queries, int(places[place]), kind, float(paid[0, place])) if inputs else []
                found.append(
                    Prediction(
                        item,
                        kind,
                        float(told.probability[0, place]),
                        float(told.low[0, place]),
                        float(told.high[0, place]),
                        len(history.items),
                        tuple(
                            Input(own.name, None if math.isnan(own.value) else own.value, own.effect)
                            for own in behind[: min(inputs, MOST_INPUTS)]
                        ),
                    )
                )
        populations = {kind: in_words(kind, self._settings, model.threshold, language) for kind in wanted}
        bodies = {kind: model.body(kind) for kind in wanted}
        return Predicted(
            tuple(found), populations, INTERVAL["zh" if language == "zh" else "en"], LEVEL, bodies, model.notes
        )


def with_kinds(catalogue: Catalogue, dataset: Dataset, history: Told) -> Histories:
    """A history in the caller's words, kinds included; a kind that is not said is the first the data has.

    Raises
    ------
    UnknownIdError
        An item is not in the catalogue.
    UsageError
        A kind is none the data knows, or an entry names no item.
    """
    plain = told(catalogue, history)
    usual = int(np.bincount(dataset.sequences.kinds, minlength=1).argmax())
    said = [None if isinstance(entry, str) else entry.get("kind") for entry in history]
    kinds = np.array([usual if kind is None else dataset.kinds.position(str(kind)) for kind in said], dtype=np.int8)
    worth = dataset.kinds.weights[kinds]
    given = Histories(plain.indptr, plain.items, plain.times, kinds, np.maximum(worth, 0).astype(np.float32))
    return given.where(worth > 0)


__all__ = ["Foretelling", "Input", "Predicted", "Prediction", "with_kinds"]

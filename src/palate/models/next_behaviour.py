"""What somebody does next: p_ui(t+1) = P(V_u, x_i) for views, clicks, purchases and ratings.

V_u are the moments of a person as the language model reads them (``palate.behaviour.moments``), x_i what it says of the
item. Each kind has its population (``foreseeing.occasions``): of all items the next one, clicked given that it was
shown, bought within a horizon given a look, rated high given that it is rated. Bodies compete behind one interface;
what they say is calibrated on occasions later than those they learnt from. L_u = R(p): ordered by one of the
probabilities it is a recommender like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from palate.core import Abilities, Float64Array, FloatArray, IntArray, Queries, Rankings, UsageError
from palate.core.recommender import Arrays
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder
from palate.models.fitted import need, new_items
from palate.models.foreseeing.certainty import Certainty
from palate.models.foreseeing.learning import Learnt, learn, restored, written
from palate.models.foreseeing.occasions import Occasions, occasions, settled
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.models.foreseeing.standing import Known
from palate.models.foreseeing.table import NUMBERS, Asked, Inputs, Windows, table
from palate.models.linear import recommend_in_batches

_CELLS = 60_000
"""Pairs of a person and an item that are weighed at once."""


@dataclass(frozen=True)
class Foretold:
    """Probabilities of n askers and m items each.

    Parameters
    ----------
    probability, low, high
        float64 (n, m), and the bounds of an interval of 90 %.
    """

    probability: Float64Array
    low: Float64Array
    high: Float64Array


@dataclass(frozen=True)
class Behind:
    """One input of a prediction.

    Parameters
    ----------
    name
        As in ``foreseeing.table.NUMBERS``; ``past`` for what was done, ``item`` for what the item is.
    value
        NaN where it is unknown, or not one number.
    effect
        What it adds to the log-odds: these less what they would be were the input unknown.
    """

    name: str
    value: float
    effect: float


class NextBehaviour:
    """Probabilities of the next behaviour, and a recommender by them.

    Parameters
    ----------
    encoder
        The language model.
    """

    name: ClassVar[str] = "next_behaviour"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_time=True)

    def __init__(self, settings: NextBehaviourSettings | None = None, encoder: TextEncoder | None = None) -> None:
        self.settings = settings or NextBehaviourSettings()
        self.encoder = encoder
        self._state: Learnt | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that the data taught."""
        return tuple(need(self._state, self.name).standing)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided, in words: kinds left out and why, bodies chosen."""
        return need(self._state, self.name).notes

    @property
    def losses(self) -> Mapping[str, Mapping[str, float]]:
        """Log loss on validation by kind and body, of all that competed; after a fit alone."""
        return need(self._state, self.name).losses

    @property
    def threshold(self) -> float:
        """From where on a rating is high; NaN where nobody rates."""
        return need(self._state, self.name).threshold

    def body(self, kind: str) -> str:
        """Which body answers for a kind."""
        return self._of(kind).body[kind]

    def usual(self, kind: str) -> float:
        """On which share of the occasions learnt from it happened."""
        return self._of(kind).standing[kind].share

    def calibration(self, kind: str) -> str:
        """``platt`` or ``isotonic``."""
        return self._of(kind).certainty[kind].calibrator.kind

    def fit(self, dataset: Dataset, progress: Callable[[str, float], None] | None = None) -> Self:
        """Learn every kind that the data has enough occasions of.

        Raises
        ------
        DataError
            It has enough of none; the message says what each kind needs.
        UsageError
            There is no language model.
        """
        self._state = learn(dataset, self._encoder(), self.settings, progress)
        return self

    def probability(self, queries: Queries, items: IntArray, kind: str, prices: FloatArray | None = None) -> Foretold:
        """Probabilities that n askers do this with m items each.

        Parameters
        ----------
        items
            int32 (n, m).
        prices
            float32 (n, m), asked at that moment; the list price where NaN or None.

        Raises
        ------
        UsageError
            The data taught nothing of this kind.
        """
        state = self._of(kind)
        odds = self._odds(queries, items, kind, prices)
        own = state.certainty[kind]
        if kind != "view":
            return Foretold(*own.bounds(odds))
        # The evidence is over all items: what is likely beside few is unlikely beside many.
        whole = own.straight(self._odds_of_all(queries, kind))
        top = whole.max(axis=1, keepdims=True, initial=-np.inf)
        mass = top + np.log(np.exp(whole - top).sum(axis=1, keepdims=True))
        return Foretold(*own.around(np.exp(np.minimum(own.straight(odds) - mass, 0.0)), odds))

    def score(self, queries: Queries) -> FloatArray:
        """Log-odds of all items by the kind that ranks, less their mean; float32 (n, n_items)."""
        state = need(self._state, self.name)
        kind = self.settings.ranks if self.settings.ranks in state.standing else next(iter(state.standing))
        odds = state.certainty[kind].straight(self._odds_of_all(queries, kind))
        return np.asarray(odds - odds.mean(axis=1, keepdims=True), dtype=np.float32)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def extend(self, catalogue: Catalogue) -> Self:
        """Serve a catalogue that grew: new items are known by their text, category and price.

        Raises
        ------
        UsageError
            The catalogue is shorter than the known one, so it is not the same one grown.
        """
        state = need(self._state, self.name)
        new = new_items(catalogue, len(state.bank.items))
        if len(new):
            self._state = replace(state, bank=state.bank.extended(catalogue, self._encoder(), new))
        return self

    def behind(self, queries: Queries, item: int, kind: str, price: float = float("nan")) -> list[Behind]:
        """What one prediction rests on, what moves it most first: each input is taken away in turn.

        Parameters
        ----------
        queries
            Exactly one question.
        """
        state = self._of(kind)
        asked = np.array([[item]], dtype=np.int32)
        inputs = self._inputs(queries, asked, kind, np.array([[price]], dtype=np.float32))
        times = len(NUMBERS) + 1
        numbers = np.repeat(inputs.numbers, times, axis=0)
        numbers[np.arange(len(NUMBERS)), np.arange(len(NUMBERS))] = np.nan
        without = Inputs(
            inputs.windows, inputs.row.repeat(times), inputs.items.repeat(times), numbers, inputs.past.repeat(times, 0)
        )
        odds = state.bodies[state.body[kind]].odds(kind, without, state.bank)
        found = [
            Behind(name, float(inputs.numbers[0, place]), float(odds[-1] - odds[place]))
            for place, name in enumerate(NUMBERS)
        ]
        return sorted(found, key=lambda own: -abs(own.effect))

    def occasion_odds(self, dataset: Dataset, found: Occasions, kind: str) -> Float64Array:
        """Log-odds of occasions of a dataset over the same items, each asked at its own moment.

        Items stand as they stood at that moment by what the dataset knows of it, as they did in the lessons.
        """
        state, own = self._of(kind), self.settings
        every = occasions(dataset, kind, own, np.random.default_rng(own.seed))
        known = state.standing[kind].then(dataset, found, state.bank.category, settled(every, kind, own))
        histories, row = found.known(dataset, own.window)
        inputs = self._gathered(Queries(histories), Asked(row, found.items, found.times, found.prices), kind, known)
        return state.bodies[state.body[kind]].odds(kind, inputs, state.bank)

    def certainty(self, kind: str) -> Certainty:
        """The calibration of a kind, and how sure it is."""
        return self._of(kind).certainty[kind]

    def arrays(self) -> Arrays:
        return written(need(self._state, self.name))

    def restore(self, arrays: Arrays) -> Self:
        self._state = restored(arrays, self.settings)
        return self

    def _of(self, kind: str) -> Learnt:
        state = need(self._state, self.name)
        if kind not in state.standing:
            told = "; ".join(note for note in state.notes if note.startswith(kind))
            raise UsageError(
                f"{kind!r} is not foreseen here; what is: {', '.join(state.standing)}." + (f" ({told})" if told else "")
            )
        return state

    def _encoder(self) -> TextEncoder:
        if self.encoder is None:
            raise UsageError(f"{self.name} reads moments through a language model; give it an encoder")
        return self.encoder

    def _odds_of_all(self, queries: Queries, kind: str) -> Float64Array:
        n_items = len(need(self._state, self.name).bank.items)
        every = np.arange(n_items, dtype=np.int32)
        size = max(1, _CELLS // max(n_items, 1))
        parts = [self._odds(part, np.tile(every, (len(part), 1)), kind, None) for part in queries.batches(size)]
        return np.concatenate(parts)

    def _odds(self, queries: Queries, items: IntArray, kind: str, prices: FloatArray | None) -> Float64Array:
        state = self._of(kind)
        inputs = self._inputs(queries, items, kind, prices)
        return state.bodies[state.body[kind]].odds(kind, inputs, state.bank).reshape(items.shape)

    def _inputs(self, queries: Queries, items: IntArray, kind: str, prices: FloatArray | None) -> Inputs:
        n, m = items.shape
        row = np.repeat(np.arange(n, dtype=np.int32), m)
        when = np.full(n, np.nan) if queries.when is None else queries.when
        paid = np.full(n * m, np.nan, np.float32) if prices is None else prices.reshape(-1).astype(np.float32)
        return self._gathered(queries, Asked(row, items.reshape(-1).astype(np.int32), when[row], paid), kind)

    def _gathered(self, queries: Queries, asked: Asked, kind: str, known: Known | None = None) -> Inputs:
        state, own = self._of(kind), self.settings
        windows = Windows.of(queries.history, own.window, len(state.bank.items), own.time_zone, queries.where)
        known = state.standing[kind].now(asked.items, state.bank.category) if known is None else known
        return table(state.bank, windows, asked, known, taken=state.taken, zone=own.time_zone)

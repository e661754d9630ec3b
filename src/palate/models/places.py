"""The next place: own habits, what the crowd does, and how far it is, put in order by a learned ranker.

Signals as in the literature on check-ins: visits that fade, the hour of the week, who follows whom by the time between
(Cheng et al., "Where You Like to Go Next", 2013), rhythms of categories, distance (Ye et al., 2011), people alike. The
ranker is LambdaMART (Burges, 2010); it learns from visits of the later part of the data, asked of a crowd that ends
before them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from palate.behaviour.gazetteer import Gazetteer
from palate.core import Abilities, FloatArray, IntArray, Queries, Rankings
from palate.core.recommender import Arrays
from palate.data import Dataset, clock
from palate.models.fitted import need
from palate.models.linear import recommend_in_batches
from palate.models.whereabouts.asked import Asked
from palate.models.whereabouts.crowd import Crowd, gather
from palate.models.whereabouts.learning import BATCH, examples, learn, order
from palate.models.whereabouts.settings import PlacesSettings
from palate.models.whereabouts.table import build


@dataclass(frozen=True)
class _Fitted:
    places: Gazetteer
    crowd: Crowd
    trees: str

    @cached_property
    def booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.trees) if self.trees else None

    @cached_property
    def unproposed(self) -> FloatArray:
        """Scores of places that are no candidates, -1 to below 0: by visits."""
        busy = np.log1p(self.crowd.visits)
        return np.asarray(busy / (busy.max(initial=0.0) + 1.0) - 1.0, dtype=np.float32)


class Places:
    """Where somebody goes next, at a time (``when``) and from a place (``where``), given where they went before.

    Without ``when`` three hours are taken to have passed, without ``where`` the asker is at the last place. Hours are
    those of the zone in the settings, or by the sun. Where nobody told coordinates, categories or times, what depends
    on them is left out; with too few visits to learn from, fixed weights order.
    """

    name: ClassVar[str] = "places"
    abilities: ClassVar[Abilities] = Abilities(uses_time=True)

    def __init__(self, settings: PlacesSettings | None = None) -> None:
        self.settings = settings or PlacesSettings()
        self._state: _Fitted | None = None

    def fit(self, dataset: Dataset) -> Self:
        """Learn the order on earlier crowds, then count everybody.

        Raises
        ------
        UsageError
            The settings name a time zone that does not exist.
        """
        own, sequences = self.settings, dataset.sequences
        places = Gazetteer.of(dataset.catalogue)
        hours = clock.hour_of_week(clock.local(sequences.times, places.east[sequences.items], own.zone))
        given = examples(sequences, hours, places, own)
        trees = "" if given is None else learn(given, own)
        self._state = _Fitted(places, gather(sequences, hours, places, own.trip_hours, own.successors), trees)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Scores of all places; float32 (n, n_items).

        Above 0 the softmax of what the ranker says of a question's candidates, so that they add up to 1; below 0 all
        other places, by visits.
        """
        state, own = need(self._state, self.name), self.settings
        scores = np.tile(state.unproposed, (len(queries), 1))
        start = 0
        for batch in queries.batches(BATCH):
            if len(batch):
                made = build(Asked.of(batch, state.places, own), state.crowd)
                scores[start + made.row, made.item] = _shares(order(state.booster, made), made.row, len(batch))
            start += len(batch)
        return scores

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def arrays(self) -> Arrays:
        state = need(self._state, self.name)
        places = {f"places.{field.name}": getattr(state.places, field.name) for field in fields(Gazetteer)}
        crowd = {f"crowd.{name}": array for name, array in state.crowd.arrays().items()}
        return {**places, **crowd, "trees": np.frombuffer(state.trees.encode(), dtype=np.uint8)}

    def restore(self, arrays: Arrays) -> Self:
        def below(part: str) -> dict[str, Any]:
            return {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}

        trees = np.asarray(arrays["trees"]).tobytes().decode()
        self._state = _Fitted(Gazetteer(**below("places.")), Crowd.restored(below("crowd.")), trees)
        return self


def _shares(values: FloatArray, row: IntArray, n: int) -> FloatArray:
    """Softmax of each row's values, all above 0."""
    top = np.full(n, -np.inf)
    np.maximum.at(top, row, values)
    odds = np.exp(np.maximum(values - top[row], -60.0))
    return np.asarray(odds / np.bincount(row, odds, minlength=n)[row], dtype=np.float32)

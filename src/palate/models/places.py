"""The next place: own habits, what the crowd does, and how far it is, put in order by a learned ranker.

Signals as in the literature on check-ins (Cheng et al., "Where you like to go next", 2013; Feng et al., "DeepMove",
2018; Luo et al., "STAN", 2021): visits that fade, the hour of the week, who follows whom by the time between, distance,
rhythms of categories, people alike. The ranker is LambdaMART (Burges, 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from palate.core import Abilities, Float64Array, FloatArray, Histories, Int64Array, IntArray, Queries, Rankings
from palate.core.recommender import Arrays
from palate.core.threads import threads
from palate.data import Dataset
from palate.models.fitted import need
from palate.models.linear import recommend_in_batches
from palate.models.whereabouts import clock, table
from palate.models.whereabouts.asked import Asked
from palate.models.whereabouts.crowd import Crowd, gather
from palate.models.whereabouts.places import Gazetteer
from palate.models.whereabouts.settings import PlacesSettings

_BATCH = 512
FEWEST = 50
"""Questions without which nothing is learnt and fixed weights order."""


@dataclass(frozen=True)
class _State:
    places: Gazetteer
    crowd: Crowd
    booster: str


class Places(object):
    """Where somebody goes next, at a time and from a place, given where they went before."""

    name: ClassVar[str] = "places"
    abilities: ClassVar[Abilities] = Abilities(uses_time=True)

    def __init__(self, settings: PlacesSettings | None = None) -> None:
        self.settings = settings or PlacesSettings()
        self._state: _State | None = None

    def fit(self, dataset: Dataset) -> Self:
        own, sequences = self.settings, dataset.sequences
        places = Gazetteer.of(dataset.catalogue)
        hours = clock.hour_of_week(clock.local(sequences.times, places.east[sequences.items], own.zone))
        examples = self.examples(sequences, hours, places)
        booster = _learn(*examples, own) if examples is not None else ""
        crowd = gather(sequences, hours, places, own.trip_hours, own.successors)
        self._state = _State(places, crowd, booster)
        return self

    def examples(self, sequences: Histories, hours: IntArray, places: Gazetteer) -> Any:
        own = self.settings
        moment = sequences.times
        if np.isnan(moment).any():
            moment = 1.0 - sequences.ages / np.repeat(np.maximum(sequences.lengths, 1), sequences.lengths)
        rng = np.random.default_rng(own.seed)
        edges = np.quantile(moment, np.linspace(own.warm, 1.0, own.folds + 1)) if len(moment) else np.zeros(0)
        ordinal = np.arange(len(moment)) - np.repeat(sequences.indptr[:-1], sequences.lengths)
        parts = []
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            asked = np.flatnonzero((moment >= start) & (moment <= stop if stop == edges[-1] else moment < stop) & (ordinal > 0))
            asked = self._pick(asked, sequences)
            most = own.questions // own.folds
            if len(asked) > most:
                asked = np.sort(rng.choice(asked, most, replace=False))
            known = moment < start
            if not len(asked) or not known.any():
                continue
            crowd = gather(sequences.where(known), hours[known], places, own.trip_hours, own.successors)
            begins = sequences.indptr[:-1][sequences.rows[asked]]
            queries = Queries(sequences.between(np.maximum(begins, asked - own.window), asked), when=sequences.times[asked])
            parts.extend(self._asked(queries, sequences.items[asked], crowd, places, rng))
        if sum(len(part[2]) for part in parts) < FEWEST:
            return None
        return tuple(np.concatenate([part[c] for part in parts]) for c in range(3))

    def _pick(self, asked, sequences):
        return asked

    def _asked(self, queries: Queries, targets: IntArray, crowd: Crowd, places: Gazetteer, rng: Any) -> Any:
        for start in range(0, len(queries), _BATCH):
            part = slice(start, start + _BATCH)
            asked = Asked.of(queries.take(part), places, self.settings.zone, self.settings.window)
            made = table.build(asked, crowd, places)
            relevant = made.item == targets[part][made.row]
            found = np.bincount(made.row, relevant, minlength=len(asked)) > 0
            lot = rng.random(len(made.row))
            lot[relevant] = -1.0
            order = np.lexsort((lot, made.row))
            sizes = np.bincount(made.row, minlength=len(asked))
            place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            kept = np.sort(order[(place <= self.settings.negatives) & found[made.row[order]]])
            sizes = np.bincount(made.row[kept], minlength=len(asked))
            yield made.features[kept], relevant[kept], sizes[sizes > 0]

    def score(self, queries: Queries) -> FloatArray:
        """Scores of all places; float32 (n, n_items)."""
        state = need(self._state, self.name)
        booster = self._booster(state)
        n_items = state.places.n
        base = np.log1p(state.crowd.visits)
        scores = np.empty((len(queries), n_items), np.float32)
        scores[:] = -100.0 + base
        for start in range(0, len(queries), _BATCH):
            part = slice(start, start + _BATCH)
            asked = Asked.of(queries.take(part), state.places, self.settings.zone, self.settings.window)
            made = table.build(asked, state.crowd, state.places)
            scores[start + made.row, made.item] = self._order(booster, made)
        return scores

    def _order(self, booster: Any, made: table.Table) -> FloatArray:
        if booster is None:
            column = {name: made.features[:, place] for place, name in enumerate(table.names())}
            return np.nan_to_num(
                3.0 * column["share_month"] + 3.0 * column["share_daytype_hour"] + 2.0 * column["share_followed"]
                + 0.3 * column["moves"] + 0.2 * column["popularity"] + 0.2 * column["busy"] + 0.2 * column["decay"]
            ).astype(np.float32)
        return np.asarray(booster.predict(made.features, num_threads=threads()), dtype=np.float32)

    def _booster(self, state: _State) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=state.booster) if state.booster else None

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)


def _learn(features: FloatArray, relevant: Any, sizes: Int64Array, own: PlacesSettings) -> str:
    import lightgbm

    parameters = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 10,
        "num_leaves": own.leaves,
        "learning_rate": own.learning_rate,
        "min_data_in_leaf": own.minimum_leaf,
        "feature_fraction": own.feature_fraction,
        "num_threads": threads(),
        "max_bin": 127,
        "seed": own.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    if own.objective == "softmax":
        parameters["objective"] = "rank_xendcg"
    if own.objective == "binary":
        parameters["objective"] = "binary"
    data = lightgbm.Dataset(features, relevant.astype(np.int8), group=sizes, feature_name=list(table.names()))
    return str(lightgbm.train(parameters, data, own.trees).model_to_string())

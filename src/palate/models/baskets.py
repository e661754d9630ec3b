"""Completing baskets: what goes with what is in the basket, with what was in earlier ones, and what is popular now.

``together[i, j]`` counts baskets that hold i and j, ``following[i, j]`` how often j was in the basket after one with i;
each is damped by how often i and j are taken at all, as the confidence of a rule is damped into its lift, and pressed
through a logarithm. The longer a basket, the less it says of each pair in it. What is in the basket speaks through the
first, what came before through the second; their shares, and those of people's own items and of popularity, are the
weights of a softmax over all items, learnt from held-out items of the last baskets (a multinomial logit: McFadden,
1974).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import optimize, sparse

from palate.core import Abilities, DataError, Float64Array, FloatArray, Histories, IntArray, Queries, Rankings, Settings
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Dataset, Fold, cut_at_baskets, time_quantile
from palate.data.baskets import Baskets, open_visit
from palate.data.dataset import DAY
from palate.models.fitted import need
from palate.models.linear import largest, recommend_in_batches, row_blocks, weighted_rows
from palate.models.popularity import Popularity

PARTS = ("basket", "history", "own", "popular")
"""What the learnt weights weigh, in order."""

_CELLS = 8_000_000
"""Cells of a dense block held at once: 32 MB."""


class BasketSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    length_power
        A basket of m items counts ``(m - 1) ** -length_power`` for each pair in it.
    source_power, target_power
        Powers of the two items' counts that damp a pair's.
    damping
        Divides the damped count before the logarithm.
    neighbours
        Strongest pairs kept for each item.
    half_life_days
        An earlier event counts half after so many days; where times are unknown, ``decay`` to the power of its age in
        events.
    decay
        See ``half_life_days``.
    questions
        Held-out items that the weights are learnt from.
    weights
        Weights of ``PARTS`` where there are too few baskets to learn them.
    """

    length_power: float = Field(default=0.5, ge=0, le=2)
    source_power: float = Field(default=0.6, ge=0, le=1.5)
    target_power: float = Field(default=0.4, ge=0, le=1.5)
    damping: float = Field(default=0.1, gt=0)
    neighbours: int = Field(default=400, ge=1)
    half_life_days: float = Field(default=90.0, gt=0)
    decay: float = Field(default=0.9, gt=0, le=1)
    questions: int = Field(default=1_000, ge=0)
    weights: tuple[float, float, float, float] = (2.0, 1.0, 1.0, 2.0)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "length_power": Span(0.0, 1.0),
                "source_power": Span(0.0, 1.0),
                "target_power": Span(0.0, 1.0),
                "damping": Span(0.01, 5.0, log=True),
                "half_life_days": Span(7.0, 400.0, log=True),
            },
            first=({"target_power": 0.2}, {"length_power": 0.0}, {"length_power": 1.0}, {"half_life_days": 365.0}),
        )


ENOUGH = 50
"""With fewer held-out items the weights are those of the settings."""


@dataclass(frozen=True)
class _State:
    """What a fit leaves.

    Parameters
    ----------
    together, following
        float32 (n_items, n_items), damped counts.
    popular
        float32 (n_items,), within 0..1.
    weights
        float32 (4,), of ``PARTS``.
    """

    together: sparse.csr_matrix
    following: sparse.csr_matrix
    popular: FloatArray
    weights: FloatArray


class BasketCompletion:
    """Recommends what completes the basket: the session of the question, or else the visit going on."""

    name: ClassVar[str] = "baskets"
    abilities: ClassVar[Abilities] = Abilities(uses_time=True)

    def __init__(self, settings: BasketSettings | None = None) -> None:
        self.settings = settings or BasketSettings()
        self._state: _State | None = None

    @property
    def n_items(self) -> int:
        return len(need(self._state, self.name).popular)

    @property
    def weights(self) -> dict[str, float]:
        """Learnt weights by part."""
        return dict(zip(PARTS, need(self._state, self.name).weights.tolist(), strict=True))

    def fit(self, dataset: Dataset) -> Self:
        """Count, and learn what each count is worth. Data without baskets teaches what follows what."""
        weights = np.asarray(self.settings.weights, dtype=np.float32)
        fold = _lessons(dataset, self.settings.questions)
        if fold is not None and len(fold) >= ENOUGH:
            weights = _learnt(self._parts(_counted(fold.dataset, self.settings, weights), fold.queries), fold, weights)
        self._state = _counted(dataset, self.settings, weights)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Weighted sums of what speaks for an item; float32 (n, n_items)."""
        state = need(self._state, self.name)
        total = np.zeros((len(queries), len(state.popular)), dtype=np.float32)
        for weight, part in zip(state.weights, self._parts(state, queries), strict=True):
            total += weight * part
        return total

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event of the one question adds to the score of each item; float32 (h, k).

        What is popular has no event to its name: the events share it alike.
        """
        state = need(self._state, self.name)
        history = queries.history
        each = len(history.items)
        inside, outside, recency = _shares(history, queries, self.settings)
        known = (items >= 0) & (items < len(state.popular))
        shares = np.zeros((each, len(items)), dtype=np.float32)
        events = replace(history, indptr=np.arange(each + 1))
        for place, (matrix, own) in enumerate(((state.together, inside), (state.following, outside))):
            parts = weighted_rows(matrix, events, own)
            shares[:, known] += state.weights[place] * parts[:, items[known]]
        again = history.items[:, None] == items[None, :]
        shares += state.weights[2] * again * recency[:, None]
        shares[:, known] += state.weights[3] * state.popular[items[known]] / max(each, 1)
        return shares

    def arrays(self) -> Arrays:
        state = need(self._state, self.name)
        return {
            **pack_sparse("together", state.together),
            **pack_sparse("following", state.following),
            "popular": state.popular,
            "weights": state.weights,
        }

    def restore(self, arrays: Arrays) -> Self:
        together, following = unpack_sparse("together", arrays), unpack_sparse("following", arrays)
        self._state = _State(together, following, arrays["popular"], arrays["weights"])
        return self

    def _parts(self, state: _State, queries: Queries) -> list[FloatArray]:
        """Each of ``PARTS`` for every item; float32 (n, n_items) each."""
        n_items = len(state.popular)
        history = queries.history
        inside, outside, recency = _shares(history, queries, self.settings)
        own = np.zeros((len(history), n_items), dtype=np.float32)
        known = history.items < n_items
        np.add.at(own, (history.rows[known], history.items[known]), recency[known])
        return [
            weighted_rows(state.together, history, inside),
            weighted_rows(state.following, history, outside),
            own,
            state.popular * (history.lengths > 0)[:, None].astype(np.float32),
        ]


def _shares(
    history: Histories, queries: Queries, settings: BasketSettings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What each event is worth in the basket, before it, and as somebody's own; float32 (m,) each.

    Shares in the basket sum to the square root of its length, those before it to one; own events keep their recency.
    """
    lengths = history.lengths
    session = open_visit(history, queries.when) if queries.session is None else queries.session
    session = np.clip(session, 0, lengths).astype(np.int64)
    within = history.ages < np.repeat(session, lengths)
    now = np.full(len(history), np.nan) if queries.when is None else queries.when
    newest = np.full(len(history), np.nan)
    some = np.flatnonzero(lengths > 0)
    newest[some] = history.times[history.indptr[1:][some] - 1]
    now = np.where(np.isnan(now), newest, now)
    days = np.maximum(np.repeat(now, lengths) - history.times, 0.0) / DAY
    recency = np.where(np.isnan(days), settings.decay**history.ages, 0.5 ** (days / settings.half_life_days))
    recency = np.where(within, 0.0, recency)
    total = np.bincount(history.rows, weights=recency, minlength=len(history))
    outside = recency / np.repeat(np.maximum(total, 1e-9), lengths)
    inside = within / np.sqrt(np.repeat(np.maximum(session, 1), lengths))
    return inside.astype(np.float32), outside.astype(np.float32), recency.astype(np.float32)


def _lessons(dataset: Dataset, most: int) -> Fold | None:
    """Items held out of the last tenth of time's baskets; None where there are no times or no baskets."""
    if not most or not dataset.has_times or not {"basket_id", "session_id"} & set(dataset.events.columns):
        return None
    moment = time_quantile(dataset, 0.9)
    fold = cut_at_baskets(dataset, moment, moment)
    # Positions of users follow a hash of their ids: the first of them are as good as any.
    return fold.take(slice(0, most)) if fold.dataset.n_events else None


def _counted(dataset: Dataset, settings: BasketSettings, weights: FloatArray) -> _State:
    """The counts of a dataset, damped."""
    matrix, users = _contents(dataset)
    counts = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()
    sizes = np.maximum(np.diff(matrix.indptr) - 1, 1)
    weighed = sparse.csr_matrix(sparse.diags((sizes**-settings.length_power).astype(np.float32)) @ matrix)
    before = np.flatnonzero(users[1:] == users[:-1])
    together = _damped(matrix, weighed, counts, settings)
    together.setdiag(0)
    together.eliminate_zeros()
    following = _damped(matrix[before], weighed[before + 1], counts, settings)
    popular = Popularity().fit(dataset).arrays()["counts"].astype(np.float32)
    return _State(together, following, popular, weights)


def _contents(dataset: Dataset) -> tuple[sparse.csr_matrix, IntArray]:
    """Baskets by items, and whose they are; without anything to tell them by, each event is a basket of its own."""
    try:
        baskets = Baskets.of(dataset)
    except DataError:
        sequences = dataset.sequences
        m = len(sequences.items)
        ones = (np.ones(m, np.float32), sequences.items, np.arange(m + 1))
        return sparse.csr_matrix(ones, shape=(m, dataset.n_items)), sequences.rows
    return baskets.matrix(dataset.n_items), baskets.users


def _damped(
    left: sparse.csr_matrix, right: sparse.csr_matrix, counts: Float64Array, settings: BasketSettings
) -> sparse.csr_matrix:
    """Log of damped counts of pairs over the rows of two matrices, the strongest of each item; float32."""
    n_items = left.shape[1]
    usual = np.maximum(counts, 1.0)
    source = sparse.diags((usual**-settings.source_power / settings.damping).astype(np.float32))
    target = sparse.diags((usual**-settings.target_power).astype(np.float32))
    lefts, rights = sparse.csr_matrix(source @ left.T), sparse.csr_matrix(right @ target)
    parts = []
    for rows in row_blocks(n_items, _CELLS, n_items):
        block = (lefts[rows] @ rights).toarray()
        parts.append(largest(np.log1p(block, out=block), settings.neighbours))
    return sparse.csr_matrix(sparse.vstack(parts, format="csr"), dtype=np.float32)


def _learnt(parts: list[FloatArray], fold: Fold, start: FloatArray) -> FloatArray:
    """Weights under which the held-out items are likeliest, none below 0; float32 (4,).

    What is in the basket is no alternative. A little of the distance to the start is charged, so that a part that says
    nothing keeps its weight.
    """
    excludes, answers = fold.queries.excludes, fold.targets.values
    table = np.stack(parts)
    allowed = np.zeros(table.shape[1:], dtype=np.float32)
    if excludes is not None:
        allowed[excludes.rows, excludes.values] = -np.inf
    rows = np.arange(len(answers))
    given = table[:, rows, answers]

    def loss(weights: Float64Array) -> tuple[float, Float64Array]:
        logits = np.tensordot(weights.astype(np.float32), table, axes=1) + allowed
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(axis=1, keepdims=True)
        likelihood = logits[rows, answers] - np.log(total[:, 0])
        expected = np.einsum("pnm,nm->p", table, odds / total)
        away = weights - start
        value = -float(likelihood.sum()) + 0.5 * float(away @ away)
        return value, (expected - given.sum(axis=1) + away).astype(np.float64)

    found = optimize.minimize(
        loss, start.astype(np.float64), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start)
    )
    return np.asarray(found.x, dtype=np.float32)

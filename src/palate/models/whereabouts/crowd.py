"""What everybody does: when places are visited, what follows what, how far people go, who is alike."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse

from palate.behaviour.distance import GAPS, distance_decay, gap_bucket, ring
from palate.behaviour.gazetteer import Gazetteer, on_the_globe
from palate.core import FloatArray, Histories, IntArray
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.recommender import Arrays
from palate.measure.geography import EARTH_KM

HOURS = 48
"""Hours of a working day, then hours of a day at the weekend."""

_ROWS = 512


@dataclass(frozen=True)
class Crowd:
    """Counts of one stretch of time.

    Parameters
    ----------
    visits, visitors
        float32 (n,), visits of each place and how many people made them.
    rhythm
        float32 (n, 48), log of how much more a place is visited at each hour than on average.
    category_rhythm
        float32 (c, 48), the same of categories.
    moves
        float32 (n, n), how often each place followed each other one within an outing.
    category_moves
        float32 (gaps, c, c), log of how much more a category follows another than chance has it, by the time between.
    ends
        float32 (n,), log of how much more often outings end here than anywhere; by category where visits are few.
    decay
        float32 (gaps, rings), log of how much more people go that far than they would if distance meant nothing.
    alike
        float32 (n, n), share of people two places have in common (cosine), the nearest of each place.
    proposed
        int32 (n, m), places worth looking at after each place, -1 pads.
    popular
        int32 (p,), the most visited places.
    """

    visits: FloatArray
    visitors: FloatArray
    rhythm: FloatArray
    category_rhythm: FloatArray
    moves: sparse.csr_matrix
    category_moves: FloatArray
    ends: FloatArray
    decay: FloatArray
    alike: sparse.csr_matrix
    proposed: IntArray
    popular: IntArray

    def arrays(self) -> Arrays:
        dense = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("moves", "alike")}
        return {**dense, **pack_sparse("moves", self.moves), **pack_sparse("alike", self.alike)}

    @classmethod
    def restored(cls, arrays: Arrays) -> Crowd:
        dense = {f.name: np.asarray(arrays[f.name]) for f in fields(cls) if f.name not in ("moves", "alike")}
        return cls(**dense, moves=unpack_sparse("moves", arrays), alike=unpack_sparse("alike", arrays))


def gather(histories: Histories, hours: IntArray, places: Gazetteer, trip_hours: float, successors: int) -> Crowd:
    """Count what everybody did.

    Parameters
    ----------
    histories
        One row a person.
    hours
        int32 (m,), local hour of each visit, 0 to 47; -1 where unknown.
    """
    n, items = places.n, histories.items
    n_categories = int(places.category.max(initial=0)) + 1
    visits = np.bincount(items, minlength=n).astype(np.float32)
    people = histories.matrix(n)
    people.data[:] = 1.0
    visitors = np.asarray(people.sum(axis=0)).ravel().astype(np.float32)
    source, target, gap = _moves(histories, trip_hours)
    moves = sparse.csr_matrix((np.ones(len(source), np.float32), (source, target)), shape=(n, n))
    moves.sort_indices()
    decay = distance_decay(source, target, gap, visits, places)
    each = max(successors // 3, 1)
    alike = _alike(people, visitors, successors)
    return Crowd(
        visits,
        visitors,
        _rhythm(items, hours, n),
        _rhythm(places.category[items], hours, n_categories),
        moves,
        _category_moves(places.category[source], places.category[target], gap, n_categories),
        _ends(histories, places, n_categories, trip_hours),
        decay,
        alike,
        np.concatenate([_best(moves, each), _near(decay, visits, places, each), _best(alike, each)], axis=1),
        np.argsort(-visits, kind="stable")[:successors].astype(np.int32),
    )


def _moves(histories: Histories, trip_hours: float) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs of successive places within an outing, and the bucket of the time between."""
    items, rows, times = histories.items, histories.rows, histories.times
    hours = np.diff(times) / 3600.0
    together = (rows[1:] == rows[:-1]) & ~(hours > trip_hours)
    return items[:-1][together], items[1:][together], gap_bucket(hours[together])


def _ends(histories: Histories, places: Gazetteer, n_categories: int, trip_hours: float) -> FloatArray:
    items, kinds = histories.items, places.category
    last = np.ones(len(items), dtype=bool)
    same = histories.rows[1:] == histories.rows[:-1]
    last[:-1] = ~same | (np.diff(histories.times) >= trip_hours * 3600.0)
    usual = (last.sum() + 1.0) / (len(items) + 2.0)
    of_kind = np.bincount(kinds[items], last, n_categories) + 10.0 * usual
    of_kind = of_kind / (np.bincount(kinds[items], minlength=n_categories) + 10.0)
    here = np.bincount(items, last, places.n) + 10.0 * of_kind[kinds]
    return np.asarray(np.log(here / (np.bincount(items, minlength=places.n) + 10.0) / usual), dtype=np.float32)


def _rhythm(codes: IntArray, hours: IntArray, n: int) -> FloatArray:
    known = hours >= 0
    counts = np.bincount(codes[known].astype(np.int64) * HOURS + hours[known], minlength=n * HOURS)
    table = counts.reshape(n, 2, 24).astype(np.float64)
    smooth = 0.4 * table + 0.22 * (np.roll(table, 1, 2) + np.roll(table, -1, 2))
    smooth = (smooth + 0.08 * (np.roll(table, 2, 2) + np.roll(table, -2, 2))).reshape(n, HOURS)
    usual = (smooth.sum(axis=0) + 1.0) / (smooth.sum() + HOURS)
    share = (smooth + 5.0 * usual) / (smooth.sum(axis=1, keepdims=True) + 5.0)
    return np.asarray(np.log(share / usual), dtype=np.float32)


def _category_moves(source: IntArray, target: IntArray, gap: IntArray, n: int) -> FloatArray:
    n_gaps = len(GAPS) + 1
    cells = (gap.astype(np.int64) * n + source) * n + target
    counts = np.bincount(cells, minlength=n_gaps * n * n).reshape(n_gaps, n, n).astype(np.float64)
    usual = (counts.sum(axis=(0, 1)) + 1.0) / (counts.sum() + n)
    near = counts + 0.3 * (counts.sum(axis=0) - counts)
    return np.asarray(np.log((near + 5.0 * usual) / (near.sum(axis=2, keepdims=True) + 5.0) / usual), dtype=np.float32)


def _alike(people: sparse.csr_matrix, visitors: FloatArray, keep: int) -> sparse.csr_matrix:
    """Cosine of places by who visits them; the best ``keep`` of each, themselves left out."""
    scaled = people @ sparse.diags(1.0 / np.sqrt(np.maximum(visitors, 1.0) + 2.0))
    rows, columns, values = [], [], []
    transposed = sparse.csr_matrix(scaled.T)
    for start in range(0, transposed.shape[0], _ROWS):
        block = (transposed[start : start + _ROWS] @ scaled).toarray()
        here = np.arange(len(block))
        block[here, start + here] = 0.0
        best = np.argpartition(-block, min(keep, block.shape[1] - 1), axis=1)[:, :keep]
        chosen = np.take_along_axis(block, best, axis=1)
        kept = chosen > 0
        rows.append(start + np.repeat(here, kept.sum(axis=1)))
        columns.append(best[kept])
        values.append(chosen[kept])
    cells = (np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns)))
    alike = sparse.csr_matrix(cells, shape=(transposed.shape[0],) * 2)
    alike.sort_indices()
    return alike


def _near(decay: FloatArray, visits: FloatArray, places: Gazetteer, keep: int) -> IntArray:
    """Of the places around each, the busiest for how far they are."""
    from scipy.spatial import KDTree

    chosen = np.full((places.n, keep), -1, np.int32)
    known = np.flatnonzero(np.isfinite(places.lat)).astype(np.int32)
    around = min(6 * keep, len(known) - 1)
    if around < 1:
        return chosen
    globe = on_the_globe(places.lat[known], places.lon[known])
    chords, columns = KDTree(globe).query(globe, k=around + 1)
    others = known[columns]
    score = np.log(visits[others] + 0.1) + decay.mean(axis=0)[ring(EARTH_KM * chords)]
    score[others == known[:, None]] = -np.inf
    best = np.argsort(-score, axis=1, kind="stable")[:, : min(keep, around)]
    chosen[known, : best.shape[1]] = np.take_along_axis(others, best, axis=1)
    return chosen


def _best(matrix: sparse.csr_matrix, keep: int) -> IntArray:
    """Columns of the highest entries of each row, -1 pads; int32 (n, keep)."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(len(rows)) - matrix.indptr[rows]
    best = np.full((matrix.shape[0], keep), -1, np.int32)
    kept = place < keep
    best[rows[kept], place[kept]] = matrix.indices[order][kept]
    return best

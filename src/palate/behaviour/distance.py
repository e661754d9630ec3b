"""How far people go: distance decay, learnt from moves against what chance would have it."""

from __future__ import annotations

import numpy as np

from palate.behaviour.gazetteer import Gazetteer
from palate.core import Float64Array, FloatArray, IntArray
from palate.measure.geography import great_circle_km

GAPS = np.array([0.5, 2.0, 5.0, 10.0, 24.0])
"""Hours between two visits that tell kinds of move apart."""

RINGS = np.array([0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
"""Kilometres: edges of the rings that distance decay is counted in."""

UNKNOWN_GAP = 6.0
"""Hours taken for moves whose times are unknown."""

_DRAWS = 200_000
_LEAST = 20.0
"""Moves' worth of belief that a kind of move decays like all moves together."""


def gap_bucket(hours: Float64Array) -> IntArray:
    """Kind of move by the hours it took; int32, 0 to ``len(GAPS)``."""
    return np.searchsorted(GAPS, np.nan_to_num(hours, nan=UNKNOWN_GAP)).astype(np.int32)


def ring(kilometres: Float64Array) -> IntArray:
    """Ring that a distance falls into; int32, the last one beyond all edges and where it is unknown."""
    return np.searchsorted(RINGS, np.nan_to_num(kilometres, nan=np.inf)).astype(np.int32)


def distance_decay(
    source: IntArray, target: IntArray, gap: IntArray, visits: FloatArray, places: Gazetteer
) -> FloatArray:
    """How much more people go that far than if distance meant nothing, as a log; never rising with distance.

    Moves are held against pairs of the same starts and of places drawn by their visits (the gravity model's null), ring
    by ring; curves of few moves lean on all moves together, and isotonic regression (Barlow et al., 1972) makes them
    fall.

    Parameters
    ----------
    source, target
        int32 (m,), places of successive visits. Moves that stay where they are do not count.
    gap
        int32 (m,), see ``gap_bucket``.
    visits
        float32 (n,), visits of each place.
    places
        Where the n places are.

    Returns
    -------
    float32 (``len(GAPS) + 1``, ``len(RINGS) + 1``); zeros where no move has coordinates.
    """
    n_gaps, n_rings = len(GAPS) + 1, len(RINGS) + 1
    km = great_circle_km(places.lat[source], places.lon[source], places.lat[target], places.lon[target])
    moved = (source != target) & np.isfinite(km)
    if not moved.any():
        return np.zeros((n_gaps, n_rings), np.float32)
    rng = np.random.default_rng(0)
    chance = np.cumsum(visits.astype(np.float64) * np.isfinite(places.lat))
    others = np.searchsorted(chance, rng.random(_DRAWS) * chance[-1], side="right")
    starts = rng.choice(source[moved], _DRAWS)
    free = great_circle_km(places.lat[starts], places.lon[starts], places.lat[others], places.lon[others])
    expected = (np.bincount(ring(free), minlength=n_rings) + 5.0) / (_DRAWS + 5.0 * n_rings)
    cells = gap[moved] * n_rings + ring(km[moved])
    counts = np.bincount(cells, minlength=n_gaps * n_rings).reshape(n_gaps, n_rings)
    usual = _LEAST * (counts.sum(axis=0) + expected) / (counts.sum() + 1.0)
    share = (counts + usual) / (counts.sum(axis=1, keepdims=True) + _LEAST)
    return _falling(np.log(share / expected), np.asarray(expected, dtype=np.float64)).astype(np.float32)


def _falling(curves: Float64Array, weights: Float64Array) -> Float64Array:
    from sklearn.isotonic import isotonic_regression

    fitted = [isotonic_regression(curve, sample_weight=weights, increasing=False) for curve in curves]
    return np.stack(fitted)

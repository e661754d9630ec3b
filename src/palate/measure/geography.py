"""Distances on the globe, and how far neighbours are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from palate.core import Float64Array

EARTH_KM = 6371.0088
"""Mean radius of the Earth."""


def great_circle_km(lat: ArrayLike, lon: ArrayLike, other_lat: ArrayLike, other_lon: ArrayLike) -> Float64Array:
    """Distance over the surface of the Earth taken as a sphere (haversine); NaN where a coordinate is unknown.

    Parameters
    ----------
    lat, lon, other_lat, other_lon
        Degrees; they broadcast.
    """
    north, east = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64))
    other_north, other_east = (
        np.radians(np.asarray(other_lat, np.float64)),
        np.radians(np.asarray(other_lon, np.float64)),
    )
    half = np.sin((other_north - north) / 2) ** 2
    half = half + np.cos(north) * np.cos(other_north) * np.sin((other_east - east) / 2) ** 2
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))


def mercator(lat: ArrayLike, lon: ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Spherical Mercator (EPSG:3857 without its scale): right and up in radians, true to angles.

    Latitudes beyond 85.05 degrees, where the map would be infinite, are drawn on its edge.
    """
    north = np.radians(np.clip(np.asarray(lat, np.float64), -85.0511, 85.0511))
    return np.radians(np.asarray(lon, np.float64)), np.asarray(np.arcsinh(np.tan(north)))


def morans_i(
    values: Float64Array, neighbours: sparse.csr_matrix, draws: int = 999, seed: int = 0
) -> tuple[float, float, float]:
    """Moran's I (Moran, 1950): how far neighbours are alike, with a permutation test (Cliff & Ord, 1981).

    Parameters
    ----------
    values
        float64 (n,), one an area.
    neighbours
        (n, n), weight of each pair; the diagonal is not looked at.
    draws
        Shuffles of the values over the areas.

    Returns
    -------
    I (1: neighbours alike, -1: opposite), what it is expected to be by chance, -1 / (n - 1), and the one-sided p that
    chance alone makes neighbours as alike. NaN where values or neighbours leave nothing to compare.
    """
    n = len(values)
    weights = sparse.csr_matrix(neighbours, dtype=np.float64, copy=True)
    weights.setdiag(0.0)
    weights.eliminate_zeros()
    apart = np.asarray(values, np.float64) - np.mean(values) if n else np.zeros(0)
    spread, total = float(apart @ apart), float(weights.sum())
    if n < 3 or spread <= 0 or total <= 0:
        return float("nan"), float("nan"), float("nan")
    scale = n / total / spread
    observed = scale * float(apart @ (weights @ apart))
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(apart, (draws, 1)), axis=1).T
    chance = scale * np.einsum("nd,nd->d", shuffled, weights @ shuffled)
    p = (1 + int((chance >= observed - 1e-12).sum())) / (draws + 1)
    return observed, -1.0 / (n - 1), p

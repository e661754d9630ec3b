"""What is known of places before anybody goes there: where they are, what they are, what their clocks say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, IntArray
from palate.data import Catalogue

AREA_RESOLUTION = 8
"""H3 cells of 0.7 square kilometres, a neighbourhood."""


@dataclass(frozen=True)
class Gazetteer:
    """n places.

    Parameters
    ----------
    lat, lon
        float64 (n,), degrees; NaN where unknown.
    category, area
        int32 (n,), codes from 0; 0 where unknown.
    east
        float64 (n,), hours that the sun is ahead of Greenwich, whole; 0 where unknown.
    """

    lat: Float64Array
    lon: Float64Array
    category: IntArray
    area: IntArray
    east: Float64Array

    @classmethod
    def of(cls, catalogue: Catalogue) -> Gazetteer:
        lat, lon = coordinates(catalogue)
        east = np.nan_to_num(np.round(lon / 15.0))
        return cls(lat, lon, _codes(catalogue.strings("category")), _areas(lat, lon), east)

    def nearest(self, lat: Float64Array, lon: Float64Array) -> IntArray:
        """The place nearest to each point in degrees, int32 (m,); -1 where the point or all places are unknown."""
        chosen = np.full(len(lat), -1, np.int32)
        asked, known = np.isfinite(lat) & np.isfinite(lon), np.flatnonzero(np.isfinite(self.lat))
        if asked.any() and len(known):
            from scipy.spatial import KDTree

            tree = KDTree(on_the_globe(self.lat[known], self.lon[known]))
            chosen[asked] = known[tree.query(on_the_globe(lat[asked], lon[asked]))[1]]
        return chosen

    @property
    def n(self) -> int:
        return len(self.lat)

    @property
    def mapped(self) -> bool:
        """Whether any place has coordinates."""
        return bool(np.isfinite(self.lat).any())


def coordinates(catalogue: Catalogue) -> tuple[Float64Array, Float64Array]:
    """Latitude and longitude of each item, float64 (n,), NaN where either is unknown."""
    columns = []
    for name in ("lat", "lon"):
        series = catalogue.column(name)
        if series is None:
            columns.append(np.full(len(catalogue), np.nan))
        else:
            columns.append(series.cast(float, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64))
    lat, lon = columns
    unknown = np.isnan(lat) | np.isnan(lon)
    return np.where(unknown, np.nan, lat), np.where(unknown, np.nan, lon)


def on_the_globe(lat: Float64Array, lon: Float64Array) -> Float64Array:
    """Points of a sphere of radius 1, float64 (n, 3), whose chords order as distances over its surface do."""
    north, east = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)


def _codes(names: list[str]) -> IntArray:
    """Codes of names in alphabetical order, from 1; 0 for none."""
    index = {name: code for code, name in enumerate(sorted(set(names) - {""}), 1)}
    return np.array([index.get(name, 0) for name in names], dtype=np.int32)


def _areas(lat: Float64Array, lon: Float64Array) -> IntArray:
    import h3

    known = np.isfinite(lat)
    cells = [h3.latlng_to_cell(n, e, AREA_RESOLUTION) if ok else "" for n, e, ok in zip(lat, lon, known, strict=True)]
    return _codes(cells)

"""Where things happen: hexagonal cells of equal size (H3; Brodsky, 2018), what is visited in each, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from palate.behaviour.gazetteer import coordinates
from palate.core import DataError, Float64Array, IntArray, UsageError
from palate.data import Catalogue, Dataset, clock
from palate.measure.geography import morans_i

FINEST, COARSEST = 15, 0
_EDGES_KM = (1281.3, 483.1, 182.5, 69.0, 26.1, 9.85, 3.72, 1.41, 0.531, 0.201, 0.0759, 0.0287, 0.0108, 0.0041, 0.00155)
"""Mean length of a cell's edge by resolution, from H3's own tables."""


@dataclass(frozen=True)
class Regions:
    """Cells that hold at least one item.

    Parameters
    ----------
    resolution
        Of H3: 0 (continents) to 15 (a square metre); 8 is a neighbourhood.
    cells
        Names of the cells in H3's own notation, in alphabetical order.
    cell
        int32 (n_items,), cell of each item; -1 where it has no coordinates.
    """

    resolution: int
    cells: tuple[str, ...]
    cell: IntArray

    @classmethod
    def of(cls, catalogue: Catalogue, resolution: int = 8) -> Regions:
        """Lay items with coordinates into cells.

        Raises
        ------
        UsageError
            H3 has no such resolution.
        DataError
            No item has coordinates.
        """
        import h3

        if not COARSEST <= resolution <= FINEST:
            raise UsageError(f"resolution {resolution}: H3 has {COARSEST} (continents) to {FINEST} (a square metre)")
        lat, lon = coordinates(catalogue)
        known = np.flatnonzero(np.isfinite(lat))
        if not len(known):
            raise DataError("no item has coordinates; give the items columns lat and lon, in degrees")
        there = [h3.latlng_to_cell(float(lat[i]), float(lon[i]), resolution) for i in known]
        names, codes = np.unique(np.array(there), return_inverse=True)
        cell = np.full(len(catalogue), -1, np.int32)
        cell[known] = codes
        return cls(resolution, tuple(names.tolist()), cell)

    def __len__(self) -> int:
        return len(self.cells)

    def centres(self) -> tuple[Float64Array, Float64Array]:
        """Latitude and longitude of the middle of each cell, degrees; float64 (c,) each."""
        import h3

        pairs = np.array([h3.cell_to_latlng(name) for name in self.cells], dtype=np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def neighbours(self) -> sparse.csr_matrix:
        """1 where two cells share an edge; float32 (c, c)."""
        import h3

        index = {name: code for code, name in enumerate(self.cells)}
        pairs = [
            (code, index[other]) for name, code in index.items() for other in h3.grid_disk(name, 1) if other in index
        ]
        rows, columns = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
        apart = rows != columns
        ones = np.ones(int(apart.sum()), np.float32)
        return sparse.csr_matrix((ones, (rows[apart], columns[apart])), shape=(len(self), len(self)))


def resolution_for(catalogue: Catalogue, cells_across: int = 24) -> int:
    """The resolution at which the middle 98 % of the items spread over about this many cells; 8 without coordinates."""
    lat, lon = coordinates(catalogue)
    known = np.isfinite(lat)
    if known.sum() < 2:
        return 8
    low, high = np.quantile(lat[known], [0.01, 0.99])
    west, east = np.quantile(lon[known], [0.01, 0.99])
    wide = max((high - low) * 111.2, (east - west) * 111.2 * np.cos(np.radians((low + high) / 2)), 1e-3)
    return int(np.argmin(np.abs(np.log(np.array(_EDGES_KM) * 1.73 * cells_across / wide))))


def popularity(dataset: Dataset, regions: Regions) -> pl.DataFrame:
    """What each cell holds and how much of it is wanted, the busiest first.

    Returns
    -------
    ``cell``, ``lat``, ``lon``, ``items``, ``visits``, ``people`` (who made them).
    """
    sequences = dataset.sequences
    cell = regions.cell[sequences.items]
    there = cell >= 0
    people = np.unique(sequences.rows[there].astype(np.int64) * len(regions) + cell[there]) % len(regions)
    lat, lon = regions.centres()
    held = regions.cell[regions.cell >= 0]
    frame = pl.DataFrame(
        {
            "cell": list(regions.cells),
            "lat": lat,
            "lon": lon,
            "items": np.bincount(held, minlength=len(regions)),
            "visits": np.bincount(cell[there], minlength=len(regions)),
            "people": np.bincount(people, minlength=len(regions)),
        }
    )
    return frame.sort(["visits", "cell"], descending=[True, False])


def demand(
    dataset: Dataset, regions: Regions, zone: str = "auto", hours: float = 24.0
) -> tuple[Float64Array, IntArray]:
    """Visits of each cell in each stretch of local time: series for a forecast.

    Parameters
    ----------
    zone
        See ``palate.data.clock.local``.
    hours
        Length of a stretch; 24: days.

    Returns
    -------
    Starts of the stretches on the wall clock, float64 (t,) in seconds since 1970; visits, int32 (c, t).

    Raises
    ------
    DataError
        Some events have no time.
    """
    sequences = dataset.sequences
    if np.isnan(sequences.times).any():
        raise DataError("demand over time needs a time for every event of interest; some have none")
    _, lon = coordinates(dataset.catalogue)
    east = np.nan_to_num(np.round(lon / 15.0))[sequences.items]
    cell = regions.cell[sequences.items]
    there = cell >= 0
    if not there.any():
        return np.zeros(0), np.zeros((len(regions), 0), np.int32)
    slot = np.floor(clock.local(sequences.times, east, zone)[there] / (hours * clock.HOUR)).astype(np.int64)
    first, count = int(slot.min()), int(slot.max() - slot.min()) + 1
    cells = cell[there].astype(np.int64) * count + (slot - first)
    visits = np.bincount(cells, minlength=len(regions) * count).reshape(len(regions), count).astype(np.int32)
    return np.asarray((np.arange(count) + first) * hours * clock.HOUR, dtype=np.float64), visits


def clustering(dataset: Dataset, regions: Regions, seed: int = 0) -> dict[str, float]:
    """Whether busy cells lie beside busy cells: Moran's I of log visits, with a permutation test.

    Returns
    -------
    ``i``, ``expected`` (by chance), ``p``; NaN where there are fewer than three cells, or none with a neighbour.
    """
    cell = regions.cell[dataset.sequences.items]
    visits = np.bincount(cell[cell >= 0], minlength=len(regions))
    i, expected, p = morans_i(np.log1p(visits.astype(np.float64)), regions.neighbours(), seed=seed)
    return {"i": i, "expected": expected, "p": p}

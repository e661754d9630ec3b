"""Coordinates as people write them: latitude and longitude exchanged, zeros for unknown."""

from __future__ import annotations

import polars as pl

from palate.data.tables import Note
from palate.data.values import as_number

POLAR = 66.6
"""Beyond this latitude hardly anybody lives."""


def mended(lat: pl.Series, lon: pl.Series, table: str) -> tuple[pl.Series, pl.Series, tuple[Note, ...]]:
    """Latitude and longitude where they belong, and what was done about it.

    A latitude beyond 90 degrees whose longitude would be a latitude was exchanged with it: such pairs are turned round.
    Where any are, so is the whole table, unless its other pairs are impossible that way. Where nothing is impossible
    but most pairs lie beyond a polar circle and would not, exchanged, that is said and nothing is changed: ships and
    stations are there. 0, 0 is where software puts what has no place; it becomes unknown.

    Parameters
    ----------
    lat, lon
        As given, numbers or texts.
    table
        Whose columns they are, for the notes.
    """
    (north, bad_lat), (east, bad_lon) = as_number(lat), as_number(lon)
    north, east = north.cast(pl.Float64), east.cast(pl.Float64)
    notes = []
    nowhere = ((north == 0) & (east == 0)).fill_null(False)
    if nowhere.any():
        north, east = north.set(nowhere, None), east.set(nowhere, None)
        notes.append(Note("places_zero", {"table": table, "count": int(nowhere.sum())}))
    known = (north.is_not_null() & east.is_not_null()).fill_null(False)
    turned = (known & (north.abs() > 90) & (north.abs() <= 180) & (east.abs() <= 90)).fill_null(False)
    if turned.any():
        # One column of the two was named wrongly, or some rows were: what cannot be turned tells.
        whole = not bool((known & (east.abs() > 90)).fill_null(False).any())
        rows = known if whole else turned
        north, east = north.zip_with(~rows, east), east.zip_with(~rows, north)
        notes.append(Note("places_turned", {"table": table, "count": int(rows.sum())}))
    elif known.any():
        far = (known & (north.abs() > POLAR) & (east.abs() <= POLAR)).fill_null(False)
        if int(far.sum()) * 2 > int(known.sum()):
            notes.append(Note("places_polar", {"table": table, "count": int(far.sum())}))
    if not notes:
        return lat, lon, ()
    notes += [
        Note("values_unreadable", {"table": table, "column": name, "count": count})
        for name, count in (("lat", bad_lat), ("lon", bad_lon))
        if count
    ]
    return north, east, tuple(notes)

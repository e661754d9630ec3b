"""A made town: people with a home, a workplace and a bar, at their hours."""

from __future__ import annotations

import numpy as np
import polars as pl

from palate.data import Dataset

DAY, HOUR = 86_400.0, 3_600.0
MONDAY = 1_325_462_400.0
"""2 January 2012, midnight UTC."""

LONDON = (51.5, -0.12)


def town(people: int = 40, weeks: int = 6, seed: int = 3, *, mapped: bool = True, times: bool = True) -> Dataset:
    """Everybody is at home at 7, at work at 9, at home at 19, and on Fridays in the one bar of the street at 21.

    One place was never visited. Places of one person lie within a kilometre, streets ten kilometres apart.
    """
    rng = np.random.default_rng(seed)
    streets = 5
    names, kinds, lat, lon = [], [], [], []
    for street in range(streets):
        for what, count in (("home", people // streets), ("office", 2), ("bar", 1)):
            for number in range(count):
                names.append(f"{what}{street}-{number}")
                kinds.append(what.title())
                lat.append(LONDON[0] + 0.09 * street + 0.004 * rng.random())
                lon.append(LONDON[1] + 0.004 * rng.random())
    names.append("nowhere")
    kinds.append("Bar")
    lat.append(LONDON[0])
    lon.append(LONDON[1])
    rows = []
    for person in range(people):
        street, number = person % streets, person // streets
        for day in range(7 * weeks):
            visits = [(7.0, f"home{street}-{number}")]
            if day % 7 < 5:
                visits.append((9.0, f"office{street}-{number % 2}"))
            visits.append((19.0, f"home{street}-{number}"))
            if day % 7 == 4:
                visits.append((21.0, f"bar{street}-0"))
            for hour, place in visits:
                if rng.random() < 0.85:
                    rows.append((f"p{person:02d}", place, MONDAY + DAY * day + HOUR * (hour + 0.5 * rng.random())))
    users, items, when = zip(*rows, strict=True)
    events = pl.DataFrame({"user_id": users, "item_id": items, "timestamp": when})
    if not times:
        events = events.drop("timestamp").with_columns(position=pl.int_range(pl.len(), dtype=pl.Int64))
    catalogue = pl.DataFrame({"item_id": names, "title": names, "category": kinds})
    if mapped:
        catalogue = catalogue.with_columns(lat=pl.Series(lat), lon=pl.Series(lon))
    return Dataset.assemble(events, catalogue, name="town")

"""Regions, demand, homes and workplaces of a made town; how distance decay is learnt."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.behaviour.anchors import anchors
from palate.behaviour.distance import GAPS, RINGS, distance_decay, gap_bucket, ring
from palate.behaviour.gazetteer import Gazetteer
from palate.behaviour.regions import Regions, clustering, demand, popularity, resolution_for
from palate.core import DataError, UsageError
from palate.data import Catalogue
from tests.places_world import DAY, town

ZONE = "Europe/London"


def test_every_place_lies_in_a_cell_and_every_visit_is_counted() -> None:
    data = town()
    regions = Regions.of(data.catalogue, 7)
    assert (regions.cell >= 0).all()
    table = popularity(data, regions)
    assert table["visits"].sum() == len(data.sequences.items)
    assert table["items"].sum() == data.n_items
    assert table["people"].to_numpy().max() <= data.n_users
    assert table["visits"].is_sorted(descending=True)


def test_demand_adds_up_to_visits() -> None:
    data = town()
    regions = Regions.of(data.catalogue, 7)
    starts, visits = demand(data, regions, ZONE)
    assert visits.shape == (len(regions), len(starts))
    np.testing.assert_array_equal(np.diff(starts), DAY)
    counts = dict(zip(popularity(data, regions)["cell"], popularity(data, regions)["visits"], strict=True))
    np.testing.assert_array_equal(visits.sum(axis=1), [counts[cell] for cell in regions.cells])
    with pytest.raises(DataError, match="time for every event"):
        demand(town(times=False), regions)


def test_homes_and_workplaces_are_found() -> None:
    data = town()
    regions = Regions.of(data.catalogue, 11)
    found = anchors(data, regions, ZONE)
    for user, name in enumerate(data.user_ids.names):
        person = int(name[1:])
        home = data.item_ids.position(f"home{person % 5}-{person // 5}")
        office = data.item_ids.position(f"office{person % 5}-{person // 5 % 2}")
        assert found.home[user] == regions.cell[home]
        if regions.cell[office] != regions.cell[home]:
            assert found.work[user] == regions.cell[office]
    assert (found.home_share > 0.5).all()


def test_who_was_hardly_seen_has_no_home() -> None:
    data = town()
    seldom = data.only(np.arange(data.n_events) % 100 == 0)
    found = anchors(seldom, Regions.of(data.catalogue, 11), ZONE)
    assert (found.home == -1).all()
    assert (anchors(town(times=False), Regions.of(data.catalogue, 11), ZONE).work == -1).all()


def test_without_coordinates_regions_are_refused_in_words() -> None:
    with pytest.raises(DataError, match="columns lat and lon"):
        Regions.of(town(mapped=False).catalogue)
    with pytest.raises(UsageError, match="resolution 16"):
        Regions.of(town().catalogue, 16)
    assert resolution_for(town(mapped=False).catalogue) == 8
    assert 5 <= resolution_for(town().catalogue) <= 9


def test_busy_cells_beside_busy_cells_are_noticed() -> None:
    data = town()
    found = clustering(data, Regions.of(data.catalogue, 6))
    assert set(found) == {"i", "expected", "p"}


def _grid(side: int = 12) -> Gazetteer:
    lat, lon = np.divmod(np.arange(side * side), side)
    frame = pl.DataFrame(
        {"item_id": [f"g{i:03d}" for i in range(side * side)], "lat": 40 + 0.03 * lat, "lon": 5 + 0.04 * lon}
    )
    return Gazetteer.of(Catalogue.of(frame))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 2.5))
def test_distance_decay_falls_and_is_steeper_where_people_mind(seed: int, mind: float) -> None:
    places, rng = _grid(), np.random.default_rng(seed)
    n = places.n
    km = np.hypot((places.lat[:, None] - places.lat) * 111, (places.lon[:, None] - places.lon) * 85) + 1.0
    odds = km ** -(mind + 0.5)
    np.fill_diagonal(odds, 0)
    odds /= odds.sum(axis=1, keepdims=True)
    source = np.repeat(np.arange(n, dtype=np.int32), 20)
    target = (np.cumsum(odds, axis=1)[source] > rng.random((len(source), 1))).argmax(axis=1).astype(np.int32)
    gap = rng.integers(0, len(GAPS) + 1, len(source)).astype(np.int32)
    curves = distance_decay(source, target, gap, np.ones(n, np.float32), places)
    assert curves.shape == (len(GAPS) + 1, len(RINGS) + 1)
    assert np.isfinite(curves).all()
    assert (np.diff(curves, axis=1) <= 1e-6).all()
    assert curves[:, 5].mean() > curves[:, 8].mean()


def test_without_moves_distance_means_nothing() -> None:
    stay = np.zeros(5, np.int32)
    places = _grid()
    assert not distance_decay(stay, stay, stay, np.ones(places.n, np.float32), places).any()


def test_rings_and_gaps_know_the_unknown() -> None:
    assert ring(np.array([0.0, 1e9, np.nan])).tolist() == [0, len(RINGS), len(RINGS)]
    assert gap_bucket(np.array([0.1, 1000.0, np.nan])).tolist() == [0, len(GAPS), 3]

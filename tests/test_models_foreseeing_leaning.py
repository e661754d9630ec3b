"""Which way somebody leans: kinds of thing, price, how long they stayed, how far they go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import Histories, Queries
from palate.measure.geography import great_circle_km
from palate.models.foreseeing.leaning import NAMES, distances, lean, lingered, price_lean
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.models.next_behaviour import NextBehaviour
from palate.testing import FakeEncoder
from tests.places_world import DAY, HOUR, MONDAY, town

GROUPS = np.array([0, 1, 1, 2, 2, 2, 2, 3], dtype=np.int32)
SHARES = (np.bincount(GROUPS) / len(GROUPS))[GROUPS].astype(np.float32)


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(0, 7))
def test_a_lean_is_the_share_of_the_past_over_that_of_the_catalogue(past: list[int], item: int) -> None:
    seen = np.zeros((1, 6), np.int32)
    seen[0, : len(past)] = past
    filled = np.arange(6)[None, :] < len(past)
    told = lean(GROUPS, SHARES, seen=seen, items=np.array([item], np.int32), filled=filled)[0]
    group = GROUPS[item]
    if not group:
        assert np.isnan(told)
        return
    share = float(SHARES[item])
    inside = sum(GROUPS[own] == group for own in past)
    assert told == pytest.approx(np.log((inside + 4 * share) / (len(past) + 4) / share))


def test_who_turns_to_dear_things_leans_to_them() -> None:
    dear = np.array([[0.4, 0.6, np.nan], [-0.5, -0.5, -0.5]], np.float32)
    filled = np.array([[True, True, True], [True, True, False]])
    told = price_lean(dear, np.array([0.5, 0.5], np.float32), filled)
    assert told[0] == pytest.approx(0.5 * 1.0 / 6, rel=1e-5)
    assert told[1] == pytest.approx(0.5 * -1.0 / 6, rel=1e-5)
    assert np.isnan(price_lean(dear, np.array([np.nan, 0.1], np.float32), filled)[0])


def test_staying_is_the_time_to_the_next_event_while_somebody_is_there() -> None:
    # Newest first: ten minutes on what is like the item, one minute on what is not, then a day away.
    when = np.array([10_000.0])
    times = np.array([[9_400.0, 9_340.0, 9_340.0 - DAY]])
    close, filled = np.array([[1.0, 0.0, 1.0]], np.float32), np.ones((1, 3), bool)
    long, short = np.log1p(600.0), np.log1p(60.0)
    assert lingered(times, when, close, filled)[0] == pytest.approx((long - (long + short) / 2) / 2)
    assert lingered(times, when, 1 - close, filled)[0] < 0
    for unknown in (np.full((1, 3), np.nan), np.array([[0.0, 0.0, 0.0]])):
        assert lingered(unknown, when, close, filled)[0] == 0


def test_distances_are_from_where_somebody_is() -> None:
    lat, lon = np.array([51.5, 51.6, np.nan]), np.array([-0.1, -0.2, np.nan])
    seen, fade = np.array([[1, 0], [2, 0], [0, 0]], np.int32), np.array([[1, 0.5], [1, 0.5], [0, 0]], np.float32)
    items, nowhere = np.zeros(3, np.int32), np.full((3, 2), np.nan)
    away, far = distances((lat, lon), nowhere, seen=seen, items=items, fade=fade)
    assert away[0] == pytest.approx(np.log1p(great_circle_km(51.6, -0.2, 51.5, -0.1)))
    assert 0 < far[0] < away[0]
    assert np.isnan(away[1:]).all()
    assert far[1] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(far[2])
    told = distances((lat, lon), np.full((3, 2), [51.5, -0.1]), seen=seen, items=items, fade=fade)[0]
    np.testing.assert_allclose(told, 0.0, atol=1e-9)
    missing = np.full(3, np.nan)
    assert np.isnan(distances((missing, missing), nowhere, seen=seen, items=items, fade=fade)).all()


def test_where_somebody_is_decides_where_they_go() -> None:
    """In a town whose streets lie ten kilometres apart, a stranger goes to what is near."""
    data = town()
    settings = NextBehaviourSettings(minimum_leaf=20, trees=40, dimensions=8, window=24, least=10)
    model = NextBehaviour(settings, FakeEncoder()).fit(data)
    bars = np.array([[data.item_ids.position(f"bar{street}-0") for street in range(5)]], dtype=np.int32)
    when = np.array([MONDAY + 39 * DAY + 21.2 * HOUR])
    for street in (1, 4):
        past = Histories.of([[data.item_ids.position(f"home{street}-0")]], [[float(when[0] - 2 * HOUR)]])
        asked = Queries(past, when=when, mask_seen=False)
        assert int(model.probability(asked, bars, "view").probability.argmax()) == street
        away = replace(asked, where=np.array([[51.5 + 0.09 * 2, -0.12]]))
        behind = {one.name: one.value for one in model.behind(away, int(bars[0, 2]), "view")}
        assert behind["kilometres"] < np.log1p(2.0)
        assert set(NAMES) <= set(behind)

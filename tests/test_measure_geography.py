"""Laws of distances on the globe, of the projection and of Moran's I."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from palate.measure.geography import EARTH_KM, great_circle_km, mercator, morans_i

Place = tuple[float, float]
PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_known_distances() -> None:
    assert great_circle_km(40.7128, -74.0060, 51.5074, -0.1278) == pytest.approx(5570.2, abs=1.0)
    assert great_circle_km(0, 0, 0, 180) == pytest.approx(np.pi * EARTH_KM)
    assert great_circle_km(90, 17, -90, -60) == pytest.approx(np.pi * EARTH_KM)
    assert np.isnan(great_circle_km(np.nan, 0, 0, 0))


@given(PLACES, PLACES, PLACES)
def test_distance_is_a_metric(one: Place, other: Place, third: Place) -> None:
    there = great_circle_km(*one, *other)
    assert there == pytest.approx(great_circle_km(*other, *one), abs=1e-6)
    assert great_circle_km(*one, *one) == 0
    assert there <= great_circle_km(*one, *third) + great_circle_km(*third, *other) + 1e-3


def test_mercator_is_true_to_angles() -> None:
    x, y = mercator([0.0, 60.0, 60.001, 60.0], [0.0, 10.0, 10.0, 10.001])
    assert (x[0], y[0]) == (0.0, 0.0)
    # A step east is half as long as one of the same angle north at 60 degrees, and on the map twice as wide as at 0.
    assert (y[2] - y[1]) / (x[3] - x[1]) == pytest.approx(2.0, rel=1e-3)
    assert np.isfinite(mercator([90.0, -90.0], [0.0, 0.0])[1]).all()


def _row_of(n: int) -> sparse.csr_matrix:
    ones = np.ones(n - 1)
    return sparse.csr_matrix(sparse.diags([ones, ones], [-1, 1]))


def test_morans_i_of_a_gradient_a_chessboard_and_noise() -> None:
    n = 64
    up, expected, p = morans_i(np.arange(n, dtype=float), _row_of(n))
    assert up > 0.9
    assert expected == pytest.approx(-1 / 63)
    assert p < 0.01
    turns, _, p = morans_i((np.arange(n) % 2).astype(np.float64), _row_of(n))
    assert turns == pytest.approx(-1.0, abs=0.05)
    assert p > 0.95
    noise, _, p = morans_i(np.random.default_rng(1).random(n), _row_of(n))
    assert abs(noise) < 0.3
    assert p > 0.01


def test_morans_i_by_its_formula() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    weights = np.random.default_rng(0).random((5, 5))
    apart = values - values.mean()
    outer = np.outer(apart, apart)
    without = weights * (1 - np.eye(5))
    by_hand = 5 / without.sum() * (without * outer).sum() / (apart**2).sum()
    assert morans_i(values, sparse.csr_matrix(weights))[0] == pytest.approx(by_hand)


def test_morans_i_with_nothing_to_compare() -> None:
    assert all(np.isnan(morans_i(np.ones(5), _row_of(5))))
    assert all(np.isnan(morans_i(np.arange(2.0), _row_of(2))))
    assert all(np.isnan(morans_i(np.arange(5.0), sparse.csr_matrix((5, 5)))))

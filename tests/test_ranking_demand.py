"""Forecasts as a feature: what is foreseen of a category, from nothing but what lay before."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from palate.data import Dataset
from palate.data.dataset import DAY
from palate.ranking.demand import Demand, DemandSettings
from tests.engine_world import wordless

START, DAYS = 1_704_067_200.0, 150
ON = DemandSettings(learn=True, moments=3)
DEMAND = {"steady": (12, 12), "rising": (4, 20), "falling": (20, 4)}
"""Events a day, and those of the last fortnight."""


@cache
def shop() -> Dataset:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{rng.integers(60)}", f"{name}{rng.integers(3)}", START + DAY * (day + rng.uniform(0.02, 0.98)))
        for name, (usual, last) in DEMAND.items()
        for day in range(DAYS)
        for _ in range(last if day >= DAYS - 14 else usual)
    ]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = [f"{name}{place}" for name in DEMAND for place in range(3)]
    goods = pl.DataFrame({"item_id": items, "category": [item[:-1] for item in items]})
    return Dataset.from_frames(events.with_columns(pl.lit("purchase").alias("kind")), goods, name="demand")


@cache
def demand() -> Demand:
    return Demand.of(shop(), ON)


def foreseen(own: Demand, name: str, when: float) -> float:
    item = shop().item_ids.position(f"{name}0")
    return float(own.at(np.array([[item]], dtype=np.int32), np.array([when]))[0, 0])


def test_what_rose_lately_is_expected_to_stay_up() -> None:
    now = START + DAYS * DAY + 60
    assert foreseen(demand(), "rising", now) > 0.1
    assert foreseen(demand(), "falling", now) < -0.1
    assert foreseen(demand(), "steady", now) == pytest.approx(0.0, abs=0.1)
    before = START + (DAYS - 20) * DAY
    assert all(foreseen(demand(), name, before) == pytest.approx(0.0, abs=0.15) for name in DEMAND)


def test_what_comes_after_a_moment_changes_no_forecast_before_it() -> None:
    moment = demand().moments[1]
    rng = np.random.default_rng(1)
    later = shop().events["time"].to_numpy() > moment
    garbage = np.where(later, rng.integers(0, shop().n_items, shop().n_events), shop().events["item"].to_numpy())
    altered = replace(shop(), events=shop().events.with_columns(pl.Series("item", garbage.astype(np.int32))))
    other = Demand.of(altered, ON)
    np.testing.assert_array_equal(other.moments, demand().moments)
    np.testing.assert_array_equal(other.ahead[:2], demand().ahead[:2])
    assert not np.array_equal(other.ahead[2], demand().ahead[2])


def test_unknown_moments_items_and_times_too_early_are_unknown() -> None:
    items = np.array([[0, shop().n_items]], dtype=np.int32)
    early, never = demand().at(items, np.array([START])), demand().at(items, np.array([np.nan]))
    late = demand().at(items, np.array([START + 900 * DAY]))
    assert np.isnan(early).all()
    assert np.isnan(never).all()
    assert np.isnan(late).tolist() == [[False, True]]


def test_it_survives_saving() -> None:
    again = Demand.from_arrays(demand().arrays())
    assert foreseen(again, "rising", START + DAYS * DAY) == foreseen(demand(), "rising", START + DAYS * DAY)
    assert not Demand.from_arrays({})
    assert Demand.nothing().arrays() == {}


def test_it_is_off_where_nothing_can_be_foreseen() -> None:
    assert not DemandSettings().told_by(shop()).learn
    assert ON.told_by(shop()).learn
    assert not ON.told_by(wordless()).learn
    untimed = replace(shop(), events=shop().events.with_columns(pl.lit(float("nan")).alias("time")))
    assert not ON.told_by(untimed).learn


def test_a_short_past_has_the_column_and_says_nothing() -> None:
    short = shop().only(shop().events["time"].to_numpy() < START + 2 * DAY)
    own = Demand.of(short, ON)
    assert len(own.moments) == 1
    assert np.isnan(own.ahead).all()

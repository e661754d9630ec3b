"""Sales panels: what a price was, what was sold at it, and what is left out."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.data import Dataset
from palate.pricing.originals import complete_journey, orange_juice
from palate.pricing.sales import PanelSettings, SalesPanel, panel_of, sales_panel
from palate.pricing.sales_words import NOTES, in_words
from palate.simulation.sales import SalesSettings, simulate_sales
from tests.conftest import shared_data

DAY = 86_400.0
START = 1_704_067_200.0  # a Monday, 2024-01-01
WEEKS = 20


def dataset(**changes: object) -> Dataset:
    """Two teas: one sold every week, by two lines, the other every second week."""
    rows = []
    for week in range(WEEKS):
        rows.append(("ann", "green", 7 * week, 4.0 - (week % 3), 2.0))
        rows.append(("bob", "green", 7 * week + 1, 4.0 - (week % 3), 3.0))
        if week % 2 == 0:
            rows.append(("ann", "black", 7 * week + 6, 5.0, 1.0))
    rows.append(("ann", "green", 7 * WEEKS - 1, 4.0 - (WEEKS - 1) % 3, 1.0))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "day", "price", "quantity"], orient="row")
    frame = frame.with_columns((START + pl.col("day") * DAY + 3_600).alias("timestamp")).drop("day")
    frame = frame.with_columns(**{name: pl.Series(name, value) for name, value in changes.items()})  # type: ignore[arg-type]
    items = {"item_id": ["green", "black"], "category": ["tea > green", "tea > black"]}
    return Dataset.from_frames(frame, items, keep_duplicates=True)


def of(panel: SalesPanel, name: str) -> pl.DataFrame:
    rows = panel.item == panel.ids.position(name)
    frame = pl.DataFrame({"period": panel.period, "price": panel.price, "quantity": panel.quantity})
    return frame.filter(rows).sort("period")


def codes(panel: SalesPanel) -> list[str]:
    return [note.code for note in panel.notes]


def test_weeks_add_up_and_prices_are_medians_of_lines() -> None:
    panel = sales_panel(dataset(), PanelSettings(least_sales=5))
    green = of(panel, "green")
    assert green["period"].to_list() == list(range(WEEKS))
    assert green["price"].to_list() == [4.0 - week % 3 for week in range(WEEKS)]
    assert green["quantity"].to_list() == [5.0] * (WEEKS - 1) + [6.0]
    assert panel.categories == ("tea",)
    assert panel.names == ("season_cos_1", "season_sin_1", "season_cos_2", "season_sin_2", "trend", "age")
    assert np.isfinite(panel.features).all()


def test_orders_are_lines_not_units() -> None:
    panel = sales_panel(dataset(), PanelSettings(least_sales=5, demand="orders"))
    assert of(panel, "green")["quantity"].to_list() == [2.0] * (WEEKS - 1) + [3.0]


def test_a_week_that_sold_nothing_is_a_week_at_the_last_price() -> None:
    panel = sales_panel(dataset(), PanelSettings(least_sales=5))
    black = of(panel, "black")
    assert black["quantity"].to_list() == [1.0, 0.0] * (WEEKS // 2 - 1) + [1.0]
    assert set(black["price"].to_list()) == {5.0}
    assert "carried" in codes(panel)


def test_a_week_out_of_stock_says_nothing_of_demand() -> None:
    out = pl.DataFrame({"item_id": ["black", "green"], "day": [date(2024, 1, 10), date(2024, 1, 1) + timedelta(21)]})
    panel = sales_panel(dataset(), PanelSettings(least_sales=5), stock_outs=out)
    assert 1 not in of(panel, "black")["period"].to_list(), "an empty week in which nothing could be bought"
    assert 3 not in of(panel, "green")["period"].to_list(), "sales of a week that ran out are cut short"
    assert "stock_out" in codes(panel)
    with pytest.raises(DataError, match="item_id and day"):
        sales_panel(dataset(), stock_outs=pl.DataFrame({"item": ["green"]}))


def test_larger_orders_at_lower_prices_are_noticed() -> None:
    base = dataset()
    assert "bulk" not in codes(sales_panel(base, PanelSettings(least_sales=5)))
    rng = np.random.default_rng(0)
    rows = [
        (f"u{line}", "mug", START + week * 7 * DAY + line * 60, float(amount), 3.0 if amount < 10 else 2.0)
        for week in range(WEEKS)
        for line, amount in enumerate(rng.choice([1, 2, 24, 48], 6))
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "quantity", "price"], orient="row")
    panel = sales_panel(Dataset.from_frames(frame, keep_duplicates=True), PanelSettings(least_sales=5))
    assert "bulk" in codes(panel)


def test_impossible_and_absurd_rows_are_left_out_and_said() -> None:
    frame = pl.DataFrame(
        {
            "item_id": ["a"] * 24,
            "period": list(range(24)),
            "price": [2.0, 3.0] * 9 + [0.0, -1.0, float("nan"), 900.0, 2.0, 2.0],
            "quantity": [4.0] * 22 + [-3.0, float("inf")],
        }
    )
    panel = panel_of(frame, fill=False)
    assert len(panel) == 18
    assert set(codes(panel)) == {"impossible", "absurd"}
    assert len(in_words(panel.notes, "zh")) == len(panel.notes)


def test_each_store_has_a_level_of_its_own() -> None:
    places = ["north" if row % 3 else "south" for row in range(dataset().n_events)]
    rows = dataset().events.height
    panel = sales_panel(dataset(place=places[:rows]), PanelSettings(least_sales=2))
    assert len(np.unique(panel.unit)) > len(panel.ids)
    joined = sales_panel(dataset(place=places[:rows]), PanelSettings(least_sales=2, by_store=False))
    assert len(np.unique(joined.unit)) == len(joined.ids)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"item_id": ["a"], "price": [1.0]}, "quantity is missing"),
        ({"item_id": ["a"], "price": ["cheap"], "quantity": [1.0]}, "no numbers"),
        ({"item_id": ["a"], "price": [1.0], "quantity": [1.0]}, "nothing is left"),
        ({"item_id": ["a"] * 30, "price": [1.0] * 30, "quantity": [1.0] * 30, "period": [0] * 30}, "several rows"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(frame: dict[str, list[object]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        panel_of(pl.DataFrame(frame))


def test_events_without_prices_and_of_mixed_currencies_are_refused() -> None:
    bare = Dataset.from_frames({"user_id": ["a", "a"], "item_id": ["b", "c"], "timestamp": [START, START + 1]})
    with pytest.raises(UsageError, match="no price"):
        sales_panel(bare)
    currencies = ["EUR", "USD"] * (dataset().n_events // 2) + ["EUR"] * (dataset().n_events % 2)
    with pytest.raises(DataError, match="2 currencies"):
        sales_panel(dataset(currency=currencies))


def test_the_order_of_rows_means_nothing() -> None:
    frame = simulate_sales(SalesSettings(items=12, weeks=30, counts=True, volume=2.0), seed=0).frame
    one, two = panel_of(frame), panel_of(frame.sample(fraction=1.0, shuffle=True, seed=3))
    for name in one.ids.names:
        assert of(one, name).equals(of(two, name))


def test_simulated_sales_are_the_same_from_the_same_seed_and_confounded() -> None:
    settings = SalesSettings(items=30, weeks=60)
    one, two = simulate_sales(settings, 7), simulate_sales(settings, 7)
    assert one.frame.equals(two.frame)
    assert not one.frame.equals(simulate_sales(settings, 8).frame)
    assert (one.elasticity == settings.elasticity).all()
    frame = one.frame.with_columns(pl.col("price", "quantity").log())
    within = frame.select(
        "promotion", *(pl.col(name) - pl.col(name).mean().over("item_id") for name in ("price", "quantity"))
    )
    on, off = within.filter(pl.col("promotion") == 1), within.filter(pl.col("promotion") == 0)
    assert on["price"].mean() < off["price"].mean()  # type: ignore[operator]


def test_every_note_is_said_in_both_languages() -> None:
    assert all(len(both) == 2 and all(both) for both in NOTES.values())


def test_real_histories_become_panels() -> None:
    juice = orange_juice(shared_data("orange-juice"))
    assert len(juice) == 28_947
    assert juice.names == ("featured",)
    assert juice.cluster is not None
    assert len(np.unique(juice.cluster)) == 249
    journey = complete_journey(shared_data("complete-journey"))
    assert len(journey.ids) > 300
    assert "coupon" in journey.names
    assert journey.features[:, journey.names.index("coupon")].max() == 1.0
    assert "sample" in codes(journey)

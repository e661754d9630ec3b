"""Demand forecasts of items and categories against last week's, coverage of intervals, and networks against ARIMA.

python bench/forecast.py ../shared/data --json out/forecast.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.core import Ids
from palate.core.artefact import write_text
from palate.data import Dataset
from palate.forecast import ForecastSettings, Panel, SeriesSettings, daily
from palate.forecast.forecasting import NETWORKS
from palate.forecast.trial import Trial, trial
from palate.simulation.series import mackey_glass, setar

SETTINGS = ForecastSettings(horizon=28, origins=4)
TESTS = 4
"""Origins that are judged, 28 days apart; each is forecast by what was chosen on the four before it."""
MOST_ITEMS = 300
"""The items with the most demand rows before the first origin that anything learns from."""
WITH_CLASSICAL = 12
"""Series drawn by seed on which ETS, ARIMA, the intermittent methods and the networks compete too."""


def online_retail(folder: Path) -> Dataset:
    """UCI Online Retail with its lines without a customer; an item's category is the last word of its description."""
    lines = pl.read_parquet(folder / "online-retail" / "lines.parquet").with_columns(
        pl.col("CustomerID").fill_null("guest"), pl.col("StockCode").str.to_uppercase()
    )
    words = pl.col("Description").drop_nulls().mode().sort().first()
    items = lines.group_by("StockCode").agg(words.alias("title"))
    last_word = pl.col("title").str.strip_chars().str.extract(r"([A-Z]+)[^A-Z]*$")
    items = items.select(pl.col("StockCode").alias("item_id"), "title", last_word.alias("category"))
    return Dataset.from_frames(lines.drop("Description"), items, keep_duplicates=True, name="online-retail")


def complete_journey(folder: Path) -> Dataset:
    """The sample of Complete Journey, its products' category as it is."""
    place = folder / "complete-journey"
    columns = ("household_id", "product_id", "transaction_timestamp", "quantity", "basket_id")
    lines = pl.read_parquet(place / "transactions_sample.parquet").select(columns)
    products = pl.read_parquet(place / "products.parquet")
    items = products.select(pl.col("product_id").alias("item_id"), pl.col("product_category").alias("category"))
    items = items.join(lines.select(item_id="product_id").unique(), on="item_id", how="semi")
    return Dataset.from_frames(lines, items, keep_duplicates=True, name="complete-journey")


SETS = {
    "online-retail": (online_retail, "UTC"),  # its hours are those of the shop
    "complete-journey": (complete_journey, "America/New_York"),
}


def busiest(panel: Panel, most: int) -> Panel:
    """Series with the most days of demand among those known before anything is judged or learnt from."""
    early = panel.values[:, : panel.length - SETTINGS.horizon * (TESTS + SETTINGS.origins)]
    days = (np.nan_to_num(early) > 0).sum(axis=1)
    # Fewer than one day of demand in a hundred gives no scale to measure by.
    order = np.argsort(-days, kind="stable")[:most]
    return panel.rows(np.sort(order[days[order] >= max(early.shape[1] // 100, 2)]))


def sampled(panel: Panel, count: int) -> Panel:
    rows = np.random.default_rng(0).permutation(len(panel))[:count]
    return panel.rows(np.sort(rows).astype(np.int64))


def judged(panel: Panel, settings: ForecastSettings) -> dict[str, Any]:
    """The figures of a panel, and the processor's seconds they took."""
    began = time.process_time()
    result: Trial = trial(panel, settings, tests=TESTS)
    return {**result.as_json(), "processor_seconds": round(time.process_time() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the data folders")
    parser.add_argument("--only", default="", help="parts of the cells' names, with commas")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    wanted = [part for part in arguments.only.split(",") if part]

    def run(name: str, panel: Panel, settings: ForecastSettings) -> None:
        if wanted and not any(part in name for part in wanted):
            return
        figures[name] = judged(panel, settings)
        print(name, json.dumps(figures[name]), flush=True)
        if arguments.json:
            write_text(arguments.json, json.dumps(figures, indent=2) + "\n")

    for name, (load, zone) in SETS.items():
        if wanted and not any(part.startswith(name) for part in wanted):
            continue
        dataset = load(arguments.data)
        for by in ("item", "category"):
            panel = busiest(daily(dataset, by, SeriesSettings(time_zone=zone)), MOST_ITEMS)
            run(f"{name}/{by}", panel, SETTINGS.model_copy(update={"most_classical": 0}))
            every: tuple[str, ...] = (
                "seasonal_naive",
                "smoothing_7",
                "smoothing_28",
                "smoothing_91",
                "croston",
                "tsb",
                "adida",
            )
            every = (*every, "ets", "arima", *sorted(NETWORKS, reverse=True))
            run(f"{name}/{by}/all", sampled(panel, WITH_CLASSICAL), SETTINGS.model_copy(update={"models": every}))
    for name, values in (("mackey-glass", mackey_glass(8, 600, 0)), ("setar", setar(8, 600, 0))):
        panel = Panel(
            "total", Ids([f"{name} {place}" for place in range(len(values))]), np.datetime64("2024-01-01"), values
        )
        names = ("seasonal_naive", "arima", "lstm", "gru")
        settings = ForecastSettings(horizon=14, origins=4, countries=(), models=names)
        run(name, panel, settings)


if __name__ == "__main__":
    main()

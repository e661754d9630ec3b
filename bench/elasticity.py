"""Elasticity with prices that move for the reasons that move demand: simulated shops, a demo shop, real sales.

python bench/elasticity.py ../shared/data --json out/elasticity.json
python bench/elasticity.py ../shared/data --only simulations --simulations 500 --json out/elasticity.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from palate.core import Float64Array, IntArray
from palate.core.artefact import write_text
from palate.data import Dataset
from palate.pricing.elasticity import fit_elasticity
from palate.pricing.originals import complete_journey, online_retail, orange_juice
from palate.pricing.partialling import demeaned
from palate.pricing.sales import PanelSettings, SalesPanel, panel_of, sales_panel
from palate.pricing.sales_words import in_words
from palate.simulation import ShopSettings, make_shop
from palate.simulation.sales import SalesSettings, SimulatedSales, simulate_sales

CONFOUNDED = SalesSettings()
"""60 items in 6 categories over 104 weeks; elasticity -1.8."""
SPARSE = SalesSettings(counts=True, volume=3.0)
"""The same with a few units a week: a fifth of the weeks sells nothing."""
FRESH = 300_000
"""The first seed. Smaller ones were looked at while the estimator was made."""
DIFFERENT = SalesSettings(items=80, categories=10, spread=0.6, item_spread=0.2)
"""Categories and items that differ: do the pooled intervals cover?"""


def slope(demand: Float64Array, price: Float64Array) -> float:
    """Of a regression on one column and a constant."""
    centred = price - price.mean()
    return float(centred @ demand / (centred @ centred))


def plain(panel: SalesPanel) -> tuple[float, float, float]:
    """What regressions say: of logs on logs, with item effects, with item effects and straight controls."""
    sold = panel.quantity > 0
    demand, price = np.log(panel.quantity[sold]), np.log(panel.price[sold])
    unit: IntArray = np.unique(panel.unit[sold], return_inverse=True)[1].astype(np.int32)
    ones = np.ones(len(unit))
    inside = [demeaned(values, unit, ones) for values in (demand, price)]
    controls = demeaned(panel.features[sold], unit, ones)
    left = [values - controls @ np.linalg.lstsq(controls, values, rcond=None)[0] for values in inside]
    return slope(demand, price), slope(*inside), slope(*left)


def simulated(settings: SalesSettings, runs: int, name: str, kept: Path | None) -> dict[str, Any]:
    """Bias and coverage of the shop's elasticity over simulated shops of one true elasticity, seed after seed.

    What was simulated before, under the same settings, is read from ``kept`` and not done again.
    """
    place = None if kept is None else kept.with_name(f"{kept.stem}.{name}.json")
    said = settings.model_dump() | {"first_seed": FRESH}
    before = json.loads(place.read_text(encoding="utf-8")) if place is not None and place.exists() else {}
    rows: list[list[float]] = before["rows"][:runs] if before.get("settings") == said else []
    for seed in range(len(rows), runs):
        began = time.process_time()
        panel = panel_of(simulate_sales(settings, FRESH + seed).frame)
        told = fit_elasticity(panel)
        own = [float(value[0]) for value in (told.overall.estimate, told.overall.low, told.overall.high)]
        rows.append([*plain(panel), *own, told.foretold, panel.empty_share, time.process_time() - began])
        if (seed + 1) % 10 == 0 or seed + 1 == runs:
            print(name, json.dumps(figures_of(np.array(rows), settings.elasticity)), flush=True)
            if place is not None:
                write_text(place, json.dumps({"settings": said, "rows": rows}) + "\n")
    return figures_of(np.array(rows), settings.elasticity)


def figures_of(rows: Float64Array, truth: float) -> dict[str, Any]:
    """Means over simulations; biases as shares of the truth."""
    estimate, low, high = rows[:, 3], rows[:, 4], rows[:, 5]
    return {
        "runs": len(rows),
        "truth": truth,
        "bias_plain": _share(rows[:, 0], truth),
        "bias_item_effects": _share(rows[:, 1], truth),
        "bias_item_effects_and_controls": _share(rows[:, 2], truth),
        "bias": _share(estimate, truth),
        "bias_error": round(float(estimate.std(ddof=1) / np.sqrt(len(rows)) / abs(truth)), 4),
        "coverage": round(float(((low <= truth) & (truth <= high)).mean()), 4),
        "root_mean_squared_error": round(float(np.sqrt(((estimate - truth) ** 2).mean())), 4),
        "half_width": round(float(((high - low) / 2).mean()), 4),
        "price_moves_foretold": round(float(rows[:, 6].mean()), 4),
        "weeks_without_sales": round(float(rows[:, 7].mean()), 4),
        "processor_seconds_each": round(float(rows[:, 8].mean()), 2),
    }


def pooled(settings: SalesSettings, runs: int, name: str) -> dict[str, Any]:
    """Categories and items that differ: error and coverage, alone and pooled."""
    parts: dict[str, list[Float64Array]] = {"categories": [], "items": []}
    began = time.process_time()
    for seed in range(runs):
        sales = simulate_sales(settings, 2 * FRESH + seed)
        told = fit_elasticity(panel_of(sales.frame))
        for part, truth in (("categories", category_truth(sales)), ("items", dict(zip(*_truth(sales), strict=True)))):
            own = getattr(told, part)
            wanted = np.array([truth[name] for name in own.names])
            columns = (own.estimate, own.low, own.high, own.alone, own.alone_low, own.alone_high, wanted)
            parts[part].append(np.column_stack(columns)[own.known])
    figures: dict[str, Any] = {"runs": runs, "processor_seconds": _seconds(began)}
    for part, tables in parts.items():
        rows = np.concatenate(tables)
        own_truth = rows[:, 6]
        for kind, start in (("pooled", 0), ("alone", 3)):
            estimate, low, high = rows[:, start], rows[:, start + 1], rows[:, start + 2]
            figures[f"{part}_{kind}"] = {
                "count": len(rows),
                "root_mean_squared_error": round(float(np.sqrt(((estimate - own_truth) ** 2).mean())), 4),
                "coverage": round(float(((low <= own_truth) & (own_truth <= high)).mean()), 4),
                "half_width": round(float(((high - low) / 2).mean()), 4),
            }
    print(name, json.dumps(figures), flush=True)
    return figures


def real(load: Callable[[], SalesPanel], name: str) -> dict[str, Any]:
    """The shop's and the categories' elasticities of a real history, and what is not claimed of its items."""
    began = time.process_time()
    panel = load()
    told = fit_elasticity(panel)
    ones = panel.quantity > 0
    written = told.as_json()
    figures = {
        "rows": len(panel),
        "items": len(panel.ids),
        "weeks_without_sales": round(panel.empty_share, 4),
        "response": told.response,
        "price_moves_foretold": written["foretold"],
        "plain": round(slope(np.log(panel.quantity[ones]), np.log(panel.price[ones])), 4),
        "overall": written["overall"],
        "categories": sorted(written["categories"], key=lambda row: -row["periods"])[:12],
        "of_categories": dict(Counter(told.categories.reason)),
        "of_items": dict(Counter(told.items.reason)),
        "notes": in_words(told.notes),
        "processor_seconds": _seconds(began),
    }
    print(name, json.dumps(figures), flush=True)
    return figures


def demo_shop() -> dict[str, Any]:
    """The demo shop, by item and week: its purchases answer to prices by its own logits, and looks do so too."""
    settings = ShopSettings(users=6_000, items=200, visits=12.0)
    shop = make_shop(settings, seed=0)
    dataset = Dataset.from_frames(shop.events, shop.items, shop.users, keep_duplicates=True, name="demo shop")
    told = fit_elasticity(sales_panel(dataset, PanelSettings(by_store=False, least_sales=10)))
    truth = shop.truth
    rng = np.random.default_rng(0)
    draws = 200_000
    user, item = rng.integers(0, settings.users, draws), rng.integers(0, settings.items, draws)
    when = truth.start[0] + rng.random(draws) * settings.days * 86_400
    price = truth.price(item, when)
    steps = [truth.purchase_probability(user, item, when, price * factor) for factor in (0.995, 1.005)]
    looks = [np.exp(0.9 * truth.utility(user, item, when, price * factor)) for factor in (0.995, 1.005)]
    width = float(np.log(1.005 / 0.995))
    bought = float(np.log(steps[1].mean() / steps[0].mean()) / width)
    both = float(np.log((steps[1] * looks[1]).mean() / (steps[0] * looks[0]).mean()) / width)
    written = told.as_json()
    return {
        "overall": written["overall"],
        "truth_of_purchases_given_a_look": round(bought, 4),
        "truth_with_looks_of_one_item_among_many": round(both, 4),
        "weeks_without_sales": round(next(note.values["share"] for note in told.notes if note.code == "counts"), 4)
        if told.response == "counts"
        else 0.0,
        "of_items": dict(Counter(told.items.reason)),
    }


def category_truth(sales: SimulatedSales) -> dict[str, float]:
    """Mean elasticity of each category's items."""
    count = np.bincount(sales.category)
    means = np.bincount(sales.category, sales.elasticity) / count
    return {f"c{position:03d}": float(value) for position, value in enumerate(means)}


def _truth(sales: SimulatedSales) -> tuple[tuple[str, ...], list[float]]:
    return sales.items, sales.elasticity.tolist()


def _share(values: Float64Array, truth: float) -> float:
    return round(float((values.mean() - truth) / abs(truth)), 4)


def _seconds(began: float) -> float:
    return round(time.process_time() - began, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the data folders")
    parser.add_argument("--only", default="", help="parts, with commas")
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--json", type=Path, help="write the figures here, beside those already there")
    arguments = parser.parse_args()
    wanted = [part for part in arguments.only.split(",") if part]
    figures: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        figures = json.loads(arguments.json.read_text(encoding="utf-8"))
    data: Path = arguments.data
    few = max(arguments.simulations // 5, 2)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "simulations": lambda: simulated(CONFOUNDED, arguments.simulations, "simulations", arguments.json),
        "sparse": lambda: simulated(SPARSE, few, "sparse", arguments.json),
        "pooled": lambda: pooled(DIFFERENT, few, "pooled"),
        "orange-juice": lambda: real(lambda: orange_juice(data / "orange-juice"), "orange-juice"),
        "orange-juice-runs": lambda: real(
            lambda: orange_juice(data / "orange-juice", runs_as_stores=True), "orange-juice-runs"
        ),
        "complete-journey": lambda: real(lambda: complete_journey(data / "complete-journey"), "complete-journey"),
        "online-retail": lambda: real(lambda: online_retail(data / "online-retail"), "online-retail"),
        "demo-shop": demo_shop,
    }
    for name, measure in parts.items():
        if wanted and name not in wanted:
            continue
        figures[name] = measure()
        print(name, json.dumps(figures[name]), flush=True)
        if arguments.json:
            write_text(arguments.json, json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Elasticities that were written down: read back, used for what-if, refused in words where they are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from palate.cli.app import app
from palate.core import DataError, UsageError
from palate.pricing.elasticity import ElasticitySettings, fit_elasticity
from palate.pricing.measured import Measured
from palate.pricing.originals import public, sales_file
from palate.pricing.partialling import PartiallingSettings
from palate.pricing.sales import panel_of
from palate.simulation.sales import SalesSettings, simulate_sales
from tests.conftest import shared_data

PLAIN = ElasticitySettings(partialling=PartiallingSettings(trees=0, knots=3, most_groups=0))


@pytest.fixture(scope="module")
def weekly() -> pl.DataFrame:
    return simulate_sales(SalesSettings(items=20, weeks=60, categories=2, still=0.15), seed=5).frame


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, weekly: pl.DataFrame) -> Path:
    file = tmp_path_factory.mktemp("measured") / "elasticities.json"
    file.write_text(json.dumps(fit_elasticity(panel_of(weekly), PLAIN).as_json()), encoding="utf-8")
    return file


def test_what_was_written_is_read_back(written: Path, weekly: pl.DataFrame) -> None:
    measured = Measured.read(written)
    assert (measured.days, measured.counted, len(measured.items)) == (7, "units", 20)
    for item in measured.items:
        newest = weekly.filter(pl.col("item_id") == item, pl.col("period") > 51)
        assert measured.items[item]["sales"] == pytest.approx(newest["quantity"].mean(), abs=1e-3)
        assert newest["price"].min() - 1e-3 < measured.items[item]["price"] < newest["price"].max() + 1e-3
    still = [name for name, own in measured.items.items() if own["reason"] == "never_moved"]
    assert still, "the world should have prices that never move"
    assert {measured.of(name)["from"] for name in still} == {"category"}
    assert measured.of("unheard of")["from"] == "shop"


def test_what_is_foreseen_is_today_at_todays_price_and_within_its_interval(written: Path) -> None:
    measured = Measured.read(written)
    item, own = next((name, own) for name, own in measured.items.items() if own["reason"] == "estimated")
    rungs = measured.foreseen(item, cost=own["price"] / 2)
    middle = rungs[len(rungs) // 2]
    assert middle["price"] == pytest.approx(own["price"])
    assert middle["sales"] == pytest.approx([own["sales"]] * 3)
    assert middle["margin"][0] == pytest.approx(own["sales"] * own["price"] / 2)
    for rung in rungs:
        for key in ("sales", "revenue", "margin"):
            expected, low, high = rung[key]
            assert low - 1e-9 <= expected <= high + 1e-9
    dearer = rungs[-1]
    elasticity = measured.of(item)["elasticity"]
    assert dearer["sales"][0] == pytest.approx(own["sales"] * (dearer["price"] / own["price"]) ** elasticity)
    assert measured.foreseen(item, cost=float("nan"))[0]["margin"] is None
    assert measured.foreseen("unheard of", cost=1.0) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"level": "high"}'])
def test_another_file_is_refused_in_words(tmp_path: Path, text: str) -> None:
    file = tmp_path / "elasticities.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="palate elasticity SHOP --json"):
        Measured.read(file)
    with pytest.raises(DataError, match="holds no elasticities"):
        Measured.read(tmp_path / "nowhere.json")


def test_a_table_of_sales_is_read_as_text_or_as_numbers(tmp_path: Path, weekly: pl.DataFrame) -> None:
    renamed = weekly.rename({"quantity": "sold"})
    renamed.write_csv(tmp_path / "weekly.csv")
    renamed.write_parquet(tmp_path / "weekly.parquet")
    panels = [sales_file(tmp_path / name, columns={"quantity": "sold"}) for name in ("weekly.csv", "weekly.parquet")]
    for panel in panels:
        np.testing.assert_allclose(panel.quantity, panel_of(weekly).quantity)
        assert "promotion" in panel.names
    weekly.with_columns(pl.lit("soon").alias("when")).write_csv(tmp_path / "words.csv")
    with pytest.raises(DataError, match="when: no numbers"):
        sales_file(tmp_path / "words.csv")


def test_the_verb_takes_a_public_history_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'orange-juice'"):
        public("orangejuice", tmp_path)
    folder, file = shared_data("orange-juice"), tmp_path / "told.json"
    told = CliRunner().invoke(
        app, ["elasticity", str(folder), "--original", "orange-juice", "--json", str(file), "--language", "en"]
    )
    assert told.exit_code == 0, told.output
    assert "Store and week are not in the file" in " ".join(told.output.split())
    measured = Measured.read(file)
    assert all(own["elasticity"] < -1.5 for own in measured.categories)
    assert measured.foreseen(next(iter(measured.items)), 1.0) == [], "without periods nothing is foreseen"

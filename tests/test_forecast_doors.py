"""``palate forecast``, its page, and the server's route."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from palate.serving import running
from tests.forecast_world import ITEMS, USERS, dataset, sales
from tests.serving_fake import FakeEngine


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["forecast", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demand")
    sales().write_parquet(folder / "events.parquet")
    ITEMS.write_parquet(folder / "items.parquet")
    USERS.write_parquet(folder / "users.parquet")
    (folder / "palate.toml").write_text("[data]\nkeep_duplicates = true\n[forecast]\nmost_classical = 0\norigins = 2\n")
    return folder


def test_a_table_json_and_a_page_say_the_same(shop: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "demand.html", tmp_path / "demand.json"
    result = run(shop, "--by", "category", "--horizon", "14", "--html", page, "--json", figures, "--language", "en")
    assert result.exit_code == 0, result.stderr
    series = {one["id"]: one for one in json.loads(figures.read_text())["series"]}
    assert set(series) == {"A", "B", "(none)"}
    assert len(series["A"]["days"]) == 14
    assert f"{series['A']['sum']:,.1f}" in result.stdout
    html = page.read_text(encoding="utf-8")
    assert html.count("<svg") == 3
    assert f"{series['A']['sum']:,.1f}" in html
    assert not re.search(r"nan|<script|https?://", html)
    assert "需求预测" in run_page(shop, tmp_path)


def run_page(shop: Path, folder: Path) -> str:
    page = folder / "zh.html"
    assert run(shop, "--by", "total", "--html", page, "--language", "zh").exit_code == 0
    return page.read_text(encoding="utf-8")


def test_one_series_day_by_day_and_levels_that_add_up(shop: Path) -> None:
    told = run(shop, "--by", "item", "--id", "i0", "--json", "-", "--reconcile", "mint")
    assert told.exit_code == 0, told.stderr
    (only,) = json.loads(told.stdout)["series"]
    assert only["id"] == "i0"
    assert "2024-03-14" in run(shop, "--by", "item", "--id", "i0", "--language", "zh").stdout


def test_mistakes_are_told_in_words(shop: Path) -> None:
    for words, code, why in (
        (("--by", "planet"), 2, "item, category"),
        (("--id", "nobody"), 2, "unknown item"),
        (("--by", "segment"), 2, "none was named"),
        (("--models", "prophet"), 2, "no such forecaster"),
        (("--horizon", "120"), 1, "too few"),
        (("--reconcile", "magic"), 2, "bottom_up"),
    ):
        told = run(shop, *words)
        assert told.exit_code == code, told.stdout
        assert why in told.stderr


def test_the_server_tells_demand(tmp_path: Path) -> None:
    with (
        running(FakeEngine(dataset()), log=tmp_path / "events.sqlite", vault=tmp_path / "vault.sqlite") as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        answer = http.get("/v1/forecast/category/A", params={"horizon": 7})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["days"][0]["day"] == "2024-03-14"
        assert len(told["days"]) == 7
        assert all(day["lower"] <= day["median"] <= day["upper"] for day in told["days"])
        assert told["mase"] <= told["naive_mase"]
        items = [http.get(f"/v1/forecast/item/i{number}").json()["sum"] for number in range(4)]
        assert sum(items) == pytest.approx(http.get("/v1/forecast/total/total").json()["sum"], rel=0.3)
        assert http.get("/v1/forecast/item/nobody").status_code == 404
        assert http.get("/v1/forecast/planet/x").status_code == 422
        assert http.get("/v1/forecast/item/i0", params={"horizon": 29}).status_code == 422


def test_the_server_says_why_there_is_no_forecast(tmp_path: Path) -> None:
    with (
        running(FakeEngine(), log=tmp_path / "events.sqlite", vault=tmp_path / "vault.sqlite") as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        answer = http.get("/v1/forecast/item/i0")
        assert answer.status_code == 400
        assert "too few" in answer.json()["detail"]

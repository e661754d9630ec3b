"""From a folder to an engine, its answers and its figures, through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app

METRICS = {f"{name}@{k}" for name in ("recall", "ndcg", "hit") for k in (1, 5, 10, 20)} | {"mrr"}


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words: str | Path) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shop"
    assert run("init", folder).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def engine(shop: Path) -> Path:
    folder = shop.parent / "shop.engine"
    result = run("train", shop, "--out", folder, "--seed", "3", "--language", "en", "--complete")
    assert result.exit_code == 0, result.stderr
    assert "51 events" in result.stdout
    assert "descriptions written: template " in result.stdout
    return folder


def test_a_known_user_gets_goods_that_are_new_to_them(engine: Path) -> None:
    items = answer("recommend", engine, "--user", "u01", "-k", "5")["items"]
    assert len({item["item"] for item in items}) == 5
    scores = [item["score"] for item in items]
    assert scores == sorted(scores, reverse=True)


def test_written_descriptions_stand_beside_the_goods_and_are_marked(engine: Path) -> None:
    described = [item["properties"] for item in answer("recommend", engine, "--user", "u01", "-k", "5")["items"]]
    assert all(own["generated"] and own["generated_by"] == "template" for own in described)
    assert all(own["description_generated"] and "description" not in own for own in described)


def test_a_history_a_wish_and_their_exclusions(engine: Path) -> None:
    items = answer("recommend", engine, "--history", "tea-01,pot-01", "--exclude", "tea-02", "-k", "9")["items"]
    assert {"tea-01", "pot-01", "tea-02"}.isdisjoint(item["item"] for item in items)
    wished = answer("recommend", engine, "--text", "coffee beans", "-k", "3")["items"]
    assert len(wished) == 3


def test_a_filter_holds(engine: Path) -> None:
    items = answer("recommend", engine, "--history", "tea-01", "--filter", '{"category": "Food > Coffee"}')["items"]
    assert {item["item"] for item in items} <= {"cof-01", "cof-02"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_list_for_people_says_why(engine: Path, language: str) -> None:
    result = run("recommend", engine, "--user", "u01", "-k", "3", "--explain", "--language", language)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("1. ")
    assert "  - " in result.stdout
    title = result.stdout.splitlines()[0]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in title) == (language == "zh")


def test_similar_goods_are_others(engine: Path) -> None:
    items = [item["item"] for item in answer("similar", engine, "cof-01", "-k", "4")["items"]]
    assert len(items) == 4
    assert "cof-01" not in items
    assert "cof-02" in items
    assert "cof-02" in run("similar", engine, "cof-01").stdout


def test_what_could_stand_in_the_place_of_goods(engine: Path) -> None:
    found = answer("similar", engine, "cof-01", "--kind", "substitute", "--language", "zh")["items"]
    assert [item["item"] for item in found] == ["cof-02"]
    assert "同类商品" in found[0]["reasons"][0]["text"]
    assert "cof-02" not in run("similar", engine, "cof-01", "--kind", "complement").stdout
    refused = run("similar", engine, "cof-01", "--kind", "opposite")
    assert refused.exit_code == 2
    assert "complement" in refused.stderr


def test_an_explanation_adds_up(engine: Path) -> None:
    found = answer("explain", engine, "pot-01", "--history", "tea-01,cup-01")
    total = found["base"] + sum(feature["contribution"] for feature in found["features"])
    assert total == pytest.approx(found["score"], abs=1e-4)
    assert run("explain", engine, "pot-01", "--history", "tea-01", "--language", "zh").exit_code == 0


def test_a_wish_in_chinese_finds_goods(engine: Path) -> None:
    items = answer("recommend", engine, "--text", "送给爱喝咖啡的朋友的礼物", "-k", "2")["items"]
    assert any(item["item"].startswith("cof-") for item in items)


def test_somebody_unknown_is_answered_and_told(engine: Path) -> None:
    result = run("recommend", engine, "--user", "nobody", "-k", "2", "--json", "--language", "zh")
    assert result.exit_code == 0
    assert "没有名为 nobody 的用户" in result.stderr
    assert len(json.loads(result.stdout)["items"]) == 2
    assert "nobody" not in run("recommend", engine, "--user", "u01", "-k", "2").stderr


def test_a_newcomer_is_asked_and_told_what_the_figure_means(engine: Path) -> None:
    assert len(answer("ask", engine, "-k", "2")) == 2
    assert "回答“是”的可能性" in run("ask", engine, "--language", "zh").stdout
    assert run("ask", engine, "--no", "tea-1").exit_code == 2


def test_an_empty_list_is_no_silence(engine: Path) -> None:
    result = run("recommend", engine, "--history", "tea-01", "--filter", '{"price": {"gt": 1e6}}', "--language", "en")
    assert result.exit_code == 0
    assert "nothing to show" in result.stdout


def test_a_wish_without_words_to_hold_it_against(tmp_path: Path) -> None:
    rows = "\n".join(f"u{row % 7},i{row % 5},{1_700_000_000 + row * 3600}" for row in range(35))
    (tmp_path / "events.csv").write_text(f"user_id,item_id,timestamp\n{rows}\n", encoding="utf-8")
    engine = tmp_path / "bare.engine"
    assert run("train", tmp_path, "--out", engine, "--preset", "fast").exit_code == 0
    alone = run("recommend", engine, "--text", "tea")
    assert alone.exit_code == 2 and "have none" in alone.stderr
    beside = run("recommend", engine, "--text", "tea", "--user", "u1", "--language", "zh")
    assert beside.exit_code == 0 and "没有标题和描述" in beside.stderr


def test_what_cannot_be_is_said_before_the_work(shop: Path, tmp_path: Path) -> None:
    taken = run("train", shop, "--out", shop / "events.csv")
    assert taken.exit_code == 1 and "Choose another place" in taken.stderr
    preset = run("train", shop, "--out", tmp_path / "engine", "--preset", "quick")
    assert preset.exit_code == 2 and "fast, balanced, thorough" in preset.stderr
    assert "rows read" not in taken.stderr + preset.stderr


def test_unknown_ids_leave_with_two(engine: Path) -> None:
    for result in (run("similar", engine, "nothing"), run("explain", engine, "nothing", "--user", "u01")):
        assert result.exit_code == 2
        assert "nothing" in result.stderr


def test_a_folder_that_is_no_engine_leaves_with_one(shop: Path) -> None:
    result = run("recommend", shop, "--user", "u01")
    assert result.exit_code == 1
    assert "not a palate engine" in result.stderr


@pytest.fixture(scope="module")
def figures(shop: Path) -> Path:
    """JSON and page of one evaluation."""
    target = shop.parent / "result.json"
    page = target.with_suffix(".html")
    result = run(
        "evaluate", shop, "--protocol", "loo-strict", "--name", "tea", "--pareto", "--json", target, "--html", page
    )
    assert result.exit_code == 0, result.stderr
    assert "palate" in result.stdout
    return target


def test_the_figures_keep_their_contract(figures: Path) -> None:
    result = json.loads(figures.read_text(encoding="utf-8"))
    assert (result["protocol"], result["preset"], result["seed"]) == ("loo-strict", "balanced", 0)
    assert result["dataset"] == {"users": 12, "items": 12, "events": 51}
    assert result["queries"] == 12
    assert {"load", "encode", "fit", "rank"} <= set(result["seconds"])
    assert result["seconds"]["load"] > 0
    assert result["peak_rss_mb"] > 0
    assert "palate" in result["models"]
    assert result["pareto"]["points"][0]["weights"] == {"accuracy": 1.0}
    for scores in result["models"].values():
        assert set(scores) >= METRICS
        low, high = scores["ci95"]["ndcg@10"]
        assert low <= scores["ndcg@10"] <= high


def test_the_page_stands_alone(figures: Path) -> None:
    page = figures.with_suffix(".html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert 'src="http' not in page


def test_json_on_standard_output_is_alone_there(shop: Path) -> None:
    result = run("evaluate", shop, "--protocol", "loo-strict", "--models", "popularity", "--json", "-")
    assert result.exit_code == 0, result.stderr
    assert set(json.loads(result.stdout)["models"]) == {"popularity"}


def test_cases_from_a_file(shop: Path, tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"history": [{"item_id": "tea-01"}], "target": "tea-02"}\n', encoding="utf-8")
    result = run("evaluate", shop, "--cases", cases, "--models", "item_knn", "--json", "-")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["protocol"] == "cases"


def test_temporal_without_times_leaves_with_two(tmp_path: Path) -> None:
    rows = [f"u{user},i{(user + step) % 7},{step}" for user in range(8) for step in range(5)]
    (tmp_path / "events.csv").write_text("\n".join(["user_id,item_id,position", *rows]), encoding="utf-8")
    result = run("evaluate", tmp_path, "--protocol", "temporal")
    assert result.exit_code == 2
    assert "time" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--protocol", "loo"],
        ["--models", "nothing"],
        ["--models", "ease", "--pareto"],
        ["--seen", "never"],
        ["--protocol", "cases"],
    ],
    ids=str,
)
def test_what_no_evaluation_knows_leaves_with_two(shop: Path, words: list[str]) -> None:
    result = run("evaluate", shop, "--protocol", "loo-strict", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("palate: ")

"""What the terminal shows of an evaluation and of an engine: every part of it, in both languages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from palate.cli.app import app
from palate.cli.show import show_evaluation, show_explanation
from palate.evaluation import evaluate
from palate.ranking.ranker import Examples, RankerSettings, learn
from tests.engine_world import dataset, fitted

IDLE = {name: {"gain": 0.0, "share": 0.0} for name in ("brand", "colour")}


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """Everything at once: objectives weighed, items held out, a ranker that says what it looks at."""
    found = evaluate(
        dataset(), protocol="loo-strict", models=["palate"], pareto=True, cold_items=0.2, fit=lambda *_, **__: fitted()
    )
    told: dict[str, Any] = json.loads(json.dumps(found.as_json()))
    return told


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines") / "demo.engine"
    fitted().save(folder)
    return folder


@pytest.mark.parametrize(("language", "accuracy"), [("en", "accuracy"), ("zh", "准确度")])
def test_the_weightings_that_nothing_beats_are_in_the_terminal(
    result: dict[str, Any], language: str, accuracy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_evaluation(result, language)
    shown = capsys.readouterr().out
    points = result["pareto"]["points"]
    best = [point for point in points if point["non_dominated"]]
    assert 0 < len(best) < len(points)
    rows = [line.strip() for line in shown.splitlines() if line.strip().startswith(f"{accuracy} ")]
    assert len(rows) == len(best) + (not points[0]["non_dominated"])
    assert sum("★" in row for row in rows) == len(best)
    for row, point in zip([row for row in rows if "★" in row], best, strict=True):
        for measure in result["pareto"]["measures"]:
            assert f"{point[measure]:.4f}" in row


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_was_held_out_is_in_the_terminal(
    result: dict[str, Any], language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_evaluation(result, language)
    shown = capsys.readouterr().out
    for row in result["cold"]["engines"]:
        assert f"{row['warm']['recall@10']:.4f}" in shown
    assert f"{result['cold']['engines'][0]['kept']['whole']['share']:.3f}" in shown
    assert f"{result['cold']['questions']['warm']:,}" in shown
    assert "{" not in shown, "a word was left open"


def test_what_is_absent_is_not_spoken_of(result: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    show_evaluation({**result, "cold": {}, "pareto": {}, "importance": {}})
    shown = capsys.readouterr().out
    for words in ("held out of every fit", "weights", "no tree", "ranker looks"):
        assert words not in shown.replace("are held out of every fit, and", "")


def test_features_are_all_told_and_those_of_no_use_are_named(
    result: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    importance = result["importance"]
    assert list(importance) == list(fitted().describe()["importance"])
    assert set(importance) == set(fitted().pipeline.names)
    assert sum(own["share"] for own in importance.values()) == pytest.approx(1)
    gains = [own["gain"] for own in importance.values()]
    assert gains == sorted(gains, reverse=True)
    show_evaluation({**result, "importance": {"price": {"gain": 9.0, "share": 1.0}, **IDLE}})
    shown = capsys.readouterr().out
    assert "No tree looks at: brand, colour." in shown
    assert "1 of 3 features are used" in shown


def test_a_feature_that_tells_nothing_gains_nothing() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((60, 12, 3), dtype=np.float32)
    features[:, :, 1] = 1
    relevant = features[:, :, 2] == features[:, :, 2].max(axis=1, keepdims=True)
    examples = Examples(features, relevant, np.ones(relevant.shape, dtype=bool))
    ranker = learn(examples, None, ("noise", "constant", "telling"), RankerSettings(trees=5, minimum_leaf=5), seed=0)
    found = ranker.importance()
    assert next(iter(found)) == "telling"
    assert found["constant"] == {"gain": 0.0, "share": 0.0}
    assert found["telling"]["share"] > 0.5
    assert sum(own["share"] for own in found.values()) == pytest.approx(1)


@pytest.mark.parametrize(("language", "words"), [("en", "What the ranker looks at"), ("zh", "排序器看重什么")])
def test_an_engine_describes_itself(engine: Path, language: str, words: str) -> None:
    done = CliRunner().invoke(app, ["describe", str(engine), "--language", language])
    assert done.exit_code == 0, done.stderr
    assert words in done.stdout
    used = [name for name, own in fitted().describe()["importance"].items() if own["gain"]]
    first = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert set(used) <= first
    assert fitted().version in done.stdout


def test_an_engine_described_as_json_is_what_python_says(engine: Path) -> None:
    done = CliRunner().invoke(app, ["describe", str(engine), "--json"])
    assert json.loads(done.stdout)["importance"] == fitted().describe()["importance"]


def test_the_report_names_what_the_ranker_looks_at(tmp_path: Path) -> None:
    found = evaluate(dataset(), protocol="loo-strict", models=["palate"], fit=lambda *_, **__: fitted())
    replace(found, importance={**found.importance, **IDLE}).write_html(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "What the ranker looks at" in text
    assert "brand, colour." in text
    assert "No tree looks at: " in text
    for name, own in found.importance.items():
        assert f"<td>{name}</td>" in text or not own["gain"]


@pytest.mark.parametrize("share", ["1", "-0.2"])
def test_a_share_of_items_lies_between_none_and_all(share: str, tmp_path: Path) -> None:
    runner = CliRunner()
    runner.invoke(app, ["init", str(tmp_path / "shop")])
    done = runner.invoke(app, ["evaluate", str(tmp_path / "shop"), "--protocol", "loo-strict", f"--cold-items={share}"])
    assert done.exit_code == 2
    assert "must lie between 0 and 1" in done.stderr


def test_the_headline_names_who_was_compared(capsys: pytest.CaptureFixture[str], result: dict[str, Any]) -> None:
    record = {
        "best_single": True,
        "measure": "ndcg@10",
        "relative": -0.8,
        "relative_ci95": [-0.9, -0.7],
        "p_holm": 0.01,
    }
    record |= {"model": "popularity", "baseline": "transitions"}
    show_evaluation({**result, "comparisons": [record]})
    assert "popularity against transitions" in capsys.readouterr().out


def test_what_is_not_told_of_an_explanation_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    explanation = fitted().explain(fitted().catalogue.ids[0])
    rows = [{"name": f"feature{place}", "value": 1.0, "contribution": 0.5**place} for place in range(11)]
    show_explanation(replace(explanation, features=rows))
    lines = capsys.readouterr().out.splitlines()
    assert "3 other features together" in lines[9]
    assert sum(float(line.split()[0]) for line in lines[1:10]) == pytest.approx(2.0, abs=1e-2)
    show_explanation(replace(explanation, features=rows[:8]))
    assert "together" not in capsys.readouterr().out

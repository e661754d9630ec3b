"""Accuracy weighed against other objectives: the grid, who dominates whom, the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palate.core import Float64Array, UsageError
from palate.data import Dataset
from palate.engine import EngineSettings
from palate.evaluation import Evaluation, evaluate
from palate.evaluation.pareto import grid, non_dominated
from tests.engine_world import QUICK, fitted, fresh, shop
from tests.evaluation_world import SmallEngine, world
from tests.test_evaluation_report import Balanced


@pytest.fixture(scope="module")
def weighed() -> Evaluation:
    own = shop()
    items = own.items.with_columns(cost=pl.col("price") * 0.6)
    data = Dataset.from_frames(own.events, items, own.users, name="demo")
    engine = fresh()
    engine.update(items=items.select("item_id", "cost").to_dicts())

    def fit(_: Dataset, **__: Any) -> Any:
        return engine

    return evaluate(data, protocol="loo-strict", models=["palate"], pareto=True, fit=fit)


@given(arrays(np.float64, (7, 3), elements=st.integers(0, 4).map(float)))
def test_the_front_is_what_nothing_dominates(values: Float64Array) -> None:
    best = non_dominated(values)
    assert best.any()
    for row in range(len(values)):
        beaten = any((other >= values[row]).all() and (other > values[row]).any() for other in values)
        assert best[row] == (not beaten)


def test_the_grid_begins_with_accuracy_alone_and_repeats_nothing() -> None:
    for names in (["novelty"], ["diversity", "novelty"], ["diversity", "novelty", "margin"]):
        points = grid(names)
        assert points[0].plain
        assert len({point.model_dump_json() for point in points}) == len(points) <= 20
        assert all(sum(point.described().values()) == pytest.approx(1) for point in points)


def test_every_weighting_is_measured_on_the_same_questions(weighed: Evaluation) -> None:
    found = weighed.pareto
    assert found["measures"] == ["ndcg@10", "diversity@10", "novelty@10", "margin@10"]
    plain = found["points"][0]
    assert plain["weights"] == {"accuracy": 1.0}
    assert plain["ndcg@10"] == pytest.approx(weighed.models["palate"]["ndcg@10"])
    assert plain["novelty@10"] == pytest.approx(weighed.models["palate"]["novelty@10"])
    for point in found["points"]:
        for measure in found["measures"]:
            low, high = point["ci95"][measure]
            assert low <= point[measure] <= high
    most = {
        name: next(p for p in found["points"] if p["weights"] == {"accuracy": 0.6, name: 0.4})
        for name in ("novelty", "margin")
    }
    assert most["novelty"]["novelty@10"] > plain["novelty@10"]
    assert most["margin"]["margin@10"] > plain["margin@10"]
    values = np.array([[point[measure] for measure in found["measures"]] for point in found["points"]])
    assert [point["non_dominated"] for point in found["points"]] == non_dominated(values).tolist()
    assert json.loads(json.dumps(weighed.as_json()["pareto"]))["points"][0]["weights"] == {"accuracy": 1.0}


@pytest.mark.parametrize(("language", "words"), [("en", "What accuracy costs"), ("zh", "多目标权衡")])
def test_the_report_draws_the_curves(weighed: Evaluation, language: str, words: str, tmp_path: Path) -> None:
    weighed.write_html(tmp_path / "report.html", language)
    text = (tmp_path / "report.html").read_text("utf-8")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert words in text
    assert text.count("<polyline") == 3
    assert text.count("<circle") == 3 * len(weighed.pareto["points"])
    assert "nan" not in text
    front = sum(point["non_dominated"] for point in weighed.pareto["points"])
    assert text.count("★") == front + 1
    plain = replace(weighed, pareto={})
    plain.write_html(tmp_path / "plain.html", language)
    assert words not in (tmp_path / "plain.html").read_text("utf-8")


def test_who_cannot_weigh_says_so() -> None:
    with pytest.raises(UsageError, match="one manner only"):
        evaluate(world(), pareto=True, fit=SmallEngine.fit)
    with pytest.raises(UsageError, match="ask for palate"):
        evaluate(world(), pareto=True, models=["ease"], fit=SmallEngine.fit)


def test_an_engine_that_rearranges_is_measured_by_its_lists() -> None:
    own = shop()
    data = Dataset.from_frames(own.events, own.items, own.users, name="demo")
    settings = EngineSettings(encoder=QUICK)
    engine = fresh(diversity=settings.diversity.model_copy(update={"strength": 0.8}))
    assert engine.rearranges and not fitted().rearranges
    diverse = evaluate(data, models=["palate"], fit=lambda *_, **__: engine)
    plain = evaluate(data, models=["palate"], fit=lambda *_, **__: fitted())
    assert diverse.models["palate"]["diversity_vector@10"] > plain.models["palate"]["diversity_vector@10"]

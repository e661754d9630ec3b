"""Items held out of every fit are unknown to every fit, and asked for in the full catalogue."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.core import Ragged, UsageError
from palate.data import Dataset
from palate.engine import Engine
from palate.evaluation import evaluate, plan
from palate.evaluation.cold import _joined, hold_out_items
from palate.measure import accuracy
from palate.ranking.fresh import FreshSettings
from tests.engine_world import dataset, fitted
from tests.evaluation_world import SmallEngine, world
from tests.test_evaluation_report import Balanced


@pytest.mark.parametrize("protocol", ["loo-strict", "loo-refit", "temporal"])
def test_no_fit_has_seen_a_cold_item(protocol: str) -> None:
    whole = plan(world(), protocol)
    held = hold_out_items(whole, 0.2, seed=1)
    trial = held.trial
    cold = set(trial.test.targets.values.tolist())
    assert cold
    for learnt in (trial.train, trial.learnt, trial.test.dataset):
        assert learnt.n_items == whole.train.n_items
        assert cold.isdisjoint(learnt.events["item"].to_list())
    assert trial.validation is not None
    assert trial.validation.dataset is trial.train
    assert cold.isdisjoint(trial.validation.targets.values.tolist())
    assert (trial.test.targets.lengths == 1).all()
    for row, user in enumerate(trial.test.users):
        before = int(np.nonzero(whole.test.users == user)[0][0])
        assert trial.test.targets[row].tolist() == whole.test.targets[before].tolist()
        assert trial.test.queries.history.row(row).tolist() == whole.test.queries.history.row(before).tolist()
    assert trial.name == f"{protocol}, cold items"
    assert cold <= set(held.items.tolist())
    assert set(held.items.tolist()).isdisjoint(held.warm.targets.values.tolist())
    assert len(held.warm) + len(trial.test) == len(whole.test)


def test_models_of_events_alone_do_not_find_them() -> None:
    """Ring neighbours never seen in training score nothing; they come after every item that scores."""
    found = evaluate(world(), cold_items=0.2, fit=SmallEngine.fit)
    assert found.protocol == "loo-strict, cold items"
    assert found.models["ease"]["mrr"] < 0.2 * evaluate(world(), fit=SmallEngine.fit).models["ease"]["mrr"]
    assert [part["slice"] for part in found.slices["items"]] == ["new items"]
    assert any("items are held out of every fit" in note for note in found.notes)


def test_what_the_other_questions_keep_is_measured_against_two_engines() -> None:
    """Counted anew: the same fits, asked here."""
    data = world(300)
    fits: list[SmallEngine] = []

    def fit(dataset: Dataset, **given: Any) -> SmallEngine:
        fits.append(SmallEngine.fit(dataset, **given))
        return fits[-1]

    found = evaluate(data, cold_items=0.2, models=["palate"], seed=4, fit=fit)
    told = found.cold
    without, taught = fits
    held = hold_out_items(plan(data, "loo-strict"), 0.2, seed=4)
    assert (without.fitted_on.n_events, taught.fitted_on.n_events) == (
        held.trial.train.n_events,
        plan(data, "loo-strict").train.n_events,
    )
    assert told["questions"] == {"cold": len(held.trial.test), "warm": len(held.warm)}
    assert (told["items"], told["catalogue"]) == (len(held.items), data.n_items)
    rows = {row["engine"]: row for row in told["engines"]}
    assert list(rows) == ["places", "warm only", "whole"]
    assert rows["places"]["cold"]["recall@10"] == found.models["palate"]["recall@10"]
    assert rows["warm only"]["cold"] is None
    for name, engine, excluded in (("places", without, []), ("warm only", without, held.items), ("whole", taught, [])):
        queries = replace(held.warm.queries, k=10, excludes=Ragged.repeated(excluded, len(held.warm)))
        items = engine.rank(queries).items
        assert name != "warm only" or set(held.items.tolist()).isdisjoint(items.ravel().tolist())
        expected = accuracy(items, held.warm.targets, cutoffs=(10,))["ndcg@10"].mean()
        assert rows[name]["warm"]["ndcg@10"] == pytest.approx(expected)
    for other in ("warm only", "whole"):
        kept = rows["places"]["kept"][other]
        assert kept["share"] == pytest.approx(rows["places"]["warm"]["ndcg@10"] / rows[other]["warm"]["ndcg@10"])
        assert kept["ci95"][0] <= kept["share"] <= kept["ci95"][1]
        assert rows[other]["kept"] == {}
    assert json.loads(json.dumps(found.as_json()["cold"])) == found.as_json()["cold"]
    assert found.seconds["warm"] > 0


def test_places_for_new_items_are_measured_beside_none() -> None:
    engine = fitted()
    fresh = np.zeros(len(engine.catalogue), dtype=bool)
    assert (engine.without_places() is engine) == (engine.pipeline.fresh.places(engine.pipeline.facts.fresh) == 0)
    fresh[: len(fresh) // 5] = True
    facts = replace(engine.pipeline.facts, popularity=np.where(fresh, 0, engine.pipeline.facts.popularity))
    pipeline = replace(engine.pipeline, facts=facts, fresh=FreshSettings())
    keeps = Engine(engine.dataset, engine.settings, replace(engine.assembled, pipeline=pipeline))
    plain = keeps.without_places()
    assert plain is not keeps
    trial = plan(dataset(), "loo-strict")
    queries = replace(trial.test.queries.take(slice(0, 40)), k=10)
    shown, without = (fresh[one.rank(queries).items].mean() for one in (keeps, plain))
    assert shown > without
    found = evaluate(dataset(), cold_items=0.2, models=["palate"], fit=lambda *_, **__: keeps)
    assert [row["engine"] for row in found.cold["engines"]] == ["places", "no places", "warm only", "whole"]


@pytest.mark.parametrize(("language", "words"), [("en", "Items held out of every fit"), ("zh", "完全未参与训练的物品")])
def test_the_report_has_a_table_of_them(language: str, words: str, tmp_path: Path) -> None:
    found = evaluate(world(), cold_items=0.2, models=["palate"], fit=SmallEngine.fit)
    found.write_html(tmp_path / "report.html", language)
    text = (tmp_path / "report.html").read_text("utf-8")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert words in text
    assert f"{found.cold['engines'][0]['warm']['ndcg@10']:.4f}" in text


def test_what_is_excluded_already_stays_so() -> None:
    joined = _joined(Ragged.of([[1], [], [2, 3]]), Ragged.repeated([7, 8], 3))
    assert [joined[row].tolist() for row in range(3)] == [[1, 7, 8], [7, 8], [2, 3, 7, 8]]


def test_shares_are_checked() -> None:
    trial = plan(world(), "loo-strict")
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        hold_out_items(trial, 1.5)
    with pytest.raises(UsageError, match="lower the share"):
        hold_out_items(trial, 0.999)
    with pytest.raises(UsageError, match="raise the share"):
        hold_out_items(plan(world(3), "loo-strict"), 0.001)

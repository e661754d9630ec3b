"""The whole harness, from data to JSON, over a small engine; and its figures against the definitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.core import FloatArray, PalateError, Queries, Rankings, UsageError, top_k
from palate.evaluation import Evaluation, evaluate, plan
from palate.evaluation.answers import by_lists, by_scores
from palate.evaluation.contenders import COLLABORATIVE, events_alone, gather
from palate.evaluation.tuning import sample, tune, validated
from palate.models.ease import EASE, EASESettings
from palate.models.popularity import Popularity
from tests.conftest import shared_data
from tests.evaluation_world import SmallEngine, world

CLASSES: dict[str, Any] = {"popularity": Popularity, "ease": EASE}


@pytest.fixture(scope="module")
def strict() -> Evaluation:
    return evaluate(world(), protocol="loo-strict", fit=SmallEngine.fit)


def test_json_is_the_contract(strict: Evaluation, tmp_path: Path) -> None:
    strict.write_json(tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text("utf-8"))
    for key in ("protocol", "preset", "seed", "dataset", "queries", "models", "seconds", "peak_rss_mb"):
        assert key in found
    assert found["protocol"] == "loo-strict"
    assert found["preset"] == "balanced"
    assert set(found["dataset"]) == {"users", "items", "events"}
    assert {"load", "encode", "fit", "rank"} <= set(found["seconds"])
    assert found["peak_rss_mb"] > 10
    assert set(found["models"]) == {"palate", "popularity", "ease"}
    wanted = {f"{m}@{k}" for m in ("recall", "ndcg", "hit") for k in (1, 5, 10, 20)}
    wanted |= {"mrr", "coverage@10", "novelty@10", "diversity@10", "gini@10", "ci95"}
    for figures in found["models"].values():
        assert wanted <= set(figures)
        for measure, (low, high) in figures["ci95"].items():
            assert low <= figures[measure] <= high, measure
    assert found["models"]["ease"]["ndcg@10"] > 2 * found["models"]["popularity"]["ndcg@10"]


def test_figures_are_the_definition(strict: Evaluation) -> None:
    trial = plan(world(), "loo-strict")
    model = EASE().fit(trial.train)
    ranks = []
    for row in range(len(trial.test)):
        scores = model.score(trial.test.queries.take(slice(row, row + 1)))[0]
        scores[trial.test.queries.history.row(row)] = -np.inf
        order = np.argsort(-scores, kind="stable").tolist()
        ranks.append(order.index(trial.test.targets[row][0]) + 1)
    found = np.array(ranks)
    figures = strict.models["ease"]
    assert figures["mrr"] == pytest.approx((1 / found).mean())
    assert figures["recall@10"] == pytest.approx((found <= 10).mean())
    assert figures["ndcg@20"] == pytest.approx(np.where(found <= 20, 1 / np.log2(found + 1), 0).mean())
    assert figures["recall@1"] == figures["hit@1"] == figures["ndcg@1"]


def test_slices_add_up_to_the_whole(strict: Evaluation) -> None:
    assert set(strict.slices) == {"history", "popularity", "users", "items"}
    for parts in strict.slices.values():
        assert sum(part["queries"] for part in parts) == strict.queries
        mean = sum(part["queries"] * part["models"]["palate"]["ndcg@10"] for part in parts) / strict.queries
        assert mean == pytest.approx(strict.models["palate"]["ndcg@10"])


def test_the_engine_is_compared_with_the_validation_best(strict: Evaluation) -> None:
    assert strict.best_single == "ease" == max(strict.validation, key=lambda name: strict.validation[name])
    record = strict.headline
    assert record is not None
    assert (record["model"], record["baseline"], record["measure"]) == ("palate", "ease", "ndcg@10")
    ours, theirs = strict.models["palate"]["ndcg@10"], strict.models["ease"]["ndcg@10"]
    assert record["difference"] == pytest.approx(ours - theirs)
    assert record["relative"] == pytest.approx(ours / theirs - 1)
    assert record["relative_ci95"][0] <= record["relative"] <= record["relative_ci95"][1]
    against_popularity = [r for r in strict.comparisons if r["baseline"] == "popularity" and r["measure"] == "ndcg@10"]
    assert against_popularity[0]["relative_ci95"][0] > 0.15
    assert against_popularity[0]["p"] <= against_popularity[0]["p_holm"] < 0.05


def test_temporal_reports_new_users_and_new_items_apart() -> None:
    found = evaluate(world(), protocol="temporal", fit=SmallEngine.fit)
    assert {"known users", "new users"} == {part["slice"] for part in found.slices["users"]}
    assert sum(part["queries"] for part in found.slices["users"]) == found.queries


def test_cases_are_asked_of_an_engine_that_knows_everything(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    lines = [{"history": [{"item_id": f"i{n}"}], "target": f"i{(n + 1) % 60}"} for n in range(30)]
    lines += [{"user_id": "u3", "history": [], "target": "not in the shop"}]
    path.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")
    found = evaluate(world(), protocol="cases", cases=path, fit=SmallEngine.fit)
    assert found.queries == 31
    assert found.models["palate"]["recall@20"] > 0.3
    assert found.models["palate"]["recall@20"] <= 30 / 31
    assert found.best_single == "ease"
    assert any("which favours it" in note for note in found.notes)


def test_events_without_items_file_are_enough() -> None:
    found = evaluate(world(categories=False, times=False), fit=SmallEngine.fit)
    assert found.diversity == "audience"
    assert 0 < found.models["palate"]["diversity@10"] <= 1


def test_what_the_engine_is_given_follows_the_protocol() -> None:
    dataset = world()
    for protocol in ("loo-strict", "loo-strict+val", "loo-refit", "temporal"):
        trial = plan(dataset, protocol)
        found = gather(
            trial, None, preset="fast", seed=0, tuned=False, fit_engine=SmallEngine.fit, classes={}, progress=None
        )
        engine = found.engine
        assert isinstance(engine, SmallEngine)
        assert engine.fitted_on is trial.learnt
        assert engine.refits == (protocol == "loo-refit")
        assert engine.inner == ("time" if protocol == "temporal" else "last")
        assert engine.learnt_validation == (protocol == "loo-strict+val")
        assert found.singles["ease"] is engine.sources["ease"], "sources are those of the engine under test"


def test_named_models_only() -> None:
    stages: list[str] = []
    found = evaluate(
        world(), models=["palate", "ease"], fit=SmallEngine.fit, progress=lambda stage, _share: stages.append(stage)
    )
    assert set(found.models) == {"palate", "ease"}
    assert {"small engine", "rank palate", "rank ease"} <= set(stages)
    assert set(evaluate(world(), models=["ease"], fit=SmallEngine.fit).models) == {"ease"}
    stages.clear()
    with pytest.raises(UsageError, match=r"unknown model 'eese'\. Did you mean 'ease'"):
        evaluate(world(), models=["eese"], fit=SmallEngine.fit, progress=lambda stage, _share: stages.append(stage))
    assert "small engine" not in stages, "a slip of the pen is told before anything is fitted"
    with pytest.raises(UsageError, match="'semantic' is no source of this engine"):
        evaluate(world(), models=["semantic"], fit=SmallEngine.fit)


@pytest.mark.parametrize("protocol", ["loo-strict", "loo-refit"])
def test_tuning_gives_every_model_the_same_budget(protocol: str) -> None:
    trial = plan(world(), protocol)
    found = gather(
        trial, ["ease", "popularity"], preset="fast", seed=0, tuned=True, fit_engine=SmallEngine.fit, classes=CLASSES
    )
    assert found.engine is None, "no engine is fitted where none is asked for"
    for name, model in found.singles.items():
        tried = found.tuning[name]
        best = max(tried, key=lambda entry: entry["ndcg@10"])
        assert best["settings"] == model.settings.model_dump(mode="json")
        assert found.validation[name] == best["ndcg@10"]
    ease = found.singles["ease"]
    assert isinstance(ease, EASE)
    expected = EASE(ease.settings).fit(trial.learnt)
    probe = trial.test.queries.take(slice(0, 3))
    np.testing.assert_array_equal(ease.score(probe), expected.score(probe))


@pytest.mark.parametrize("name", list(COLLABORATIVE))
def test_collaborative_models_can_be_named_alone(name: str) -> None:
    model = COLLABORATIVE[name]()
    assert model.name == name
    assert events_alone(model)
    assert COLLABORATIVE[name](model.settings).settings == model.settings


def test_tuning_starts_from_the_given_settings_and_never_does_worse() -> None:
    trial = plan(world(), "loo-strict")
    assert trial.validation is not None
    start = EASESettings(regularization=1e6)
    outcome = tune(EASE, start, trial.train, trial.validation, budget=4)
    assert len(outcome.tried) == 4
    assert outcome.tried[0]["settings"]["regularization"] == 1e6
    assert validated(outcome.model, trial.validation) == max(entry["ndcg@10"] for entry in outcome.tried)
    fitted = EASE(start).fit(trial.train)
    again = tune(EASE, start, trial.train, trial.validation, budget=1, fitted=fitted)
    assert again.model is fitted
    assert again.tried == outcome.tried[:1]
    with pytest.raises(UsageError, match="a budget of 0"):
        tune(EASE, start, trial.train, trial.validation, budget=0)


def test_samples_are_drawn_by_seed() -> None:
    fold = plan(world(), "loo-strict").test
    assert len(sample(fold, 10)) == 10
    assert sample(fold, 10, seed=1).users.tolist() == sample(fold, 10, seed=1).users.tolist()
    assert sample(fold, 10, seed=1).users.tolist() != sample(fold, 10, seed=2).users.tolist()
    assert sample(fold, 10_000) is fold


def test_lists_and_scores_agree() -> None:
    """A model asked for lists and the same model asked for scores get the same figures, but for the depth of lists."""
    trial = plan(world(), "loo-strict")
    model = EASE().fit(trial.train)
    scored, listed = by_scores(model.score, trial.test, "ease"), by_lists(model.recommend, trial.test, "ease")
    np.testing.assert_array_equal(scored.items, listed.items)
    np.testing.assert_allclose(scored.reciprocal, listed.reciprocal)


class ScoringEngine(SmallEngine):
    """Has a score for every item beside its lists."""

    def score(self, queries: Queries) -> FloatArray:
        return self.sources["ease"].score(queries) + 0.01 * self.sources["popularity"].score(queries)


class TwoFacedEngine(ScoringEngine):
    """Shows popular items while its scores shine."""

    def rank(self, queries: Queries) -> Rankings:
        return self.sources["popularity"].recommend(queries)


def test_an_engine_is_ranked_through_the_whole_catalogue_where_it_can_be() -> None:
    by_list = evaluate(world(), models=["palate"], fit=SmallEngine.fit).models["palate"]
    by_score = evaluate(world(), models=["palate"], fit=ScoringEngine.fit).models["palate"]
    assert by_list == by_score, "60 items fit into the lists that are asked for"


def test_figures_speak_of_the_lists_that_are_shown() -> None:
    with pytest.raises(PalateError, match=r"palate shows other lists than its scores give, in 6\d of 64"):
        evaluate(world(), models=["palate"], fit=TwoFacedEngine.fit)


def test_answers_that_are_no_answers_are_refused() -> None:
    fold = plan(world(), "loo-strict").test
    model = Popularity().fit(fold.dataset)

    def twice(queries: Queries) -> Rankings:
        rankings = model.recommend(queries)
        return Rankings(rankings.items[:, [0, *range(rankings.k - 1)]], rankings.scores, rankings.sources, ("twice",))

    def seen(queries: Queries) -> Rankings:
        scores = model.score(queries)
        scores[queries.history.rows, queries.history.items] = 9.0
        return top_k(scores, Queries(queries.history, k=queries.k, mask_seen=False), "seen")

    with pytest.raises(PalateError, match="the same item twice"):
        by_lists(twice, fold, "twice")
    with pytest.raises(PalateError, match="already seen"):
        by_lists(seen, fold, "seen")
    with pytest.raises(PalateError, match="1 lists to"):
        by_lists(lambda queries: model.recommend(queries.take(slice(0, 1))), fold, "short")


def test_real_data_from_the_folder_to_the_figures() -> None:
    """Industrial & Scientific, as published: 8,317 users; pair transitions clearly beat popularity there."""
    found = evaluate(shared_data("scientific"), models=["transitions", "popularity"])
    assert found.dataset["users"] == found.queries == 8317
    assert found.best_single == "transitions"
    assert found.models["transitions"]["ndcg@10"] > 0.07
    assert found.models["popularity"]["ndcg@10"] < 0.03
    assert found.seconds["load"] > 0
    pairs = {(record["model"], record["baseline"]) for record in found.comparisons}
    assert pairs == {("transitions", "popularity")}, "without the engine, the first is held against the others"

"""Tuning components of an engine: what is searched, what decides, what is refused."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.cli.settings import PalateSettings
from palate.core import UsageError
from palate.core.space import Choice, value_at
from palate.data import Dataset
from palate.engine.settings import EngineSettings
from palate.evaluation.components import Tuning, ground_of, names, tune_component
from palate.evaluation.protocols import plan
from palate.evaluation.search import Budget
from palate.evaluation.tuned import as_json, as_toml
from tests.engine_world import QUICK
from tests.engine_world import dataset as demo
from tests.evaluation_world import world


@cache
def ring() -> Dataset:
    return world(n_users=200)


SMALL = EngineSettings(sources=("popularity", "transitions", "item_knn"))


def tuned(component: str, trials: int, data: Dataset | None = None, **given: Any) -> Tuning:
    options: dict[str, Any] = {"protocol": "loo-strict", "settings": SMALL, **given}
    return tune_component(data or ring(), component, budget=Budget(trials=trials), **options)


@pytest.mark.parametrize("protocol", ["loo-strict", "temporal"])
def test_the_test_part_is_neither_learnt_from_nor_asked(protocol: str) -> None:
    trial, ground = plan(ring(), protocol), ground_of(ring(), protocol)
    assert trial.validation is not None
    assert ground.train.fingerprint == trial.train.fingerprint
    assert ground.asked.users.tolist() == trial.validation.users.tolist()
    assert int(trial.held_out.sum()) > 0
    assert ground.train.n_events <= ring().n_events - int(trial.held_out.sum())
    assert ground.inner == ("time" if protocol == "temporal" else "last")


def test_a_model_is_tuned_by_what_it_scores_on_validation() -> None:
    tuning = tuned("transitions", 10)
    assert all(name.startswith("models.transitions.") for name in tuning.space.ranges)
    assert len(tuning.found.trials) == 10
    assert len({trial.quality for trial in tuning.found.trials}) > 3
    told = as_json(tuning)
    assert told["start"]["settings"]["decay"] == SMALL.models.transitions.decay
    assert told["best"]["ndcg@10"] == max(entry["ndcg@10"] for entry in told["trials"])
    assert set(told["importance"]) == set(told["space"])
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("component", ["ranker", "candidates", "fusion", "palate"])
def test_the_engine_is_tuned_in_parts_and_whole(component: str) -> None:
    tuning = tuned(component, 3)
    qualities = [trial.quality for trial in tuning.found.trials]
    assert len(qualities) == 3
    assert all(quality is not None and quality > 0 for quality in qualities)
    heads = {name.split(".")[0] for name in tuning.space.ranges}
    assert heads == ({"models", "ranker", "candidates"} if component == "palate" else {component})
    if component == "palate":
        searched = {name.split(".")[1] for name in tuning.space.ranges if name.startswith("models.")}
        assert searched == set(SMALL.sources)


def test_a_model_that_reads_texts_is_tuned_over_them() -> None:
    settings = EngineSettings(encoder=QUICK)
    tuning = tuned("semantic", 3, demo(), settings=settings, only=["decay"])
    assert list(tuning.space.ranges) == ["models.semantic.decay"]
    assert len(tuning.found.trials) == 3


def test_the_same_search_goes_on_and_another_begins_anew(tmp_path: Path) -> None:
    first = tuned("item_knn", 8, state=tmp_path)
    on = tuned("item_knn", 12, state=tmp_path)
    assert (first.found.resumed, on.found.resumed, len(on.found.trials)) == (0, 8, 12)
    assert on.journal == first.journal
    assert [trial.values for trial in on.found.trials] == [trial.values for trial in tuned("item_knn", 12).found.trials]
    others = [
        tuned("item_knn", 1, state=tmp_path, seed=1),
        tuned("item_knn", 1, state=tmp_path, only=["decay"]),
        tuned("item_knn", 1, state=tmp_path, seen="keep"),
        tuned("item_knn", 1, state=tmp_path, protocol="temporal"),
        tuned("item_knn", 1, replace(ring(), events=ring().events.head(600)), state=tmp_path),
        tuned("transitions", 1, state=tmp_path),
    ]
    assert all(other.found.resumed == 0 for other in others)
    assert len(list(tmp_path.glob("*.journal"))) == 7


@pytest.mark.parametrize("component", ["popularity", "item_knn", "interest", "palate"])
def test_the_best_settings_are_ready_for_the_file_of_settings(component: str) -> None:
    tuning = tuned(component, 2)
    best = tuning.found.best
    assert best is not None
    infinite = {name: np.inf if "half_life_days" in name else value for name, value in best.values.items()}
    for values in (dict(best.values), infinite):
        found = replace(
            tuning.found, trials=(replace(tuning.found.trials[0], quality=0.0), replace(best, values=values))
        )
        text = as_toml(replace(tuning, found=found))
        read = PalateSettings.model_validate(tomllib.loads(text)).engine
        for name, value in values.items():
            if value is not None:
                assert value_at(read, name) == value


def test_settings_are_chosen_by_name_also_beyond_the_usual() -> None:
    tuning = tuned("ease", 2, settings=EngineSettings(), only=["regularization", "maximum_items"])
    assert set(tuning.space.ranges) == {"models.ease.regularization", "models.ease.maximum_items"}
    whole = tuned("palate", 1, only=["ranker.leaves", "models.item_knn.similarity"])
    assert isinstance(whole.space.ranges["models.item_knn.similarity"], Choice)


def test_everything_that_has_a_name_can_be_tuned() -> None:
    assert {"palate", "ranker", "candidates", "fusion", *type(EngineSettings().models).model_fields} == set(names())


@pytest.mark.parametrize(
    ("component", "given", "words"),
    [
        ("transition", {}, "unknown component 'transition'. Did you mean 'transitions'"),
        ("ease", {"only": ["regularisation"]}, "ease has no setting 'regularisation'. Did you mean 'regularization'"),
        ("ease", {"only": []}, "no setting is named"),
        ("palate", {"only": ["leaves"]}, "palate has no setting 'leaves'"),
        ("item_knn", {"only": ["ratings"]}, "neither a number, a switch nor a choice"),
        ("ease", {"protocol": "loo-refit"}, "under loo-strict or temporal"),
        ("ease", {"protocol": "cases"}, "under loo-strict or temporal"),
        ("ease", {"seen": "never"}, "choose one of auto"),
        ("semantic", {}, "reads texts, and the catalogue has none"),
        ("palate", {"settings": EngineSettings(sources=("semantic",))}, "none of the sources"),
    ],
)
def test_what_makes_no_sense_gets_words(component: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tuned(component, 2, **given)


def test_data_that_a_protocol_cannot_use_gets_words() -> None:
    with pytest.raises(UsageError, match="needs a time for every event"):
        tuned("transitions", 1, world(times=False), protocol="temporal")
    with pytest.raises(UsageError, match="too little data to teach a ranker"):
        tuned("ranker", 1, world(n_users=30))

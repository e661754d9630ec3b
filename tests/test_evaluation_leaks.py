"""The audit lets honest pipelines pass and catches planted leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate.core import FloatArray, Queries, top_k
from palate.data import Dataset
from palate.evaluation.answers import Answers, by_lists, by_scores
from palate.evaluation.leaks import audit, check, renamed
from palate.evaluation.protocols import Trial, plan
from palate.models.ease import EASE
from palate.models.popularity import Popularity
from tests.evaluation_world import SmallEngine, world


def honest(trial: Trial) -> Answers:
    return by_scores(EASE().fit(trial.train), trial.test)


def fused(trial: Trial) -> Answers:
    engine = SmallEngine.fit(trial.train, validation=trial.validation)
    return by_lists(engine.rank, trial.test, "palate")


def fitted_on_the_answers(trial: Trial) -> Answers:
    """Popularity that counts the held-out events too: a small leak, far from a perfect score."""
    rows = np.concatenate([trial.train.sequences.items, trial.test.targets.values])
    model = Popularity().fit(trial.train)
    counts = np.bincount(rows, minlength=trial.train.n_items).astype(np.float32)
    return by_scores(model.restore({"counts": counts}), trial.test)


def a_feature_that_peeks(trial: Trial) -> Answers:
    """An honest model, with a feature beside it that was computed before the split."""
    model, peek = EASE().fit(trial.train), np.bincount(trial.test.targets.values, minlength=trial.train.n_items)

    def rank(queries: Queries) -> object:
        scores: FloatArray = model.score(queries) + 1e-3 * peek.astype(np.float32)
        return top_k(scores, queries, "peeking")

    return by_lists(rank, trial.test, "peeking")  # type: ignore[arg-type]


def reader_of_ids(trial: Trial) -> Answers:
    """Items first seen just after the history's newest, by the number in the id: first appearance gives order away."""
    names = trial.train.item_ids.names
    numbers = np.array([int(name[1:]) if name[1:].isdigit() else int(name[:6], 16) for name in names])

    def rank(queries: Queries) -> object:
        history = queries.history
        newest = numbers[history.items[history.indptr[1:] - 1]]
        ahead = numbers[None, :] - newest[:, None]
        scores = np.where(ahead > 0, -ahead, -1e9 - numbers[None, :]).astype(np.float32)
        return top_k(scores, queries, "ids")

    return by_lists(rank, trial.test, "ids")  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["loo-strict", "loo-refit", "temporal"])
@pytest.mark.parametrize("pipeline", [honest, fused])
def test_honest_pipelines_pass(protocol: str, pipeline: object) -> None:
    result = audit(pipeline, world(), protocol)  # type: ignore[arg-type]
    assert result.honest, result.findings
    assert result.changed == 0.0


@pytest.mark.parametrize("protocol", ["loo-strict", "temporal"])
@pytest.mark.parametrize("pipeline", [fitted_on_the_answers, a_feature_that_peeks])
def test_planted_leaks_are_caught(protocol: str, pipeline: object) -> None:
    result = audit(pipeline, world(), protocol)  # type: ignore[arg-type]
    assert not result.honest
    assert result.changed > 0.1
    assert "something reads them" in result.findings[0]


def test_reading_ids_is_caught() -> None:
    result = audit(reader_of_ids, world())
    assert result.changed == 0.0, "it does not look at the answers"
    assert result.renamed < -0.3
    assert "something reads ids" in result.findings[0]


def test_a_split_that_learns_too_much_is_caught() -> None:
    dataset = world()
    trial = plan(dataset, "loo-strict")
    assert check(trial) == ()
    assert "not held out" in check(replace(trial, train=dataset))[0]
    assert trial.test.queries.when is not None
    early = replace(trial.test.queries, when=trial.test.queries.when - 1e9)
    assert "after the moment asked about" in check(replace(trial, test=replace(trial.test, queries=early)))[0]


def test_renaming_keeps_everything_but_names() -> None:
    dataset = world()
    people = pl.DataFrame({"user_id": dataset.user_ids.names, "old": dataset.user_ids.names})
    dataset = replace(dataset, users=people)
    twin = renamed(dataset)
    assert set(twin.dataset.user_ids.names).isdisjoint(dataset.user_ids.names)
    assert twin.dataset.users is not None
    for row in (0, 5, 50):
        new = int(twin.users[row])
        assert twin.dataset.users["old"][new] == dataset.user_ids[row]
        before = [dataset.catalogue.strings("category")[i] for i in dataset.sequences.row(row)]
        after = [twin.dataset.catalogue.strings("category")[i] for i in twin.dataset.sequences.row(new)]
        assert before == after
    assert isinstance(twin.dataset, Dataset)

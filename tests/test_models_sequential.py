"""Sequential models: the laws of every recommender, and what is theirs alone."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from palate.core import DataError, Histories, Queries, Scorer, UsageError
from palate.data import Dataset
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.models.neural.lessons import held_out, suited
from palate.models.neural.losses import calibrated_cross_entropy, full_softmax, sampled_softmax
from palate.models.neural.network import Shape, build
from palate.models.neural.packing import batches, cut, gap_buckets, newest, pad
from palate.models.sequential import (
    GRU4REC,
    LSTM,
    SASREC,
    GRU4Rec,
    LongShortTermMemory,
    SASRec,
    Sequential,
    SequentialSettings,
)
from palate.testing import FakeEncoder, RecommenderConformance, small_shop
from palate.training import TrainingSettings, loop
from palate.training.checkpoints import KEPT, forget
from tests.training_world import check_killed_and_resumed

SMALL: dict[str, Any] = {"width": 32, "blocks": 1, "epochs": 3, "cells": 256}


class TestSequential(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Sequential(SequentialSettings(**SMALL), FakeEncoder())


class TestSASRec(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return SASRec(SASREC.model_copy(update=SMALL))


class TestGRU4Rec(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return GRU4Rec(GRU4REC.model_copy(update=SMALL))


class TestLongShortTermMemory(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return LongShortTermMemory(LSTM.model_copy(update=SMALL))


def chain(n_users: int = 120, n_items: int = 12, length: int = 8) -> Dataset:
    """A world in which item i is always followed by item i + 1."""
    rows = [(user, step, (user + step) % n_items) for user in range(n_users) for step in range(length)]
    frame = pl.DataFrame(
        {
            "user_id": [f"u{user:03d}" for user, _, _ in rows],
            "item_id": [f"i{item:02d}" for _, _, item in rows],
            "timestamp": [1.6e9 + 3600.0 * step + user for user, step, _ in rows],
        }
    )
    return Dataset.from_frames(frame, pl.DataFrame({"item_id": [f"i{item:02d}" for item in range(n_items)]}))


@pytest.mark.parametrize(("loss", "epochs"), [("softmax", 10), ("sampled", 15), ("calibrated", 30)])
def test_every_loss_learns_what_follows(loss: Any, epochs: int) -> None:
    data = chain()
    more = {"epochs": epochs, "patience": epochs, "loss": loss, "negatives": 6, "learning_rate": 0.01}
    own = SASREC.model_copy(update={**SMALL, **more, "dropout": 0.1})
    model = SASRec(own).fit(data)
    first = data.catalogue.ids.positions([f"i{item:02d}" for item in range(12)])
    answer = model.recommend(replace(Queries.of([[item] for item in first], k=1), mask_seen=True))
    assert (answer.items[:, 0] == np.roll(first, -1)).mean() > 0.9


def test_recurrent_body_learns_what_follows() -> None:
    data = chain()
    model = GRU4Rec(GRU4REC.model_copy(update={**SMALL, "epochs": 15, "learning_rate": 0.01})).fit(data)
    first = data.catalogue.ids.positions([f"i{item:02d}" for item in range(12)])
    answer = model.recommend(Queries.of([[item] for item in first], k=1))
    assert (answer.items[:, 0] == np.roll(first, -1)).mean() > 0.9


def test_full_softmax_is_cross_entropy() -> None:
    torch.manual_seed(0)
    hidden, table = torch.randn(40, 8, requires_grad=True), torch.randn(30, 8, requires_grad=True)
    targets, weights = torch.randint(30, (40,)), torch.rand(40)
    ours = full_softmax(hidden, table, targets, weights, False)
    got = torch.autograd.grad(ours * 3, (hidden, table))
    theirs = (functional.cross_entropy(hidden @ table.T, targets, reduction="none") * weights).sum() / weights.sum()
    wanted = torch.autograd.grad(theirs * 3, (hidden, table))
    torch.testing.assert_close(ours, theirs)
    for own, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)


def test_sampled_softmax_over_everything_is_the_full_one() -> None:
    torch.manual_seed(1)
    hidden, table, targets = torch.randn(20, 8), torch.randn(30, 8), torch.randint(30, (20,))
    weights = torch.ones(20)
    same = torch.arange(30)[None, :] == targets[:, None]
    ours = sampled_softmax(hidden, table[targets], table, same, weights, log_chance=0.0)
    torch.testing.assert_close(ours, functional.cross_entropy(hidden @ table.T, targets))


def test_calibration_lowers_the_weight_of_positives() -> None:
    hidden, table = torch.ones(4, 2), torch.zeros(6, 2)
    same, weights = torch.zeros(4, 6, dtype=torch.bool), torch.ones(4)
    plain, calibrated = (
        calibrated_cross_entropy(hidden, table[:4], table, same, weights, share=0.1, calibration=t) for t in (0.0, 1.0)
    )
    # Every score is 0, so each term is log 2: the positive one once, and 0.1 times.
    np.testing.assert_allclose([float(plain), float(calibrated)], np.log(2) * np.array([7, 6.1]), rtol=1e-5)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_event_but_the_first_is_an_answer_once(lengths: list[int], window: int, seed: int) -> None:
    histories = Histories.of([np.arange(length, dtype=np.int32) for length in lengths])
    pieces = cut(histories, window, 2, np.random.default_rng(seed))
    assert (pieces.lengths <= window).all()
    answers = np.concatenate(
        [np.arange(start + 1, stop) for start, stop in zip(pieces.starts, pieces.stops, strict=True)] or [np.empty(0)]
    )
    assert len(np.unique(answers)) == len(answers)
    wanted = sum(max(length - 1, 0) for length in lengths)
    # A piece of one event teaches nothing and is left out: at most one answer a history is lost to it.
    assert wanted - len(lengths) <= len(answers) <= wanted


@given(st.lists(st.integers(1, 40), min_size=1, max_size=50), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_batches_hold_every_piece_once(lengths: list[int], cells: int) -> None:
    given_lengths = np.array(lengths, dtype=np.int64)
    for rng in (None, np.random.default_rng(3)):
        parts = list(batches(given_lengths, cells, rng))
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
        assert all(len(part) == 1 or len(part) * given_lengths[part].max() <= cells for part in parts)


def test_padding_is_at_the_right() -> None:
    histories = Histories.of([[1, 2, 3], [4]], [[0.0, 60.0, 3660.0], [9.0]])
    batch = pad(newest(histories, 2), np.array([0, 1]))
    assert batch.items.tolist() == [[2, 3], [4, 0]]
    assert batch.lengths.tolist() == [2, 1]
    assert batch.gaps[0, 0] == 0  # what lies before the window is unknown
    assert batch.gaps[0, 1] == gap_buckets(np.array([3600.0]))[0] > 1
    assert batch.weights.tolist() == [[1, 1], [1, 0]]


def test_a_killed_training_ends_where_the_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = SequentialSettings(**{**SMALL, "epochs": 5, "patience": 5})
    check_killed_and_resumed(lambda: Sequential(own, FakeEncoder()), tmp_path, monkeypatch)


def test_killed_trainings_do_not_pile_up(tmp_path: Path) -> None:
    for place in range(KEPT + 4):
        folder = tmp_path / f"sequential-{place}"
        folder.mkdir()
        os.utime(folder, (1.6e9 + place, 1.6e9 + place))
    own = tmp_path / "sequential-0"
    forget(own)
    left = {folder.name for folder in tmp_path.iterdir()}
    assert left == {own.name, *(f"sequential-{place}" for place in range(4, KEPT + 4))}
    forget(tmp_path / "nowhere" / "yet")


def test_a_loss_that_is_no_number_stops_with_its_batch() -> None:
    network = torch.nn.Linear(1, 1)

    def loss(batch: Any, _generator: torch.Generator) -> torch.Tensor:
        value: torch.Tensor = network(torch.ones(1)).sum()
        return value * (float("nan") if batch == 2 else 1.0)

    with pytest.raises(DataError, match=r"epoch 1, batch 3.*learning_rate"):
        loop.train(
            network,
            batches=lambda _epoch, _rng: iter(range(5)),
            steps=5,
            loss=loss,
            validate=None,
            settings=TrainingSettings(epochs=2),
        )


@pytest.mark.parametrize(
    "course, lower",
    [
        (SequentialSettings(epochs=1, width=64), "Lower cells (1024 now), window, width (64 now), or choose a sampled"),
        (NextBehaviourSettings(epochs=1), "Lower batch (256 now), window (32 now), width (48 now)."),
        (TrainingSettings(epochs=1), "Lower the size of batches."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_memory_that_runs_out_names_the_setting(course: TrainingSettings, lower: str) -> None:
    network = torch.nn.Linear(1, 1)

    def loss(_batch: Any, _generator: torch.Generator) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    with pytest.raises(UsageError, match=re.escape(lower)):
        loop.train(
            network,
            batches=lambda _epoch, _rng: iter(range(1)),
            steps=1,
            loss=loss,
            validate=None,
            settings=course,
        )


def test_nobody_who_did_two_things() -> None:
    frame = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [1.6e9, 1.6e9 + 1]})
    data = Dataset.from_frames(frame, pl.DataFrame({"item_id": ["x", "y"]}))
    with pytest.raises(DataError, match="none of the 2 users did two things"):
        SASRec().fit(data)


def test_identical_sequences_train() -> None:
    data = chain(n_users=40, n_items=8, length=8)
    same = replace(data, events=data.events.with_columns(item=(pl.int_range(pl.len()) % 8).cast(pl.Int32)))
    model = SASRec(SASREC.model_copy(update=SMALL)).fit(same)
    assert np.isfinite(model.score(Queries.of([[0], [3, 4]]))).all()


def test_histories_longer_than_the_window_and_times_out_of_order() -> None:
    data = small_shop()
    model = Sequential(SequentialSettings(**SMALL, window=4), FakeEncoder()).fit(data)
    long, short = np.arange(20, dtype=np.int32), np.arange(16, 20, dtype=np.int32)
    np.testing.assert_allclose(model.score(Queries.of([long])), model.score(Queries.of([short])), rtol=1e-5, atol=1e-5)
    backwards = Queries(Histories.of([[1, 2, 3]], [[1.7e9, 1.6e9, 1.5e9]]), when=np.array([1.4e9]))
    assert np.isfinite(model.score(backwards)).all()


def test_taught_again_as_long_as_proved_right() -> None:
    data = chain(n_users=300)
    own = SASREC.model_copy(update={**SMALL, "epochs": 6, "patience": 1, "learning_rate": 0.05})
    first = SASRec(own).fit(data)
    before = first.item_vectors.copy()
    second = first.refit(data)
    np.testing.assert_array_equal(first.item_vectors, before)
    assert 1 <= first.epochs <= len(first.history)
    assert len(second.history) == first.epochs
    assert np.isnan([quality for _, quality, _ in second.history]).all()


def test_text_speaks_for_items_without_events() -> None:
    data = small_shop()
    never = int(np.nonzero(data.popularity == 0)[0][0])
    network = build(
        Shape("transformer", 8, 1, 1, 4, 0.0, 0.0, 0.0, True, False, 0),
        data.popularity > 0,
        np.eye(data.n_items, 8, dtype=np.float32),
        None,
        0,
    )
    whole = network.table().detach().numpy()
    said = network.table.project.weight.detach().numpy().T if network.table.project is not None else np.zeros((8, 8))
    np.testing.assert_allclose(whole[never], np.eye(data.n_items, 8)[never] @ said, atol=1e-6)


def test_what_is_left_to_the_data_follows_it() -> None:
    few = np.full(900, 9)  # users with nine events each
    sparse = suited(SequentialSettings(), 7_200, few, np.full(800, 10))
    dense = suited(SequentialSettings(), 7_200, np.full(81, 100), np.full(100, 81))
    assert (sparse.dropout, dense.dropout) == (0.4, 0.2)
    assert (sparse.window, dense.window) == (20, 50)
    assert sparse.epochs == 30  # little data: more passes, and smaller batches
    assert sparse.cells == 300
    assert suited(SequentialSettings(), 2_000_000, few, np.full(800, 10)).epochs == 12
    own = SequentialSettings(dropout=0.0, window=7, epochs=3, cells=64)
    assert suited(own, 7_200, few, np.full(800, 10)) == own


def test_more_people_decide_the_end_where_people_are_few() -> None:
    rng = np.random.default_rng(0)
    many = Histories.of([rng.integers(0, 50, 100).tolist() for _ in range(100)])
    short = Histories.of([rng.integers(0, 50, 5).tolist() for _ in range(1_000)])
    own = SequentialSettings()
    kept, asked = held_out(many, own)
    assert asked is not None and len(asked[0]) == 50 and len(kept.items) == 100 * 100 - 50
    kept, asked = held_out(short, own)
    assert asked is not None and len(asked[0]) == 100 and len(kept.items) == 5_000 - 100
    assert held_out(many, own.model_copy(update={"validation": 0.0}))[1] is None

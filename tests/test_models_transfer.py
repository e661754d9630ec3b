"""The transferable sequence model: laws of every recommender, what is carried between shops, how pieces are varied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import ArtefactError, DataError, Histories, Queries, Scorer, UsageError
from palate.data import Dataset, Fold, hold_out_last
from palate.models.neural.packing import cropped, cut, newest, pad, reordered
from palate.models.pretrained import Pretrained
from palate.models.semantic import Semantic
from palate.models.sequential import Sequential, SequentialSettings
from palate.models.shared_space import SharedSpace
from palate.models.transfer import Transferred, TransferSettings, pretrain
from palate.testing import FakeEncoder, RecommenderConformance, small_shop
from palate.training import loop as training
from tests.training_world import check_killed_and_resumed

SMALL: dict[str, Any] = {"width": 32, "text_dimensions": 32, "heads": 2, "cells": 256}
COLOURS = ("red", "blue", "green", "black", "white", "brown", "pink", "grey", "gold", "teal")
MORE = {"kettle": "for the stove", "cup": "for the table", "saucer": "under something", "spoon": "made of steel"}
NEXT = {"kettle": "cup", "cup": "saucer", "saucer": "spoon", "spoon": "kettle"}


def shop(name: str, words: dict[str, str], seed: int, n_users: int = 120) -> Dataset:
    """A shop in which a kind of thing is followed by another of the same colour; ``words`` are its names of kinds."""
    rng = np.random.default_rng(seed)
    ids = {(kind, colour): f"{name}-{rng.integers(10**9)}" for kind in NEXT for colour in COLOURS}
    items = pl.DataFrame(
        {
            "item_id": list(ids.values()),
            "title": [f"{colour} {words.get(kind, kind)} {MORE[kind]}" for kind, colour in ids],
        }
    )
    users, what = [], []
    for user in range(n_users):
        kind, colour = list(NEXT)[rng.integers(4)], COLOURS[rng.integers(len(COLOURS))]
        for _ in range(4):
            users.append(f"{name}{user}")
            what.append(ids[kind, colour])
            kind, colour = NEXT[kind], colour if rng.random() < 0.8 else COLOURS[rng.integers(len(COLOURS))]
    frame = pl.DataFrame({"user_id": users, "item_id": what, "position": list(range(len(users)))})
    return Dataset.from_frames(frame, items, name=name)


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shops, learnt; neither has an id, a user or an order of ids in common with any other."""
    folder = tmp_path_factory.mktemp("carried") / "pretrained"
    own = TransferSettings(**{**SMALL, "width": 64, "text_dimensions": 64}, epochs=15, learning_rate=5e-3, dropout=0.1)
    pretrain([shop("a", {}, 1, 240), shop("b", {}, 2, 240)], FakeEncoder(64), own).save(folder)
    return folder


def hits(model: Any, fold: Fold) -> float:
    """Share of questions whose answer comes first."""
    return float((model.recommend(fold.queries).items[:, 0] == fold.targets.values).mean())


class TestTransferred(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Transferred(TransferSettings(**SMALL, epochs=2), FakeEncoder())


class TestTransferredFewShot(RecommenderConformance):
    """Taught further; restored without the folder it began with being read."""

    @pytest.fixture(autouse=True)
    def _carried(self, carried: Path) -> None:
        self.folder = carried

    def make(self) -> Scorer[Dataset]:
        return Transferred(TransferSettings(pretrained=str(self.folder), epochs=2, cells=256), FakeEncoder(64))


class TestTransferredZeroShot(RecommenderConformance):
    """Not taught: likeness in meaning and in words, and what the network made of other shops."""

    @pytest.fixture(autouse=True)
    def _carried(self, carried: Path) -> None:
        self.folder = carried

    def make(self) -> Scorer[Dataset]:
        return Transferred(TransferSettings(pretrained=str(self.folder), training="zero-shot"), FakeEncoder(64))


def test_zero_shot_knows_in_a_new_shop_what_follows_what(carried: Path) -> None:
    fold = hold_out_last(shop("c", {}, 3))
    ours = Transferred(TransferSettings(pretrained=str(carried), training="zero-shot"), FakeEncoder(64))
    frozen = Semantic(None, FakeEncoder(64))
    ours.fit(fold.dataset)
    frozen.fit(fold.dataset)
    assert hits(ours, fold) > 0.6
    assert hits(frozen, fold) < 0.45
    # Nothing of the shop's events was looked at: without any, it answers the same.
    silent = Transferred(ours.settings, FakeEncoder(64)).fit(fold.dataset.only(np.zeros(fold.dataset.n_events, bool)))
    np.testing.assert_array_equal(silent.item_vectors, ours.item_vectors)


def test_few_shot_learns_what_is_new_in_a_shop(carried: Path) -> None:
    fold = hold_out_last(shop("d", {"cup": "goblet", "spoon": "ladle"}, 4))
    own = TransferSettings(pretrained=str(carried), cells=256, epochs=8, learning_rate=2e-3)
    zero = Transferred(own.model_copy(update={"training": "zero-shot"}), FakeEncoder(64)).fit(fold.dataset)
    few = Transferred(own, FakeEncoder(64)).fit(fold.dataset)
    assert hits(few, fold) > hits(zero, fold) + 0.1
    again = few.refit(fold.dataset)
    assert again.epochs == few.epochs
    restored = Transferred(own, FakeEncoder(64)).restore(again.arrays())
    np.testing.assert_array_equal(restored.score(fold.queries), again.score(fold.queries))


def test_an_untaught_network_answers_what_reads_like_what_was_taken() -> None:
    data = shop("e", {}, 5)
    own = TransferSettings(**SMALL, epochs=1, learning_rate=1e-9, event_dropout=0.0)
    model = Transferred(own, FakeEncoder()).fit(data)
    vectors = model.item_vectors / np.linalg.norm(model.item_vectors, axis=1, keepdims=True)
    answer = model.recommend(Queries.of([[item] for item in range(data.n_items)], k=1))
    likeness = vectors @ vectors.T - 2 * np.eye(data.n_items)
    assert (answer.items[:, 0] == likeness.argmax(axis=1)).mean() > 0.9


def test_what_is_carried_holds_no_id_and_comes_back_whole(carried: Path) -> None:
    found = Pretrained.load(carried)
    assert set(found.learnt_from) == {"a", "b"}
    assert found.learnt_from["a"] == {"users": 240, "items": 40, "events": 960}
    assert 1 <= len(found.history) <= 15
    assert found.weighing.network > 0
    assert not any("own" in name or "known" in name for name in found.weights)
    assert all(len(value) != 80 for value in found.weights.values() if value.ndim)
    text = (carried / "manifest.json").read_text()
    assert "NaN" not in text


def test_refusals_say_what_is_wrong(carried: Path, tmp_path: Path) -> None:
    data = small_shop()
    with pytest.raises(UsageError, match=r"reads vectors of fake-64, .* fake-32"):
        Transferred(TransferSettings(pretrained=str(carried)), FakeEncoder(32)).fit(data)
    with pytest.raises(UsageError, match="palate pretrain"):
        Transferred(TransferSettings(training="zero-shot"), FakeEncoder()).fit(data)
    with pytest.raises(ArtefactError, match="not a palate pretrained"):
        Transferred(TransferSettings(pretrained=str(tmp_path)), FakeEncoder()).fit(data)
    bare = Dataset.from_frames(
        data.events.select(user_id="user", item_id="item", position="time").cast(
            {"user_id": pl.String, "item_id": pl.String}
        )
    )
    with pytest.raises(UsageError, match="knows items by their texts"):
        Transferred(TransferSettings(**SMALL), FakeEncoder()).fit(bare)
    with pytest.raises(UsageError, match="one folder"):
        pretrain([], FakeEncoder())
    alone = data.only(np.arange(data.n_events) < 1)
    with pytest.raises(DataError, match="none of the"):
        pretrain([alone], FakeEncoder(), TransferSettings(**SMALL))


def test_directions_mean_the_same_in_both_shops() -> None:
    """A shop that is a shifted, squeezed copy of another has, whitened, the same vectors; its own axes would not."""
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(30_000, 6)).astype(np.float32)
    squeezed = raw * np.array([1, 0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
    other = (squeezed * np.array([1.1, 0.9, 1, 1, 0.8, 1.2], np.float32) + 3).astype(np.float32)
    space = SharedSpace.of([squeezed, other], 6)
    first, second = space.within(squeezed).project(squeezed), space.within(other).project(other)
    assert (first * second).sum(axis=1).mean() > 0.97
    again = SharedSpace.from_arrays(space.arrays())
    np.testing.assert_array_equal(again.within(other).projection, space.within(other).projection)


def test_few_texts_are_not_trusted() -> None:
    rng = np.random.default_rng(0)
    space = SharedSpace.of([rng.normal(size=(5_000, 8)).astype(np.float32)], 8)
    few = space.within(rng.normal(size=(3, 8)).astype(np.float32))
    none = space.within(np.zeros((4, 8), np.float32))
    assert np.linalg.norm(few.projection - none.projection) < 0.1 * np.linalg.norm(none.projection)
    assert np.isfinite(
        SharedSpace.of([np.zeros((4, 8), np.float32)], 8).within(np.zeros((4, 8), np.float32)).mean
    ).all()


@given(st.lists(st.integers(2, 30), min_size=1, max_size=20), st.floats(0, 1), st.integers(0, 99))
def test_a_crop_is_a_stretch_of_its_piece(lengths: list[int], share: float, seed: int) -> None:
    pieces = newest(Histories.of([np.arange(length, dtype=np.int32) for length in lengths]), 12)
    short = cropped(pieces, share, np.random.default_rng(seed))
    assert (short.starts >= pieces.starts).all()
    assert (short.stops <= pieces.stops).all()
    assert (short.lengths >= np.minimum(pieces.lengths, 2)).all()
    if share == 0:
        np.testing.assert_array_equal(short.lengths, pieces.lengths)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=20), st.floats(0, 1), st.integers(0, 99))
def test_reordering_moves_events_within_their_piece(lengths: list[int], share: float, seed: int) -> None:
    pieces = newest(Histories.of([np.arange(length, dtype=np.int32) + 100 for length in lengths]), 15)
    batch = pad(pieces, np.arange(len(pieces)))
    mixed = reordered(batch, share, np.random.default_rng(seed))
    for row, length in enumerate(batch.lengths):
        assert sorted(mixed.items[row, :length]) == batch.items[row, :length].tolist()
        moved = np.flatnonzero(mixed.items[row, :length] != batch.items[row, :length])
        assert not len(moved) or moved[-1] - moved[0] < np.ceil(length / 2)
        assert (mixed.items[row, length:] == 0).all()
    np.testing.assert_array_equal(mixed.times, batch.times)
    if share == 0:
        np.testing.assert_array_equal(mixed.items, batch.items)


def test_reordering_reorders() -> None:
    batch = pad(newest(Histories.of([np.arange(10, dtype=np.int32)] * 400), 10), np.arange(400))
    mixed = reordered(batch, 0.5, np.random.default_rng(0))
    changed = (mixed.items != batch.items).any(axis=1).mean()
    assert 0.2 < changed < 0.5


def test_what_is_not_asked_for_changes_no_draw() -> None:
    histories = Histories.of([np.arange(9, dtype=np.int32)] * 5)
    plain = cut(histories, 5, 2, np.random.default_rng(4))
    again = cut(histories, 5, 2, np.random.default_rng(4))
    np.testing.assert_array_equal(plain.starts, again.starts)
    data = small_shop()
    base = SequentialSettings(width=16, blocks=1, epochs=2, cells=256)
    one, other = Sequential(base, FakeEncoder()).fit(data), Sequential(base, FakeEncoder()).fit(data)
    np.testing.assert_array_equal(one.item_vectors, other.item_vectors)
    varied = base.model_copy(update={"crop": 0.5, "reorder": 0.5, "text_dropout": 0.2})
    assert not np.array_equal(Sequential(varied, FakeEncoder()).fit(data).item_vectors, one.item_vectors)


def test_a_killed_training_with_varied_pieces_ends_where_the_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    varied = {"crop": 0.5, "reorder": 0.5, "text_dropout": 0.2, "epochs": 5, "patience": 5}
    own = SequentialSettings(width=16, blocks=1, cells=256).model_copy(update=varied)
    check_killed_and_resumed(lambda: Sequential(own, FakeEncoder()), tmp_path, monkeypatch)


def test_a_killed_pretraining_ends_where_the_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path))
    shops = [small_shop(0), small_shop(1)]
    own = TransferSettings(**SMALL, epochs=5, patience=5, crop=0.3, reorder=0.3, text_dropout=0.1)
    whole = pretrain(shops, FakeEncoder(), own)

    def dies(stage: str, _share: float) -> None:
        if stage.startswith("epoch 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(shops, FakeEncoder(), own, dies)
    again = pretrain(shops, FakeEncoder(), own)
    assert whole.weights.keys() == again.weights.keys()
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(again.weights[name], value)

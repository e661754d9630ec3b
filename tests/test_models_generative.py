"""Generative retrieval: the laws of every recommender, ids that exist, the search for them."""

from __future__ import annotations

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

from palate.core import DataError, FloatArray, Int64Array, IntArray, Queries, Scorer
from palate.data import Dataset, hold_out_last
from palate.language.semantic_ids import SemanticIdSettings
from palate.models.generative import Generative, GenerativeSettings
from palate.models.neural.losses import code_softmax
from palate.models.neural.trie import Trie, beam_search
from palate.models.neural.writing import Writing
from palate.testing import FakeEncoder, RecommenderConformance, small_shop
from tests.training_world import check_killed_and_resumed

SMALL: dict[str, Any] = {
    "width": 32,
    "blocks": 1,
    "epochs": 3,
    "cells": 256,
    "ids": SemanticIdSettings(codes=8, size=16),
    "written_ids": SemanticIdSettings(kind="residual", codes=3, size=8),
}


class TestParallel(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Generative(GenerativeSettings(**SMALL), FakeEncoder())


class TestAutoregressive(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Generative(GenerativeSettings(**SMALL, decoder="autoregressive"), FakeEncoder())


class TestParallelHybrid(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Generative(GenerativeSettings(**SMALL, hybrid=True), FakeEncoder())


class TestAutoregressiveHybrid(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        own = GenerativeSettings(**SMALL, decoder="autoregressive", hybrid=True, behaviour=0.5)
        return Generative(own, FakeEncoder())


@st.composite
def some_codes(draw: st.DrawFn) -> tuple[IntArray, int]:
    """Different ids of one to four codes, and how many codes a place has."""
    places, size = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    rows = draw(st.sets(st.tuples(*[st.integers(0, size - 1)] * places), min_size=1, max_size=40))
    shuffled = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.array(sorted(rows), dtype=np.int32))
    return shuffled, size


class Chances:
    """Chances of the next code that depend on everything written before."""

    def __init__(self, questions: int, places: int, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.own = rng.standard_normal((questions, places, size)).astype(np.float32)
        self.after = rng.standard_normal((places, size, size)).astype(np.float32)
        self.last: Int64Array = np.zeros((questions, 0), np.int64)

    def following(self, rows: Int64Array, prefix: Int64Array) -> FloatArray:
        place = prefix.shape[1]
        given = self.own[rows, place].copy()
        for before in range(place):
            given += (before + 1) * self.after[place, prefix[:, before]]
        return np.asarray(given - np.log(np.exp(given).sum(axis=1, keepdims=True)), dtype=np.float32)

    def continued(self, rows: Int64Array, before: Int64Array, prefix: Int64Array) -> FloatArray:
        """As a search asks: beginnings go on from those of the call before."""
        if prefix.shape[1]:
            np.testing.assert_array_equal(prefix[:, :-1], self.last[before])
        self.last = prefix
        return self.following(rows, prefix)

    def by_hand(self, codes: IntArray, row: int, width: int) -> list[tuple[int, ...]]:
        """The likeliest beginnings of one question, kept code after code; ties by the order of codes."""
        ids = {tuple(code) for code in codes.tolist()}
        kept: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
        for place in range(codes.shape[1]):
            longer = []
            for prefix, chance in kept:
                offers = self.following(np.array([row]), np.array([prefix], dtype=np.int64).reshape(1, place))[0]
                following = {code[place] for code in ids if code[:place] == prefix}
                longer += [((*prefix, code), float(np.float32(chance) + offers[code])) for code in following]
            kept = sorted(longer, key=lambda entry: (-entry[1], entry[0]))[:width]
        return [prefix for prefix, _ in kept]

    def of(self, codes: IntArray) -> FloatArray:
        """Of whole ids, one by one; float32 (questions, n)."""
        rows = np.repeat(np.arange(len(self.own)), len(codes))
        every = np.tile(codes.astype(np.int64), (len(self.own), 1))
        steps = [
            self.following(rows, every[:, :place])[np.arange(len(rows)), every[:, place]]
            for place in range(codes.shape[1])
        ]
        return np.asarray(np.sum(steps, axis=0).reshape(len(self.own), len(codes)), dtype=np.float32)


@given(some_codes(), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_a_wide_search_is_brute_force(given_codes: tuple[IntArray, int], questions: int, seed: int) -> None:
    codes, size = given_codes
    chances = Chances(questions, codes.shape[1], size, seed)
    beams = beam_search(Trie.of(codes), chances.continued, questions, len(codes))
    wanted = chances.of(codes)
    for row in range(questions):
        assert sorted(beams.items[row].tolist()) == list(range(len(codes)))
        np.testing.assert_allclose(beams.chances[row], wanted[row][beams.items[row]], rtol=1e-4, atol=1e-5)
        assert (np.diff(beams.chances[row]) <= 0).all()


@given(some_codes(), st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_every_written_item_exists(given_codes: tuple[IntArray, int], width: int, seed: int) -> None:
    codes, size = given_codes
    items = np.random.default_rng(seed).choice(10_000, len(codes), replace=False).astype(np.int32)
    chances = Chances(2, codes.shape[1], size, seed)
    beams = beam_search(Trie.of(codes, items), chances.continued, 2, width)
    for row in range(2):
        written = beams.items[row][beams.items[row] >= 0]
        assert len(set(written.tolist())) == len(written) == min(width, len(codes))
        assert set(written.tolist()) <= set(items.tolist())
        place = {int(item): number for number, item in enumerate(items)}
        own = chances.of(codes)[row][[place[item] for item in written.tolist()]]
        np.testing.assert_allclose(beams.chances[row, : len(written)], own, rtol=1e-4, atol=1e-5)
        by_hand = [place[int(item)] for item in written.tolist()]
        assert [tuple(codes[number].tolist()) for number in by_hand] == chances.by_hand(codes, row, width)


@pytest.mark.parametrize("blocks", [1, 2])
def test_what_is_remembered_is_what_would_be_read_again(blocks: int) -> None:
    own = GenerativeSettings(**{**SMALL, "epochs": 1}, decoder="autoregressive", writer_blocks=blocks)
    model = Generative(own, FakeEncoder()).fit(small_shop())
    network, rng = model._fitted, np.random.default_rng(0)
    states = torch.from_numpy(rng.standard_normal((3, 32)).astype(np.float32))
    assert network.writer is not None
    with torch.inference_mode():
        writing, row, prefix = Writing(network, states), np.arange(3), np.zeros((3, 0), np.int64)
        before = row
        for place in range(network.places):
            chances = writing(row, before, prefix)
            flat = torch.from_numpy(prefix + np.arange(place) * network.size)
            whole = network.writer(states[row], network.code(flat))[:, -1]
            codes = network.code.weight[place * network.size : (place + 1) * network.size]
            np.testing.assert_allclose(chances, torch.log_softmax(whole @ codes.T, dim=1), rtol=1e-4, atol=1e-5)
            before = rng.integers(len(row), size=7)
            row, code = row[before], rng.integers(network.size, size=(7, 1))
            prefix = np.concatenate([prefix[before], code], axis=1)


def test_an_empty_tree_writes_nothing() -> None:
    trie = Trie.of(np.zeros((0, 3), np.int32))
    beams = beam_search(trie, Chances(2, 3, 4, 0).continued, 2, 5)
    assert (beams.items == -1).all()
    assert np.isneginf(beams.chances).all()


def test_code_softmax_is_a_sum_of_cross_entropies() -> None:
    torch.manual_seed(0)
    hidden, table = torch.randn(30, 8, requires_grad=True), torch.randn(3 * 5, 8, requires_grad=True)
    targets, weights = torch.randint(5, (30, 3)), torch.rand(30)
    ours = code_softmax(hidden, table, targets, weights, False)
    got = torch.autograd.grad(ours * 2, (hidden, table))
    logits = (hidden @ table.T).view(30, 3, 5)
    each = sum(functional.cross_entropy(logits[:, place], targets[:, place], reduction="none") for place in range(3))
    theirs = (each * weights).sum() / weights.sum()
    wanted = torch.autograd.grad(theirs * 2, (hidden, table))
    torch.testing.assert_close(ours, theirs)
    for own, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)


def chain(n_users: int = 120, n_items: int = 12, length: int = 8) -> Dataset:
    """A world in which item i is always followed by item i + 1, and whose items say nothing."""
    rows = [(user, step, (user + step) % n_items) for user in range(n_users) for step in range(length)]
    frame = pl.DataFrame(
        {
            "user_id": [f"u{user:03d}" for user, _, _ in rows],
            "item_id": [f"i{item:02d}" for _, _, item in rows],
            "timestamp": [1.6e9 + 3600.0 * step + user for user, step, _ in rows],
        }
    )
    return Dataset.from_frames(frame, pl.DataFrame({"item_id": [f"i{item:02d}" for item in range(n_items)]}))


@pytest.mark.parametrize(
    "more",
    [
        {"existing": 1.0},
        {"existing": 0.0},
        {"decoder": "autoregressive"},
        {"decoder": "autoregressive", "hybrid": True},
    ],
)
def test_every_decoder_learns_what_follows(more: dict[str, Any]) -> None:
    data = chain()
    own = {**SMALL, "epochs": 20, "patience": 20, "learning_rate": 0.02, "text": False, "attributes": False}
    model = Generative(GenerativeSettings.model_validate({**own, **more})).fit(data)
    first = data.catalogue.ids.positions([f"i{item:02d}" for item in range(12)])
    answer = model.recommend(Queries.of([[item] for item in first], k=1))
    assert (answer.items[:, 0] == np.roll(first, -1)).mean() > 0.9


def test_what_the_search_did_not_reach_comes_last() -> None:
    data = small_shop()
    narrow = GenerativeSettings(**SMALL, decoder="autoregressive", beam=5)
    model = Generative(narrow, FakeEncoder()).fit(data)
    scores = model.score(data.queries(np.arange(6, dtype=np.int32)))
    for row in scores:
        lowest = row == row.min()
        assert lowest.sum() == data.n_items - 5


@pytest.mark.parametrize("decoder", ["parallel", "autoregressive"])
def test_hybrid_orders_few_generated_and_all_cold_items_first(decoder: str) -> None:
    data = small_shop()
    own = GenerativeSettings.model_validate({**SMALL, "decoder": decoder, "hybrid": True, "candidates": 4, "beam": 8})
    model = Generative(own, FakeEncoder()).fit(data)
    cold = set(np.nonzero(data.popularity == 0)[0].tolist())
    queries = replace(data.queries(np.arange(10, dtype=np.int32), k=4 + len(cold)), mask_seen=False)
    plain = Generative(own.model_copy(update={"hybrid": False}), FakeEncoder()).restore(model.arrays())
    written = plain.score(queries)
    answer = model.recommend(queries)
    for row in range(10):
        first = set(answer.row(row).tolist())
        assert cold <= first
        warm = np.setdiff1d(np.arange(data.n_items), sorted(cold))
        if decoder == "parallel":
            best = warm[np.argsort(-written[row, warm], kind="stable")[:4]]
            assert first - cold == set(best.tolist())


def test_a_new_item_is_written_as_soon_as_it_has_a_text() -> None:
    data = small_shop()
    model = Generative(GenerativeSettings(**{**SMALL, "epochs": 10}), FakeEncoder()).fit(data)
    # The same text as a known item's: all its codes but for what tells the two apart.
    twin = int(np.argmax(data.popularity))
    frame = data.catalogue.frame[[twin]]
    new = pl.DataFrame({"item_id": ["twin"], "title": frame["title"], "category": frame["category"]})
    books, before = model.ids.books, model.ids.codes
    model.extend(data.catalogue.extended(new))
    assert model.ids.books is books
    np.testing.assert_array_equal(model.ids.codes[:-1], before)
    assert (model.ids.codes[-1] == before[twin]).mean() >= 0.5
    scores = model.score(data.queries(np.arange(30, dtype=np.int32)))
    assert np.corrcoef(scores[:, -1], scores[:, twin])[0, 1] > 0.5


def test_a_changed_text_moves_an_item_without_events_and_not_one_with_them() -> None:
    data = small_shop()
    model = Generative(GenerativeSettings(**SMALL), FakeEncoder()).fit(data)
    cold, warm = int(np.nonzero(data.popularity == 0)[0][0]), int(np.argmax(data.popularity))
    titles = data.catalogue.frame["title"].to_list()
    titles[cold] = titles[warm] = "bluetooth speaker drum sticks"
    changed = replace(data.catalogue, frame=data.catalogue.frame.with_columns(title=pl.Series(titles)))
    before = model.ids.codes.copy()
    model.reread(changed, np.array([cold, warm], np.int32))
    assert (model.ids.codes[cold] != before[cold]).any()
    np.testing.assert_array_equal(np.delete(model.ids.codes, cold, axis=0), np.delete(before, cold, axis=0))


def test_learning_again_keeps_the_ids_and_the_epochs() -> None:
    data = small_shop()
    model = Generative(GenerativeSettings(**SMALL), FakeEncoder()).fit(data)
    kept = model.item_vectors.copy()
    later = model.refit(hold_out_last(data).dataset)
    np.testing.assert_array_equal(later.ids.codes, model.ids.codes)
    np.testing.assert_array_equal(model.item_vectors, kept)
    assert not np.array_equal(later.item_vectors, kept)
    assert later.epochs == model.epochs > 0


def test_a_killed_training_ends_where_the_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = GenerativeSettings(**{**SMALL, "epochs": 5, "patience": 5})
    check_killed_and_resumed(lambda: Generative(own, FakeEncoder()), tmp_path, monkeypatch)


def test_nobody_who_did_two_things() -> None:
    frame = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [1.6e9, 1.6e9 + 1]})
    with pytest.raises(DataError, match="none of the 2 users did two things"):
        Generative(GenerativeSettings(**SMALL), FakeEncoder()).fit(Dataset.from_frames(frame, None))

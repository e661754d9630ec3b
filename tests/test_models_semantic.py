"""Models that read: wishes in words, new items, data without text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, Histories, Queries, UsageError
from palate.data import Catalogue, Dataset
from palate.language.text_space import TextSpace
from palate.models.bilinear import Bilinear, BilinearSettings
from palate.models.profiles import moments_of
from palate.models.semantic import Semantic, SemanticSettings
from palate.testing import FakeEncoder, small_shop


def titles(dataset: Dataset, items: np.ndarray) -> list[str]:
    return [dataset.catalogue.titles[item] for item in items if item >= 0]


@pytest.mark.parametrize(
    ("wish", "word"), [("a bluetooth speaker please", "bluetooth speaker"), ("蓝牙音箱", "蓝牙音箱")]
)
def test_a_wish_finds_what_it_names(wish: str, word: str) -> None:
    dataset = small_shop()
    model = Semantic(SemanticSettings(dimensions=48), FakeEncoder(256)).fit(dataset)
    answer = model.recommend(Queries(Histories.empty(1), k=3, text=(wish,)))
    assert word in titles(dataset, answer.row(0))[0]


def test_a_new_item_is_recommendable_at_once_and_only_it_is_encoded() -> None:
    dataset, encoder = small_shop(), FakeEncoder(256)
    model = Semantic(None, encoder).fit(dataset)
    grown = dataset.catalogue.extended(
        pl.DataFrame({"item_id": ["n1", "n2"], "title": ["silver trumpet mute", "copper kettle"]})
    )
    encoder.encoded.clear()
    model.extend(grown)
    assert encoder.encoded == ["silver trumpet mute", "copper kettle"]
    answer = model.recommend(Queries(Histories.empty(1), k=1, text=("trumpet mute",)))
    assert grown.ids[int(answer.items[0, 0])] == "n1"
    with pytest.raises(UsageError, match="cannot extend"):
        model.extend(Catalogue.of(pl.DataFrame({"item_id": ["only"]})))


def test_an_item_without_text_scores_nothing() -> None:
    dataset = small_shop()
    scores = Semantic(None, FakeEncoder()).fit(dataset).score(dataset.queries())
    assert not scores[:, dataset.item_ids.position("blank")].any()


def test_the_newest_event_weighs_most() -> None:
    dataset = small_shop()
    model = Semantic(SemanticSettings(decay=0.3), FakeEncoder(128)).fit(dataset)
    pan, seeds = (dataset.catalogue.titles.index(title) for title in ("steel pan classic", "tomato seeds classic"))
    scores = model.score(Queries.of([[pan, seeds], [seeds, pan]]))
    assert scores[0, seeds] > scores[0, pan]
    assert scores[1, pan] > scores[1, seeds]


def test_whitening_evens_the_directions_out() -> None:
    random = np.random.default_rng(0)
    raw = (random.normal(size=(400, 6)) * [9, 5, 3, 1, 1, 0.1] + 4).astype(np.float32)
    flat = (raw - TextSpace.of(raw, 6, whitening=1.0).mean) @ TextSpace.of(raw, 6, whitening=1.0).projection
    np.testing.assert_allclose(np.cov(flat.T), np.eye(6), atol=0.02)
    assert TextSpace.of(raw, 3, remove=2).dimensions == 3
    assert TextSpace.of(np.zeros((5, 6), np.float32), 3).project(np.zeros((2, 6), np.float32)).any() == np.False_


def test_what_the_encoder_said_is_recovered_from_directions() -> None:
    rng = np.random.default_rng(3)
    raw = rng.normal(size=(400, 12)).astype(np.float32) * np.geomspace(4, 0.02, 12, dtype=np.float32) + 0.8
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    raw[0] = 0
    whole, most = TextSpace.of(raw, 12, whitening=1.0), TextSpace.of(raw, 6, whitening=1.0)
    np.testing.assert_allclose(whole.recover(whole.project(raw) * 3), raw, atol=1e-3)
    near = most.recover(most.project(raw))
    assert np.einsum("nd,nd->n", near[1:], raw[1:]).mean() > 0.97
    assert not near[0].any()
    own = TextSpace.plain(12)
    np.testing.assert_allclose(own.recover(own.project(raw)), raw, atol=1e-6)


def test_moments_never_hold_their_answer() -> None:
    sequences = Histories.of([[1, 2, 3, 4], [5], [], [6, 7]])
    moments, answers = moments_of(sequences, window=2, maximum=100, seed=0)
    assert answers.tolist() == [2, 3, 4, 7]
    assert [moments.history.row(row).tolist() for row in range(4)] == [[1], [1, 2], [2, 3], [6]]
    few, drawn = moments_of(sequences, window=2, maximum=2, seed=0)
    assert len(few.history) == len(drawn) == 2


@pytest.mark.parametrize("normalised", [False, True])
def test_bilinear_learns_the_favourite_topic(normalised: bool) -> None:
    dataset = small_shop()
    model = Bilinear(BilinearSettings(normalised=normalised, decay=1.0), FakeEncoder()).fit(dataset)
    answer = model.recommend(dataset.queries(k=5, mask_seen=False))
    topics = np.array(dataset.catalogue.strings("category"))
    names = np.array(["Kitchen", "Garden", "Sound", "Trail"])
    favourite = np.char.add("Shop > ", names[[int(name[1:]) % 4 for name in dataset.user_ids.names]])
    assert (topics[answer.items] == favourite[:, None]).mean() > 0.8


def test_normalised_scores_are_probabilities() -> None:
    dataset = small_shop()
    scores = Bilinear(BilinearSettings(normalised=True), FakeEncoder()).fit(dataset).score(dataset.queries())
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-4)
    assert scores.min() >= 0


def test_plain_weights_solve_the_stated_problem() -> None:
    """The gradient of squared error over observed pairs, weighted zeros and the penalty vanishes."""
    dataset, settings = small_shop(), BilinearSettings(dimensions=8, regularization=1e-2, normalised=False)
    model = Bilinear(settings, FakeEncoder()).fit(dataset)
    moments, answers = moments_of(dataset.sequences, settings.window, settings.maximum_pairs, settings.seed)
    facts = model._need()
    items, profiles = facts.features.astype(np.float64), facts.profiles(moments, settings.decay).astype(np.float64)
    weights = model.weights.astype(np.float64)
    observed = np.einsum("md,md->m", items[answers] @ weights, profiles)
    gradient = items[answers].T @ (profiles * (observed - 1)[:, None])
    gradient += settings.negative_weight / len(items) * items.T @ (items @ weights @ profiles.T) @ profiles
    gradient += settings.regularization * len(answers) * weights
    assert np.abs(gradient).max() < 1e-3 * np.abs(items[answers].T @ profiles).max()


def test_without_text_bilinear_uses_the_facts() -> None:
    dataset = small_shop()
    plain = Catalogue(dataset.item_ids, dataset.catalogue.frame.drop("title"))
    encoder = FakeEncoder()
    model = Bilinear(None, encoder).fit(replace(dataset, catalogue=plain))
    assert not encoder.encoded
    scores = model.score(dataset.queries())
    again = Bilinear(None, encoder).restore(dict(model.arrays())).score(dataset.queries())
    np.testing.assert_array_equal(scores, again)
    assert scores.std(axis=1).min() > 0
    bare = Catalogue(dataset.item_ids, dataset.catalogue.frame.select("item_id"))
    with pytest.raises(DataError, match="no text, category or price"):
        Bilinear(None, encoder).fit(replace(dataset, catalogue=bare))

"""Text that has learnt the shop: heads on a frozen transformer, as a source among others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.core import Queries, UsageError
from palate.core.recommender import fitted
from palate.data import Dataset
from palate.engine.choosing import teachable
from palate.language import LaterEncoder
from palate.language.registry import load_encoder
from palate.models.semantic_tuned import SemanticTuned, SemanticTunedSettings, taught_by
from palate.testing import FakeEncoder, RecommenderConformance, small_shop
from tests.tuning_world import GOODS, tiny_model

SETTINGS = SemanticTunedSettings.model_validate(
    {"adapt": {"held_out": 0.1, "course": {"epochs": 3, "batch": 64}, "vectors": {"dimensions": 16, "kept": 0.0}}}
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> LaterEncoder:
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "bert", "bert")
    return LaterEncoder(lambda: load_encoder(str(folder)), str(folder))


class TestSemanticTuned(RecommenderConformance):
    @pytest.fixture(autouse=True)
    def _with(self, encoder: LaterEncoder) -> None:
        self.encoder = encoder

    def make(self) -> SemanticTuned:
        return SemanticTuned(SETTINGS, self.encoder)


def shelves() -> Dataset:
    """Everybody takes the first good of a shelf, then the first of the next one: what follows never reads alike."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(120):
        shelf = int(rng.integers(4))
        goods = [3 * ((shelf + step) % 4) + int(rng.integers(3)) for step in range(4)]
        rows += [(f"u{user}", f"i{good}", float(step)) for step, good in enumerate(goods)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame({"item_id": [f"i{row}" for row in range(len(GOODS))], "title": GOODS})
    return Dataset.from_frames(events, items)


def test_what_follows_is_learnt_in_its_direction(encoder: LaterEncoder) -> None:
    dataset = shelves()
    settings = SETTINGS.model_copy(
        update={
            "adapt": SETTINGS.adapt.model_copy(
                update={"course": SETTINGS.adapt.course.model_copy(update={"epochs": 40})}
            )
        }
    )
    model = SemanticTuned(settings, encoder).fit(dataset)
    place = {title: row for row, title in enumerate(dataset.catalogue.titles)}
    had = [[place[GOODS[3 * shelf]]] for shelf in range(4)]
    best = model.score(Queries.of(had)).argsort(axis=1)[:, ::-1][:, :3]
    following = [[place[GOODS[3 * ((shelf + 1) % 4) + good]] for good in range(3)] for shelf in range(4)]
    hits = sum(len(set(map(int, row)) & set(right)) for row, right in zip(best, following, strict=True))
    assert hits >= 9  # of 12; three were chance


def test_taught_again_it_takes_the_epochs_that_proved_right(encoder: LaterEncoder) -> None:
    dataset = shelves()
    first = SemanticTuned(SETTINGS, encoder).fit(dataset)
    again = fitted(SemanticTuned(SETTINGS, encoder), dataset, lambda _stage, _share: None, first)
    assert again is not first
    assert again.arrays()["epochs"][0] == max(1, int(first.arrays()["epochs"][0]))


def test_a_new_item_is_read_by_both_heads_after_a_restart_too(encoder: LaterEncoder) -> None:
    dataset = shelves()
    model = SemanticTuned(SETTINGS, encoder).fit(dataset)
    restored = SemanticTuned(SETTINGS, encoder).restore(model.arrays())
    grown = dataset.catalogue.extended(pl.DataFrame({"item_id": ["n1", "n2"], "title": ["blue dog food", ""]}))
    for one in (model, restored):
        before = one.item_vectors.copy()
        one.extend(grown)
        assert one.n_items == len(grown)
        assert np.array_equal(one.item_vectors[: len(before)], before)
        assert np.linalg.norm(one.item_vectors[-2]) == pytest.approx(1, abs=1e-5)
        assert not one.item_vectors[-1].any()
    assert np.allclose(model.item_vectors, restored.item_vectors, atol=1e-6)
    assert np.allclose(model.asking_vectors, restored.asking_vectors, atol=1e-6)


def test_an_encoder_that_is_no_transformer_is_refused_or_left_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="encoder is none"):
        SemanticTuned(None, FakeEncoder()).fit(small_shop())
    notes: list[str] = []
    assert teachable(("semantic", "semantic_tuned"), FakeEncoder(), notes) == ("semantic",)
    assert "semantic_tuned is left out" in notes[0]
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    assert taught_by(LaterEncoder(FakeEncoder, str(tmp_path))) is None

"""The scorer: pairs of texts in, calibrated probabilities or values out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palate.core import DataError, NotFittedError, UsageError
from palate.language.scorer import ScorerSettings, TextScorer, distil, platt
from palate.language.tuning.settings import TrunkSettings, TuningSettings
from palate.measure import auc, expected_calibration_error
from tests.tuning_world import GOODS, tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {family: str(tiny_model(folder / family, family)) for family in ("bert", "gpt2", "qwen2")}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


def settings(model: str, **more: object) -> ScorerSettings:
    given = {
        "model": model,
        "trunk": TrunkSettings(method="frozen", rank=4, precision="fp32", dropout=0.0),
        "course": TuningSettings(epochs=15, batch=64, learning_rate=1e-2, pace=0.3, patience=5),
        "width": 32,
        "dropout": 0.0,
        **more,
    }
    return ScorerSettings.model_validate(given)


class World:
    """People who like one shelf of four: they click on its goods nine times in ten, on others one time in seven."""

    def __init__(self, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shelf, good = rng.integers(0, 4, n), rng.integers(0, 12, n)
        self.left = [f"likes {('polish', 'dog', 'phones', 'pan')[place]}" for place in shelf]
        self.right = [GOODS[place] for place in good]
        self.price = rng.normal(20, 5, n)
        self.chance = np.where(good // 3 == shelf, 0.9, 0.15)
        self.clicked = (rng.random(n) < self.chance).astype(np.float32)
        self.rating = 1 + 4 * self.chance - 0.1 * (self.price - 20) + rng.normal(0, 0.1, n)


LEARN, ASK = World(700, 0), World(300, 1)


@pytest.mark.parametrize(
    ("family", "method", "form"),
    [
        ("bert", "frozen", "towers"),
        ("bert", "lora", "towers"),
        ("bert", "adapters", "cross"),
        ("bert", "full", "towers"),
        ("gpt2", "lora", "towers"),
    ],
)
def test_clicks_become_calibrated_probabilities(
    models: dict[str, str], tmp_path: Path, family: str, method: str, form: str
) -> None:
    trunk = TrunkSettings.model_validate({"method": method, "rank": 4, "precision": "fp32", "dropout": 0.0})
    scorer = TextScorer(settings(models[family], trunk=trunk, form=form))
    scorer.fit(LEARN.left, LEARN.right, LEARN.clicked)
    chances = scorer.predict(ASK.left, ASK.right)
    assert chances.dtype == np.float32
    assert auc(ASK.clicked, chances) > 0.8
    assert expected_calibration_error(ASK.clicked, chances) < 0.12
    scorer.save(tmp_path / "scorer")
    again = TextScorer.load(tmp_path / "scorer")
    np.testing.assert_allclose(again.predict(ASK.left, ASK.right), chances, atol=1e-6)
    assert again.spread == pytest.approx(scorer.spread)


def test_a_decoder_reads_both_texts_at_once(models: dict[str, str], tmp_path: Path) -> None:
    trunk = TrunkSettings(method="full", precision="fp32", dropout=0.0)
    course = TuningSettings(epochs=20, batch=64, learning_rate=1e-2, pace=0.1, patience=8)
    scorer = TextScorer(settings(models["qwen2"], trunk=trunk, form="cross", course=course))
    scorer.fit(LEARN.left, LEARN.right, LEARN.clicked)
    chances = scorer.predict(ASK.left, ASK.right)
    assert auc(ASK.clicked, chances) > 0.75
    strangers = np.random.default_rng(0).permutation(len(ASK.left))
    assert auc(ASK.clicked, scorer.predict([ASK.left[place] for place in strangers], ASK.right)) < 0.6
    scorer.save(tmp_path / "scorer")
    again = TextScorer.load(tmp_path / "scorer").predict(ASK.left, ASK.right)
    np.testing.assert_allclose(again, chances, atol=1e-6)


def test_ratings_become_values_in_their_own_units(models: dict[str, str]) -> None:
    scorer = TextScorer(settings(models["bert"], kind="regression"))
    scorer.fit(LEARN.left, LEARN.right, LEARN.rating, numbers=LEARN.price)
    known = scorer.predict(ASK.left, ASK.right, numbers=ASK.price)
    assert np.sqrt(np.mean((known - ASK.rating) ** 2)) < 0.4 * ASK.rating.std()
    assert scorer.spread == pytest.approx(float(np.sqrt(np.mean((known - ASK.rating) ** 2))), rel=0.5)
    unknown = scorer.predict(ASK.left[:2], ASK.right[:2], numbers=[np.nan, 20.0])
    assert np.isfinite(unknown).all(), "a price that is not known stands at the mean"
    with pytest.raises(DataError, match="0 numbers a pair; it was fitted with 1"):
        scorer.predict(ASK.left, ASK.right)


def test_a_teacher_is_distilled_into_towers(models: dict[str, str]) -> None:
    teacher = TextScorer(settings(models["bert"], form="cross", trunk=TrunkSettings(method="full", precision="fp32")))
    teacher.fit(LEARN.left, LEARN.right, LEARN.clicked)
    few = slice(0, 60)
    alone = TextScorer(settings(models["bert"])).fit(LEARN.left[few], LEARN.right[few], LEARN.clicked[few])
    taught = distil(teacher, TextScorer(settings(models["bert"])), LEARN.left, LEARN.right)
    errors = [float(np.mean((each.predict(ASK.left, ASK.right) - ASK.chance) ** 2)) for each in (alone, taught)]
    assert errors[1] < errors[0], "600 pairs that only the teacher judged did not help"
    mixed = distil(teacher, TextScorer(settings(models["bert"])), LEARN.left, LEARN.right, LEARN.clicked, share=0.0)
    plain = TextScorer(settings(models["bert"])).fit(LEARN.left, LEARN.right, LEARN.clicked)
    np.testing.assert_allclose(mixed.predict(ASK.left, ASK.right), plain.predict(ASK.left, ASK.right), atol=1e-6)
    with pytest.raises(UsageError, match="cannot teach"):
        distil(teacher, TextScorer(settings(models["bert"], kind="regression")), LEARN.left, LEARN.right)


def test_platt_finds_the_line_and_never_turns_it_around() -> None:
    rng = np.random.default_rng(0)
    meant = rng.normal(0, 2, 20_000).astype(np.float32)
    happened = (rng.random(20_000) < 1 / (1 + np.exp(-meant))).astype(np.float32)
    slope, intercept = platt((meant - 1) * 4, happened, np.ones(20_000, np.float32))
    assert slope == pytest.approx(0.25, rel=0.05)
    assert intercept == pytest.approx(1.0, rel=0.1)
    assert platt(-meant, happened, np.ones(20_000, np.float32))[0] == 0.0


def test_what_makes_no_sense_is_said(models: dict[str, str]) -> None:
    scorer = TextScorer(settings(models["bert"]))
    with pytest.raises(NotFittedError):
        scorer.predict(["a"], ["b"])
    with pytest.raises(DataError, match="between 0 and 1; these go from 1 to 5"):
        scorer.fit(["a", "b"], ["c", "d"], [1, 5])
    with pytest.raises(DataError, match="1 targets are no numbers"):
        scorer.fit(["a", "b"], ["c", "d"], [1, np.nan])
    with pytest.raises(DataError, match="one each a pair"):
        scorer.fit(["a", "b"], ["c"], [1, 0])
    with pytest.raises(DataError, match="rows of numbers"):
        scorer.fit(["a", "b"], ["c", "d"], [1, 0], numbers=[[1.0]])


def test_few_pairs_blank_texts_and_weights(models: dict[str, str]) -> None:
    scorer = TextScorer(settings(models["gpt2"]))
    scorer.fit(["red", "", "dog"], ["nail polish", "pan", ""], [1, 0, 1], weights=[1.0, 0.0, 2.0])
    chances = scorer.predict(["", "red"], ["", "pan"])
    assert np.isfinite(chances).all()
    assert scorer.calibration == (1.0, 0.0)
    assert np.isnan(scorer.spread)
    assert len(scorer.predict([], [])) == 0

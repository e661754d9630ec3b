"""Texts in other words are learnt from beside the texts, and stand nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from palate.language.generation import Prompt
from palate.language.paraphrasing import Paraphrase
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.reading import Reading
from palate.language.tuning.settings import AdaptSettings, TrunkSettings, TuningSettings, VectorSettings
from palate.language.tuning.shop import adapt
from palate.language.tuning.trunk import Trunk, open_trunk
from palate.language.verbalise import item_texts
from palate.testing import small_shop
from tests.generation_fake import Writes
from tests.tuning_world import GOODS, tiny_model

OTHERS = [Paraphrase(3, "dog food dry", "endpoint"), Paraphrase(0, "polish nail red", "template")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "bert", "bert")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def trunk(model: Path) -> Trunk:
    return open_trunk(model, TrunkSettings(precision="fp32"))


def test_other_words_are_drawn_as_often_as_the_text_itself(trunk: Trunk) -> None:
    corpus, plain = Corpus(trunk, [*GOODS, ""], OTHERS), Corpus(trunk, [*GOODS, ""])
    rows = np.arange(len(corpus))
    assert len(corpus) == len(plain) == 13
    generator = torch.Generator().manual_seed(0)
    drawn = np.stack([corpus.drawn(rows, generator) for _ in range(400)])
    assert set(drawn[:, 3].tolist()) == {3, 14} and set(drawn[:, 0].tolist()) == {0, 13}
    assert 150 < int((drawn[:, 3] == 14).sum()) < 250
    assert (drawn[:, [1, 2, *range(4, 13)]] == rows[[1, 2, *range(4, 13)]]).all(), "what was not rephrased is itself"
    assert plain.drawn(rows, generator) is rows
    known = Corpus(trunk, ["dog food dry"])
    torch.testing.assert_close(corpus.states(np.array([14])), known.states(np.array([0])), atol=1e-5, rtol=1e-4)
    assert corpus.holds([*GOODS, ""], OTHERS) and not corpus.holds([*GOODS, ""]) and not plain.holds(GOODS, OTHERS)


def test_what_is_held_out_from_reading_is_not_told_in_other_words(trunk: Trunk) -> None:
    others = [Paraphrase(row, " ".join(reversed(text.split())), "template") for row, text in enumerate(GOODS)]
    reading = Reading(Corpus(trunk, GOODS, others), validation=0.3)
    held = set(reading.held_out.tolist())
    assert len(held) == 3
    assert set(reading.rows.tolist()) == {*range(24)} - held - {12 + row for row in held}


def settings(model: Path, paraphrases: int) -> AdaptSettings:
    return AdaptSettings(
        model=str(model),
        trunk=TrunkSettings(precision="fp32"),
        course=TuningSettings(epochs=2, batch=64),
        vectors=VectorSettings(dimensions=16, dropout=0.0),
        paraphrases=paraphrases,
    )


def test_a_shop_is_learnt_in_other_words_and_asked_in_its_own(model: Path) -> None:
    data = small_shop()

    def says(prompt: Prompt) -> str:
        return json.dumps({"texts": [f"the {prompt.data}", "1 2 3"]})

    plain, turned = (adapt(data, settings(model, count)) for count in (0, 2))
    written = adapt(data, settings(model, 2), writer=Writes(says))
    n = sum(bool(text.strip()) for text in item_texts(data.catalogue))
    assert dict(plain.others) == {} and set(turned.others) == {"template"}
    assert dict(written.others) == {"endpoint": n}, "what holds other numbers is not learnt from"
    for adapted in (turned, written):
        assert adapted.before == plain.before, "what is asked among is the catalogue alone"
        assert len(adapted.corpus) == len(data.catalogue)
        assert adapted.vectors.whole(adapted.corpus).shape == (len(data.catalogue), adapted.vectors.width)
        assert adapted.course.history[0][0] != plain.course.history[0][0], "other words were read"

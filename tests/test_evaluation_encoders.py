"""Encoders measured side by side, one chosen under a floor, one recommended; the verbs that say so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from palate.cli import main
from palate.core import FloatArray, UsageError
from palate.evaluation.encoders import (
    Contestant,
    Probe,
    ProbeSettings,
    inner_questions,
    probe_encoders,
    recommended,
    within,
)
from palate.language import LexicalEncoder, LexicalSettings, item_texts
from palate.language.advice import encoder_facts
from tests.engine_world import dataset, wordless
from tests.test_language_encoders import small_model

SMALL = ProbeSettings(questions=60, timed_texts=32, parts=2, single_texts=4)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    code = end.value.code
    assert isinstance(code, int)
    return code


class Nonsense:
    """Vectors that have nothing to do with the text."""

    name, dimension, languages = "nonsense", 8, ("*",)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        seeds = [sum(text.encode()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds]).astype(np.float32)


def probe(label: str, rate: float, ndcg: list[float]) -> Probe:
    return Probe(label, label, 1, 1, rate, 1.0, 1.0, 1.0, 1.0, np.array(ndcg * 50))


def test_encoders_are_measured_on_the_same_questions() -> None:
    fold = inner_questions(dataset(), SMALL)
    assert len(fold) == 60
    texts = item_texts(dataset().catalogue)
    whole = LexicalEncoder().fit(texts)
    coarse = LexicalEncoder(LexicalSettings(dimension=2)).fit(texts)
    found = probe_encoders(
        [Contestant("whole", whole, 10), Contestant("coarse", coarse, 5), Contestant("nonsense", Nonsense(), 1)],
        fold,
        SMALL,
    )
    assert [one.label for one in found] == ["whole", "coarse", "nonsense"]
    assert found[0].cosine == pytest.approx(1, abs=1e-5)
    assert found[0].agreement == pytest.approx(1, abs=1e-5)
    assert abs(found[2].agreement) < 0.3
    assert found[0].quality > found[2].quality
    assert all(one.ndcg.shape == (60,) and one.texts_per_second > 0 and one.p50 <= one.p99 for one in found)
    assert json.loads(json.dumps([one.as_json() for one in found]))[1]["cosine"] is None


def test_the_quickest_above_the_floor_is_chosen() -> None:
    probes = [probe("first", 1, [1.0]), probe("good", 5, [0.97]), probe("poor", 50, [0.5])]
    assert within(probes, 0.95).label == "good"
    assert within(probes, 0.99).label == "first"
    assert within(probes, 0.4).label == "poor"


def test_the_quickest_that_is_not_measurably_worse_is_recommended() -> None:
    probes = [probe("best", 1, [1.0, 0.0]), probe("even", 5, [0.0, 0.98]), probe("worse", 50, [0.5, 0.0])]
    found, even = recommended(probes)
    assert found.label == "even"
    assert [one.label for one in even] == ["best", "even"]


def test_without_texts_there_is_nothing_to_compare() -> None:
    with pytest.raises(UsageError, match="nothing for an encoder to read"):
        inner_questions(wordless())


def test_facts_of_encoders(tmp_path: Path) -> None:
    texts = ["red nail polish", "智能手机 黑色", "red nail brush", ""]
    lexical = LexicalEncoder().fit(texts)
    facts = encoder_facts("lexical", lexical, texts)
    assert facts.task == "counted"
    assert facts.reads == 1
    assert facts.unknown == 0
    small_model(tmp_path / "bert", "bert")
    from palate.language import load_encoder

    facts = encoder_facts(str(tmp_path / "bert"), load_encoder(str(tmp_path / "bert")), texts)
    assert facts.bytes == sum(
        (tmp_path / "bert" / name).stat().st_size for name in ("model.safetensors", "tokenizer.json")
    )
    assert 0 < facts.unknown < 1
    minilm = encoder_facts("minilm", load_encoder("minilm"), texts)
    assert minilm.task == "sentences"
    assert minilm.reads == pytest.approx(2 / 3)
    assert minilm.pieces >= 1


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    world = dataset()
    events = world.events.with_columns(
        user_id=np.array(world.user_ids.names)[world.events["user"].to_numpy()],
        item_id=np.array(world.item_ids.names)[world.events["item"].to_numpy()],
        timestamp=world.events["time"],
    )
    events.filter(events["item"] >= 0).select("user_id", "item_id", "timestamp").write_parquet(
        folder / "events.parquet"
    )
    world.catalogue.frame.write_parquet(folder / "items.parquet")
    return folder


def test_compress_measures_chooses_and_writes(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    small_model(tmp_path / "bert", "bert")
    asked = ["compress", str(shop), "--encoder", str(tmp_path / "bert"), "--questions", "50", "--floor", "0"]
    assert run(*asked, "--methods", "int8,static", "--out", str(tmp_path / "small"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["encoder"] for row in told["encoders"]] == [str(tmp_path / "bert"), "int8", "static"]
    assert told["chosen"] == "static", "a table is many times as quick as a network"
    assert told["encoders"][1]["cosine"] > 0.9
    kept = [row["change"] for row in told["encoders"]]
    assert kept[0] == {"estimate": 0.0, "low": 0.0, "high": 0.0}
    for row, own in zip(told["encoders"], kept, strict=True):
        assert own["low"] <= own["estimate"] == pytest.approx(row["ndcg@10"] / told["encoders"][0]["ndcg@10"] - 1)
    assert (tmp_path / "small" / "manifest.json").is_file()
    assert run(*asked, "--methods", "static", "--language", "zh") == 0
    assert "选定" in capsys.readouterr().out
    assert run(*asked, "--methods", "smaller") == 2
    assert "no method 'smaller'" in capsys.readouterr().err


def test_advise_recommends_with_reasons(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    small_model(tmp_path / "bert", "bert")
    asked = ["advise", str(shop), "--questions", "50", "--encoder", "lexical", "--encoder", str(tmp_path / "bert")]
    assert run(*asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recommended"] in told["even"]
    assert told["reasons"]
    assert {row["task"] for row in told["encoders"]} == {"counted", "unknown"}
    for language, word in (("en", "Take "), ("zh", "推荐 ")):
        assert run(*asked, "--language", language) == 0
        assert word in capsys.readouterr().out

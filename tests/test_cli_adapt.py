"""``palate adapt`` at a terminal, and what an engine makes of the encoder it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from palate.language import load_encoder
from palate.models.semantic import Semantic
from palate.testing import small_shop
from tests.tuning_world import tiny_model


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop as files."""
    folder = tmp_path_factory.mktemp("adapt") / "shop"
    folder.mkdir()
    data = small_shop()
    data.catalogue.frame.write_csv(folder / "items.csv")
    users, items = data.user_ids.names, data.item_ids.names
    rows = [
        f"{users[user]},{items[item]},{time:.0f}"
        for user, item, time in data.events.select("user", "item", "time").iter_rows()
    ]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["adapt", *(str(word) for word in words)])


def test_minilm_learns_a_shop_and_an_engine_reads_with_it(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "shop.encoder"
    result = run(shop, "--out", out, "--epochs", "6", "--protocol", "loo-strict", "--json", "--language", "en")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["after"] > found["before"]
    assert (found["method"], found["source"]) == ("frozen", "minilm")
    encoder = load_encoder(str(out))
    model = Semantic(None, encoder).fit(small_shop())
    raw = encoder.encode(["steel pan classic"])
    np.testing.assert_allclose(model.space.project(raw), raw, atol=1e-6, err_msg="tuned vectors were whitened again")
    config = tmp_path / "palate.toml"
    config.write_text(f'[engine.encoder]\nencoder = "{out}"\n', encoding="utf-8")
    engine = tmp_path / "engine"
    runner = CliRunner()
    trained = runner.invoke(
        app, ["train", str(shop), "--out", str(engine), "--preset", "fast", "--config", str(config)]
    )
    assert trained.exit_code == 0, trained.stderr
    asked = runner.invoke(app, ["recommend", str(engine), "--text", "a steel pan", "--json"])
    assert asked.exit_code == 0, asked.stderr
    assert "pan" in json.dumps(json.loads(asked.stdout)).lower()


@pytest.mark.parametrize(("language", "words"), [("en", "To use it, write"), ("zh", "要使用它")])
def test_a_person_is_told_what_to_do_next(shop: Path, tmp_path: Path, language: str, words: str) -> None:
    model = tiny_model(tmp_path / "model", "qwen2")
    out = tmp_path / "encoder"
    given = (shop, "--model", model, "--epochs", "1", "--language", language, "--paraphrases", "2")
    result = run(*given, "--out", out, "--method", "lora", "--reading", "1", "--whole")
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout
    assert "(template " in result.stdout or "（template " in result.stdout
    assert ("no text generator is set up" if language == "en" else "未设置文本生成器") in result.stdout
    assert f'encoder = "{out}"' in result.stdout
    assert (out / "model.safetensors").is_file()
    assert run(*given, "--out", out).exit_code == 0, "its own encoder is written over"


def test_what_makes_no_sense_leaves_with_two_and_writes_nothing(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("keep me", encoding="utf-8")
    for words, said in (
        (("--out", tmp_path / "mine"), "is no encoder"),
        (("--out", tmp_path / "new", "--method", "magic"), "method = 'magic'"),
        (("--out", tmp_path / "new", "--protocol", "guess"), "unknown protocol"),
    ):
        result = run(shop, *words)
        assert result.exit_code == 2, result.stderr
        assert said in result.stderr
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "mine" / "note.txt").read_text(encoding="utf-8") == "keep me"

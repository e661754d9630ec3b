"""``palate predict``: probabilities with intervals and what they rest on, the report, and mistakes in words."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from tests.behaviour_world import shop


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["predict", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predict")
    dataset, _ = shop()
    events = dataset.events.with_columns(
        pl.Series("user_id", dataset.user_ids.externals(dataset.events["user"].to_numpy())),
        pl.Series("item_id", dataset.item_ids.externals(dataset.events["item"].to_numpy())),
        pl.Series("timestamp", dataset.events["time"]),
        pl.Series("kind", [dataset.kinds.names[kind] for kind in dataset.events["kind"].to_list()]),
    )
    events.select("user_id", "item_id", "timestamp", "kind", "value", "price", "dwell").write_parquet(
        path / "events.parquet"
    )
    dataset.catalogue.frame.write_parquet(path / "items.parquet")
    (path / "palate.toml").write_text(
        '[engine.encoder]\nencoder = "lexical"\n'
        "[engine.models.next_behaviour]\nleast = 10\nminimum_leaf = 20\ntrees = 30\ndimensions = 8\n"
    )
    return path


def test_probabilities_have_bounds_a_meaning_and_reasons(folder: Path) -> None:
    told = run(folder, "--user", "u00", "--items", "kitchen0,garden1", "--json", "-", "--when", "2023-12-01T10:00Z")
    assert told.exit_code == 0, told.stderr
    answer = json.loads(told.stdout)
    assert [one["item"] for one in answer["predictions"] if one["kind"] == "purchase"] == ["kitchen0", "garden1"]
    assert all(one["low"] <= one["probability"] <= one["high"] for one in answer["predictions"])
    assert all(len(one["inputs"]) == 5 for one in answer["predictions"])
    own = {(one["item"], one["kind"]): one["probability"] for one in answer["predictions"]}
    # u00 likes the kitchen.
    assert own["kitchen0", "purchase"] > own["garden1", "purchase"]
    assert set(answer["populations"]) == {"view", "purchase", "rating"}
    assert "bootstrap" in answer["interval"]
    assert any("click is not foreseen" in note for note in answer["notes"])


def test_a_history_a_price_and_chinese(folder: Path) -> None:
    words = ("--history", "garden0,garden1,garden2", "--items", "garden3", "--kinds", "purchase", "--prices", "7")
    told = run(folder, *words, "--language", "zh", "--body", "linear")
    assert told.exit_code == 0, told.stderr
    assert "浏览后 1 天内购买" in told.stdout
    assert "区间" in told.stdout


def test_the_report_measures_each_body_on_what_came_later(folder: Path) -> None:
    told = run(folder, "--report", "--body", "linear,trees", "--json", "-")
    assert told.exit_code == 0, told.stderr
    reports = json.loads(told.stdout)["reports"]
    bought = [one for one in reports if one["kind"] == "purchase"]
    assert [one["body"] for one in bought] == ["linear", "trees"]
    for one in bought:
        assert set(one["measures"]) == {
            "accuracy",
            "precision",
            "recall",
            "f1",
            "auc",
            "log_loss",
            "calibration_error",
        }
        auc = one["measures"]["auc"]
        assert auc["low"] < auc["estimate"] < auc["high"]
        assert auc["estimate"] > 0.6
    shown = run(folder, "--report", "--body", "linear", "--language", "en")
    assert "calibration" in shown.stdout


def test_mistakes_are_told_in_words(folder: Path) -> None:
    for words, why in (
        ((), "say about what"),
        (("--user", "u00"), "--items A,B"),
        (("--items", ","), "name at least one item"),
        (("--items", "kitchen0", "--user", "nobody"), "name one of them, or give a --history"),
        (("--items", "moon"), "unknown item 'moon'"),
        (("--items", "kitchen0", "--kinds", "dream"), "'dream' cannot be foreseen"),
        (("--items", "kitchen0", "--kinds", "click"), "of 0 occasions"),
        (("--items", "kitchen0", "--prices", "1,2"), "2 prices for 1 items"),
        (("--items", "kitchen0", "--prices", "cheap"), "write numbers"),
        (("--items", "kitchen0", "--when", "tomorrow"), "ISO 8601"),
        (("--items", "kitchen0", "--body", "oracle"), "there are linear"),
        (("--items", "kitchen0", "--body", "linear,trees"), "compared by --report"),
        (("--report", "--user", "u00"), "about everybody"),
        (("--items", "kitchen0", "--user", "u00", "--history", "garden0"), "not both"),
    ):
        told = run(folder, *words)
        assert told.exit_code == 2, (words, told.stdout, told.stderr)
        assert why in told.stderr, (words, told.stderr)


def test_folders_that_hold_no_data_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "manifest.json").write_text("{}")
    for name, why in (("missing", "does not exist"), ("engine", "is damaged"), ("", "no events file")):
        told = run(tmp_path / name, "--items", "kitchen0")
        assert told.exit_code == 1
        assert why in told.stderr
    assert CliRunner().invoke(app, ["predict"]).exit_code == 2


def test_who_is_nobody_is_told_so(folder: Path) -> None:
    told = run(folder, "--items", "kitchen0", "--kinds", "purchase", "--body", "linear", "--json", "-")
    assert told.exit_code == 0, told.stderr
    assert any("nobody is named" in note for note in json.loads(told.stdout)["notes"])


def test_without_times_there_is_no_report(folder: Path, tmp_path: Path) -> None:
    events = pl.read_parquet(folder / "events.parquet").with_row_index("position").drop("timestamp")
    events.write_parquet(tmp_path / "events.parquet")
    pl.read_parquet(folder / "items.parquet").write_parquet(tmp_path / "items.parquet")
    (tmp_path / "palate.toml").write_text((folder / "palate.toml").read_text())
    told = run(tmp_path, "--report")
    assert told.exit_code == 1
    assert "every event needs a time" in told.stderr


@pytest.fixture(scope="module")
def engine(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("engines") / "shop.engine"
    (folder / "palate.toml").write_text(
        (folder / "palate.toml").read_text(encoding="utf-8") + '[engine]\nsources = ["popularity", "item_knn"]\n'
    )
    done = CliRunner().invoke(app, ["train", str(folder), "--out", str(out), "--foresee", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["foreseen"] == ["view", "purchase", "rating"]
    return out


def test_an_engine_that_has_learnt_it_foresees_as_the_data_did(folder: Path, engine: Path) -> None:
    words = ("--user", "u00", "--items", "kitchen0,garden1", "--when", "2023-12-01T10:00Z", "--json", "-")
    by_data, by_engine = run(folder, *words), run(engine, *words)
    assert by_engine.exit_code == 0, by_engine.stderr
    first, second = json.loads(by_data.stdout), json.loads(by_engine.stdout)
    assert first["bodies"] == second["bodies"]
    for one, other in zip(first["predictions"], second["predictions"], strict=True):
        assert (one["item"], one["kind"]) == (other["item"], other["kind"])
        assert one["probability"] == pytest.approx(other["probability"], rel=1e-6)


def test_a_saved_engine_keeps_what_it_foresees_by_through_new_items(engine: Path, tmp_path: Path) -> None:
    from palate.engine import Engine

    first = Engine.load(engine)
    first.update(items=pl.DataFrame({"item_id": ["kitchen-new"], "title": ["kitchen sound garden marvel"]}))
    told = first.predict(["kitchen-new", "kitchen0"], "u00", when=1_705_000_000)
    first.save(tmp_path / "again")
    second = Engine.load(tmp_path / "again")
    assert second.foretelling.arrays() is not None
    assert second.predict(["kitchen-new", "kitchen0"], "u00", when=1_705_000_000).predictions == told.predictions


def test_what_only_data_can_answer_is_refused_of_an_engine(engine: Path) -> None:
    done = run(engine, "--report")
    assert done.exit_code == 2
    assert "--report is for a folder of data" in done.stderr
    assert "Nobody called nobody-here" in run(engine, "--user", "nobody-here", "--items", "kitchen0").stdout

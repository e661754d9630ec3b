"""The headline study: several gains at once, chosen before the test is asked, and gone on with where it stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from palate.engine import Engine, EngineSettings
from palate.simulation import ShopSettings
from tests.engine_world import QUICK

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("popularity", "transitions", "semantic")


@pytest.fixture
def headline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The script over a small shop and a small engine."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    module = import_module("headline")
    monkeypatch.setattr(module, "ShopSettings", lambda: ShopSettings(users=160, items=90, days=120))
    fit = Engine.fit

    def quick(dataset: Any, **told: Any) -> Engine:
        told["settings"] = EngineSettings(encoder=QUICK, sources=SOURCES)
        return fit(dataset, **told)

    monkeypatch.setattr(Engine, "fit", quick)
    yield module
    sys.modules.pop("headline", None)


def test_a_study_is_measured_once_and_told_again(
    headline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["headline.py", str(tmp_path), "--preset", "fast", "--only", "demo", "--kept", str(tmp_path / "kept")]
    monkeypatch.setattr(sys, "argv", told)
    headline.main()
    first = capsys.readouterr().out
    outcome = tmp_path / "kept" / "demo.loo-strict.fast.0" / "outcome.json"
    found = json.loads(outcome.read_text(encoding="utf-8"))
    names = ["ndcg@10", "diversity_category@10", "diversity_vector@10", "satisfaction@10"]
    assert [check["measure"] for check in found["checks"]] == names
    assert all(check["passed"] == (check["gain"] >= check["goal"]) for check in found["checks"])
    assert found["single"] in {"popularity", "transitions"}
    assert any(own["diversity_category@10"] > found["tried"][0]["diversity_category@10"] for own in found["tried"])
    passed = sum(check["passed"] for check in found["checks"])
    assert first.splitlines()[-1] == f"headline: {passed} passed, {4 - passed} failed"

    def never(*_: Any, **__: Any) -> Engine:
        raise AssertionError("what is known is not fitted again")

    monkeypatch.setattr(Engine, "fit", never)
    headline.main()
    assert capsys.readouterr().out == first
    outcome.unlink()
    headline.main()  # the engine and the single model are at hand
    assert capsys.readouterr().out.splitlines()[-1] == first.splitlines()[-1]


def test_single_models_stay_as_they_were_tuned(headline: Any, tmp_path: Path) -> None:
    study = headline.STUDIES[0]
    assert headline.tuned_before(study, None) is None
    assert headline.tuned_before(study, tmp_path) is None
    for preset, best, quality in (("fast", "als", 0.1), ("balanced", "transitions", 0.2)):
        tuning = {best: [{"settings": {"of": preset}, "ndcg@10": quality}, {"settings": {}, "ndcg@10": 0.05}]}
        cell = {"result": {"best_single": best, "tuning": tuning}}
        (tmp_path / f"{study.name}.{study.protocol}.{preset}.0.json").write_text(json.dumps(cell), encoding="utf-8")
    assert headline.tuned_before(study, tmp_path) == ("transitions", {"of": "balanced"})

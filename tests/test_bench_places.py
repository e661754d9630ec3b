"""The bench of next places: its own questions and those that somebody else wrote, against another model, timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.places_world import DAY, HOUR, MONDAY, town

ROOT = Path(__file__).resolve().parents[1]
ASKED = MONDAY + 43 * DAY
"""A Tuesday after all that the town tells."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, data = tmp_path_factory.mktemp("town"), town()
    names, events = data.item_ids.names, data.events
    pl.DataFrame(
        {
            "user_id": data.user_ids.externals(events["user"].to_numpy()),
            "item_id": data.item_ids.externals(events["item"].to_numpy()),
            "timestamp": events["time"],
        }
    ).write_csv(made / "events.csv")
    columns = {name: data.catalogue.column(name) for name in ("title", "category", "lat", "lon")}
    pl.DataFrame({"item_id": list(names), **columns}).write_csv(made / "items.csv")
    return made


def _run(folder: Path, *words: object) -> dict[str, Any]:
    figures = folder / "found.json"
    given = [sys.executable, str(ROOT / "bench" / "places.py"), str(folder), "--models", "places,popularity"]
    done = subprocess.run(  # noqa: S603
        [*given, *map(str, words), "--json", str(figures)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PALATE_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ": Acc@1 +" in done.stdout
    found: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return found


def test_outings_are_asked_and_the_difference_has_an_interval(folder: Path) -> None:
    found = _run(folder)
    assert found["protocol"] == "trajectories"
    first = {record["measure"]: record for record in found["comparisons"]}["hit@1"]
    assert first["ci95"][0] > 0
    assert first["difference"] == pytest.approx(
        found["models"]["places"]["hit@1"] - found["models"]["popularity"]["hit@1"]
    )
    assert found["seconds"]["places"]["processor"] > found["seconds"]["popularity"]["processor"] > 0
    # What was answered is found again, its seconds included; a network says how long it learnt.
    kept = folder / "kept"
    assert not kept.exists()
    again = _run(folder, "--kept", kept)
    network = _run(folder, "--kept", kept, "--models", "places,gru4rec", "--epochs", 1)
    assert again["models"] == found["models"]
    assert network["seconds"]["places"] == again["seconds"]["places"]
    assert network["epochs"] == {"gru4rec": 1}
    assert {record["baseline"] for record in network["comparisons"]} == {"gru4rec"}


def test_questions_that_somebody_else_wrote(folder: Path) -> None:
    # A stored user, a stranger with a history of their own, and one who is only somewhere at some time.
    cases = [
        {"user_id": f"p{person:02d}", "when": ASKED + 7.2 * HOUR, "target": f"home{person % 5}-{person // 5}"}
        for person in range(10)
    ]
    cases += [
        {
            "history": [
                {"item_id": f"home{street}-0", "timestamp": ASKED - days * DAY + 7.1 * HOUR} for days in (3, 2, 1)
            ],
            "when": ASKED + 7.1 * HOUR,
            "target": [f"home{street}-0"],
        }
        for street in range(5)
    ]
    cases.append({"when": "2012-02-10T21:12:00Z", "where": [51.5, -0.12], "target": "bar0-0"})
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    found = _run(folder, "--cases", path)
    assert (found["protocol"], found["questions"]) == ("cases", 16)
    assert found["models"]["places"]["hit@1"] > 0.9
    assert "16 cases" in found["notes"]

"""The protocol of next places, cases that say where, and the map of a report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h3
import numpy as np
import pytest

from palate.core import DataError, UsageError
from palate.evaluation import evaluate, plan, read_cases
from palate.evaluation.maps import density_map, geography
from tests.places_world import DAY, HOUR, MONDAY, town


def test_the_last_outings_are_asked_and_nothing_of_them_is_learnt() -> None:
    data = town()
    trial = plan(data, "trajectories")
    assert trial.inner == "time"
    assert trial.seen == "keep"
    held = data.events["time"].to_numpy()[trial.held_out]
    assert trial.train.events["time"].to_numpy().max() < held.min()
    assert trial.train.n_events + len(held) == data.n_events
    queries = trial.test.queries
    assert queries.when is not None
    assert (queries.when >= held.min()).all()
    assert not queries.mask_seen
    assert "had begun" in trial.notes[0]


def test_trajectories_need_times_and_outings() -> None:
    with pytest.raises(UsageError, match="loo-strict"):
        plan(town(times=False), "trajectories")
    rare = town()
    once = rare.only(np.arange(rare.n_events) % 60 == 0)
    with pytest.raises(UsageError, match="two visits or more"):
        plan(once, "trajectories")


def test_models_are_compared_without_an_engine_and_the_report_has_a_map() -> None:
    found = evaluate(town(weeks=4), protocol="trajectories", models=["places", "popularity"])
    assert set(found.models) == {"places", "popularity"}
    records = {record["measure"]: record for record in found.comparisons}
    assert records["hit@1"]["model"] == "places"
    assert records["hit@1"]["baseline"] == "popularity"
    assert records["mrr"]["difference"] > 0
    assert found.best_single == "popularity"
    page = found.as_json()["geography"]
    assert page["visits"] == page["shown"]


def test_cases_say_where(tmp_path: Path) -> None:
    data, path = town(), tmp_path / "cases.jsonl"
    lines = [
        {"history": [], "when": MONDAY + 40 * DAY, "where": [51.5, -0.12], "target": "bar0-0"},
        {
            "user_id": "p00",
            "when": MONDAY + 43 * DAY + 7 * HOUR,
            "where": {"lat": 51.5, "lon": -0.1},
            "target": "home0-0",
        },
        {"user_id": "p01", "target": "home1-0"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    fold, _ = read_cases(path, data)
    assert fold.queries.where is not None
    np.testing.assert_array_equal(fold.queries.where, [[51.5, -0.12], [51.5, -0.1], [np.nan, np.nan]])
    asked = evaluate(data, protocol="cases", cases=path, models=["places"], seen="keep")
    assert asked.models["places"]["hit@10"] > 0.5


def test_cases_are_asked_with_what_was_stored_before_them(tmp_path: Path) -> None:
    data, path = town(), tmp_path / "cases.jsonl"
    moment = MONDAY + 20 * DAY
    lines = [{"user_id": "p00", "when": moment, "target": "home0-0"}, {"user_id": "p00", "target": "home0-0"}]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    fold, notes = read_cases(path, data)
    until, every = fold.queries.history.take(slice(0, 1)), fold.queries.history.take(slice(1, 2))
    assert until.times.max() < moment <= every.times.max()
    assert len(until.items) == int((every.times < moment).sum())
    assert any(note.startswith("of 1 cases the data itself tells") for note in notes)


@pytest.mark.parametrize("where", [[-0.12], "51,0", [91, 0], [0, 181], {"lat": 1}, [True, 1], [1e999, 0]])
def test_cases_that_say_no_place_are_refused(tmp_path: Path, where: object) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps({"user_id": "p00", "where": where, "target": "home0-0"}), encoding="utf-8")
    with pytest.raises(DataError, match="line 1: where is"):
        read_cases(path, town())


def test_coordinates_the_wrong_way_round_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps({"user_id": "p00", "where": [116.4, 39.9], "target": "home0-0"}), encoding="utf-8")
    with pytest.raises(DataError, match="latitude comes first"):
        read_cases(path, town())


def test_the_map_has_a_hexagon_a_cell_in_the_right_place() -> None:
    found = geography(town())
    cells = found["cells"]
    drawn = density_map(cells, "map")
    shapes = re.findall(r'<path d="M([^"]+)Z" fill', drawn)
    assert len(shapes) == len(cells)
    assert sum(cell["visits"] for cell in cells) == found["visits"]
    middles = [np.mean([tuple(map(float, p.split())) for p in shape.split("L")], axis=0) for shape in shapes]
    order = np.argsort([cell["lat"] for cell in cells])
    # North is up: the further north, the smaller the y.
    assert (np.diff(np.array(middles)[order, 1]) <= 1e-6 + 0.2).all()
    assert all(h3.is_valid_cell(cell["cell"]) for cell in cells)
    assert " km</text>" in drawn
    assert "http" not in drawn


def test_no_map_without_coordinates() -> None:
    assert geography(town(mapped=False)) == {}

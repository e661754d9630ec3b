"""Records of behaviour in time and place as they come: whatever is wrong with them is handled, or refused in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app
from palate.data import Dataset
from palate.forecast import daily
from tests.forecast_world import START
from tests.places_world import town

LEAP_DAY = "2012-02-29"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def _written(seconds: float, place: int) -> str:
    """A moment as three clerks write it: with the zone of Berlin, in UTC, and by a clock in London without a zone."""
    moment = datetime.fromtimestamp(seconds, UTC)
    if place % 3 == 0:
        return moment.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="seconds")
    # London keeps UTC until 25 March.
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ" if place % 3 == 1 else "%Y-%m-%d %H:%M:%S")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, made = tmp_path_factory.mktemp("untidy"), town(weeks=12)
    events = made.events
    times = events["time"].to_list()
    rows = list(
        zip(
            made.user_ids.externals(events["user"].to_numpy()),
            made.item_ids.externals(events["item"].to_numpy()),
            [_written(seconds, place) for place, seconds in enumerate(times)],
            ["1"] * len(times),
            strict=True,
        )
    )
    # Somebody seen once, in an hour that London's clocks skipped; something brought back; somewhere unknown.
    rows += [
        ("loner", "bar0-0", "2012-03-25 01:30:00", "1"),
        ("p00", "bar0-0", f"{LEAP_DAY} 12:00:00", "-3"),
        ("p01", "off the map", "2012-03-02T10:00:00Z", "1"),
    ]
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "quantity"], orient="row").write_csv(
        path / "events.csv"
    )
    names = made.item_ids.names
    places = {name: made.catalogue.column(name).to_list() for name in ("lat", "lon")}  # type: ignore[union-attr]
    for name, (lat, lon) in {"home0-0": (-0.118, 51.5), "home1-0": (95.0, 400.0), "home2-0": (0.0, 0.0)}.items():
        places["lat"][names.index(name)], places["lon"][names.index(name)] = lat, lon
    pl.DataFrame({"item_id": names, "category": made.catalogue.strings("category"), **places}).write_csv(
        path / "items.csv"
    )
    (path / "palate.toml").write_text(
        '[data]\ntime_zone = "Europe/London"\n[engine.encoder]\nencoder = "lexical"\n'
        "[engine.models.next_behaviour]\nleast = 10\nminimum_leaf = 20\ntrees = 20\ndimensions = 8\n"
        "[forecast]\nmost_classical = 0\norigins = 2\nhorizon = 7\n"
    )
    return path


def test_what_is_wrong_is_said(folder: Path) -> None:
    data = Dataset.load(folder, time_zone="Europe/London")
    assert data.report is not None
    said = data.report.words()
    assert "Europe/London" in said
    assert "1 in an hour" in said
    assert "lat" in said
    # A moment is the same however it was written, and the skipped hour lies between its neighbours.
    assert data.n_users == town(weeks=12).n_users + 1
    lone = data.events.filter(pl.col("user") == data.user_ids.position("loner"))["time"].item()
    assert (
        datetime(2012, 3, 25, 0, 59, tzinfo=UTC).timestamp()
        < lone
        < datetime(2012, 3, 25, 2, 1, tzinfo=UTC).timestamp()
    )
    lat, lon = (data.catalogue.column(name) for name in ("lat", "lon"))
    assert lat is not None
    assert lon is not None
    for name in ("home1-0", "home2-0"):
        assert lon[data.item_ids.position(name)] is None
    assert lat.drop_nulls().is_between(-90, 90).all()
    assert lon.drop_nulls().is_between(-180, 180).all()


def test_next_places_are_found_all_the_same(folder: Path) -> None:
    told = run("evaluate", folder, "--protocol", "trajectories", "--models", "places,popularity", "--json", "-")
    assert told.exit_code == 0, told.stderr
    figures = json.loads(told.stdout)["models"]
    assert figures["places"]["hit@1"] > 0.8 > figures["popularity"]["hit@1"]


def test_somebody_with_one_event_is_foreseen(folder: Path) -> None:
    told = run("predict", folder, "--user", "loner", "--items", "bar0-0,home0-0", "--json", "-")
    assert told.exit_code == 0, told.stderr
    answers = json.loads(told.stdout)["predictions"]
    assert answers
    assert all(0 <= one["low"] <= one["probability"] <= one["high"] <= 1 for one in answers)
    refused = run("predict", folder, "--user", "nobody", "--items", "bar0-0")
    assert refused.exit_code == 2
    assert "nobody called 'nobody'" in refused.stderr


@pytest.mark.parametrize("returns", ["ignore", "subtract"])
def test_demand_with_a_leap_day_and_things_brought_back(folder: Path, returns: str) -> None:
    told = run("forecast", folder, "--by", "total", "--returns", returns, "--time-zone", "Europe/London", "--json", "-")
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    assert len(found["series"][0]["days"]) == 7
    assert any("return" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("forecast", "--time-zone", "Mars/Base"), "no time zone"),
        (("forecast", "--horizon", "80"), "too few"),
        (("predict", "--user", "p00", "--items", "bar0-0", "--when", "2012-03-30 12:00"), "ISO 8601 with a zone"),
        (("predict", "--user", "p00", "--items", "Atlantis"), "unknown item"),
    ],
)
def test_what_cannot_be_is_refused_in_words(folder: Path, words: tuple[str, ...], why: str) -> None:
    told = run(words[0], folder, *words[1:])
    assert told.exit_code in (1, 2)
    assert why in told.stderr
    assert "Traceback" not in told.stderr


def test_a_hundred_thousand_series_are_counted_at_once() -> None:
    n, rng = 100_000, np.random.default_rng(0)
    names = np.array([f"i{number}" for number in range(n)])
    days = rng.integers(0, 60, 2 * n)
    events = pl.DataFrame(
        {
            "user_id": [f"u{number % 500}" for number in range(2 * n)],
            "item_id": np.concatenate([names, names]),
            "timestamp": (START.astype(np.int64) + days) * 86_400.0 + rng.integers(30_000, 60_000, 2 * n),
            "quantity": rng.integers(1, 4, 2 * n),
        }
    )
    made = Dataset.from_frames(events, keep_duplicates=True)
    panel = daily(made, "item")
    assert len(panel) == n
    assert np.nansum(panel.values) == events["quantity"].sum()

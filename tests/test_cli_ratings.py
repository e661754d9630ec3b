"""``palate ratings``: foretold, and how far off."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from palate.cli.app import app


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["ratings", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tastes: half the people like even films, the others odd ones; some are kinder than others."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    rows = []
    for person in range(60):
        for place, film in enumerate(rng.permutation(16)[:12]):
            liked = (person + film) % 2 == 0
            value = np.clip(round((4.5 if liked else 1.5) + 0.5 * (person % 3 - 1) + rng.normal(0, 0.3)), 1, 5)
            rows.append({"user": f"p{person}", "item": f"f{film}", "timestamp": 1.6e9 + place * 60, "rating": value})
    pl.DataFrame(rows).write_csv(folder / "events.csv")
    return folder


def test_neighbours_foretell_tastes_that_means_cannot(films: Path) -> None:
    result = run(films, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["asked"], told["known"]) == (60, 60 * 11)
    error = {method: own["rmse"]["estimate"] for method, own in told["measures"].items()}
    assert max(error["item_knn"], error["user_knn"]) < 0.6 * min(error["mean"], error["baseline"])
    for own in told["measures"].values():
        assert own["rmse"]["low"] <= own["rmse"]["estimate"] <= own["rmse"]["high"]
        assert own["mae"]["estimate"] <= own["rmse"]["estimate"]


def test_ratings_of_one_person(films: Path) -> None:
    result = run(films, "--user", "p0", "--items", "f0,f1", "--json")
    liked, disliked = (row["rating"] for row in json.loads(result.stdout))
    assert 1 <= disliked < liked <= 5


def test_the_table_speaks_both_languages(films: Path) -> None:
    assert "60 newest ratings" in run(films, "--language", "en").stdout
    assert "60 条最新评分" in run(films, "--language", "zh").stdout


@pytest.mark.parametrize(
    "words, code, told",
    [
        (("--user", "p0"), 2, "--items"),
        (("--user", "nobody", "--items", "f0"), 2, "unknown user"),
        (("--user", "p0", "--items", "f99"), 2, "unknown item"),
        (("--user", "p0", "--items", "f0", "--method", "magic"), 2, "item_knn"),
        (("--similarity", "near"), 2, "similarity"),
    ],
)
def test_mistakes_are_told_in_words(films: Path, words: tuple[str, ...], code: int, told: str) -> None:
    result = run(films, *words)
    assert result.exit_code == code
    assert told in result.stderr


def test_data_without_ratings_says_so(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": ["a", "a"], "item": ["x", "y"], "timestamp": [1.6e9, 1.7e9]})
    frame.write_csv(tmp_path / "events.csv")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "no ratings" in result.stderr

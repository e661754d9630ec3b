"""``palate rules`` reads a folder and says what goes with what, in both languages and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from palate.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, error = capsys.readouterr()
    return int(left.value.code or 0), out, error


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Forty baskets, half of them of a phone and its case."""
    rows = []
    for basket in range(40):
        own = ["phone", "case"] if basket % 2 else ["pan", f"herb{basket % 5}"]
        rows += [(f"u{basket % 9}", item, 1_600_000_000 + 90_000 * basket, f"b{basket}") for item in own]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "basket_id"], orient="row")
    frame.write_csv(tmp_path / "events.csv")
    titles = {"phone": "Alma 7 [blue]", "case": "Case for Alma 7", "pan": "Steel pan"}
    names = frame["item_id"].unique().sort()
    pl.DataFrame({"item_id": names, "title": [titles.get(name, name) for name in names]}).write_csv(
        tmp_path / "items.csv"
    )
    return tmp_path


def test_rules_are_shown_with_their_evidence(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "rules", str(shop), "--language", "en")
    assert code == 0
    assert "Alma 7 [blue]" in out
    assert "Case for Alma 7" in out
    assert "50.00%" in out
    assert "40 baskets (told apart by basket_id)" in out


def test_rules_in_chinese(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "rules", str(shop), "--language", "zh")
    assert code == 0
    assert "40 个购物篮" in out


def test_rules_as_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "rules", str(shop), "--item", "phone", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["rules"] == 2
    assert told["best"][0]["conviction"] is None
    assert {(tuple(rule["if"]), tuple(rule["then"])) for rule in told["best"]} == {
        (("phone",), ("case",)),
        (("case",), ("phone",)),
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--support", "2"), "support"),
        (("--by", "beauty"), "leverage"),
        (("--item", "nobody"), "nobody"),
        (("--longest", "1"), "longest"),
    ],
)
def test_what_makes_no_sense_is_refused(
    shop: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = run(capsys, "rules", str(shop), *arguments)
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_nothing_found_says_how_to_find_more(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "rules", str(shop), "--support", "0.9", "--language", "en")
    assert code == 0
    assert "36 of the 40 baskets" in out
    assert "--support" in out


def test_data_without_baskets_or_times_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id,position\nu,a,1\nu,b,2\n", encoding="utf-8")
    code, _, error = run(capsys, "rules", str(tmp_path))
    assert code == 1
    assert "basket_id" in error

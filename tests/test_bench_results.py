"""The cells behind docs/results.md: run once, kept, told apart, and written as tables."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from palate.cli.app import app
from tests.evaluation_world import world

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = "# Results\n\nBefore.\n\n<!-- tables: begin -->\n\nold\n\n<!-- tables: end -->\n\nAfter.\n"


@pytest.fixture(scope="module")
def results() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "bench"))
    yield import_module("results")
    sys.path.remove(str(ROOT / "bench"))
    for name in ("results", "results_tables"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set without texts and times, and one that nobody can read."""
    root = tmp_path_factory.mktemp("folders")
    data = world(times=False, categories=False)
    (root / "ring").mkdir()
    events = data.events.select("user", "item").with_row_index("position")
    events.rename({"user": "user_id", "item": "item_id"}).write_csv(root / "ring" / "events.csv")
    (root / "torn").mkdir()
    (root / "torn" / "events.csv").write_text("what,is,this\n1,2,3\n", encoding="utf-8")
    return root


def here(command: list[str], *, env: dict[str, str], **_given: object) -> subprocess.CompletedProcess[str]:
    """What a process of its own would print, without waiting for thirteen interpreters to start."""
    assert command[:4] == [sys.executable, "-m", "palate", "evaluate"]
    done = CliRunner().invoke(app, command[3:], env=env)
    return subprocess.CompletedProcess(command, done.exit_code, stdout=done.stdout, stderr=done.stderr)


def command(results: Any, monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["results.py", *(str(word) for word in words)])
    code: int = results.main()
    return code


@pytest.fixture(scope="module")
def measured(results: Any, folder: Path) -> tuple[Path, str]:
    """Cells of two data sets, two protocols, two seeds and an ablation, and the document written from them."""
    document = folder / "results.md"
    document.write_text(DOCUMENT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "ABLATED", {"ring": "loo-strict"})
        patch.setattr(results, "COLD", {"ring": "loo-strict"})
        patch.setattr(results.subprocess, "run", here)
        patch.setattr(results, "TUNED", ())
        code = command(
            results,
            patch,
            folder,
            *("--cells", folder / "cells", "--only", "torn,ring,absent", "--protocols", "loo-strict,temporal"),
            *("--presets", "fast,nothing", "--seeds", "0,1", "--ablation", "ring", "--write", document),
            *("--cold", "ring"),
        )
    assert code == 0
    return folder / "cells", document.read_text(encoding="utf-8")


def test_every_cell_is_kept_with_its_figures_or_the_reason_why_not(measured: tuple[Path, str]) -> None:
    cells = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in measured[0].iterdir()}
    assert cells["ring.loo-strict.fast.0"]["result"]["models"]["palate"]["ndcg@10"] > 0
    assert cells["ring.loo-strict.fast.0"]["cell"]["sources"] == []
    assert "time for every event" in cells["ring.temporal.fast.1"]["refused"]
    assert "no column for user_id" in cells["torn.loo-strict.fast.0"]["failed"]
    steps = sorted(name for name in cells if name.count(".") == 4)
    assert steps[0] == "ring.loo-strict.fast.0.1-popularity"
    assert [set(cells[name]["result"]["models"]) for name in steps] == [{"palate"}] * len(steps)
    assert len({entry["code"] for entry in cells.values()}) == 1
    cold = cells["ring.loo-strict.fast.0.cold-0.1"]
    assert cold["cell"]["cold"] == 0.1
    assert cold["result"]["protocol"] == "loo-strict, cold items"
    assert cold["result"]["cold"]["questions"]["cold"] > 0
    assert "cold" not in cells["ring.loo-strict.fast.0"]["cell"], "cells from before there were shares stay valid"


def test_a_cell_is_a_process_of_its_own(results: Any, folder: Path, tmp_path: Path) -> None:
    cells = results.Cells(tmp_path, "code")
    cell = results.Cell("ring", "loo-strict", "fast", 0, ("popularity",))
    assert results.run(folder / "ring", cell, cells) == "measured"
    assert set(cells.result(cell)["models"]) == {"palate"}
    assert json.loads((tmp_path / "ring.loo-strict.fast.0.1-popularity.json").read_text())["seconds"] > 0


def test_the_tables_stand_between_the_marks(measured: tuple[Path, str]) -> None:
    text = measured[1]
    assert text.startswith("# Results\n\nBefore.\n\n<!-- tables: begin -->\n\n## torn")
    assert text.endswith("<!-- tables: end -->\n\nAfter.\n")
    assert "old" not in text
    for row in ("| **palate** fast | ", "| transitions | ", "| popularity | ", "| item_knn | "):
        assert row in text
    assert "`temporal`: not possible. the temporal protocol needs a time" in text
    assert "`loo-strict`: preset `fast`, seed 0, failed:" in text
    assert re.search(r"\| \*\*palate\*\* \| fast \| 0, 1 \| \.\d{4} \| \.\d{4} \| \.\d{4}-\.\d{4} \|", text)
    ablation = r"\| transitions \| [.\d]+ \| [.\d]+ \([^)]*\) \| [+-][\d.]+% \| \d+ \| \d+ \| \d+ \| code `\w{8}` \|"
    assert re.search(ablation, text)
    assert "10% of the items held out of every fit, `loo-strict`, preset `fast`, seed 0: 6 of 60." in text
    assert re.search(r"\| \*\*palate\*\* \|.*\| [.\d]+ \([.\d]+-[.\d]+\) \| [.\d]+ \([.\d]+-[.\d]+\) \|\n", text)
    assert re.search(r"\| palate, taught with them too \| [.\d]+ \| [.\d]+ \| [.\d]+ \| .* \|  \|  \|\n", text)
    assert "| ring | `loo-strict` | `fast` |" in text
    for block in re.findall(r"(?:^[^\n]+\n)+\n?(?:^\|.*\n)+", text, re.MULTILINE):
        for needed in ("loo-strict", "code `", "MB"):
            assert needed in block, f"a table without {needed}: {block}"
        assert re.search(r"seconds|s to fit| s a run|total", block), block
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, "a row has more cells than its head"


def test_a_second_run_measures_nothing(
    results: Any, folder: Path, measured: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_given: object) -> str:
        raise AssertionError("everything was measured")

    monkeypatch.setattr(results, "run", never)
    words = ("--cells", measured[0], "--only", "torn,ring", "--protocols", "loo-strict,temporal", "--presets", "fast")
    document = folder / "again.md"
    document.write_text(DOCUMENT, encoding="utf-8")
    assert command(results, monkeypatch, folder, *words, "--seeds", "0,1", "--ablation", "", "--write", document) == 0
    assert "**palate** fast" in document.read_text(encoding="utf-8")


def test_older_code_is_said_and_measured_again_on_request(
    results: Any, measured: tuple[Path, str], tmp_path: Path
) -> None:
    plan = results.Plan(("ring", "torn"), ("loo-strict", "temporal"), ("fast",), (0,), ())
    now = results.Cells(measured[0], results.fingerprint())
    later = results.Cells(measured[0], "another")
    tables = import_module("results_tables").tables
    assert "older code" not in tables(plan, now, {})
    assert "(measured on older code)" in tables(plan, later, {})
    assert now.missing(plan.first(), fresh=False) == []
    assert [cell.data for cell in now.missing(plan.first(), fresh=True)] == ["torn"] * 2, "what failed"
    assert len(later.missing(plan.first(), fresh=True)) == 4
    assert len(results.Cells(tmp_path, "x").missing(plan.first(), fresh=False)) == 4
    assert tables(plan, results.Cells(tmp_path, "x"), {}) == ""


def test_the_code_has_a_fingerprint(results: Any) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}", results.fingerprint())
    assert results.fingerprint() == results.fingerprint()


@pytest.mark.parametrize(
    ("code", "said", "outcome"),
    [
        (2, "palate: no times", {"refused": "no times"}),
        (1, "x\npalate: no memory left\n", {"failed": "no memory left"}),
        (-9, "", {"failed": "ended by signal 9, as happens where memory runs out"}),
        (0, "", {"failed": "what it printed is not JSON"}),
    ],
)
def test_what_came_of_a_process_is_said_in_words(results: Any, code: int, said: str, outcome: dict[str, str]) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.CompletedProcess([], code, stdout="{", stderr=said)
    assert results._outcome(done) == outcome


def test_an_interrupted_run_writes_no_tables_and_goes_on(
    results: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(_data: Path, cell: Any, cells: Any) -> str:
        if cell.protocol == "temporal":
            raise KeyboardInterrupt
        cells.write(cell, 1.0, {"refused": "no"})
        return "refused"

    document = tmp_path / "results.md"
    document.write_text(DOCUMENT, encoding="utf-8")
    monkeypatch.setattr(results, "run", stopped)
    words = ("--cells", tmp_path / "cells", "--only", "ring", "--presets", "fast", "--write", document)
    assert command(results, monkeypatch, folder, *words) == results.INTERRUPTED
    assert document.read_text(encoding="utf-8") == DOCUMENT
    assert "goes on from here" in capsys.readouterr().err
    assert len(list((tmp_path / "cells").iterdir())) == 3


@pytest.mark.parametrize("words", [("--only", "absent"), ("--presets", "nothing"), ("--protocols", "")])
def test_nothing_to_measure_leaves_with_two(
    results: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    given = {"--only": "ring", "--presets": "fast", "--protocols": "loo-strict", words[0]: words[1]}
    assert command(results, monkeypatch, folder, *(word for pair in given.items() for word in pair)) == 2


def test_tables_of_nothing_are_refused(
    results: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "results.md"
    document.write_text(DOCUMENT, encoding="utf-8")
    words = (folder, "--cells", tmp_path / "cells", "--tables", "--write", document)
    assert command(results, monkeypatch, *words) == 1
    assert document.read_text(encoding="utf-8") == DOCUMENT

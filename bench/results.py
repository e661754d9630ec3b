"""Regenerate the tables of docs/results.md: run the cells that are missing, then write.

A cell is one run of ``palate evaluate`` in a process of its own: data x protocol x preset x seed, all models of the
preset beside the engine; an ablation adds cells in which the engine has its first source, its first two, and so on; a
cold cell holds a share of the items out of every fit.
Its JSON is kept, so that a second run goes on where the first one stopped. A cell that fails says so in its file and in
the tables, and the others go on::

    python bench/results.py ../shared/data --write docs/results.md
    python bench/results.py ../shared/data --only beauty --protocols loo-strict --presets fast --seeds 0
    python bench/results.py ../shared/data --tables
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import xxhash

import palate
from palate.core.artefact import write_text
from palate.engine.settings import PRESETS, EngineSettings

DATA = {
    "beauty": "Amazon Beauty 2014 5-core",
    "scientific": "Amazon Industrial & Scientific 5-core",
    "phones": "Amazon Cell Phones 5-core, training part",
    "ml-100k": "MovieLens 100K",
    "ml-1m": "MovieLens 1M",
}
PROTOCOLS = ("loo-strict", "loo-strict+val", "loo-refit", "temporal")
TUNED = ("loo-strict", "temporal")
"""Where single models are tuned on validation; the other protocols report them at their defaults."""
SEVERAL = {"beauty": (0, 1, 2)}
"""Seeds of data whose spread is reported; one elsewhere."""
ABLATED = {"beauty": "loo-strict", "scientific": "loo-strict"}
"""Where sources are added one at a time, and under which protocol."""
COLD = {"beauty": "loo-strict"}
"""Where items are held out of every fit, and under which protocol."""
COLD_SHARE = 0.1
BESIDE = frozenset({"cli", "experiments", "pricing", "privacy", "serving", "simulation"})
"""Rooms that may change without a cell having to be measured again."""
ENTRY = "palate"
NOT_ALLOWED, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Cell:
    """One run.

    Parameters
    ----------
    sources
        The engine's, in an ablation, where only the engine is measured; empty: those of the preset, and all measured.
    cold
        Share of the items held out of every fit; only the engine is measured then.
    """

    data: str
    protocol: str
    preset: str
    seed: int
    sources: tuple[str, ...] = ()
    cold: float = 0.0

    @property
    def name(self) -> str:
        """Of its file, without the ending."""
        step = f".{len(self.sources)}-{self.sources[-1]}" if self.sources else ""
        held_out = f".cold-{self.cold:g}" if self.cold else ""
        return f"{self.data}.{self.protocol}.{self.preset}.{self.seed}{step}{held_out}"

    def told(self) -> dict[str, Any]:
        """Without a share where none is held out, so that cells kept from before there were shares stay valid."""
        told = asdict(self) | {"sources": list(self.sources)}
        return told if self.cold else {name: value for name, value in told.items() if name != "cold"}


@dataclass(frozen=True)
class Cells:
    """Where cells are kept, and the code that new ones are measured on."""

    folder: Path
    code: str

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """What is known of a cell: ``result``, or why there is none in ``refused`` or ``failed``; None: not yet run."""
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{cell.name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if found.get("cell") == cell.told() else None

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """Its figures, None where there are none."""
        result: dict[str, Any] | None = (self.read(cell) or {}).get("result")
        return result

    def code_of(self, cell: Cell) -> str:
        """The mark of the code it was measured on."""
        return str((self.read(cell) or {}).get("code", ""))

    def stale(self, cell: Cell) -> bool:
        """Whether it was measured on other code than this."""
        found = self.read(cell)
        return found is not None and found["code"] != self.code

    def missing(self, cells: Sequence[Cell], fresh: bool) -> list[Cell]:
        """Those to run; with ``fresh`` also those of other code, and those that failed."""
        return [
            cell
            for cell in cells
            if (found := self.read(cell)) is None or (fresh and (found["code"] != self.code or "failed" in found))
        ]

    def write(self, cell: Cell, seconds: float, outcome: dict[str, Any]) -> None:
        told = {"cell": cell.told(), "code": self.code, "seconds": round(seconds, 1), **outcome}
        write_text(self.folder / f"{cell.name}.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n")


@dataclass(frozen=True)
class Plan:
    """Which cells there should be."""

    data: tuple[str, ...]
    protocols: tuple[str, ...]
    presets: tuple[str, ...]
    seeds: tuple[int, ...]
    ablated: tuple[str, ...]
    cold: tuple[str, ...] = ()

    def seeds_of(self, name: str) -> tuple[int, ...]:
        return self.seeds or SEVERAL.get(name, (0,))

    def first(self) -> list[Cell]:
        """Every table, with one seed."""
        return [
            Cell(name, protocol, preset, self.seeds_of(name)[0])
            for name in self.data
            for protocol in self.protocols
            for preset in self.presets
        ]

    def steps(self, name: str, cells: Cells) -> list[Cell]:
        """An ablation: the sources that took part, one more each time, and nothing measured but the engine."""
        protocol = ABLATED.get(name, PROTOCOLS[0])
        whole = Cell(name, protocol, self.presets[-1], self.seeds_of(name)[0])
        measured = cells.result(whole)
        if name not in self.ablated or protocol not in self.protocols or measured is None:
            return []
        used = [source for source in EngineSettings.preset(whole.preset).sources if source in measured["models"]]
        return [Cell(name, protocol, whole.preset, whole.seed, tuple(used[: step + 1])) for step in range(len(used))]

    def held_out(self) -> list[Cell]:
        """Where some of the items are held out of every fit: the last preset, the first seed."""
        return [
            Cell(name, COLD.get(name, PROTOCOLS[0]), self.presets[-1], self.seeds_of(name)[0], cold=COLD_SHARE)
            for name in self.data
            if name in self.cold and COLD.get(name, PROTOCOLS[0]) in self.protocols
        ]

    def others(self) -> list[Cell]:
        """The other seeds."""
        return [
            Cell(name, protocol, preset, seed)
            for name in self.data
            for protocol in self.protocols
            for preset in self.presets
            for seed in self.seeds_of(name)[1:]
        ]


def fingerprint() -> str:
    """Hash (8 hex digits) of palate's own files, without the rooms that no figure of an evaluation passes through."""
    root = Path(palate.__file__).parent
    digest = xxhash.xxh3_64()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        inside = path.relative_to(root)
        if "__pycache__" not in inside.parts and inside.parts[0] not in BESIDE:
            digest.update(inside.as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


def run(data: Path, cell: Cell, cells: Cells) -> str:
    """Measure one cell in a process of its own and keep what came of it; the outcome in a word or two."""
    command = [sys.executable, "-m", "palate", "evaluate", str(data), "--json", "-", "--language", "en"]
    command += ["--protocol", cell.protocol, "--preset", cell.preset, "--seed", str(cell.seed)]
    environment = dict(os.environ)
    if cell.sources:
        command += ["--models", ENTRY]
        environment["PALATE_ENGINE__SOURCES"] = json.dumps(cell.sources)
    elif cell.cold:
        command += ["--models", ENTRY, "--cold-items", f"{cell.cold:g}"]
    elif cell.protocol in TUNED:
        command.append("--tune")
    started = perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    outcome = _outcome(done)
    cells.write(cell, perf_counter() - started, outcome)
    return next(f"{kind}: {said}" if isinstance(said, str) else "measured" for kind, said in outcome.items())


def _outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    said = [line for line in done.stderr.splitlines() if line.strip()]
    last = said[-1].removeprefix("palate: ") if said else "no word why"
    if done.returncode == NOT_ALLOWED:
        return {"refused": last}
    if done.returncode < 0:
        return {"failed": f"ended by signal {-done.returncode}, as happens where memory runs out"}
    if done.returncode:
        return {"failed": last}
    try:
        return {"result": json.loads(done.stdout)}
    except ValueError:
        return {"failed": "what it printed is not JSON"}


def run_all(folder: Path, plan: Plan, cells: Cells, fresh: bool) -> None:
    """What is missing: first every table, then ablations, then items held out, then the other seeds."""

    def stages() -> Iterator[list[Cell]]:
        yield plan.first()
        yield [cell for name in plan.data for cell in plan.steps(name, cells)]
        yield plan.held_out()
        yield plan.others()

    taken: list[float] = []
    for stage in stages():
        wanted = cells.missing(stage, fresh)
        for place, cell in enumerate(wanted):
            left = sum(taken) / len(taken) * (len(wanted) - place) / 60 if taken else 0.0
            _say(f"[{place + 1} of {len(wanted)}] {cell.name}{f', about {left:.0f} min left' if left >= 1 else ''}")
            started = perf_counter()
            _say(f"    {run(folder / cell.data, cell, cells)}")
            taken.append(perf_counter() - started)


def main() -> int:
    """Run what is missing, then print or write the tables."""
    from results_tables import tables, written

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="where the data folders are")
    parser.add_argument("--cells", type=Path, default=Path("out/results"), help="where results of single runs are kept")
    parser.add_argument("--only", default=",".join(DATA), help="data sets, comma-separated")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS), help="protocols, comma-separated")
    parser.add_argument("--presets", default="fast,balanced", help="presets, comma-separated, the smallest first")
    parser.add_argument("--seeds", default="", help="comma-separated; 0,1,2 for beauty and 0 elsewhere if left out")
    parser.add_argument("--ablation", default=",".join(ABLATED), help="data sets whose sources are added one at a time")
    parser.add_argument(
        "--cold", default=",".join(COLD), help="data sets some of whose items are held out of every fit"
    )
    parser.add_argument("--fresh", action="store_true", help="run again what failed or was measured on other code")
    parser.add_argument("--tables", action="store_true", help="run nothing, only write what is there")
    parser.add_argument("--write", type=Path, help="a Markdown file whose tables are replaced between its two marks")
    given = parser.parse_args()
    plan = Plan(
        tuple(name for name in _listed(given.only) if given.tables or _there(given.folder / name)),
        _listed(given.protocols),
        tuple(preset for preset in _listed(given.presets) if _known(preset)),
        tuple(int(seed) for seed in _listed(given.seeds)),
        _listed(given.ablation),
        _listed(given.cold),
    )
    cells = Cells(given.cells, fingerprint())
    if not (plan.data and plan.protocols and plan.presets):
        _say("there is nothing to measure")
        return NOT_ALLOWED
    try:
        if not given.tables:
            run_all(given.folder, plan, cells, given.fresh)
    except KeyboardInterrupt:
        _say("\nstopped; the same command goes on from here")
        return INTERRUPTED
    text = tables(plan, cells, DATA)
    if not text:
        _say(f"no cell of these is in {given.cells}")
        return 1
    if given.write is None:
        sys.stdout.write(text)
    else:
        write_text(given.write, written(given.write.read_text(encoding="utf-8"), text))
    return 0


def _there(folder: Path) -> bool:
    if not folder.is_dir():
        _say(f"{folder} is not there; left out")
    return folder.is_dir()


def _known(preset: str) -> bool:
    if preset not in PRESETS:
        _say(f"there is no preset {preset!r}; left out")
    return preset in PRESETS


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())

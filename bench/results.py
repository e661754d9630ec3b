"""Regenerate the tables of docs/results.md: every data set, every protocol it allows, tuned models beside palate.

A cell is one run of ``palate evaluate`` in a process of its own; its JSON is kept, so that a second run goes on where
the first one stopped::

    python bench/results.py ../shared/data --cells out/results --write docs/results.md
    python bench/results.py ../shared/data --only beauty --protocols loo-strict
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

DATA = {
    "beauty": "Amazon Beauty 2014 5-core",
    "scientific": "Amazon Industrial & Scientific 5-core",
    "phones": "Amazon Cell Phones 5-core, training part",
    "ml-100k": "MovieLens 100K",
    "ml-1m": "MovieLens 1M",
}
PROTOCOLS = ("loo-strict", "loo-strict+val", "loo-refit", "temporal")
START, END = "<!-- tables: begin -->", "<!-- tables: end -->"
COLUMNS = ("recall@10", "ndcg@10", "mrr", "coverage@10", "diversity@10")
TUNED = ("loo-strict", "temporal")
"""Where single models are tuned on validation; the other protocols report them at their defaults."""
NOT_ALLOWED = 2


def main() -> None:
    """Run what is missing, then print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="where the data folders are")
    parser.add_argument("--cells", type=Path, default=Path("out/results"), help="where results of single runs are kept")
    parser.add_argument("--only", default=",".join(DATA), help="data sets, comma-separated")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS), help="protocols, comma-separated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="a Markdown file whose tables are replaced between its two marks")
    options = parser.parse_args()
    options.cells.mkdir(parents=True, exist_ok=True)
    for name in options.only.split(","):
        for protocol in options.protocols.split(","):
            run(options.folder / name, protocol, options.cells / f"{name}.{protocol}.{options.seed}.json", options.seed)
    tables = "\n".join(table(name, options.cells, options.seed) for name in DATA)
    if options.write is None:
        sys.stdout.write(tables)
        return
    text = options.write.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    options.write.write_text(f"{before}{START}\n\n{tables}\n{END}{after}", encoding="utf-8")


def run(data: Path, protocol: str, cell: Path, seed: int) -> None:
    """One cell, unless its result is there already."""
    if cell.is_file():
        return
    command = [sys.executable, "-m", "palate", "evaluate", str(data), "--protocol", protocol, "--seed", str(seed)]
    command += ["--json", str(cell)]
    if protocol in TUNED:
        command.append("--tune")
    sys.stderr.write(f"{data.name} {protocol}\n")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == NOT_ALLOWED:
        refusal = {"refused": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "not allowed"}
        cell.write_text(json.dumps(refusal), encoding="utf-8")
    elif done.returncode:
        raise SystemExit(f"{data.name} {protocol}: exit {done.returncode}\n{done.stderr}")


def table(name: str, cells: Path, seed: int) -> str:
    """A data set's tables as Markdown, one a protocol."""
    parts = []
    for protocol in PROTOCOLS:
        cell = cells / f"{name}.{protocol}.{seed}.json"
        if not cell.is_file():
            continue
        found = json.loads(cell.read_text(encoding="utf-8"))
        if "refused" in found:
            parts.append(f"`{protocol}`: not possible. {found['refused']}\n")
        else:
            parts.append(_rows(protocol, found))
    return f"## {DATA[name]}\n\n" + "\n".join(parts) if parts else ""


def _rows(protocol: str, found: dict[str, Any]) -> str:
    size, seconds = found["dataset"], found["seconds"]
    lines = [
        f"`{protocol}`: {found['queries']:,} questions; {size['users']:,} users, {size['items']:,} items, "
        f"{size['events']:,} events; seconds: "
        + ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items())
        + f"{' (fit includes tuning)' if protocol in TUNED else ''}; peak {found['peak_rss_mb']:.0f} MB.\n",
        "| model | Recall@10 | NDCG@10 (95 %) | MRR | coverage@10 | diversity@10 |",
        "|---|---|---|---|---|---|",
    ]
    ranked = sorted(found["models"].items(), key=lambda entry: -entry[1]["ndcg@10"])
    for model, measured in ranked:
        low, high = measured["ci95"]["ndcg@10"]
        values = [measured.get(column) for column in COLUMNS]
        told = [_figure(value) for value in values]
        told[1] = f"{told[1]} ({_figure(low)}-{_figure(high)})"
        lines.append(f"| {f'**{model}**' if model == 'palate' else model} | " + " | ".join(told) + " |")
    lines.append("")
    for comparison in found.get("comparisons", []):
        if comparison["best_single"] and comparison["measure"] == "ndcg@10":
            low, high = comparison["relative_ci95"]
            lines.append(
                f"palate against {comparison['baseline']} (the collaborative model best on validation), NDCG@10: "
                f"{comparison['relative']:+.1%} ({low:+.1%} to {high:+.1%}), paired.\n"
            )
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".lstrip("0") if abs(value) < 1 else f"{value:.4f}"


if __name__ == "__main__":
    main()

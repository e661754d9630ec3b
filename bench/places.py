"""Next place: how often the answer is right, against other models, and how long it takes from the file to the answer.

python bench/places.py ../shared/data/nyc --json places.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from palate.core.artefact import write_text
from palate.core.threads import limit_threads, threads
from palate.evaluation import evaluate
from palate.evaluation.result import plain

MODELS = ("places", "repeats", "transitions", "popularity", "gru4rec", "lstm")
MEASURES = {"hit@1": "Acc@1", "hit@5": "Acc@5", "hit@10": "Acc@10", "mrr": "MRR"}


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="check-ins: events.* and items.* with lat, lon and category")
    parser.add_argument(
        "--models", default=",".join(MODELS), help="comma-separated; the first is held against the rest"
    )
    parser.add_argument("--cases", type=Path, help="questions that somebody else wrote; instead of the last outings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    limit_threads()
    names = given.models.split(",")
    alone = once(given.folder, names[:1], given)
    found = {"threads": threads(), "alone": alone, "compared": once(given.folder, names, given) if names[1:] else alone}
    show(found)
    if given.json is not None:
        write_text(given.json, json.dumps(plain(found), indent=2) + "\n")


def once(folder: Path, names: list[str], given: argparse.Namespace) -> dict[str, Any]:
    """Figures of some models, with the seconds by the clock and of the processor that everything took."""
    wall, own = time.perf_counter(), time.process_time()
    protocol = "trajectories" if given.cases is None else "cases"
    evaluation = evaluate(folder, protocol=protocol, models=names, seed=given.seed, seen="keep", cases=given.cases)
    seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - own, **evaluation.seconds}
    compared = [record for record in evaluation.comparisons if record["measure"] in MEASURES]
    return {
        "protocol": protocol,
        "questions": evaluation.queries,
        "models": evaluation.models,
        "comparisons": compared,
        "seconds": seconds,
        "notes": list(evaluation.notes),
    }


def show(found: dict[str, Any]) -> None:
    """A table a model, then how sure the difference is."""
    for note in found["compared"]["notes"]:
        print(note)
    for name, figures in found["compared"]["models"].items():
        cells = [
            f"{label} {figures[measure]:.4f} [{figures['ci95'][measure][0]:.4f}, {figures['ci95'][measure][1]:.4f}]"
            for measure, label in MEASURES.items()
        ]
        print(f"{name:12} {'  '.join(cells)}")
    for record in found["compared"]["comparisons"]:
        low, high = record["ci95"]
        print(
            f"{record['model']} - {record['baseline']}: {MEASURES[record['measure']]} {record['difference']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}], p {record['p_holm']:.4f}"
        )
    seconds = found["alone"]["seconds"]
    print(
        f"file to answers, {next(iter(found['alone']['models']))} alone, {found['threads']} threads: "
        f"{seconds['wall']:.1f} s by the clock, {seconds['processor']:.1f} s of the processor"
    )


if __name__ == "__main__":
    main()

"""What text that was taught the shop adds to the fused engine: the same engine with and without it, paired.

Every other source is fitted once and shared, under ``loo-strict`` or ``temporal``; rankers are taught for each::

    python bench/taught_source.py ../shared/data/beauty --preset balanced --json out/taught_source.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from palate.core import Float64Array, Scorer
from palate.core.artefact import write_text
from palate.data import Dataset
from palate.engine import Engine
from palate.engine.assembly import assemble, fit_model, reader
from palate.engine.settings import PRESETS, EngineSettings
from palate.evaluation.answers import by_lists
from palate.evaluation.protocols import plan
from palate.measure import accuracy, compare
from palate.models.semantic_tuned import SemanticTuned

TAUGHT = SemanticTuned.name


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", choices=list(PRESETS), default="balanced")
    parser.add_argument("--protocol", choices=["loo-strict", "temporal"], default="loo-strict")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", action="store_true", help="measure on validation questions, not on the test")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measured(options.folder, options.preset, options.protocol, options.seed, on_validation=options.validation)
    print(json.dumps(found, indent=1))
    if options.json is not None:
        write_text(options.json, json.dumps(found, indent=1))


def measured(folder: Path, preset: str, protocol: str, seed: int, *, on_validation: bool) -> dict[str, Any]:
    """N@10 and R@10 with and without, the paired difference, and the seconds that the taught source takes."""
    trial = plan(Dataset.load(folder), protocol)
    asked = trial.validation if on_validation else trial.test
    assert asked is not None
    base = EngineSettings.preset(preset)
    others = tuple(name for name in base.sources if name != TAUGHT)
    encoder = reader(trial.train, base, [])
    fitted: dict[tuple[str, str], Scorer[Dataset]] = {}
    seconds = 0.0

    def fit(name: str, settings: EngineSettings, encoder: Any, dataset: Dataset, **going_on: Any) -> Scorer[Dataset]:
        nonlocal seconds
        key = name, dataset.fingerprint
        if key not in fitted:
            started = perf_counter()
            fitted[key] = fit_model(name, settings, encoder, dataset, **going_on)
            seconds += (perf_counter() - started) * (name == TAUGHT)
        return fitted[key]

    columns: dict[str, Mapping[str, Float64Array]] = {}
    for label, names in (("without", others), ("with", (*others, TAUGHT))):
        settings = base.model_copy(update={"sources": names})
        assembled = assemble(
            trial.train,
            settings,
            seed=seed,
            encoder=encoder,
            fit=fit,
            inner=trial.inner,
            validation=None if on_validation else trial.validation,
        )
        answers = by_lists(Engine(trial.train, settings, assembled).rank, asked, label)
        columns[label] = accuracy(answers.items, asked.targets)
    found: dict[str, Any] = {
        "data": folder.name,
        "preset": preset,
        "protocol": protocol,
        "seed": seed,
        "questions": "validation" if on_validation else "test",
        "queries": len(asked),
        "taught_seconds": round(seconds, 1),
    }
    for measure in ("ndcg@10", "recall@10"):
        own, other = columns["with"][measure], columns["without"][measure]
        outcome = compare(own, other, asked.users, seed=seed)[0]
        found[measure] = {
            "without": float(other.mean()),
            "with": float(own.mean()),
            "relative": outcome.relative.estimate,
            "ci95": [outcome.relative.low, outcome.relative.high],
            "p": outcome.p,
        }
    return found


if __name__ == "__main__":
    main()

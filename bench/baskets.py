"""Baskets of Online Retail: rules and how long they take, baskets completed, and what people come back to.

python bench/baskets.py ../shared/data --json out/baskets.json
python bench/baskets.py ../shared/data --tuned --engine fast --json out/baskets.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.core import Scorer
from palate.core.artefact import write_text
from palate.data import Baskets, Dataset
from palate.data.invoices import online_retail
from palate.engine import Engine
from palate.evaluation.answers import Answers, by_scores
from palate.evaluation.comparison import comparisons
from palate.evaluation.contenders import COLLABORATIVE, ENTRY, gather
from palate.evaluation.metrics import Yardstick, figures, per_question
from palate.evaluation.protocols import Trial, plan
from palate.evaluation.result import plain
from palate.models.association import AssociationSettings, mined
from palate.models.repeats import Repeats

SINGLES = ("baskets", "popularity", "item_knn", "ease", "transitions", "repeats")
SUPPORT = 0.005
OWN = "baskets"


def measured(folder: Path, tuned: bool, preset: str | None) -> dict[str, Any]:
    """Everything, of one reading of the file."""
    dataset = online_retail(folder / "online-retail")
    return {
        "rules": rules(dataset),
        "temporal-baskets": completed(dataset, "temporal-baskets", tuned, preset),
        "temporal": completed(dataset, "temporal", tuned, preset),
        "repeats": came_back(dataset),
    }


def rules(dataset: Dataset) -> dict[str, Any]:
    """Rules of all lengths at half a percent, and the seconds from the dataset to them."""
    own = AssociationSettings(support=SUPPORT, longest=9)
    started, busy = time.perf_counter(), time.process_time()
    baskets = Baskets.of(dataset)
    found = mined(baskets, dataset.n_items, own)
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    return {
        "baskets": len(baskets),
        "support": SUPPORT,
        "rules": len(found),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "best": found.best("leverage", 10).records(dataset.catalogue.titles),
    }


def completed(dataset: Dataset, protocol: str, tuned: bool, preset: str | None) -> dict[str, Any]:
    """Figures of single models, and of the engine where a preset is given, and the baskets' model against each."""
    trial = plan(dataset, protocol)
    models = [ENTRY, *SINGLES] if preset else list(SINGLES)
    contenders = gather(
        trial,
        models,
        preset=preset or "fast",
        seed=0,
        tuned=tuned,
        fit_engine=Engine.fit,
        classes=COLLABORATIVE,
    )
    answers = {name: by_scores(model.score, trial.test, name) for name, model in contenders.singles.items()}
    if contenders.engine is not None and preset:
        answers[ENTRY] = by_scores(contenders.engine.score, trial.test, ENTRY)  # type: ignore[attr-defined]
    own = ENTRY if preset else OWN
    return {
        **_compared(trial, answers, own),
        "validation": contenders.validation,
        "fit_seconds": round(contenders.seconds["fit"], 1),
        "notes": trial.notes,
    }


def came_back(dataset: Dataset) -> dict[str, Any]:
    """What is due first against the newest and most frequent first, on what people do next."""
    trial = plan(dataset, "temporal")
    due = Repeats().fit(trial.train)
    weights = {name: array for name, array in due.arrays().items() if name.startswith("weights")}
    models: Mapping[str, Scorer[Dataset]] = {"due": due, "newest and most frequent": Repeats().restore(weights)}
    answers = {name: by_scores(model.score, trial.test, name) for name, model in models.items()}
    return _compared(trial, answers, "due")


def _compared(trial: Trial, answers: Mapping[str, Answers], own: str) -> dict[str, Any]:
    yardstick = Yardstick(trial.learnt, trial.test.targets, trial.test.users)
    tables = {name: per_question(given, yardstick) for name, given in answers.items()}
    told = figures(tables, {name: {} for name in tables}, trial.test.users, 0)
    return {
        "questions": len(trial.test),
        "seen": trial.seen,
        "models": {
            name: {measure: values[measure] for measure in ("ndcg@10", "recall@10", "mrr")}
            | {"ci95": values["ci95"]["ndcg@10"]}  # type: ignore[index]
            for name, values in told.items()
        },
        "paired": [
            {key: record[key] for key in ("baseline", "difference", "ci95", "relative", "p_holm")}
            for record in comparisons(tables, own, None, trial.test.users)
            if record["measure"] == "ndcg@10"
        ],
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tuned", action="store_true", help="tune single models on validation first")
    parser.add_argument("--engine", metavar="PRESET", help="measure the fused engine too")
    parser.add_argument("--json", type=Path, help="where the figures go; the terminal where not given")
    own = parser.parse_args()
    text = json.dumps(plain(measured(own.data, own.tuned, own.engine)), ensure_ascii=False, indent=2)
    if own.json is None:
        print(text)
    else:
        write_text(own.json, text + "\n")


if __name__ == "__main__":
    main()

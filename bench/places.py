"""Next place: how often the answer is right, against other models, and how long it takes from the file to the answer.

    python bench/places.py ../shared/data/nyc --models places,gru4rec,lstm --json places.json
    python bench/places.py ../shared/data/nyc --cases questions.jsonl --json cases.json

The model named first is held against the rest, question by question. With ``--kept FOLDER`` what each model answered
stays there, so that a run goes on where it stopped and models can be asked one after the other; ``--epochs`` bounds
networks where time is short, and stands in the figures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palate.core import ArtefactError, UsageError, artefact
from palate.core.artefact import Artefact, write_text
from palate.core.recommender import fitted
from palate.core.threads import limit_threads, threads
from palate.data import Dataset
from palate.evaluation.answers import by_scores
from palate.evaluation.comparison import comparisons
from palate.evaluation.metrics import Columns, Yardstick, figures, per_question
from palate.evaluation.protocols import Trial, plan
from palate.evaluation.result import plain
from palate.models import ALONE

MODELS = ("places", "repeats", "transitions", "popularity", "gru4rec", "lstm")
MEASURES = {"hit@1": "Acc@1", "hit@5": "Acc@5", "hit@10": "Acc@10", "mrr": "MRR"}
KIND = "places"


@dataclass(frozen=True)
class Seconds:
    """By the clock, and of the processor (all threads together)."""

    wall: float
    processor: float

    @classmethod
    def of(cls, work: Callable[[], Any]) -> tuple[Any, Seconds]:
        """What work gives, and what it took."""
        wall, own = time.perf_counter(), time.process_time()
        given = work()
        return given, cls(time.perf_counter() - wall, time.process_time() - own)

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.processor + other.processor)


@dataclass(frozen=True)
class Outcome:
    """What one model made of the questions, with the epochs that its network saw; None: it is no network."""

    columns: Columns
    seconds: Seconds
    epochs: int | None


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="check-ins: events.* and items.* with lat, lon and category")
    parser.add_argument(
        "--models", default=",".join(MODELS), help="comma-separated; the first is held against the rest"
    )
    parser.add_argument("--cases", type=Path, help="questions that somebody else wrote; instead of the last outings")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of networks at most; 0: as their settings say")
    parser.add_argument("--kept", type=Path, help="where answers stay, and are found again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    limit_threads()
    protocol = "trajectories" if given.cases is None else "cases"
    trial, read = Seconds.of(
        lambda: plan(Dataset.load(given.folder), protocol, seen="keep", cases=given.cases),
    )
    outcomes = {name: outcome(name, trial, read, given) for name in given.models.split(",")}
    tables = {name: own.columns for name, own in outcomes.items()}
    first, users = next(iter(tables)), trial.test.users
    found = {
        "threads": threads(),
        "protocol": protocol,
        "questions": len(trial.test),
        "models": figures(tables, {name: {} for name in tables}, users, given.seed),
        "seconds": {name: vars(own.seconds) for name, own in outcomes.items()},
        "epochs": {name: own.epochs for name, own in outcomes.items() if own.epochs is not None},
        "comparisons": [
            record for record in comparisons(tables, first, None, users, given.seed) if record["measure"] in MEASURES
        ],
        "notes": list(trial.notes),
    }
    show(found)
    if given.json is not None:
        write_text(given.json, json.dumps(plain(found), indent=2) + "\n")


def outcome(name: str, trial: Trial, read: Seconds, given: argparse.Namespace) -> Outcome:
    """What a model answers: as it is kept, or fitted and asked now; ``read`` is what came before."""
    if name not in ALONE:
        raise UsageError(f"unknown model {name!r}; known here: {', '.join(ALONE)}")
    settings = ALONE[name]().settings
    network = "epochs" in type(settings).model_fields
    bounded = {"epochs": given.epochs} if network and given.epochs else {}
    settings = settings.model_copy(update={**bounded, **({"seed": given.seed} if hasattr(settings, "seed") else {})})
    asked = {
        "questions": [trial.name, len(trial.test), trial.learnt.n_events],
        "settings": settings.model_dump(mode="json"),
    }
    place = None if given.kept is None else given.kept / f"{trial.name}-{name}"
    if place is not None and (kept := _kept(place, asked)) is not None:
        return kept
    print(f"{name}: fit and ask", flush=True)

    def answered() -> tuple[Any, Any]:
        model = fitted(ALONE[name](settings), trial.learnt, lambda _what, _share: None)
        return model, by_scores(model.score, trial.test, name)

    (model, answers), own = Seconds.of(answered)
    columns = per_question(answers, Yardstick(trial.learnt, trial.test.targets, trial.test.users))
    made = Outcome(columns, read + own, model.epochs if network else None)
    if place is not None:
        told = {"asked": asked, "seconds": vars(made.seconds), "epochs": made.epochs}
        artefact.write(Artefact(KIND, told, {"columns": columns}), place)
    return made


def _kept(place: Path, asked: dict[str, Any]) -> Outcome | None:
    """What was answered before to the same questions with the same settings."""
    try:
        found = artefact.read(place, KIND)
    except ArtefactError:
        return None
    if found.manifest["asked"] != asked:
        return None
    columns = {name: column.astype(float) for name, column in found.arrays["columns"].items()}
    return Outcome(columns, Seconds(**found.manifest["seconds"]), found.manifest["epochs"])


def show(found: dict[str, Any]) -> None:
    """A table a model, then how sure the difference is."""
    for note in found["notes"]:
        print(note)
    for name, own in found["models"].items():
        cells = [
            f"{label} {own[measure]:.4f} [{own['ci95'][measure][0]:.4f}, {own['ci95'][measure][1]:.4f}]"
            for measure, label in MEASURES.items()
        ]
        seconds = found["seconds"][name]
        epochs = f", {found['epochs'][name]} epochs" if name in found["epochs"] else ""
        print(f"{name:12} {'  '.join(cells)}")
        print(
            f"{'':12} file to answers, {found['threads']} threads: {seconds['wall']:.1f} s by the clock, "
            f"{seconds['processor']:.1f} s of the processor{epochs}"
        )
    for record in found["comparisons"]:
        low, high = record["ci95"]
        print(
            f"{record['model']} - {record['baseline']}: {MEASURES[record['measure']]} {record['difference']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}], p {record['p_holm']:.4f}"
        )


if __name__ == "__main__":
    main()

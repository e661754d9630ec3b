"""How soon palate's sequential model is as good as RecBole's SASRec gets, in processor seconds of one thread.

    python bench/against_recbole.py ../shared/data/beauty --out out/recbole --json recbole.json
    python bench/against_recbole.py ../shared/data/beauty --out out/recbole --as-it-stands

Both learn what lies before each user's last two events and, after every epoch, rank the whole catalogue for the last
event but one (N@10, seen items not masked: RecBole masks none for sequential models). RecBole 1.2.1 trains SASRec with
its own loss over all items (64 wide, 2 layers, 50 events, batches of 2048, else its defaults), palate its model
``sequential`` at its defaults. Each is a process of its own with one thread, both start together, and everything
counts: imports, reading files, encoding texts (no vector is remembered), validation. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from palate.core import DataError, PalateError
from palate.core.artefact import write_text
from palate.core.threads import limit_threads
from palate.data import Dataset, Fold
from palate.engine.assembly import reader
from palate.engine.settings import EngineSettings
from palate.evaluation.protocols import plan
from palate.measure.ranking import accuracy
from palate.models.neural.course import Course
from palate.models.sequential import Sequential

if TYPE_CHECKING:
    from palate.models.neural.network import SequenceNetwork
    from palate.training.loop import Trained

STARTED = time.perf_counter()
HERE = Path(__file__).resolve().parent
NAME = "events"
MEASURE = "ndcg@10"

TORCH = ("torch==2.13.0+cpu", "--extra-index-url", "https://download.pytorch.org/whl/cpu")
RECBOLE = "recbole==1.2.1"
NEEDED = (
    *("numpy==1.26.4", "pandas<3", "scipy<1.16", "scikit-learn<1.8", "tensorboard", "tqdm", "pyyaml", "safetensors"),
    *("colorlog==4.7.2", "colorama==0.4.4", "texttable", "psutil", "setuptools<80"),
)
"""What its sequential models import, and no more: its own list asks for ray and three other frameworks."""

Epochs = Sequence[Mapping[str, float]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="data as `palate train` reads it")
    parser.add_argument("--out", type=Path, default=Path("out/recbole"), help="what goes on is kept here")
    parser.add_argument("--environment", type=Path, help="RecBole's own, made where it is missing [OUT/environment]")
    parser.add_argument("--epochs", type=int, default=24, help="of RecBole")
    parser.add_argument("--as-it-stands", action="store_true", help="train nothing, compare what there is")
    parser.add_argument("--palate-alone", action="store_true", help="measure palate in this process, compare nothing")
    parser.add_argument("--json", type=Path, help="write the result here too")
    arguments = parser.parse_args()
    if arguments.palate_alone:
        with tempfile.TemporaryDirectory() as nothing:
            os.environ["PALATE_CACHE"] = nothing  # nothing is remembered: neither vectors nor half a training
            measure_palate(arguments.folder, arguments.out)
        return 0
    if not arguments.as_it_stands:
        run_both(arguments.folder, arguments.out, arguments.environment, arguments.epochs)
    recbole, palate = (told(arguments.out / name) for name in ("epochs.json", "palate.json"))
    text = json.dumps(compared(recbole, palate, arguments.epochs), indent=2)
    sys.stdout.write(text + "\n")
    if arguments.json:
        write_text(arguments.json, text)
    return 0


def run_both(folder: Path, out: Path, environment: Path | None, epochs: int) -> None:
    """Train both from where they are, side by side."""
    python = prepared(environment or out / "environment")
    events = out / "data" / NAME / f"{NAME}.inter"
    if not events.is_file():
        write_text(events, interactions(Dataset.load(folder)))
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # -P: what stands beside the script is not what it imports.
    side = [str(python), "-P", str(HERE / "sasrec_of_recbole.py"), str(out / "data"), NAME, str(out)]
    with (out / "recbole.log").open("a") as log:
        theirs = subprocess.Popen([*side, "--epochs", str(epochs)], env=os.environ | single, stdout=log, stderr=log)
        try:
            if not (out / "palate.json").is_file() or not told(out / "palate.json")["ended"]:
                own = [sys.executable, __file__, str(folder), "--out", str(out), "--palate-alone"]
                subprocess.run(own, env=os.environ | {"PALATE_THREADS": "1", "POLARS_MAX_THREADS": "1"}, check=True)
            if theirs.wait():
                raise DataError(f"RecBole stopped with an error; {out / 'recbole.log'} says which")
        finally:
            theirs.terminate()


def prepared(environment: Path) -> Path:
    """The interpreter of RecBole's environment, which is made where it is missing or incomplete."""
    python = environment / "bin" / "python"
    needed = "import recbole.trainer, recbole.data, safetensors.torch"
    if python.is_file() and not subprocess.run([python, "-c", needed], check=False, capture_output=True).returncode:
        return python
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *TORCH], check=True)
    subprocess.run([*install, *NEEDED], check=True)
    subprocess.run([*install, "--no-deps", RECBOLE], check=True)
    return python


def interactions(dataset: Dataset) -> str:
    """Events of interest in RecBole's format, the place in the history for a time."""
    sequences = dataset.sequences
    columns = {
        "user_id:token": np.asarray(dataset.user_ids.names)[sequences.rows],
        "item_id:token": np.asarray(dataset.item_ids.names)[sequences.items],
        "timestamp:float": np.arange(len(sequences.items)) - sequences.indptr[:-1][sequences.rows],
    }
    return pl.DataFrame(columns).write_csv(separator="\t")


def measure_palate(folder: Path, out: Path) -> None:
    """Train ``sequential`` at its defaults; after each epoch ``OUT/palate.json`` tells what it took and what it is."""
    limit_threads()
    trial = plan(Dataset.load(folder), "loo-strict")
    if trial.validation is None:
        raise DataError("nobody has the three events that a validation needs")
    settings = EngineSettings()
    encoder = reader(trial.train, settings, [])
    model = Watched(settings.models.sequential, encoder, trial.validation, out / "palate.json")
    model.fit(trial.train)
    model.tell(ended=True)


class Watched(Sequential):
    """The sequential model, asked after each epoch of its training.

    Parameters
    ----------
    questions
        What it is asked, and the answers.
    out
        Where the figures are written after each epoch.
    """

    def __init__(self, settings: Any, encoder: Any, questions: Fold, out: Path) -> None:
        super().__init__(settings, encoder)
        self._questions = replace(questions, queries=replace(questions.queries, mask_seen=False, k=10))
        self._out = out
        self._before = (0.0, 0.0)
        self._told: list[dict[str, float]] = []

    def tell(self, *, ended: bool) -> None:
        found = {"loaded": self._before, "users": len(self._questions), "ended": ended, "epochs": self._told}
        write_text(self._out, json.dumps(found, indent=1))

    def _teach(self, reader: SequenceNetwork, course: Course, n_items: int) -> Trained:
        self._before = clock()

        def ask(_words: str, _share: float) -> None:
            from palate.models.neural.network import vectors_of

            trained = clock()
            reader.eval()
            self._reader, (self._vectors, self._said) = reader, vectors_of(reader)
            answered = self.recommend(self._questions.queries)
            figure = accuracy(answered.items, self._questions.targets, (10,))[MEASURE].mean()
            spent = clock()
            self._told.append(
                {
                    MEASURE: float(figure),
                    "processor_seconds": spent[0],
                    "wall_seconds": spent[1],
                    "of_which_validation": spent[0] - trained[0],
                }
            )
            self.tell(ended=False)

        return super()._teach(reader, replace(course, progress=ask), n_items)


def clock() -> tuple[float, float]:
    """Processor and wall seconds of this process."""
    return time.process_time(), time.perf_counter() - STARTED


def told(path: Path) -> dict[str, Any]:
    """What a side has told so far.

    Raises
    ------
    DataError
        Nothing yet.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there yet: no epoch has ended. Leave out --as-it-stands, or wait.")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def compared(recbole: Mapping[str, Any], palate: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """RecBole's best epoch among the first so many, and palate's first that is as good.

    Raises
    ------
    DataError
        The sides did not answer the same users.
    """
    if recbole["users"] != palate["users"]:
        raise DataError(f"RecBole answered {recbole['users']:,} users and palate {palate['users']:,}: not comparable")
    theirs, ours = recbole["epochs"][:epochs], palate["epochs"]
    best = max(range(len(theirs)), key=lambda place: theirs[place][MEASURE])
    reached = next((place for place, epoch in enumerate(ours) if epoch[MEASURE] >= theirs[best][MEASURE]), None)
    result: dict[str, Any] = {
        "users": recbole["users"],
        "whole": len(theirs) == epochs,
        "recbole": {"epochs": len(theirs), **_at(recbole, best)},
        "palate": None if reached is None else _at(palate, reached),
        "palate_best": max(epoch[MEASURE] for epoch in ours),
    }
    if reached is not None:
        names = ("processor_seconds", "processor_seconds_without_validation", "wall_seconds")
        result["times_faster"] = {name: result["recbole"][name] / result["palate"][name] for name in names}
    return result


def _at(side: Mapping[str, Any], place: int) -> dict[str, float]:
    """A side at the end of one of its epochs."""
    epochs: Epochs = side["epochs"]
    spent = epochs[place]["processor_seconds"]
    return {
        "epoch": place + 1,
        MEASURE: epochs[place][MEASURE],
        "processor_seconds": spent,
        "processor_seconds_without_validation": spent
        - sum(epoch["of_which_validation"] for epoch in epochs[: place + 1]),
        "processor_seconds_before_training": side["loaded"][0],
        "wall_seconds": epochs[place]["wall_seconds"],
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PalateError as error:
        sys.exit(f"against_recbole: {error}")

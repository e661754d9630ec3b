"""SASRec as RecBole trains it, epoch by epoch: what ``against_recbole.py`` runs in RecBole's own environment.

    python sasrec_of_recbole.py FOLDER NAME OUT --epochs 24

``FOLDER/NAME/NAME.inter`` holds the events. After each epoch ``OUT/epochs.json`` tells processor seconds, wall seconds
and N@10 of each user's last event but one, since the start of the first process; a run that was stopped goes on from
its last whole epoch, and neither what was lost nor the second loading counts. Nothing is pickled.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=24)
    arguments = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole reads settings from there
    folder, out = arguments.folder.resolve(), arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(out)  # RecBole writes logs into the working folder

    import torch

    torch.set_num_threads(1)
    run = Run(folder, arguments.name, out)
    run.resume()
    while run.done < arguments.epochs:
        run.epoch()
    return 0


class Run:
    """A training as far as it has come, with what it took."""

    def __init__(self, folder: Path, name: str, out: Path) -> None:
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.trainer import Trainer
        from recbole.utils import get_model, init_seed

        config = Config(model="SASRec", dataset=name, config_dict=settings(folder))
        init_seed(config["seed"], config["reproducibility"])
        self.train, self.valid, _ = data_preparation(config, create_dataset(config))
        self.model = get_model("SASRec")(config, self.train.dataset)
        self.trainer = Trainer(config, self.model)
        self.out = out
        self.epochs: list[dict[str, float]] = []
        self.loaded = self._clock((0.0, 0.0))
        self.before = (0.0, 0.0)

    @property
    def done(self) -> int:
        return len(self.epochs)

    def epoch(self) -> None:
        """One epoch and its validation, kept once both are done."""
        loss = self.trainer._train_epoch(self.train, self.done, show_progress=True)
        trained = self._clock(self.before)
        figure, _ = self.trainer._valid_epoch(self.valid)
        spent = self._clock(self.before)
        self.epochs.append(
            {
                "ndcg@10": float(figure),
                "loss": float(loss) / len(self.train),
                "processor_seconds": spent[0],
                "wall_seconds": spent[1],
                "of_which_validation": spent[0] - trained[0],
            }
        )
        self._save()
        sys.stdout.write(json.dumps({"epoch": self.done, **self.epochs[-1]}) + "\n")
        sys.stdout.flush()

    def resume(self) -> None:
        """Go on from the last whole epoch, if there was one."""
        import torch
        from safetensors import safe_open

        if not self._checkpoint.is_file():
            return
        with safe_open(self._checkpoint, framework="pt") as file:
            told = json.loads(file.metadata()["told"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        parts: dict[str, dict[str, Any]] = {"model": {}, "adam": {}, "drawn": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = value
        self.model.load_state_dict(parts["model"])
        state: dict[int, dict[str, Any]] = {}
        for name, value in parts["adam"].items():
            place, _, what = name.partition("/")
            state.setdefault(int(place), {})[what] = value
        optimizer = self.trainer.optimizer
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        torch.set_rng_state(parts["drawn"]["dropout"])
        self.train.generator.set_state(parts["drawn"]["order"])
        self.epochs, last = told["epochs"], told["epochs"][-1]
        now, self.loaded = self._clock((0.0, 0.0)), tuple(told["loaded"])
        self.before = (last["processor_seconds"] - now[0], last["wall_seconds"] - now[1])

    def _save(self) -> None:
        import torch
        from safetensors.torch import save_file

        adam = self.trainer.optimizer.state_dict()["state"]
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"adam/{place}/{name}": value for place, own in adam.items() for name, value in own.items()}
        tensors |= {"drawn/dropout": torch.get_rng_state(), "drawn/order": self.train.generator.get_state()}
        told = {
            "loaded": self.loaded,
            "epochs": self.epochs,
            "threads": torch.get_num_threads(),
            "users": len(self.valid._dataset),
        }
        scratch = self._checkpoint.with_suffix(".part")
        save_file({name: value.contiguous() for name, value in tensors.items()}, scratch, {"told": json.dumps(told)})
        scratch.replace(self._checkpoint)
        scratch = self.out / "epochs.part"
        scratch.write_text(json.dumps(told, indent=1), encoding="utf-8")
        scratch.replace(self.out / "epochs.json")

    @property
    def _checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    @staticmethod
    def _clock(before: tuple[float, float]) -> tuple[float, float]:
        """Processor and wall seconds, in all, of this process and those before."""
        return before[0] + time.process_time(), before[1] + time.perf_counter() - STARTED


def settings(folder: Path) -> dict[str, Any]:
    """Of RecBole; what is not named here is its default."""
    return {
        "data_path": str(folder),
        "checkpoint_dir": "saved",
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "MAX_ITEM_LIST_LENGTH": 50,
        "hidden_size": 64,
        "n_layers": 2,
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "train_batch_size": 2048,
        "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
        "metrics": ["NDCG"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "metric_decimal_place": 6,
        "use_gpu": False,
        "show_progress": False,
        "state": "WARNING",
    }


if __name__ == "__main__":
    sys.exit(main())

"""One loop that trains: epochs that can be stopped and resumed, kept only while validation gains.

Everything drawn in an epoch is drawn from (seed, epoch), so a run that was killed and goes on from its last checkpoint
ends where the uninterrupted one does.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from palate.core import DataError, UsageError
from palate.core.artefact import Artefact, read, write
from palate.core.errors import ArtefactError
from palate.core.numbers import or_nan
from palate.training.checkpoints import forget
from palate.training.settings import Report, TrainingSettings

Batches = Callable[[int, np.random.Generator], Iterator[Any]]
"""The batches of an epoch, drawn by its generator."""

Loss = Callable[[Any, torch.Generator], Tensor]
"""The mean loss of a batch; what is sampled is drawn by the generator."""

Pace = Callable[[str], float]
"""How fast a parameter of that name learns, as a factor of the learning rate."""

SLACK = 0.02
"""An epoch as good as the best, up to this share, takes its place: validation is noisy, and what was learnt at a lower
rate is the better guess."""

SIZES = ("cells", "batch", "window", "width")
"""Settings that memory grows with, by the names they have wherever they are; the cheapest to lower first."""

SAVE_EVERY = 20.0
"""Seconds between two checkpoints; what trains faster than this needs none."""


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Parameters
    ----------
    epoch
        The epoch (from 1) whose weights were kept; 0: none was better than the start.
    quality
        Its figure on validation; NaN where nothing was validated.
    history
        (loss, validation figure, seconds) of each epoch.
    """

    epoch: int
    quality: float
    history: tuple[tuple[float, float, float], ...]


def train(
    network: nn.Module,
    *,
    batches: Batches,
    steps: int,
    loss: Loss,
    validate: Callable[[], float] | None,
    settings: TrainingSettings,
    ends: int | None = None,
    checkpoint: Path | None = None,
    progress: Report | None = None,
    pace: Pace | None = None,
    stepped: Callable[[int], None] | None = None,
) -> Trained:
    """Train in place and leave the network with the best weights found, in evaluation mode.

    Parameters
    ----------
    steps
        Batches of an epoch, about; they set the course of the learning rate.
    validate
        Quality of the network as it stands, higher is better; None: the last epoch is kept.
    ends
        Epoch after which training ends; as settings and validation decide where None.
    checkpoint
        Folder in which the run is kept while it goes on, removed at its end; None: not kept.
    pace
        Learning rate of a parameter by its name, as a factor; 1 for all where None.
    stepped
        Called with the number of steps taken, after each one, while its gradients still stand.

    Raises
    ------
    DataError
        The loss is no number any more; the message names epoch and batch.
    UsageError
        Memory ran out; the message names the setting to lower.
    """
    run = _Run(network, settings, max(steps, 1), pace or (lambda _: 1.0), stepped or (lambda _: None))
    if checkpoint is not None:
        run.resume(checkpoint)
        forget(checkpoint)
    saved, started = time.monotonic(), time.monotonic()
    first = run.epoch
    last = settings.epochs if ends is None else min(ends, settings.epochs)
    while run.epoch < last and run.epoch - run.best_epoch < settings.patience:
        begun = time.monotonic()
        mean = run.one_epoch(batches, loss)
        quality = _validated(network, validate)
        run.keep(mean, quality, time.monotonic() - begun)
        if progress is not None:
            left = (time.monotonic() - started) / (run.epoch - first) * (last - run.epoch)
            progress(f"epoch {run.epoch} of {last}, at most {_clock(left)} left", run.epoch / last)
        if checkpoint is not None and time.monotonic() - saved > SAVE_EVERY:
            run.save(checkpoint)
            saved = time.monotonic()
    network.load_state_dict(run.best, strict=False)
    network.eval()
    if checkpoint is not None:
        shutil.rmtree(checkpoint, ignore_errors=True)
    return Trained(run.best_epoch, run.best_quality, tuple(run.history))


class _Run:
    """A training as far as it has come."""

    def __init__(
        self, network: nn.Module, settings: TrainingSettings, steps: int, pace: Pace, stepped: Callable[[int], None]
    ) -> None:
        self.network, self.settings, self.steps, self.stepped = network, settings, steps, stepped
        self.epoch, self.best_epoch, self.best_quality = 0, 0, float("nan")
        self.history: list[tuple[float, float, float]] = []
        self.best = _copied(network)
        learning = [(pace(name), p) for name, p in network.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for own, p in learning if own == factor], "pace": factor}
            for factor in sorted({own for own, _ in learning}, reverse=True)
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.98), foreach=True
        )

    def rate(self, step: int) -> float:
        """Learning rate at a step, counted over all epochs."""
        settings, whole = self.settings, self.steps * self.settings.epochs
        climb = max(1.0, settings.warmup * whole)
        done = min(1.0, max(0.0, (step - climb) / max(whole - climb, 1.0)))
        return (
            settings.learning_rate * min(1.0, (step + 1) / climb) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        )

    def one_epoch(self, batches: Batches, loss: Loss) -> float:
        """One pass; the mean loss."""
        seed = [self.settings.seed, self.epoch, 20_251]
        rng = np.random.default_rng(seed)
        drawn = int(rng.integers(2**62))
        generator = torch.Generator().manual_seed(drawn)
        total, count = 0.0, 0
        self.network.train()
        for part in self.network.modules():
            noise = getattr(part, "noise", None)
            if noise is not None:
                noise.reseed(drawn)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(drawn)
            for place, batch in enumerate(batches(self.epoch, rng)):
                done = self.epoch * self.steps + place
                for group in self.optimizer.param_groups:
                    group["lr"] = self.rate(done) * group["pace"]
                total += self._step(loss, batch, generator, place)
                self.stepped(done + 1)
                count += 1
        self.epoch += 1
        return total / max(count, 1)

    def _step(self, loss: Loss, batch: Any, generator: torch.Generator, place: int) -> float:
        try:
            self.optimizer.zero_grad(set_to_none=True)
            value = loss(batch, generator)
            number = float(value.detach())
            if not math.isfinite(number):
                raise DataError(
                    f"training stopped: the loss became {number} in epoch {self.epoch + 1}, batch {place + 1}. "
                    "Lower learning_rate, and look for events with extreme weights."
                )
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
            self.optimizer.step()
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "alloc" in str(error) or "out of memory" in str(error):
                raise UsageError(
                    f"memory ran out in epoch {self.epoch + 1}, batch {place + 1}. {_what_to_lower(self.settings)}"
                ) from None
            raise
        return number

    def keep(self, mean: float, quality: float, seconds: float) -> None:
        """Note an epoch, and its weights where they are the best so far."""
        self.history.append((mean, quality, seconds))
        if math.isnan(quality) or math.isnan(self.best_quality) or quality > self.best_quality * (1 - SLACK):
            self.best, self.best_epoch = _copied(self.network), self.epoch
            self.best_quality = quality if math.isnan(self.best_quality) else max(quality, self.best_quality)

    def save(self, folder: Path) -> None:
        """Write everything that the next epoch depends on."""
        state = self.optimizer.state_dict()["state"]
        moments = {
            f"{place}.{name}": value.detach().cpu().numpy()
            for place, own in state.items()
            for name, value in own.items()
        }
        arrays = {"now": _numpy(_copied(self.network)), "best": _numpy(self.best), "moments": moments}
        manifest = {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_quality": None if math.isnan(self.best_quality) else self.best_quality,
            "history": [[None if math.isnan(x) else x for x in entry] for entry in self.history],
        }
        write(Artefact("checkpoint", manifest, arrays), folder)

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint; where there is none, or it cannot be used, from the start."""
        try:
            found = read(folder, "checkpoint")
        except ArtefactError:
            return
        names, arrays = found.manifest, found.arrays
        self.network.load_state_dict(_tensors(arrays["now"]), strict=False)
        self.best = _tensors(arrays["best"])
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in arrays["moments"].items():
            place, _, name = key.partition(".")
            state.setdefault(int(place), {})[name] = torch.from_numpy(np.array(value))
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": state})
        self.epoch, self.best_epoch = int(names["epoch"]), int(names["best_epoch"])
        self.best_quality = float("nan") if names["best_quality"] is None else float(names["best_quality"])
        self.history = [(or_nan(a), or_nan(b), or_nan(c)) for a, b, c in names["history"]]


def _validated(network: nn.Module, validate: Callable[[], float] | None) -> float:
    if validate is None:
        return float("nan")
    network.eval()
    with torch.inference_mode():
        return validate()


def _copied(network: nn.Module) -> dict[str, Tensor]:
    """The state that training changes: buffers, and the weights that are not frozen."""
    frozen = {name for name, value in network.named_parameters() if not value.requires_grad}
    return {name: value.detach().clone() for name, value in network.state_dict().items() if name not in frozen}


def _numpy(state: dict[str, Tensor]) -> dict[str, Any]:
    return {name: value.cpu().numpy() for name, value in state.items()}


def _tensors(arrays: Any) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _what_to_lower(settings: TrainingSettings) -> str:
    """Which of these very settings memory grows with."""
    own = [name for name in SIZES if name in type(settings).model_fields]
    named = [f"{name} ({value:g} now)" if (value := getattr(settings, name)) else name for name in own]
    sampled = ", or choose a sampled loss" if "loss" in type(settings).model_fields else ""
    return f"Lower {', '.join(named) or 'the size of batches'}{sampled}."

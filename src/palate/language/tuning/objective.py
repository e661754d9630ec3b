"""What is learnt: an objective holds a head and lessons, and any of them teaches any trunk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from palate.language.tuning.settings import TuningSettings
from palate.language.tuning.trunk import Trunk
from palate.training import Report
from palate.training.checkpoints import place
from palate.training.loop import Trained, train


class Objective(nn.Module, ABC):
    """A head with its lessons; its weights are the head's.

    Attributes
    ----------
    name
        For the checkpoint.
    lessons
        How many there are.
    """

    name: str
    lessons: int

    @abstractmethod
    def loss(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]], generator: torch.Generator) -> Tensor:
        """Mean loss of these lessons."""

    @abstractmethod
    def quality(self) -> float | None:
        """How good it is on lessons held out, higher is better; None where none are."""

    @abstractmethod
    def digest(self) -> str:
        """A hash of all it learns from."""

    def order(self, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The lessons in the order of an epoch."""
        return rng.permutation(self.lessons)


def teach(
    trunk: Trunk,
    objective: Objective,
    settings: TuningSettings | None = None,
    *,
    resumable: bool = True,
    progress: Report | None = None,
) -> Trained:
    """Teach trunk and head in place; both are left with the best weights found.

    Parameters
    ----------
    resumable
        Keep the run in palate's cache while it goes on, so that the same call goes on where a killed one was.

    Raises
    ------
    DataError
        The loss is no number any more; the message names epoch and batch.
    """
    settings = settings or TuningSettings()
    whole = -(-objective.lessons // settings.batch)
    steps = min(settings.steps or whole, whole)
    if trunk.ranks is not None:
        trunk.ranks.course(steps * settings.epochs)
    pace = settings.pace_of(trunk.settings.method)

    def batches(epoch: int, rng: np.random.Generator) -> Iterator[Any]:
        # An epoch of few steps takes up the order of lessons where the one before left it.
        per_round = -(-whole // steps)
        order = objective.order(np.random.default_rng([settings.seed, epoch // per_round, 11]))
        first = epoch % per_round * steps
        for number in range(first, min(first + steps, whole)):
            yield order[number * settings.batch : (number + 1) * settings.batch]

    def loss(rows: Any, generator: torch.Generator) -> Tensor:
        return objective.loss(rows, generator) + trunk.penalty()

    def quality() -> float:
        found = objective.quality()
        return float("nan") if found is None else found

    at = None
    if resumable:
        told = trunk.settings.model_dump_json() + trunk.source + objective.digest()
        at = place(f"tuning-{objective.name}", settings, told.encode())
    return train(
        nn.ModuleDict({"trunk": trunk, "head": objective}),
        batches=batches,
        steps=steps,
        loss=loss,
        validate=quality,
        settings=settings,
        checkpoint=at if at is None else Path(at),
        progress=progress,
        pace=lambda name: pace if name.startswith("trunk.") else 1.0,
        stepped=trunk.after_step,
    )

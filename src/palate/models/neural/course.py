"""What a network is taught from, and for how long; imports none of what teaches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from palate.core import Histories, Int64Array
from palate.models.neural.settings import ReaderSettings
from palate.training import Report


@dataclass(frozen=True)
class Course:
    """One training.

    Parameters
    ----------
    learnt
        Histories whose every event but the first is to be foreseen.
    held
        Histories and what came next, which decide when to end; None: nothing does.
    mask_seen
        Whether what a history has is no answer to it.
    cells
        Events a batch.
    settings
        Steps, rates, seed, and how pieces are varied.
    ends
        Ends after this epoch whatever comes, on the course of the learning rate that leads further; None: as ``held``
        decides.
    checkpoint
        Where it is resumed from; None: nowhere.
    progress
        Told what goes on.
    """

    learnt: Histories
    held: tuple[Histories, Int64Array] | None
    mask_seen: bool
    cells: int
    settings: ReaderSettings
    ends: int | None
    checkpoint: Path | None
    progress: Report | None

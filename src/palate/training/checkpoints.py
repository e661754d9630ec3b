"""Where a training that goes on is kept: a place that the same data and settings find again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from palate.core import Histories, Settings
from palate.core.folders import cache_folder

KEPT = 8
"""Trainings that were killed and are kept beside the one that goes on; the others are forgotten, the oldest first."""


def place_of(name: str, settings: Settings, histories: Histories, *more: Any) -> Path:
    """Folder of the checkpoint of one training on histories.

    Parameters
    ----------
    more
        Further arrays that the training depends on; None is left out.
    """
    arrays = (histories.indptr, histories.items, histories.times, histories.weights, *more)
    return place(name, settings, *(np.ascontiguousarray(array).tobytes() for array in arrays if array is not None))


def place(name: str, settings: Settings, *parts: bytes) -> Path:
    """Folder of the checkpoint of one training, by its settings and all that it learns from."""
    digest = xxhash.xxh3_128(settings.model_dump_json().encode())
    for part in parts:
        digest.update(part)
    return cache_folder() / "training" / f"{name}-{digest.hexdigest()}"


def forget(own: Path) -> None:
    """Remove all but the newest checkpoints beside this one; one that vanishes meanwhile is another's to remove."""
    if not own.parent.is_dir():
        return
    aged = []
    for folder in own.parent.iterdir():
        try:
            aged.append((folder.stat().st_mtime, folder))
        except OSError:
            continue
    others = sorted(entry for entry in aged if entry[1] != own)
    for _, folder in others[: max(len(others) - KEPT, 0)]:
        shutil.rmtree(folder, ignore_errors=True)

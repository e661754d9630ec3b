"""Where a training that goes on is kept: a place that the same data and settings find again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from palate.core import Histories, Settings
from palate.language.cache import cache_folder


def place_of(name: str, settings: Settings, histories: Histories, *more: Any) -> Path:
    """Folder of the checkpoint of one training.

    Parameters
    ----------
    more
        Further arrays that the training depends on; None is left out.
    """
    digest = xxhash.xxh3_128(settings.model_dump_json().encode())
    for array in (histories.indptr, histories.items, histories.times, histories.weights, *more):
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    return cache_folder() / "training" / f"{name}-{digest.hexdigest()}"

"""What networks that read histories are taught from, and how their scores are told; imports none of what teaches."""

from __future__ import annotations

import numpy as np

from palate.core import DataError, FloatArray, Histories, Int64Array
from palate.models.neural.settings import ReaderSettings

_VALIDATION_USERS = 3_000
"""Users whose newest event decides the end, at most."""

_BATCHES = 24
"""Batches an epoch has at least; of little data they are smaller."""

LARGE = 40_000
"""With more items than this, no loss compares all of them by default."""


def pairs_of(sequences: Histories, name: str) -> int:
    """How often something follows something.

    Raises
    ------
    DataError
        It never does, so the model of this name has nothing to learn.
    """
    pairs = int((sequences.lengths - 1).clip(0).sum())
    if not pairs:
        raise DataError(
            f"{name} learns what follows what, and none of the {len(sequences):,} users did two things. "
            "Leave it out of the sources, or collect more events."
        )
    return pairs


def against_chance(scores: FloatArray) -> FloatArray:
    """Logarithm of how much likelier than chance the softmax of each row makes each item; in place."""
    highest = scores.max(axis=1, keepdims=True, initial=0.0)
    total = np.log(np.exp(scores - highest).sum(axis=1, keepdims=True)) + highest
    scores += np.float32(np.log(max(scores.shape[1], 1))) - total
    return scores


def window_of(sequences: Histories, settings: ReaderSettings) -> int:
    """Newest events that are read."""
    if settings.window:
        return settings.window
    lengths = sequences.lengths[sequences.lengths > 0]
    return int(np.clip(np.quantile(lengths, 0.95), 20, 200)) if len(lengths) else 20


def cells_of(pairs: int, settings: ReaderSettings) -> int:
    """Events a batch, of data in which something follows something ``pairs`` times."""
    return int(np.clip(pairs // _BATCHES, 64, settings.cells))


def held_out(sequences: Histories, settings: ReaderSettings) -> tuple[Histories, tuple[Histories, Int64Array] | None]:
    """Histories without the newest event of some users, and those as questions with their answers."""
    able = np.nonzero(sequences.lengths >= 3)[0]
    size = min(int(len(able) * settings.validation), _VALIDATION_USERS)
    if size < 20:
        return sequences, None
    chosen = np.sort(np.random.default_rng([settings.seed, 7]).permutation(able)[:size])
    last = sequences.indptr[1:][chosen] - 1
    keep = np.ones(len(sequences.items), dtype=bool)
    keep[last] = False
    questions = sequences.between(sequences.indptr[:-1][chosen], last)
    return sequences.where(keep), (questions, sequences.items[last].astype(np.int64))

"""What networks that read histories are taught from, and how their scores are told; imports none of what teaches."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from palate.core import DataError, FloatArray, Histories, Int64Array
from palate.models.neural.settings import ReaderSettings

S = TypeVar("S", bound=ReaderSettings)

_VALIDATION_USERS = 3_000
"""Users whose newest event decides the end, at most."""

_COST = 0.02
"""Share of all events that may be spent on deciding the end where users are few."""

_BATCHES = 24
"""Batches an epoch has at least; of little data they are smaller."""

_STEPS = 1_500
"""Batches of a whole training at least, while that takes no more than ``_EPOCHS`` epochs."""

_EPOCHS = (12, 30)
"""Epochs at least and at most, where data decide."""

_WINDOW = (20, 50)
"""Newest events that are read at least and at most, where data decide."""

_SPARSE, _DENSE = (20.0, 0.4), (50.0, 0.2)
"""Events an item has on average, and the dropout that goes with it."""

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


def suited(settings: S, pairs: int, lengths: Int64Array, popularity: Int64Array) -> S:
    """Settings in which everything that was left to the data is decided.

    Parameters
    ----------
    pairs
        How often something follows something.
    lengths, popularity
        int64 (n_users,) and (n_items,), events of each.
    """
    cells = int(np.clip(pairs // _BATCHES, 64, settings.cells))
    lengths = lengths[lengths > 0]
    decided = {
        "cells": cells,
        "window": settings.window or int(np.clip(np.quantile(lengths, 0.95) if len(lengths) else 0, *_WINDOW)),
        "epochs": settings.epochs or int(np.clip(np.ceil(_STEPS * cells / max(pairs, 1)), *_EPOCHS)),
        "dropout": _dropout(popularity) if settings.dropout is None else settings.dropout,
    }
    return settings.model_copy(update=decided)


def read_only(settings: S, window: int) -> S:
    """Settings of a network that is trained and reads this many events."""
    return settings.model_copy(update={"window": window, "dropout": 0.0})


def _dropout(popularity: Int64Array) -> float:
    """More where there is less to learn an item from."""
    warm = popularity[popularity > 0]
    events = np.log([max(float(warm.mean()), 1.0) if len(warm) else 1.0, _SPARSE[0], _DENSE[0]])
    return round(float(np.interp(events[0], events[1:], [_SPARSE[1], _DENSE[1]])), 3)


def held_out(sequences: Histories, settings: ReaderSettings) -> tuple[Histories, tuple[Histories, Int64Array] | None]:
    """Histories without the newest event of some users, and those as questions with their answers."""
    able = np.nonzero(sequences.lengths >= 3)[0]
    cheap = min(_COST * len(sequences.items), len(able) / 2)
    size = int(min(max(len(able) * settings.validation, cheap), _VALIDATION_USERS))
    if size < 20 or not settings.validation:
        return sequences, None
    chosen = np.sort(np.random.default_rng([settings.seed, 7]).permutation(able)[:size])
    last = sequences.indptr[1:][chosen] - 1
    keep = np.ones(len(sequences.items), dtype=bool)
    keep[last] = False
    questions = sequences.between(sequences.indptr[:-1][chosen], last)
    return sequences.where(keep), (questions, sequences.items[last].astype(np.int64))

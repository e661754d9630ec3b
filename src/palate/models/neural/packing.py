"""From histories to batches: pieces no longer than the window, beside others of like length, so little is padded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from palate.core import Float64Array, FloatArray, Histories, Int64Array, IntArray

N_GAPS = 32
"""Buckets of time between events: 0 unknown, then by the logarithm of the minutes."""


@dataclass(frozen=True)
class Pieces:
    """Stretches of histories.

    Parameters
    ----------
    histories
        Where they are cut from.
    starts, stops
        int64 (n,), offsets into the events.
    """

    histories: Histories
    starts: Int64Array
    stops: Int64Array

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> Int64Array:
        return self.stops - self.starts


@dataclass(frozen=True)
class Padded:
    """A batch of pieces, events from the left, padding at the right.

    Parameters
    ----------
    items
        int32 (b, l), 0 where padded.
    gaps
        int64 (b, l), buckets of the time since the event before.
    times
        float64 (b, l), seconds; NaN where unknown or padded.
    weights
        float32 (b, l), 0 where padded.
    lengths
        int64 (b,).
    """

    items: IntArray
    gaps: Int64Array
    times: Float64Array
    weights: FloatArray
    lengths: Int64Array


def newest(histories: Histories, window: int) -> Pieces:
    """The last ``window`` events of every history."""
    stops = histories.indptr[1:]
    return Pieces(histories, np.maximum(histories.indptr[:-1], stops - window), stops)


def cut(histories: Histories, window: int, least: int, rng: np.random.Generator) -> Pieces:
    """Pieces of at most ``window`` events that together hold every event of histories with at least ``least``.

    Longer histories are cut from their end; where the first cut falls is drawn, so that across epochs every event is
    seen with much before it. Neighbouring pieces share one event, so that every event but the first is an answer once.
    """
    lengths = histories.lengths
    rows = np.nonzero(lengths >= least)[0]
    step = window - 1
    extra = np.where(lengths[rows] > window, rng.integers(0, max(step, 1), len(rows)), 0)
    counts = np.maximum(-(-(lengths[rows] + extra - 1) // step), 1)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    ends = np.repeat(histories.indptr[1:][rows] + extra, counts) - step * number
    begins = np.repeat(histories.indptr[:-1][rows], counts)
    stops = np.minimum(ends, np.repeat(histories.indptr[1:][rows], counts))
    starts = np.maximum(ends - window, begins)
    keep = stops - starts >= least
    return Pieces(histories, starts[keep], stops[keep])


def cropped(pieces: Pieces, share: float, rng: np.random.Generator) -> Pieces:
    """The same pieces, this share of them shortened to a stretch of two events at least."""
    lengths = pieces.lengths
    chosen = rng.random(len(pieces)) < share
    left = 2 + np.floor(rng.random(len(pieces)) * (lengths - 1)).astype(np.int64)
    left = np.where(chosen, np.minimum(left, lengths), lengths)
    starts = pieces.starts + np.floor(rng.random(len(pieces)) * (lengths - left + 1)).astype(np.int64)
    return Pieces(pieces.histories, starts, starts + left)


def reordered(batch: Padded, share: float, rng: np.random.Generator) -> Padded:
    """The same batch; in this share of its pieces up to half of the events stand in a drawn order. Times stay."""
    column = np.arange(batch.items.shape[1])
    lengths = batch.lengths[:, None]
    length = np.ceil(rng.random(lengths.shape) * lengths / 2)
    start = np.floor(rng.random(lengths.shape) * (lengths - length + 1))
    inside = (column >= start) & (column < start + length) & (rng.random(lengths.shape) < share)
    # A drawn key lies within its stretch and every other one is a column, so nothing leaves its stretch.
    key = np.where(inside, start + rng.random(inside.shape) * (length - 1), column)
    order = np.argsort(key, axis=1, kind="stable")
    items = np.take_along_axis(batch.items, order, axis=1)
    return replace(batch, items=items, weights=np.take_along_axis(batch.weights, order, axis=1))


def batches(lengths: Int64Array, cells: int, rng: np.random.Generator | None) -> Iterator[Int64Array]:
    """Rows of pieces of like length, at most ``cells`` padded cells a batch; in drawn order, or by length.

    Parameters
    ----------
    rng
        Draws which pieces of like length meet, and the order of batches; None: the order is that of length.
    """
    chance = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    order = np.lexsort((chance, lengths))
    cuts, start = [], 0
    ordered = lengths[order]
    while start < len(order):
        # The longest piece of a batch decides its width; widths grow along the order.
        width = np.arange(1, min(len(order) - start, cells) + 1) * ordered[start : start + cells]
        size = max(1, int(np.searchsorted(width, cells, side="right")))
        cuts.append(order[start : start + size])
        start += size
    places = range(len(cuts)) if rng is None else rng.permutation(len(cuts))
    for place in places:
        yield cuts[place]


def pad(pieces: Pieces, rows: Int64Array) -> Padded:
    """These pieces as one batch."""
    lengths = pieces.lengths[rows]
    column = np.arange(int(lengths.max(initial=0)))
    filled = column < lengths[:, None]
    flat = np.where(filled, pieces.starts[rows, None] + column, 0)
    histories = pieces.histories
    if not len(histories.items):
        empty = np.zeros(filled.shape, np.int32)
        return Padded(empty, empty.astype(np.int64), empty.astype(np.float64), empty.astype(np.float32), lengths)
    times = np.where(filled, histories.times[flat], np.nan)
    before = np.concatenate([np.full((len(rows), 1), np.nan), times[:, :-1]], axis=1)
    return Padded(
        np.where(filled, histories.items[flat], 0).astype(np.int32),
        gap_buckets(times - before),
        times,
        np.where(filled, histories.weights[flat], 0).astype(np.float32),
        lengths,
    )


def gap_buckets(seconds: Float64Array) -> Int64Array:
    """Buckets of stretches of time: 0 unknown, 1 under a minute or backwards, then half a power of two each."""
    minutes = np.maximum(np.nan_to_num(seconds, nan=0.0), 0.0) / 60
    bucket = 1 + np.minimum(np.floor(1.4 * np.log2(1 + minutes)), N_GAPS - 2)
    return np.where(np.isnan(seconds), 0, bucket).astype(np.int64)

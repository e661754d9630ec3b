"""How much an event still says: newer events weigh more, by time where it is known and by order always."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from palate.core import Float64Array, FloatArray, Histories, Settings

DAY = 86_400.0


class RecencySettings(Settings):
    """How fast the past fades.

    Parameters
    ----------
    half_life_days
        Days after which an event weighs half; counts only where times are known.
    half_life_events
        Later events of the same user after which an event weighs half.
    """

    half_life_days: float = Field(default=60.0, gt=0.0)
    half_life_events: float = Field(default=8.0, gt=0.0)


def recency_weights(histories: Histories, settings: RecencySettings | None = None) -> FloatArray:
    """Weights of events, the newest of each row at its own weight; float32 (m,).

    An event weighs ``weight * 2 ** -(days / half_life_days + later / half_life_events)`` with the days until the row's
    newest event and the number of later events. Time never runs backwards: an event dated before its predecessor counts
    as simultaneous with it, and so does one without a time. All weights of a row share their reference point, so that
    weighted means do not change while nothing happens.
    """
    settings = settings or RecencySettings()
    exponent = histories.ages / settings.half_life_events
    clock = forward_times(histories)
    if len(clock):
        last = np.repeat(clock[np.maximum(histories.indptr[1:] - 1, 0)], histories.lengths)
        exponent = exponent + (last - clock) / (DAY * settings.half_life_days)
    return (histories.weights * np.exp2(-exponent)).astype(np.float32)


def forward_times(histories: Histories) -> Float64Array:
    """Times that never fall along a row, in seconds since the earliest event of all; unknown ones filled in.

    An unknown time is the latest known before it in its row, else the first known after it, else 0; float64 (m,).
    """
    times = histories.times
    known = ~np.isnan(times)
    if not known.any():
        return np.zeros(len(times))
    start = times[known].min()
    since = np.where(known, times - start, -1.0)
    # Each row lives on a stretch of its own of one rising axis, so that one running maximum serves all rows.
    stretch = since.max() + 2.0
    base = histories.rows * stretch
    clock = np.maximum.accumulate(since + base) - base
    first = np.full(len(histories), np.inf)
    rows, when = histories.rows[known], since[known]
    opening = np.unique(rows, return_index=True)
    first[opening[0]] = when[opening[1]]
    leading = clock < 0
    clock[leading] = first[histories.rows[leading]]
    return np.where(np.isfinite(clock), clock, 0.0)

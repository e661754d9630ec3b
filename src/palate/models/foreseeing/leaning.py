"""Which way somebody leans, from what they did: kinds of thing, price, how long they stayed, and how far they go."""

from __future__ import annotations

import numpy as np

from palate.core import BoolArray, Float64Array, FloatArray, IntArray
from palate.measure.geography import great_circle_km

NAMES = ("category_lean", "wider_lean", "price_lean", "lingered", "kilometres", "from_usual")
"""How much oftener than chance somebody turned to the item's category and to the outermost one around it; dearness of
the item times that of what they turned to; log seconds they stayed with what is like it against what is not; log
kilometres from where they are, and from the middle of where they were."""

_DRAW = 4.0
"""Events that chance is worth where little was done."""
_STAY = 1_800.0
"""Seconds to the next event above which somebody has left in between."""


def lean(codes: IntArray, shares: FloatArray, *, seen: IntArray, items: IntArray, filled: BoolArray) -> Float64Array:
    """Log of how much oftener n people turned to the group of an item than its share of the catalogue has it.

    Parameters
    ----------
    codes, shares
        int32 (items,), groups of items from 1, 0 where unknown; float32 (items,), how much of everything they are.
    seen
        int32 (n, w), items of the past.
    items
        int32 (n,), asked about.

    Returns
    -------
    float64 (n,), NaN where the group is unknown.
    """
    group, share = codes[items], shares[items].astype(np.float64)
    inside = (filled & (codes[seen] == group[:, None])).sum(axis=1)
    lift = (inside + _DRAW * share) / (filled.sum(axis=1) + _DRAW) / share
    return np.where(group > 0, np.log(lift), np.nan)


def price_lean(dear: FloatArray, asked: FloatArray, filled: BoolArray) -> Float64Array:
    """Dearness asked (n,) times the mean dearness of what was turned to (n, w), drawn towards none."""
    known = filled & np.isfinite(dear)
    usual = np.where(known, dear, 0.0).sum(axis=1, dtype=np.float64) / (known.sum(axis=1) + _DRAW)
    return np.asarray(usual * asked)


def lingered(times: Float64Array, when: Float64Array, close: FloatArray, filled: BoolArray) -> Float64Array:
    """How much longer somebody stayed with what is close to the item than with other things, in log seconds.

    How long is the time to the next event, which is known of any history, and where a log tells seconds they are most
    of it.

    Parameters
    ----------
    times
        float64 (n, w), newest first; NaN where unknown.
    when
        float64 (n,), the moment asked about.
    close
        float32 (n, w), how near each event is to the item, 0 and above.
    """
    until = np.concatenate([when[:, None], times[:, :-1]], axis=1) - times
    known = filled & (until > 0) & (until <= _STAY)
    stayed = np.where(known, np.log1p(np.where(known, until, 0.0)), 0.0)
    usual = stayed.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    weights = np.where(known, close, 0.0)
    return np.asarray((weights * (stayed - usual[:, None])).sum(axis=1) / (weights.sum(axis=1) + 1.0))


def distances(
    places: tuple[Float64Array, Float64Array],
    where: Float64Array,
    *,
    seen: IntArray,
    items: IntArray,
    fade: FloatArray,
) -> tuple[Float64Array, Float64Array]:
    """Log kilometres from where n people are and from the middle of where they were to the item; NaN where unknown.

    Parameters
    ----------
    places
        Latitudes and longitudes of all items.
    where
        float64 (n, 2), where they say they are; NaN: at the newest item's place.
    fade
        float32 (n, w), weights of the events, 0 where there is none.
    """
    lat, lon = places
    if not np.isfinite(lat).any():
        nothing = np.full(len(items), np.nan)
        return nothing, nothing
    begun = fade[:, 0] > 0
    told = np.isfinite(where).all(axis=1)
    newest = (np.where(begun, own[seen[:, 0]], np.nan) for own in (lat, lon))
    here_lat, here_lon = (np.where(told, where[:, side], own) for side, own in enumerate(newest))
    weights = np.where(np.isfinite(lat[seen]), fade, 0.0)
    mass = weights.sum(axis=1)
    middle_lat, middle_lon = (
        np.where(mass > 0, (weights * np.nan_to_num(own[seen])).sum(axis=1) / np.maximum(mass, 1e-9), np.nan)
        for own in (lat, lon)
    )
    away = great_circle_km(here_lat, here_lon, lat[items], lon[items])
    far = great_circle_km(middle_lat, middle_lon, lat[items], lon[items])
    return np.log1p(away), np.log1p(far)

"""From what a caller says, in ids and words, to a question in positions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.core import FloatArray, Histories, IntArray, Queries, Ragged, UnknownIdError, UsageError, clock
from palate.data import Catalogue
from palate.data.filters import matches
from palate.data.times import moment

LANGUAGES = ("en", "zh")
"""Languages reasons are written in."""

Told = Sequence[str | Mapping[str, Any]]
"""A history in a caller's words: ids of items, oldest first, or mappings with ``item_id`` and ``timestamp``."""


def question(
    catalogue: Catalogue,
    history: Histories,
    *,
    k: int,
    mask_seen: bool,
    text: str = "",
    conditions: Mapping[str, Any] | None = None,
    exclude: Sequence[str] = (),
    candidates: Sequence[str] | None = None,
    as_shown: bool = False,
    prices: Sequence[float | None] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Queries:
    """One question.

    Parameters
    ----------
    history
        One row.
    conditions
        Properties items must have.
    exclude
        Ids that must not be answered; unknown ones cannot be, so they do no harm.
    candidates
        Ids among which to choose; all where None.
    as_shown, prices
        See ``Queries``; a price for every candidate, None where unknown.
    context
        ``when`` (seconds, or ISO 8601 with a zone; now where left out), ``lat`` and ``lon``, ``place``, ``session``,
        ``device``.

    Raises
    ------
    UnknownIdError
        A candidate is not in the catalogue.
    UsageError
        A condition or the context makes no sense.
    """
    context = context or {}
    when = _moment(context.get("when"))
    place = [_number(context.get(name), f"context: {name}") for name in ("lat", "lon")]
    if math.isnan(place[0]) != math.isnan(place[1]):
        raise UsageError(f"context: a place is lat and lon, and {'lat' if math.isnan(place[0]) else 'lon'} is missing")
    session = _number(context.get("session"), "context: session")
    chosen, kept = _chosen(catalogue, conditions, candidates)
    if (as_shown or prices is not None) and candidates is None:
        raise UsageError("as_shown and prices speak of candidates; give the candidates too")
    if prices is not None and len(prices) != len(candidates or ()):
        raise UsageError(f"{len(prices)} prices for {len(candidates or ())} candidates; give one each, null if unknown")
    device, named = context.get("device"), context.get("place")
    return Queries(
        history,
        k=k,
        mask_seen=mask_seen,
        candidates=None if chosen is None else Ragged.of([chosen]),
        excludes=Ragged.of([catalogue.ids.positions(exclude)]) if len(exclude) else None,
        text=(text,) if text.strip() else None,
        when=np.array([clock.now() if math.isnan(when) else when]),
        where=None if any(math.isnan(value) for value in place) else np.array([place], dtype=np.float64),
        session=None if math.isnan(session) else np.array([int(session)], dtype=np.int32),
        prices=None if prices is None else _prices(prices)[kept],
        as_shown=as_shown,
        devices=None if device is None else (str(device),),
        places=None if named is None else (str(named),),
    )


def told(catalogue: Catalogue, history: Told) -> Histories:
    """A history in the caller's words; one row.

    Raises
    ------
    UnknownIdError
        An item is not in the catalogue.
    UsageError
        An entry is neither an id nor a mapping with one, or a time is no number.
    """
    entries = [{"item_id": entry} if isinstance(entry, str) else entry for entry in history]
    for entry in entries:
        if not isinstance(entry, Mapping) or entry.get("item_id") is None:
            raise UsageError(f"history: {entry!r} names no item; give ids, or mappings with item_id and timestamp")
    names = [str(entry["item_id"]) for entry in entries]
    times = [_number(entry.get("timestamp"), "history: timestamp") for entry in entries]
    return Histories.of([_known(catalogue, names, "history")], [np.array(times)])


def check_language(language: str) -> None:
    """Refuse a language in which there are no reasons."""
    if language not in LANGUAGES:
        raise UsageError(f"language {language!r}: reasons are written in {' and '.join(LANGUAGES)}")


def _chosen(
    catalogue: Catalogue, conditions: Mapping[str, Any] | None, candidates: Sequence[str] | None
) -> tuple[IntArray | None, IntArray]:
    """Positions that may be answered, in the order given, None where all may; and the places of those candidates."""
    named = None if candidates is None else _known(catalogue, candidates, "candidates")
    everything = np.arange(0 if named is None else len(named), dtype=np.int32)
    if not conditions:
        return named, everything
    fitting = np.nonzero(matches(catalogue, conditions))[0].astype(np.int32)
    if named is None:
        return fitting, everything
    kept = everything[np.isin(named, fitting)]
    return named[kept], kept


def _prices(given: Sequence[float | None]) -> FloatArray:
    """Prices, NaN for None."""
    found = np.array([_number(price, "prices") for price in given], dtype=np.float32)
    if (found < 0).any() or np.isinf(found).any():
        raise UsageError("prices: a price is a number from 0 on")
    return found


def _known(catalogue: Catalogue, names: Sequence[str], where: str) -> IntArray:
    positions = catalogue.ids.positions(names)
    if (positions < 0).any():
        raise UnknownIdError(f"{where}: {catalogue.ids.unknown(names[int(np.nonzero(positions < 0)[0][0])])}")
    return positions


def _moment(value: Any) -> float:
    """Seconds of a time as numbers or ISO 8601 tell it, NaN for None."""
    try:
        return _number(moment(value), "context: when")
    except ValueError as error:
        raise UsageError(f"context: when: {value!r} is {error}") from None


def _number(value: Any, what: str) -> float:
    """A number, NaN for None."""
    if value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{what}: {value!r} is not a number") from None

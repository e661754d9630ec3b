"""From a caller's words, ids and mappings, to one question in positions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.core import Histories, IntArray, Queries, Ragged, UnknownIdError, UsageError
from palate.data import Catalogue
from palate.data.filters import matches

LANGUAGES = ("en", "zh")
"""Languages in which reasons are written."""


@dataclass(frozen=True)
class Wishes:
    """What one caller asks for besides the history; see ``Engine.recommend``."""

    k: int = 10
    text: str = ""
    conditions: Mapping[str, Any] | None = None
    exclude: Sequence[str] = ()
    candidates: Sequence[str] | None = None
    context: Mapping[str, Any] | None = None


def question(catalogue: Catalogue, history: Histories, wishes: Wishes, *, mask_seen: bool) -> Queries:
    """The one question of a caller.

    Raises
    ------
    UnknownIdError
        A candidate is not in the catalogue.
    """
    context = wishes.context or {}
    when = context.get("when")
    place = (context.get("lat"), context.get("lon"))
    eligible = _eligible(catalogue, wishes)
    return Queries(
        history,
        k=wishes.k,
        mask_seen=mask_seen,
        candidates=None if eligible is None else Ragged.of([eligible]),
        excludes=Ragged.of([catalogue.ids.positions(wishes.exclude)]) if wishes.exclude else None,
        text=(wishes.text,) if wishes.text.strip() else None,
        when=np.array([time.time() if when is None else float(when)]),
        where=None if None in place else np.array([place], dtype=np.float64),
        session=np.array([context["session"]], dtype=np.int32) if "session" in context else None,
    )


def told_history(catalogue: Catalogue, history: Sequence[str | Mapping[str, Any]], most: int) -> Histories:
    """A history in the caller's words, its newest events; one row.

    Raises
    ------
    UnknownIdError
        An item is not in the catalogue.
    UsageError
        A timestamp is no number.
    """
    names = [entry if isinstance(entry, str) else str(entry["item_id"]) for entry in history]
    times = [np.nan if isinstance(entry, str) else _seconds(entry.get("timestamp")) for entry in history]
    items = catalogue.ids.positions(names)
    if (items < 0).any():
        raise UnknownIdError(f"history: unknown item {names[int(np.nonzero(items < 0)[0][0])]!r}")
    return Histories.of([items], [np.array(times)]).last(most)


def check_language(language: str) -> None:
    """Refuse a language in which no reasons are written."""
    if language not in LANGUAGES:
        raise UsageError(f"language {language!r}: reasons are written in {' and '.join(LANGUAGES)}")


def _eligible(catalogue: Catalogue, wishes: Wishes) -> IntArray | None:
    """Items the answer may hold; None where it may hold all."""
    fitting: IntArray | None = None
    if wishes.conditions:
        fitting = np.nonzero(matches(catalogue, wishes.conditions))[0].astype(np.int32)
    if wishes.candidates is None:
        return fitting
    named = catalogue.ids.positions(wishes.candidates)
    if (named < 0).any():
        unknown = wishes.candidates[int(np.nonzero(named < 0)[0][0])]
        raise UnknownIdError(f"candidates: unknown item {unknown!r}")
    return named if fitting is None else np.intersect1d(named, fitting)


def _seconds(value: Any) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"history: timestamp {value!r} is not a number of seconds") from None

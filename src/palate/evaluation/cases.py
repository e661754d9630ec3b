"""Questions with known answers from a file that somebody else wrote.

One JSON object a line: ``{"user_id"?, "history"?: [{"item_id", "timestamp"?, "kind"?}], "when"?, "where"?, "target"}``.
A history replaces the stored one; without it a known user is asked with what is stored from before ``when``. ``where``
is latitude and longitude in degrees, as a list or as ``{"lat", "lon"}``. ``target`` is an item id or a list of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from palate.core import DataError, Histories, Queries, Ragged
from palate.core.arrays import offsets_of
from palate.data import Dataset, Fold

_KEYS = {"user_id", "history", "when", "where", "target"}
_MILLISECONDS = 1e11
"""A time above this many seconds would lie after the year 5000, so it is in milliseconds."""


@dataclass
class _Tally:
    """What the catalogue and the users did not know, and how many answers the data tells."""

    history: int = 0
    targets: int = 0
    told: int = 0
    users: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Case:
    user: int
    items: list[int]
    times: list[float]
    kinds: list[int]
    when: float
    where: tuple[float, float]
    targets: list[int]


def read_cases(path: Path, dataset: Dataset) -> tuple[Fold, tuple[str, ...]]:
    """Read a file of cases against a dataset.

    Unknown items of a history are left out; unknown targets stay, as answers nobody can give.

    Returns
    -------
    The questions, and notes that count what was unknown.

    Raises
    ------
    DataError
        The file is missing, empty, or a line is no case; the message names the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file of cases") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable UTF-8 file ({error})") from None
    tally, usual = _Tally(), _usual_kind(dataset)
    cases = [
        _case(line, f"{Path(path).name} line {number}", dataset, usual, tally)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not cases:
        raise DataError(f"{path}: no cases; one JSON object a line is expected")
    kinds = np.array([kind for case in cases for kind in case.kinds], dtype=np.int8)
    history = Histories(
        offsets_of(np.array([len(case.items) for case in cases], dtype=np.int64)),
        np.array([item for case in cases for item in case.items], dtype=np.int32),
        np.array([time for case in cases for time in case.times], dtype=np.float64),
        kinds,
        dataset.kinds.weights[kinds],
    )
    users = np.array([case.user for case in cases], dtype=np.int32)
    when, where = np.array([case.when for case in cases]), np.array([case.where for case in cases])
    queries = Queries(history, when=when, where=where if np.isfinite(where).any() else None, users=users)
    notes = [f"{len(cases):,} cases"]
    if tally.users:
        notes.append(f"{len(tally.users):,} users of the cases are not in the data; they are asked as new users")
    if tally.history:
        notes.append(f"{tally.history:,} history items are not in the data; they were left out")
    if tally.targets:
        notes.append(f"{tally.targets:,} targets are not in the data; they stay in the denominator")
    if tally.told:
        notes.append(
            f"of {tally.told:,} cases the data itself tells that their user turned to a target then or later, and the "
            "models learn from it; give data that ends before the cases begin"
        )
    return Fold(dataset, queries, Ragged.of([case.targets for case in cases]), users), tuple(notes)


def _case(line: str, where: str, dataset: Dataset, usual: int, tally: _Tally) -> _Case:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error})") from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: a case is an object, this is {type(record).__name__}")
    unknown = sorted(set(record) - _KEYS)
    if unknown:
        raise DataError(f"{where}: unknown key {unknown[0]!r}; a case has {', '.join(sorted(_KEYS))}")
    user = -1
    if record.get("user_id") is not None:
        name = _identifier(record["user_id"], where, "user_id")
        user = dataset.user_ids.get(name)
        if user < 0:
            tally.users.add(name)
    targets = _targets(record, where, dataset, tally)
    when = _time(record.get("when"), where, "when")
    here = _place(record.get("where"), where)
    stored = dataset.sequences.take(np.array([user] if user >= 0 else [], dtype=np.int32))
    later = stored.times >= when
    tally.told += bool(np.isin(stored.items[later], targets).any())
    if record.get("history") is None:
        stored = stored.where(~later)
        return _Case(user, stored.items.tolist(), stored.times.tolist(), stored.kinds.tolist(), when, here, targets)
    items, times, kinds = _history(record["history"], where, dataset, usual, tally)
    return _Case(user, items, times, kinds, when, here, targets)


def _targets(record: Mapping[str, Any], where: str, dataset: Dataset, tally: _Tally) -> list[int]:
    target = record.get("target")
    given = target if isinstance(target, list) else [target]
    if target is None or not given:
        raise DataError(f"{where}: no target; an item id or a list of them is expected")
    names = dict.fromkeys(_identifier(name, where, "target") for name in given)
    positions = [dataset.item_ids.get(name) for name in names]
    tally.targets += sum(position < 0 for position in positions)
    # Every unknown target needs a number of its own, or two of them would count as one.
    return [position if position >= 0 else -1 - place for place, position in enumerate(positions)]


def _history(
    entries: Any, where: str, dataset: Dataset, usual: int, tally: _Tally
) -> tuple[list[int], list[float], list[int]]:
    if not isinstance(entries, list):
        raise DataError(f"{where}: history is a list of objects with item_id, this is {type(entries).__name__}")
    events: list[tuple[float, int, int]] = []
    for place, entry in enumerate(entries, start=1):
        here = f"{where}, history entry {place}"
        if not isinstance(entry, dict) or "item_id" not in entry:
            raise DataError(f"{here}: an object with item_id is expected")
        kind = usual
        if entry.get("kind") is not None:
            if entry["kind"] not in dataset.kinds:
                raise DataError(f"{here}: unknown kind {entry['kind']!r}; known: {', '.join(dataset.kinds.names)}")
            kind = dataset.kinds.position(entry["kind"])
        time = _time(entry.get("timestamp"), here, "timestamp")
        position = dataset.item_ids.get(_identifier(entry["item_id"], here, "item_id"))
        if position < 0:
            tally.history += 1
        elif dataset.kinds.weights[kind] > 0:
            events.append((time, position, kind))
    if events and not any(math.isnan(time) for time, _, _ in events):
        events.sort(key=lambda event: event[0])
    return [item for _, item, _ in events], [time for time, _, _ in events], [kind for _, _, kind in events]


def _identifier(value: Any, where: str, what: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(f"{where}: {what} is {value!r}; an id is a non-empty string")
    return str(value)


def _time(value: Any, where: str, what: str) -> float:
    """Seconds since 1970 UTC; NaN for none."""
    if value is None:
        return math.nan
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value) / 1000.0 if abs(value) > _MILLISECONDS else float(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise DataError(f"{where}: {what} is {value!r}; seconds, milliseconds or an ISO time is expected")


def _place(value: Any, where: str) -> tuple[float, float]:
    """Latitude and longitude in degrees; NaN for none."""
    if value is None:
        return math.nan, math.nan
    pair: Any = [value.get("lat"), value.get("lon")] if isinstance(value, dict) else value
    numbers = isinstance(pair, list) and len(pair) == 2 and all(type(part) in (int, float) for part in pair)
    if not numbers or not (abs(pair[0]) <= 90 and abs(pair[1]) <= 180):
        turned = " (latitude comes first)" if numbers and abs(pair[1]) <= 90 < abs(pair[0]) <= 180 else ""
        raise DataError(f"{where}: where is {value!r}; latitude and longitude in degrees are expected{turned}")
    return float(pair[0]), float(pair[1])


def _usual_kind(dataset: Dataset) -> int:
    """The most common kind of event of interest here, which a case's events are taken for."""
    return int(np.bincount(dataset.sequences.kinds.astype(np.int64), minlength=1).argmax())

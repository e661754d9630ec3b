"""What a search found, as JSON and as a piece of ``palate.toml``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from palate.core.space import Choice, Range, Value
from palate.evaluation.components import Tuning
from palate.evaluation.journal import Trial
from palate.evaluation.result import plain
from palate.evaluation.tuning import MEASURE

MARK = "# Written by `palate tune`."
"""First words of a file that may be written over."""


def as_json(tuning: Tuning) -> dict[str, Any]:
    """Plain values; a number that JSON does not have (infinity) becomes null."""
    found, ground = tuning.found, tuning.ground
    best, start = found.best, found.trials[0] if found.trials else None
    values: dict[str, Any] = plain(
        {
            "component": tuning.component,
            "data": ground.train.name,
            "protocol": ground.protocol,
            "seen": ground.seen,
            "seed": tuning.seed,
            "measure": MEASURE,
            "questions": len(ground.asked),
            "ended": found.ended,
            "resumed": found.resumed,
            "seconds": sum(trial.seconds for trial in found.trials),
            "start": None if start is None else _told(tuning, start),
            "best": None if best is None else _told(tuning, best),
            "importance": {short(tuning, name): share for name, share in found.importance.items()},
            "space": {short(tuning, name): _described(own) for name, own in tuning.space.ranges.items()},
            "trials": [_told(tuning, trial) for trial in found.trials],
            "journal": None if tuning.journal is None else str(tuning.journal),
            "notes": ground.notes,
        }
    )
    return values


def as_toml(tuning: Tuning) -> str:
    """The best settings as tables of ``palate.toml``."""
    best = tuning.found.best
    if best is None:
        return ""
    ground = tuning.ground
    lines = [
        f"{MARK} {tuning.component} on {ground.train.name}, {ground.protocol}, seed {tuning.seed}: {MEASURE} "
        f"{best.quality:.4f} on {len(ground.asked):,} validation questions, the best of {len(tuning.found.trials)}.",
    ]
    tables: dict[str, dict[str, Value]] = {}
    for name, value in best.values.items():
        table, _, key = f"engine.{name}".rpartition(".")
        tables.setdefault(table, {})[key] = value
    for table, settings in tables.items():
        lines += ["", f"[{table}]"]
        lines += [
            f"# {key}: left to the default" if value is None else f"{key} = {_toml(value)}"
            for key, value in settings.items()
        ]
    return "\n".join(lines) + "\n"


def short(tuning: Tuning, name: str) -> str:
    """A setting's name within its component."""
    return name.removeprefix(f"{tuning.path}.")


def varied(tuning: Tuning, trial: Trial) -> dict[str, Value]:
    """What a trial's settings say other than those the search started from."""
    start = tuning.found.trials[0].values
    return {short(tuning, name): value for name, value in trial.values.items() if value != start[name]}


def _told(tuning: Tuning, trial: Trial) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        "settings": {short(tuning, name): value for name, value in trial.values.items()},
        MEASURE: trial.quality,
        "seconds": trial.seconds,
    }
    return told | ({"failure": trial.failure} if trial.failure else {})


def _described(own: Range) -> Mapping[str, Any]:
    return {"values": own.values} if isinstance(own, Choice) else {"low": own.low, "high": own.high, "log": own.log}


def _toml(value: Value) -> str:
    """A value as TOML writes it; what JSON escapes in a text, TOML escapes alike."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)

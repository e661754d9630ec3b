"""What somebody knows of things, line by line: rules ("phone -> case") and triples of a knowledge graph."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from palate.core import DataError

GOES_WITH = "->"
"""The relation of a rule: who has the one may want the other."""

_RULES = frozenset({"->", "→", "goes_with", "goes with", "complement", "complements", "搭配"})
_HEAD = frozenset({"subject", "head", "left", "if", "主语"})


class Triple(NamedTuple):
    """A line: two names, what holds between them, and how much it is worth (> 0)."""

    subject: str
    relation: str
    object: str
    weight: float
    line: int


def read_triples(path: Path) -> list[Triple]:
    """Read a file of rules and triples.

    A line is ``LEFT -> RIGHT`` or ``LEFT -> RIGHT = WEIGHT``; or subject, relation, object and, where given, weight,
    with commas or tabs between them; or, in a file named ``.jsonl``, an object with these keys. Lines that are empty or
    begin with ``#`` say nothing.

    Raises
    ------
    DataError
        The file is not there, or a line cannot be read; the message names it.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}. Give the file of rules and triples.") from None
    triples = []
    for number, text in enumerate(lines, start=1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        where = f"{path} line {number}"
        parts = _from_json(line, where) if path.suffix == ".jsonl" else _from_text(line)
        if number == 1 and str(parts[0]).strip().lower() in _HEAD:
            continue
        triples.append(_triple(parts, where, number))
    return triples


def _from_json(line: str, where: str) -> list[Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}).") from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: an object with subject, relation and object is expected.")
    given = [record.get(key) for key in ("subject", "relation", "object", "weight")]
    return [part for part in given if part is not None]


def _from_text(line: str) -> list[Any]:
    for arrow in ("->", "→"):
        left, found, right = line.partition(arrow)
        if found and "," not in left and "\t" not in left:
            name, equals, weight = right.rpartition("=")
            return [left, GOES_WITH, name, weight] if equals else [left, GOES_WITH, right]
    return next(csv.reader([line], delimiter="\t" if "\t" in line else ","))


def _triple(parts: list[Any], where: str, number: int) -> Triple:
    fields = [str(part).strip() for part in parts]
    if len(fields) not in (3, 4) or not all(fields[:3]):
        raise DataError(
            f"{where}: {', '.join(fields)!r} is neither LEFT -> RIGHT nor subject, relation, object and perhaps a "
            "weight. Nothing was read."
        )
    try:
        weight = float(fields[3]) if len(fields) == 4 else 1.0
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise DataError(f"{where}: the weight {fields[3]!r} is no number above 0. Nothing was read.")
    relation = GOES_WITH if fields[1].lower() in _RULES else fields[1]
    return Triple(fields[0], relation, fields[2], weight, number)

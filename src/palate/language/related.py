"""Words that are meant alike, or looked for together: a small list of palate's own, ``related_words.txt``.

It stands in for a language model where none reads the language. One line is one group; each of its words leads to all
others. A catalogue has its own words beside it, which no list foresees.
"""

from __future__ import annotations

import functools
from pathlib import Path


def related(word: str) -> tuple[str, ...]:
    """Words that are looked for with this one, in the order of the list; none for an unknown word."""
    return _groups().get(word, ())


@functools.cache
def _groups() -> dict[str, tuple[str, ...]]:
    lines = Path(__file__).with_name("related_words.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, dict[str, None]] = {}
    for line in lines:
        words = [] if line.startswith("#") else line.split()
        for word in words:
            found.setdefault(word, {}).update(dict.fromkeys(other for other in words if other != word))
    return {word: tuple(others) for word, others in found.items()}

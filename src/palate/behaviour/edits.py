"""What people say of their own profile: topics they will not see, topics they want more of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from palate.core import IntArray, UsageError
from palate.data import Catalogue
from palate.language.terms import is_cjk, lemma

MOST_TOPICS = 20
"""Muted, and as many added."""
LONGEST_TOPIC = 64
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WORD = re.compile(r"[\w']+")
_NAMING = re.compile(r"(title|brand|category)(_[a-z]{2,3})?")


@dataclass(frozen=True, slots=True)
class Edits:
    """One person's own corrections, oldest first; a topic stands on one side at most.

    Parameters
    ----------
    muted
        Topics whose items are never shown, and whose events no longer count as interest.
    added
        Topics the person wants, whatever was done before.
    """

    muted: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.muted or self.added)

    def changed(
        self,
        *,
        mute: Iterable[str] = (),
        unmute: Iterable[str] = (),
        add: Iterable[str] = (),
        drop: Iterable[str] = (),
    ) -> Edits:
        """After one correction. Muting a topic drops it from the added ones, and adding unmutes it.

        Raises
        ------
        UsageError
            A topic is empty or too long, one is both muted and added at once, or there would be too many.
        """
        muting, adding = _clean(mute), _clean(add)
        if both := {_key(topic) for topic in muting} & {_key(topic) for topic in adding}:
            raise UsageError(f"topic {min(both)!r} is muted and added at once; say one of the two.")
        muted = _merged(_without(self.muted, [*_clean(unmute), *adding]), muting)
        added = _merged(_without(self.added, [*_clean(drop), *muting]), adding)
        for what, topics in (("muted", muted), ("added", added)):
            if len(topics) > MOST_TOPICS:
                raise UsageError(f"{len(topics)} {what} topics; at most {MOST_TOPICS} are kept. Take some back first.")
        return Edits(muted, added)

    def written(self) -> dict[str, Any]:
        """As JSON values; ``Edits.read`` reads them."""
        return {"muted": list(self.muted), "added": list(self.added)}

    @classmethod
    def read(cls, values: dict[str, Any]) -> Edits:
        """What ``written`` gave."""
        return cls(tuple(map(str, values.get("muted", ()))), tuple(map(str, values.get("added", ()))))


def topic_items(catalogue: Catalogue, topic: str) -> IntArray:
    """Items that are about a topic: every word of it begins a word of the title, the brand or a category.

    Words are told apart as each language writes them: an English one by its lemma, a Chinese one wherever it stands.

    Returns
    -------
    int32 positions, rising.
    """
    columns = [name for name in catalogue.frame.columns if _NAMING.fullmatch(name)]
    if not columns:
        return np.empty(0, dtype=np.int32)
    parts = [pl.col(name).cast(pl.String, strict=False) for name in columns]
    said = pl.concat_str(parts, separator=" ", ignore_nulls=True).str.to_lowercase()
    tests = [said.str.contains(_pattern(word)) for word in _WORD.findall(topic.lower())]
    if not tests:
        return np.empty(0, dtype=np.int32)
    about = catalogue.frame.select(pl.all_horizontal(tests).fill_null(False)).to_series().to_numpy()
    return np.nonzero(about)[0].astype(np.int32)


def _pattern(word: str) -> str:
    if is_cjk(word):
        return re.escape(word)
    stem = lemma(word)
    # What a plural ending turns into: berry, berries.
    ending = rf"{re.escape(stem[:-1])}(y|ys|ies)" if stem.endswith("y") else rf"{re.escape(stem)}(s|es)?"
    return rf"(^|[^a-z0-9]){ending}($|[^a-z0-9])"


def _clean(topics: Iterable[str]) -> list[str]:
    found = []
    for topic in topics:
        said = " ".join(_CONTROL.sub(" ", topic).split())
        if not said or not _WORD.search(said):
            raise UsageError(f"topic {topic!r} says nothing; name a category, a brand or a word.")
        if len(said) > LONGEST_TOPIC:
            raise UsageError(f"topic {said[:20]!r}... has {len(said)} characters; at most {LONGEST_TOPIC} are kept.")
        found.append(said)
    return found


def _key(topic: str) -> str:
    return topic.casefold()


def _without(topics: Iterable[str], gone: Iterable[str]) -> list[str]:
    keys = {_key(topic) for topic in gone}
    return [topic for topic in topics if _key(topic) not in keys]


def _merged(topics: list[str], new: Iterable[str]) -> tuple[str, ...]:
    return tuple({_key(topic): topic for topic in (*topics, *new)}.values())

"""Interests in words: each by its name, the strongest first, within a budget of tokens and without repeating itself."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from palate.behaviour.decay import DAY
from palate.behaviour.interests import Interests
from palate.core import IntArray
from palate.data import Catalogue
from palate.data.catalogue import category_names
from palate.language.terms import CJK, words

_SAMPLE = 5000
_ALIKE = 0.8
"""Cosine from which two interests say the same."""
_TOKEN = re.compile(rf"[{CJK}]|[^\W{CJK}]+|[^\w\s]")
_MOODS = {"en": ("discontent", "mixed", "content"), "zh": ("不满", "褒贬不一", "满意")}


@dataclass(frozen=True, slots=True)
class NamedInterest:
    """One interest in words.

    Parameters
    ----------
    name
        What it is about, in the language asked for.
    share
        Of all interest, 0 to 1.
    events
        How many it rests on.
    first, last
        Seconds since 1970 UTC; NaN where unknown.
    mood
        -1 (discontent) to 1 (content); NaN where nothing says.
    items
        Positions of its newest items.
    """

    name: str
    share: float
    events: int
    first: float
    last: float
    mood: float
    items: tuple[int, ...]

    def written(self, catalogue: Catalogue) -> dict[str, Any]:
        """As JSON values; what is unknown is left out."""
        values: dict[str, Any] = {"name": self.name, "share": round(self.share, 3), "events": self.events}
        known = {"first": self.first, "last": self.last, "mood": self.mood}
        values |= {name: round(value, 3) for name, value in known.items() if not math.isnan(value)}
        return values | {"items": catalogue.ids.externals(self.items)}


class Names:
    """Names for groups of items: the innermost category most of them share, else the words that set them apart."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def of(self, items: IntArray, language: str = "en") -> str:
        """A name for some items; "" for none."""
        own = items[items >= 0]
        if not len(own):
            return ""
        return self._category(own, language) or self._words(own) or self._catalogue.titles[int(own[0])]

    def _category(self, items: IntArray, language: str) -> str:
        frame = self._catalogue.frame
        column = f"category_{language}" if f"category_{language}" in frame.columns else "category"
        if column not in frame.columns:
            return ""
        values = [category_names(str(value)) for value in frame[items.tolist()][column].to_list() if value]
        counts = Counter(name for names in values for name in names)
        depth = {name: place for names in values for place, name in enumerate(names)}
        shared = [name for name, count in counts.items() if count * 2 >= len(items)]
        best = max(shared, key=lambda name: (depth[name], counts[name], name), default="")
        return best.rpartition(" > ")[2]

    def _words(self, items: IntArray, most: int = 3) -> str:
        titles = self._catalogue.strings("title")
        counts = Counter(word for item in items for word in dict.fromkeys(words(titles[int(item)])))
        frequency, total = self._frequency
        weigh = {word: count * math.log((1 + total) / (1 + frequency[word])) for word, count in counts.items()}
        best = sorted(weigh, key=lambda word: (-weigh[word], word))[:most]
        return ", ".join(word for word in best if weigh[word] > 0)

    @cached_property
    def _frequency(self) -> tuple[Counter[str], int]:
        titles = self._catalogue.strings("title")
        sample = titles[:: max(1, len(titles) // _SAMPLE)]
        return Counter(word for title in sample for word in set(words(title))), len(sample)


def named(interests: Interests, names: Names, language: str = "en") -> list[NamedInterest]:
    """Interests by name, what foretells most first: much weight, and evidence of more than one event.

    Interests of the same name, or whose middles nearly coincide, are said as one.
    """
    shares, moods = interests.shares, interests.moods
    units = interests.totals / np.maximum(np.linalg.norm(interests.totals, axis=1, keepdims=True), 1e-12)
    order = np.argsort(-shares * np.log1p(interests.counts), kind="stable")
    found: list[NamedInterest] = []
    said: list[int] = []
    for place in order:
        name = names.of(interests.items[place], language)
        own = NamedInterest(
            name,
            float(shares[place]),
            int(interests.counts[place]),
            float(interests.first[place]),
            float(interests.last[place]),
            float(moods[place]),
            tuple(int(item) for item in interests.items[place] if item >= 0),
        )
        twin = next(
            (row for row, other in enumerate(said) if found[row].name == name or units[other] @ units[place] > _ALIKE),
            None,
        )
        if twin is None:
            found.append(own)
            said.append(int(place))
        else:
            found[twin] = _joined(found[twin], own)
    return found


def summary(interests: Sequence[NamedInterest], now: float, *, tokens: int = 60, language: str = "en") -> str:
    """The interests in one sentence of at most so many tokens: what foretells most is said, the rest falls away.

    Parameters
    ----------
    now
        Seconds since 1970 UTC, NaN where times are not to be told.
    tokens
        As ``count_tokens`` counts them.
    """
    chinese = language.startswith("zh")
    empty = "还没有看出兴趣。" if chinese else "No interest known yet."
    said: list[str] = []
    for number in range(1, len(interests) + 1):
        parts = [_part(own, now, language) for own in interests[:number]]
        text = ("感兴趣：" + "；".join(parts) + "。") if chinese else ("Interested in " + "; ".join(parts) + ".")
        if count_tokens(text) > tokens:
            break
        said = [text]
    return said[0] if said else empty if not interests else _shortest(interests[0].name, chinese)


def count_tokens(text: str) -> int:
    """About how many tokens a language model reads: one a Chinese character or a mark, one for four letters."""
    return sum(1 if len(part) == 1 or not part.isascii() else math.ceil(len(part) / 4) for part in _TOKEN.findall(text))


def _part(own: NamedInterest, now: float, language: str) -> str:
    chinese = language.startswith("zh")
    facts = [f"{own.share:.0%}", f"{own.events} 次" if chinese else f"{own.events} times" if own.events > 1 else "once"]
    if not (math.isnan(now) or math.isnan(own.last)):
        days = max(0, int((now - own.last) / DAY))
        if chinese:
            facts.append("今天" if days == 0 else f"{days} 天前")
        else:
            facts.append("today" if days == 0 else f"{days} {'day' if days == 1 else 'days'} ago")
    if not math.isnan(own.mood):
        facts.append(_MOODS["zh" if chinese else "en"][0 if own.mood < -0.2 else 2 if own.mood > 0.2 else 1])
    return f"{own.name}（{'，'.join(facts)}）" if chinese else f"{own.name} ({', '.join(facts)})"


def _shortest(name: str, chinese: bool) -> str:
    return f"感兴趣：{name}。" if chinese else f"Interested in {name}."


def _joined(first: NamedInterest, second: NamedInterest) -> NamedInterest:
    moods = [(own.mood, own.share) for own in (first, second) if not math.isnan(own.mood)]
    total = sum(share for _, share in moods)
    return NamedInterest(
        first.name,
        first.share + second.share,
        first.events + second.events,
        float(np.fmin(first.first, second.first)),
        float(np.fmax(first.last, second.last)),
        sum(mood * share for mood, share in moods) / total if total else math.nan,
        tuple(dict.fromkeys((*first.items, *second.items)))[:8],
    )

"""The words the demo shop is made of, in English and Chinese, kept as data in ``vocabulary.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple


class Words(NamedTuple):
    """The same thing said in English and in Chinese."""

    en: str
    zh: str

    @classmethod
    def of(cls, text: str) -> Words:
        """From ``"English|中文"``."""
        english, chinese = text.split("|")[:2]
        return cls(english, chinese)

    def say(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Topic:
    """What people care about, with sentences that say so."""

    words: Words
    sentences: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Brand:
    """A maker; tier 0 is cheap and 3 is dear."""

    words: Words
    tier: int


@dataclass(frozen=True, slots=True)
class Flavour:
    """A property of an item, the topic (position) it speaks to and the nouns (positions) it goes with."""

    topic: int
    words: Words
    suits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """A size or colour and the nouns (positions) it goes with."""

    words: Words
    suits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A shelf of the shop, such as tents.

    Parameters
    ----------
    price
        Typical price, EUR.
    spread
        Standard deviation of the log price.
    repeat
        Days until a buyer runs out; 0 for things that are not used up.
    goes_with
        Positions of sections whose items complete this section's.
    season
        Name of the seasonal shape and its strength.
    sale
        How much more the section is wanted on sale days, in logs.
    species
        "dog" or "cat" where only their keepers buy; "" for everybody.
    """

    key: str
    department: int
    words: Words
    price: float
    spread: float
    repeat: float
    goes_with: tuple[int, ...]
    season: tuple[str, float]
    sale: float
    species: str
    is_book: bool
    use: Words
    nouns: tuple[Words, ...]
    flavours: tuple[Flavour, ...]
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Department:
    """A floor of the shop and the brands it carries."""

    key: str
    words: Words
    brands: tuple[Brand, ...]


@dataclass(frozen=True, slots=True)
class City:
    """Where customers live; ``offset`` is hours ahead of UTC (summer time left aside)."""

    words: Words
    lat: float
    lon: float
    offset: int
    language: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything the shop can say."""

    topics: tuple[Topic, ...]
    departments: tuple[Department, ...]
    sections: tuple[Section, ...]
    cities: tuple[City, ...]
    reviews: Mapping[str, Mapping[str, Sequence[str]]]


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary that ships with palate."""
    raw = json.loads(resources.files("palate.simulation").joinpath("vocabulary.json").read_text(encoding="utf-8"))
    topics = tuple(
        Topic(Words(english, chinese), tuple(Words(*pair) for pair in zip(english_lines, chinese_lines, strict=True)))
        for english, chinese, english_lines, chinese_lines in raw["topics"]
    )
    topic_at = {topic.words.en: position for position, topic in enumerate(topics)}
    keys = [section["key"] for department in raw["departments"] for section in department["sections"]]
    section_at = {key: position for position, key in enumerate(keys)}
    sections = tuple(
        _section(entry, position, department, topic_at, section_at)
        for position, department in enumerate(raw["departments"])
        for entry in department["sections"]
    )
    departments = tuple(
        Department(entry["key"], Words.of(entry["name"]), tuple(_brand(text) for text in entry["brands"]))
        for entry in raw["departments"]
    )
    cities = tuple(City(Words.of(name), *rest) for name, *rest in raw["cities"])
    return Vocabulary(topics, departments, sections, cities, raw["reviews"])


def _brand(text: str) -> Brand:
    english, chinese, tier = text.split("|")
    return Brand(Words(english, chinese), int(tier))


def _section(
    entry: Mapping[str, Any],
    position: int,
    department: Mapping[str, Any],
    topic_at: Mapping[str, int],
    section_at: Mapping[str, int],
) -> Section:
    shape, strength = entry.get("season", department["season"]).split(":")
    nouns = tuple(Words.of(text) for text in entry["nouns"])
    flavours = []
    for text in entry["flavours"]:
        topic, words = text.split(":", 1)
        flavours.append(Flavour(topic_at[topic], Words.of(words), _suits(words, len(nouns))))
    return Section(
        key=entry["key"],
        department=position,
        words=Words.of(entry["name"]),
        price=entry["price"],
        spread=entry["spread"],
        repeat=entry.get("repeat", 0.0),
        goes_with=tuple(section_at[key] for key in entry.get("goes_with", ())),
        season=(shape, float(strength)),
        sale=department["sale"],
        species=entry.get("species", ""),
        is_book=entry.get("pattern") == "book",
        use=Words.of(entry["use"]),
        nouns=nouns,
        flavours=tuple(flavours),
        variants=tuple(Variant(Words.of(text), _suits(text, len(nouns))) for text in entry["variants"]),
    )


def _suits(text: str, n_nouns: int) -> tuple[int, ...]:
    """Nouns named by the digits in ``"English|中文|digits"``; all where there are none."""
    parts = text.split("|")
    return tuple(int(digit) for digit in parts[2]) if len(parts) > 2 else tuple(range(n_nouns))

"""What the demo shop sells: items with bilingual texts, brands, prices and known attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from palate.core import Float64Array, FloatArray, IntArray, UsageError
from palate.simulation.vocabulary import Brand, Flavour, Section, Vocabulary, Words

DAY = 86_400.0
HIDDEN = 6
"""Dimensions of an item's look and feel: people see it in the pictures, no text mentions it."""

_TIER_PRICE = (0.68, 0.95, 1.25, 1.7)


@dataclass(frozen=True, slots=True)
class Assortment:
    """n items as a frame and as the arrays behind it.

    Parameters
    ----------
    frame
        n rows: ``item_id`` and the canonical columns, ``title_zh``, ``description_zh``, ``category_zh``, ``brand_zh``.
    section, noun, flavour, topic
        int32 (n,); noun and flavour count within the section, topic is the flavour's.
    topics
        float32 (n, T), how much each item speaks to each topic.
    hidden
        float32 (n, HIDDEN).
    quality
        float32 (n,), standard normal.
    price
        float32 (n,), list price in EUR.
    created
        float64 (n,), seconds since 1970 UTC.
    complements
        int32 (n, 4), items that complete this one, -1 pads.
    """

    frame: pl.DataFrame
    section: IntArray
    noun: IntArray
    flavour: IntArray
    topic: IntArray
    topics: FloatArray
    hidden: FloatArray
    quality: FloatArray
    price: FloatArray
    created: Float64Array
    complements: IntArray


@dataclass(frozen=True, slots=True)
class _Item:
    section: int
    noun: int
    flavour: int
    brand: Brand
    title: Words


def make_assortment(
    words: Vocabulary, n_items: int, *, start: float, days: int, new_share: float, rng: np.random.Generator
) -> Assortment:
    """Items spread over all sections, each with its own title.

    Parameters
    ----------
    start, days
        Opening of the shop (seconds since 1970 UTC) and how long it is watched.
    new_share
        Share of items that arrive while it is watched.
    """
    sizes = _sizes(words, n_items, rng)
    items = [item for position, size in enumerate(sizes) for item in _stock(words, position, int(size), rng)]
    n = len(items)
    section = np.array([item.section for item in items], dtype=np.int32)
    noun = np.array([item.noun for item in items], dtype=np.int32)
    flavour = np.array([item.flavour for item in items], dtype=np.int32)
    tier = np.array([item.brand.tier for item in items], dtype=np.int32)
    names = [topic.words.en for topic in words.topics]
    luxury, value = names.index("luxury"), names.index("value")
    topic = np.array([words.sections[item.section].flavours[item.flavour].topic for item in items], dtype=np.int32)
    topics = np.zeros((n, len(names)), dtype=np.float32)
    topics[np.arange(n), topic] = 1.0
    topics[tier == 3, luxury] += 0.5
    topics[tier == 0, value] += 0.5
    price = _prices(words, section, tier, topic, rng)
    hidden = _hidden(section, noun, rng)
    quality = (rng.normal(0, 0.9, n) + 0.35 * (tier - 1.2)).astype(np.float32)
    arrives = rng.random(n) < new_share
    created = start + DAY * np.where(arrives, rng.uniform(5, days * 0.93, n), -rng.uniform(20, 900, n))
    frame = _frame(words, items, price, created, rng)
    complements = _complements(words, section, 1.5 * topics @ topics.T + 1.2 * hidden @ hidden.T, np.log(price), rng)
    return Assortment(frame, section, noun, flavour, topic, topics, hidden, quality, price, created, complements)


def _sizes(words: Vocabulary, n_items: int, rng: np.random.Generator) -> IntArray:
    """How many items each section holds, never more than it has titles for; they add up to ``n_items``.

    Raises
    ------
    UsageError
        There are not that many different titles.
    """
    room = np.array([len(_choices(words, position)) for position in range(len(words.sections))])
    if n_items > room.sum():
        raise UsageError(f"items = {n_items}: the demo shop has words for {room.sum()} different items at most")
    sizes = np.minimum(rng.multinomial(n_items, rng.dirichlet(np.full(len(room), 25.0))), room)
    while (short := n_items - sizes.sum()) > 0:
        free = room - sizes
        sizes = np.minimum(sizes + rng.multinomial(short, free / free.sum()), room)
    return sizes.astype(np.int32)


def _choices(words: Vocabulary, position: int) -> list[tuple[int, int, int, int]]:
    """Every combination of noun, flavour, variant and brand that makes sense in a section and has its own title."""
    section = words.sections[position]
    brands = 1 if section.is_book else len(words.departments[section.department].brands)
    return [
        (noun, flavour, variant, brand)
        for noun in range(len(section.nouns))
        for flavour, property_ in enumerate(section.flavours)
        if noun in property_.suits
        for variant, size in enumerate(section.variants)
        if noun in size.suits
        for brand in range(brands)
    ]


def _stock(words: Vocabulary, position: int, size: int, rng: np.random.Generator) -> list[_Item]:
    """Items of one section with distinct titles."""
    section = words.sections[position]
    brands = words.departments[section.department].brands
    choices = _choices(words, position)
    items = []
    for choice in rng.permutation(len(choices))[:size]:
        noun, flavour, variant, brand = choices[choice]
        maker = brands[int(rng.integers(len(brands)))] if section.is_book else brands[brand]
        title = _title(section, maker, section.nouns[noun], section.flavours[flavour], section.variants[variant].words)
        items.append(_Item(position, noun, flavour, maker, title))
    return items


def _title(section: Section, brand: Brand, noun: Words, flavour: Flavour, variant: Words) -> Words:
    if section.is_book:
        return Words(f"{flavour.words.en} {noun.en} ({variant.en})", f"《{flavour.words.zh}{noun.zh}》{variant.zh}")
    gap = " " if flavour.words.zh[-1].isascii() or noun.zh[0].isascii() else ""
    joint = " " if variant.en[:4] in {"for ", "with"} else ", "
    return Words(
        f"{brand.words.en} {flavour.words.en} {noun.en}{joint}{variant.en}",
        f"{brand.words.zh} {flavour.words.zh}{gap}{noun.zh} {variant.zh}",
    )


def _prices(
    words: Vocabulary, section: IntArray, tier: IntArray, topic: IntArray, rng: np.random.Generator
) -> FloatArray:
    names = [entry.words.en for entry in words.topics]
    typical = np.array([entry.price for entry in words.sections])[section]
    spread = np.array([entry.spread for entry in words.sections])[section]
    raw = typical * np.exp(spread * 0.7 * rng.normal(size=len(section))) * np.array(_TIER_PRICE)[tier]
    raw *= np.where(topic == names.index("luxury"), 1.4, np.where(topic == names.index("value"), 0.78, 1.0))
    charm = np.where(
        raw < 30, np.floor(raw) + 0.99, np.where(raw < 150, np.floor(raw) + 0.9, np.round(raw / 10) * 10 - 1)
    )
    return np.maximum(charm, 2.99).astype(np.float32)


def _hidden(section: IntArray, noun: IntArray, rng: np.random.Generator) -> FloatArray:
    """Looks: items of one noun resemble each other a little, the rest is their own."""
    family = rng.normal(size=(int(section.max()) + 1, int(noun.max()) + 1, HIDDEN))
    own = rng.normal(size=(len(section), HIDDEN))
    mixed = 0.4 * family[section, noun] + np.sqrt(1 - 0.4**2) * own
    return (mixed / np.sqrt(HIDDEN)).astype(np.float32)


def _complements(
    words: Vocabulary, section: IntArray, likeness: FloatArray, log_price: FloatArray, rng: np.random.Generator
) -> IntArray:
    """The four items of the sections a section goes with that suit an item best in topic, look and price level."""
    allowed = np.zeros((len(words.sections), len(words.sections)), dtype=bool)
    for position, entry in enumerate(words.sections):
        allowed[position, list(entry.goes_with)] = True
    level = np.zeros_like(log_price)
    for position in range(len(words.sections)):
        inside = section == position
        if inside.any():
            level[inside] = log_price[inside] - log_price[inside].mean()
    fit = likeness - np.abs(level[:, None] - level[None, :])
    fit = np.where(allowed[section][:, section], fit + rng.normal(0, 0.5, fit.shape), -np.inf)
    best = np.argsort(-fit, axis=1)[:, :4].astype(np.int32)
    return np.where(np.take_along_axis(fit, best, axis=1) == -np.inf, -1, best).astype(np.int32)


def _frame(
    words: Vocabulary, items: Sequence[_Item], price: FloatArray, created: Float64Array, rng: np.random.Generator
) -> pl.DataFrame:
    n = len(items)
    sections = [words.sections[item.section] for item in items]
    departments = [words.departments[section.department] for section in sections]
    picks = rng.integers(3, size=n)
    flavours = [section.flavours[item.flavour] for section, item in zip(sections, items, strict=True)]
    lines = [words.topics[flavour.topic].sentences[pick] for flavour, pick in zip(flavours, picks, strict=True)]
    stock = np.where(rng.random(n) < 0.03, 0, rng.poisson(rng.gamma(2.0, 30.0, n))).astype(np.float32)
    return pl.DataFrame(
        {
            "item_id": [
                f"{section.key}-{number:03d}" for section, number in zip(sections, _numbers(items), strict=True)
            ],
            "title": [item.title.en for item in items],
            "title_zh": [item.title.zh for item in items],
            "description": [
                f"{section.use.en} {line.en} {section.words.en} by {item.brand.words.en}."
                for section, line, item in zip(sections, lines, items, strict=True)
            ],
            "description_zh": [
                f"{section.use.zh}{line.zh}{item.brand.words.zh}出品，{section.words.zh}。"
                for section, line, item in zip(sections, lines, items, strict=True)
            ],
            "brand": [item.brand.words.en for item in items],
            "brand_zh": [item.brand.words.zh for item in items],
            "category": [f"{d.words.en} > {s.words.en}" for d, s in zip(departments, sections, strict=True)],
            "category_zh": [f"{d.words.zh} > {s.words.zh}" for d, s in zip(departments, sections, strict=True)],
            "price": np.round(price.astype(np.float64), 2),
            "currency": ["EUR"] * n,
            "stock": stock,
            "created": created,
        }
    )


def _numbers(items: Sequence[_Item]) -> list[int]:
    """Running number of each item within its section, from 1."""
    counts: dict[int, int] = {}
    numbers = []
    for item in items:
        counts[item.section] = counts.get(item.section, 0) + 1
        numbers.append(counts[item.section])
    return numbers

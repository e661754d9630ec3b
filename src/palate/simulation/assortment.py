"""What the demo shop sells: items with bilingual texts, brands, prices and known attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from palate.core import Float64Array, FloatArray, IntArray
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
    section, noun, flavour
        int32 (n,); noun and flavour count within the section.
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
    words: Vocabulary, n_items: int, start: float, days: int, new_share: float, rng: np.random.Generator
) -> Assortment:
    """Items spread over all sections, each with its own title.

    Parameters
    ----------
    start, days
        Opening of the shop (seconds since 1970 UTC) and how long it is watched.
    new_share
        Share of items that arrive while it is watched.
    """
    sizes = _sizes(n_items, len(words.sections), rng)
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
    price = _prices(words, section, tier, topic, luxury, value, rng)
    hidden = _hidden(section, noun, rng)
    quality = (rng.normal(0, 0.9, n) + 0.35 * (tier - 1.2)).astype(np.float32)
    arrives = rng.random(n) < new_share
    created = start + DAY * np.where(arrives, rng.uniform(5, days * 0.93, n), -rng.uniform(20, 900, n))
    frame = _frame(words, items, topic, price, created, rng)
    complements = _complements(words, section, topics, hidden, np.log(price), rng)
    return Assortment(frame, section, noun, flavour, topics, hidden, quality, price, created, complements)


def _sizes(n_items: int, n_sections: int, rng: np.random.Generator) -> IntArray:
    """How many items each section holds; they add up to ``n_items``."""
    sizes = rng.multinomial(n_items, rng.dirichlet(np.full(n_sections, 25.0)))
    return sizes.astype(np.int32)


def _stock(words: Vocabulary, position: int, size: int, rng: np.random.Generator) -> list[_Item]:
    """Items of one section with distinct titles, fewer than ``size`` only where the words run out."""
    section = words.sections[position]
    brands = words.departments[section.department].brands
    shape = (len(section.nouns), len(section.flavours), len(section.variants), 1 if section.is_book else len(brands))
    chosen = rng.permutation(int(np.prod(shape)))[:size]
    items = []
    for noun, flavour, variant, brand in zip(*np.unravel_index(chosen, shape), strict=True):
        maker = brands[int(rng.integers(len(brands)))] if section.is_book else brands[int(brand)]
        title = _title(section, maker, section.nouns[noun], section.flavours[flavour], section.variants[variant])
        items.append(_Item(position, int(noun), int(flavour), maker, title))
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
    words: Vocabulary,
    section: IntArray,
    tier: IntArray,
    topic: IntArray,
    luxury: int,
    value: int,
    rng: np.random.Generator,
) -> FloatArray:
    typical = np.array([entry.price for entry in words.sections])[section]
    spread = np.array([entry.spread for entry in words.sections])[section]
    raw = typical * np.exp(spread * 0.7 * rng.normal(size=len(section))) * np.array(_TIER_PRICE)[tier]
    raw *= np.where(topic == luxury, 1.4, np.where(topic == value, 0.78, 1.0))
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
    words: Vocabulary,
    section: IntArray,
    topics: FloatArray,
    hidden: FloatArray,
    log_price: FloatArray,
    rng: np.random.Generator,
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
    fit = 1.5 * topics @ topics.T + 1.2 * hidden @ hidden.T - np.abs(level[:, None] - level[None, :])
    fit = np.where(allowed[section][:, section], fit + rng.normal(0, 0.5, fit.shape), -np.inf)
    best = np.argsort(-fit, axis=1)[:, :4].astype(np.int32)
    return np.where(np.take_along_axis(fit, best, axis=1) == -np.inf, -1, best).astype(np.int32)


def _frame(
    words: Vocabulary,
    items: Sequence[_Item],
    topic: IntArray,
    price: FloatArray,
    created: Float64Array,
    rng: np.random.Generator,
) -> pl.DataFrame:
    n = len(items)
    sections = [words.sections[item.section] for item in items]
    departments = [words.departments[section.department] for section in sections]
    picks = rng.integers(3, size=n)
    lines = [words.topics[t].sentences[p] for t, p in zip(topic, picks, strict=True)]
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
            "price": price,
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

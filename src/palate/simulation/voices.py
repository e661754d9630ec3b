"""What customers write: reviews that say how content they are, and searches, each in the customer's language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palate.core import BoolArray, Float64Array, IntArray
from palate.simulation.vocabulary import Flavour, Section, Words
from palate.simulation.world import World

_BOOK = Words("book", "书")


def write_reviews(
    world: World,
    items: IntArray,
    *,
    stars: NDArray[np.integer],
    dearness: Float64Array,
    chinese: BoolArray,
    rng: np.random.Generator,
) -> list[str]:
    """A review for each purchase that got stars.

    Parameters
    ----------
    stars
        (m,), 1 to 5.
    dearness
        (m,), log of the price paid over the section's usual one.
    chinese
        (m,), language of the writer.
    """
    dice = rng.random((len(items), 8))
    return [
        _review(world, int(item), stars=int(star), dearness=float(dear), language="zh" if zh else "en", dice=row)
        for item, star, dear, zh, row in zip(items, stars, dearness, chinese, dice, strict=True)
    ]


def write_searches(world: World, items: IntArray, chinese: BoolArray, rng: np.random.Generator) -> list[str]:
    """What somebody who then looked at each item had typed: its kind, often with what matters to them."""
    dice = rng.random(len(items))
    return [
        _search(world, int(item), "zh" if zh else "en", float(roll))
        for item, zh, roll in zip(items, chinese, dice, strict=True)
    ]


def _review(world: World, item: int, *, stars: int, dearness: float, language: str, dice: Float64Array) -> str:
    lines = world.words.reviews[language]
    section, noun, flavour = _facts(world, item)
    mood = "good" if stars >= 4 else "fair" if stars == 3 else "bad"
    parts = [_pick(lines[mood], dice[0])]
    if dice[1] < 0.75:
        spoken = (_BOOK if section.is_book else noun).say(language)
        verdict = _pick(lines[f"verb_{mood}"], dice[3])
        spoken = spoken if language == "zh" else lowered(spoken)
        parts.append(_pick(lines["frame"], dice[2]).format(noun=spoken, verb=verdict))
    if dice[4] < 0.5:
        topic = world.words.topics[flavour.topic].words.say(language)
        parts.append(_pick(lines["match" if stars >= 4 else "mismatch"], dice[5]).format(topic=topic))
    if dice[6] < 0.6 and stars <= 3 and dearness > 0.25:
        parts.append(_pick(lines["dear"], dice[7]))
    if dice[6] < 0.6 and stars >= 4 and dearness < -0.25:
        parts.append(_pick(lines["cheap"], dice[7]))
    return "".join(parts) if language == "zh" else " ".join(parts)


def _search(world: World, item: int, language: str, roll: float) -> str:
    section, noun, flavour = _facts(world, item)
    if roll < 0.3:
        return section.words.zh if language == "zh" else lowered(section.words.en)
    if roll < 0.6:
        return noun.zh if language == "zh" else lowered(noun.en)
    if language == "zh":
        return f"{flavour.words.zh}{noun.zh}"
    return lowered(f"{flavour.words.en} {noun.en}")


def _facts(world: World, item: int) -> tuple[Section, Words, Flavour]:
    section = world.words.sections[world.goods.section[item]]
    return section, section.nouns[world.goods.noun[item]], section.flavours[world.goods.flavour[item]]


def lowered(text: str) -> str:
    """Lower case, but for words such as GPS or 5G."""
    return " ".join(
        word if (len(word) > 1 and word.isupper()) or any(sign.isdigit() for sign in word) else word.lower()
        for word in text.split()
    )


def _pick(options: Sequence[str], roll: float) -> str:
    return options[min(int(roll * len(options)), len(options) - 1)]

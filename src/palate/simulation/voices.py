"""What customers write: reviews that say how content they are, and searches, each in the customer's language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palate.core import Float64Array, IntArray
from palate.simulation.assortment import Assortment
from palate.simulation.vocabulary import Vocabulary


def write_reviews(
    words: Vocabulary,
    goods: Assortment,
    items: IntArray,
    stars: NDArray[np.integer],
    dearness: Float64Array,
    chinese: NDArray[np.bool_],
    rng: np.random.Generator,
) -> list[str]:
    """A review for each purchase that got stars.

    Parameters
    ----------
    stars
        (m,), 1 to 5.
    dearness
        (m,), log of the price paid over the usual one.
    chinese
        (m,), language of the writer.
    """
    dice = rng.random((len(items), 7))
    return [
        _review(words, goods, int(item), int(star), float(dear), "zh" if zh else "en", row)
        for item, star, dear, zh, row in zip(items, stars, dearness, chinese, dice, strict=True)
    ]


def _review(
    words: Vocabulary, goods: Assortment, item: int, stars: int, dearness: float, language: str, dice: Float64Array
) -> str:
    lines = words.reviews[language]
    section = words.sections[goods.section[item]]
    flavour = section.flavours[goods.flavour[item]]
    mood = "good" if stars >= 4 else "fair" if stars == 3 else "bad"
    noun = "book" if section.is_book and language == "en" else "书" if section.is_book else None
    spoken = noun or section.nouns[goods.noun[item]].say(language)
    parts = [_pick(lines[mood], dice[0])]
    if dice[1] < 0.75:
        frame = _pick(lines["frame"], dice[2])
        parts.append(
            frame.format(
                noun=spoken if language == "zh" else _lower(spoken), verb=_pick(lines[f"verb_{mood}"], dice[3])
            )
        )
    if dice[4] < 0.5:
        topic = words.topics[flavour.topic].words.say(language)
        parts.append(_pick(lines["match" if stars >= 4 else "mismatch"], dice[5]).format(topic=topic))
    if dice[6] < 0.6 and abs(dearness) > 0.25:
        parts.append(_pick(lines["dear" if dearness > 0 else "cheap"], dice[6] / 0.6)) if (dearness > 0) == (
            stars <= 3
        ) else None
    return "".join(parts) if language == "zh" else " ".join(parts)


def write_searches(
    words: Vocabulary,
    goods: Assortment,
    items: IntArray,
    chinese: NDArray[np.bool_],
    rng: np.random.Generator,
) -> list[str]:
    """What somebody who then looked at each item had typed: its kind, often with what matters to them."""
    dice = rng.random(len(items))
    return [
        _search(words, goods, int(item), "zh" if zh else "en", float(roll))
        for item, zh, roll in zip(items, chinese, dice, strict=True)
    ]


def _search(words: Vocabulary, goods: Assortment, item: int, language: str, roll: float) -> str:
    section = words.sections[goods.section[item]]
    noun = section.nouns[goods.noun[item]].say(language)
    if roll < 0.3:
        return section.words.say(language) if language == "zh" else section.words.en.lower()
    if roll < 0.6:
        return noun if language == "zh" else _lower(noun)
    flavour = section.flavours[goods.flavour[item]].words.say(language)
    return f"{flavour}{noun}" if language == "zh" else f"{flavour.lower()} {_lower(noun)}"


def _lower(text: str) -> str:
    """Lower case, but for abbreviations such as GPS or SPF."""
    return " ".join(word if word.isupper() or any(c.isdigit() for c in word) else word.lower() for word in text.split())


def _pick(options: Sequence[str], roll: float) -> str:
    return options[min(int(roll * len(options)), len(options) - 1)]

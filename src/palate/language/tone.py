"""How a text sounds by the words it uses: contented or not, and which feelings it names, in English and Chinese.

The lexicon ``tone_words.txt`` is palate's own: a word or a stem a line with its language, its weight and the feeling it
names. It answers where no rated review has taught anything better.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from palate.language.terms import lemma

EMOTIONS = ("joy", "trust", "gratitude", "surprise", "disappointment", "anger", "worry", "sadness", "disgust")
_LATIN = re.compile(r"[a-z']+")
_NOT = frozenset({"not", "no", "never", "hardly", "without", "isn't", "wasn't", "don't", "doesn't", "didn't", "can't"})
_NOT_CHINESE = ("不", "没", "未", "无", "别", "非", "毫无")
_VERY_CHINESE = ("很", "非常", "太", "特别", "超", "真", "极", "十分", "相当")
_VERY = frozenset({"very", "really", "so", "extremely", "too", "absolutely", "super", "totally"})
_REACH = 3
"""Words before an English one within which a negation turns it."""


@dataclass(frozen=True, slots=True)
class Tone:
    """How one text sounds.

    Parameters
    ----------
    score
        Between -1 and 1; 0 where no word of the lexicon stands in it, or where they cancel out.
    emotions
        Feelings it names with the share of each, the strongest first.
    words
        The words that say so and what each adds, the strongest first.
    """

    score: float
    emotions: tuple[tuple[str, float], ...]
    words: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class _Word:
    weight: float
    emotion: str


def tones(texts: Sequence[str]) -> list[Tone]:
    """How each of n texts sounds."""
    return [_tone(text) for text in texts]


def _tone(text: str) -> Tone:
    plain = unicodedata.normalize("NFKC", text[:2000]).lower()
    found = [*_english(plain), *_chinese(plain)]
    feelings: dict[str, float] = {}
    for _, weight, emotion, turned in found:
        if emotion and not turned:
            feelings[emotion] = feelings.get(emotion, 0.0) + abs(weight)
    total = sum(feelings.values()) or 1.0
    said: dict[str, float] = {}
    for word, weight, _, _ in found:
        said[word] = said.get(word, 0.0) + weight
    return Tone(
        math.tanh(sum(said.values()) / 2),
        tuple(
            sorted(((name, share / total) for name, share in feelings.items()), key=lambda pair: (-pair[1], pair[0]))
        ),
        tuple(sorted(said.items(), key=lambda pair: -abs(pair[1]))),
    )


def _english(text: str) -> list[tuple[str, float, str, bool]]:
    lexicon, found = _lexicon("en"), []
    words = _LATIN.findall(text)
    for place, word in enumerate(words):
        known = lexicon.get(word) or lexicon.get(lemma(word))
        if known is None:
            continue
        before = words[max(0, place - _REACH) : place]
        turned = any(other in _NOT or other.endswith("n't") for other in before)
        strong = 1.5 if any(other in _VERY for other in before[-1:]) else 1.0
        found.append((word, known.weight * strong * (-0.7 if turned else 1.0), known.emotion, turned))
    return found


def _chinese(text: str) -> list[tuple[str, float, str, bool]]:
    lexicon, found, place = _lexicon("zh"), [], 0
    longest = max(map(len, lexicon), default=0)
    while place < len(text):
        for size in range(min(longest, len(text) - place), 0, -1):
            known = lexicon.get(text[place : place + size])
            if known is not None:
                # Only what stands directly before, an intensifier between at most, turns a Chinese word.
                before = text[max(0, place - 4) : place]
                strong = next((1.5 for very in _VERY_CHINESE if before.endswith(very)), 1.0)
                bare = next((before[: -len(very)] for very in _VERY_CHINESE if before.endswith(very)), before)
                turned = bare.endswith(_NOT_CHINESE)
                weight = known.weight * (-0.7 if turned else strong)
                found.append((text[place : place + size], weight, known.emotion, turned))
                place += size
                break
        else:
            place += 1
    return found


@functools.cache
def _lexicon(language: str) -> dict[str, _Word]:
    lines = Path(__file__).with_name("tone_words.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {
        word: _Word(float(weight), emotion)
        for of, weight, emotion, words in rows
        if of == language
        for word in words.split()
    }

"""Which words of a text carry its likeness to something."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from palate.core import FloatArray
from palate.language.encoder import TextEncoder
from palate.language.lexical import LexicalEncoder
from palate.language.terms import is_cjk, surface_words, terms_of_word

MOST_WORDS = 64
"""Words of a text that are looked at; each costs an encoding."""


def word_weights(encoder: TextEncoder, text: str, target: FloatArray) -> list[tuple[str, float]]:
    """What each word of a text adds to its cosine with a target.

    For a lexical encoder exactly: the weights of all words, cut texts aside, add up to the cosine. For any other by
    occlusion (Zeiler & Fergus 2014): the cosine of the text minus that of the text without the word.

    Parameters
    ----------
    target
        float32 (dimension,), of length 1: the vector of a user, a wish or another item.

    Returns
    -------
    Distinct words (lower case) and weights, the heaviest first; stop words are left out.
    """
    plain = getattr(encoder, "encoder", encoder)
    weights = (
        _contributions(plain, text, target) if isinstance(plain, LexicalEncoder) else _occlusions(encoder, text, target)
    )
    return sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))


def _contributions(encoder: LexicalEncoder, text: str, target: FloatArray) -> dict[str, float]:
    text = text[: encoder.settings.max_characters]
    row = encoder.weigh([text])
    size = float(np.linalg.norm(row @ encoder.directions))
    if size < 1e-12:
        return {}
    found = surface_words(text)
    counts = Counter(term for _, word in found for term in terms_of_word(word))
    added = row.data * (encoder.directions[row.indices] @ target)
    of_column = dict(zip(row.indices.tolist(), added.tolist(), strict=True))
    weights: dict[str, float] = {}
    for surface, word in found:
        columns = ((encoder.column(term), counts[term]) for term in terms_of_word(word))
        share = sum(of_column[column] / n for column, n in columns if column is not None)
        weights[surface] = weights.get(surface, 0.0) + share / size
    return weights


def _occlusions(encoder: TextEncoder, text: str, target: FloatArray) -> dict[str, float]:
    lowered = text.lower()
    words = [word for word, _ in surface_words(text) if word in lowered]
    distinct = list(dict.fromkeys(words))[:MOST_WORDS]
    if not distinct:
        return {}
    cosines = encoder.encode([text, *(_without(text, word) for word in distinct)]) @ target
    return {word: float(cosines[0] - cosine) for word, cosine in zip(distinct, cosines[1:], strict=True)}


def _without(text: str, word: str) -> str:
    """A text without a word, wherever it stands and however it is capitalised."""
    border = "" if is_cjk(word) else r"\b"
    return " ".join(re.sub(f"{border}{re.escape(word)}{border}", " ", text, flags=re.IGNORECASE).split())

"""Whether a sentence says nothing but what is known: every word, number and title of it stands in the evidence.

A closed vocabulary, not a judge: words that only join others (a list a language) are free, every other word must stand
in the evidence that the sentence cites. That refuses true sentences too; a template is there for those.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from palate.language.terms import CJK, is_cjk, lemma, segmented, words_within

_RUN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_QUOTED = re.compile(r"[\"“”「『《‘]([^\"“”」』》’]{1,300})[\"“”」』》’]")
_FORBIDDEN = re.compile(
    r"https?:|www\.|[<>{}\[\]\\^~`|@#*_=]|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x1f\x7f]"
)
_LONGEST = 400


def unsupported(text: str, evidence: Sequence[str]) -> str:
    """What of a text is not in the evidence, as a kind of fault; "" where all of it is.

    Parameters
    ----------
    text
        One or a few sentences, English or Chinese.
    evidence
        What it may speak of: titles, names, sentences that are known to be true.

    Returns
    -------
    ``length``, ``signs``, ``number``, ``title`` or ``claim``; never a word of the text itself.
    """
    plain = unicodedata.normalize("NFKC", text)
    if not plain.strip() or len(plain) > _LONGEST:
        return "length"
    if _FORBIDDEN.search(text) or _FORBIDDEN.search(plain):
        return "signs"
    known = unicodedata.normalize("NFKC", "\n".join(evidence))
    numbers = {_plain_number(found) for found in _NUMBER.findall(known)}
    if any(_plain_number(found) not in numbers for found in _NUMBER.findall(plain)):
        return "number"
    folded = known.casefold()
    if any(found.strip().casefold().rstrip(".,。，") not in folded for found in _QUOTED.findall(plain)):
        return "title"
    words, chinese = _vocabulary(known)
    return "" if all(_known(run, words, chinese) for run in _runs(plain)) else "claim"


@functools.cache
def joining_words(language: str) -> frozenset[str]:
    """Words of a language (``en`` or ``zh``) that join others and claim nothing by themselves."""
    path = Path(__file__).with_name(f"joining_words_{language}.txt")
    return frozenset(path.read_text(encoding="utf-8").split())


def _runs(text: str) -> list[str]:
    return _RUN.findall(text.lower())


def _vocabulary(evidence: str) -> tuple[frozenset[str], str]:
    """The evidence's words, English ones by their lemma, and its Chinese as one text to find longer words in."""
    words: set[str] = set()
    chinese = [run for run in _runs(evidence) if is_cjk(run)]
    for run in chinese:
        for word in segmented(run):
            words |= {word, *words_within(word)}
    words |= {lemma(run) for run in _runs(evidence) if not is_cjk(run)}
    return frozenset(words), "\n".join(chinese)


def _known(run: str, words: frozenset[str], chinese: str) -> bool:
    if not is_cjk(run):
        return run in joining_words("en") or lemma(run) in words or run.isdigit()
    # A single letter within another word is no evidence: 不 stands in 不锈钢 and says something else by itself.
    free = joining_words("zh")
    return all(word in free or word in words or (len(word) > 1 and word in chinese) for word in segmented(run))


def _plain_number(found: str) -> str:
    """A number without separators of thousands and idle zeros: 1,200.50 and 1200.5 are one."""
    head, point, tail = found.rpartition(".")
    if point and tail.isdigit():
        return f"{head.replace(',', '').lstrip('0') or '0'}.{tail}".rstrip("0").rstrip(".")
    return found.replace(",", "").replace(".", "").lstrip("0") or "0"

"""Texts as terms: English words by their lemma, Chinese words and pairs of characters."""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path
from typing import Any

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUNS = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_IS_CJK = re.compile(rf"[{CJK}]")


def surface_words(text: str) -> list[tuple[str, str]]:
    """Words of a text in order, each as it stands there (lower case) and as it is counted; stop words left out."""
    found: list[tuple[str, str]] = []
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text).lower()):
        if is_cjk(run):
            found += [(word, word) for word in _segmenter().cut(run) if word not in stop_words("zh")]
        elif run not in stop_words("en"):
            found.append((run, lemma(run)))
    return found


def words(text: str) -> list[str]:
    """Words of a text in order, English ones by their lemma, Chinese ones as jieba cuts them; stop words left out."""
    return [word for _, word in surface_words(text)]


def terms(text: str) -> list[str]:
    """Terms a lexical method counts: words and the n-grams within them."""
    return [term for word in words(text) for term in terms_of_word(word)]


def terms_of_word(word: str) -> list[str]:
    """A word and its parts.

    English: trigrams within words of four letters and more (``#`` marks the borders), so that inflections and
    misspellings meet. Chinese: the pairs of characters within it, so that 手机 meets 智能手机.
    """
    if is_cjk(word):
        return [word, *(word[i : i + 2] for i in range(len(word) - 1))] if len(word) > 2 else [word]
    if len(word) < 4:
        return [word]
    edged = f"#{word}#"
    return [word, *(edged[i : i + 3] for i in range(len(edged) - 2))]


def words_within(word: str) -> list[str]:
    """Shorter Chinese words of two letters and more that the dictionary finds in one: 咖啡 in 咖啡粉."""
    if len(word) < 3 or not is_cjk(word):
        return []
    return [part for part in _segmenter().cut_for_search(word, HMM=False) if 1 < len(part) < len(word)]


def segmented(run: str) -> list[str]:
    """The words of a run of Chinese letters, stop words included."""
    return list(_segmenter().cut(run))


def is_cjk(word: str) -> bool:
    """Whether a word begins with a Chinese, Japanese or Korean letter."""
    return _IS_CJK.match(word) is not None


def lemma(word: str) -> str:
    """An English word without its plural ending."""
    if len(word) < 4 or not word.isascii() or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word


@functools.cache
def stop_words(language: str) -> frozenset[str]:
    """Words of a language (``en`` or ``zh``) that say nothing about a thing."""
    path = Path(__file__).with_name(f"stop_words_{language}.txt")
    return frozenset(path.read_text(encoding="utf-8").split())


@functools.cache
def _segmenter() -> Any:
    import logging

    import jieba

    jieba.setLogLevel(logging.ERROR)
    return jieba.Tokenizer()

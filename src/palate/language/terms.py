"""Texts as terms: English words by their lemma, Chinese words and pairs of characters."""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUNS = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_IS_CJK = re.compile(rf"[{CJK}]")


def words(text: str) -> list[str]:
    """Words of a text in order, lower case, stop words left out; Chinese is cut by jieba."""
    found: list[str] = []
    for run in _runs(text):
        if _IS_CJK.match(run):
            found += [word for word in _cut(run) if word not in stop_words("zh")]
        elif run not in stop_words("en"):
            found.append(lemma(run))
    return found


def terms(text: str) -> list[str]:
    """Terms a lexical method counts.

    English: lemmas, and trigrams within words of four letters and more (``#`` marks the borders), so that inflections
    and misspellings meet. Chinese: words, and the pairs of characters within them, so that 手机 meets 智能手机.
    """
    found: list[str] = []
    for word in words(text):
        found.append(word)
        if _IS_CJK.match(word):
            if len(word) > 2:
                found += [word[i : i + 2] for i in range(len(word) - 1)]
        elif len(word) > 3:
            edged = f"#{word}#"
            found += [edged[i : i + 3] for i in range(len(edged) - 2)]
    return found


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


def _runs(text: str) -> list[str]:
    return _RUNS.findall(unicodedata.normalize("NFKC", text).lower())


def _cut(run: str) -> list[str]:
    return list(_segmenter().cut(run))


@functools.cache
def _segmenter() -> object:
    import logging

    import jieba

    jieba.setLogLevel(logging.ERROR)
    return jieba.Tokenizer()

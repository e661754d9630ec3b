"""Which language a text is in, as far as its letters tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

_READ = 500
_LETTER = re.compile(r"[^\W\d_]")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]"), 0.1),
    ("ko", re.compile(r"[\uac00-\ud7af]"), 0.2),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"), 0.2),
    ("ru", re.compile(r"[\u0400-\u04ff]"), 0.5),
    ("ar", re.compile(r"[\u0600-\u06ff]"), 0.5),
)


def detect_language(text: str) -> str:
    """``zh``, ``ja``, ``ko``, ``ru`` or ``ar`` where enough letters are of that script, else ``en``.

    One Chinese character says as much as a few Latin letters, so a fifth of the letters makes a text Chinese.
    """
    sample = text[:_READ]
    letters = len(_LETTER.findall(sample))
    for language, script, share in _SCRIPTS:
        if letters and len(script.findall(sample)) >= share * letters:
            return language
    return "en"


def cjk_share(texts: Sequence[str]) -> float:
    """Share of Chinese, Japanese and Korean letters among the letters of these texts."""
    sample = "".join(text[:_READ] for text in texts)
    letters = len(_LETTER.findall(sample))
    return len(_CJK.findall(sample)) / letters if letters else 0.0

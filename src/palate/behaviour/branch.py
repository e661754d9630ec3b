"""Which way interest is modelled: by language where the data has text, by engineered features where it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from palate.data import Catalogue


@dataclass(frozen=True, slots=True)
class Branch:
    """The way taken, and why in words.

    Parameters
    ----------
    name
        ``"text"`` or ``"features"``.
    reason_en, reason_zh
        One sentence for the user.
    """

    name: Literal["text", "features"]
    reason_en: str
    reason_zh: str

    def reason(self, language: str = "en") -> str:
        """The reason in English, or in Chinese for ``"zh"``."""
        return self.reason_zh if language.startswith("zh") else self.reason_en


def branch(catalogue: Catalogue) -> Branch:
    """Choose by what the catalogue holds: text as soon as one item in ten has a title or a description."""
    total = len(catalogue)
    pairs = zip(catalogue.strings("title"), catalogue.strings("description"), strict=True)
    filled = sum(1 for title, description in pairs if title or description)
    share = f"{filled:,} / {total:,}"
    if catalogue.has_text:
        return Branch(
            "text",
            f"Interest is modelled from text: {share} items have a title or a description.",
            f"兴趣由文本建模：{share} 件商品有标题或描述。",
        )
    return Branch(
        "features",
        f"Interest is modelled from engineered features: only {share} items have a title or a description.",
        f"兴趣由特征工程建模：只有 {share} 件商品有标题或描述。",
    )

"""How alike the candidates of a question are, by what they say and by where they stand in the catalogue."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from palate.core import FloatArray, IntArray, Settings


class DiversitySettings(Settings):
    """What a list gives up for difference.

    Parameters
    ----------
    strength
        0 = relevance alone (off), 1 = difference alone: the share of diversity beside what else counts.
    """

    strength: float = Field(default=0.0, ge=0, le=1)


TEXTS = 0.2
"""Share of the texts where items have categories too: a list of other kinds of things says other things as well."""


def likeness(texts: FloatArray, categories: IntArray) -> FloatArray:
    """Likeness of all pairs of candidates: cosine of texts, and share of categories in common where there are any.

    Parameters
    ----------
    texts
        float32 (n, c, d), unit vectors or zeros; d may be 0.
    categories
        int32 (n, c, m), the categories of each, -1 pads; m may be 0.

    Returns
    -------
    float32 (n, c, c), 1 for the same item.
    """
    told, shelved = bool(texts.shape[2]), bool((categories >= 0).any())
    cosines = np.matmul(texts, texts.transpose(0, 2, 1)) if told else np.float32(0)
    if not shelved:
        return np.asarray(cosines if told else np.zeros((*texts.shape[:2], texts.shape[1])), dtype=np.float32)
    shares = in_common(categories)
    return cosines * np.float32(TEXTS) + shares * np.float32(1 - TEXTS) if told else shares


def in_common(categories: IntArray) -> FloatArray:
    """Categories that two items share over those that either has (Jaccard, 1901), for all pairs of a row.

    Parameters
    ----------
    categories
        int32 (n, c, m), each row of m different, -1 pads.

    Returns
    -------
    float32 (n, c, c); 0 where neither has one, since nothing tells that they are alike.
    """
    n, c, m = categories.shape
    sizes = (categories >= 0).sum(axis=2).astype(np.float32)
    shared = np.zeros((n, c, c), dtype=np.float32)
    for first in range(m):
        own = np.where(categories[:, :, first] >= 0, categories[:, :, first], -2)[:, :, None]
        for second in range(m):
            shared += own == categories[:, None, :, second]
    either = sizes[:, :, None] + sizes[:, None, :] - shared
    return np.asarray(np.divide(shared, either, out=shared, where=either > 0), dtype=np.float32)

"""Texts that are read again and again: tokenised once, and by a frozen trunk encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xxhash
from torch import Tensor

from palate.core import BoolArray, Int64Array, IntArray
from palate.core.arrays import offsets_of
from palate.language.tuning.trunk import Trunk


class Corpus:
    """Distinct texts as token ids.

    Parameters
    ----------
    trunk
        Who reads them.
    texts
        n texts; blank ones say nothing and have no tokens.

    Attributes
    ----------
    tokens
        n lists of token ids.
    says
        bool (n,), whether a text says anything.
    """

    def __init__(self, trunk: Trunk, texts: Sequence[str]) -> None:
        self.trunk = trunk
        clean = _clean(texts)
        said = [bool(text) and not text.isspace() for text in clean]
        tokenised = trunk.tokenize([text if own else "" for text, own in zip(clean, said, strict=True)])
        self.tokens = [ids if own else [] for ids, own in zip(tokenised, said, strict=True)]
        self.says: BoolArray = np.array([bool(ids) for ids in self.tokens], dtype=bool)
        self.digest = _digest(clean)
        lengths = np.array([len(ids) for ids in self.tokens], dtype=np.int64)
        self.offsets: Int64Array = offsets_of(lengths)
        self.flat: IntArray = np.fromiter((x for ids in self.tokens for x in ids), np.int32, int(lengths.sum()))
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def holds(self, texts: Sequence[str]) -> bool:
        """Whether it was made of these texts."""
        return self.digest == _digest(_clean(texts))

    def states(self, rows: Int64Array) -> Tensor:
        """Pooled states of these texts, float32 (n, h)."""
        if not self.trunk.frozen:
            return self.trunk.states([self.tokens[row] for row in rows])
        if self._kept is None:
            with torch.no_grad():
                self._kept = self.trunk.states(self.tokens)
        return self._kept[torch.from_numpy(rows)]

    def bags(self, rows: Int64Array) -> tuple[Tensor, Tensor]:
        """Token ids of these texts, int64 (t,), one after the other, and where each text begins, int64 (n,)."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        starts = offsets_of(lengths)
        places = np.arange(starts[-1]) + np.repeat(self.offsets[rows] - starts[:-1], lengths)
        return torch.from_numpy(self.flat[places].astype(np.int64)), torch.from_numpy(starts[:-1])


def _clean(texts: Sequence[str]) -> list[str]:
    """Texts without half surrogate pairs, as a tokenizer takes them."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def _digest(texts: Sequence[str]) -> str:
    digest = xxhash.xxh3_128()
    for text in texts:
        digest.update(text.encode() + b"\x1f")
    return digest.hexdigest()

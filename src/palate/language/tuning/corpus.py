"""Texts that are read again and again: tokenised once, and by a frozen trunk encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xxhash
from torch import Tensor

from palate.core import BoolArray, Int64Array, IntArray
from palate.core.arrays import offsets_of
from palate.language.paraphrasing import Paraphrase
from palate.language.tuning.trunk import Trunk


class Corpus:
    """Distinct texts as token ids.

    Parameters
    ----------
    trunk
        Who reads them.
    texts
        n texts; blank ones say nothing and have no tokens.
    others
        m of them in other words, read where ``drawn`` says so and nowhere else.

    Attributes
    ----------
    tokens
        n lists of token ids, and m of what the texts say in other words.
    says
        bool (n,), whether a text says anything.
    """

    def __init__(self, trunk: Trunk, texts: Sequence[str], others: Sequence[Paraphrase] = ()) -> None:
        self.trunk, self._size = trunk, len(texts)
        others = sorted(others, key=lambda one: one.row)
        counts = np.bincount(np.array([one.row for one in others], dtype=np.int64), minlength=len(texts))
        self._others: Int64Array = len(texts) + offsets_of(counts)
        clean = _clean([*texts, *(one.text for one in others)])
        said = [bool(text) and not text.isspace() for text in clean]
        tokenised = trunk.tokenize([text if own else "" for text, own in zip(clean, said, strict=True)])
        self.tokens = [ids if own else [] for ids, own in zip(tokenised, said, strict=True)]
        self.says: BoolArray = np.array([bool(ids) for ids in self.tokens[: len(texts)]], dtype=bool)
        self.digest = _digest(clean)
        lengths = np.array([len(ids) for ids in self.tokens], dtype=np.int64)
        self.offsets: Int64Array = offsets_of(lengths)
        self.flat: IntArray = np.fromiter((x for ids in self.tokens for x in ids), np.int32, int(lengths.sum()))
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return self._size

    def holds(self, texts: Sequence[str], others: Sequence[Paraphrase] = ()) -> bool:
        """Whether it was made of these texts and these other words."""
        told = sorted(others, key=lambda one: one.row)
        return self.digest == _digest(_clean([*texts, *(one.text for one in told)]))

    def drawn(self, rows: Int64Array, generator: torch.Generator) -> Int64Array:
        """Rows to read for these texts: of a text and what says the same in other words, one by chance."""
        if self._others[-1] == self._size:
            return rows
        counts = self._others[rows + 1] - self._others[rows]
        place = (torch.rand(len(rows), generator=generator).numpy() * (counts + 1)).astype(np.int64)
        return np.where(place == 0, rows, self._others[rows] + place - 1)

    def beside(self, rows: Int64Array) -> Int64Array:
        """Rows of everything that says what these texts say in other words."""
        counts = self._others[rows + 1] - self._others[rows]
        starts = offsets_of(counts)
        return np.arange(starts[-1]) + np.repeat(self._others[rows] - starts[:-1], counts)

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

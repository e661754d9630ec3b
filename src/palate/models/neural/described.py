"""What is said of items, as a network takes it: directions of their texts, codes of their categories and brands."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np

from palate.core import FloatArray, Int64Array, IntArray
from palate.core.recommender import Arrays
from palate.data import Catalogue
from palate.language import LexicalEncoder, TextEncoder, item_texts
from palate.language.lexical import LexicalSettings
from palate.language.text_space import TextSpace
from palate.models.item_blocks import ItemBlocks, part_of

_CATEGORIES = 3
"""Categories of an item that are read, the innermost ones."""
_MOST = 20_000
"""Attributes told apart, the commonest."""
_LEAST = 3
"""Items an attribute needs to be told apart."""


class Says(Protocol):
    """Which parts of the catalogue are read."""

    @property
    def text(self) -> bool: ...
    @property
    def attributes(self) -> bool: ...
    @property
    def text_dimensions(self) -> int: ...
    @property
    def word_dimensions(self) -> int: ...


@dataclass(frozen=True)
class Described:
    """How texts and attributes become numbers.

    Parameters
    ----------
    space
        Directions of the catalogue's texts; None: texts are not read.
    words
        Directions of their words, which tell brands and lines apart; None: not read.
    codes
        Code of each attribute, by its name with its column before it.
    blocks
        Directions of item vectors from elsewhere, which stand beside those of texts; none where texts are not read.
    """

    space: TextSpace | None = None
    words: LexicalEncoder | None = None
    codes: dict[str, int] = field(default_factory=dict)
    blocks: ItemBlocks = field(default_factory=ItemBlocks)

    @classmethod
    def fit(cls, catalogue: Catalogue, says: Says, encoder: TextEncoder | None) -> Self:
        """From a catalogue."""
        space = words = None
        blocks = ItemBlocks.of(catalogue, says.text_dimensions) if says.text else ItemBlocks()
        if says.text and encoder is not None and catalogue.has_text:
            texts = item_texts(catalogue)
            space = TextSpace.of(encoder.encode(texts), says.text_dimensions, whitening=1.0)
            if says.word_dimensions and not encoder.name.startswith("lexical"):
                words = LexicalEncoder(LexicalSettings(dimension=says.word_dimensions)).fit(texts)
        if not says.attributes:
            return cls(space, words, {}, blocks)
        counts = Counter(name for row in _names(catalogue) for name in row)
        kept = sorted((name for name, n in counts.items() if n >= _LEAST), key=lambda name: (-counts[name], name))
        return cls(space, words, {name: code for code, name in enumerate(kept[:_MOST])}, blocks)

    @property
    def n_codes(self) -> int:
        return len(self.codes)

    def of(
        self, catalogue: Catalogue, items: IntArray, encoder: TextEncoder | None
    ) -> tuple[FloatArray | None, Int64Array | None]:
        """Texts and blocks float32 (n, t), attributes int64 (n, a) of some items; None where not read; -1 pads."""
        part = catalogue if len(items) == len(catalogue) else part_of(catalogue, items)
        texts = None
        if self.space is not None and encoder is not None:
            said = item_texts(part)
            texts = self.space.project(encoder.encode(said))
            if self.words is not None:
                texts = np.concatenate([texts, self.words.encode(said)], axis=1)
        if self.blocks.dimensions:
            blocks = self.blocks.project(part)
            texts = blocks if texts is None else np.concatenate([texts, blocks], axis=1)
        if not self.codes:
            return texts, None
        codes = np.full((len(items), _CATEGORIES + 1), -1, dtype=np.int64)
        for row, names in enumerate(_names(part)):
            known = [self.codes[name] for name in names if name in self.codes]
            codes[row, : len(known)] = known
        return texts, codes

    def arrays(self) -> Arrays:
        names = json.dumps(list(self.codes), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return {
            "attributes": np.frombuffer(names, dtype=np.uint8),
            **({} if self.space is None else self.space.arrays()),
            **self.blocks.arrays(),
            **({} if self.words is None else {f"words.{name}": value for name, value in self.words.arrays().items()}),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        names = json.loads(np.asarray(arrays["attributes"]).tobytes().decode("utf-8", "surrogatepass"))
        space = TextSpace.from_arrays(arrays) if "text_mean" in arrays else None
        own = {name.removeprefix("words."): value for name, value in arrays.items() if name.startswith("words.")}
        words = LexicalEncoder().restore(own) if own else None
        return cls(space, words, {name: code for code, name in enumerate(names)}, ItemBlocks.from_arrays(arrays))


def _names(catalogue: Catalogue) -> list[list[str]]:
    """Innermost categories and brand of each item, at most four names."""
    ragged, names = catalogue.categories
    rows = [
        [f"category {names[code]}" for code in ragged.values[start:stop][-_CATEGORIES:]]
        for start, stop in zip(ragged.indptr[:-1], ragged.indptr[1:], strict=True)
    ]
    for row, brand in zip(rows, catalogue.strings("brand"), strict=True):
        if brand:
            row.append(f"brand {brand}")
    return rows

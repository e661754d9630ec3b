"""Texts as sums over a table of vectors: regular expression, dictionary, one sparse product. No network, no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise

import numpy as np
import xxhash
from scipy import sparse

from palate.core import FloatArray
from palate.core.recommender import Arrays
from palate.language.encoder import unit_rows

PIECE = "##"
"""Before what goes on within a word."""

_UNITS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")
_CHARACTERS = 4000
_LONGEST = 24
_REMEMBERED = 200_000


def units(text: str) -> list[str]:
    """Words, Chinese characters and signs of a text, lower case."""
    return _UNITS.findall(text[:_CHARACTERS].lower())


@dataclass(frozen=True)
class StaticEncoder:
    """Words, pairs of words and their vectors. Made by ``distil_static``, or read from disk.

    Parameters
    ----------
    places
        Row of each word, of each continuation (``##ing``) and of each pair (joined by a space).
    table
        float16 (len(places), dimension), weights included.
    """

    places: dict[str, int] = field(repr=False)
    table: np.ndarray[tuple[int, int], np.dtype[np.float16]] = field(repr=False)
    languages: tuple[str, ...]
    label: str
    _known: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, names: Sequence[str], vectors: FloatArray, languages: tuple[str, ...], label: str) -> StaticEncoder:
        """From names and vectors in one order."""
        return cls({name: row for row, name in enumerate(names)}, vectors.astype(np.float16), languages, label)

    @property
    def dimension(self) -> int:
        return int(self.table.shape[1])

    @cached_property
    def name(self) -> str:
        digest = xxhash.xxh3_64("\n".join(self.places).encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(self.table).tobytes())
        return f"{self.label}-{digest.hexdigest()}"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of n texts, float32 (n, dimension); zeros where nothing is known."""
        if not len(texts):
            return np.zeros((0, self.dimension), dtype=np.float32)
        return unit_rows(self.rows(texts) @ self._vectors)

    def rows(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """How often each text has each row of the table; float32 (n, len(places)), not summed up."""
        found = [self._rows_of(text) for text in texts]
        indptr = np.zeros(len(found) + 1, dtype=np.int64)
        np.cumsum([len(rows) for rows in found], out=indptr[1:])
        indices = np.fromiter(chain.from_iterable(found), dtype=np.int32, count=int(indptr[-1]))
        ones = np.ones(len(indices), dtype=np.float32)
        return sparse.csr_matrix((ones, indices, indptr), shape=(len(found), len(self.places)))

    def arrays(self) -> Arrays:
        """The state: names as UTF-8 JSON, and the table."""
        names = json.dumps(list(self.places), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return {"names": np.frombuffer(names, dtype=np.uint8), "table": self.table}

    @classmethod
    def from_arrays(cls, arrays: Arrays, languages: tuple[str, ...], label: str) -> StaticEncoder:
        """What ``arrays`` gave."""
        names = json.loads(np.asarray(arrays["names"]).tobytes().decode("utf-8", "surrogatepass"))
        table = np.asarray(arrays["table"], dtype=np.float16)
        return cls({name: row for row, name in enumerate(names)}, table, languages, label)

    @cached_property
    def _vectors(self) -> FloatArray:
        return self.table.astype(np.float32)

    def _rows_of(self, text: str) -> list[int]:
        places, known = self.places, self._known
        said = units(text)
        rows: list[int] = []
        for word in said:
            row = places.get(word)
            if row is not None:
                rows.append(row)
                continue
            parts = known.get(word)
            if parts is None:
                parts = self._parts(word)
                if len(known) < _REMEMBERED:
                    known[word] = parts
            rows += parts
        for pair in pairwise(said):
            row = places.get(f"{pair[0]} {pair[1]}")
            if row is not None:
                rows.append(row)
        return rows

    def _parts(self, word: str) -> tuple[int, ...]:
        """The longest known beginning, and on from there (WordPiece, Schuster & Nakajima 2012); unknown letters go."""
        rows = []
        start = 0
        while start < len(word):
            mark = PIECE if start else ""
            for end in range(min(len(word), start + _LONGEST), start, -1):
                row = self.places.get(mark + word[start:end])
                if row is not None:
                    rows.append(row)
                    start = end
                    break
            else:
                start += 1
        return tuple(rows)


def pieces_of(description: str) -> list[str]:
    """The words and continuations of a WordPiece ``tokenizer.json``, special tokens left out; none of other kinds."""
    model = json.loads(description).get("model", {})
    if model.get("type") != "WordPiece":
        return []
    return [name for name in model["vocab"] if not (name.startswith("[") and name.endswith("]") and len(name) > 2)]

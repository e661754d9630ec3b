"""Semantic ids: an item as a few codes, like codes for like texts, and no two items alike.

*Residual* codes come one after the other, each telling what those before it left over (residual k-means; the ids of
TIGER, Rajput et al., 2023): few codes, for a decoder that writes one code after the other. *Product* codes each tell
their own part of the directions (product quantisation, Jegou et al., 2011, the directions dealt out so that every part
varies alike, Ge et al., 2013): many codes, for a decoder that writes all of them at once (RPG, Hou et al., 2025).

Codes are balanced: no code may be the choice of many more items than another. Who comes later gets codes from the same
codebooks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from pydantic import Field

from palate.core import FloatArray, Int64Array, IntArray, Settings, UsageError
from palate.core.recommender import Arrays

_CELLS = 8_000_000
"""Distances held at once."""


class SemanticIdSettings(Settings):
    """Hyper-parameters of semantic ids.

    Parameters
    ----------
    kind
        ``product``: codes beside each other; ``residual``: codes one after the other.
    codes
        Codes an item has; product codes are at most as many as there are directions.
    size
        Different codes at each place; fewer where there are fewer items.
    slack
        A code may be chosen by so many times its fair share of the items; infinity: whatever is nearest.
    rounds
        Improvements of the codebooks.
    seed
        Of the first guesses.
    """

    kind: Literal["product", "residual"] = "product"
    codes: int = Field(default=32, ge=1)
    size: int = Field(default=256, ge=2)
    slack: float = Field(default=2.0, ge=1)
    rounds: int = Field(default=12, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class SemanticIds:
    """Codebooks, and the codes of every item.

    Parameters
    ----------
    kind
        ``product`` or ``residual``.
    rotation
        float32 (d, d') to the directions that codebooks know.
    books
        float32 (m, size, w): w = d' for residual codes; for product codes the m parts of d' in turn.
    codes
        int32 (n, m), rows all different.
    """

    kind: str
    rotation: FloatArray
    books: FloatArray
    codes: IntArray

    @classmethod
    def fit(cls, vectors: FloatArray, settings: SemanticIdSettings) -> Self:
        """Codebooks from vectors, and their codes.

        Parameters
        ----------
        vectors
            float32 (n, d).

        Raises
        ------
        UsageError
            There are fewer ids than vectors.
        """
        size = max(2, min(settings.size, len(vectors)))
        rng = np.random.default_rng([settings.seed, 11])
        rotation, parts = _identity(vectors) if settings.kind == "residual" else _dealt(vectors, settings.codes, size)
        count = settings.codes if settings.kind == "residual" else parts
        turned = _turn(vectors, rotation)
        capacity = int(min(np.ceil(settings.slack * len(vectors) / size), len(vectors)))
        books, codes, left = [], [], turned
        for place in range(count):
            given = left if settings.kind == "residual" else _part(turned, place, count)
            book, chosen = _codebook(given, size, capacity, settings.rounds, rng)
            books.append(book)
            codes.append(chosen)
            if settings.kind == "residual":
                left = left - book[chosen]
        fitted = cls(settings.kind, rotation, np.stack(books), np.zeros((0, count), np.int32))
        return fitted._named(turned, np.stack(codes, axis=1))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def places(self) -> int:
        """Codes an item has."""
        return len(self.books)

    @property
    def size(self) -> int:
        """Different codes at a place."""
        return int(self.books.shape[1])

    def extended(self, vectors: FloatArray) -> Self:
        """The same with items behind the known ones; codebooks and known codes stay.

        Parameters
        ----------
        vectors
            float32 (new, d), of the new items.
        """
        turned = _turn(vectors, self.rotation)
        return self._named(turned, self._nearest(turned))

    def changed(self, items: IntArray, vectors: FloatArray) -> Self:
        """The same with other codes for some known items, whose vectors are other ones now."""
        others = np.ones(len(self), dtype=bool)
        others[items] = False
        renamed = replace(self, codes=self.codes[others]).extended(vectors)
        codes = self.codes.copy()
        codes[items] = renamed.codes[int(others.sum()) :]
        return replace(self, codes=codes)

    def rebuilt(self) -> FloatArray:
        """What the codes say of the vectors, in the directions of the codebooks; float32 (n, d')."""
        said = self.books[np.arange(self.places), self.codes]
        if self.kind == "residual":
            return np.asarray(said.sum(axis=1), dtype=np.float32)
        return said.transpose(0, 2, 1).reshape(len(self), -1)

    def arrays(self) -> Arrays:
        return {
            "ids_residual": np.array(self.kind == "residual"),
            "ids_rotation": self.rotation,
            "ids_books": self.books,
            "ids_codes": self.codes,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        return cls(
            "residual" if bool(arrays["ids_residual"]) else "product",
            np.asarray(arrays["ids_rotation"], np.float32),
            np.asarray(arrays["ids_books"], np.float32),
            np.asarray(arrays["ids_codes"], np.int32),
        )

    def _nearest(self, turned: FloatArray) -> IntArray:
        codes, left = [], turned
        for place, book in enumerate(self.books):
            given = left if self.kind == "residual" else _part(turned, place, self.places)
            chosen = np.concatenate(
                [
                    np.zeros(0, np.int64),
                    *(_distances(given[rows], book).argmin(axis=1) for rows in _blocks(len(given), len(book))),
                ]
            )
            codes.append(chosen)
            if self.kind == "residual":
                left = left - book[chosen]
        return np.stack(codes, axis=1).astype(np.int32)

    def _named(self, turned: FloatArray, wanted: IntArray) -> Self:
        """With new items under the codes they want, or, where these are taken, under the nearest free ones.

        The n-th choice of an item has the digits of n, written in base ``size``, as ranks of nearness: it changes its
        last code first, which in residual codes says least. So any number of items of the same vector find ids.
        """
        codes = np.ascontiguousarray(np.concatenate([self.codes, wanted]), dtype=np.int32)
        if len(codes) > self.size**self.places:
            raise UsageError(
                f"{self.places} codes of {self.size} name {self.size**self.places:,} items, and there are "
                f"{len(codes):,}: raise codes or size"
            )
        whole = codes.view(np.dtype((np.void, codes.shape[1] * codes.itemsize))).ravel()
        _, firsts = np.unique(whole, return_index=True)
        if len(firsts) == len(codes):
            return replace(self, codes=codes)
        taken = {row.tobytes() for row in codes[firsts]}
        tried: dict[bytes, int] = {}
        for row in np.setdiff1d(np.arange(len(codes)), firsts).tolist():
            want, ranks = codes[row].tobytes(), self._ranks(turned[row - len(self.codes)], codes[row])
            # Where the last item of this id ended: many items of one vector take linear time, not quadratic.
            choice = tried.get(want, 0)
            named = codes[row]
            while named.tobytes() in taken:
                choice += 1
                named = ranks[np.arange(self.places), _digits(choice, self.size, self.places)]
            tried[want] = choice
            taken.add(named.tobytes())
            codes[row] = named
        return replace(self, codes=codes)

    def _ranks(self, turned: FloatArray, wanted: IntArray) -> IntArray:
        """Codes of each place from the wanted one on by nearness; (m, size)."""
        answer, left = [], turned
        for place, book in enumerate(self.books):
            given = left if self.kind == "residual" else _part(turned[None], place, self.places)[0]
            distance = ((book - given) ** 2).sum(axis=1)
            distance[wanted[place]] = -1
            answer.append(np.argsort(distance, kind="stable"))
            if self.kind == "residual":
                left = left - book[wanted[place]]
        return np.stack(answer).astype(np.int32)


def _digits(number: int, base: int, places: int) -> Int64Array:
    digits = np.zeros(places, dtype=np.int64)
    for place in range(places - 1, -1, -1):
        number, digits[place] = divmod(number, base)
    return digits


def _identity(vectors: FloatArray) -> tuple[FloatArray, int]:
    return np.eye(vectors.shape[1], dtype=np.float32), 1


def _dealt(vectors: FloatArray, parts: int, size: int) -> tuple[FloatArray, int]:
    """Leading directions dealt to parts, each to the one that varies least so far (in logarithms)."""
    n, dimensions = vectors.shape
    centred = vectors - vectors.mean(axis=0)
    spread, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64) / n)
    spread, directions = spread[::-1], directions[:, ::-1]
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(dimensions)])
    # Where texts differ in too few directions to name all items, empty ones make room for names.
    needed = int(np.ceil(np.log(2 * n) / np.log(size)))
    room = max(dimensions, min(parts, needed))
    turned = np.zeros((dimensions, room))
    turned[:, :dimensions] = directions * signs
    varies = np.zeros(room)
    varies[:dimensions] = np.log(np.maximum(spread, 1e-9)) - np.log(1e-9)
    parts = min(parts, room)
    each = room // parts
    sums = np.zeros(parts)
    held: list[list[int]] = [[] for _ in range(parts)]
    for direction in range(each * parts):
        open_ = np.array([len(own) < each for own in held])
        part = int(np.where(open_, sums, np.inf).argmin())
        held[part].append(direction)
        sums[part] += varies[direction]
    # Interleaved, so that part p is columns p, p + parts, ...
    order = np.array(held, dtype=np.int64).T.reshape(-1)
    return np.ascontiguousarray(turned[:, order], dtype=np.float32), parts


def _part(turned: FloatArray, place: int, parts: int) -> FloatArray:
    return np.ascontiguousarray(turned[:, place::parts])


def _turn(vectors: FloatArray, rotation: FloatArray) -> FloatArray:
    return np.asarray(vectors @ rotation, dtype=np.float32)


def _blocks(n: int, size: int) -> Iterator[slice]:
    step = max(1, _CELLS // size)
    for start in range(0, n, step):
        yield slice(start, start + step)


def _distances(vectors: FloatArray, book: FloatArray) -> FloatArray:
    """Squared distances but for what is the same along a row; float32 (n, size)."""
    return np.asarray((book * book).sum(axis=1) - 2 * (vectors @ book.T), dtype=np.float32)


def _codebook(
    vectors: FloatArray, size: int, capacity: int, rounds: int, rng: np.random.Generator
) -> tuple[FloatArray, Int64Array]:
    """k-means (Lloyd, 1982) whose clusters hold at most ``capacity`` vectors each."""
    book = vectors[np.sort(rng.choice(len(vectors), size, replace=len(vectors) < size))].astype(np.float64)
    for _ in range(rounds):
        chosen = _balanced(vectors, book.astype(np.float32), capacity)
        counts = np.bincount(chosen, minlength=size)
        sums = np.stack([np.bincount(chosen, weights=column, minlength=size) for column in vectors.T], axis=1)
        used = counts > 0
        book[used] = sums[used] / counts[used, None]
        idle = np.nonzero(~used)[0]
        if len(idle):
            # Who is furthest from what stands for it founds a cluster of its own.
            far = ((vectors - book[chosen]) ** 2).sum(axis=1)
            book[idle] = vectors[np.argsort(-far, kind="stable")[: len(idle)]]
    final = book.astype(np.float32)
    return final, _balanced(vectors, final, capacity)


def _balanced(vectors: FloatArray, book: FloatArray, capacity: int) -> Int64Array:
    """The nearest code of each vector among those with room: codes keep who is nearest (Gale & Shapley, 1962)."""
    n, size = len(vectors), len(book)
    chosen = np.full(n, -1, dtype=np.int64)
    near = np.zeros(n, dtype=np.float32)
    free = np.ones((size,), dtype=bool)
    asking = np.arange(n)
    while len(asking):
        for rows in _blocks(len(asking), len(book)):
            part = asking[rows]
            distance = np.where(free, _distances(vectors[part], book), np.inf)
            chosen[part] = distance.argmin(axis=1)
            near[part] = distance[np.arange(len(part)), chosen[part]]
        counts = np.bincount(chosen, minlength=size)
        if not (counts > capacity).any():
            break
        norms = (vectors * vectors).sum(axis=1)
        order = np.lexsort((np.arange(n), near + norms, chosen))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        place = np.arange(n) - starts[chosen[order]]
        # A full code is closed: who was turned away goes to the nearest that still has room.
        free &= counts < capacity
        asking = np.sort(order[place >= capacity])
    return chosen

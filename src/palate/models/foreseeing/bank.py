"""What the language model says of items and moments, in few directions, and what is known of items in numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from palate.behaviour.gazetteer import coordinates
from palate.behaviour.moments import UNTOLD, MomentReader, MomentSettings, Told, when_text
from palate.core import Float64Array, FloatArray, IntArray
from palate.core.recommender import Arrays
from palate.data import Catalogue, Dataset
from palate.language.encoder import TextEncoder
from palate.language.verbalise import item_texts

WHENS = 32
"""Parts of the year and week."""


@dataclass(frozen=True)
class Bank:
    """Vectors of n items and of the clauses of moments.

    Parameters
    ----------
    items
        float32 (n, d), x_i.
    whats
        float32 (w + 1, d), what was done, M(kind, item); the last row is zero.
    place
        int32 (n, kinds), row of ``whats`` of an item and a kind; -1 where nobody did that.
    whens
        float32 (WHENS + 1, d), when it was done, M(time); the last row is for an unknown time.
    middle, directions
        float32 (e,), (e, d): from what the language model says to the numbers here.
    category, wider
        int32 (n,), innermost and outermost category from 1; 0 where unknown.
    share, wider_share
        float32 (n,), how much of what was learnt from is in the item's category; it stays as a catalogue grows.
    price, dear
        float32 (n,), log of the list price, and that less the category's median; NaN where unknown.
    lat, lon
        float64 (n,), degrees; NaN where unknown.
    """

    items: FloatArray
    whats: FloatArray
    place: IntArray
    whens: FloatArray
    middle: FloatArray
    directions: FloatArray
    category: IntArray
    wider: IntArray
    share: FloatArray
    wider_share: FloatArray
    price: FloatArray
    dear: FloatArray
    lat: Float64Array
    lon: Float64Array

    @classmethod
    def of(cls, dataset: Dataset, encoder: TextEncoder, dimensions: int, zone: str) -> Self:
        """Read a catalogue and all that happened with it; each distinct clause once."""
        catalogue = dataset.catalogue
        moments = MomentReader.for_dataset(encoder, dataset, MomentSettings(zone=zone)).read(Told.of(dataset.sequences))
        items = encoder.encode(item_texts(catalogue))
        whens = encoder.encode([when_text(part, "") for part in range(WHENS)])
        used, row = np.unique(moments.what, return_inverse=True)
        whats = moments.vectors[used] if len(moments.vectors) else np.zeros((0, items.shape[1]), np.float32)
        middle = np.asarray(items.mean(axis=0), dtype=np.float32)
        directions = _directions(items - middle, dimensions)
        place = np.full((len(catalogue), len(dataset.kinds)), -1, dtype=np.int32)
        place[dataset.sequences.items, dataset.sequences.kinds] = np.where(moments.what == UNTOLD, -1, row)
        # Clauses lean all the same way beside what they say; without their own middle they would seem alike.
        whens = whens - whens.mean(axis=0)
        whats = whats - whats.mean(axis=0) if len(whats) else whats
        return cls(
            _unit((items - middle) @ directions),
            _closed(_unit(whats @ directions)),
            place,
            _closed(_unit(whens @ _directions(whens, dimensions))),
            middle,
            directions,
            *_numbers(catalogue, None),
        )

    def extended(self, catalogue: Catalogue, encoder: TextEncoder, new: IntArray) -> Bank:
        """With new items after the known ones, known by what is said of them."""
        texts = item_texts(catalogue)
        read = encoder.encode([texts[item] for item in new])
        vectors = _unit((read - self.middle) @ self.directions)
        return Bank(
            np.concatenate([self.items, vectors]),
            self.whats,
            np.concatenate([self.place, np.full((len(new), self.place.shape[1]), -1, np.int32)]),
            self.whens,
            self.middle,
            self.directions,
            *_numbers(catalogue, self),
        )

    @property
    def size(self) -> int:
        """d"""
        return int(self.items.shape[1])

    def what(self, items: IntArray, kinds: IntArray) -> FloatArray:
        """What was done, float32 (..., d); what nobody did before is told by the item alone."""
        row = self.place[items, kinds]
        return np.where((row >= 0)[..., None], self.whats[row], self.items[items])

    def arrays(self) -> dict[str, Any]:
        """The state."""
        return {f"bank.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(cls, arrays: Arrays) -> Self:
        """The bank that ``arrays`` gave."""
        return cls(**{field.name: np.asarray(arrays[f"bank.{field.name}"]) for field in fields(cls)})


def _directions(centred: np.ndarray[Any, np.dtype[np.floating[Any]]], dimensions: int) -> FloatArray:
    """Main directions of rows, float32 (e, min(dimensions, e)); signs follow from the rows alone."""
    _, _, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    axes = axes[:dimensions]
    if len(axes) < dimensions:
        axes = np.concatenate([axes, np.zeros((dimensions - len(axes), centred.shape[1]))])
    turn = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return np.ascontiguousarray((axes * np.where(turn == 0, 1, turn)[:, None]).T, dtype=np.float32)


def _unit(vectors: np.ndarray[Any, np.dtype[np.floating[Any]]]) -> FloatArray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-6), dtype=np.float32)


def _closed(vectors: FloatArray) -> FloatArray:
    """With a row of zeros at the end, which -1 picks."""
    return np.concatenate([vectors, np.zeros((1, vectors.shape[1]), np.float32)])


def _numbers(catalogue: Catalogue, before: Bank | None) -> tuple[Any, ...]:
    """The last eight fields of a bank, of a catalogue that grew where there is one from before."""
    category = catalogue.innermost_categories + 1
    ragged, _ = catalogue.categories
    wider = np.where(ragged.lengths > 0, np.append(ragged.values, -1)[ragged.indptr[:-1]] + 1, 0)
    prices: Float64Array = catalogue.prices.astype(np.float64)
    logs = np.log(np.where(prices > 0, prices, np.nan))
    usual = np.full(int(category.max(initial=0)) + 1, np.nan)
    order = np.lexsort((logs, category))
    known = order[np.isfinite(logs[order])]
    codes, first, counts = np.unique(category[known], return_index=True, return_counts=True)
    usual[codes] = 0.5 * (logs[known][first + (counts - 1) // 2] + logs[known][first + counts // 2])
    return (
        category.astype(np.int32),
        wider.astype(np.int32),
        _shares(category, None if before is None else before.share),
        _shares(wider, None if before is None else before.wider_share),
        logs.astype(np.float32),
        (logs - usual[category]).astype(np.float32),
        *coordinates(catalogue),
    )


def _shares(codes: IntArray, before: FloatArray | None) -> FloatArray:
    """Share of the catalogue in each item's group; of one that grew, the shares ``before`` of the items then known."""
    width, known = int(codes.max(initial=0)) + 1, len(codes) if before is None else len(before)
    if before is None:
        share = np.bincount(codes, minlength=width) / max(known, 1)
    else:
        share = np.zeros(width)
        share[codes[:known]] = before
    # A group that came since is as rare as one item.
    return np.where(share > 0, share, 1.0 / max(known, 1))[codes].astype(np.float32)

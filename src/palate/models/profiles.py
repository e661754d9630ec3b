"""Numbers of items and of histories for models that match the two: texts, categories, prices, times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from palate.core import Float64Array, FloatArray, Histories, Ids, IntArray, Queries
from palate.core.arrays import offsets_of
from palate.core.recommender import Arrays
from palate.data import Catalogue
from palate.data.dataset import DAY
from palate.language import TextEncoder
from palate.language.text_space import TextSpace
from palate.language.verbalise import item_texts
from palate.models.factors import mean_vectors


@dataclass(frozen=True)
class Moments:
    """Histories and the moments they are looked at.

    Parameters
    ----------
    history
        n histories.
    when
        float64 (n,), seconds since 1970 UTC; NaN: unknown.
    text
        A wish in words per row, None where nobody said anything.
    """

    history: Histories
    when: Float64Array
    text: tuple[str, ...] | None = None

    @classmethod
    def asked(cls, queries: Queries, window: int) -> Self:
        """Of questions, the newest ``window`` events of each."""
        when = np.full(len(queries), np.nan) if queries.when is None else queries.when
        return cls(queries.history.last(window), when, queries.text)


def moments_of(sequences: Histories, window: int, maximum: int, seed: int) -> tuple[Moments, IntArray]:
    """Every event but the first of each row as an answer, and what lay before it as the moment it was asked.

    Parameters
    ----------
    window
        Newest events before the answer that are kept.
    maximum
        At most this many answers, drawn by ``seed``.

    Returns
    -------
    The moments, and the items that answered them; int32 (m,).
    """
    position = np.arange(len(sequences.items)) - np.repeat(sequences.indptr[:-1], sequences.lengths)
    answers = np.nonzero(position > 0)[0]
    if len(answers) > maximum:
        answers = np.sort(np.random.default_rng(seed).choice(answers, maximum, replace=False))
    lengths = np.minimum(position[answers], window)
    indptr = offsets_of(lengths)
    flat = np.arange(indptr[-1]) + np.repeat(answers - lengths - indptr[:-1], lengths)
    history = Histories(
        indptr, sequences.items[flat], sequences.times[flat], sequences.kinds[flat], sequences.weights[flat]
    )
    return Moments(history, sequences.times[answers]), sequences.items[answers]


@dataclass(frozen=True)
class ItemFacts:
    """What items say, in numbers.

    Parameters
    ----------
    features
        float32 (n_items, p): text directions (as many as ``space`` has), category indicators, price, price known, 1.
    space
        How texts became directions; None where the catalogue has no text.
    categories
        Names of the categories that count, encoded as UTF-8 with line feeds between them.
    price_scale
        float32 (2,), mean and spread of log prices.
    """

    features: FloatArray
    space: TextSpace | None
    categories: tuple[str, ...]
    price_scale: FloatArray

    @classmethod
    def of(cls, catalogue: Catalogue, encoder: TextEncoder, dimensions: int, n_categories: int) -> Self:
        """Read a catalogue; texts only where it has enough of them."""
        raw = encoder.encode(item_texts(catalogue)) if catalogue.has_text else None
        space = None if raw is None else TextSpace.of(raw, dimensions, whitening=0.5)
        held, names = catalogue.categories
        counts = np.bincount(held.values, minlength=len(names))
        # A category that every item has tells nothing; of the others the most frequent.
        counts[counts == len(catalogue)] = 0
        chosen = np.argsort(-counts, kind="stable")[: min(n_categories, int((counts > 0).sum()))]
        categories = tuple(names[position] for position in chosen)
        known = np.log1p(np.maximum(catalogue.prices[~np.isnan(catalogue.prices)], 0))
        scale = np.array([known.mean(), known.std() + 1e-3] if len(known) else [0, 1], dtype=np.float32)
        return cls(_features(catalogue, raw, space, categories, scale), space, categories, scale)

    def extended(self, catalogue: Catalogue, encoder: TextEncoder) -> ItemFacts:
        """With the items of a grown catalogue that come after the known ones."""
        known = len(self.features)
        if len(catalogue) == known:
            return self
        new = Catalogue(Ids(catalogue.ids.names[known:]), catalogue.frame[known:])
        raw = None if self.space is None else encoder.encode(item_texts(new))
        added = _features(new, raw, self.space, self.categories, self.price_scale)
        return ItemFacts(np.concatenate([self.features, added]), self.space, self.categories, self.price_scale)

    def profiles(self, moments: Moments, decay: float, wishes: FloatArray | None = None) -> FloatArray:
        """Who asks, in numbers: decayed mean of the history's items' features, how much, how often, how lately.

        Parameters
        ----------
        wishes
            float32 (n, text directions), added to the text part.

        Returns
        -------
        float32 (n, p + 3). The constant feature is 1 in every row.
        """
        mix = mean_vectors(self.features, moments.history, decay)
        mix[:, -1] = 1.0
        if wishes is not None:
            mix[:, : wishes.shape[1]] += wishes
        return np.concatenate([mix, _rhythm(moments)], axis=1)

    def arrays(self) -> Arrays:
        names = np.frombuffer("\n".join(self.categories).encode(), dtype=np.uint8)
        space = {} if self.space is None else self.space.arrays()
        return {"features": self.features, "categories": names, "price_scale": self.price_scale, **space}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        names = np.asarray(arrays["categories"], dtype=np.uint8).tobytes().decode()
        return cls(
            np.asarray(arrays["features"], dtype=np.float32),
            TextSpace.from_arrays(arrays) if "text_mean" in arrays else None,
            tuple(names.split("\n")) if names else (),
            np.asarray(arrays["price_scale"], dtype=np.float32),
        )


def _features(
    catalogue: Catalogue,
    raw: FloatArray | None,
    space: TextSpace | None,
    categories: tuple[str, ...],
    price_scale: FloatArray,
) -> FloatArray:
    n = len(catalogue)
    text = np.empty((n, 0), dtype=np.float32) if raw is None or space is None else space.project(raw)
    held, names = catalogue.categories
    index = {name: position for position, name in enumerate(categories)}
    column = np.array([index.get(name, -1) for name in names], dtype=np.int32)
    member = np.zeros((n, len(categories)), dtype=np.float32)
    if len(names):
        which = column[held.values]
        member[held.rows[which >= 0], which[which >= 0]] = 1.0
    prices = catalogue.prices
    known = ~np.isnan(prices)
    level = (np.log1p(np.maximum(np.where(known, prices, 0), 0)) - price_scale[0]) / price_scale[1]
    price = np.stack([np.where(known, level, 0), known, np.ones(n)], axis=1)
    return np.concatenate([text, member, price], axis=1).astype(np.float32)


def _rhythm(moments: Moments) -> FloatArray:
    """How much, how often and how lately, in logarithms; 0 where times are unknown; float32 (n, 3)."""
    history, n = moments.history, len(moments.history)
    lengths = history.lengths
    answer = np.zeros((n, 3), dtype=np.float32)
    answer[:, 0] = np.log1p(lengths)
    some = np.nonzero(lengths)[0]
    first, last = history.times[history.indptr[:-1][some]], history.times[history.indptr[1:][some] - 1]
    often = np.log1p(np.maximum(last - first, 0) / DAY / lengths[some])
    lately = np.log1p(np.maximum(moments.when[some] - last, 0) / DAY)
    answer[some, 1], answer[some, 2] = np.nan_to_num(often) / 5, np.nan_to_num(lately) / 5
    return answer

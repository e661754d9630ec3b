"""What the ranker knows of items, fixed when the sources were fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from palate.behaviour.comebacks import Comebacks
from palate.core import BoolArray, Float64Array, FloatArray, IntArray, Ragged
from palate.core.recommender import Arrays
from palate.data import Catalogue, Dataset
from palate.language.text_space import TextSpace
from palate.ranking.circumstances import Circumstances, CircumstanceSettings
from palate.ranking.demand import Demand, DemandSettings
from palate.ranking.reactions import contentment
from palate.ranking.trend import Trends

_INNERMOST = 3
"""Categories of an item that are looked at, the innermost ones."""
_MOST_CATEGORIES = 5_000
"""More categories than these are not told apart (the rarest share one), so that a batch stays small."""


@dataclass(frozen=True)
class ItemFacts:
    """Facts of n items.

    Parameters
    ----------
    popularity
        float32 (n_items,), log(1 + events).
    first_seen
        float64 (n_items,), time of the first event, NaN if none or unknown.
    categories
        int32 (n_items, 3), innermost categories, -1 pads.
    n_categories
        How many categories there are.
    brands
        int32 (n_items,), -1 where unknown.
    prices
        float32 (n_items,), log(1 + price), NaN where unknown.
    vectors
        float32 (n_items, d), unit language vectors; d = 0 where the data has no text.
    space
        Where the language vectors lie.
    trends
        When items were chosen; nothing where the data has no times.
    circumstances
        In which hours, on which weekdays and devices ... items were chosen; nothing where the data does not say.
    demand
        What demand of each category was foreseen to be; nothing where that is off, or the data does not say.
    comebacks
        When people come back to items; nothing where they do not, or are not told of what they had.
    contentment
        float32 (n_items,), how content people were with items they had, 0 to 1; no rows where nothing says so. No
        feature: an objective that lists may be made for.
    """

    popularity: FloatArray
    first_seen: Float64Array
    categories: IntArray
    n_categories: int
    brands: IntArray
    prices: FloatArray
    vectors: FloatArray
    space: TextSpace
    trends: Trends
    circumstances: Circumstances
    demand: Demand
    comebacks: Comebacks
    contentment: FloatArray

    @cached_property
    def n_brands(self) -> int:
        """How many brands there are."""
        return int(self.brands.max(initial=-1)) + 1

    @cached_property
    def fresh(self) -> BoolArray:
        """Which items nobody chose yet; bool (n_items,)."""
        return np.asarray(self.popularity == 0)

    @cached_property
    def sayings(self) -> FloatArray:
        """What items say as the language model reads them, unit rows, float32 (n_items, e).

        ``vectors`` make the most of small differences, so that all but the likest texts are strangers; people see that
        two shampoos are two shampoos.
        """
        d = self.space.dimensions
        if self.vectors.shape[1] < d:
            return self.vectors
        texts, others = self.vectors[:, :d], self.vectors[:, d:]
        lengths = np.linalg.norm(texts, axis=1, keepdims=True)
        return np.concatenate([self.space.recover(texts) * lengths, others], axis=1).astype(np.float32)

    @cached_property
    def has(self) -> frozenset[str]:
        """What of all that features need is known of these items."""
        there = {
            "text": bool(self.vectors.shape[1]),
            "categories": bool(self.n_categories),
            "brands": bool(self.n_brands),
            "prices": self.has_prices,
            "times": bool(self.trends),
            "comebacks": bool(self.comebacks),
            "demand": bool(self.demand),
        }
        return frozenset(name for name, known in there.items() if known).union(self.circumstances.kinds)

    @cached_property
    def has_prices(self) -> bool:
        """Whether any item has a price."""
        return not bool(np.isnan(self.prices).all())

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        vectors: FloatArray | None,
        space: TextSpace | None = None,
        *,
        circumstances: CircumstanceSettings,
        demand: DemandSettings,
        comes_back: bool = False,
    ) -> ItemFacts:
        """Facts from a catalogue and from events; when people come back to items only where they may be told so."""
        own = np.zeros((dataset.n_items, 0), np.float32) if vectors is None else vectors
        catalogue, sequences = dataset.catalogue, dataset.sequences
        first = np.full(dataset.n_items, np.inf)
        known = ~np.isnan(sequences.times)
        np.minimum.at(first, sequences.items[known], sequences.times[known])
        ragged, names = catalogue.categories
        innermost = _innermost(ragged, len(names))
        content = contentment(dataset, innermost[:, 0])
        trends = Trends.of(sequences, dataset.n_items)
        return cls(
            popularity=np.log1p(dataset.popularity).astype(np.float32),
            first_seen=np.where(np.isfinite(first), first, np.nan),
            categories=innermost,
            n_categories=min(len(names), _MOST_CATEGORIES),
            brands=_codes(catalogue, "brand"),
            prices=np.log1p(np.maximum(catalogue.prices, 0)).astype(np.float32),
            vectors=own,
            space=TextSpace.plain(own.shape[1]) if space is None else space,
            trends=trends,
            circumstances=Circumstances.of(dataset, trends, innermost[:, 0], circumstances),
            demand=Demand.of(dataset, demand),
            comebacks=Comebacks.of(sequences, catalogue.innermost_categories) if comes_back else Comebacks.nothing(),
            contentment=np.zeros(0, np.float32) if content is None else content,
        )

    def resting(self) -> ItemFacts:
        """What an engine answers with: nobody can tell from it who was where, on what device, when."""
        return replace(self, circumstances=self.circumstances.resting())

    def extended(self, catalogue: Catalogue, vectors: FloatArray | None) -> ItemFacts:
        """The same facts with rows for items that came since: nobody chose them yet, the rest the catalogue says.

        Category and brand codes of old items stay as they were; names unknown to them count as unknown.
        """
        known, n = len(self.popularity), len(catalogue)
        new = n - known
        prices = np.log1p(np.maximum(catalogue.prices[known:], 0)).astype(np.float32)
        grown = self.vectors if vectors is None else vectors
        return ItemFacts(
            popularity=np.concatenate([self.popularity, np.zeros(new, np.float32)]),
            first_seen=np.concatenate([self.first_seen, np.full(new, np.nan)]),
            categories=np.concatenate([self.categories, self._like_known(catalogue, known)]),
            n_categories=self.n_categories,
            brands=np.concatenate([self.brands, _as_before(catalogue.strings("brand"), self.brands)]),
            prices=np.concatenate([self.prices, prices]),
            vectors=np.concatenate([grown, np.zeros((n - len(grown), grown.shape[1]), np.float32)]),
            space=self.space,
            trends=self.trends.extended(n),
            circumstances=self.circumstances,
            demand=self.demand,
            comebacks=self.comebacks.extended(n),
            contentment=self._content_with(new),
        )

    def _content_with(self, new: int) -> FloatArray:
        """Contentment, new items as the mean of all."""
        own = self.contentment
        return np.concatenate([own, np.full(new, own.mean(), np.float32)]) if len(own) else own

    def _like_known(self, catalogue: Catalogue, known: int) -> IntArray:
        """Codes of new items' categories: those an old item with the same category has."""
        values = catalogue.strings("category")
        first: dict[str, int] = {}
        for position, value in enumerate(values[:known]):
            first.setdefault(value, position)
        rows = np.array([first.get(value, -1) if value else -1 for value in values[known:]], dtype=np.int64)
        codes = self.categories[np.maximum(rows, 0)] if known else np.zeros((len(rows), _INNERMOST), np.int32)
        return np.where(rows[:, None] >= 0, codes, -1).astype(np.int32)

    def arrays(self) -> Arrays:
        return {
            "popularity": self.popularity,
            "first_seen": self.first_seen,
            "categories": self.categories,
            "n_categories": np.array([self.n_categories], dtype=np.int64),
            "brands": self.brands,
            "prices": self.prices,
            "vectors": self.vectors,
            **self.space.arrays(),
            **self.trends.arrays(),
            **self.circumstances.arrays(),
            **self.demand.arrays(),
            **(self.comebacks.arrays() if self.comebacks else {}),
            **({"contentment": self.contentment} if len(self.contentment) else {}),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ItemFacts:
        trends, groups = Trends.from_arrays(arrays, len(arrays["popularity"])), arrays["categories"][:, 0]
        return cls(
            popularity=arrays["popularity"],
            first_seen=arrays["first_seen"],
            categories=arrays["categories"],
            n_categories=int(arrays["n_categories"][0]),
            brands=arrays["brands"],
            prices=arrays["prices"],
            vectors=arrays["vectors"],
            space=TextSpace.from_arrays(arrays)
            if "text_mean" in arrays
            else TextSpace.plain(arrays["vectors"].shape[1]),
            trends=trends,
            circumstances=Circumstances.from_arrays(arrays, trends, groups),
            demand=Demand.from_arrays(arrays),
            comebacks=Comebacks.from_arrays(arrays),
            contentment=arrays.get("contentment", np.zeros(0, np.float32)),
        )


def _innermost(categories: Ragged, n_categories: int) -> IntArray:
    """The last few categories of each item, innermost first, -1 pads; codes beyond the limit share the last one."""
    at = categories.indptr[1:, None] - 1 - np.arange(_INNERMOST)
    inside = at >= categories.indptr[:-1, None]
    if not len(categories.values):
        return np.full(at.shape, -1, dtype=np.int32)
    codes = categories.values[np.where(inside, at, 0)]
    if n_categories > _MOST_CATEGORIES:
        counts = np.bincount(categories.values, minlength=n_categories)
        rank = np.empty(n_categories, dtype=np.int32)
        rank[np.argsort(-counts, kind="stable")] = np.arange(n_categories)
        codes = np.minimum(rank, _MOST_CATEGORIES - 1)[codes]
    return np.where(inside, codes, -1).astype(np.int32)


def _as_before(values: list[str], codes: IntArray) -> IntArray:
    """Codes of the values after the known ones: the code an old item with the same value has, else -1."""
    known = len(codes)
    first = {value: int(code) for value, code in zip(values[:known], codes, strict=True) if code >= 0}
    return np.array([first.get(value, -1) for value in values[known:]], dtype=np.int32)


def _codes(catalogue: Catalogue, name: str) -> IntArray:
    """A text column as codes, the commonest first; -1 where empty, and values beyond the limit share one code."""
    values = np.array(catalogue.strings(name), dtype=object)
    names, inverse, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    rank = np.empty(len(names), dtype=np.int32)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names), dtype=np.int32)
    codes = np.minimum(rank, _MOST_CATEGORIES - 1)[inverse]
    return np.where(values == "", -1, codes).astype(np.int32)

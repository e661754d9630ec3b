"""What a list is good for: accuracy, diversity, novelty, margin, and how much each of them counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, model_validator

from palate.core import FloatArray, IntArray, Queries, Settings, UsageError
from palate.core.configuration import complaint, suggestion
from palate.data import Catalogue
from palate.ranking.facts import ItemFacts

MARGIN_NEEDS = ("price", "cost")
"""Columns of the catalogue whose difference is an item's margin."""


class ObjectiveSettings(Settings):
    """How much each objective counts; only their ratios matter.

    Parameters
    ----------
    accuracy
        Expected NDCG by the probabilities the ranking gives, in tenths.
    diversity
        Mean distance between the items of the list; it takes the place of the engine's own ``diversity``.
    novelty
        Self-information of an item, -log2 of its share of events, over the largest there is (Zhou et al. 2010).
        Negative: what many chose comes first.
    margin
        Price less cost, as the share of the catalogue's items whose margin is not larger.
    satisfaction
        How content people were with an item once they had it (stars, likes, returns), as the share of the catalogue's
        items that pleased no more; and where the engine judges what attracts whom, as much again how likely the asker
        is to take and keep it, as the share of the candidates that are no likelier.
    """

    accuracy: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)
    diversity: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    novelty: float = Field(default=0.0, ge=-1, le=1, allow_inf_nan=False)
    margin: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    satisfaction: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _something_counts(self) -> ObjectiveSettings:
        if not self.accuracy + self.novelty**2 + self.margin + self.satisfaction:
            raise ValueError(
                "nothing orders the list; accuracy, novelty, margin or satisfaction must count for something"
            )
        return self

    @property
    def plain(self) -> bool:
        """Whether accuracy alone counts."""
        return not (self.diversity or self.novelty or self.margin or self.satisfaction)

    @property
    def only_diversity(self) -> bool:
        """Whether diversity alone counts beside accuracy."""
        return not (self.novelty or self.margin or self.satisfaction)

    def with_diversity(self, strength: float) -> ObjectiveSettings:
        """The same with this share of diversity among all that counts, 0 to 1, the others in their ratios."""
        others = {name: float(value) for name, value in self if name != "diversity"}
        total = sum(map(abs, others.values()))
        kept = {name: value * (1 - strength) for name, value in others.items()}
        return self.model_copy(update={**kept, "diversity": strength * total})

    def described(self) -> dict[str, float]:
        """The weights that are not 0."""
        return {name: float(value) for name, value in self if value}

    @classmethod
    def told(cls, weights: Mapping[str, Any]) -> ObjectiveSettings:
        """Weights in a caller's words; what is not named counts as by default.

        Raises
        ------
        UsageError
            A name is no objective, or a weight is out of its bounds.
        """
        try:
            return cls.model_validate(dict(weights))
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]) if problem["loc"] else ""
            if problem["type"] == "extra_forbidden":
                known = suggestion(name, list(cls.model_fields))
                raise UsageError(f"objectives: {name!r} is no objective. {known}") from None
            where = f"objectives: {name} = {problem['input']!r}" if name else "objectives"
            raise UsageError(f"{where}: {complaint(problem)}") from None


Liking = Callable[[Queries, IntArray], FloatArray]
"""Of n questions and m items each, int32 (n, m): how likely the asker is to take and keep each; float32 (n, m)."""


@dataclass(frozen=True)
class Worth:
    """What items are worth beside being right, each within 0..1.

    Parameters
    ----------
    novelty
        float32 (n_items,).
    margin
        float32 (n_items,), a half where price or cost is unknown; None where no item has both.
    satisfaction
        float32 (n_items,); None where nobody said how content they were.
    liking
        How likely askers are to take and keep items; None where nothing judges that.
    """

    novelty: FloatArray
    margin: FloatArray | None = None
    satisfaction: FloatArray | None = None
    liking: Liking | None = None

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        popularity: FloatArray,
        contentment: FloatArray | None = None,
        liking: Liking | None = None,
    ) -> Worth:
        """From a catalogue, from log(1 + events) of its items and from how content people were with them, float32
        (n_items,) each; no rows, or None, where nothing says how content."""
        content = None if contentment is None else _ranked(contentment)
        return cls(novelty_of(popularity), _ranked(margins(catalogue)), content, liking)


def novelty_of(popularity: FloatArray) -> FloatArray:
    """Self-information over the largest there is, from log(1 + events); an item without events counts as having one."""
    counts = np.maximum(np.expm1(popularity.astype(np.float64)), 1.0)
    bits = -np.log2(counts / counts.sum())
    return np.asarray(bits / max(float(bits.max(initial=0.0)), 1e-9), dtype=np.float32)


def margins(catalogue: Catalogue) -> FloatArray:
    """Price less cost in the catalogue's money; float32 (n_items,), NaN where either is unknown."""
    series = catalogue.column("cost")
    if series is None:
        return np.full(len(catalogue), np.nan, dtype=np.float32)
    import polars as pl

    cost = series.cast(pl.Float32, strict=False).fill_null(float("nan")).to_numpy()
    gain: FloatArray = catalogue.prices - cost
    return np.where(np.isfinite(gain), gain, np.float32(np.nan))


def check_objectives(catalogue: Catalogue, objectives: ObjectiveSettings, facts: ItemFacts | None = None) -> None:
    """Refuse what this catalogue, and the events as far as their facts are known, cannot be ordered by.

    Raises
    ------
    UsageError
        Margin counts, and no item has both a price and a cost; satisfaction counts, and nobody said how content they
        were.
    """
    if objectives.satisfaction and facts is not None and not len(facts.contentment):
        raise UsageError(
            "objectives: satisfaction is what ratings, likes and returns say, and the events have too few of them. "
            "Give events with kind rating, like, dislike or return, or let satisfaction count 0."
        )
    if not objectives.margin or bool(np.isfinite(margins(catalogue)).any()):
        return
    missing = [name for name in MARGIN_NEEDS if catalogue.column(name) is None]
    what = f"items have no {' and no '.join(missing)}" if missing else "no item has both a price and a cost"
    raise UsageError(
        f"objectives: margin is price less cost, and {what}. Give the items both as numbers, or let margin count 0."
    )


def beside(
    items: IntArray, objectives: ObjectiveSettings, worth: Worth, liked: Callable[[], FloatArray | None] = lambda: None
) -> FloatArray | None:
    """What candidates are worth beside being right, weighted; accuracy and diversity are for the list to see to.

    Parameters
    ----------
    items
        int32 (n, c), -1 pads.
    liked
        Gives how likely each asker is to take and keep the candidates, float32 (n, c), None where nothing judges that;
        asked only where satisfaction counts.

    Returns
    -------
    float32 (n, c), sums of what lies within 0..1 (below 0 where what many chose comes first); None where nothing else
    counts.
    """
    if not (objectives.novelty or objectives.margin or objectives.satisfaction):
        return None
    inside = np.maximum(items, 0)
    total = np.float32(objectives.novelty) * worth.novelty[inside]
    if objectives.margin and worth.margin is not None:
        total = total + np.float32(objectives.margin) * worth.margin[inside]
    if objectives.satisfaction and worth.satisfaction is not None:
        content, likely = worth.satisfaction[inside], liked()
        both = content if likely is None else (content + _placed(np.where(items >= 0, likely, -1))) / 2
        total = total + np.float32(objectives.satisfaction) * both
    return np.asarray(total, dtype=np.float32)


def unit(scores: FloatArray) -> FloatArray:
    """Finite scores brought to 0..1 within their row, 0 for the others; float32."""
    finite = np.isfinite(scores)
    low = np.where(finite, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(finite, scores, -np.inf).max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, 1)
    low = np.where(np.isfinite(low), low, 0)
    return np.where(finite, (scores - low) / span, 0).astype(np.float32)


def _placed(values: FloatArray) -> FloatArray:
    """Places within rows, 0 for the least, towards 1 for the most; float32."""
    return np.asarray(values.argsort(axis=1).argsort(axis=1) / values.shape[1], dtype=np.float32)


def _ranked(values: FloatArray) -> FloatArray | None:
    """The share of known values that are not larger, a half for unknown ones; None where none is known."""
    known = np.isfinite(values)
    if not known.any():
        return None
    ordered = np.sort(values[known])
    share = np.searchsorted(ordered, values, side="right") / len(ordered)
    return np.where(known, share, 0.5).astype(np.float32)

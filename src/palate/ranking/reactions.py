"""What people made of what they looked at: taken and kept, or not."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from palate.core import BoolArray, Float64Array, FloatArray, Histories, Int64Array, IntArray
from palate.core.numbers import log_odds
from palate.data import Dataset

_TAKEN = ("purchase", "like", "share")
_REGRET = ("return", "dislike")
_LOOKS = ("view", "click", "cart")
_CONTENT = 0.75
"""From this share of the highest rating there is, a rating says yes: four stars of five."""
_DAY = 86_400.0
_ENOUGH_SAID = 100
"""With fewer ratings, likes and returns, nothing is known of how content people are."""


@dataclass(frozen=True)
class Reactions:
    """n occasions on which somebody looked at an item.

    Parameters
    ----------
    users, items
        int32 (n,).
    rows
        int64 (n,), event row of the look.
    begins
        int64 (n,), event row at which the visit began.
    order
        int32 (n,), how many other items were looked at earlier in the visit.
    dwell
        float32 (n,), log of one plus the seconds of the look, NaN where unknown.
    liked
        bool (n,), whether it was taken then, and neither sent back nor rated low later.
    """

    users: IntArray
    items: IntArray
    rows: Int64Array
    begins: Int64Array
    order: IntArray
    dwell: FloatArray
    liked: BoolArray

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: Int64Array | BoolArray) -> Reactions:
        """Some of them."""
        return Reactions(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def of(cls, dataset: Dataset) -> Reactions:
        """All there are: looks with what came of them in the same visit; where nobody looks, ratings alone.

        A visit is a ``session_id`` where the data has one, else a day. Impressions count as looks only where the data
        has no views, clicks or carts.
        """
        names = dataset.kinds.names
        events = dataset.events.with_columns(
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
            pl.col("kind").cast(pl.Int32).replace_strict(dict(enumerate(names)), return_dtype=pl.String).alias("name"),
        ).filter(pl.col("item") >= 0)
        present = set(events["name"].unique().to_list())
        looks = [name for name in _LOOKS if name in present] or (["impression"] if "impression" in present else [])
        rated = pl.col("name") == "rating"
        stars = pl.col("value") if "value" in events.columns else pl.lit(None, dtype=pl.Float64)
        content = stars >= _CONTENT * stars.filter(rated).max()
        high, low = rated & content, rated & ~content
        if not looks:
            looks, taken = ["rating"], high
        else:
            taken = pl.col("name").is_in(_TAKEN) | high
        visit = (
            pl.col("session_id").cast(pl.String)
            if "session_id" in events.columns
            else (pl.col("time") // _DAY).cast(pl.String)
        ).fill_null("")
        dwell = pl.col("dwell") if "dwell" in events.columns else pl.lit(None, dtype=pl.Float32)
        regretted = (
            events.filter(pl.col("name").is_in(_REGRET) | low)
            .select("user", "item", pl.lit(True).alias("regretted"))
            .unique()
        )
        occasions = (
            events.group_by("user", "item", visit.alias("visit"))
            .agg(
                pl.col("name").is_in(looks).any().alias("looked"),
                taken.any().alias("taken"),
                pl.col("row").filter(pl.col("name").is_in(looks)).min().alias("row"),
                pl.col("row").min().alias("begins"),
                dwell.filter(dwell > 0).mean().alias("dwell"),
            )
            .filter("looked")
            .join(regretted, on=["user", "item"], how="left")
            .sort("row")
            .with_columns(
                pl.col("row").rank("ordinal").over("user", "visit").sub(1).cast(pl.Int32).alias("order"),
                pl.col("begins").min().over("user", "visit"),
            )
        )
        liked = occasions["taken"] & ~occasions["regretted"].fill_null(False)
        return cls(
            occasions["user"].to_numpy().astype(np.int32),
            occasions["item"].to_numpy().astype(np.int32),
            occasions["row"].to_numpy().astype(np.int64),
            occasions["begins"].to_numpy().astype(np.int64),
            occasions["order"].to_numpy().astype(np.int32),
            np.log1p(occasions["dwell"].cast(pl.Float32).fill_null(float("nan")).to_numpy()),
            liked.to_numpy(),
        )

    def histories(self, dataset: Dataset) -> Histories:
        """What each had done before the visit; n rows."""
        sequences = dataset.sequences
        stops = np.searchsorted(dataset.sequence_rows, self.begins).astype(np.int64)
        return sequences.between(sequences.indptr[:-1][self.users], stops)


@dataclass(frozen=True)
class Habits:
    """What people make of items when they look at them, drawn towards their category's habit and that of all.

    Parameters
    ----------
    liking
        float32 (n_items,), smoothed share of likes, in logits less that of all.
    dwell
        float32 (n_items,), smoothed mean log seconds of a look less that of all; 0 where unknown.
    """

    liking: FloatArray
    dwell: FloatArray

    @classmethod
    def of(cls, reactions: Reactions, groups: IntArray, strength: float) -> Habits:
        """Counted.

        Parameters
        ----------
        groups
            int32 (n_items,), innermost category, -1 where unknown.
        strength
            Looks that the share of the wider group is worth.
        """
        everywhere = (float(reactions.liked.sum()) + 1) / (len(reactions) + 2)
        share = _drawn_in(reactions.items, reactions.liked.astype(np.float64), groups, everywhere, strength)
        known = np.isfinite(reactions.dwell)
        usual = float(reactions.dwell[known].mean()) if known.any() else 0.0
        seconds = _drawn_in(reactions.items[known], reactions.dwell[known].astype(np.float64), groups, usual, strength)
        return cls(
            (log_odds(share) - log_odds(np.array(everywhere))).astype(np.float32), (seconds - usual).astype(np.float32)
        )


def _drawn_in(
    items: IntArray, values: Float64Array, groups: IntArray, everywhere: float, strength: float
) -> Float64Array:
    """Mean value of each item, as though its category's had been seen ``strength`` times, and so on upwards."""
    n = len(groups)
    counts = np.bincount(items, minlength=n).astype(np.float64)
    sums = np.bincount(items, weights=values, minlength=n)
    inside = groups + 1
    wide_counts, wide_sums = np.bincount(inside, weights=counts), np.bincount(inside, weights=sums)
    of_group = ((wide_sums + strength * everywhere) / (wide_counts + strength))[inside]
    return np.asarray((sums + strength * of_group) / (counts + strength))


def contentment(dataset: Dataset, groups: IntArray, strength: float = 5.0) -> FloatArray | None:
    """How content people were with each item once they had it, drawn towards its category and towards all.

    Stars between the lowest and the highest given; a like is wholly content, a dislike or a return not at all.

    Parameters
    ----------
    groups
        int32 (n_items,), innermost category, -1 where unknown.
    strength
        Outcomes that the mean of the wider group is worth.

    Returns
    -------
    float32 (n_items,), 0 to 1; None where people said it too seldom to tell items apart.
    """
    names = dataset.kinds.names
    kind = pl.col("kind").cast(pl.Int32).replace_strict(dict(enumerate(names)), return_dtype=pl.String)
    stars = pl.col("value").cast(pl.Float64) if "value" in dataset.events.columns else pl.lit(None, dtype=pl.Float64)
    said = (
        dataset.events.select("item", kind.alias("name"), stars.alias("stars"))
        .filter((pl.col("item") >= 0) & pl.col("name").is_in(["rating", "like", *_REGRET]))
        .with_columns(pl.when(pl.col("name") == "rating").then("stars").alias("stars"))
        .with_columns(
            pl.when(pl.col("name") == "rating")
            .then((pl.col("stars") - pl.col("stars").min()) / (pl.col("stars").max() - pl.col("stars").min()))
            .otherwise((pl.col("name") == "like").cast(pl.Float64))
            .alias("content")
        )
        .filter(pl.col("content").is_finite())
    )
    if len(said) < _ENOUGH_SAID:
        return None
    items, content = said["item"].to_numpy().astype(np.int32), said["content"].to_numpy()
    return _drawn_in(items, content, groups, float(content.mean()), strength).astype(np.float32)

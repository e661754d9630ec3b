"""What people made of what they looked at: taken and kept, or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from palate.core import BoolArray, FloatArray, Histories, Int64Array, IntArray
from palate.data import Dataset

_TAKEN = ("purchase", "like", "share")
_REGRET = ("return", "dislike")
_LOOKS = ("view", "click", "cart")
_CONTENT = 0.75
"""From this share of the highest rating there is, a rating says yes: four stars of five."""
_DAY = 86_400.0


@dataclass(frozen=True)
class Reactions:
    """n occasions on which somebody looked at an item.

    Parameters
    ----------
    users, items
        int32 (n,).
    rows
        int64 (n,), event row at which the occasion began.
    liked
        bool (n,), whether it was taken then, and neither sent back nor rated low later.
    """

    users: IntArray
    items: IntArray
    rows: Int64Array
    liked: BoolArray

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: Int64Array | BoolArray) -> Reactions:
        """Some of them."""
        return Reactions(self.users[rows], self.items[rows], self.rows[rows], self.liked[rows])

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
            )
            .filter("looked")
            .join(regretted, on=["user", "item"], how="left")
            .sort("row")
        )
        liked = occasions["taken"] & ~occasions["regretted"].fill_null(False)
        return cls(
            occasions["user"].to_numpy().astype(np.int32),
            occasions["item"].to_numpy().astype(np.int32),
            occasions["row"].to_numpy().astype(np.int64),
            liked.to_numpy(),
        )

    def histories(self, dataset: Dataset) -> Histories:
        """What each had done before the occasion; n rows."""
        sequences = dataset.sequences
        stops = np.searchsorted(dataset.sequence_rows, self.rows).astype(np.int64)
        return sequences.between(sequences.indptr[:-1][self.users], stops)


@dataclass(frozen=True)
class Habits:
    """How often items are liked when looked at, drawn towards their category's share and that of all.

    Parameters
    ----------
    items
        float32 (n_items,), smoothed share, in logits less that of all.
    looks
        float32 (n_items,), log(1 + looks).
    base
        Share of all looks.
    """

    items: FloatArray
    looks: FloatArray
    base: float

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
        n = len(groups)
        looks = np.bincount(reactions.items, minlength=n).astype(np.float64)
        likes = np.bincount(reactions.items, weights=reactions.liked, minlength=n)
        base = float((likes.sum() + 1) / (looks.sum() + 2))
        inside = groups + 1
        wide_looks, wide_likes = np.bincount(inside, weights=looks), np.bincount(inside, weights=likes)
        of_group = ((wide_likes + strength * base) / (wide_looks + strength))[inside]
        share = (likes + strength * of_group) / (looks + strength)
        return cls(
            (_logit(share) - _logit(np.array(base))).astype(np.float32), np.log1p(looks).astype(np.float32), base
        )


def _logit(share: np.ndarray) -> np.ndarray:
    inside = np.clip(share, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))

"""Lists that people were shown: what stood where, at what price, and what was chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from palate.core import BoolArray, Float64Array, FloatArray, Ids, Int64Array, IntArray, Queries, Ragged
from palate.core.arrays import offsets_of

if TYPE_CHECKING:
    from palate.data.dataset import Dataset

CHOICES = ("click", "cart", "purchase")
"""Kinds of event that say that something shown was chosen."""


@dataclass(frozen=True)
class ShownLists:
    """n lists in order of time, those without a known time first.

    Parameters
    ----------
    rows
        int64 (n,), the event row before which the list stood: that of the choice, or of its first impression.
    users
        int32 (n,).
    times
        float64 (n,), seconds since 1970 UTC of that row; NaN where unknown.
    lists
        Items in the order shown.
    prices
        float32 (len(lists.values),), the price shown beside each; NaN where unknown.
    chosen
        int32 (n,), place in the list of the item chosen; -1 where none was, or one that the list does not hold.
    session
        int32 (n,), how many of the user's newest events of interest before the list belong to its session; -1 where
        the data has no sessions.
    devices
        On what device each was shown, "" where unknown.
    """

    rows: Int64Array
    users: IntArray
    times: Float64Array
    lists: Ragged
    prices: FloatArray
    chosen: IntArray
    session: IntArray
    devices: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> BoolArray:
        """Whether each item shown is the one chosen; bool (len(lists.values),)."""
        place = np.arange(len(self.lists.values)) - np.repeat(self.lists.indptr[:-1], self.lists.lengths)
        return np.asarray(place == np.repeat(self.chosen, self.lists.lengths))

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """All there are: of events that carry their list (``shown``), and of impressions with an ``impression_id``.

        Of events with equal times the order in the data is that on the page. A dataset without either has none.
        """
        parts = [part for part in (_carried(dataset), _impressions(dataset)) if part.height]
        if not parts:
            return cls._empty()
        frame = pl.concat(parts).with_columns(
            pl.Series("time", dataset.events["time"].to_numpy()).gather(pl.concat(parts)["row"])
        )
        frame = frame.sort(["time", "row"], nulls_last=False)
        rows = frame["row"].to_numpy().astype(np.int64)
        lengths = frame["items"].list.len().to_numpy()
        items = frame["items"].explode().to_numpy().astype(np.int32)
        prices = frame["prices"].explode().cast(pl.Float32).fill_null(float("nan")).to_numpy()
        devices = ("",) * len(rows)
        if "device" in dataset.events.columns:
            devices = tuple(dataset.events["device"].gather(rows).cast(pl.String).fill_null("").to_list())
        return cls(
            rows,
            dataset.events["user"].to_numpy()[rows],
            dataset.events["time"].to_numpy()[rows],
            Ragged(offsets_of(lengths), items),
            prices.astype(np.float32),
            frame["chosen"].to_numpy().astype(np.int32),
            _session_lengths(dataset)[rows],
            devices,
        )

    def take(self, rows: Int64Array | BoolArray) -> ShownLists:
        """Some of them, in this order."""
        at = np.flatnonzero(rows) if rows.dtype == bool else rows
        places = Ragged(self.lists.indptr, np.arange(len(self.lists.values), dtype=np.int32)).take(at.astype(np.int32))
        return replace(
            self,
            rows=self.rows[at],
            users=self.users[at],
            times=self.times[at],
            lists=Ragged(places.indptr, self.lists.values[places.values]),
            prices=self.prices[places.values],
            chosen=self.chosen[at],
            session=self.session[at],
            devices=tuple(self.devices[place] for place in at),
        )

    def queries(self, dataset: Dataset) -> Queries:
        """The lists as questions: what each user had done before, in the dataset they come from, and what was shown."""
        sequences = dataset.sequences
        stops = np.searchsorted(dataset.sequence_rows, self.rows).astype(np.int64)
        return Queries(
            sequences.between(sequences.indptr[:-1][self.users], np.maximum(stops, sequences.indptr[:-1][self.users])),
            mask_seen=False,
            candidates=self.lists,
            prices=self.prices,
            as_shown=True,
            devices=self.devices,
            when=self.times,
            session=None if (self.session < 0).any() else self.session,
            users=self.users,
        )

    @classmethod
    def _empty(cls) -> Self:
        none, few = np.zeros(0, np.int64), np.zeros(0, np.int32)
        return cls(none, few, np.zeros(0), Ragged.of([]), np.zeros(0, np.float32), few, few, ())


def shown_ids(events: pl.DataFrame) -> list[str]:
    """Ids of the items that events say were shown, without repetition."""
    if "shown" not in events.columns:
        return []
    return _split(events["shown"].drop_nulls().unique()).explode().drop_nulls().unique().to_list()


def _split(texts: pl.Series) -> pl.Series:
    """Texts as lists of what stands between bars or commas."""
    return texts.str.replace_all(r"\s*[|,]\s*", "|").str.strip_chars(" |").str.split("|")


def _carried(dataset: Dataset) -> pl.DataFrame:
    """Lists of events that carry them, with the row, the items, the prices and the place of the choice."""
    events = dataset.events
    if "shown" not in events.columns:
        return pl.DataFrame()
    rows = np.flatnonzero(events["shown"].is_not_null().to_numpy())
    names = _split(events["shown"].gather(rows))
    lengths = names.list.len().to_numpy()
    items = _positions(names.explode(), dataset.item_ids)
    prices = pl.repeat(None, len(rows), dtype=pl.List(pl.Float32), eager=True)
    if "shown_prices" in events.columns:
        prices = _split(events["shown_prices"].gather(rows)).cast(pl.List(pl.Float32), strict=False)
    # A list of prices that is not as long as the list shown says nothing sure of any of them.
    whole = (prices.list.len() == names.list.len()).fill_null(False)
    flat = np.full(len(items), np.nan, dtype=np.float32)
    inside = np.repeat(whole.to_numpy(), lengths)
    flat[inside] = prices.filter(whole).explode().fill_null(float("nan")).to_numpy()
    wanted = np.repeat(events["item"].to_numpy()[rows], lengths)
    choice = np.isin(events["kind"].to_numpy()[rows], [dataset.kinds.position(name) for name in CHOICES])
    hit = (items == wanted) & np.repeat(choice, lengths)
    return _framed(rows.astype(np.int64), lengths, items, flat, hit)


def _impressions(dataset: Dataset) -> pl.DataFrame:
    """Lists of impressions of one ``impression_id``; the first choice that names it tells what was chosen."""
    events = dataset.events
    if "impression_id" not in events.columns:
        return pl.DataFrame()
    kinds = {name: dataset.kinds.position(name) for name in ("impression", *CHOICES)}
    own = events.select("user", "item", "kind", "impression_id", pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))
    own = own.filter(pl.col("impression_id").is_not_null() & (pl.col("item") >= 0))
    key = ["user", "impression_id"]
    shown = own.filter(pl.col("kind") == kinds.pop("impression")).sort("row")
    if not shown.height:
        return pl.DataFrame()
    choices = own.filter(pl.col("kind").is_in(list(kinds.values()))).sort("row")
    first = choices.unique(key, keep="first").select(*key, pl.col("item").alias("wanted"))
    lists = shown.join(first, on=key, how="left", maintain_order="left").with_columns(
        pl.col("row").min().over(key).alias("begins")
    )
    lists = lists.sort("begins", "row")
    begins = lists["begins"].to_numpy()
    rows, lengths = np.unique(begins, return_counts=True)
    items = lists["item"].to_numpy()
    hit = (lists["item"] == lists["wanted"]).fill_null(False).to_numpy()
    prices = lists["row"].to_numpy()
    flat = np.full(len(items), np.nan, dtype=np.float32)
    if "price" in events.columns:
        flat = events["price"].gather(prices).cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return _framed(rows.astype(np.int64), lengths, items, flat, hit)


def _framed(rows: Int64Array, lengths: np.ndarray, items: IntArray, prices: FloatArray, hit: BoolArray) -> pl.DataFrame:
    """A row a list: its event row, its items, its prices, and the place of the first hit, -1 where there is none."""
    owner = np.repeat(np.arange(len(rows)), lengths)
    place = np.arange(len(items)) - np.repeat(offsets_of(lengths)[:-1], lengths)
    chosen = np.full(len(rows), -1, dtype=np.int32)
    found = np.flatnonzero(hit)[::-1]
    chosen[owner[found]] = place[found]
    flat = pl.DataFrame({"list": owner, "items": items.astype(np.int32), "prices": prices.astype(np.float32)})
    grouped = flat.group_by("list", maintain_order=True).agg("items", "prices")
    return pl.DataFrame({"row": rows[grouped["list"].to_numpy()], "chosen": chosen[grouped["list"].to_numpy()]}).hstack(
        grouped.drop("list")
    )


def _positions(names: pl.Series, ids: Ids) -> IntArray:
    """Positions of ids, -1 where unknown."""
    table = pl.DataFrame(
        {"id": ids.names, "at": np.arange(len(ids), dtype=np.int32)}, schema_overrides={"id": pl.String}
    )
    joined = names.rename("id").to_frame().join(table, on="id", how="left", maintain_order="left")
    return joined["at"].fill_null(-1).to_numpy()


def _session_lengths(dataset: Dataset) -> IntArray:
    """Of each event row, how many earlier events of interest its session has; int32 (n_events,), -1 where unknown."""
    events = dataset.events
    if "session_id" not in events.columns:
        return np.full(events.height, -1, dtype=np.int32)
    interest = np.zeros(events.height, dtype=np.int32)
    interest[dataset.sequence_rows] = 1
    frame = events.select("user", "session_id").with_columns(pl.Series("interest", interest))
    before = frame.select(pl.col("interest").cum_sum().over("user", "session_id") - pl.col("interest")).to_series()
    known = frame["session_id"].is_not_null()
    return before.set(~known, -1).to_numpy().astype(np.int32)

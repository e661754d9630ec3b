"""Occasions on which something could have happened, and whether it did: the population of each kind.

``view``
    Of all items one is turned to next: an occasion is a look with the item it went to, beside items drawn evenly.
    Odds against an even draw are, up to a factor, the softmax over all items (noise-contrastive estimation, Gutmann &
    Hyvärinen, 2010).
``click``
    Given an impression: an item was shown in a list, and clicked there or not.
``purchase``
    Given a look, within a horizon: the item looked at is bought within so many days. Looks whose horizon reaches
    beyond the data say nothing and are left out.
``rating``
    Given that somebody rates an item: the rating is at least the threshold.

What is known on an occasion is everything the same person did before it, and nothing that came after.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl

from palate.core import BoolArray, DataError, Float64Array, FloatArray, Histories, Int64Array, IntArray
from palate.data import Dataset
from palate.models.foreseeing.settings import NextBehaviourSettings

LOOKS = ("view", "click")
HIGH = 0.75
"""Share of the highest rating from which on a rating is high, where no threshold is given."""
_DAY = 86_400.0
_CLICK = 3_600.0
"""Seconds within which a click follows what was shown."""


@dataclass(frozen=True)
class Occasions:
    """n occasions of one kind.

    Parameters
    ----------
    users, items
        int32 (n,).
    stops
        int64 (n,), how far into ``dataset.sequences`` (offsets into its events) the past of the occasion reaches.
    times
        float64 (n,), NaN where unknown.
    prices
        float32 (n,), asked on the occasion, NaN where unknown.
    happened
        bool (n,).
    groups
        int32 (n,), occasions that belong together: a view and the items it is told apart from.
    """

    users: IntArray
    items: IntArray
    stops: Int64Array
    times: Float64Array
    prices: FloatArray
    happened: BoolArray
    groups: IntArray

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: IntArray | Int64Array | BoolArray) -> Occasions:
        """Some of them."""
        return Occasions(*(getattr(self, field.name)[rows] for field in fields(self)))

    def known(self, dataset: Dataset, window: int) -> tuple[Histories, IntArray]:
        """The newest ``window`` events before each occasion, each distinct past once, and which one each has."""
        begins = dataset.sequences.indptr[:-1][self.users]
        keys = self.users.astype(np.int64) * (len(dataset.sequences.items) + 1) + self.stops
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        stops = self.stops[first]
        starts = np.maximum(begins[first], stops - window)
        return dataset.sequences.between(starts, stops), place.astype(np.int32)


def occasions(dataset: Dataset, kind: str, settings: NextBehaviourSettings, rng: np.random.Generator) -> Occasions:
    """All occasions of a kind; empty where the data has none.

    Raises
    ------
    DataError
        Purchases are asked for and looks or purchases have no time.
    """
    found = {"view": _views, "click": _clicks, "purchase": _purchases, "rating": _ratings}[kind](dataset, settings)
    if kind == "view":
        return told_apart(dataset, found, settings.negatives, rng)
    return found


def settled(found: Occasions, kind: str, settings: NextBehaviourSettings) -> Occasions:
    """The same occasions at the moments from which on it is known whether it happened."""
    wait = {"purchase": settings.horizon_days * _DAY, "click": _CLICK}.get(kind, 0.0)
    return replace(found, times=found.times + wait)


def told_apart(dataset: Dataset, views: Occasions, negatives: int, rng: np.random.Generator) -> Occasions:
    """Views, each followed by so many items drawn evenly that it did not go to."""
    drawn = rng.integers(0, max(dataset.n_items - 1, 1), size=(len(views), negatives)).astype(np.int32)
    drawn += drawn >= views.items[:, None]
    return against(views, np.concatenate([views.items[:, None], drawn % dataset.n_items], axis=1))


def against(views: Occasions, items: IntArray) -> Occasions:
    """Each of n views asked about m items (n, m); what happened is the first item of each row."""
    rows = np.repeat(np.arange(len(views)), items.shape[1])
    first = np.zeros(items.shape, dtype=bool)
    first[:, 0] = True
    return replace(views.take(rows), items=items.reshape(-1), happened=first.reshape(-1))


def in_words(kind: str, settings: NextBehaviourSettings, threshold: float, language: str = "en") -> str:
    """Among what the probability of a kind is meant, and of what."""
    days = f"{settings.horizon_days:g}"
    if language.startswith("zh"):
        return {
            "view": "在所有商品中，下一个浏览的是它（全部商品的概率之和为 1）",
            "click": "展示给此人后被点击",
            "purchase": f"浏览后 {days} 天内购买",
            "rating": f"若此人评分，评分不低于 {threshold:g}",
        }[kind]
    unit = "day" if settings.horizon_days == 1 else "days"
    return {
        "view": "of all items this is turned to next (over all items it adds up to 1)",
        "click": "clicked, given that it is shown",
        "purchase": f"bought within {days} {unit} of a look at it, given the look",
        "rating": f"rated {threshold:g} or higher, given that it is rated",
    }[kind]


def rating_threshold(dataset: Dataset, settings: NextBehaviourSettings) -> float:
    """From where on a rating is high; NaN where there are none."""
    if settings.threshold is not None:
        return settings.threshold
    if "value" not in dataset.events.columns:
        return float("nan")
    highest = dataset.events.filter(pl.col("item") >= 0)["value"].cast(pl.Float64).drop_nulls().drop_nans().max()
    return float("nan") if highest is None else HIGH * float(highest)  # type: ignore[arg-type]


def looks_of(dataset: Dataset) -> tuple[str, ...]:
    """Kinds of event that say somebody looked at an item; () where the data has none."""
    present = set(np.unique(dataset.events["kind"].to_numpy()).tolist())
    return tuple(name for name in LOOKS if name in dataset.kinds and dataset.kinds.position(name) in present)


def _rows(dataset: Dataset, kinds: tuple[str, ...]) -> Int64Array:
    """Event rows of these kinds, with an item."""
    wanted = [dataset.kinds.position(name) for name in kinds]
    events = dataset.events
    return np.flatnonzero(np.isin(events["kind"].to_numpy(), wanted) & (events["item"].to_numpy() >= 0))


def _at(dataset: Dataset, rows: Int64Array, happened: BoolArray) -> Occasions:
    """Occasions at these event rows."""
    events = dataset.events
    if "price" in events.columns:
        prices = events["price"].cast(pl.Float32).fill_null(float("nan")).to_numpy()[rows]
    else:
        prices = np.full(len(rows), np.nan, dtype=np.float32)
    return Occasions(
        events["user"].to_numpy()[rows],
        events["item"].to_numpy()[rows],
        np.searchsorted(dataset.sequence_rows, rows).astype(np.int64),
        events["time"].to_numpy()[rows],
        prices,
        happened,
        np.arange(len(rows), dtype=np.int32),
    )


def _views(dataset: Dataset, settings: NextBehaviourSettings) -> Occasions:
    """Looks after the first event of each person; all events of interest where nobody looks."""
    kinds = looks_of(dataset)
    rows = _rows(dataset, kinds[:1]) if kinds else dataset.sequence_rows
    # The price that is asked for one item is not known of those it is told apart from.
    every = replace(_at(dataset, rows, np.ones(len(rows), bool)), prices=np.full(len(rows), np.nan, np.float32))
    return every.take(every.stops > dataset.sequences.indptr[:-1][every.users])


def _clicks(dataset: Dataset, settings: NextBehaviourSettings) -> Occasions:
    """Items shown; clicked where a click names the same impression, or without names follows within an hour."""
    shown, clicked = _rows(dataset, ("impression",)), _rows(dataset, ("click",))
    if not len(shown) or not len(clicked):
        return _at(dataset, np.zeros(0, np.int64), np.zeros(0, bool))
    events = dataset.events
    if "impression_id" in events.columns and events["impression_id"][shown].null_count() == 0:
        keys = ["user", "item", "impression_id"]
        clicks = events[clicked].select(keys).unique().with_columns(pl.lit(True).alias("clicked"))
        joined = events[shown].select(keys).join(clicks, on=keys, how="left", maintain_order="left")
        happened = joined["clicked"].fill_null(False).to_numpy()
    else:
        happened = _follows(dataset, shown, clicked, _CLICK)
    return _at(dataset, shown, happened)


def _purchases(dataset: Dataset, settings: NextBehaviourSettings) -> Occasions:
    """Looks, and whether a purchase of that item follows within the horizon."""
    looks, bought = _rows(dataset, looks_of(dataset)[:1]), _rows(dataset, ("purchase",))
    if not len(looks) or not len(bought):
        return _at(dataset, np.zeros(0, np.int64), np.zeros(0, bool))
    times = dataset.events["time"].to_numpy()
    missing = int(np.isnan(times[looks]).sum() + np.isnan(times[bought]).sum())
    if missing:
        raise DataError(
            f"whether a look becomes a purchase within {settings.horizon_days:g} days needs times; {missing:,} looks "
            "and purchases have none. Give times (--columns timestamp=...), or foresee other kinds."
        )
    seconds = settings.horizon_days * _DAY
    whole = looks[times[looks] + seconds <= times.max()]
    return _at(dataset, whole, _follows(dataset, whole, bought, seconds))


def _ratings(dataset: Dataset, settings: NextBehaviourSettings) -> Occasions:
    """Ratings, and whether they are high."""
    events, threshold = dataset.events, rating_threshold(dataset, settings)
    if "value" not in events.columns or np.isnan(threshold):
        return _at(dataset, np.zeros(0, np.int64), np.zeros(0, bool))
    values = events["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    rows = np.flatnonzero(~np.isnan(values) & (events["item"].to_numpy() >= 0))
    return _at(dataset, rows, values[rows] >= threshold)


def _follows(dataset: Dataset, asked: Int64Array, answers: Int64Array, seconds: float) -> BoolArray:
    """Whether an answer of the same person about the same item comes within so many seconds after each asked row."""
    events = dataset.events.select("user", "item", "time")
    left = events[asked].with_row_index("row").sort("time")
    right = events[answers].sort("time").with_columns(pl.col("time").alias("then"))
    joined = left.join_asof(right, on="time", by=["user", "item"], strategy="forward", check_sortedness=False)
    near = (joined["then"] - joined["time"] <= seconds).fill_null(False).to_numpy()
    answer = np.zeros(len(asked), dtype=bool)
    answer[joined["row"].to_numpy()] = near
    return answer

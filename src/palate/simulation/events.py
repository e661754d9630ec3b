"""From looks to the event log of the demo shop: every kind of event with its time, price, place and words."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.core import Float64Array
from palate.simulation.assortment import DAY
from palate.simulation.browsing import Looks
from palate.simulation.people import DEVICES
from palate.simulation.voices import write_reviews, write_searches
from palate.simulation.world import World

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "visit": pl.Int32,
    "user": pl.Int32,
    "item": pl.Int32,
    "timestamp": pl.Float64,
    "kind": pl.String,
    "value": pl.Float32,
    "quantity": pl.Float32,
    "price": pl.Float32,
    "dwell": pl.Float32,
    "text": pl.String,
    "impression_id": pl.String,
    "rank": pl.Int32,
}
_SHOWN = 6


def make_events(world: World, looks: Looks, rng: np.random.Generator) -> pl.DataFrame:
    """All events in order of time, with canonical columns."""
    checkout = np.zeros(len(world.visits.user))
    np.maximum.at(checkout, looks.visit, looks.time + looks.dwell + 30.0)
    parts = [
        _rows(looks, looks.looked, "view", looks.time, dwell=looks.dwell, price=looks.price),
        _rows(looks, looks.looked & looks.carted, "cart", looks.time + np.round(0.8 * looks.dwell), price=looks.price),
        _purchases(world, looks, checkout, rng),
        _opinions(world, looks, checkout, rng),
        _returns(world, looks, checkout, rng),
        _searches(world, looks, rng),
        *_impressions(world, looks, rng),
    ]
    frame = pl.concat(parts).filter(pl.col("timestamp") < world.end)
    return _named(world, frame.sort("timestamp", maintain_order=True))


def _rows(
    looks: Looks, keep: NDArray[np.bool_], kind: str, time: NDArray[np.float64], **columns: NDArray[np.generic]
) -> pl.DataFrame:
    """Some looks as events of one kind; columns are given for all looks."""
    data = {"visit": looks.visit[keep], "user": looks.user[keep], "item": looks.item[keep], "timestamp": time[keep]}
    data |= {name: values[keep] for name, values in columns.items()}
    return _complete(pl.DataFrame(data), kind)


def _complete(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    have = {**{name: pl.col(name) for name in frame.columns}, "kind": pl.lit(kind)}
    return frame.select(have.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in SCHEMA.items())


def _purchases(world: World, looks: Looks, checkout: Float64Array, rng: np.random.Generator) -> pl.DataFrame:
    cheap = world.truth.list_price[looks.item] < 30
    quantity = 1 + np.where(cheap, rng.poisson(0.35, len(looks.item)), 0)
    return _rows(looks, looks.bought, "purchase", checkout[looks.visit], price=looks.price, quantity=quantity)


def _opinions(world: World, looks: Looks, checkout: Float64Array, rng: np.random.Generator) -> pl.DataFrame:
    """Stars and, mostly, a text for about a third of the purchases, some days after delivery."""
    truth = world.truth
    rated = np.nonzero(looks.bought & (rng.random(len(looks.item)) < 0.34))[0]
    user, item, price = looks.user[rated], looks.item[rated], looks.price[rated]
    content = truth.satisfaction(user, item, price)
    stars = np.clip(np.round(1 + 4 * content + rng.normal(0, 0.45, len(rated))), 1, 5).astype(np.int32)
    dearness = np.log(price / truth.reference_price[truth.item_section[item]])
    texts = write_reviews(world, item, stars=stars, dearness=dearness, chinese=world.people.chinese[user], rng=rng)
    silent = rng.random(len(rated)) < 0.3
    time = checkout[looks.visit[rated]] + np.round(DAY * rng.uniform(3, 16, len(rated)))
    frame = pl.DataFrame({"user": user, "item": item, "timestamp": time, "value": stars, "text": texts})
    return _complete(
        frame.with_columns(pl.when(pl.Series(silent)).then(None).otherwise(pl.col("text")).alias("text")), "rating"
    )


def _returns(world: World, looks: Looks, checkout: Float64Array, rng: np.random.Generator) -> pl.DataFrame:
    """Who is discontent sends things back, except what was ordered again."""
    content = world.truth.satisfaction(looks.user, looks.item, looks.price)
    back = looks.bought & looks.looked & (rng.random(len(content)) < 0.3 * (1 - content) ** 1.5)
    time = checkout[looks.visit] + np.round(DAY * rng.uniform(4, 14, len(content)))
    returned = _rows(looks, back, "return", time, price=looks.price)
    return returned.with_columns(pl.lit(None, pl.Int32).alias("visit"))


def _searches(world: World, looks: Looks, rng: np.random.Generator) -> pl.DataFrame:
    """One visit in five begins with typed words."""
    first = _first_looks(looks)
    first = first[rng.random(len(first)) < 0.2]
    user = looks.user[first]
    frame = pl.DataFrame(
        {
            "visit": looks.visit[first],
            "user": user,
            "timestamp": looks.time[first] - np.round(rng.uniform(4, 25, len(first))),
            "text": write_searches(world, looks.item[first], world.people.chinese[user], rng),
        }
    )
    return _complete(frame, "search")


def _impressions(world: World, looks: Looks, rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A sample of the lists that were shown, with what was clicked in them."""
    first = _first_looks(looks)
    first = first[rng.random(len(first)) < 0.12]
    truth = world.truth
    clicked = rng.integers(_SHOWN, size=len(first))
    near = (truth.item_section[looks.item[first]][:, None] == truth.item_section[None, :]) * 1.5
    near = near + rng.gumbel(size=near.shape)
    near[truth.created[None, :] > looks.time[first][:, None]] = -np.inf
    near[np.arange(len(first)), looks.item[first]] = -np.inf
    shown = np.argsort(-near, axis=1)[:, :_SHOWN].astype(np.int32)
    shown[np.arange(len(first)), clicked] = looks.item[first]
    names = [f"l{visit:06d}" for visit in looks.visit[first]]
    ahead = np.round(rng.uniform(2, 12, len(first)))
    lists = pl.DataFrame(
        {
            "visit": np.repeat(looks.visit[first], _SHOWN),
            "user": np.repeat(looks.user[first], _SHOWN),
            "item": shown.reshape(-1),
            "timestamp": np.repeat(looks.time[first] - ahead - 1, _SHOWN),
            "impression_id": np.repeat(np.array(names), _SHOWN),
            "rank": np.tile(np.arange(1, _SHOWN + 1), len(first)),
        }
    )
    clicks = pl.DataFrame(
        {
            "visit": looks.visit[first],
            "user": looks.user[first],
            "item": looks.item[first],
            "timestamp": looks.time[first] - 1,
            "impression_id": names,
            "rank": clicked + 1,
        }
    )
    return _complete(lists, "impression"), _complete(clicks, "click")


def _first_looks(looks: Looks) -> NDArray[np.int64]:
    """Row of the first item looked at in each visit."""
    rows = np.nonzero(looks.looked)[0]
    order = rows[np.lexsort((looks.time[rows], looks.visit[rows]))]
    _, first = np.unique(looks.visit[order], return_index=True)
    return order[first]


def _named(world: World, frame: pl.DataFrame) -> pl.DataFrame:
    """Ids instead of rows, and where and on what device each visit was."""
    visits, cities = world.visits, world.words.cities
    where = pl.DataFrame(
        {
            "visit": np.arange(len(visits.user), dtype=np.int32),
            "session_id": [f"s{visit:06d}" for visit in range(len(visits.user))],
            "place": [cities[city].words.en for city in visits.city],
            "lat": [cities[city].lat for city in visits.city],
            "lon": [cities[city].lon for city in visits.city],
            "device": [DEVICES[device] for device in visits.device],
        }
    )
    purchase = pl.col("kind") == "purchase"
    joined = frame.join(where, on="visit", how="left", maintain_order="left").with_columns(
        world.people.frame["user_id"].gather(frame["user"]).alias("user_id"),
        world.goods.frame["item_id"].gather(frame["item"]).alias("item_id"),
        pl.when(pl.col("price").is_not_null()).then(pl.lit("EUR")).alias("currency"),
        pl.when(purchase).then(pl.concat_str(pl.lit("b"), pl.col("session_id").str.slice(1))).alias("basket_id"),
        pl.int_range(pl.len()).cast(pl.String).str.zfill(7).alias("number"),
    )
    return joined.select(
        pl.concat_str(pl.lit("e"), pl.col("number")).alias("event_id"),
        "user_id",
        "item_id",
        "timestamp",
        "kind",
        "value",
        "quantity",
        "price",
        "currency",
        "session_id",
        "basket_id",
        "place",
        "lat",
        "lon",
        "device",
        "dwell",
        "text",
        "impression_id",
        "rank",
    )

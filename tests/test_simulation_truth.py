"""What happens in the demo shop follows the truth it declares."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from palate.data import Dataset
from palate.simulation import Shop, ShopSettings, make_shop
from palate.simulation.truth import SHAPES
from palate.simulation.vocabulary import vocabulary


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop(seed=11)


def rows_of(shop: Shop, events: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the users and items of events in the shop's frames."""
    users = {name: row for row, name in enumerate(shop.users["user_id"])}
    items = {name: row for row, name in enumerate(shop.items["item_id"])}
    return (
        np.array([users[name] for name in events["user_id"]]),
        np.array([items[name] for name in events["item_id"]]),
    )


@pytest.fixture(scope="module")
def looks(shop: Shop) -> pl.DataFrame:
    """Views, and whether the item was bought in the same visit."""
    bought = shop.events.filter(pl.col("kind") == "purchase").select(
        "session_id", "item_id", pl.lit(True).alias("bought")
    )
    views = shop.events.filter(pl.col("kind") == "view").unique(["session_id", "item_id"], maintain_order=True)
    joined = views.join(bought.unique(), on=["session_id", "item_id"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("bought").fill_null(False))


def test_purchases_follow_their_probability(shop: Shop, looks: pl.DataFrame) -> None:
    users, items = rows_of(shop, looks)
    odds = shop.truth.purchase_probability(users, items, looks["timestamp"].to_numpy())
    bought = looks["bought"].to_numpy()
    edges = np.quantile(odds, np.linspace(0, 1, 9))
    bins = np.clip(np.searchsorted(edges, odds, side="right") - 1, 0, 7)
    for position in range(8):
        inside = bins == position
        expected, seen, n = odds[inside].mean(), bought[inside].mean(), int(inside.sum())
        assert abs(seen - expected) < 4.5 * np.sqrt(expected * (1 - expected) / n) + 0.004


def test_the_price_on_record_is_the_true_one_and_a_higher_price_sells_less(shop: Shop, looks: pl.DataFrame) -> None:
    users, items = rows_of(shop, looks)
    when = looks["timestamp"].to_numpy()
    asked = looks["price"].to_numpy()
    # An item may be looked at a few minutes after its week turned; nobody else pays another price.
    assert (np.abs(asked - shop.truth.price(items, when)) < 0.01).mean() > 0.998
    lower = shop.truth.purchase_probability(users, items, when, asked * 0.9)
    higher = shop.truth.purchase_probability(users, items, when, asked * 1.1)
    assert (lower > higher).all()
    cheap = asked < 0.95 * shop.truth.list_price[items]
    full = shop.truth.purchase_probability(users, items, when, shop.truth.list_price[items])
    bought = looks["bought"].to_numpy()
    # Items on offer sell more than the same looks would have at the list price; the others as expected.
    assert bought[cheap].mean() > 1.15 * full[cheap].mean()
    assert abs(bought[~cheap].mean() - full[~cheap].mean()) < 0.01


def test_seasons_show_in_what_is_bought(shop: Shop) -> None:
    events = shop.events.filter(pl.col("kind") == "view").with_columns(
        pl.from_epoch(pl.col("timestamp").cast(pl.Int64)).dt.month().alias("month"),
        pl.col("item_id").str.split("-").list.first().alias("section"),
    )

    def share(section: str, months: list[int]) -> float:
        inside = events.filter(pl.col("month").is_in(months))
        return float((inside["section"] == section).mean())  # type: ignore[arg-type]

    assert share("suncare", [6, 7, 8]) > 3 * share("suncare", [12, 1, 2])
    assert share("candles", [12, 1]) > 1.5 * share("candles", [6, 7])
    assert share("blocks", [12]) > 1.5 * share("blocks", [5, 6, 7])
    sections = [section.key for section in vocabulary().sections]
    july, january = (dt.datetime(2026, month, 10, tzinfo=dt.UTC).timestamp() for month in (7, 1))
    assert shop.truth.seasonality(sections.index("suncare"), july) > 4.0
    assert shop.truth.seasonality(sections.index("suncare"), january) < 0.3


def test_seasons_leave_the_average_day_alone(shop: Shop) -> None:
    year = ShopSettings().start + 86_400.0 * np.arange(365)
    logs = np.log(shop.truth.seasonality(np.arange(len(shop.truth.season_shape))[:, None], year[None, :]))
    np.testing.assert_allclose(logs.mean(axis=1), 0.0, atol=0.02)
    assert SHAPES.index("flat") in shop.truth.season_shape


def test_singles_day_is_the_busiest_for_chinese_customers(shop: Shop) -> None:
    visits = shop.events.filter(pl.col("kind") == "view").join(shop.users.select("user_id", "language"), on="user_id")
    days = visits.with_columns(pl.from_epoch(pl.col("timestamp").cast(pl.Int64)).dt.date().alias("day"))
    year = days.filter((pl.col("day") < dt.date(2026, 6, 1)) & (pl.col("language") == "zh"))
    busiest = year.group_by("day").len().sort("len", descending=True)["day"][0]
    assert busiest in {dt.date(2025, 11, 10), dt.date(2025, 11, 11)}


def test_evenings_are_busier_than_nights_where_people_live(shop: Shop) -> None:
    offsets = {city.words.en: city.offset for city in vocabulary().cities}
    views = shop.events.filter(pl.col("kind") == "view").with_columns(
        pl.col("place").replace_strict(offsets, return_dtype=pl.Int64).alias("offset")
    )
    hours = ((views["timestamp"] / 3600 + views["offset"]) % 24).cast(pl.Int64).to_numpy()
    counts = np.bincount(hours, minlength=24)
    assert counts[19:22].sum() > 8 * counts[2:5].sum()


def test_stars_follow_satisfaction_and_discontent_sends_back(shop: Shop) -> None:
    ratings = shop.events.filter(pl.col("kind") == "rating")
    content = shop.truth.satisfaction(*rows_of(shop, ratings))
    assert np.corrcoef(content, ratings["value"].to_numpy())[0, 1] > 0.7
    returns = shop.events.filter(pl.col("kind") == "return")
    bought = shop.events.filter(pl.col("kind") == "purchase")
    sent_back = shop.truth.satisfaction(*rows_of(shop, returns)).mean()
    assert sent_back < shop.truth.satisfaction(*rows_of(shop, bought)).mean() - 0.05


def test_what_completes_a_purchase_is_bought_with_it(shop: Shop) -> None:
    baskets = shop.events.filter(pl.col("kind") == "purchase").unique(["basket_id", "item_id"], maintain_order=True)
    pairs = baskets.join(baskets, on="basket_id", suffix="_b").filter(pl.col("item_id") != pl.col("item_id_b"))
    row = {name: position for position, name in enumerate(shop.items["item_id"])}
    first = np.array([row[name] for name in pairs["item_id"]])
    second = np.array([row[name] for name in pairs["item_id_b"]])
    linked = (shop.truth.complements[first] == second[:, None]).any(axis=1)
    chance = (shop.truth.complements >= 0).sum() / shop.items.height**2
    assert linked.mean() > 10 * chance


def test_odds_of_a_first_look_sum_to_one_and_tell_first_looks(shop: Shop) -> None:
    first = shop.events.filter(pl.col("kind") == "view").unique("user_id", keep="first", maintain_order=True)
    users, items = rows_of(shop, first)
    odds = shop.truth.look_probability(users, first["timestamp"].to_numpy())
    np.testing.assert_allclose(odds.sum(axis=1), 1.0, atol=1e-9)
    chosen = odds[np.arange(len(items)), items]
    assert (chosen > 0).all()
    # The truth's own expectation of log odds is the best any model can reach; sales days alone pull it down a little.
    expected = np.where(odds > 0, odds * np.log(np.where(odds > 0, odds, 1.0)), 0.0).sum(axis=1).mean()
    assert abs(np.log(chosen).mean() - expected) < 0.15


def test_collaboration_and_content_beat_popularity_and_the_truth_beats_both(shop: Shop) -> None:
    dataset = Dataset.assemble(shop.events, shop.items, shop.users)
    sequences, n = dataset.sequences, dataset.n_items
    _, first = np.unique(sequences.rows.astype(np.int64) * n + sequences.items, return_index=True)
    fresh = np.zeros(len(sequences.items), dtype=bool)
    fresh[first] = True
    history = sequences.where(fresh)
    last = history.ages == 0
    target, when, known = history.items[last], history.times[last], history.where(~last)
    asked = np.nonzero((known.lengths >= 3)[history.rows[last]])[0]
    users, target, when = history.rows[last][asked], target[asked], when[asked]
    seen = known.matrix(n)
    recent = known.matrix(n, (0.8**known.ages).astype(np.float32))[users]

    def ndcg(scores: np.ndarray) -> float:
        scores = np.where(seen[users].toarray() > 0, -np.inf, scores)
        rank = (scores > scores[np.arange(len(users)), target][:, None]).sum(axis=1)
        return float(np.where(rank < 10, 1 / np.log2(rank + 2), 0.0).mean())

    popularity = ndcg(np.tile(np.asarray((seen > 0).sum(axis=0)).reshape(-1), (len(users), 1)))
    together = (seen > 0).astype(np.float32).T @ (seen > 0).astype(np.float32)
    scale = sparse.diags(1 / (np.sqrt(together.diagonal()) + 1))
    neighbours = ndcg((recent @ (scale @ together @ scale)).toarray())
    words = [set(text.lower().split()) for text in dataset.catalogue.titles]
    names = sorted(set().union(*words))
    column = {name: position for position, name in enumerate(names)}
    pairs = np.array([(row, column[word]) for row, own in enumerate(words) for word in own])
    bag = sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, len(names)))
    rare = sparse.diags(np.log(n / np.asarray((bag > 0).sum(axis=0)).reshape(-1)))
    content = ndcg((recent @ (bag @ rare) @ (bag @ rare).T).toarray())

    order = np.array([shop.items["item_id"].to_list().index(name) for name in dataset.item_ids.names])
    person = np.array([int(name[1:]) - 1 for name in dataset.user_ids.names])[users]
    odds = shop.truth.look_probability(person, when)
    wished = shop.truth.item_section[None, :] == shop.truth.item_section[order[target]][:, None]
    oracle = ndcg(np.where(wished, odds, 0.0)[:, order])
    assert neighbours > 4 * popularity
    assert content > 4 * popularity
    assert oracle > 1.5 * max(neighbours, content)

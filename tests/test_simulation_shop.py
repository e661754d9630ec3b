"""The demo shop is reproducible, looks like a shop and loads as a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from palate.core import ArtefactError, UsageError
from palate.data import Dataset
from palate.simulation import Shop, ShopSettings, make_shop, read_truth, write_shop
from palate.simulation.vocabulary import vocabulary

SMALL = ShopSettings(users=120, items=240, days=400)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop(seed=3)


def test_same_seed_gives_the_same_shop_and_another_seed_another() -> None:
    one, same, other = make_shop(SMALL, 5), make_shop(SMALL, 5), make_shop(SMALL, 6)
    assert_frame_equal(one.events, same.events)
    assert_frame_equal(one.items, same.items)
    assert_frame_equal(one.users, same.users)
    for name, array in one.truth.arrays().items():
        np.testing.assert_array_equal(array, same.truth.arrays()[name])
    assert not one.events.equals(other.events)
    assert one.items["title"].to_list() != other.items["title"].to_list()


def test_the_default_shop_has_the_promised_size_and_kinds(shop: Shop) -> None:
    assert shop.users.height == 1500
    assert shop.items.height == 800
    assert 55_000 < shop.events.height < 85_000
    counts = dict(shop.events["kind"].value_counts().iter_rows())
    assert set(counts) == {"view", "click", "cart", "purchase", "return", "rating", "search", "impression"}
    assert counts["view"] > 3 * counts["purchase"] > 3 * counts["rating"]
    assert counts["return"] < 0.1 * counts["purchase"]


def test_titles_are_unique_and_texts_are_in_their_language(shop: Shop) -> None:
    items = shop.items
    assert items["title"].n_unique() == items.height
    assert items["title_zh"].n_unique() == items.height
    assert items["description"].n_unique() > 0.8 * items.height
    han = r"[\u4e00-\u9fff]"
    for name in ("title", "description", "brand", "category"):
        assert not items[name].str.contains(han).any(), name
        assert items[f"{name}_zh"].str.contains(han).all(), name


def test_every_title_is_made_of_parts_that_fit() -> None:
    for section in vocabulary().sections:
        for noun in range(len(section.nouns)):
            assert any(noun in flavour.suits for flavour in section.flavours), section.key
            assert any(noun in variant.suits for variant in section.variants), section.key


def test_people_write_in_their_own_language_and_only_where_one_writes(shop: Shop) -> None:
    written = shop.events.filter(pl.col("text").is_not_null()).join(shop.users, on="user_id")
    han = pl.col("text").str.contains(r"[\u4e00-\u9fff]")
    assert written.height > 1000
    assert written.filter(pl.col("language") == "zh").select(han.all()).item()
    assert not written.filter(pl.col("language") == "en").select(han.any()).item()
    assert set(written["kind"].unique()) == {"rating", "search"}
    reviews = written.filter(pl.col("kind") == "rating")["text"]
    assert reviews.n_unique() > 0.6 * len(reviews)
    assert not written["text"].str.contains(r"[{}]").any()


def test_events_are_in_order_and_inside_the_time_watched(shop: Shop) -> None:
    settings = ShopSettings()
    times = shop.events["timestamp"]
    assert times.is_sorted()
    assert times.min() > settings.start - 86_400  # type: ignore[operator]
    assert times.max() < settings.start + settings.days * 86_400  # type: ignore[operator]
    assert shop.events["event_id"].n_unique() == shop.events.height
    opened = shop.events.filter(pl.col("item_id").is_not_null()).join(shop.items, on="item_id")
    assert (opened["timestamp"] >= opened["created"]).all()


def test_only_searches_have_no_item_and_only_baskets_are_paid(shop: Shop) -> None:
    bare = shop.events.filter(pl.col("item_id").is_null())
    assert set(bare["kind"].unique()) == {"search"}
    paid = shop.events.filter(pl.col("basket_id").is_not_null())
    assert set(paid["kind"].unique()) == {"purchase"}
    assert (paid["price"] > 0).all()
    assert (paid["quantity"] >= 1).all()


def test_each_impression_list_holds_its_click(shop: Shop) -> None:
    clicks = shop.events.filter(pl.col("kind") == "click")
    shown = shop.events.filter(pl.col("kind") == "impression")
    found = clicks.join(shown, on=["impression_id", "item_id", "rank"], how="inner")
    assert found.height == clicks.height > 500


def test_visits_are_coherent_and_popularity_has_a_long_tail(shop: Shop) -> None:
    views = shop.events.filter(pl.col("kind") == "view").join(shop.items.select("item_id", "category"), on="item_id")
    by_visit = views.group_by("session_id").agg(
        pl.col("category").unique_counts().max() / pl.len(), pl.len().alias("n")
    )
    assert by_visit.filter(pl.col("n") >= 3)["category"].mean() > 0.55  # type: ignore[operator]
    counts = views.group_by("item_id").len()["len"].sort(descending=True)
    assert counts.head(80).sum() > 0.25 * counts.sum()
    assert counts.tail(200).sum() < 0.08 * counts.sum()


def test_consumables_are_bought_again(shop: Shop) -> None:
    repeats = {f"{s.key}": s.repeat > 0 for s in vocabulary().sections}
    bought = (
        shop.events.filter(pl.col("kind") == "purchase")
        .group_by("user_id", "item_id")
        .agg(pl.col("basket_id").n_unique().alias("times"))
        .with_columns(pl.col("item_id").str.split("-").list.first().replace_strict(repeats).alias("runs_out"))
        .group_by("runs_out")
        .agg((pl.col("times") > 1).mean())
    )
    share = dict(bought.iter_rows())
    assert share[True] > 3 * share[False]


def test_the_shop_assembles_into_a_dataset(shop: Shop) -> None:
    dataset = Dataset.assemble(shop.events, shop.items, shop.users, name="demo")
    assert (dataset.n_users, dataset.n_items, dataset.n_events) == (1500, 800, shop.events.height)
    assert dataset.has_times
    assert dataset.catalogue.has_text
    assert len(dataset.catalogue.categories[1]) == 10 + 49
    assert not np.isnan(dataset.catalogue.prices).any()


def test_written_and_read_back_it_is_the_same(tmp_path: Path) -> None:
    shop = make_shop(SMALL, 2)
    write_shop(shop, tmp_path / "shop")
    write_shop(shop, tmp_path / "shop")
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == [
        "events.parquet", "items.parquet", "truth", "users.parquet",
    ]  # fmt: skip
    assert_frame_equal(pl.read_parquet(tmp_path / "shop" / "events.parquet"), shop.events)
    truth = read_truth(tmp_path / "shop")
    for name, array in shop.truth.arrays().items():
        np.testing.assert_array_equal(array, truth.arrays()[name])


def test_a_damaged_truth_is_refused(tmp_path: Path) -> None:
    write_shop(make_shop(SMALL, 2), tmp_path)
    file = tmp_path / "truth" / "truth.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ArtefactError, match="damaged"):
        read_truth(tmp_path)


def test_more_items_than_there_are_words_for_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    big = ShopSettings(users=5, items=2000)
    assert make_shop(big, 1).items["title"].n_unique() == 2000
    with pytest.raises(UsageError, match="different items at most"):
        make_shop(big.model_copy(update={"items": 100_000}), 1)

"""Features are declared once; the page says what the code does; none of them sees the future."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.core import FloatArray, Scorer
from palate.data import Dataset, cut_at, time_quantile
from palate.engine.context_words import _PART_OF
from palate.engine.listing import _GROUPS
from palate.models.item_knn import ItemKNN
from palate.models.popularity import Popularity
from palate.models.transitions import Transitions
from palate.ranking import feature_table, shown_features
from palate.ranking.candidates import CandidateSettings, propose
from palate.ranking.circumstances import CircumstanceSettings
from palate.ranking.demand import DemandSettings
from palate.ranking.facts import ItemFacts
from palate.ranking.feature_table import (
    OF_CIRCUMSTANCES,
    OF_ITEMS,
    OF_LISTS,
    OF_SOURCES,
    OF_TEXT,
    OF_THE_NEWEST,
    declared,
)
from palate.ranking.features import feature_names as names_of
from palate.ranking.pipeline import Pipeline
from palate.ranking.sources import ask
from palate.simulation import ShopSettings, make_shop

DECLARED = (*OF_SOURCES, *OF_ITEMS, OF_THE_NEWEST, *OF_TEXT, *OF_CIRCUMSTANCES)
SOURCES = ("popularity", "transitions", "item_knn")


@cache
def shop() -> Dataset:
    # Long enough for seasons to come again before the moment asked about, and over by now.
    made = make_shop(ShopSettings(users=150, items=80, days=650, start=1_640_995_200.0), 0)
    return Dataset.from_frames(made.events, made.items, made.users, name="demo")


def altered(dataset: Dataset, moment: float) -> Dataset:
    """The same up to the moment; after it other items, other kinds and other times."""
    rng = np.random.default_rng(3)
    later = dataset.events["time"].to_numpy() > moment
    item = np.where(later, rng.integers(0, dataset.n_items, dataset.n_events), dataset.events["item"].to_numpy())
    weight = np.where(later, 1.0, dataset.events["weight"].to_numpy())
    kind = np.where(later, dataset.kinds.position("purchase"), dataset.events["kind"].to_numpy())
    return replace(
        dataset,
        events=dataset.events.with_columns(
            pl.Series("item", item.astype(np.int32)),
            pl.Series("kind", kind.astype(np.int8)),
            pl.Series("weight", weight.astype(np.float32)),
            pl.Series("device", np.where(later, "phone", dataset.events["device"].to_numpy())),
            pl.Series("place", np.where(later, "London", dataset.events["place"].to_numpy())),
        ),
    )


@cache
def tables() -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Features of the same questions, with the future as it was and with garbage in its place."""
    moment = time_quantile(shop(), 0.7)
    made: list[FloatArray] = []
    names: tuple[str, ...] = ()
    for dataset in (shop(), altered(shop(), moment)):
        fold = cut_at(dataset, moment, moment)
        sources: dict[str, Scorer[Dataset]] = {
            "popularity": Popularity().fit(fold.dataset),
            "transitions": Transitions().fit(fold.dataset),
            "item_knn": ItemKNN().fit(fold.dataset),
        }
        vectors = np.random.default_rng(0).normal(size=(dataset.n_items, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        circumstances = CircumstanceSettings().told_by(fold.dataset)
        demand = DemandSettings(learn=True, moments=3).told_by(fold.dataset)
        facts = ItemFacts.of(fold.dataset, vectors, circumstances=circumstances, demand=demand, comes_back=True)
        names = names_of(SOURCES, facts)
        uniform = np.full(len(sources), 1 / len(sources), np.float32)
        pipeline = Pipeline(sources, uniform, facts, None, names, CandidateSettings(total=40))
        # Everybody who was there before is asked at the same moment: who comes later is the future itself.
        there = np.flatnonzero(fold.dataset.sequences.lengths > 0).astype(np.int32)
        queries = fold.dataset.queries(there, mask_seen=False)
        visit = np.minimum(queries.history.lengths, 3).astype(np.int32)
        queries = replace(
            queries,
            when=np.full(len(there), moment + 60),
            session=visit,
            devices=("phone",) * len(there),
            places=("London",) * len(there),
        )
        scores = ask(sources, queries, dataset.n_items)
        made.append(pipeline.features(queries, propose(scores, pipeline.candidates), scores))
    return made[0], made[1], names


@pytest.mark.parametrize("feature", DECLARED, ids=lambda feature: feature.name)
def test_no_feature_sees_the_future(feature: feature_table.Feature) -> None:
    before, after, names = tables()
    columns = [place for place, name in enumerate(names) if declared(name) == feature]
    assert columns, "every declared feature is proved here"
    for column in columns:
        np.testing.assert_array_equal(before[:, :, column], after[:, :, column])
    known = before[:, :, columns]
    assert len(np.unique(known[~np.isnan(known)])) > 1, "a column that never changes proves nothing"


def test_a_feature_that_peeks_is_caught() -> None:
    """The same proof, of popularity counted over everything."""
    moment = time_quantile(shop(), 0.7)
    assert not np.array_equal(shop().popularity, altered(shop(), moment).popularity)


def test_every_column_has_one_declaration() -> None:
    _, _, names = tables()
    assert len(set(names)) == len(names)
    assert {declared(name).name for name in names} == {feature.name for feature in DECLARED}
    assert len({feature.name for feature in DECLARED}) == len(DECLARED)
    assert tuple(feature.name for feature in OF_LISTS) == shown_features.NAMES


def test_every_declaration_says_all_five_things() -> None:
    for feature in (*DECLARED, *OF_LISTS):
        assert all(feature.record().values()), feature.name


def test_every_feature_of_the_context_has_words() -> None:
    assert {feature.name for feature in DECLARED if feature.context} == set(_PART_OF)
    assert sorted(name for names in _GROUPS.values() for name in names) == sorted(shown_features.NAMES)


def test_the_page_is_in_step() -> None:
    path = Path(__file__).parent.parent / "docs" / "features.md"
    again = "python -m palate.ranking.feature_table > docs/features.md"
    assert path.read_text(encoding="utf-8") == feature_table.page(), f"write it again: {again}"


@pytest.mark.parametrize(
    ("has", "there", "missing"),
    [
        ((), "popularity", "price"),
        (("prices",), "price_gap", "text_last"),
        (("times",), "session_length", "session_text"),
        (("times", "text"), "session_shift", "session_category"),
    ],
)
def test_columns_follow_what_the_data_has(has: tuple[str, ...], there: str, missing: str) -> None:
    names = feature_table.feature_names(("a", "b"), ("b",), has)
    assert there in names
    assert missing not in names
    assert names[:6] == ("a.score", "a.share", "a.rank", "b.score", "b.share", "b.rank")
    assert "b.last" in names
    assert "a.last" not in names

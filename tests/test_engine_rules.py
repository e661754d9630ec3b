"""Whatever the models say: excludes, filters, candidates, rules and lengths hold."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import UsageError
from palate.engine import Engine
from palate.ranking.rules import Boost, Quota, RuleSettings
from tests.engine_world import busiest, dataset, fitted, fresh, ids

NAMES = dataset().item_ids.names
USERS = [None, "nobody", *busiest(dataset(), 6)]
PRICES = dict(zip(NAMES, dataset().catalogue.prices.tolist(), strict=True))
STOCK = dict(zip(NAMES, dataset().catalogue.frame["stock"].to_list(), strict=True))
BRANDS = dict(zip(NAMES, dataset().catalogue.strings("brand"), strict=True))


def ruled(**rules: Any) -> Engine:
    return fresh(rules=RuleSettings(**rules))


@settings(max_examples=60)
@given(
    user=st.sampled_from(USERS),
    k=st.integers(1, 200),
    exclude=st.lists(st.sampled_from(NAMES), max_size=30),
    candidates=st.none() | st.lists(st.sampled_from(NAMES), max_size=40),
    dearest=st.none() | st.floats(1, 400),
    text=st.sampled_from(["", "coffee", "帐篷", "zzzz"]),
    diversity=st.none() | st.sampled_from([0.0, 0.4, 1.0]),
)
def test_no_answer_breaks_what_was_asked(
    *,
    user: str | None,
    k: int,
    exclude: list[str],
    candidates: list[str] | None,
    dearest: float | None,
    text: str,
    diversity: float | None,
) -> None:
    engine = fitted()
    conditions = None if dearest is None else {"price": {"lte": dearest}}
    answer = engine.recommend(
        user, k, exclude=exclude, candidates=candidates, filter=conditions, text=text, diversity=diversity
    )
    answered = ids(answer)
    may = {name for name in NAMES if STOCK[name] is None or STOCK[name] > 0} - set(exclude)
    may &= set(NAMES if candidates is None else candidates)
    may = {name for name in may if dearest is None or PRICES[name] <= dearest}
    assert not engine.masks_seen
    assert set(answered) <= may
    assert len(answered) == len(set(answered)) == min(k, len(may))
    assert not answer.degraded


@settings(max_examples=25)
@given(
    at_most=st.integers(1, 3),
    k=st.integers(1, 40),
    user=st.sampled_from(USERS),
    diversity=st.sampled_from([0.0, 0.5]),
    chosen=st.lists(st.sampled_from(NAMES), min_size=1, max_size=60, unique=True),
)
def test_quotas_hold_and_leave_no_room_empty(
    *, at_most: int, k: int, user: str | None, diversity: float, chosen: list[str]
) -> None:
    engine = ruled(quotas=(Quota(property="brand", at_most=at_most),), in_stock=False)
    answered = ids(engine.recommend(user, k, candidates=chosen, diversity=diversity))
    counts = Counter(BRANDS[name] for name in answered)
    assert max(counts.values()) <= at_most
    room = sum(min(at_most, count) for count in Counter(BRANDS[name] for name in chosen).values())
    assert len(answered) == len(set(answered)) == min(k, room)


def test_two_quotas_hold_together() -> None:
    engine = ruled(quotas=(Quota(property="brand", at_most=1), Quota(property="category", at_most=2)))
    for user in USERS:
        items = engine.recommend(user, k=15).items
        assert len(items) == 15
        assert max(Counter(item.properties["brand"] for item in items).values()) == 1
        assert max(Counter(item.properties["category"] for item in items).values()) <= 2


def test_quotas_keep_the_order_of_the_rest() -> None:
    engine = ruled(quotas=(Quota(property="brand", at_most=1),))
    user = busiest(dataset())[0]
    plain, limited = ids(fitted().recommend(user, k=40)), ids(engine.recommend(user, k=8))
    first = list({BRANDS[name]: name for name in reversed(plain)}.values())
    assert limited == sorted(first, key=plain.index)[:8]


def test_only_what_the_shop_allows() -> None:
    engine = ruled(allow={"price": {"lte": 50}}, exclude={"brand": BRANDS[NAMES[0]]})
    for user in USERS:
        for item in engine.recommend(user, k=20).items:
            assert item.properties["price"] <= 50
            assert item.properties["brand"] != BRANDS[NAMES[0]]
        similar = engine.similar(NAMES[0], k=20).items
        assert all(item.properties["price"] <= 50 for item in similar)


def test_a_boost_moves_items_up_and_down() -> None:
    user = busiest(dataset())[0]
    plain = ids(fitted().recommend(user, k=60))
    brand = BRANDS[plain[30]]
    up = ids(ruled(boosts=(Boost(filter={"brand": brand}, by=9.0),)).recommend(user, k=60))
    down = ids(ruled(boosts=(Boost(filter={"brand": brand}, by=-9.0),)).recommend(user, k=60))
    of_brand = [name for name in plain if BRANDS[name] == brand]
    assert up[0] in of_brand
    assert up.index(plain[30]) < 30
    assert plain[30] not in down[:30]
    others = [name for name in plain if BRANDS[name] != brand]
    assert [name for name in up if name in others] == [name for name in others if name in up]


def test_a_rule_about_a_property_nobody_has_is_refused() -> None:
    with pytest.raises(UsageError, match="quota: items have no property 'colour'"):
        ruled(quotas=(Quota(property="colour", at_most=1),))


def distance(engine: Engine, answered: list[str]) -> float:
    """Mean of one minus the cosine between the texts of a list's items."""
    vectors = engine.pipeline.facts.vectors[engine.catalogue.ids.positions(answered)]
    cosines = vectors @ vectors.T
    return float(1 - cosines[np.triu_indices(len(answered), 1)].mean())


def test_diverse_lists_are_more_different_and_still_the_best_first() -> None:
    engine = fitted()
    plain: list[float] = []
    some: list[float] = []
    most: list[float] = []
    for user in [user for user in USERS if user is not None]:
        lists = [ids(engine.recommend(user, k=10, diversity=strength)) for strength in (0.0, 0.5, 1.0)]
        assert lists[0] == ids(engine.recommend(user, k=10))
        assert lists[0][0] == lists[1][0]
        for found, answered in zip((plain, some, most), lists, strict=True):
            found.append(distance(engine, answered))
    assert np.all(np.array(most) >= np.array(plain) - 1e-6)
    assert np.mean(plain) < np.mean(some) < np.mean(most)

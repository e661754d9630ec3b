"""Itemsets and rules are what counting one by one finds, and the evidence is what the textbook says."""

from __future__ import annotations

from itertools import chain, combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import Ragged, UsageError
from palate.data.baskets import Baskets
from palate.measure import benjamini_hochberg, fisher_greater
from palate.models import itemsets
from palate.models.association import AssociationSettings, Rules, mined
from palate.models.itemsets import frequent_itemsets, least_count
from tests.evaluation_world import invoices

N_ITEMS = 7
contents = st.lists(st.sets(st.integers(0, N_ITEMS - 1), min_size=1, max_size=6), min_size=1, max_size=40)
supports = st.sampled_from([0.02, 0.1, 0.2, 0.34, 0.5, 1.0])


def baskets_of(rows: list[set[int]]) -> Baskets:
    n = len(rows)
    order = [np.random.default_rng(place).permutation(sorted(row)) for place, row in enumerate(rows)]
    return Baskets(Ragged.of(order), np.arange(n, dtype=np.int32), np.arange(n) * 1.0, np.arange(n), "basket_id")


def holding(rows: list[set[int]], items: tuple[int, ...]) -> int:
    return sum(set(items) <= row for row in rows)


def every_set(longest: int) -> list[tuple[int, ...]]:
    return list(chain.from_iterable(combinations(range(N_ITEMS), size) for size in range(1, longest + 1)))


def by_hand(
    rows: list[set[int]], own: AssociationSettings
) -> dict[tuple[tuple[int, ...], tuple[int, ...]], list[float]]:
    """Every rule by counting baskets one by one; false discoveries are not judged."""
    n, found = len(rows), {}
    for items in every_set(own.longest):
        both = holding(rows, items)
        if len(items) < 2 or both / n < own.support - 1e-12:
            continue
        for size in range(1, min(own.right, len(items) - 1) + 1):
            for right in combinations(items, size):
                left = tuple(item for item in items if item not in right)
                n_left, n_right = holding(rows, left), holding(rows, right)
                confidence, lift = both / n_left, both / n_left * n / n_right
                if confidence < own.confidence or lift < own.lift:
                    continue
                conviction = (1 - n_right / n) / (1 - confidence) if both < n_left else np.inf
                chance = sum(
                    comb(n_left, x) * comb(n - n_left, n_right - x) for x in range(both, min(n_left, n_right) + 1)
                )
                leverage = both / n - n_left / n * (n_right / n)
                found[left, right] = [both / n, confidence, lift, leverage, conviction, chance / comb(n, n_right)]
    return found


def as_found(rules: Rules) -> dict[tuple[tuple[int, ...], tuple[int, ...]], list[float]]:
    table = [rules.support, rules.confidence, rules.lift, rules.leverage, rules.conviction, rules.p]
    return {
        (tuple(rules.left[row].tolist()), tuple(rules.right[row].tolist())): [float(column[row]) for column in table]
        for row in range(len(rules))
    }


@settings(max_examples=200)
@given(contents, supports)
def test_itemsets_are_those_of_counting_one_by_one(rows: list[set[int]], support: float) -> None:
    found = frequent_itemsets(baskets_of(rows), N_ITEMS, support, N_ITEMS)
    listed = {
        tuple(items): int(count)
        for level in found.levels
        for items, count in zip(level.sets.tolist(), level.counts, strict=True)
    }
    counted = {items: holding(rows, items) for items in every_set(N_ITEMS)}
    assert listed == {items: n for items, n in counted.items() if n >= 1 and n / len(rows) >= support - 1e-12}
    assert len(found) == len(listed)


@settings(max_examples=200)
@given(contents, supports, st.sampled_from([0.0, 0.3, 0.7]), st.sampled_from([0.0, 1.0, 1.5]), st.integers(1, 3))
def test_rules_are_those_of_counting_one_by_one(
    rows: list[set[int]], support: float, confidence: float, lift: float, right: int
) -> None:
    own = AssociationSettings(
        support=support, confidence=confidence, lift=lift, longest=5, right=right, false_discoveries=1.0
    )
    rules = mined(baskets_of(rows), N_ITEMS, own)
    found, counted = as_found(rules), by_hand(rows, own)
    assert found.keys() == counted.keys()
    assert len(rules) == len(counted)
    for rule, values in counted.items():
        np.testing.assert_allclose(found[rule], values, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 60), st.data())
def test_fisher_is_the_sum_of_the_tail(total: int, data: st.DataObject) -> None:
    left, right = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    both = data.draw(st.integers(max(0, left + right - total), min(left, right)))
    tail = sum(comb(left, x) * comb(total - left, right - x) for x in range(both, min(left, right) + 1))
    np.testing.assert_allclose(fisher_greater([both], [left], [right], total), [tail / comb(total, right)], rtol=1e-9)


def test_false_discoveries_are_counted_over_everything_that_was_tried() -> None:
    p = [0.01, 0.02, 0.03, 0.5]
    np.testing.assert_allclose(benjamini_hochberg(p), [0.04, 0.04, 0.04, 0.5])
    np.testing.assert_allclose(benjamini_hochberg(p, tests=40), [0.4, 0.4, 0.4, 1.0])


def test_chance_makes_no_rules() -> None:
    random = np.random.default_rng(0)
    rows = [set(np.flatnonzero(random.random(60) < 0.1).tolist()) | {60} for _ in range(800)]
    loose = AssociationSettings(support=0.005, confidence=0.0, false_discoveries=1.0)
    assert len(mined(baskets_of(rows), 61, loose)) > 1_000
    assert len(mined(baskets_of(rows), 61, loose.model_copy(update={"false_discoveries": 0.05}))) == 0


def test_a_planted_rule_is_found_and_stands_first() -> None:
    random = np.random.default_rng(1)
    rows = [set(np.flatnonzero(random.random(60) < 0.1).tolist()) | {60} for _ in range(800)]
    for row in rows[:80]:
        row |= {3, 7, 11}
    rules = mined(baskets_of(rows), 61, AssociationSettings(support=0.02, confidence=0.3))
    best = rules.best("leverage", 3)
    assert {*best.left.values.tolist(), *best.right.values.tolist()} == {3, 7, 11}
    assert rules.about(3).records([str(item) for item in range(61)])[0]["p"] < 1e-10
    assert 60 not in rules.right.values
    with pytest.raises(UsageError, match="lift, confidence"):
        rules.best("beauty", 3)


def test_too_many_candidates_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itemsets, "MOST", 10)
    rows = [set(range(N_ITEMS)) for _ in range(3)]
    with pytest.raises(UsageError, match="larger support"):
        frequent_itemsets(baskets_of(rows), N_ITEMS, 0.5, 3)


def test_support_is_a_share_of_baskets_whatever_rounding_does() -> None:
    assert [least_count(0.1, 30), least_count(0.1, 31), least_count(0.001, 30), least_count(1.0, 30)] == [3, 4, 1, 30]


def test_baskets_are_what_was_bought_on_one_invoice() -> None:
    dataset = invoices()
    baskets = Baskets.of(dataset)
    named = [
        (dataset.user_ids.names[user], dataset.item_ids.externals(baskets.contents[row].tolist()))
        for row, user in enumerate(baskets.users)
    ]
    assert sorted(named) == [
        ("ann", ["bread"]),
        ("ann", ["bread", "butter"]),
        ("bob", ["milk", "tea"]),
        ("bob", ["tea"]),
    ]

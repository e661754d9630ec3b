"""Who sees what: GrowthBook's published cases, and the laws that dealing keeps."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.experiments.assignment import (
    Allocation,
    Holdout,
    Namespace,
    RampStep,
    Switchback,
    coverage_at,
    deal,
    switched,
)
from palate.experiments.hashing import bucket, bucket_ranges, choose, equal_weights, in_namespace
from tests.conftest import shared_data


@cache
def cases(group: str) -> list[Any]:
    found: list[Any] = json.loads((shared_data("experiment-cases") / "growthbook-cases.json").read_text())[group]
    assert found
    return found


def test_hash() -> None:
    for seed, value, version, expected in cases("hash"):
        assert bucket(seed, value, version) == expected


def test_bucket_ranges() -> None:
    for name, (n, coverage, weights), expected in cases("getBucketRange"):
        assert np.allclose(bucket_ranges(n, coverage, weights), expected, atol=1e-9), name


def test_choose_variation() -> None:
    for name, place, ranges, expected in cases("chooseVariation"):
        assert choose(place, [tuple(span) for span in ranges]) == expected, name


def test_in_namespace() -> None:
    for name, value, (space, low, high), expected in cases("inNamespace"):
        assert in_namespace(value, space, (low, high)) is expected, name


def test_equal_weights() -> None:
    for n, expected in cases("getEqualWeights"):
        assert equal_weights(n) == pytest.approx(expected, abs=1e-8)


def test_sticky_buckets() -> None:
    for name, context, documents, feature, expected, kept in cases("stickyBucket"):
        rule = context["features"][feature]["rules"][0]
        known = context["attributes"]
        assert all(known[key] == wanted for key, wanted in rule.get("condition", {}).items()), "all cases are targeted"
        variations = rule["variations"]
        allocation = Allocation(
            key=rule.get("key", feature),
            arms=tuple(meta["key"] for meta in rule.get("meta", [{"key": str(n)} for n in range(len(variations))])),
            weights=tuple(rule["weights"]) if "weights" in rule else None,
            seed=rule.get("seed", ""),
            attribute=rule.get("hashAttribute", "id"),
            fallback=rule.get("fallbackAttribute"),
            hash_version=rule.get("hashVersion", 1),
            version=rule.get("bucketVersion", 0),
            least_version=rule.get("minBucketVersion", 0),
            sticky=not rule.get("disableStickyBucketing", False),
            coverage=rule.get("coverage", 1.0),
        )
        before = {(one["attributeName"], one["attributeValue"]): one["assignments"] for one in documents}
        dealt = deal(allocation, known, before)
        # What is kept is what was known of this unit's identities, and where it was put now.
        after = {key: dict(value) for key, value in before.items() if known.get(key[0]) == key[1]}
        if dealt is not None and allocation.sticky:
            after.setdefault(dealt.identity, {})[allocation.slot()] = allocation.arms[dealt.arm]
        told = None
        if dealt is not None:
            told = {
                "bucket": dealt.bucket,
                "hashAttribute": dealt.identity[0],
                "hashValue": dealt.identity[1],
                "key": allocation.arms[dealt.arm],
                "stickyBucketUsed": dealt.remembered,
                "value": variations[dealt.arm],
                "variationId": dealt.arm,
            }
        assert told == (None if expected is None else {key: expected[key] for key in told or {}}), name
        assert after == {(one["attributeName"], one["attributeValue"]): one["assignments"] for one in kept.values()}, (
            name
        )


PEOPLE = [f"user-{number}" for number in range(20_000)]


def arms_of(allocation: Allocation, people: list[str] = PEOPLE) -> list[int]:
    return [-1 if (one := deal(allocation, {"user": name})) is None else one.arm for name in people]


def test_shares_are_those_of_the_weights() -> None:
    counts = Counter(arms_of(Allocation("exp", ("a", "b", "c"), (0.5, 0.3, 0.2))))
    for arm, weight in enumerate((0.5, 0.3, 0.2)):
        spread = (weight * (1 - weight) / len(PEOPLE)) ** 0.5
        assert abs(counts[arm] / len(PEOPLE) - weight) < 4 * spread


def test_experiments_are_independent_of_each_other() -> None:
    one, other = arms_of(Allocation("exp-1", ("a", "b"))), arms_of(Allocation("exp-2", ("a", "b")))
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / len(PEOPLE) ** 0.5


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_ramp_only_adds_people(person: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    before = deal(Allocation("ramp", ("a", "b", "c"), (0.2, 0.5, 0.3), coverage=low), {"user": person})
    after = deal(Allocation("ramp", ("a", "b", "c"), (0.2, 0.5, 0.3), coverage=high), {"user": person})
    assert before is None or before == after


@given(st.text(min_size=1), st.floats(0.01, 0.99))
def test_parts_of_a_namespace_share_nobody_and_miss_nobody(person: str, cut: float) -> None:
    first = Allocation("one", ("a", "b"), namespace=Namespace(name="lists", high=cut))
    second = Allocation("two", ("a", "b"), namespace=Namespace(name="lists", low=cut))
    assert (deal(first, {"user": person}) is None) != (deal(second, {"user": person}) is None)


def test_the_held_out_are_the_same_people_everywhere() -> None:
    holdout = Holdout(name="2026", share=0.1)
    one = arms_of(Allocation("one", ("a", "b"), holdout=holdout))
    other = arms_of(Allocation("two", ("a", "b", "c"), holdout=holdout))
    left = [arm < 0 for arm in one]
    assert left == [arm < 0 for arm in other]
    assert abs(np.mean(left) - 0.1) < 0.01
    # Being held out is no matter of the arm one would have been in.
    assert abs(Counter(one)[0] / Counter(one)[1] - 1) < 0.06


@given(st.text(min_size=1), st.text(min_size=1))
def test_who_signs_in_stays_in_their_arm(visitor: str, user: str) -> None:
    allocation = Allocation("exp", ("a", "b", "c"), fallback="visitor")
    first = deal(allocation, {"visitor": visitor})
    assert first is not None
    assert first.identity == ("visitor", visitor)
    remembered = {first.identity: {allocation.slot(): allocation.arms[first.arm]}}
    later = deal(allocation, {"visitor": visitor, "user": user}, remembered)
    assert later is not None
    assert (later.arm, later.identity, later.remembered) == (first.arm, ("user", user), True)


def test_nobody_in_particular_takes_no_part() -> None:
    assert deal(Allocation("exp", ("a", "b")), {}) is None
    assert deal(Allocation("exp", ("a", "b")), {"user": ""}) is None
    assert deal(Allocation("exp", ("a", "b"), fallback="visitor", sticky=False), {"visitor": "v"}) is None


def test_ramp_by_day() -> None:
    ramp = (RampStep(day=0, coverage=0.1), RampStep(day=3, coverage=1.0))
    assert [coverage_at(ramp, day) for day in (0.0, 2.9, 3.0, 40.0)] == [0.1, 0.1, 1.0, 1.0]
    assert coverage_at((), 0.0) == 1.0
    assert coverage_at((RampStep(day=1, coverage=1.0),), 0.5) == 0.0


@given(st.text(min_size=1), st.integers(2, 4), st.integers(0, 500), st.floats(0.5, 100))
def test_in_each_block_an_item_has_each_arm_once(item: str, n: int, block: int, hours: float) -> None:
    allocation, back = Allocation("price", tuple("abcd"[:n])), Switchback(hours=hours)
    length = hours * 3_600
    middles = [(block * n + place + 0.5) * length for place in range(n)]
    found = [switched(allocation, back, item, 1e9 + when, 1e9) for when in middles]
    assert sorted(one.arm for one in found if one is not None) == list(range(n))
    assert len({one.unit for one in found if one is not None}) == n
    for one, when in zip(found, middles, strict=True):
        assert one is not None
        assert one.begins <= 1e9 + when < one.ends


def test_switchback_by_weights_washout_and_start() -> None:
    allocation = Allocation("price", ("a", "b"), (0.8, 0.2))
    back = Switchback(hours=24, washout_hours=2)
    found = [
        switched(allocation, back, f"i{item}", 1e9 + 86_400 * day + 3 * 3_600, 1e9)
        for item in range(40)
        for day in range(40)
    ]
    assert abs(np.mean([one.arm == 0 for one in found if one]) - 0.8) < 0.05
    assert all(one.counts for one in found if one)
    early = switched(allocation, back, "i1", 1e9 + 3_600, 1e9)
    assert early is not None
    assert not early.counts
    assert switched(allocation, back, "i1", 1e9 - 1, 1e9) is None


def test_what_holds_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="holds nobody"):
        Namespace(name="lists", low=0.5, high=0.5)
    with pytest.raises(ValueError, match="leaves nothing"):
        Switchback(hours=2, washout_hours=2)


def test_ids_in_any_script_fall_evenly() -> None:
    places = [bucket("exp", f"用户{number}😀") for number in range(5_000)]
    counts = np.histogram(np.array(places, dtype=float), bins=10, range=(0, 1))[0]
    assert ((counts - 500) ** 2 / 500).sum() < 33  # chi-squared of 9 degrees, 1 in 10,000

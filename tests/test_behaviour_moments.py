"""Moments: what somebody did as the language model reads it, each clause once, a new event for itself alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.behaviour.moments import (
    NUMBERS,
    UNTOLD,
    MomentReader,
    MomentSettings,
    Told,
    calendar,
    numbers_of,
    week_parts,
    when_text,
)
from palate.core import Histories
from palate.language import CachedEncoder
from palate.testing import FakeEncoder, small_shop

FRIDAY_EVENING = 1_764_961_200.0
"""2025-12-05 19:00 UTC, which is Saturday morning in Shanghai."""

KINDS = ("view", "purchase")
TITLES = ["steel pan", "rose shears", "tent pegs"]


def told(items: list[int], kinds: list[int], times: list[float], places: tuple[str, ...] | None = None) -> Told:
    plain = Histories.of([items], [times])
    own = Histories(plain.indptr, plain.items, plain.times, np.array(kinds, np.int8), plain.weights)
    unknown = np.full(len(items), np.nan, np.float32)
    return Told(own, unknown, unknown, unknown, places)


def test_a_moment_is_told_in_words_of_kind_item_time_and_place() -> None:
    reader = MomentReader(FakeEncoder(), TITLES, KINDS)
    moments = reader.read(told([0], [1], [FRIDAY_EVENING], ("Berlin",)))
    assert moments.texts == ("bought steel pan", "on a working-day evening in winter, in Berlin")
    chinese = MomentReader(FakeEncoder(), TITLES, KINDS, MomentSettings(language="zh", zone="Asia/Shanghai"))
    assert chinese.read(told([0], [0], [FRIDAY_EVENING], ("柏林",))).texts == (
        "浏览了steel pan的页面",
        "冬天的周末夜里，在柏林",
    )


def test_each_clause_is_read_once() -> None:
    encoder = FakeEncoder()
    reader = MomentReader(encoder, TITLES, KINDS)
    moments = reader.read(told([0, 0, 1, 0], [0, 0, 0, 1], [FRIDAY_EVENING + 60 * n for n in range(4)]))
    assert len(encoder.encoded) == len(set(encoder.encoded)) == 4
    assert moments.what[0] == moments.what[1] != moments.what[3]
    assert len(set(moments.when)) == 1
    assert moments.matrix.shape == (4, 2 * encoder.dimension)
    assert np.array_equal(moments.matrix[2], np.concatenate(encoder.encode(["viewed rose shears", moments.texts[-1]])))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.floats(0, 1e6)), min_size=2, max_size=12), st.data())
def test_a_new_event_costs_itself_alone(events: list[tuple[int, int, float]], data: st.DataObject) -> None:
    items, kinds = [own[0] for own in events], [own[1] for own in events]
    times = (FRIDAY_EVENING + np.cumsum([own[2] for own in events])).tolist()
    cut = data.draw(st.integers(0, len(events)))
    whole_encoder, encoder = FakeEncoder(), FakeEncoder()
    whole = MomentReader(whole_encoder, TITLES, KINDS).read(told(items, kinds, times))
    reader = MomentReader(encoder, TITLES, KINDS)
    first = reader.read(told(items[:cut], kinds[:cut], times[:cut]))
    before = len(encoder.encoded)
    grown = reader.extended(first, told(items, kinds, times), len(events) - cut)
    assert np.array_equal(grown.matrix, whole.matrix)
    assert np.array_equal(grown.numbers, whole.numbers, equal_nan=True)
    assert set(encoder.encoded[before:]) == set(whole.texts) - set(first.texts)


def test_what_is_remembered_is_not_read_again() -> None:
    inner = FakeEncoder()
    reader = MomentReader(CachedEncoder(inner), TITLES, KINDS)
    reader.read(told([0, 1], [0, 0], [0.0, 60.0]))
    read = len(inner.encoded)
    reader.read(told([1, 0], [0, 0], [90.0, 120.0]))
    assert len(inner.encoded) == read


def test_numbers_tell_gap_clock_and_what_was_paid() -> None:
    plain = Histories.of([[0, 1], [2]], [[3600.0, 7200.0], [np.nan]])
    price, dwell = np.array([np.e, np.nan, 0.0], np.float32), np.array([0.0, np.nan, np.e - 1], np.float32)
    numbers = numbers_of(Told(plain, price, dwell, np.array([5.0, np.nan, np.nan], np.float32)))
    column = dict(zip(NUMBERS, numbers.T, strict=True))
    assert np.allclose(column["gap"], [np.nan, np.log(2), np.nan], equal_nan=True)
    assert np.allclose(column["price"], [1.0, np.nan, np.nan], equal_nan=True)
    assert np.allclose(column["dwell"], [0.0, np.nan, 1.0], equal_nan=True)
    assert np.allclose(column["hour_sin"][:2], np.sin(2 * np.pi * np.array([1, 2]) / 24))
    assert np.isnan(column["season_cos"][2])


def test_an_unknown_time_or_item_says_nothing() -> None:
    reader = MomentReader(FakeEncoder(), TITLES, KINDS)
    moments = reader.read(told([7, 0], [0, 0], [np.nan, np.nan]))
    assert moments.texts == ("viewed steel pan",)
    assert moments.when.tolist() == [UNTOLD, UNTOLD]
    assert moments.what[0] == UNTOLD
    assert not moments.matrix[0].any()


def test_parts_of_week_and_year_are_those_of_the_wall_clock() -> None:
    times = np.array([FRIDAY_EVENING, np.nan])
    here, there = week_parts(times), week_parts(times, "Asia/Shanghai")
    assert when_text(int(here[0]), "") == "on a working-day evening in winter"
    assert when_text(int(there[0]), "") == "on a weekend night in winter"
    assert here[1] == -1
    assert len({when_text(part, "") for part in range(32)}) == 32
    assert np.isnan(calendar(times)[1]).all()


def test_a_dataset_tells_all_it_knows() -> None:
    dataset = small_shop()
    moments = MomentReader.for_dataset(FakeEncoder(), dataset).read(Told.of_dataset(dataset))
    assert len(moments) == len(dataset.sequences.items)
    rated = moments.numbers[:, NUMBERS.index("value")]
    assert rated.min() >= 1
    assert moments.take(slice(0, 3)).matrix.shape[0] == 3
    assert any(text.startswith("bought 不锈钢锅") for text in moments.texts)


@pytest.mark.parametrize("zone", ["Mars/Olympus"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    from palate.core import UsageError

    with pytest.raises(UsageError, match="time zone"):
        week_parts(np.array([0.0]), zone)

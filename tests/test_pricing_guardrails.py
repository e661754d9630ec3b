"""The guard-rails hold for any proposal over any data, and say what they changed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from palate.core import Float64Array
from palate.pricing.guardrails import AT_LIST, Clip, GuardSettings, Rails, bounds_of, guard, names_of

NOW = 1.8e9
anything = st.one_of(
    st.floats(0.01, 5_000.0),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -3.0, 1e12, 1e-9, 0.005]),
)
money = st.floats(0.5, 5_000.0).map(lambda value: round(value, 2))
shares = st.floats(0.0, 0.6)


@st.composite
def settings_of(draw: st.DrawFn) -> GuardSettings:
    return GuardSettings(
        lowest=draw(st.floats(0.3, 1.0)),
        highest=draw(st.floats(1.0, 1.6)),
        least_margin=draw(st.floats(0.0, 0.5)),
        step=draw(shares),
        parity=draw(shares),
        ending=draw(st.sampled_from(["none", ".99", ".90", "integer"])),
        session_seconds=600.0,
        cool_down_seconds=60.0,
        kill=draw(st.integers(0, 9)) == 0,
    )


@st.composite
def rails_of(draw: st.DrawFn, n: int = 6) -> Rails:
    def column(values: st.SearchStrategy[float]) -> Float64Array:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)))

    mostly = st.one_of(money, money, anything)
    return Rails(
        list_price=column(mostly),
        cost=column(st.one_of(st.just(0.0), st.floats(0.1, 50.0), anything)),
        floor=column(st.one_of(st.just(math.nan), st.just(math.nan), anything)),
        ceiling=column(st.one_of(st.just(math.nan), st.just(math.nan), anything)),
        highest=column(st.sampled_from([1.0, 1.2, 0.5, math.nan])),
        parity=column(shares),
        shown_price=column(st.one_of(st.just(math.nan), mostly)),
        shown_at=column(st.floats(NOW - 100.0, NOW + 100.0)),
        hold=column(st.sampled_from([0.0, 50.0])),
        public_price=column(st.one_of(st.just(math.nan), mostly)),
        public_at=column(st.floats(NOW - 100.0, NOW + 100.0)),
        public_hold=column(st.sampled_from([0.0, 50.0])),
        usable=np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) | (np.arange(n) > 0),
        same_currency=np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) | (np.arange(n) > 0),
        now=NOW,
    )


def one(**changes: Any) -> Rails:
    """One item at 100.00 that costs 40.00 and was never shown."""
    nan = np.array([np.nan])
    rails = Rails(
        list_price=np.array([100.0]),
        cost=np.array([40.0]),
        floor=nan,
        ceiling=nan,
        highest=nan,
        parity=np.array([0.1]),
        shown_price=nan,
        shown_at=nan,
        hold=np.array([60.0]),
        public_price=nan,
        public_at=nan,
        public_hold=nan,
        usable=np.array([True]),
        same_currency=np.array([True]),
        now=NOW,
    )
    arrays: dict[str, Any] = {name: np.array([value]) for name, value in changes.items()}
    return replace(rails, **arrays)


def priced(proposed: float, rails: Rails, stranger: float | None = None, **settings: Any) -> tuple[float, set[str]]:
    reference = None if stranger is None else np.array([stranger])
    done = guard(np.array([proposed]), rails, GuardSettings(**settings), reference)
    return float(done.price[0]), set(names_of(int(done.clips[0])))


@given(rails=rails_of(), settings=settings_of(), proposed=st.lists(anything, min_size=6, max_size=6), data=st.data())
def test_no_price_leaves_its_bounds(rails: Rails, settings: GuardSettings, proposed: list[float], data: Any) -> None:
    strangers = data.draw(st.none() | st.lists(anything, min_size=6, max_size=6))
    reference = None if strangers is None else np.array(strangers)
    done = guard(np.array(proposed), rails, settings, reference)
    for row in range(6):
        price, listed, clips = float(done.price[row]), float(rails.list_price[row]), int(done.clips[row])
        sensible = 0.005 < listed <= 1e9
        if not sensible:
            assert math.isnan(price)
            continue
        assert price > 0 and abs(price * 100 - round(price * 100)) < 1e-6
        rounded = round(listed * 100) / 100
        if clips & int(AT_LIST):
            assert price == pytest.approx(rounded, abs=0.011)
            continue
        # The law of the thing, written down a second time and without the vectors.
        assert rails.usable[row] and rails.same_currency[row] and not settings.kill
        assert 0 <= rails.cost[row] <= listed + 0.01
        assert price >= rails.cost[row] * (1 + settings.least_margin) - 1e-6
        assert price >= rounded * settings.lowest - 1e-6
        assert price <= rounded * settings.highest + 1e-6
        if not math.isnan(rails.highest[row]):
            assert price <= rounded * max(rails.highest[row], 1.0) + 1e-6
        if not math.isnan(rails.floor[row]):
            assert price >= rails.floor[row] - 1e-6
        if not math.isnan(rails.ceiling[row]):
            assert price <= rails.ceiling[row] + 1e-6


@given(rails=rails_of(), settings=settings_of(), proposed=st.lists(anything, min_size=6, max_size=6))
def test_each_price_is_its_own(rails: Rails, settings: GuardSettings, proposed: list[float]) -> None:
    """n prices at once are n times one price, and asking twice gives the same to the bit."""
    together = guard(np.array(proposed), rails, settings)
    again = guard(np.array(proposed), rails, settings)
    assert together.price.tobytes() == again.price.tobytes()
    for row in range(6):
        picked = {name: getattr(rails, name)[row : row + 1] for name in Rails.__dataclass_fields__ if name != "now"}
        alone = guard(np.array(proposed[row : row + 1]), Rails(**picked, now=NOW), settings)
        np.testing.assert_array_equal(alone.price, together.price[row : row + 1])
        assert alone.clips[0] == together.clips[row]


@given(
    proposed=st.floats(1.0, 300.0), shown=st.floats(70.0, 100.0), step=shares, ending=st.sampled_from(["none", ".99"])
)
def test_a_price_moves_by_one_step_at_most(proposed: float, shown: float, step: float, ending: str) -> None:
    shown = round(shown, 2)
    price, _ = priced(proposed, one(shown_price=shown, shown_at=NOW - 100.0), step=step, ending=ending)
    assert abs(price - shown) <= shown * step + 1e-6


@given(proposed=st.floats(1.0, 300.0), stranger=st.floats(1.0, 300.0), parity=shares)
def test_people_pay_alike_within_parity(proposed: float, stranger: float, parity: float) -> None:
    price, _ = priced(proposed, one(parity=parity), stranger)
    # A stranger's own price: the same proposal, no person.
    public, _ = priced(stranger, one(parity=parity))
    assert abs(price - public) <= public * parity + 0.01


@given(one_wish=st.floats(1.0, 300.0), other=st.floats(1.0, 300.0), stranger=st.floats(1.0, 300.0))
def test_no_two_people_are_further_apart_than_twice_the_parity(one_wish: float, other: float, stranger: float) -> None:
    prices = [priced(wish, one(parity=0.05), stranger)[0] for wish in (one_wish, other)]
    assert abs(prices[0] - prices[1]) <= 2 * 0.05 * 100.0 + 0.02


def test_a_wish_inside_everything_is_granted() -> None:
    assert priced(88.5, one()) == (88.5, set())


@pytest.mark.parametrize(
    ("changes", "settings", "proposed", "price", "clip"),
    [
        ({"floor": 90.0}, {}, 80.0, 90.0, "floor"),
        ({"ceiling": 110.0}, {"highest": 1.5}, 130.0, 110.0, "ceiling"),
        ({"cost": 80.0}, {"least_margin": 0.1}, 80.0, 88.0, "cost"),
        ({}, {}, 10.0, 70.0, "list_low"),
        ({}, {"highest": 1.2}, 150.0, 120.0, "list_high"),
        ({"highest": 1.0}, {"highest": 1.2}, 150.0, 100.0, "list_high"),
        ({"shown_price": 95.0, "shown_at": NOW - 100.0}, {}, 70.0, 85.5, "step"),
        ({}, {"ending": ".99"}, 88.2, 87.99, "ending"),
        ({}, {"ending": ".99"}, 88.7, 88.99, "ending"),
        ({}, {"ending": ".90"}, 88.5, 88.9, "ending"),
        ({}, {"ending": "integer"}, 88.4, 88.0, "ending"),
        ({"shown_price": 95.0, "shown_at": NOW - 10.0}, {}, 70.0, 95.0, "held"),
        ({}, {}, math.nan, 100.0, "unknown"),
        ({}, {}, -5.0, 100.0, "unknown"),
        ({}, {}, 1e15, 100.0, "unknown"),
        ({"cost": math.nan}, {}, 80.0, 100.0, "unknown"),
        ({"cost": -1.0}, {}, 80.0, 100.0, "unknown"),
        ({"usable": False}, {}, 80.0, 100.0, "unknown"),
        ({"cost": 130.0}, {}, 80.0, 100.0, "conflict"),
        ({"floor": 120.0}, {}, 80.0, 100.0, "conflict"),
        ({"floor": 95.0, "ceiling": 90.0}, {}, 80.0, 100.0, "conflict"),
        ({"ceiling": -1.0}, {}, 80.0, 100.0, "conflict"),
        ({"same_currency": False}, {}, 80.0, 100.0, "currency"),
        ({}, {"kill": True}, 80.0, 100.0, "killed"),
    ],
)
def test_each_rule_does_what_it_says(
    changes: dict[str, float], settings: dict[str, Any], proposed: float, price: float, clip: str
) -> None:
    got, clips = priced(proposed, one(**changes), **settings)
    assert got == pytest.approx(price, abs=1e-9)
    assert clip in clips


@pytest.mark.parametrize("listed", [math.nan, 0.0, -10.0, math.inf, 1e12])
def test_without_a_list_price_there_is_none(listed: float) -> None:
    price, clips = priced(80.0, one(list_price=listed))
    assert math.isnan(price) and clips >= {"unknown"}


def test_an_ending_that_leaves_the_bounds_is_not_given() -> None:
    assert priced(88.2, one(floor=88.1, ceiling=101.0), ending=".99")[0] == 88.99
    narrow = one(floor=88.1, shown_price=88.3, shown_at=NOW - 99.0)
    assert priced(88.2, narrow, ending=".99", step=0.001) == (88.22, {"step"})
    assert priced(100.0, one(), ending=".99") == (100.0, set()), "the list price keeps its own ending"


def test_a_clock_that_goes_back_keeps_the_price_and_says_so() -> None:
    assert priced(70.0, one(shown_price=95.0, shown_at=NOW + 50.0)) == (95.0, {"held", "clock"})


def test_a_price_is_not_held_outside_its_bounds() -> None:
    price, clips = priced(80.0, one(shown_price=60.0, shown_at=NOW - 1.0))
    assert price == 70.0 and "held" not in clips


def test_a_held_price_yields_to_parity() -> None:
    price, clips = priced(95.0, one(shown_price=99.0, shown_at=NOW - 1.0, parity=0.05), 80.0)
    assert price == pytest.approx(84.0) and "held" not in clips


def test_money_without_decimals() -> None:
    assert priced(88.4, one(), minor_digits=0)[0] == 88.0
    with pytest.raises(ValidationError, match=r"cannot end in \.99 with 0 decimals"):
        GuardSettings(ending=".99", minor_digits=0)


@pytest.mark.parametrize(
    "wrong", [{"lowest": 1.1}, {"lowest": 0.0}, {"highest": 0.9}, {"step": -0.1}, {"segments": {"vip": 3.0}}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GuardSettings(**wrong)


def test_bounds_are_told_in_minor_units() -> None:
    bounds = bounds_of(one(floor=75.005), GuardSettings())
    assert (bounds.low[0], bounds.high[0]) == (7_501.0, 10_000.0)
    assert names_of(int(bounds.low_clips[0])) == ("floor",)


def test_every_clip_has_a_name() -> None:
    assert names_of(sum(Clip)) == tuple(str(clip.name).lower() for clip in Clip)

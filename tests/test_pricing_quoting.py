"""A quote as a whole: the law of the place, consent, refusals, what is held, what is told."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from palate.core import UsageError
from palate.pricing.asking import Question, Quote
from palate.pricing.beliefs import Believed
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.explaining import explained
from palate.pricing.guardrails import GuardSettings
from palate.pricing.packs import PROTECTED
from palate.pricing.refusals import Refusals
from palate.pricing.shown import DAY, Lows
from palate.privacy import Vault
from tests.pricing_desk import FREE, Open, ann, clock, line, open_shop, personal, vault
from tests.pricing_world import Clock, Drawn, Nearest

__all__ = ["ann", "clock", "open_shop", "vault"]

NEW_YORK = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA"


def test_a_quote_says_everything(open_shop: Open, clock: Clock, ann: str) -> None:
    quote = open_shop().quote(
        Question(("i91", "nothing"), ann, told={"loyalty": 0.5}, jurisdiction="us-ny", consent=True)
    )
    assert quote.decision_id.startswith("q_") and quote.at == clock.now and quote.valid_until == clock.now + 900
    assert (quote.jurisdiction, quote.pack, quote.degraded) == ("US-NY", "us-ny", False)
    first, second = quote.lines
    assert first.price is not None and 70.7 <= first.price < 101.0
    assert (first.list_price, first.low, first.high, first.currency) == (101.0, 70.7, 101.0, "EUR")
    assert first.personal and first.disclosure == quote.disclosure == NEW_YORK
    assert (second.price, second.list_price, second.clips) == (None, None, ("unknown",))


def test_off_unless_configured(open_shop: Open) -> None:
    with pytest.raises(UsageError, match="enabled = true"):
        open_shop(enabled=False)


def test_personal_inputs_need_a_person_consent_and_no_refusal(open_shop: Open, ann: str) -> None:
    quoter = open_shop()
    public = line(quoter, jurisdiction="US-NY").price
    own = personal(quoter, ann)
    assert own.personal and own.price != public
    for question in (
        {"consent": False}, {"person": ""},
    ):  # fmt: skip
        person = question.pop("person", ann)
        without = personal(quoter, person, **question)  # type: ignore[arg-type]
        assert (without.price, without.personal, without.disclosure) == (public, False, "")
    quoter.refuse(ann)
    refused = personal(quoter, ann)
    assert (refused.price, refused.personal) == (public, False)
    quoter.refuse(ann, False)
    assert personal(quoter, ann).price == own.price


def test_a_refusal_outlives_the_process_and_is_in_the_log(open_shop: Open, ann: str) -> None:
    first = open_shop()
    first.refuse(ann)
    first.close()
    second = open_shop()
    assert not personal(second, ann).personal
    told = [row.body for row in second.log.log.events_of(ann)]
    assert {"about": "prices", "refused": True} in told


def test_who_cannot_be_asked_has_not_agreed(tmp_path: Path) -> None:
    refusals = Refusals(tmp_path / "refused.sqlite")
    assert "p_ann" not in refusals
    refusals.close()
    assert "p_ann" in refusals


def test_devices_never_count(open_shop: Open, ann: str) -> None:
    quoter = open_shop()
    plain = personal(quoter, ann)
    quote = quoter.quote(
        Question(("i91",), ann, told={"loyalty": 0.5, "device_price": 3.0}, jurisdiction="CN", consent=True)
    )
    assert quote.lines[0].price == plain.price
    assert "cn" in quote.left_out["device_price"]


def test_maryland_keeps_personal_data_out_of_food(open_shop: Open, ann: str) -> None:
    quoter = open_shop()
    tea, phone = (personal(quoter, ann, item, jurisdiction="US-MD") for item in ("i90", "i91"))
    assert phone.personal and phone.disclosure
    assert not tea.personal and tea.price == line(quoter, "i90", jurisdiction="US-MD").price


def test_a_personal_price_from_elsewhere_is_not_held_where_it_is_banned(open_shop: Open, ann: str) -> None:
    held = GuardSettings(parity=1.0)
    quoter = open_shop(Nearest(pull=-0.02), guard=held)
    before = personal(quoter, ann, "i90", session="s")
    assert before.personal
    after = personal(quoter, ann, "i90", session="s", jurisdiction="US-MD")
    assert not after.personal and after.price != before.price


def test_nobody_pays_more_than_the_list_price_for_who_they_are(open_shop: Open, ann: str) -> None:
    quoter = open_shop(Nearest(share=1.3, pull=1.0), guard=FREE.model_copy(update={"highest": 2.0}))
    assert personal(quoter, ann, jurisdiction="DE").price == 101.0
    assert line(quoter, jurisdiction="DE").price == pytest.approx(131.3, rel=0.02), "everybody alike may, there"
    assert line(quoter, jurisdiction="US-NY").price == 101.0
    assert line(quoter).price == 101.0, "the neutral pack knows discounts only"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(sorted(PROTECTED)), min_size=1, max_size=4),
    values=st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4),
    place=st.sampled_from(["CN", "DE", "US-NY", "US-MD", "US-CT", ""]),
    loyalty=st.floats(0.0, 1.0),
)
def test_flipping_a_protected_attribute_changes_nothing(
    open_shop: Open, ann: str, *, names: list[str], values: list[float], place: str, loyalty: float
) -> None:
    quoter = open_shop()
    told = {"loyalty": loyalty}
    flipped = {**told, **dict(zip(names, values, strict=False))}
    answers = [
        quoter.quote(Question(("i91", "i90"), ann, told=inputs, jurisdiction=place, consent=True))
        for inputs in (told, flipped)
    ]
    assert answers[0].lines == answers[1].lines
    assert all("protected" in answers[1].left_out[name] for name in names)
    quoter.log.log.flush()
    row = quoter.log.log.find("price", answers[1].decision_id)
    assert row is not None and not any(name in str(row.personal) for name in names), "nor is it written down"


def test_protected_attributes_cannot_be_configured_either() -> None:
    with pytest.raises(ValidationError, match="protected attribute"):
        Input(name="gender")
    with pytest.raises(ValidationError, match="protected attribute"):
        PricingSettings(guard=GuardSettings(segments={"veterans_gender": 0.1}))


def test_a_price_is_held_in_a_session_and_cools_down(open_shop: Open, clock: Clock) -> None:
    quoter = open_shop(Drawn(), guard=GuardSettings(session_seconds=600, cool_down_seconds=100, step=0.05))
    first = line(quoter, session="s")
    for _ in range(5):
        clock.now += 19
        assert line(quoter, session="s").price == first.price
        assert line(quoter).price == first.price, "everybody sees the price of now"
    clock.now += 10
    moved = {line(quoter, f"i{number}").price for number in (91,)}
    assert line(quoter, session="s").price == first.price, "the session keeps what it saw"
    clock.now += 600
    prices = [first.price, moved.pop()]
    for _ in range(30):
        clock.now += 101
        prices.append(line(quoter).price)
    assert len(set(prices)) > 5
    steps = [abs(after - before) / before for before, after in pairwise(prices) if before and after]
    assert max(steps) <= 0.05 + 1e-4


def test_the_same_question_gets_the_same_quote_while_it_is_good(open_shop: Open, clock: Clock, ann: str) -> None:
    quoter = open_shop(Drawn(), guard=GuardSettings(cool_down_seconds=100))
    question = Question(("i91",), ann, told={"loyalty": 0.5}, jurisdiction="US-NY", consent=True)
    first = quoter.quote(question)
    clock.now += 99
    assert quoter.quote(question) is first
    other = quoter.quote(Question(("i91",), ann, told={"loyalty": 0.6}, jurisdiction="US-NY", consent=True))
    assert other.decision_id != first.decision_id
    quoter.refuse(ann)
    assert not quoter.quote(question).lines[0].personal, "a refusal ends it"
    quoter.refuse(ann, False)
    clock.now += 1
    assert quoter.quote(question).decision_id != first.decision_id, "its time is over"
    quoter.log.log.flush()
    assert sum(1 for _ in quoter.log.decisions()) == 4


def test_nothing_is_given_again_where_that_is_switched_off(open_shop: Open) -> None:
    quoter = open_shop(Drawn(), guard=GuardSettings(), remembered_quotes=0)
    assert quoter.quote(Question(("i91",))).decision_id != quoter.quote(Question(("i91",))).decision_id


def test_a_restart_moves_no_price(open_shop: Open, clock: Clock, ann: str) -> None:
    guard = GuardSettings(cool_down_seconds=1_000)
    first = open_shop(Drawn(), guard=guard)
    items = [f"i{number}" for number in range(40)]
    before = [line(first, item).price for item in items]
    own = personal(first, ann, "i77")
    first.close()
    clock.now += 500
    second = open_shop(Drawn(), guard=guard)
    assert [line(second, item).price for item in items] == before
    again = personal(second, ann, "i77")
    assert (again.price, again.personal, again.clips) == (own.price, own.personal, ("held",))


_ASKS = st.lists(
    st.tuples(st.sampled_from(["", "ann", "bob"]), st.sampled_from(["i77", "i91"]), st.floats(0.0, 90.0)),
    min_size=2,
    max_size=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asks=_ASKS, parity=st.floats(0.0, 0.3))
def test_gambling_moves_no_held_price_and_nobody_pays_otherwise_than_parity_allows(
    open_shop: Open, vault: Vault, clock: Clock, asks: list[tuple[str, str, float]], parity: float
) -> None:
    clock.now += 10 * DAY  # what was held for an example before is long forgotten
    guard = GuardSettings(cool_down_seconds=1_500, session_seconds=0, parity=parity)
    quoter = open_shop(Drawn(), guard=guard, remembered_quotes=0)
    paid: dict[tuple[str, str], float] = {}
    for who, item, pause in asks:
        clock.now += pause
        own = personal(quoter, vault.pseudonym(who), item) if who else line(quoter, item)
        assert own.price is not None
        assert paid.setdefault((who, item), own.price) == own.price
    for (who, item), price in paid.items():
        public = line(quoter, item).price
        assert public is not None
        assert abs(price - public) <= public * parity + 0.01, who


_VISITS = st.lists(
    st.tuples(st.sampled_from(["", "ann", "bob"]), st.sampled_from(["i77", "i91"]), st.floats(0.0, 1_500.0)),
    min_size=2,
    max_size=16,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(visits=_VISITS, parity=st.floats(0.0, 0.3), cool_down=st.sampled_from([0.0, 700.0, 1_800.0]))
def test_a_session_keeps_its_price_when_that_of_strangers_moves_on(
    open_shop: Open,
    vault: Vault,
    clock: Clock,
    *,
    visits: list[tuple[str, str, float]],
    parity: float,
    cool_down: float,
) -> None:
    clock.now += 10 * DAY
    guard = GuardSettings(cool_down_seconds=cool_down, session_seconds=1_800, parity=parity)
    quoter = open_shop(Drawn(), guard=guard, remembered_quotes=0, inputs=(Input(name="loyalty"),))
    made: dict[tuple[str, str], tuple[float, float]] = {}
    for who, item, pause in visits:
        clock.now += pause
        if not who:
            line(quoter, item)
            continue
        quote = quoter.quote(
            Question((item,), vault.pseudonym(who), told={"loyalty": 0.5}, session=f"{who} {clock.now // DAY}",
                     jurisdiction="US-NY", consent=True)
        )  # fmt: skip
        price = quote.lines[0].price
        decision = quoter.log.find(quote.decision_id)
        assert price is not None and decision is not None and quoter.repeated(decision)[1].same
        public = float(decision.outcome.public[0])
        assert abs(price - public) <= public * parity + 0.01
        before, since = made.get((who, item), (price, clock.now))
        if clock.now - since < 1_800 and since // DAY == clock.now // DAY:
            assert price == before
        made[who, item] = (price, since if price == before else clock.now)


def test_a_clock_that_goes_back_moves_no_price_and_recovers(open_shop: Open, clock: Clock) -> None:
    quoter = open_shop(Drawn(), guard=GuardSettings(cool_down_seconds=100))
    first = line(quoter)
    clock.now -= 5 * DAY
    back = line(quoter)
    assert back.price == first.price and back.clips == ("held", "clock")
    clock.now += 60
    assert line(quoter).price == first.price
    clock.now += 101
    assert "held" not in line(quoter).clips


def test_withdrawn_consent_ends_a_personal_price_at_once(open_shop: Open, ann: str) -> None:
    quoter = open_shop(guard=GuardSettings(parity=1.0))
    own = personal(quoter, ann, session="s")
    assert own.personal
    after = personal(quoter, ann, session="s", consent=False)
    assert not after.personal and after.disclosure == "" and after.price != own.price


def test_a_price_that_a_session_holds_is_nobody_elses(open_shop: Open, vault: Vault, ann: str) -> None:
    quoter = open_shop(guard=GuardSettings(parity=1.0, cool_down_seconds=0), remembered_quotes=0)
    here: dict[str, Any] = {"consent": True, "jurisdiction": "US-NY"}
    own = personal(quoter, ann, session="s")
    again = line(quoter, person=ann, session="s", **here)
    assert (again.price, again.personal) == (own.price, True), "held, though nothing was told this time"
    other = line(quoter, person=vault.pseudonym("bob"), **here)
    assert not other.personal and other.price == line(quoter).price != own.price


def test_strangers_bound_what_a_person_pays(open_shop: Open, ann: str) -> None:
    narrow = FREE.model_copy(update={"parity": 0.02, "segments": {"members": 0.06}})
    quoter = open_shop(Nearest(share=0.95, pull=-0.4), guard=narrow, inputs=(Input(name="loyalty"),))
    public = line(quoter).price
    assert public is not None
    own = personal(quoter, ann, loyalty=1.0)
    member = personal(quoter, ann, loyalty=1.0, segment="members")
    assert own.price == pytest.approx(public * 0.98, abs=0.011) and "parity" in own.clips
    assert member.price == pytest.approx(public * 0.94, abs=0.011)


def test_europe_shows_the_lowest_price_of_the_days_before(open_shop: Open, clock: Clock) -> None:
    policy = Nearest(share=0.8, pull=0.0)
    quoter = open_shop(policy)
    assert line(quoter, jurisdiction="DE").lowest_before == 101.0, "the list price, so far"
    assert line(quoter, jurisdiction="US-NY").lowest_before is None
    clock.now += DAY
    quoter.change(Believed(Nearest(share=0.9, pull=0.0), "m2"))
    told = line(quoter, jurisdiction="FR")
    assert told.lowest_before == pytest.approx(80.8, abs=0.01) and told.price == pytest.approx(90.9, abs=0.01)
    quoter.change(Believed(Nearest(share=1.0, pull=0.0), "m3"))
    assert line(quoter, jurisdiction="FR").lowest_before is None, "no discount, nothing due"
    clock.now += 31 * DAY
    quoter.change(Believed(Nearest(share=0.9, pull=0.0), "m2"))
    assert line(quoter, jurisdiction="FR").lowest_before == 101.0


def test_the_lowest_price_is_that_of_all_shown() -> None:
    lows, generator = Lows(30), np.random.default_rng(0)
    shown: list[tuple[int, int, float]] = []
    for day in range(100):
        for _ in range(3):
            item, price = int(generator.integers(0, 5)), float(generator.integers(1, 100))
            shown.append((day, item, price))
            lows.note(np.array([item], dtype=np.int32), np.array([price]), (1_000 + day) * DAY + 5.0)
        asked = lows.lowest(np.arange(-1, 5, dtype=np.int32), (1_000 + day) * DAY + 9.0, 30)
        assert math.isnan(asked[0])
        for item in range(5):
            before = [price for then, what, price in shown if what == item and day - 30 <= then < day]
            assert asked[item + 1] == min(before) if before else math.isnan(asked[item + 1])


def test_the_kill_switch_is_for_everybody_at_once(open_shop: Open, ann: str) -> None:
    quoter = open_shop()
    assert personal(quoter, ann).price != 101.0
    killed = quoter.settings.model_copy(update={"guard": FREE.model_copy(update={"kill": True})})
    quoter.change(Believed(Nearest(), "m1"), killed)
    after = personal(quoter, ann)
    assert (after.price, after.personal, after.disclosure, after.clips) == (101.0, False, "", ("killed",))


def test_what_cannot_be_recorded_is_not_priced(open_shop: Open, ann: str) -> None:
    quoter = open_shop()
    quoter.log.log.failure = "the disk is full"
    quote = quoter.quote(Question(("i91", "x"), ann, told={"loyalty": 0.5}, jurisdiction="US-NY", consent=True))
    assert quote.degraded and quote.decision_id == "" and quote.disclosure == ""
    assert [each.price for each in quote.lines] == [101.0, None]


def test_the_engine_is_asked_only_where_it_may_be(open_shop: Open, ann: str) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def score(user: str, items: Any) -> list[float]:
        asked.append((user, tuple(items)))
        return [1.0] * len(items)

    quoter = open_shop(score=score, inputs=(Input(name="score", source="score"),))
    line(quoter, person=ann, user="ann")
    assert asked == []
    own = line(quoter, person=ann, user="ann", consent=True)
    assert asked == [("ann", ("i91",))] and own.personal


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_decision_is_explained_in_words(open_shop: Open, ann: str, language: str) -> None:
    quoter = open_shop(Nearest(share=0.95, pull=-0.4), guard=FREE.model_copy(update={"parity": 0.02}))
    quote: Quote = quoter.quote(
        Question(("i91", "zz"), ann, told={"loyalty": 1.0}, jurisdiction="CN", consent=True, language=language)
    )
    decision = quoter.log.find(quote.decision_id)
    assert decision is not None
    then, repeated = quoter.repeated(decision)
    answer = explained(decision, then, repeated, quoter.packs.of("CN"), language)
    first, second = answer["prices"]
    assert answer["repeats"] and answer["policy"] == "nearest" and answer["law"]["id"] == "cn"
    assert first["price"] == quote.lines[0].price and first["clips"] == ["parity"]
    assert first["without_personal_data"] == line(quoter).price
    assert {each["name"]: each["value"] for each in first["inputs"]}["loyalty"] == 1.0
    words = ("个人信息", "标价") if language == "zh" else ("Personal data entered it: loyalty", "below the list price")
    assert all(word in first["text"] for word in words)
    assert second["price"] is None and second["text"]

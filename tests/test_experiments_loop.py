"""The loop that closes: conclusions are served, harm is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palate.core import UsageError
from palate.data.event_log import Entry
from palate.experiments.definition import Policy
from palate.experiments.loop import Elsewhere, Loop
from palate.experiments.store import DAY
from tests.experiment_world import START, World, declared, world

ALIKE = {"today": 0.3, "novel": 0.3}
BETTER = {"today": 0.2, "novel": 0.45}
CONTENT = {"today": 4.0, "novel": 4.0}
ANNOYED = {"today": 4.2, "novel": 3.0}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as own:
        yield own


def running(shop: World, name: str = "novel", **changes: Any) -> None:
    shop.store.declare(declared(name, **changes))
    shop.store.start(name)


def test_a_winner_is_put_in_force_and_watched(shop: World) -> None:
    running(shop, decides="itself")
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    (said,) = shop.loop.turn()
    assert "novel has won" in said
    record = shop.store.of("novel")
    assert (record.state, record.winner) == ("concluded", "novel")
    policy = shop.store.policy
    assert policy.parameters == record.experiment.arm("novel").parameters
    assert (policy.experiment, policy.arm) == ("novel", "novel")
    assert shop.served.policies == [policy]
    watch = shop.store.of("novel.after")
    assert watch.state == "running"
    assert [(arm.name, round(arm.weight, 2)) for arm in watch.experiment.arms] == [("before", 0.05), ("after", 0.95)]
    assert {metric.role for metric in watch.experiment.plan.metrics} == {"guard-rail"}


def test_a_breach_afterwards_switches_back(shop: World) -> None:
    running(shop, decides="itself", hold_back=0.3)
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    shop.loop.turn()
    assert shop.store.policy.experiment == "novel"
    shop.people_come("novel.after", 1_500, {"before": 0.3, "after": 0.3}, {"before": 4.2, "after": 3.2}, seed=1)
    shop.pass_days(1)
    said = shop.loop.turn()
    assert "guard-rail broke" in said[0]
    assert "in force again" in said[1]
    assert shop.store.of("novel.after").state == "stopped"
    assert shop.store.policy == Policy()
    assert shop.served.policies[-1] == Policy()
    assert [step.by for _, step in shop.store.policies] == ["palate", "palate"]
    shop.pass_days(1)
    assert shop.loop.turn() == []


def test_without_a_breach_the_watch_ends_and_the_winner_stays(shop: World) -> None:
    running(shop, decides="itself", hold_back=0.3)
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    shop.loop.turn()
    shop.people_come("novel.after", 1_000, {"before": 0.2, "after": 0.4}, {"before": 4.0, "after": 4.0}, seed=1)
    shop.pass_days(29)
    (said,) = shop.loop.turn()
    assert "days are over" in said
    assert shop.store.policy.experiment == "novel"
    assert shop.store.running() == ()


def test_a_new_experiment_takes_the_place_of_a_watch(shop: World) -> None:
    running(shop, decides="itself")
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    shop.loop.turn()
    running(shop, "next")
    assert shop.store.of("novel.after").state == "stopped"
    assert shop.store.of("next").in_force == shop.store.policy.parameters
    assert shop.store.of("next").parameters("today") == shop.store.policy.parameters


def test_harm_stops_an_experiment_by_itself(shop: World) -> None:
    running(shop)
    shop.people_come("novel", 1_200, BETTER, ANNOYED)
    shop.pass_days(1)
    (said,) = shop.loop.turn()
    assert "guard-rail broke in novel" in said
    assert shop.store.of("novel").state == "stopped"
    assert shop.served.policies == []
    conclusion = shop.loop.conclude("novel")
    assert not conclusion.switched
    assert shop.store.policy == Policy()


@pytest.mark.parametrize("design", ["fixed", "group-sequential"])
def test_harm_is_seen_between_looks(shop: World, design: str) -> None:
    running(shop, plan={"design": design, "planned_units": 100_000})
    shop.people_come("novel", 1_200, ALIKE, ANNOYED)
    shop.pass_days(1)
    assert "guard-rail broke" in shop.loop.turn()[0]
    assert shop.store.of("novel").seen == ()  # no goal was looked at


def test_satisfaction_must_have_been_measured(shop: World) -> None:
    running(shop, plan={"metrics": ["conversion"]}, decides="itself")
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    (said,) = shop.loop.turn()
    assert "not measured" in said
    assert shop.store.of("novel").winner == "novel"
    assert shop.store.policy == Policy()


def test_a_better_arm_that_people_like_less_is_not_served(shop: World) -> None:
    watched = {"metrics": ["conversion", {"name": "satisfaction", "role": "watched"}]}
    running(shop, plan=watched, decides="itself")
    shop.people_come("novel", 1_200, BETTER, ANNOYED)
    shop.pass_days(1)
    (said,) = shop.loop.turn()
    assert "less content" in said
    assert shop.store.policy == Policy()


def test_what_cannot_be_served_is_not(shop: World) -> None:
    running(shop, decides="itself")
    shop.served.refusal = "there is no model of that name"
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    assert "no model of that name" in shop.loop.turn()[0]
    assert shop.store.policy == Policy()


def test_people_decide_where_they_said_so(shop: World) -> None:
    running(shop)
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    assert shop.loop.turn() == []
    assert shop.store.of("novel").seen[-1].report["decision"] == "ship"
    with pytest.raises(UsageError, match="no arm 'worst'"):
        shop.loop.conclude("novel", "worst")
    assert shop.loop.conclude("novel", by="ann").switched
    assert shop.store.policies[-1][1].by == "ann"
    with pytest.raises(UsageError, match="is concluded"):
        shop.loop.conclude("novel")


def test_what_the_data_does_not_show_is_chosen_only_outright(shop: World) -> None:
    running(shop, hold_back=0.0)
    shop.people_come("novel", 400, ALIKE, CONTENT)
    shop.pass_days(1)
    with pytest.raises(UsageError, match="does not show that 'novel' is better"):
        shop.loop.conclude("novel", "novel")
    assert shop.store.of("novel").state == "running"
    assert shop.loop.conclude("novel", "novel", even_so=True).switched
    assert [record.name for record in shop.store.all()] == ["novel"]


def test_keeping_the_control_switches_nothing(shop: World) -> None:
    running(shop)
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    conclusion = shop.loop.conclude("novel", "today")
    assert (conclusion.winner, conclusion.switched) == ("", False)


def test_zero_exposures(shop: World) -> None:
    running(shop)
    report = shop.loop.look("novel")
    assert (report.open, report.decision) == (False, "refused")
    assert "Nobody has been exposed" in report.words()[0]
    with pytest.raises(UsageError, match=r"nobody was exposed.*Stop it instead"):
        shop.loop.conclude("novel")
    shop.pass_days(30)
    assert "days are over" in shop.loop.turn()[0]
    assert shop.store.of("novel").state == "stopped"


def test_a_mismatch_closes_the_gate(shop: World) -> None:
    running(shop, decides="itself")
    for number in range(600):
        shop.exposures.expose("novel", f"p_{number}", "today" if number % 3 else "novel")
    shop.pass_days(1)
    assert shop.loop.turn() == []
    report = shop.store.of("novel").seen[-1].report
    assert (report["open"], report["decision"], report["compared"]) == (False, "refused", [])
    assert "Sample-ratio mismatch" in report["words"]["en"][0]
    assert "样本比例失衡" in report["words"]["zh"][0]


def test_units_that_change_arms_close_the_gate(shop: World) -> None:
    running(shop)
    for number in range(600):
        for arm in ("today", "novel") if number % 10 == 0 else (("today", "novel")[number % 2],):
            shop.exposures.expose("novel", f"p_{number}", arm)
    assert "seen in more than one arm" in " ".join(shop.loop.look("novel").words())


def test_looks_come_when_they_are_due(shop: World) -> None:
    running(shop, look_hours=24.0)
    shop.people_come("novel", 300, ALIKE, CONTENT)
    shop.loop.turn()
    assert len(shop.store.of("novel").seen) == 1
    shop.pass_days(0.5)
    shop.loop.turn()
    assert len(shop.store.of("novel").seen) == 1
    shop.pass_days(0.5)
    shop.loop.turn()
    assert len(shop.store.of("novel").seen) == 2


def test_a_group_sequential_plan_is_looked_at_as_planned(shop: World) -> None:
    running(shop, looks=4, plan={"design": "group-sequential", "planned_units": 1_600})
    shop.people_come("novel", 300, ALIKE, CONTENT)
    shop.pass_days(1)
    shop.loop.turn()
    with pytest.raises(UsageError, match="spoil its error rate"):
        shop.loop.look("novel")
    shop.people_come("novel", 600, ALIKE, CONTENT, seed=1)
    shop.pass_days(1)
    shop.loop.turn()
    shop.loop.turn()
    assert [seen.look.units for seen in shop.store.of("novel").seen] == [900]


def test_impressions_are_answers(shop: World) -> None:
    running(shop, plan={"metrics": ["click_through"]})
    for number in range(300):
        arm = ("today", "novel")[number % 2]
        shop.exposures.expose("novel", f"p_{number}", arm)
        shop.now += 1
        shop.events.record(Entry("answer", f"r_{number}", f"p_{number}", {"items": ["i1", "i2", "i3", "i4"]}))
        if number % 4 < 2:
            body = {"kind": "click", "item_id": "i1", "timestamp": shop.now + 1}
            shop.events.record(Entry("event", f"e_{number}", f"p_{number}", body))
    shop.pass_days(1)
    own = shop.loop.look("novel").of("click_through", "novel")
    assert own.treated.estimate == pytest.approx(0.5, abs=0.01)


def test_prices_by_item_and_time(shop: World) -> None:
    arms = [{"name": "list"}, {"name": "bandit", "parameters": {"pricing": "thompson"}}]
    back = {"hours": 24, "washout_hours": 6}
    plan = {"metrics": ["revenue"], "planned_units": 1_000}
    running(shop, "prices", unit="item-time", switchback=back, arms=arms, plan=plan)
    for item in range(60):
        for day in range(10):
            arm = ("list", "bandit")[(item + day) % 2]
            shop.now = START + day * DAY + 7 * 3_600
            shop.exposures.expose("prices", f"i{item}|{day}", arm)
            for hour, price in ((1, 1_000.0), (8, 12.0 if arm == "bandit" else 10.0)):
                body = {"kind": "purchase", "item_id": f"i{item}", "timestamp": START + day * DAY + hour * 3_600}
                shop.events.record(
                    Entry("event", f"e{item}-{day}-{hour}", f"p_{item}", {**body, "price": price + item / 100})
                )
    shop.now = START + 11 * DAY
    own = shop.loop.look("prices").of("revenue", "bandit")
    # What was sold during the washout, at a thousand, is nobody's outcome.
    assert own.difference.estimate == pytest.approx(2.0, abs=0.05)
    assert own.verdict == "better"


def test_a_process_that_serves_nothing_leaves_it_to_the_journal(shop: World) -> None:
    running(shop)
    shop.people_come("novel", 1_200, BETTER, CONTENT)
    shop.pass_days(1)
    loop = Loop(shop.store, shop.exposures, shop.events, Elsewhere())
    assert loop.conclude("novel").switched
    assert shop.store.policy.arm == "novel"
    assert shop.served.policies == []


def test_one_experiment_that_cannot_be_read_does_not_keep_others_from_being_watched(shop: World) -> None:
    half = {"name": "lists", "low": 0.0, "high": 0.5}
    other = {"name": "lists", "low": 0.5, "high": 1.0}
    running(shop, "first", namespace=half)
    running(shop, "second", namespace=other)
    shop.exposures.expose("first", "p_1", "today")
    shop.exposures.expose("second", "p_2", "today")
    shop.pass_days(1)
    shop.exposures.expose("first", "p_9", "no such arm")
    (said,) = shop.loop.turn()
    assert said.startswith("first was not attended to: exposures to 'no such arm'")
    assert len(shop.store.of("second").seen) == 1

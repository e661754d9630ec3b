"""Verdicts: what is compared, in every design; guard-rails; words; a real experiment."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest

from palate.core import UsageError
from palate.experiments.analysis import analyse
from palate.experiments.findings import Report
from palate.experiments.metrics import DAY, Metric, conversion, revenue
from palate.experiments.plan import Design, Look, Plan
from tests.analysis_world import START, look, plan, units
from tests.conftest import shared_data


def test_what_is_not_a_number_is_not_judged_and_the_rest_is() -> None:
    table = units(4_000, lift=1.0).with_columns(
        pl.when(pl.int_range(pl.len()) == 7)
        .then(math.nan)
        .otherwise(1.0 * (pl.int_range(pl.len()) % 3))
        .alias("visits")
    )
    own = plan(Metric(name="visits"), Metric(name="spend"), Metric(name="gone", role="guard-rail"))
    report = look(own, table)
    assert report.of("spend", "B").verdict == "better"
    assert report.of("visits", "B").verdict == "unmeasured"
    assert any("1 of 4000 units" in line for line in report.words())
    gone = report.of("gone", "B")
    assert gone.guard is not None
    assert gone.guard.state == "unmeasured"
    assert any("没有 gone 列" in line for line in report.words("zh"))


def test_purchases_without_a_price_leave_revenue_unjudged() -> None:
    table = units(600).select("unit", "arm", "time")
    events = table.select(
        pl.col("unit").alias("user_id"), pl.col("time").alias("timestamp"), pl.lit("purchase").alias("kind")
    ).with_columns(pl.when(pl.int_range(pl.len()) % 100 == 0).then(None).otherwise(2.5).alias("price"))
    report = analyse(plan(revenue(), conversion()), table, events, now=START + 10 * DAY)
    reason = report.of("revenue", "B").reason
    assert reason is not None
    assert (reason.code, reason.values["count"]) == ("not numbers", 6)
    assert report.of("conversion", "B").reason is not None, "everybody bought: all alike"


def test_few_units_are_not_compared() -> None:
    report = look(plan(min_units=100), units(150, lift=50.0))
    reason = report.of("spend", "B").reason
    assert reason is not None
    assert reason.code == "too few"
    assert report.decision == "continue"


def test_a_ratio_over_nothing_has_no_value_yet() -> None:
    table = units(400).with_columns(pl.lit(0.0).alias("ctr"), pl.lit(0.0).alias("ctr over"))
    reason = look(plan(Metric(name="ctr", statistic="ratio")), table).of("ctr", "B").reason
    assert reason is not None
    assert reason.code == "no value"


@pytest.mark.parametrize("design", ["always-valid", "group-sequential", "fixed"])
def test_a_lift_wins_and_a_loss_loses_in_every_design(design: Design) -> None:
    more, less = Metric(name="spend"), Metric(name="spend", better="lower")
    for lift, metric, verdict, decision in (
        (0.5, more, "better", "ship"),
        (0.5, less, "worse", "keep"),
        (-0.5, less, "better", "ship"),
        (0.0, more, "no difference shown", "inconclusive"),
    ):
        own = plan(metric, design=design)
        report = look(own, units(10_000, lift, seed=1))
        assert (report.of("spend", "B").verdict, report.decision) == (verdict, decision)
        assert (report.of("spend", "B").repeated is not None) == (design == "group-sequential")
        assert report.winner == ("B" if decision == "ship" else None)


def test_a_fixed_design_says_nothing_before_its_end() -> None:
    early = look(plan(design="fixed"), units(4_000, 1.0))
    assert early.of("spend", "B").p < 1e-6
    assert (early.of("spend", "B").p_design, early.decision) == (1.0, "continue")
    assert look(plan(design="fixed"), units(4_000, 1.0), final=True).decision == "ship"


def test_the_intervals_hold_one_another() -> None:
    own = look(plan(design="group-sequential"), units(10_000, 0.2, seed=2)).of("spend", "B")
    assert own.repeated is not None
    for narrow, wide in (
        (own.difference, own.repeated),
        (own.repeated, own.always_valid),
        (own.relative, own.relative_always_valid),
    ):
        assert wide.low <= narrow.low < narrow.estimate < narrow.high <= wide.high
    ratio = (own.always_valid.high - own.always_valid.low) / (own.difference.high - own.difference.low)
    assert ratio <= 1.6
    assert own.treated.estimate - own.baseline.estimate == pytest.approx(own.difference.estimate)


def test_what_was_decided_stays_decided() -> None:
    own = plan()
    early = look(own, units(6_000, 1.0))
    assert early.of("spend", "B").verdict == "better"
    later = look(own, units(8_000, 0.0, seed=9), earlier=[early.look])
    assert later.of("spend", "B").verdict == "better"
    assert later.of("spend", "B").p_design == early.of("spend", "B").p_design


@pytest.mark.parametrize("design", ["always-valid", "group-sequential"])
def test_whole_experiments_without_an_effect_are_seldom_called(design: Design) -> None:
    """From exposures to verdicts, five looks each; 30 experiments would call four or five naively."""
    called = 0
    own = plan(Metric(name="spend"), planned_units=1_000, design=design)
    for seed in range(30):
        table = units(1_000, 0.0, seed=seed)
        looks: list[Look] = []
        for day in (2, 4, 6, 8, 10):
            now = START + day * DAY
            report = analyse(own, table.filter(pl.col("time") <= now), now=now, earlier=looks)
            looks.append(report.look)
        called += report.of("spend", "B").verdict != "no difference shown"
    assert called <= 5, "more than 5 of 30 happen three times in a thousand at 5 %"


def test_looks_over_time_know_those_before_them() -> None:
    table = units(2_000).select("unit", "arm", "time")
    rng = np.random.default_rng(6)
    events = table.filter(pl.Series(rng.random(2_000) < 0.2)).select(
        pl.col("unit").alias("user_id"), (pl.col("time") + 60).alias("timestamp"), pl.lit("purchase").alias("kind")
    )
    own = plan(conversion(), planned_units=2_000, design="group-sequential")
    times = [START + day * DAY for day in range(1, 11)]
    reports: list[Report] = []
    for time in times:
        looks = [report.look for report in reports]
        reports.append(analyse(own, table.filter(pl.col("time") <= time), events, now=time, earlier=looks))
    assert [report.look.units for report in reports] == [200 * day + 1 for day in range(1, 10)] + [2_000]
    widths = [own.high - own.low for own in (report.of("conversion", "B").difference for report in reports)]
    assert widths[-1] < widths[0]
    alone = analyse(own, table, events, now=times[-1])
    with_past = reports[-1].of("conversion", "B").repeated
    assert with_past is not None
    assert alone.of("conversion", "B").repeated is not None
    assert with_past.high - with_past.low > widths[-1], "looks before have spent some of the error"
    # A look that sees nobody new spends nothing and changes nothing.
    idle = analyse(
        own, table, events, now=times[-1] + 1, earlier=[report.look for report in reports[:-1]] + [reports[-1].look]
    )
    assert idle.of("conversion", "B").p_design == reports[-1].of("conversion", "B").p_design


def test_a_guard_rail_stops_the_arm_that_breaks_it_for_good() -> None:
    own = plan(
        Metric(name="spend"), Metric(name="pace", role="guard-rail", margin=0.02), shares={"A": 1, "B": 1, "C": 1}
    )
    rng = np.random.default_rng(7)
    arms = np.array(["A", "B", "C"])[np.arange(9_000) % 3]
    table = pl.DataFrame(
        {
            "unit": np.arange(9_000).astype(str),
            "arm": arms,
            "time": START,
            "spend": rng.normal(5.0, 1.0, 9_000) + 0.5 * (arms != "A"),
            "pace": rng.normal(10.0, 1.0, 9_000) - 1.0 * (arms == "B"),
        }
    )
    report = look(own, table)
    assert report.stop == ("B",)
    guard = report.of("pace", "B").guard
    assert guard is not None
    assert guard.state == "broken"
    kept = report.of("pace", "C").guard
    assert kept is not None
    assert kept.state == "holds"
    assert (report.decision, report.winner) == ("ship", "C")
    healed = look(own, table.with_columns(pl.lit(10.0).alias("pace") + pl.col("spend") * 0.01), earlier=[report.look])
    assert healed.stop == ("B",)
    assert any("B has to stop" in line for line in report.words())
    assert any("B 必须停止" in line for line in report.words("zh"))


def test_guard_rails_may_be_read_alone_between_the_looks_of_the_goals() -> None:
    own = plan(Metric(name="spend"), Metric(name="pace", role="guard-rail"), design="group-sequential")
    table = units(4_000, 1.0).with_columns((pl.col("spend") - 2.0 * (pl.col("arm") == "B")).alias("pace"))
    fine = look(own, table.with_columns(pl.col("spend").alias("pace")), guards_only=True)
    assert ([one.metric for one in fine.compared], fine.decision) == (["pace"], "continue")
    broken = look(own, table, guards_only=True, earlier=[fine.look])
    assert (broken.stop, broken.decision) == (("B",), "stop")
    assert set(broken.look.seen) == {"pace/B"}, "the goal's error is not spent"
    assert look(own, table, earlier=[fine.look, broken.look]).stop == ("B",)


def test_harm_within_the_margin_is_put_up_with_and_proof_may_be_asked_for() -> None:
    table = units(10_000, 0.6, seed=8).with_columns(
        (20.0 + 0.2 * pl.col("spend") - 0.2 * (pl.col("arm") == "B")).alias("wait")
    )
    strict, lenient = (
        look(plan(Metric(name="spend"), Metric(name="wait", better="lower", role="guard-rail", margin=margin)), table)
        for margin in (0.0, 0.05)
    )
    for report in (strict, lenient):
        assert report.stop == ()
    slow = table.with_columns(pl.col("wait") + 0.4 * (pl.col("arm") == "B"))
    assert look(plan(Metric(name="wait", better="lower", role="guard-rail", margin=0.0)), slow).decision == "stop"
    assert look(plan(Metric(name="wait", better="lower", role="guard-rail", margin=0.05)), slow).stop == ()
    unsure = table.with_columns(pl.Series("wait", np.random.default_rng(1).normal(1.0, 9.0, 10_000)))
    guarded = Metric(name="wait", better="lower", role="guard-rail", margin=0.01)
    assert look(plan(Metric(name="spend"), guarded), unsure).decision == "ship"
    assert look(plan(Metric(name="spend"), guarded, safety_first=True), unsure).winner is None


def test_a_report_is_plain_values_and_speaks_two_languages() -> None:
    report = look(
        plan(Metric(name="spend"), Metric(name="conversion", role="guard-rail")),
        units(4_000).with_columns((pl.col("spend") > 7).cast(pl.Float64).alias("conversion")),
    )
    assert dataclasses.asdict(report)["compared"][0]["metric"] == "spend"
    english, chinese = report.words(), report.words("zh")
    assert len(english) == len(chinese) == 5
    assert "转化率" in chinese[2]
    assert all(line.isascii() for line in english)
    with pytest.raises(UsageError, match="'fr'"):
        report.words("fr")


def test_the_email_experiment_is_reproduced() -> None:
    """Hillstrom's arms: visit rates .183, .151 and .106, and both lifts with their intervals."""
    table = (
        pl.read_parquet(shared_data("hillstrom") / "customers.parquet")
        .with_row_index("unit")
        .rename({"segment": "arm"})
    )
    control, mens, womens = arms = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
    own = Plan(
        control=control,
        shares=dict.fromkeys(arms, 1.0),
        metrics=(Metric(name="visit"), Metric(name="spend")),
        planned_units=64_000,
    )
    report = analyse(own, table.with_columns(pl.lit(START).alias("time")), now=START, final=True)
    assert report.mismatch.p_once > 0.5
    first, second = report.of("visit", mens), report.of("visit", womens)
    assert round(first.treated.estimate, 3) == 0.183
    assert round(second.treated.estimate, 3) == 0.151
    assert round(first.baseline.estimate, 3) == 0.106
    for compared, lift in ((first, 0.0766), (second, 0.0452)):
        assert compared.difference.estimate == pytest.approx(lift, abs=5e-5)
        assert compared.difference.low == pytest.approx(lift - 0.0065, abs=4e-4)
        assert compared.always_valid.low > 0
        assert compared.verdict == "better"
    assert (report.decision, report.winner) == ("ship", mens)

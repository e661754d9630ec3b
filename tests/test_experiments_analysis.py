"""From exposures and events to verdicts: metrics, covariates, gates, guard-rails, segments, words."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from palate.core import DataError, UsageError
from palate.data import Dataset
from palate.data.event_log import Entry, EventLog
from palate.experiments.analysis import analyse, analyse_over_time
from palate.experiments.discovery import corrected
from palate.experiments.findings import Report
from palate.experiments.metrics import (
    DAY,
    Measure,
    Metric,
    click_through,
    conversion,
    measured,
    retention,
    revenue,
    satisfaction,
)
from palate.experiments.outcomes import events_of, events_of_log
from palate.experiments.plan import Look, Plan
from palate.experiments.segments import segmented
from palate.experiments.variance import estimates
from palate.privacy import Vault
from tests.conftest import shared_data

START = 1_700_000_000.0
USUAL = (click_through(), conversion(), retention(), revenue(), satisfaction())


def plan(*metrics: Metric, **changes: Any) -> Plan:
    own: dict[str, Any] = {
        "control": "A",
        "shares": {"A": 1, "B": 1},
        "metrics": metrics or (Metric(name="spend"),),
        "planned_units": 10_000,
    }
    return Plan(**own | changes)


def units(n: int, lift: float = 0.0, seed: int = 0, base: float = 5.0) -> pl.DataFrame:
    """A table of units that arrive evenly over ten days, every second in B."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    before = rng.gamma(2.0, 1.0, n)
    return pl.DataFrame(
        {
            "unit": np.arange(n).astype(str),
            "arm": np.where(arm == 1, "B", "A"),
            "time": START + np.arange(n) / n * 10 * DAY,
            "spend": base + before + rng.normal(size=n) + lift * arm,
            "spend before": before,
        }
    )


def look(own: Plan, table: pl.DataFrame, **options: Any) -> Report:
    return analyse(own, table, now=START + 10 * DAY, **options)


# Metrics


def happened(rows: list[tuple[str, float, str, float | None, float | None]]) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows,
        schema={"user_id": pl.String, "day": pl.Float64, "kind": pl.String, "price": pl.Float64, "value": pl.Float64},
        orient="row",
    )
    return frame.with_columns((START + pl.col("day") * DAY).alias("timestamp"))


def test_metrics_count_what_came_after_exposure_and_covariates_what_came_before() -> None:
    first = pl.DataFrame({"unit": ["u", "v", "w"], "arm": ["A", "B", "B"], "time": [START, START, START + 12 * DAY]})
    events = happened(
        [
            ("u", -1.0, "purchase", 7.0, None),
            ("u", -40.0, "purchase", 9.0, None),  # too long ago
            ("u", 0.0, "impression", None, None),
            ("u", 0.1, "impression", None, None),
            ("u", 0.2, "click", None, None),
            ("u", 3.0, "purchase", 5.0, None),
            ("u", 4.0, "return", 2.0, None),
            ("u", 5.0, "rating", None, 4.0),
            ("v", 8.0, "view", None, None),
            ("v", 21.0, "purchase", 50.0, None),  # after the look
            ("stranger", 1.0, "purchase", 99.0, None),
        ]
    )
    table = measured(USUAL, first, events, now=START + 20 * DAY).sort("unit")
    assert table["click_through"].to_list() == [1.0, 0.0, 0.0]
    assert table["click_through over"].to_list() == [2.0, 0.0, 0.0]
    assert table["conversion"].to_list() == [1.0, 0.0, 0.0]
    assert table["conversion before"].to_list() == [1.0, 0.0, 0.0]
    assert table["revenue"].to_list() == [3.0, 0.0, 0.0]
    assert table["revenue before"].to_list() == [7.0, 0.0, 0.0]
    # Two weeks have not passed for w, so that it is not known whether it came back.
    assert table["retention"].to_list() == [0.0, 1.0, None]
    assert table["satisfaction"].to_list() == [4.0, 0.0, 0.0]
    assert table["satisfaction over"].to_list() == [1.0, 0.0, 0.0]


def test_quantity_multiplies_and_windows_close() -> None:
    first = pl.DataFrame({"unit": ["u"], "arm": ["A"], "time": [START]})
    events = happened([("u", 1.0, "purchase", 5.0, None), ("u", 6.0, "purchase", 5.0, None)])
    events = events.with_columns(pl.Series("quantity", [3.0, None]))
    table = measured(
        (revenue(), conversion(5.0), revenue(5.0).model_copy(update={"name": "early"})),
        first,
        events,
        now=START + 9 * DAY,
    )
    assert table["revenue"].to_list() == [20.0]
    assert table["early"].to_list() == [15.0]


def test_events_that_cannot_be_used_are_refused_in_words() -> None:
    first = pl.DataFrame({"unit": ["u"], "arm": ["A"], "time": [START]})
    events = happened([("u", 1.0, "purchase", 5.0, None), ("u", 2.0, "purchase", 5.0, None)])
    with pytest.raises(DataError, match="no column price"):
        measured((revenue(),), first, events.drop("price"), now=START + DAY)
    with pytest.raises(DataError, match="EUR, USD"):
        measured((revenue(),), first, events.with_columns(pl.Series("currency", ["USD", "EUR"])), now=START + DAY)
    with pytest.raises(UsageError, match="how events become numbers"):
        measured((Metric(name="visit"),), first, events, now=START + DAY)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Measure(after=3.0, until=3.0),
        lambda: Metric(name="m", denominator=Measure()),
        lambda: Metric(name="m", statistic="ratio", numerator=Measure()),
        lambda: plan(control="C"),
        lambda: plan(shares={"A": 1}),
        lambda: plan(shares={"A": 1, "B": 0}),
        lambda: plan(conversion(), conversion()),
        lambda: plan(surprise=1),
    ],
)
def test_plans_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        wrong()


def test_a_plan_and_a_look_survive_json() -> None:
    own = plan(*USUAL[:-1], satisfaction().guarding(0.02))
    assert Plan.model_validate_json(own.model_dump_json()) == own
    kept = look(plan(), units(4_000)).look
    assert Look.model_validate_json(kept.model_dump_json()) == kept


# Estimates


def test_ratios_and_covariates_are_those_of_the_delta_method() -> None:
    """Against tea-tasting's own way from the same table to the comparison, interval and p."""
    import tea_tasting as tt

    rng = np.random.default_rng(3)
    n = 4_000
    skill = rng.beta(2.0, 8.0, n)
    table = (
        units(n)
        .select("unit", "arm", "time")
        .with_columns(
            pl.Series("ctr over", rng.poisson(8.0, n) + 1), pl.Series("ctr over before", rng.poisson(5.0, n) + 1)
        )
    )
    shown, shown_before = table["ctr over"].to_numpy(), table["ctr over before"].to_numpy()
    table = table.with_columns(
        pl.Series("ctr", rng.binomial(shown, skill)), pl.Series("ctr before", rng.binomial(shown_before, skill))
    )
    own = look(plan(Metric(name="ctr", statistic="ratio")), table).of("ctr", "B")
    theirs = tt.RatioOfMeans("ctr", "ctr over", "ctr before", "ctr over before", use_t=False, equal_var=False)
    found: Any = theirs.analyze(table.to_arrow(), "A", "B", "arm")
    assert own.difference.estimate == pytest.approx(found.effect_size)
    assert own.difference.low == pytest.approx(found.effect_size_ci_lower)
    assert own.relative.high == pytest.approx(found.rel_effect_size_ci_upper)
    assert own.p == pytest.approx(found.pvalue)
    assert own.cut > 0.1


def test_a_covariate_takes_out_the_squared_correlation() -> None:
    table = units(40_000, seed=4)
    own = estimates(table, Metric(name="spend"))["B"]
    treated = table.filter(pl.col("arm") == "B")
    correlation = float(np.corrcoef(treated["spend"], treated["spend before"])[0, 1])
    assert own.cut >= 0.95 * correlation**2
    plain = estimates(table, Metric(name="spend", covariate=False))["B"]
    assert own.error**2 / plain.error**2 == pytest.approx(1 - own.cut)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.95])
def test_quantiles_err_as_they_say(level: float) -> None:
    waits = np.random.default_rng(5).lognormal(size=400 * 2_000)
    table = pl.DataFrame({"arm": np.repeat(np.arange(400), 2_000).astype(str), "wait": waits})
    own = list(estimates(table, Metric(name="wait", statistic="quantile", quantile=level)).values())
    spread = np.std([one.value for one in own])
    assert np.mean([one.error for one in own]) == pytest.approx(spread, rel=0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_keep_order_and_differ_in_strictness(p: list[float]) -> None:
    by = {name: corrected(p, name) for name in ("none", "benjamini-hochberg", "benjamini-yekutieli", "holm")}  # type: ignore[arg-type]
    assert (by["none"] <= by["benjamini-hochberg"] + 1e-12).all()
    assert (by["benjamini-hochberg"] <= by["benjamini-yekutieli"] + 1e-12).all()
    assert (by["benjamini-hochberg"] <= by["holm"] + 1e-12).all()
    for own in by.values():
        assert (np.diff(own[np.argsort(p, kind="stable")]) >= -1e-12).all()
        assert (own <= 1).all()


# The gate


def test_nothing_is_shown_behind_a_mismatch_and_it_stays_closed() -> None:
    table = units(6_000, lift=3.0)
    lost = table.filter((pl.col("arm") == "A") | (pl.int_range(pl.len()) % 10 < 7))
    report = look(plan(), lost)
    assert not report.open
    assert report.compared == ()
    assert report.decision == "refused"
    assert "mismatch" in report.words()[0]
    assert "失衡" in report.words("zh")[0]
    with pytest.raises(UsageError, match="gate closed"):
        report.of("spend", "B")
    again = look(plan(), table, earlier=[report.look])
    assert not again.open, "units that come back do not heal what was lost before"
    assert segmented(plan(), lost.with_columns(pl.lit("x").alias("s")), column="s", now=START + 10 * DAY).segments == ()


def test_nobody_exposed_and_empty_arms_are_said() -> None:
    empty = look(plan(), units(10).clear())
    assert (empty.open, empty.decision) == (False, "refused")
    assert empty.words()[0] == "Nobody has been exposed yet; there is nothing to compare."
    alone = look(plan(), units(10).filter(pl.col("arm") == "A"))
    assert "none of them to B" in alone.words()[0]


def test_units_in_two_arms_are_left_out_and_many_close_the_gate() -> None:
    table = units(4_000)
    crossed = table.head(8).with_columns(
        pl.when(pl.col("arm") == "A").then(pl.lit("B")).otherwise(pl.lit("A")).alias("arm")
    )
    report = look(plan(), pl.concat([table, crossed]))
    assert report.open
    assert report.in_two_arms == 8
    assert sum(report.mismatch.counts.values()) == 3_992
    assert any("8 units were seen in more than one arm" in line for line in report.words())
    closed = look(plan(max_in_two_arms=0.001), pl.concat([table, crossed]))
    assert [reason.code for reason in closed.closed_because] == ["two arms"]


def test_a_unit_counts_from_its_first_exposure() -> None:
    table = units(400)
    later = table.with_columns(pl.col("time") + 60.0).filter(pl.col("time") <= START + 10 * DAY)
    assert look(plan(), pl.concat([later, table])).look.units == 400
    since = plan(since=START + 5 * DAY)
    assert look(since, pl.concat([later, table])).look.units == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop("arm"), "no column arm"),
        (lambda t: t.with_columns(pl.lit(None, pl.String).alias("arm")), "lack a unit"),
        (lambda t: t.with_columns(pl.lit(math.nan).alias("time")), "lack a unit"),
        (lambda t: t.with_columns(pl.lit("C").alias("arm")), "'C', which the plan does not know"),
        (lambda t: t.with_columns(pl.col("time") + 20 * DAY), "clock went backwards"),
    ],
)
def test_exposures_that_cannot_be_used_are_refused(change: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        look(plan(), change(units(100)))


def test_a_look_before_an_earlier_one_is_refused() -> None:
    with pytest.raises(UsageError, match="do not go backwards"):
        look(plan(), units(100), earlier=[Look(time=START + 11 * DAY, units=100)])


# What is compared


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
def test_a_lift_wins_and_a_loss_loses_in_every_design(design: str) -> None:
    for lift, better, verdict, decision in (
        (0.5, "higher", "better", "ship"),
        (0.5, "lower", "worse", "keep"),
        (-0.5, "lower", "better", "ship"),
        (0.0, "higher", "no difference shown", "inconclusive"),
    ):
        own = plan(Metric(name="spend", better=better), design=design)  # type: ignore[arg-type]
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
def test_whole_experiments_without_an_effect_are_seldom_called(design: str) -> None:
    """From exposures to verdicts, five looks each; 30 experiments would call four or five naively."""
    called = 0
    own = plan(Metric(name="spend"), planned_units=1_000, design=design)
    for seed in range(30):
        table, looks = units(1_000, 0.0, seed=seed), []
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
    reports = analyse_over_time(own, table, events, times)
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


# Guard-rails


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


# Segments, words, sources


def test_segments_find_where_the_effect_is_and_that_it_differs() -> None:
    table = units(12_000, 0.0, seed=10).with_columns((pl.int_range(pl.len()) // 2 % 3).cast(pl.String).alias("country"))
    here = pl.col("country") == "1"
    table = table.with_columns(pl.col("spend") + 0.5 * (here & (pl.col("arm") == "B")))
    table = table.with_columns(pl.when(here | (pl.col("country") == "2")).then("country").otherwise(None))
    found = segmented(plan(planned_units=12_000), table, column="country", now=START + 10 * DAY)
    assert [segment.name for segment in found.segments] == ["(unknown)", "1", "2"]
    verdicts = [segment.compared[0].verdict for segment in found.segments]
    assert verdicts == ["no difference shown", "better", "no difference shown"]
    assert found.differs["spend/B"] < 1e-6
    same = segmented(
        plan(planned_units=12_000),
        units(12_000, 0.5).with_columns(pl.lit("x").alias("s")),
        column="s",
        now=START + 10 * DAY,
    )
    assert same.differs == {}


def test_a_segment_that_lost_units_is_not_compared() -> None:
    table = units(8_000).with_columns((pl.int_range(pl.len()) // 2 % 2).cast(pl.String).alias("device"))
    lost = table.filter((pl.col("device") == "0") | (pl.col("arm") == "A") | (pl.int_range(pl.len()) % 10 != 3))
    found = segmented(plan(mismatch_alpha=1e-9), lost, column="device", now=START + 10 * DAY)
    assert len(found.segments[0].compared) == 1
    bad = plan(mismatch_alpha=0.01, max_in_two_arms=0.5)
    gone = table.filter((pl.col("device") == "0") | (pl.col("arm") == "A") | (pl.int_range(pl.len()) // 4 % 2 == 0))
    more = gone.filter((pl.col("device") == "1") | (pl.col("arm") == "B") | (pl.int_range(pl.len()) // 4 % 2 == 0))
    both = segmented(bad, more, column="device", now=START + 10 * DAY)
    assert both.closed_because == ()
    assert [segment.compared for segment in both.segments] == [(), ()], "each lost another arm; together they look even"


def test_slicing_by_what_is_not_there_or_by_an_id_is_refused() -> None:
    with pytest.raises(UsageError, match="no column 'city'"):
        segmented(plan(), units(200), column="city", now=START + 10 * DAY)
    with pytest.raises(UsageError, match="200 values"):
        segmented(plan(), units(200), column="unit", now=START + 10 * DAY)


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


def test_events_come_from_data_sets_and_logs(tmp_path: Path) -> None:
    frame = {
        "user_id": ["u", "v"],
        "item_id": ["i", "j"],
        "timestamp": [1.7e9, 1.7e9 + 5],
        "kind": ["view", "purchase"],
        "price": [None, 3.0],
    }
    own = events_of(Dataset.from_frames(pl.DataFrame(frame))).sort("user_id")
    assert own.select("user_id", "timestamp", "kind", "price").rows() == [
        ("u", 1.7e9, "view", None),
        ("v", 1.7e9 + 5, "purchase", 3.0),
    ]
    vault = Vault(tmp_path / "vault.sqlite")
    with EventLog(tmp_path / "log.sqlite", vault, clock=lambda: 42.0) as log:
        person = vault.pseudonym("u")
        log.record(Entry("answer", "r1", person, {"items": ["i"], "prices": [3.0]}))
        log.record(Entry("answer", "r2", "", {"items": ["i"]}))
        log.record(Entry("event", "e1", person, {"kind": "purchase", "item_id": "i", "price": 3.0, "timestamp": 50.0}))
        log.flush()
        told = events_of_log(log)
    assert told.select("user_id", "timestamp", "kind", "price").rows() == [
        (person, 42.0, "impression", None),
        (person, 50.0, "purchase", 3.0),
    ]


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

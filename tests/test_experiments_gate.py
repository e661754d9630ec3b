"""What closes an analysis or is refused, and experiments in segments."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.experiments.metrics import DAY
from palate.experiments.plan import Look
from palate.experiments.segments import segmented
from tests.analysis_world import START, look, plan, units


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
    dealt_anew = table.with_columns(pl.lit("B").alias("arm"), pl.lit(START + 9 * DAY).alias("time"))
    report = look(since, pl.concat([table, dealt_anew.filter(pl.int_range(pl.len()) < 200)]))
    assert (report.look.units, report.in_two_arms) == (200, 0)


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

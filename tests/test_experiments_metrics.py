"""From events to numbers a unit, and from those to estimates with errors."""

from __future__ import annotations

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
from palate.experiments.discovery import Correction, corrected
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
from palate.experiments.variance import estimates
from palate.privacy import Vault
from tests.analysis_world import START, happened, look, plan, units

USUAL = (click_through(), conversion(), retention(), revenue(), satisfaction())


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
    names: tuple[Correction, ...] = ("none", "benjamini-hochberg", "benjamini-yekutieli", "holm")
    by = {name: corrected(p, name) for name in names}
    assert (by["none"] <= by["benjamini-hochberg"] + 1e-12).all()
    assert (by["benjamini-hochberg"] <= by["benjamini-yekutieli"] + 1e-12).all()
    assert (by["benjamini-hochberg"] <= by["holm"] + 1e-12).all()
    for own in by.values():
        assert (np.diff(own[np.argsort(p, kind="stable")]) >= -1e-12).all()
        assert (own <= 1).all()


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

"""What the analysis of experiments promises, measured: errors at any look, power, widths, variance, mismatch, a real
experiment.

python bench/experiments.py --data ../shared/data --json out/experiments.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from palate.core import Float64Array
from palate.core.artefact import write_text
from palate.experiments.analysis import analyse
from palate.experiments.group_sequential import constant_boundary, critical_values, crossing
from palate.experiments.metrics import Metric
from palate.experiments.mismatch import any_time_p
from palate.experiments.plan import Plan
from palate.experiments.sequential import always_valid_p, half_width, one_sided_p
from palate.experiments.variance import estimates

ALPHA = 0.05
DAYS = 28
Z = float(stats.norm.isf(ALPHA / 2))


def walks(kind: str, experiments: int, units_a_day: int, lift: float, rng: np.random.Generator) -> Float64Array:
    """Differences over their standard errors at the end of each day; float64 (experiments, DAYS).

    ``units_a_day`` of each arm. ``conversion``: 5 % of units; ``revenue``: a tenth of units spend log-normal amounts.
    """
    sums = []
    for factor in (1.0, 1.0 + lift):
        shape = (experiments, DAYS)
        if kind == "conversion":
            first = rng.binomial(units_a_day, 0.05 * factor, size=shape).astype(np.float64)
            second = first.copy()
        else:
            buyers = rng.binomial(units_a_day, 0.1, size=shape)
            owner = np.repeat(np.arange(buyers.size), buyers.ravel())
            spent = factor * rng.lognormal(3.0, 1.0, size=len(owner))
            first, second = (
                np.asarray(np.bincount(owner, spent**power, buyers.size).reshape(shape), dtype=np.float64)
                for power in (1, 2)
            )
        sums.append((first.cumsum(axis=1), second.cumsum(axis=1)))
    n = units_a_day * np.arange(1, DAYS + 1, dtype=np.float64)
    means = [first / n for first, _ in sums]
    variances = [(second / n - mean**2) * n / (n - 1) for (_, second), mean in zip(sums, means, strict=True)]
    error = np.sqrt((variances[0] + variances[1]) / n)
    return np.asarray((means[1] - means[0]) / np.where(error > 0, error, np.inf))


def in_parts(kind: str, experiments: int, units_a_day: int, lift: float, seed: int) -> Float64Array:
    """The same, a thousand experiments at a time, so that memory stays small."""
    rng = np.random.default_rng(seed)
    parts = [walks(kind, min(1000, experiments - done), units_a_day, lift, rng) for done in range(0, experiments, 1000)]
    return np.concatenate(parts)


def share(hits: Any) -> dict[str, float]:
    """A share with its 95 % interval (Wilson)."""
    hits = np.asarray(hits)
    found = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return {"share": round(float(hits.mean()), 5), "low": round(found.low, 5), "high": round(found.high, 5)}


def errors(experiments: int) -> dict[str, Any]:
    """Experiments without an effect that are called at some daily look, by each way to look."""
    fractions = np.arange(1, DAYS + 1) / DAYS
    spent = critical_values(fractions, ALPHA)
    found: dict[str, Any] = {"experiments": experiments, "daily looks": DAYS}
    for kind, units_a_day in (("conversion", 1000), ("revenue", 500)):
        z = in_parts(kind, experiments, units_a_day, 0.0, seed=1)
        found[kind] = {
            "units a day and arm": units_a_day,
            "confidence sequence": share((np.abs(z) > half_width(fractions, ALPHA)).any(axis=1)),
            "always-valid p": share((always_valid_p(z, fractions, ALPHA) <= ALPHA).any(axis=1)),
            "group-sequential": share((np.abs(z) > spent).any(axis=1)),
            "guard-rail": share((one_sided_p(-z, fractions, ALPHA) <= ALPHA).any(axis=1)),
            "p below .05 on some day": share((np.abs(z) > Z).any(axis=1)),
            "fixed, at the end": share(np.abs(z[:, -1]) > Z),
        }
    return found


def powers(experiments: int) -> dict[str, Any]:
    """Power at the lift that a fixed test finds in four of five experiments."""
    fractions = np.arange(1, DAYS + 1) / DAYS
    drift = Z + float(stats.norm.isf(0.2))
    found: dict[str, Any] = {}
    for looks in (4, 14, DAYS):
        at = np.arange(1, looks + 1) / looks
        found[f"integrated, {looks} looks"] = {
            spending: round(crossing(at, critical_values(at, ALPHA, spending), drift).total / 0.8, 4)
            for spending in ("obrien-fleming", "pocock")
        } | {"always-valid": round(crossing(at, half_width(at, ALPHA), drift).total / 0.8, 4)}
    # Per arm, the mean of revenue is .1 e^3.5 and its variance .1 e^8 less the square of that.
    mean, units = 0.1 * np.exp(3.5), 500 * DAYS
    lift = drift * np.sqrt(2.0 * (0.1 * np.exp(8.0) - mean**2) / units) / mean
    z = in_parts("revenue", experiments, 500, float(lift), seed=2)
    fixed = float((z[:, -1] > Z).mean())
    spent = critical_values(fractions, ALPHA)
    crossed = z > spent
    found["simulated revenue"] = {
        "relative lift": round(float(lift), 4),
        "fixed": round(fixed, 4),
        "group-sequential over fixed": round(float(crossed.any(axis=1).mean()) / fixed, 4),
        "always-valid over fixed": round(float((z > half_width(fractions, ALPHA)).any(axis=1).mean()) / fixed, 4),
        "mean days of those that end early": round(float(crossed[crossed.any(axis=1)].argmax(axis=1).mean() + 1), 1),
    }
    return found


def published() -> dict[str, Any]:
    """Critical values against Jennison and Turnbull (2000), tables 2.1 and 2.3."""
    tables = {
        "pocock": (0.5, {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555, 20: 2.672}),
        "obrien-fleming": (0.0, {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087, 20: 2.126}),
    }
    apart = [
        abs(constant_boundary(np.arange(1, looks + 1) / looks, ALPHA, power) - value)
        for power, values in tables.values()
        for looks, value in values.items()
    ]
    return {"values": len(apart), "largest difference": round(max(apart), 5)}


def widths() -> dict[str, float]:
    """Width of the confidence sequence over that of the fixed interval, by share of the planned units."""
    return {f"{at:.0%}": round(float(half_width(at, ALPHA)) / Z, 4) for at in (0.1, 0.25, 0.5, 0.75, 1.0, 1.5)}


def drawn(correlation: float, units: int, rng: np.random.Generator) -> pl.DataFrame:
    """Units whose spending has this correlation with what they spent before."""
    before = rng.gamma(2.0, 1.0, units)
    noise = rng.normal(size=units) * np.sqrt(2.0 * (1.0 / correlation**2 - 1.0))
    arm = np.where(np.arange(units) % 2, "B", "A")
    return pl.DataFrame({"arm": arm, "spend": before + noise, "spend before": before})


def variances(replicates: int = 1000) -> dict[str, Any]:
    """Variance that a covariate takes out over the squared true correlation, and whether its stated error is true."""
    rng = np.random.default_rng(3)
    metrics = [Metric(name="spend", covariate=covariate) for covariate in (True, False)]
    found: dict[str, Any] = {}
    for correlation in (0.3, 0.5, 0.7, 0.9):
        cuts = [estimates(drawn(correlation, 20_000, rng), metrics[0])["B"].cut for _ in range(100)]
        found[f"correlation {correlation}"] = round(float(np.mean(cuts)) / correlation**2, 4)
    differences, errors = np.empty((replicates, 2)), np.empty(replicates)
    for row in range(replicates):
        table = drawn(0.7, 1_000, rng)
        for column, metric in enumerate(metrics):
            own = estimates(table, metric)
            differences[row, column] = own["B"].value - own["A"].value
            if metric.covariate:
                errors[row] = np.hypot(own["B"].error, own["A"].error)
    spread = differences.var(axis=0)
    found[f"between {replicates} experiments, correlation 0.7"] = round(float(1 - spread[0] / spread[1]) / 0.49, 4)
    found["stated error over true"] = round(float(errors.mean() / np.sqrt(spread[0])), 4)
    found["95 % intervals that cover"] = share(np.abs(differences[:, 0]) <= Z * errors)
    return found


def mismatches(experiments: int) -> dict[str, Any]:
    """Mismatches found at 50.3 : 49.7 of a million units, and false alarms, with daily looks and, exactly, with one."""
    rng = np.random.default_rng(1)
    total, odds = 1_000_000, np.array([0.5, 0.5])
    above = np.arange(total // 2, total + 1, dtype=np.float64)
    caught = above[any_time_p(np.stack([above, total - above], axis=1), odds, total) <= 0.01][0]
    found: dict[str, Any] = {}
    for name, first in (("at 50.3 : 49.7", 0.503), ("at 50 : 50", 0.5)):
        counts = rng.binomial(total // DAYS, first, size=(experiments, DAYS)).cumsum(axis=1)
        units = total // DAYS * np.arange(1, DAYS + 1)
        both = np.stack([counts, units - counts], axis=-1).astype(np.float64).reshape(-1, 2)
        p = any_time_p(both, odds, total).reshape(experiments, DAYS)
        once = stats.binom.sf(caught - 1, total, first) + stats.binom.cdf(total - caught, total, first)
        found[name] = {"daily": share((p <= 0.01).any(axis=1)), "one look at the end": round(float(once), 5)}
    return found


def hillstrom(folder: Path) -> dict[str, Any]:
    """The e-mail experiment: visit rates of the arms and lifts over no e-mail."""
    table = pl.read_parquet(folder / "customers.parquet").with_row_index("unit").rename({"segment": "arm"})
    arms = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
    plan = Plan(
        control=arms[0],
        shares=dict.fromkeys(arms, 1.0),
        metrics=tuple(Metric(name=name) for name in ("visit", "conversion", "spend")),
        planned_units=table.height,
    )
    report = analyse(plan, table.with_columns(pl.lit(0.0).alias("time")), now=0.0, final=True)
    rows = {}
    for own in report.compared:
        rows[own.key] = {
            "control": round(own.baseline.estimate, 5),
            "arm": round(own.treated.estimate, 5),
            "lift": round(own.difference.estimate, 5),
            "interval": [round(own.difference.low, 5), round(own.difference.high, 5)],
            "always valid": [round(own.always_valid.low, 5), round(own.always_valid.high, 5)],
            "relative": round(own.relative.estimate, 4),
        }
    return {"mismatch p": report.mismatch.p_once, "decision": report.decision, "winner": report.winner, **rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder that holds hillstrom/")
    parser.add_argument("--experiments", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    began = time.process_time()
    figures: dict[str, Any] = {
        "errors at any look": errors(arguments.experiments),
        "power over the fixed test": powers(arguments.experiments),
        "critical values against the tables": published(),
        "sequence width over the fixed interval": widths(),
        "variance taken out": variances(),
        "mismatch": mismatches(arguments.experiments),
    }
    if arguments.data:
        figures["hillstrom"] = hillstrom(arguments.data / "hillstrom")
    figures["processor seconds"] = round(time.process_time() - began, 1)
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        write_text(arguments.json, text + "\n")


if __name__ == "__main__":
    main()

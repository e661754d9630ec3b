"""``palate experiment power``: how many people an experiment needs, for how long, and what fewer could find."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from palate.experiments.power import Baseline

DESIGNS = ("always-valid", "group-sequential", "fixed")

_POWER = """[bold]Examples[/bold]

palate experiment power --rate 0.05 --lift 0.1 --a-day 500     (5 % buy; is it 5.5 %?)

palate experiment power --mean 31.5 --deviation 60 --lift 0.03 --arms 3

palate experiment power --rate 0.05 --lift 0.1 --units 20000   (what would so many find?)

Designs: [bold]always-valid[/bold] may be read at any time, [bold]group-sequential[/bold] at its looks,
[bold]fixed[/bold] at the end alone. The units of the one you choose are the plan's planned_units."""

_WORDS: Mapping[str, Mapping[str, Any]] = {
    "en": {
        "title": "{power:.0%} chance to find {lift:+.1%} on {mean:g}, error rate {alpha:g}, {arms} arms",
        "head": ("design", "units of all arms", "days", "chance with {units:,}", "least lift with {units:,}"),
        "days": "Days are whole weeks, since weekdays differ.",
    },
    "zh": {
        "title": "以 {power:.0%} 的把握发现 {mean:g} 上 {lift:+.1%} 的变化，错误率 {alpha:g}，{arms} 个组",
        "head": ("设计", "各组合计单元数", "天数", "{units:,} 个单元的把握", "{units:,} 个单元可发现的最小变化"),
        "days": "天数取整周，因为一周各日不同。",
    },
}


def register(group: typer.Typer) -> None:
    group.command(epilog=_POWER)(power)


def power(
    lift: Annotated[float, typer.Option("--lift", help="Relative change to find: 0.1 is a tenth more, -0.1 less.")],
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="SHARE", help="Share of people who do it today, e.g. 0.05.")
    ] = None,
    mean: Annotated[float | None, typer.Option("--mean", help="Or: a number a person has today, e.g. revenue.")] = None,
    deviation: Annotated[float | None, typer.Option("--deviation", help="Its standard deviation; with --mean.")] = None,
    units: Annotated[
        int | None, typer.Option("--units", min=2, help="Say what so many people, all arms together, would find.")
    ] = None,
    a_day: Annotated[float | None, typer.Option("--a-day", help="New people a day; says how many days.")] = None,
    window: Annotated[float, typer.Option("--window", min=0, help="Days after exposure that are watched.")] = 0.0,
    arms: Annotated[int, typer.Option("--arms", min=2, max=20, help="Arms of the same size.")] = 2,
    goals: Annotated[int, typer.Option("--goals", min=1, help="Metrics that decide.")] = 1,
    alpha: Annotated[float, typer.Option("--alpha", help="Error rate.")] = 0.05,
    chance: Annotated[float, typer.Option("--power", help="Chance to find the lift.")] = 0.8,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """How many people an experiment needs to find a change, how long that takes, and what fewer would find."""
    from palate.experiments.power import Question, days_needed, detectable, power_of, units_needed

    words, base = _WORDS[options.language(language)], baseline(rate, mean, deviation)
    shares = {str(arm): 1.0 for arm in range(arms)}
    rows: list[dict[str, Any]] = []
    for design in DESIGNS:
        question = Question(shares, "0", alpha, chance, design, comparisons=goals * (arms - 1))  # type: ignore[arg-type]
        needed = units_needed(base, lift, question)
        row: dict[str, Any] = {"design": design, "units": needed}
        if a_day is not None:
            row["days"] = days_needed(needed, a_day, window_days=window)
        if units is not None:
            row |= {"chance": power_of(base, lift, units, question), "least_lift": detectable(base, units, question)}
        rows.append(row)
    if as_json:
        console.write_json({"mean": base.mean, "deviation": base.deviation, "lift": lift, "designs": rows})
        return
    title = words["title"].format(power=chance, lift=lift, mean=base.mean, alpha=alpha, arms=arms)
    show(rows, title, words["head"], units)
    if a_day is not None:
        console.say(words["days"])


def show(rows: Sequence[Mapping[str, Any]], title: str, head: Sequence[str], units: int | None) -> None:
    """A line a design; the columns that were asked for."""
    told: dict[str, Callable[[Any], str]] = {
        "design": str,
        "units": "{:,}".format,
        "days": "{:,}".format,
        "chance": "{:.0%}".format,
        "least_lift": "{:.1%}".format,
    }
    names = [name for name in told if name in rows[0]]
    heads = [name.format(units=units or 0) for key, name in zip(told, head, strict=True) if key in names]
    console.table(title, heads, [[told[name](row[name]) for name in names] for row in rows])


def baseline(rate: float | None, mean: float | None, deviation: float | None) -> Baseline:
    """The metric as it is today.

    Raises
    ------
    UsageError
        It is not said, or said twice.
    """
    from palate.core.errors import UsageError
    from palate.experiments.power import Baseline

    if (rate is None) == (mean is None) or (mean is None) != (deviation is None):
        raise UsageError("say what is true today: --rate 0.05, or --mean and --deviation together.")
    if rate is None:
        return Baseline(mean or 0.0, deviation or 0.0)
    if not 0 < rate < 1:
        raise UsageError(f"--rate {rate:g}: a share between 0 and 1, for instance 0.05.")
    return Baseline(rate, math.sqrt(rate * (1 - rate)))

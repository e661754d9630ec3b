"""``palate simulate``: price policies raced in a market whose demand is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from palate.experiments.races import Race
    from palate.pricing.settings import PolicySettings

_SIMULATE = """[bold]Examples[/bold]

palate simulate

palate simulate --market diverse --policies greedy,thompson,ucb --seeds 5

palate simulate --market unhappy --policies thompson --satisfaction 0.5

palate simulate --market shifting --policies thompson --memory 5000 --rounds 5000 --json -"""

_WORDS = {
    "en": {
        "title": "{market}: {rounds:,} visits, {seeds} seeds, prices within {band:.0%} of the list price",
        "head": (
            "policy",
            "of clairvoyant",
            "worst seed",
            "over best fixed",
            "satisfaction",
            "between groups",
            "above list",
            "regret slope",
        ),
        "clairvoyant": "clairvoyant",
        "best fixed": "best fixed price",
        "notes": (
            "Of clairvoyant: expected revenue as a share of what asking each visitor the truly best price earns.",
            "Satisfaction: mean over everybody asked, 0 to 1; what lies above the list price counts 2.25-fold.",
            "Between groups: how far the mean prices of two groups that no feature names lie apart, in list prices.",
        ),
    },
    "zh": {
        "title": "{market}：{rounds:,} 次访问，{seeds} 个种子，价格在标价的 ±{band:.0%} 以内",
        "head": ("策略", "相对全知者", "最差种子", "超出最佳固定价", "满意度", "组间差距", "高于标价", "遗憾斜率"),
        "clairvoyant": "全知者",
        "best fixed": "最佳固定价",
        "notes": (
            "相对全知者：期望收入与对每位访客都给出真正最优价格时的收入之比。",
            "满意度：所有被报价者的平均值，0 到 1；高于标价的部分按 2.25 倍计。",
            "组间差距：特征未提及的两个人群的平均价格之差，以标价为单位。",
        ),
    },
}


def register(app: typer.Typer) -> None:
    app.command(epilog=_SIMULATE)(simulate)


def simulate(
    market: Annotated[
        str,
        typer.Option(
            "--market", metavar="NAME", help="plain, varied, diverse, shifting, rivals, strategic or unhappy."
        ),
    ] = "plain",
    policies: Annotated[
        str,
        typer.Option("--policies", metavar="A,B", help="fixed, cost_plus, score, greedy, thompson, ucb."),
    ] = "score,greedy,thompson",
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1_000, help="Markets, one a seed.")] = 2,
    rounds: Annotated[int, typer.Option("--rounds", min=10, max=1_000_000, help="Visits in each.")] = 4_000,
    band: Annotated[
        float | None, typer.Option("--band", min=0.01, max=0.89, help="Prices within this share of the list price.")
    ] = None,
    revenue: Annotated[float, typer.Option("--revenue", min=0, help="Weight of revenue in the objective.")] = 1.0,
    margin: Annotated[float, typer.Option("--margin", min=0, help="Weight of margin.")] = 0.0,
    units: Annotated[float, typer.Option("--units", min=0, help="Weight of units.")] = 0.0,
    satisfaction: Annotated[
        float, typer.Option("--satisfaction", min=0, help="Weight of what customers gain against the list price.")
    ] = 0.0,
    exploration: Annotated[
        float | None, typer.Option("--exploration", min=0, max=1, help="Share of prices drawn evenly.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option("--memory", min=2, help="Visits after which what was learnt counts 1/e; all count.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help='Write JSON; "-" is standard output.')
    ] = None,
    language: options.Language = None,
) -> None:
    """Race price policies in a market whose demand is known: revenue, regret, satisfaction, fairness."""
    from palate.core.space import changed
    from palate.experiments.races import race
    from palate.pricing.demand import DemandSettings

    spoken = options.language(language)
    told: dict[str, Any] = {"rounds": rounds} if band is None else {"rounds": rounds, "band": band}
    kind = changed(_market(market), told)
    weights = {"revenue": revenue, "margin": margin, "units": units, "satisfaction": satisfaction}
    chosen = _policies(options.listed(policies) or [], weights, exploration)
    with console.progress(quiet=json_file == console.STDOUT) as progress:
        races = race(
            kind, chosen, seeds=range(seeds), demand=changed(DemandSettings(), {"memory": memory}), progress=progress
        )
    if json_file is not None:
        console.write_json(
            {"market": market, "settings": kind.model_dump(), "races": [one.as_json() for one in races]}, json_file
        )
    if json_file != console.STDOUT:
        words: dict[str, Any] = _WORDS[spoken]
        show(races, words["title"].format(market=market, rounds=rounds, seeds=seeds, band=kind.band), words)


def show(races: Sequence[Race], title: str, words: dict[str, Any]) -> None:
    """A policy a line."""
    rows = []
    for one in races:
        told = one.as_json()
        slope = told["regret_slope"]
        rows.append(
            [
                words.get(one.name, one.name),
                f"{told['share_of_clairvoyant']:.2%}",
                f"{told['share_worst_seed']:.2%}",
                f"{told['revenue_over_best_fixed']:+.2%}",
                f"{told['satisfaction']:.4f}",
                f"{told['parity']:.3f}",
                f"{told['above_list']:.0%}",
                "—" if slope is None else f"{slope:.2f}",
            ]
        )
    console.table(title, words["head"], rows)
    for note in words["notes"]:
        console.say(note)


def _market(name: str) -> Any:
    from palate.core.errors import UsageError
    from palate.simulation.market_settings import MARKETS

    if name not in MARKETS:
        raise UsageError(f"--market {name}: markets are {', '.join(MARKETS)}.")
    return MARKETS[name]


def _policies(names: list[str], weights: dict[str, float], exploration: float | None) -> dict[str, PolicySettings]:
    from typing import get_args

    from palate.core.errors import UsageError
    from palate.core.space import changed
    from palate.pricing.settings import LEARNING, PolicyKind, PolicySettings

    known = [kind for kind in get_args(PolicyKind) if kind != "rule"]  # rules are a shop's own
    for name in names:
        if name not in known:
            raise UsageError(f"--policies {name}: policies are {', '.join(known)}.")
    if not names:
        raise UsageError("--policies names none; for instance --policies greedy,thompson.")
    plain: dict[str, Any] = {"objective": weights, "score": "x0", "quantiles": NORMAL}
    result = {}
    for name in names:
        given = {**plain, "kind": name}
        if exploration is not None and name in LEARNING:
            given["exploration"] = exploration
        result[name] = changed(PolicySettings(), given)
    return result


NORMAL = (-3.0, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 3.0)
"""Deciles of a market's facts about visitors."""

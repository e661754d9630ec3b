"""``palate rules``: what goes with what in the baskets of a folder, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.models.association import Rules

_RULES = """[bold]Examples[/bold]

palate rules shop

palate rules shop --support 0.01 --confidence 0.3 --by confidence -k 50

palate rules shop --item i042 --json

A rule is kept where so many baskets with both sides are more than chance (Fisher's exact test; of all candidates
counted, at most the given share of those kept may be chance: Benjamini and Hochberg). Baskets are told apart by
basket_id, or else by visits."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "What goes with what",
        "if": "who has",
        "then": "also has",
        "baskets": "baskets",
        "support": "support",
        "confidence": "confidence",
        "lift": "lift",
        "leverage": "leverage",
        "conviction": "conviction",
        "p": "p",
        "found": "{rules:,} rules in {baskets:,} baskets (told apart by {column}), {seconds:.1f} s; "
        "shown: the first {shown} by {by}.",
        "none": "No rule: nothing in at least {least:,} of the {baskets:,} baskets goes together often enough and more "
        "than chance explains. Ask for less: {support}--confidence, --lift or --false-discoveries.",
    },
    "zh": {
        "title": "什么与什么搭配",
        "if": "买了",
        "then": "也买",
        "baskets": "篮数",
        "support": "支持度",
        "confidence": "置信度",
        "lift": "提升度",
        "leverage": "杠杆率",
        "conviction": "确信度",
        "p": "p 值",
        "found": "{baskets:,} 个购物篮（按 {column} 区分）中有 {rules:,} 条规则，用时 {seconds:.1f} 秒；"
        "按 {by} 列出前 {shown} 条。",
        "none": "没有规则：{baskets:,} 个购物篮中，没有物品在至少 {least:,} 个篮子里同时出现且明显多于偶然。"
        "可放宽条件：{support}--confidence、--lift、--false-discoveries。",
    },
}


def register(app: typer.Typer) -> None:
    app.command(epilog=_RULES)(rules)


def rules(
    folder: options.DataFolder,
    support: Annotated[
        float | None,
        typer.Option("--support", metavar="SHARE", help="Least share of the baskets that hold both sides, e.g. 0.005."),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option("--confidence", metavar="SHARE", help="Least share of those with the left side, e.g. 0.1."),
    ] = None,
    lift: Annotated[float | None, typer.Option("--lift", help="At least so many times as often as by chance.")] = None,
    longest: Annotated[int | None, typer.Option("--longest", help="Most items of a rule, e.g. 3.")] = None,
    right: Annotated[int | None, typer.Option("--right", help="Most items of its right side, e.g. 1.")] = None,
    false_discoveries: Annotated[
        float | None,
        typer.Option("--false-discoveries", metavar="SHARE", help="Share of the rules that may be chance, e.g. 0.05."),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="MEASURE", help="leverage, lift, confidence, support or conviction.")
    ] = "leverage",
    item: Annotated[str | None, typer.Option("--item", metavar="ID", help="Only rules about this item.")] = None,
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="How many rules.")] = 20,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Find what is taken together: association rules with support, confidence, lift, leverage and conviction."""
    from time import perf_counter

    from palate.cli.settings import settings_for
    from palate.core.space import changed
    from palate.data.baskets import Baskets
    from palate.evaluation.result import plain
    from palate.models.association import mined
    from palate.models.itemsets import least_count

    words = _WORDS[options.language(language)]
    settings = settings_for(folder, config)
    asked = {
        "support": support,
        "confidence": confidence,
        "lift": lift,
        "longest": longest,
        "right": right,
        "false_discoveries": false_discoveries,
    }
    own = changed(settings.rules, {name: value for name, value in asked.items() if value is not None})
    dataset = load(folder, settings.data, options.pairs(columns))
    started = perf_counter()
    baskets = Baskets.of(dataset)
    found = mined(baskets, dataset.n_items, own)
    seconds = perf_counter() - started
    if item is not None:
        found = found.about(dataset.item_ids.position(item))
    best = found.best(by, count)
    if as_json:
        told: dict[str, Any] = {
            "baskets": len(baskets),
            "column": baskets.column,
            "rules": len(found),
            "seconds": seconds,
        }
        told |= {"settings": own.model_dump(), "best": best.records(dataset.item_ids.names)}
        console.write_json(plain(told))
        return
    if not len(found):
        least = least_count(own.support, len(baskets))
        lower = f"--support {own.support / 5:g}, " if least > 1 else ""
        console.say(words["none"].format(least=least, baskets=len(baskets), support=lower))
        return
    show(best, dataset.catalogue.titles, words)
    facts = {"rules": len(found), "baskets": len(baskets), "column": baskets.column, "seconds": seconds}
    console.say(words["found"].format(**facts, shown=len(best), by=words.get(by, by)))


def show(best: Rules, titles: Sequence[str], words: Mapping[str, str]) -> None:
    """A table of rules."""
    head = ("if", "then", "baskets", "support", "confidence", "lift", "leverage", "conviction", "p")
    console.table(words["title"], [words[name] for name in head], [_row(rule) for rule in best.records(titles)], left=2)


def _row(rule: Mapping[str, Any]) -> list[str]:
    conviction = rule["conviction"]
    return [
        " + ".join(rule["if"]),
        " + ".join(rule["then"]),
        f"{rule['baskets']:,}",
        f"{rule['support']:.2%}",
        f"{rule['confidence']:.1%}",
        f"{rule['lift']:.1f}",
        f"{rule['leverage']:.4f}",
        f"{conviction:.2f}",
        f"{rule['p']:.1e}",
    ]

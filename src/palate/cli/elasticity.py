"""``palate elasticity``: how demand answers to prices, by category or item, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.pricing.elasticities import Elasticities, Estimates

SHOWN = 30
"""Lines of the terminal's table; JSON holds all."""

_ELASTICITY = """[bold]Examples[/bold]

palate elasticity shop

palate elasticity shop --by item --days 7 --json -

palate elasticity shop --demand orders    (where large orders are granted lower prices)

palate elasticity weekly.parquet    (item_id, price, quantity; period, category, store, stock_out and numbers if known)

palate elasticity data/online-retail --original online-retail    (or complete-journey, orange-juice)

What --json FILE wrote is shown on the page of prices: elasticities = "FILE" under \\[pricing] in palate.toml."""

_WORDS = {
    "en": ("name", "elasticity", "from", "to", "alone", "price moves", "periods", "own evidence"),
    "zh": ("名称", "弹性", "下界", "上界", "单独估计", "价格变动", "周期数", "自身证据"),
}
_TITLE = {
    "en": "own-price elasticity by {by}, {level:.0%} intervals; all: {all}",
    "zh": "自身价格弹性（按{by}），{level:.0%} 区间；总体：{all}",
}
_NOTHING = {"en": "{name}: no elasticity, {why}.", "zh": "{name}：无弹性估计，{why}。"}
_MORE = {"en": "{count:,} more; --json holds all.", "zh": "另有 {count:,} 项；--json 含全部。"}
_BY = {"en": {"category": "category", "item": "item"}, "zh": {"category": "品类", "item": "商品"}}


def register(app: typer.Typer) -> None:
    app.command(epilog=_ELASTICITY)(elasticity)


def elasticity(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder with events.* that have prices, or a table of sales.")
    ],
    original: Annotated[
        str | None,
        typer.Option("--original", metavar="NAME", help="The folder is a public history with its own columns."),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="LEVEL", help="category or item.")] = "category",
    days: Annotated[int | None, typer.Option("--days", min=1, max=91, help="Days of a period; 7.")] = None,
    demand: Annotated[
        str | None, typer.Option("--demand", metavar="units|orders", help="What is counted as demand; units.")
    ] = None,
    response: Annotated[
        str | None,
        typer.Option("--response", metavar="auto|log|counts", help="Logs, or Poisson means where sales are sparse."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="NAME", help="Where days begin, e.g. Asia/Shanghai; UTC.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help='Write all of it as JSON; "-" is standard output.')
    ] = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Estimate own-price elasticities: season, promotions and what else moves prices are taken out first."""
    from palate.cli.settings import settings_for
    from palate.core import UsageError
    from palate.core.space import changed
    from palate.pricing.elasticity import ElasticitySettings, fit_elasticity
    from palate.pricing.originals import public, sales_file
    from palate.pricing.sales import PanelSettings, sales_panel
    from palate.pricing.sales_words import in_words

    chosen = options.language(language)
    if by not in ("category", "item"):
        raise UsageError(f"--by {by}: elasticities are by category or item.")
    settings = settings_for(folder, config)
    told = {name: value for name, value in {"days": days, "demand": demand}.items() if value is not None}
    panel_settings = changed(PanelSettings(), told)
    own = changed(ElasticitySettings(), {} if response is None else {"response": response})
    series = changed(settings.series, {} if time_zone is None else {"time_zone": time_zone})
    if original is not None:
        panel = public(original, folder, panel_settings if told else None)
    elif folder.is_file():
        panel = sales_file(folder, panel_settings, options.pairs(columns))
    else:
        panel = sales_panel(load(folder, settings.data, options.pairs(columns)), panel_settings, series)
    result = fit_elasticity(panel, own)
    notes = in_words(result.notes, chosen)
    if json_file is not None:
        console.write_json({"notes": notes, **result.as_json()}, json_file)
    if json_file != console.STDOUT:
        show(result, by, chosen)
        for note in notes:
            console.say(note)


def show(result: Elasticities, by: str, language: str = "en") -> None:
    """The estimates with the most periods, one a line, then what is not claimed."""
    from palate.pricing.sales_words import why_not

    own = result.categories if by == "category" else result.items
    order = sorted(range(len(own)), key=lambda row: (-int(own.rows[row]), own.names[row]))
    known = [row for row in order if own.known[row]]
    shop = result.overall
    whole = _told(shop, 0) if shop.known[0] else "—"
    title = _TITLE[language].format(by=_BY[language][by], level=result.level, all=whole)
    console.table(title, _WORDS[language], [_line(own, row) for row in known[:SHOWN]])
    refused = [row for row in order if not own.known[row]]
    for row in refused[:SHOWN]:
        console.say(_NOTHING[language].format(name=own.names[row], why=why_not(own.reason[row], language)))
    hidden = max(len(known) - SHOWN, 0) + max(len(refused) - SHOWN, 0)
    if hidden:
        console.say(_MORE[language].format(count=hidden))


def _told(own: Estimates, row: int) -> str:
    return f"{own.estimate[row]:.2f} [{own.low[row]:.2f}, {own.high[row]:.2f}]"


def _line(own: Estimates, row: int) -> list[str]:
    figures = [f"{value[row]:.2f}" for value in (own.estimate, own.low, own.high, own.alone)]
    return [own.names[row], *figures, f"{own.moved[row]:.3f}", f"{own.rows[row]:,}", f"{own.own[row]:.0%}"]

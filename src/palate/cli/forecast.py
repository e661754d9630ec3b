"""``palate forecast``: what demand will be, by item, category, segment or region."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.forecast import By, Forecast

SHOWN = 20
"""Series in the terminal's table; JSON holds all."""

_FORECAST = """[bold]Examples[/bold]

palate forecast shop --by category --horizon 28

palate forecast shop --by item --id i17 --json -

palate forecast shop --by segment --segment city --html demand.html

palate forecast shop --by category --models seasonal_naive,ets,arima,lstm,gru

palate forecast shop --by item --reconcile mint    (items, categories and the total add up)"""

_WORDS = {
    "en": (
        "series",
        "sum ahead",
        "a day",
        "forecaster",
        "MASE",
        "last week repeated",
        "{kind}, {days} days from {start}",
    ),
    "zh": ("序列", "预测总量", "日均", "预测方法", "MASE", "重复上周", "{kind}，自 {start} 起 {days} 天"),
}
_DAY = {"en": ("day", "mean", "median", "lower", "upper"), "zh": ("日期", "均值", "中位数", "下界", "上界")}


def register(app: typer.Typer) -> None:
    app.command(epilog=_FORECAST)(forecast)


def forecast(
    folder: options.DataFolder,
    by: Annotated[
        str, typer.Option("--by", metavar="LEVEL", help="item, category, segment, region or total.")
    ] = "item",
    horizon: Annotated[
        int | None, typer.Option("--horizon", min=1, max=366, help="Days ahead; 28 where not given.")
    ] = None,
    only: Annotated[str | None, typer.Option("--id", metavar="ID", help="One series, day by day.")] = None,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="COLUMN", help="The attribute of users that tells segments apart."),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option("--models", metavar="A,B", help="Forecasters that compete; lstm and gru only if named."),
    ] = None,
    reconcile: Annotated[
        str | None,
        typer.Option("--reconcile", metavar="METHOD", help="bottom_up, ols or mint: items, categories, total add up."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Kind of event that is demand; purchase where there is.")
    ] = None,
    returns: Annotated[
        str | None, typer.Option("--returns", metavar="ignore|subtract", help="What returns do to demand.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="NAME", help="Where days begin, e.g. Asia/Shanghai; UTC.")
    ] = None,
    seed: options.Seed = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help='Write all series as JSON; "-" is standard output.')
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots.")] = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Forecast demand day by day, with intervals; what served each series best in the past is chosen for it."""
    from palate.cli.settings import settings_for
    from palate.core import UsageError
    from palate.core.space import changed
    from palate.evaluation.forecast_page import write_forecast
    from palate.forecast import LEVELS, daily
    from palate.forecast import forecast as look_ahead
    from palate.forecast.tree import forecast_tree
    from palate.forecast.words import in_words

    chosen = options.language(language)
    if by not in LEVELS:
        raise UsageError(f"--by {by}: series are by {', '.join(LEVELS)}.")
    settings = settings_for(folder, config)
    given: dict[str, Any] = {"horizon": horizon, "seed": seed, "models": options.listed(models)}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    ahead = changed(settings.forecast, {name: value for name, value in given.items() if value is not None})
    told: dict[str, Any] = {"kind": kind, "returns": returns, "time_zone": time_zone}
    series = changed(settings.series, {name: value for name, value in told.items() if value is not None})
    dataset = load(folder, settings.data, options.pairs(columns))
    with console.progress(quiet=json_file == console.STDOUT) as progress:
        panel = daily(dataset, cast("By", by), series, segment=segment)
        if only is not None:
            panel.ids.position(only)
        if reconcile is None:
            result = look_ahead(panel, ahead, progress=progress)
        else:
            result = forecast_tree(dataset, cast("By", by), series, ahead, method=reconcile, progress=progress)
    if html is not None:
        write_forecast(html, panel, result, chosen)
    if json_file is not None:
        names = result.ids.names if only is None else (only,)
        console.write_json(
            {"notes": in_words(result.notes, chosen), "series": [result.of(name) for name in names]}, json_file
        )
    if json_file != console.STDOUT:
        show_days(result, only, chosen) if only is not None else show_series(result, chosen)
        for note in in_words(result.notes, chosen):
            console.say(note)


def show_series(told: Forecast, language: str = "en") -> None:
    """The series with the most demand ahead, one a line."""
    from palate.evaluation.forecast_page import largest, shown

    *head, title = _WORDS[language]
    rows = []
    for row in largest(told, SHOWN):
        own = told.summary(row)
        figures = [shown(own[name]) for name in ("mase", "naive_mase")]
        rows.append([own["id"], f"{own['sum']:,.1f}", f"{own['sum'] / told.horizon:,.2f}", own["model"], *figures])
    console.table(title.format(kind=told.kind, days=told.horizon, start=told.start), head, rows)


def show_days(told: Forecast, name: str, language: str = "en") -> None:
    """One series, one day a line."""
    own = told.of(name)
    parts = ("mean", "median", "lower", "upper")
    rows = [[day["day"], *("—" if day[part] is None else f"{day[part]:,.2f}" for part in parts)] for day in own["days"]]
    console.table(f"{name} · {own['model']} · {told.level:.0%}", _DAY[language], rows)

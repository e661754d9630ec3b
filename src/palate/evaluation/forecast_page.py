"""A forecast as one page that needs nothing else: what was, what will be, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from palate.core import Float64Array, UsageError
from palate.evaluation.charts import PALETTE
from palate.evaluation.report import STYLE, card
from palate.forecast import Forecast, Panel
from palate.forecast.words import in_words

_MOST = 24
"""Series with a plot of their own, those with the most demand ahead."""
_PAST = 84
"""Days of the past in a plot."""
_WIDTH, _HEIGHT, _LEFT, _BASE, _TOP = 720, 210, 58, 178, 12

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Demand forecast",
        "lead": "{count:,} series by {kind}, {horizon} days from {start}. Shaded: {level:.0%} of days, over all "
        "series, lie within, as measured on the past. Line: the past, then the median; dashed: the mean.",
        "series": "series",
        "sum": "sum ahead",
        "model": "forecaster",
        "mase": "MASE",
        "naive": "MASE, last week repeated",
        "notes": "Notes",
        "table": "Series with the most demand ahead",
        "note": "MASE: mean absolute error at past origins over the mean change from one week to the next. Below "
        "that of last week repeated is better.",
    },
    "zh": {
        "title": "需求预测",
        "lead": "按 {kind} 划分的 {count:,} 条序列，自 {start} 起 {horizon} 天。阴影：按历史检验，"
        "全部序列约 {level:.0%} 的日子落在其中。实线：历史与中位数；虚线：均值。",
        "series": "序列",
        "sum": "预测总量",
        "model": "预测方法",
        "mase": "MASE",
        "naive": "MASE（重复上周）",
        "notes": "说明",
        "table": "预测需求最大的序列",
        "note": "MASE：历史起点上的平均绝对误差与周间平均变化之比，低于“重复上周”即更好。",
    },
}


def forecast_page(panel: Panel, told: Forecast, language: str = "en") -> str:
    """The whole page as HTML.

    Parameters
    ----------
    panel
        What was forecast from.
    language
        ``"en"`` or ``"zh"``.
    """
    if language not in _WORDS:
        raise UsageError(f"a report can be in {', '.join(_WORDS)}; not in {language!r}")
    words = _WORDS[language]
    lead = words["lead"].format(
        count=len(told), kind=told.kind, horizon=told.horizon, start=told.start, level=told.level
    )
    rows = largest(told, _MOST)
    plots = "".join(card(told.ids[row], series_chart(panel, told, row)) for row in rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in in_words(told.notes, language))
    body = (
        f"<h1>{escape(words['title'])}</h1><p class='lead'>{escape(lead)}</p>"
        + card(words["table"], _table(told, rows, words) + f"<p class='faint'>{escape(words['note'])}</p>")
        + plots
        + (card(words["notes"], f"<ul>{notes}</ul>") if notes else "")
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>palate · {escape(words['title'])}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def write_forecast(path: Path, panel: Panel, told: Forecast, language: str = "en") -> None:
    """Write the page, whole or not at all."""
    from palate.core.artefact import write_text

    write_text(path, forecast_page(panel, told, language))


def largest(told: Forecast, most: int) -> list[int]:
    """Rows of the series with the most demand ahead, the largest first."""
    return [int(row) for row in np.argsort(-told.mean.sum(axis=1), kind="stable")[:most]]


def series_chart(panel: Panel, told: Forecast, row: int) -> str:
    """The past of one series, its days ahead and their bounds, as inline SVG."""
    past = panel.values[row, -_PAST:]
    ahead, bounds = told.median[row], np.stack([told.lower[row], told.upper[row]])
    values = np.concatenate([past, ahead, told.mean[row], bounds.ravel(), [0.0]])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    high = high if high > low else low + 1.0
    days = len(past) + told.horizon

    def x(day: float) -> float:
        return _LEFT + day / max(days - 1, 1) * (_WIDTH - _LEFT - 12)

    def y(value: float) -> float:
        return _BASE - (value - low) / (high - low) * (_BASE - _TOP)

    def line(first: int, path: Float64Array) -> str:
        pieces, pen = [], "M"
        for place, value in enumerate(path):
            if np.isnan(value):
                pen = "M"
                continue
            pieces.append(f"{pen}{x(first + place):.1f} {y(value):.1f}")
            pen = "L"
        return "".join(pieces)

    drawn = []
    for step in range(4):
        value = low + (high - low) * step / 3
        drawn.append(
            f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - 12}"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" class="faint">{value:,.4g}</text>'
        )
    if not np.isnan(bounds).any():
        first = len(past)
        over = line(first, bounds[1])
        under = "".join(
            f"L{x(first + place):.1f} {y(bounds[0, place]):.1f}" for place in range(told.horizon - 1, -1, -1)
        )
        drawn.append(f'<path d="{over}{under}Z" fill="{PALETTE[0]}" opacity=".16"/>')
    for first, path, style in (
        (0, past, f'stroke="{PALETTE[1]}"'),
        (len(past), ahead, f'stroke="{PALETTE[0]}" stroke-width="2"'),
        (len(past), told.mean[row], f'stroke="{PALETTE[0]}" stroke-dasharray="4 3"'),
    ):
        drawn.append(f'<path d="{line(first, path)}" fill="none" {style}/>')
    dates = [(0, panel.start + panel.length - len(past)), (len(past), told.start), (days - 1, told.days[-1])]
    drawn += [
        f'<text x="{x(place):.1f}" y="{_BASE + 18}" text-anchor="{anchor}" class="faint">{day}</text>'
        for (place, day), anchor in zip(dates, ("start", "middle", "end"), strict=True)
    ]
    label = escape(told.ids[row])
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def _table(told: Forecast, rows: Sequence[int], words: Mapping[str, str]) -> str:
    head = "".join(f"<th>{escape(words[name])}</th>" for name in ("series", "sum", "model", "mase", "naive"))
    lines = []
    for row in rows:
        own = told.summary(row)
        cells = (own["id"], f"{own['sum']:,.1f}", own["model"], *(shown(own[name]) for name in ("mase", "naive_mase")))
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def shown(value: float | None) -> str:
    """A figure as a table has it."""
    return "—" if value is None else f"{value:.3f}"

"""An evaluation as one page that needs nothing else: table, intervals, paired comparison, slices, notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from palate.core import UsageError
from palate.evaluation.charts import intervals_chart, legend, slices_chart, trade_chart
from palate.evaluation.maps import density_map
from palate.evaluation.words import WORDS

if TYPE_CHECKING:
    from palate.evaluation.result import Evaluation

COLUMNS = (
    "ndcg@10",
    "recall@1",
    "recall@5",
    "recall@10",
    "recall@20",
    "mrr",
    "coverage@10",
    "novelty@10",
    "diversity@10",
    "gini@10",
)
PLOTTED = "ndcg@10"
_MOST = 6
"""Models in one plot of slices; more would not be read."""

STYLE = """
:root { color-scheme: light; --ink: #22272e; --faint: #6b7480; --line: #e4e7ea; --green: #2f6f4f; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f5; color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 0 0 14px; }
p { margin: 0 0 10px; }
.lead, .faint { color: var(--faint); }
.card { background: #fff; border: 1px solid var(--line); border-radius: 12px; padding: 22px 24px; margin-top: 20px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin-top: 22px; }
.tile { background: #fff; border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.tile b { display: block; font-size: 22px; font-weight: 650; }
.tile span { color: var(--faint); font-size: 13px; }
.tile.good b { color: var(--green); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 7px 8px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
tr.entry td { background: #f0f6f2; font-weight: 600; }
td.best { color: var(--green); font-weight: 650; }
small { color: var(--faint); font-size: 11px; font-weight: 400; }
svg { width: 100%; height: auto; font-size: 12px; fill: var(--ink); }
svg .faint { fill: var(--faint); font-size: 11px; }
svg .value { font-variant-numeric: tabular-nums; }
.whisker { stroke: #22272e; stroke-width: 1.6; opacity: .65; fill: none; }
.grid { stroke: var(--line); }
.key { display: inline-flex; align-items: center; gap: 6px; margin: 0 16px 6px 0; font-size: 13px; }
.key i { width: 11px; height: 11px; border-radius: 3px; }
h3 { font-size: 14px; margin: 18px 0 4px; color: var(--faint); font-weight: 600; }
ul { margin: 0; padding-left: 20px; }
"""


def page(evaluation: Evaluation, language: str = "en") -> str:
    """The whole page as HTML.

    Parameters
    ----------
    language
        ``"en"`` or ``"zh"``.
    """
    if language not in WORDS:
        raise UsageError(f"a report can be in {', '.join(WORDS)}; not in {language!r}")
    words = WORDS[language]
    models = _ordered(evaluation)
    title = f"{evaluation.name} · {evaluation.protocol}"
    body = "".join(
        (
            f"<h1>{escape(title)}</h1><p class='lead'>{escape(words['lead'])}</p>",
            _tiles(evaluation, words),
            card(words["table"], _table(models, words) + f"<p class='faint'>{escape(words['table_note'])}</p>"),
            card(words["intervals"], intervals_chart(models, PLOTTED)),
            _comparison(evaluation, words),
            _slices(evaluation, models, words),
            _geography(evaluation, words),
            _cold(evaluation, words),
            _pareto(evaluation, words),
            _importance(evaluation, words),
            _rules(evaluation, words),
            _tuning(evaluation, words),
            card(words["notes"], "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in evaluation.notes) + "</ul>"),
        )
    )
    return (
        f'<!doctype html><html lang="{words["lang"]}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>palate · {escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _ordered(evaluation: Evaluation) -> dict[str, Mapping[str, Any]]:
    """The engine first, then single models from best to worst."""
    names = sorted(evaluation.models, key=lambda name: (name != "palate", -float(evaluation.models[name][PLOTTED])))
    return {name: evaluation.models[name] for name in names}


def card(title: str, body: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{body}</section>'


def _tiles(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    tiles: list[tuple[str, str, bool]] = []
    if "palate" in evaluation.models:
        figures = evaluation.models["palate"]
        tiles += [(f"{figures[measure]:.4f}", f"palate {measure}", True) for measure in ("ndcg@10", "recall@10")]
    record = evaluation.headline
    if record is not None:
        low, high = record["relative_ci95"]
        whose = "" if record["model"] == "palate" else f"{record['model']}: "
        tiles.append(
            (
                f"{record['relative']:+.1%}",
                f"{whose}{words['against']} {record['baseline']} [{low:+.1%}, {high:+.1%}]",
                low > 0,
            )
        )
    data = evaluation.dataset
    tiles += [
        (f"{evaluation.queries:,}", words["queries"], False),
        (f"{data['events']:,}", f"{words['events']} · {data['users']:,} × {data['items']:,}", False),
        (f"{evaluation.seconds.get('total', sum(evaluation.seconds.values())):.0f} s", words["total"], False),
        (f"{evaluation.peak_rss_mb:,.0f} MB", words["memory"], False),
    ]
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile{" good" if good else ""}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
            for value, label, good in tiles
        )
        + "</div>"
    )


def _table(models: Mapping[str, Mapping[str, Any]], words: Mapping[str, str]) -> str:
    best = {column: _best(models, column) for column in COLUMNS}
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    rows = []
    for name, figures in models.items():
        cells = []
        for column in COLUMNS:
            interval = figures["ci95"].get(column)
            small = f"<br><small>{interval[0]:.4f}–{interval[1]:.4f}</small>" if interval else ""
            mark = ' class="best"' if figures[column] == best[column] else ""
            cells.append(f"<td{mark}>{figures[column]:.4f}{small}</td>")
        entry = ' class="entry"' if name == "palate" else ""
        rows.append(f"<tr{entry}><td>{escape(name)}</td>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th>{escape(words["model"])}</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _best(models: Mapping[str, Mapping[str, Any]], column: str) -> float:
    """The best value of a column; of the Gini coefficient, the lowest."""
    values = [float(figures[column]) for figures in models.values()]
    return min(values) if column.startswith("gini") else max(values)


def _comparison(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    if not evaluation.comparisons:
        return ""
    rows = []
    for record in evaluation.comparisons:
        if record["measure"] not in ("ndcg@10", "hit@1", "mrr", "diversity@10"):
            continue
        low, high = record["relative_ci95"]
        star = " ★" if record["best_single"] else ""
        rows.append(
            f"<tr><td>{escape(record['baseline'])}{star}</td><td>{record['measure']}</td>"
            f"<td>{record['difference']:+.4f}</td><td>{_share(record['relative'])}</td>"
            f"<td>{_share(low)} … {_share(high)}</td><td>{record['p_holm']:.4f}</td></tr>"
        )
    head = [words[key] for key in ("baseline", "measure", "difference", "relative", "interval", "p_holm")]
    table = _grid(head, rows)
    title = words["comparison"].replace("palate", str(evaluation.comparisons[0]["model"]))
    return card(title, table + f"<p class='faint'>{escape(words['comparison_note'])}</p>")


def _share(value: float) -> str:
    return f"{value:+.1%}" if abs(value) != float("inf") else "∞"


def _slices(evaluation: Evaluation, models: Mapping[str, Any], words: Mapping[str, str]) -> str:
    names = list(models)[:_MOST]
    charts = [
        f"<h3>{escape(words[f'slice_{group}'])}</h3>"
        + slices_chart(_translated(parts, words), names, PLOTTED, words["n"])
        for group, parts in evaluation.slices.items()
        if len(parts) > 1
    ]
    return card(f"{PLOTTED} {words['by_slice']}", legend(names) + "".join(charts)) if charts else ""


def _geography(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    if not evaluation.geography:
        return ""
    found = evaluation.geography
    moran = found["morans_i"]
    said = words["clustering"].format(**moran) if moran["i"] == moran["i"] else ""
    note = words["geography_note"].format(resolution=found["resolution"], cells=f"{len(found['cells']):,}")
    notes = f"<p class='faint'>{escape(note)} {escape(said)}</p>"
    return card(words["geography"], density_map(found["cells"], words["geography"]) + notes)


def _translated(parts: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{**part, "slice": words.get(part["slice"], part["slice"])} for part in parts]


def _pareto(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    if not evaluation.pareto:
        return ""
    points, measures = evaluation.pareto["points"], evaluation.pareto["measures"]
    charts = [
        f"<h3>{escape(words['trade'].format(up=measures[0], across=other))}</h3>"
        + trade_chart(points, other, measures[0], f"{measures[0]} / {other}")
        for other in measures[1:]
    ]
    rows = []
    for place, point in enumerate(points, 1):
        weights = ", ".join(f"{words[f'objective_{name}']} {value:g}" for name, value in point["weights"].items())
        cells = "".join(
            f"<td>{point[measure]:.4f}<br><small>{point['ci95'][measure][0]:.4f}–{point['ci95'][measure][1]:.4f}"
            "</small></td>"
            for measure in measures
        )
        entry, star = (' class="entry"', " ★") if point["non_dominated"] else ("", "")
        rows.append(f"<tr{entry}><td>{place}{star}</td><td>{escape(weights)}</td>{cells}</tr>")
    table = _grid(["#", words["weights"], *measures], rows)
    note = words["pareto_note"].format(queries=f"{evaluation.pareto['queries']:,}")
    return card(words["pareto"], "".join(charts) + table + f"<p class='faint'>{escape(note)}</p>")


def _cold(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    if not evaluation.cold:
        return ""
    columns = [(which, measure) for which in ("cold", "warm") for measure in ("recall@10", "ndcg@10")]
    rows = []
    for record in evaluation.cold["engines"]:
        cells = [_with_interval(record[which], measure) for which, measure in columns]
        cells += [_kept(record["kept"].get(other)) for other in ("warm only", "whole")]
        entry = ' class="entry"' if record["engine"] == "places" else ""
        rows.append(f"<tr{entry}><td>{escape(words[record['engine']])}</td>{''.join(cells)}</tr>")
    head = [words["engine"], *(f"{measure}, {words[f'{which}_questions']}" for which, measure in columns)]
    head += [words["kept warm only"], words["kept whole"]]
    note = cold_note(evaluation.cold, words)
    return card(words["cold"], _grid(head, rows) + f"<p class='faint'>{escape(note)}</p>")


def cold_note(cold: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """What was held out and asked, as a sentence."""
    counts = {"items": cold["items"], "catalogue": cold["catalogue"], **cold["questions"]}
    return words["cold_note"].format(**{name: f"{count:,}" for name, count in counts.items()})


def importance_notes(importance: Mapping[str, Mapping[str, float]], words: Mapping[str, str]) -> list[str]:
    """How many features are used, and which are not, as sentences."""
    unused = [name for name, own in importance.items() if not own["gain"]]
    notes = [words["importance_note"].format(used=len(importance) - len(unused), all=len(importance))]
    return [*notes, words["unused"].format(names=", ".join(unused))] if unused else notes


def _importance(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    if not evaluation.importance:
        return ""
    rows = [
        f"<tr><td>{escape(name)}</td><td>{own['share']:.2%}</td><td>{own['gain']:,.0f}</td></tr>"
        for name, own in evaluation.importance.items()
        if own["gain"]
    ]
    notes = "".join(f"<p class='faint'>{escape(note)}</p>" for note in importance_notes(evaluation.importance, words))
    return card(words["importance"], _grid([words["feature"], words["share"], words["gain"]], rows) + notes)


def _rules(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    """What goes with what in the baskets."""
    if not evaluation.rules:
        return ""
    measures = ("support", "confidence", "lift", "leverage", "conviction")
    rows = []
    for rule in evaluation.rules:
        named = f"{' + '.join(rule['if'])} → {' + '.join(rule['then'])}"
        cells = [f"{rule['baskets']:,}", *(f"{rule[name]:.3g}".replace("inf", "∞") for name in measures)]
        rows.append(f"<tr><td>{escape(named)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = [words[name] for name in ("rule", "baskets", *measures)]
    note = f"<p class='faint'>{escape(words['rules_note'])}</p>"
    return card(words["rules"], _grid(head, rows) + note)


def _grid(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _with_interval(figures: Mapping[str, Any] | None, measure: str) -> str:
    if figures is None:
        return "<td>—</td>"
    low, high = figures["ci95"][measure]
    return f"<td>{figures[measure]:.4f}<br><small>{low:.4f}–{high:.4f}</small></td>"


def _kept(kept: Mapping[str, Any] | None) -> str:
    if kept is None:
        return "<td>—</td>"
    low, high = kept["ci95"]
    return f"<td>{kept['share']:.3f}<br><small>{low:.3f}–{high:.3f}</small></td>"


def _tuning(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    if not evaluation.tuning:
        return ""
    rows = []
    for name, tried in evaluation.tuning.items():
        best = max(tried, key=lambda entry: float(entry["ndcg@10"]))
        settings = ", ".join(f"{key} = {value}" for key, value in best["settings"].items())
        rows.append(
            f"<tr><td>{escape(name)}</td><td>{len(tried)}</td><td>{best['ndcg@10']:.4f}</td>"
            f"<td>{escape(settings)}</td></tr>"
        )
    head = [words[key] for key in ("model", "tried", "validation", "chosen")]
    return card(words["tuning"], _grid(head, rows))

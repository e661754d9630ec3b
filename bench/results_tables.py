"""The tables of docs/results.md, written from the cells that bench/results.py keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from results import Cell, Cells, Plan

START, END = "<!-- tables: begin -->", "<!-- tables: end -->"
COLUMNS = ("recall@10", "ndcg@10", "mrr", "coverage@10", "diversity@10")
ENTRY = "palate"
OLDER = " (measured on older code)"
ENGINES = {
    "places": "**palate**",
    "no places": "palate, no places for new items",
    "warm only": "palate, the items held out ruled out",
    "whole": "palate, taught with them too",
}


def written(document: str, text: str) -> str:
    """A document with its tables replaced.

    Raises
    ------
    SystemExit
        The two marks are not in it.
    """
    before, start, rest = document.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise SystemExit(f"the document has no {START} and {END} to write between")
    return f"{before}{START}\n\n{text}\n{END}{after}"


def tables(plan: Plan, cells: Cells, titles: Mapping[str, str]) -> str:
    """Everything that is known, one section a data set; "" where nothing is."""
    sections = []
    for name in plan.data:
        parts = [_protocol(plan, cells, name, protocol) for protocol in plan.protocols]
        parts += [_ablation(plan.steps(name, cells), cells)]
        parts += [_held_out(cell, cells) for cell in plan.held_out() if cell.data == name]
        parts += [_spread(plan, cells, name, protocol) for protocol in plan.protocols]
        found = "\n".join(part for part in parts if part)
        if found:
            sections.append(f"## {titles.get(name, name)}\n\n{found}")
    costs = _costs(plan, cells, titles)
    return "\n".join([*sections, costs]) if sections else ""


def _protocol(plan: Plan, cells: Cells, name: str, protocol: str) -> str:
    """One table: the engine under every preset, single models beside it, seconds and memory above."""
    chosen = [cell for cell in plan.first() if (cell.data, cell.protocol) == (name, protocol)]
    measured = {cell: result for cell in chosen if (result := cells.result(cell)) is not None}
    why = _reasons(chosen, cells)
    if not measured:
        return f"`{protocol}`: {'; '.join(why)}\n" if why else ""
    some = next(iter(measured.values()))
    size = some["dataset"]
    lines = [
        f"`{protocol}`: {some['queries']:,} questions; {size['users']:,} users, {size['items']:,} items, "
        f"{size['events']:,} events.",
        *(f"Preset `{cell.preset}`: {_cost(result)}; {_code(cells, cell)}." for cell, result in measured.items()),
        *(f"{reason}." for reason in why),
        "",
        "| model | Recall@10 | NDCG@10 (95 %) | MRR | coverage@10 | diversity@10 | s to rank |",
        "|---|---|---|---|---|---|---|",
    ]
    rows: dict[str, tuple[Mapping[str, Any], float | None]] = {}
    for cell, result in measured.items():
        for model, figures in result["models"].items():
            label = f"**{ENTRY}** {cell.preset}" if model == ENTRY else model
            rows[label] = figures, result["rank_seconds"].get(model)
    for label, (figures, seconds) in sorted(rows.items(), key=lambda row: -row[1][0]["ndcg@10"]):
        lines.append(f"| {label} | {' | '.join(_figures(figures))} | {'' if seconds is None else f'{seconds:.0f}'} |")
    lines.append("")
    for cell, result in measured.items():
        for record in result.get("comparisons", []):
            if record["best_single"] and record["measure"] == "ndcg@10" and None not in record["relative_ci95"]:
                low, high = record["relative_ci95"]
                lines.append(
                    f"palate {cell.preset} against {record['baseline']} (the collaborative model best on validation), "
                    f"NDCG@10: {record['relative']:+.1%} ({low:+.1%} to {high:+.1%}), paired.\n"
                )
    return "\n".join(lines)


def _ablation(steps: Sequence[Cell], cells: Cells) -> str:
    """What each source adds to those before it."""
    if not steps:
        return ""
    whole = steps[-1]
    lines = [
        f"What each source adds, `{whole.protocol}`, preset `{whole.preset}`, seed {whole.seed}: the engine with the "
        "sources down to this line.\n",
        "| source | Recall@10 | NDCG@10 (95 %) | more NDCG@10 | s to fit | s in all | MB | code |",
        "|---|---|---|---|---|---|---|---|",
    ]
    before: float | None = None
    for cell in steps:
        source, result = cell.sources[-1], cells.result(cell)
        if result is None:
            lines.append(f"| {source} | {'; '.join(_reasons([cell], cells)) or 'not run yet'} | | | | | | |")
            before = None
            continue
        figures = result["models"][ENTRY]
        gain = "" if not before else f"{figures['ndcg@10'] / before - 1:+.1%}"
        before = figures["ndcg@10"]
        seconds, peak = result["seconds"], result["peak_rss_mb"]
        spent = seconds["encode"] + seconds["fit"]
        shown = _figures(figures)
        lines.append(
            f"| {source} | {shown[0]} | {shown[1]} | {gain} | {spent:.0f} | {seconds['total']:.0f} | {peak:.0f} | "
            f"{_code(cells, cell)} |"
        )
    return "\n".join([*lines, ""])


def _held_out(cell: Cell, cells: Cells) -> str:
    """What the engine finds of items held out of every fit, and what the other questions keep."""
    result = cells.result(cell)
    what = (
        f"{cell.cold:.0%} of the items held out of every fit, `{cell.protocol}`, preset `{cell.preset}`, "
        f"seed {cell.seed}"
    )
    if result is None:
        why = _reasons([cell], cells)
        return f"{what}: {'; '.join(why)}.\n" if why else ""
    cold = result["cold"]
    asked = cold["questions"]
    lines = [
        f"{what}: {cold['items']:,} of {cold['catalogue']:,}. {asked['cold']:,} questions that one of them answers, "
        f"{asked['warm']:,} that others answer; {_cost(result)}; {_code(cells, cell)}.",
        "Kept: NDCG@10 on the latter, relative to the same engine with the items ruled out, and to one taught with "
        "them.",
        "",
        "| engine | Recall@10, held out | NDCG@10, held out | Recall@10, others | NDCG@10, others (95 %) | kept of: "
        "ruled out (95 %) | kept of: taught with them (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in cold["engines"]:
        found, others = record["cold"] or {}, record["warm"]
        low, high = others["ci95"]["ndcg@10"]
        lines.append(
            f"| {ENGINES[record['engine']]} | {_figure(found.get('recall@10'))} | {_figure(found.get('ndcg@10'))} | "
            f"{_figure(others['recall@10'])} | {_figure(others['ndcg@10'])} ({_figure(low)}-{_figure(high)}) | "
            f"{_kept(record['kept'].get('warm only'))} | {_kept(record['kept'].get('whole'))} |"
        )
    return "\n".join([*lines, ""])


def _kept(kept: Mapping[str, Any] | None) -> str:
    if kept is None or None in (kept["share"], *kept["ci95"]):
        return ""
    low, high = kept["ci95"]
    return f"{kept['share']:.3f} ({low:.3f}-{high:.3f})"


def _spread(plan: Plan, cells: Cells, name: str, protocol: str) -> str:
    """How far seeds are apart."""
    lines: list[str] = []
    costs: list[str] = []
    for preset in plan.presets:
        chosen = [cell for cell in (*plan.first(), *plan.others()) if _is(cell, name, protocol, preset)]
        found = {cell: result for cell in chosen if (result := cells.result(cell)) is not None}
        measured = {cell.seed: result for cell, result in found.items()}
        if len(measured) < 2:
            continue
        runs = [result["models"] for result in measured.values()]
        total = mean(result["seconds"]["total"] for result in measured.values())
        peak = max(result["peak_rss_mb"] for result in measured.values())
        codes = "; ".join(dict.fromkeys(_code(cells, cell) for cell in found))
        costs.append(f"Preset `{preset}`: {total:.0f} s a run, peak {peak:.0f} MB; {codes}.")
        common = [model for model in runs[0] if all(model in run for run in runs)]
        for model in sorted(common, key=lambda one: -mean(run[one]["ndcg@10"] for run in runs)):
            quality = [run[model]["ndcg@10"] for run in runs]
            recall = mean(run[model]["recall@10"] for run in runs)
            label = f"**{ENTRY}**" if model == ENTRY else model
            seeds = ", ".join(str(seed) for seed in measured)
            lines.append(
                f"| {label} | {preset} | {seeds} | {_figure(mean(quality))} | {_figure(stdev(quality))} | "
                f"{_figure(min(quality))}-{_figure(max(quality))} | {_figure(recall)} |"
            )
    if not lines:
        return ""
    head = [
        f"How far seeds are apart, `{protocol}`:",
        *costs,
        "",
        "| model | preset | seeds | NDCG@10, mean | deviation | least-most | Recall@10, mean |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *lines, ""])


def _is(cell: Cell, name: str, protocol: str, preset: str) -> bool:
    return (cell.data, cell.protocol, cell.preset) == (name, protocol, preset)


def _costs(plan: Plan, cells: Cells, titles: Mapping[str, str]) -> str:
    """What each preset gives and takes, one line a run."""
    lines = [
        "## Presets: what they give and take\n",
        "Seconds to the figure, single models and their tuning included where a protocol tunes them; peak memory.\n",
        "| data | protocol | preset | Recall@10 | NDCG@10 | encode | fit | rank palate | total | MB | code |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in plan.first():
        result = cells.result(cell)
        if result is None:
            continue
        own, seconds = result["models"][ENTRY], result["seconds"]
        rank = result["rank_seconds"].get(ENTRY, 0.0)
        lines.append(
            f"| {titles.get(cell.data, cell.data)} | `{cell.protocol}` | `{cell.preset}` | "
            f"{_figure(own['recall@10'])} | {_figure(own['ndcg@10'])} | {seconds['encode']:.0f} | {seconds['fit']:.0f} "
            f"| {rank:.0f} | {seconds['total']:.0f} | {result['peak_rss_mb']:.0f} | "
            f"{_code(cells, cell)} |"
        )
    return "\n".join([*lines, ""])


def _reasons(chosen: Sequence[Cell], cells: Cells) -> list[str]:
    """Why cells have no figures, each reason once."""
    told: dict[str, None] = {}
    for cell in chosen:
        found = cells.read(cell) or {}
        if "refused" in found:
            told[f"not possible. {found['refused'].rstrip('.')}"] = None
        elif "failed" in found:
            told[f"preset `{cell.preset}`, seed {cell.seed}, failed: {found['failed'].rstrip('.')}"] = None
    return list(told)


def _cost(result: Mapping[str, Any]) -> str:
    stages = ", ".join(f"{stage} {value:.0f}" for stage, value in result["seconds"].items())
    tuned = " (fit includes tuning)" if result.get("tuning") else ""
    return f"seconds: {stages}{tuned}; peak {result['peak_rss_mb']:.0f} MB"


def _code(cells: Cells, cell: Cell) -> str:
    """The mark of the code a cell was measured on."""
    return f"code `{cells.code_of(cell)}`{OLDER if cells.stale(cell) else ''}"


def _figures(figures: Mapping[str, Any]) -> list[str]:
    told = [_figure(figures.get(column)) for column in COLUMNS]
    low, high = figures["ci95"]["ndcg@10"]
    told[1] = f"{told[1]} ({_figure(low)}-{_figure(high)})"
    return told


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}".lstrip("0") if 0 <= value < 1 else f"{value:.4f}"

"""``palate willingness``: teach a reader of histories how dear a thing somebody would take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from palate.cli import console, options
from palate.cli.folder import load

_WILLINGNESS = """[bold]Examples[/bold]

palate willingness shop --out shop.willingness

Then, in palate.toml:

\\[pricing.willingness]
reader = "shop.willingness"

\\[\\[pricing.inputs]]
name = "willingness"
source = "willingness"

It enters a price only of somebody who agreed, where the law of the place lets it."""

_SAID = {
    "en": "Taught by {lessons:,} purchases and things left, of {people:,} people; on pairs held out it is off by "
    "{spread:.3f}. Written to {out}.",
    "zh": "由 {people:,} 人的 {lessons:,} 次购买与放弃学得；留出样本上的均方根误差为 {spread:.3f}。已写入 {out}。",
}


def register(app: typer.Typer) -> None:
    app.command(epilog=_WILLINGNESS)(willingness)


def willingness(
    folder: options.DataFolder,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where what was learnt goes.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="minilm, or a folder or hub name of what reads.")
    ] = "minilm",
    most: Annotated[int | None, typer.Option("--lessons", min=2, help="Purchases learnt from at most; 6000.")] = None,
    seed: options.Seed = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Learn from purchases how dear a thing somebody would take, by what they did before and what the thing is."""
    from palate.cli.settings import settings_for
    from palate.core.space import changed
    from palate.pricing.willingness import WillingnessSettings, fit_willingness

    chosen = options.language(language)
    told = {"lessons": most, "seed": seed, "language": language and chosen, "scorer.model": model}
    settings = changed(WillingnessSettings(), {name: value for name, value in told.items() if value is not None})
    dataset = load(folder, settings_for(folder, config).data, options.pairs(columns))
    taught, pairs = fit_willingness(dataset, settings)
    taught.save(out)
    people = len(set(pairs.rows.tolist()))
    console.say(_SAID[chosen].format(lessons=len(pairs.rows), people=people, spread=taught.scorer.spread, out=out))

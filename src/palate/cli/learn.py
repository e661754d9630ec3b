"""Verbs that fit: ``train`` writes an engine, ``evaluate`` fits under a protocol and measures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from palate.cli import console, options
from palate.cli.folder import load

_TRAIN = """[bold]Examples[/bold]

palate train shop --out shop.engine

palate train shop --out shop.engine --preset fast --seed 7 --columns timestamp=ts

palate train shop --out shop.engine --complete

palate train shop --out shop.engine --foresee

palate recommend shop.engine --user u01 --explain"""

_EVALUATE = """[bold]Examples[/bold]

palate evaluate shop --protocol temporal

palate evaluate beauty --protocol loo-strict --json result.json --html report.html

palate evaluate shop --protocol cases --cases questions.jsonl --json -

palate evaluate shop --protocol loo-refit --models popularity,ease --tune

palate evaluate city --protocol trajectories --models places,gru4rec,lstm,repeats

palate evaluate shop --pareto --html report.html

palate evaluate shop --protocol loo-strict --cold-items 0.1 --json cold.json

Protocols: [bold]temporal[/bold] cuts at one moment for everybody, the only one without leakage from the future;
[bold]temporal-baskets[/bold] has the same cut and asks for one item held out of each user's next basket;
[bold]loo-strict[/bold] asks each user's last event and learns from what lies before the one before;
[bold]loo-strict+val[/bold] lets the ranker learn from validation answers too; [bold]loo-refit[/bold] fits everything
again on all but the last event; [bold]trajectories[/bold] asks where the latest outings ended (next place);
[bold]cases[/bold] asks a file. Never compare figures of different protocols."""


def register(app: typer.Typer) -> None:
    app.command(epilog=_TRAIN)(train)
    app.command(epilog=_EVALUATE)(evaluate)


def train(
    folder: options.DataFolder,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="ENGINE", help="Where the engine goes, a folder.")],
    preset: options.Preset = None,
    seed: options.Seed = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Have items that say little described, marked as written for them.")
    ] = False,
    foresee: Annotated[
        bool,
        typer.Option("--foresee", help="Learn what people do next too, which a server would at its first question."),
    ] = False,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Train an engine on a folder of data and save it.

    With --complete templates write the descriptions unless the settings name a model under generation; what is
    recommended stays the same.
    """
    from palate.cli.settings import settings_for
    from palate.core import DataError
    from palate.core.artefact import check_place
    from palate.engine import Engine
    from palate.engine.completing import complete_descriptions
    from palate.language.generation_choice import text_generator

    chosen = options.language(language)
    settings = settings_for(folder, config)
    own = settings.engine_of(preset or settings.training.preset)
    check_place(out)
    dataset = load(folder, settings.data, options.pairs(columns))
    if dataset.report is not None:
        console.aside(dataset.report.words(chosen))
    with console.progress() as progress:
        engine = Engine.fit(
            dataset,
            preset=preset or settings.training.preset,
            settings=own,
            seed=settings.training.seed if seed is None else seed,
            progress=progress,
        )
    engine.writer = text_generator(settings.generation)
    written = complete_descriptions(engine).by if complete else {}
    foreseen: tuple[str, ...] = ()
    if foresee:
        try:
            foreseen = engine.foresee().kinds
        except DataError as error:
            console.aside(str(error))
    engine.save(out)
    if as_json:
        told: dict[str, Any] = {"described": dict(written)} if complete else {}
        if foresee:
            told["foreseen"] = list(foreseen)
        console.write_json({"engine": str(out), "seconds": dict(engine.timings), **told, **engine.describe()})
        return
    seconds = sum(engine.timings.values())
    console.say(f"{out}: engine {engine.version}, branch {engine.kind}, models {', '.join(engine.sources)}")
    console.say(f"trained on {dataset.n_events:,} events of {dataset.n_users:,} users in {seconds:.1f} s")
    if complete:
        by = ", ".join(f"{name} {count:,}" for name, count in written.items()) or "0"
        console.say(f"descriptions written: {by}")
    if foreseen:
        console.say(f"foreseen of people: {', '.join(foreseen)}")


def evaluate(
    folder: options.DataFolder,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="temporal, temporal-baskets, loo-strict, loo-strict+val, loo-refit, trajectories or cases.",
        ),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="FILE", help="Questions with known answers, JSONL.")
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B", help="Only these; all of the preset where not given.")
    ] = None,
    preset: options.Preset = None,
    seen: Annotated[
        str | None, typer.Option("--seen", metavar="auto|mask|keep", help="May items of the history come again?")
    ] = None,
    seed: options.Seed = None,
    tune: Annotated[bool, typer.Option("--tune", help="Tune the single models on validation first.")] = False,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Weigh accuracy against diversity, novelty and margin too.")
    ] = False,
    cold_items: Annotated[
        float,
        typer.Option(
            "--cold-items",
            metavar="SHARE",
            help="Hold this share of the items out of every fit, e.g. 0.1, ask for them among all items, and measure "
            "what the other questions keep; fits the engine twice.",
        ),
    ] = 0.0,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help='Write the result as JSON; "-" is standard output.')
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report with plots.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call the data in the report.")] = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Fit on a folder and measure: every model, the fused engine, 95 % intervals, paired comparison.

    Exit code 2 where the protocol cannot be applied to the data, for instance temporal without times.
    """
    from dataclasses import replace
    from functools import partial
    from time import perf_counter

    from palate.cli.settings import settings_for
    from palate.cli.show import show_evaluation
    from palate.engine import Engine
    from palate.evaluation import evaluate as measure

    chosen = options.language(language)
    settings = settings_for(folder, config)
    start = perf_counter()
    dataset = load(folder, settings.data, options.pairs(columns))
    loading = perf_counter() - start
    if name:
        dataset = replace(dataset, name=name)
    with console.progress() as progress:
        evaluation = measure(
            dataset,
            protocol=protocol or ("cases" if cases else settings.evaluation.protocol),
            preset=preset or settings.training.preset,
            models=options.listed(models),
            seen=seen or settings.evaluation.seen,
            seed=settings.training.seed if seed is None else seed,
            cases=cases,
            tune=tune,
            pareto=pareto,
            cold_items=cold_items,
            progress=progress,
            fit=partial(Engine.fit, settings=settings.engine_of(preset or settings.training.preset)),
        )
    seconds = dict(evaluation.seconds)
    seconds.update(load=loading, total=loading + seconds.get("total", 0.0))
    evaluation = replace(evaluation, seconds=seconds)
    result = evaluation.as_json()
    if html is not None:
        evaluation.write_html(html, chosen)
    if json_file is not None:
        console.write_json(result, json_file)
    if json_file != console.STDOUT:
        show_evaluation(result, chosen)

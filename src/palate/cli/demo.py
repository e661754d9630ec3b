"""``palate demo``: a shop from a seed, an engine trained on it, explained recommendations, a comparison, the page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli import console

if TYPE_CHECKING:
    from palate.data import Dataset
    from palate.engine import Engine

SEED = 0
PRESET = "fast"
"""So that the first recommendation comes within a minute; `balanced` takes a few more and is the default elsewhere."""
PROTOCOL = "loo-strict"

_DEMO = """[bold]Examples[/bold]

palate demo

palate demo --once              (ends after printing)

palate demo --folder ~/palate-demo --port 9000"""


def register(app: typer.Typer) -> None:
    app.command(epilog=_DEMO)(demo)


def demo(
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where shop and engine go.")] = Path("demo"),
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65_535, help="Port of the page.")] = 8420,
    once: Annotated[
        bool, typer.Option("--once", help="End after printing; also with ONCE=1, or where output is no terminal.")
    ] = False,
) -> None:
    """Build the demo shop, train, explain ten recommendations, compare with single models, serve the page."""
    from palate.engine import Engine

    start = perf_counter()
    with console.progress() as progress:
        dataset = build_shop(folder / "shop", progress)
        engine = Engine.fit(dataset, preset=PRESET, seed=SEED, progress=progress)
        engine.save(folder / "engine")
    console.say(
        f"The demo shop: {dataset.n_users:,} customers, {dataset.n_items:,} goods, {dataset.n_events:,} events; "
        f"trained in {perf_counter() - start:.1f} s.\n"
    )
    recommend_to_one(engine, dataset)
    compare(dataset)
    if once or os.environ.get("ONCE") == "1" or not sys.stdout.isatty():
        console.say(f"\nThe page: palate serve {folder / 'engine'}")
        return
    from palate.serving.server import serve

    def ready(url: str) -> None:
        console.say(f"\nThe page: {url}  (Ctrl-C ends)")

    serve(engine, port=port, log=folder / "events.sqlite", vault=folder / "vault.sqlite", ready=ready)


def build_shop(folder: Path, progress: console.Report) -> Dataset:
    """The demo shop as files, read back the way a user's own files are."""
    from palate.data import Dataset
    from palate.simulation import ShopSettings, make_shop, write_shop

    progress("demo shop", 0.0)
    write_shop(make_shop(ShopSettings(), SEED), folder)
    progress("demo shop", 0.5)
    dataset = Dataset.load(folder)
    progress("demo shop", 1.0)
    return dataset


def recommend_to_one(engine: Engine, dataset: Dataset) -> None:
    """Ten recommendations with reasons for a customer of middling activity, and the first of them in Chinese."""
    from dataclasses import replace

    from palate.cli.show import show_answer, title_of

    position = customer_of_interest(dataset)
    user = dataset.user_ids.names[position]
    for language, count in (("en", 10), ("zh", 1)):
        items = [dataset.item_ids.names[item] for item in dataset.sequences.row(position)[-3:]]
        recent = [title_of(engine.catalogue, item, language) for item in items]
        heading = (
            f"For customer {user}, who lately chose {'; '.join(recent)}:"
            if language == "en"
            else f"\n同一条推荐，用中文说明（顾客 {user}，近期：{'；'.join(recent)}）："
        )
        console.say(heading)
        answer = engine.recommend(user, k=10, explain=True, language=language)
        show_answer(replace(answer, items=answer.items[:count]), engine.catalogue, language)


def customer_of_interest(dataset: Dataset) -> int:
    """The customer with the median number of events of interest; the first of those."""
    import numpy as np

    lengths = dataset.sequences.lengths
    return int(np.argsort(lengths, kind="stable")[len(lengths) // 2])


def compare(dataset: Dataset) -> None:
    """The fused engine beside each of its models, measured."""
    from palate.cli.show import show_evaluation
    from palate.evaluation import evaluate

    with console.progress() as progress:
        evaluation = evaluate(dataset, protocol=PROTOCOL, preset=PRESET, seed=SEED, progress=progress)
    console.say("")
    show_evaluation(evaluation.as_json())

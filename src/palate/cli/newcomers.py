"""Verbs for those of whom little is known: ``pretrain`` carries knowledge to a new shop, ``ask`` asks a new user."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from palate.cli import console, options

_PRETRAIN = """[bold]Examples[/bold]

palate pretrain beauty phones --out carried

palate pretrain beauty phones --out carried --epochs 4 --seed 7

Then, in the new shop's palate.toml, add transferred to the sources and
[bold]\\[engine.models.transferred][/bold] pretrained = "carried", training = "few-shot" or "zero-shot"."""

_ASK = """[bold]Examples[/bold]

palate ask shop.engine

palate ask shop.engine --yes tea-01 --no pot-01,cup-01

palate ask shop.engine -k 3 --json"""


_LIKELY = {"en": "a yes is {chance:.0%} likely", "zh": "回答“是”的可能性 {chance:.0%}"}


def register(app: typer.Typer) -> None:
    app.command(epilog=_PRETRAIN)(pretrain)
    app.command(epilog=_ASK)(ask)


def pretrain(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of data, a shop each; all need texts of items.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where what was learnt goes.")],
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over all shops at most.")] = None,
    encoder: Annotated[
        str,
        typer.Option("--encoder", metavar="NAME", help="minilm, or a folder or hub name; the new shop needs it too."),
    ] = "minilm",
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """Learn from several shops what follows what, by texts alone, for shops that are still to come."""
    from palate.core.artefact import check_place
    from palate.core.errors import UsageError
    from palate.data import Dataset
    from palate.language import CachedEncoder, VectorCache, load_encoder
    from palate.models.transfer import PRETRAINING
    from palate.models.transfer import pretrain as learn

    if encoder == "lexical":
        raise UsageError("--encoder lexical: its directions are those of one catalogue and mean nothing in another.")
    check_place(out)
    settings = PRETRAINING.model_copy(
        update={"epochs": epochs or PRETRAINING.epochs, "seed": PRETRAINING.seed if seed is None else seed}
    )
    reader = CachedEncoder(load_encoder(encoder), VectorCache())
    with console.progress() as progress:
        found = learn([Dataset.load(folder) for folder in folders], reader, settings, progress)
    found.save(out)
    if as_json:
        told = [[None if math.isnan(value) else value for value in entry] for entry in found.history]
        console.write_json({"folder": str(out), "learnt_from": found.learnt_from, "history": told})
        return
    for name, counts in found.learnt_from.items():
        console.say(f"{name}: {counts['events']:,} events of {counts['users']:,} users with {counts['items']:,} items")
    own = found.weighing
    console.say(f"carried: decay {own.decay:g}, power {own.power}, words {own.words:g}, network {own.network:g}")
    console.say(f"{out}: {len(found.history)} epochs; name it as [engine.models.transferred] pretrained")


def ask(
    engine_folder: options.EngineFolder,
    yes: Annotated[str | None, typer.Option("--yes", metavar="A,B", help="Items known and liked.")] = None,
    no: Annotated[str | None, typer.Option("--no", metavar="A,B", help="Items that are not.")] = None,
    user: options.User = None,
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="How many questions.")] = 1,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Which items to ask a newcomer about next, given the answers so far."""
    from palate.engine import Engine

    likely = _LIKELY[options.language(language)]
    answered = dict.fromkeys(options.listed(yes) or (), True) | dict.fromkeys(options.listed(no) or (), False)
    questions = Engine.load(engine_folder).ask(count, answered=answered, user=user)
    if as_json:
        console.write_json([asdict(question) for question in questions])
        return
    for place, question in enumerate(questions, 1):
        console.say(f"{place}. {question.title}  [{question.item}]  {likely.format(chance=question.chance)}")

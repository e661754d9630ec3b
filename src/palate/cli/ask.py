"""Verbs that ask a trained engine: ``recommend``, ``similar``, ``explain``; what it is and what it knows of a user."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options

if TYPE_CHECKING:
    from palate.language.generation import TextGenerator

_RECOMMEND = """[bold]Examples[/bold]

palate recommend shop.engine --user u01 -k 5 --explain

palate recommend shop.engine --history tea-01,pot-01 --language zh

palate recommend shop.engine --text "a gift for somebody who loves coffee"

palate recommend shop.engine --user u01 --filter '{"category": "Food > Tea"}' --json

palate recommend shop.engine --user u01 --strategy '{"objectives": {"accuracy": 0.8, "novelty": 0.2}}'"""

_SIMILAR = """[bold]Examples[/bold]

palate similar shop.engine tea-01

palate similar shop.engine tea-01 --kind complement

palate similar shop.engine tea-01 -k 3 --json"""

_EXPLAIN = """[bold]Examples[/bold]

palate explain shop.engine pot-01 --user u01

palate explain shop.engine pot-01 --history tea-01,cup-01 --language zh

palate explain shop.engine pot-01 --user u01 --context '{"when": 1766995200, "device": "phone"}'"""

_MOMENT = '{"when": 1766995200, "device": "phone"}'

Context = Annotated[
    str | None,
    typer.Option(
        "--context", metavar="JSON", help=f"When, where and with what it is asked, now where left out: {_MOMENT}."
    ),
]

_DESCRIBE = """[bold]Examples[/bold]

palate describe shop.engine

palate describe shop.engine --json | jq .importance"""

_PROFILE = """[bold]Examples[/bold]

palate profile shop.engine --user u01

palate profile shop.engine --user u01 --mute Perfume --add 绿茶 --language zh

palate profile shop.engine --user u01 --json"""


def register(app: typer.Typer) -> None:
    app.command(epilog=_RECOMMEND)(recommend)
    app.command(epilog=_SIMILAR)(similar)
    app.command(epilog=_EXPLAIN)(explain)
    app.command(epilog=_DESCRIBE)(describe)
    app.command(epilog=_PROFILE)(profile)


def recommend(
    engine_folder: options.EngineFolder,
    user: options.User = None,
    history: options.History = None,
    text: options.Text = "",
    count: options.Count = 10,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy", metavar="JSON", help='Find items by way of wishes, for an objective: {"objectives": {...}}.'
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why, for every item.")] = False,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="JSON", help='Only items with these properties: {"brand": "X"}.')
    ] = None,
    exclude: Annotated[str | None, typer.Option("--exclude", metavar="A,B", help="Never these items.")] = None,
    diversity: Annotated[
        float | None, typer.Option("--diversity", min=0.0, max=1.0, help="0 = best match, 1 = most different.")
    ] = None,
    context: Context = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Recommend for a known user, for a history of item ids, or for a wish in words; also for both together.

    With --strategy the list is come by in steps, which are shown: interest, wishes in words, items that exist, what
    attracts, the objective. Templates write wishes and reasons unless the settings name a model under generation.
    """
    from palate.cli.show import show_answer, stranger, wordless
    from palate.core.errors import UsageError
    from palate.engine import Engine

    chosen = options.language(language)
    if user is None and history is None and not text.strip():
        raise UsageError("say for whom: --user ID, --history A,B,C or --text WORDS.")
    if strategy is not None and (text.strip() or filter_ or exclude or diversity is not None):
        raise UsageError("--strategy finds its own items; leave out --text, --filter, --exclude and --diversity.")
    wanted = None if strategy is None else _object(strategy, "--strategy", '{"objectives": {"novelty": 0.2}}')
    engine = Engine.load(engine_folder)
    if user is not None and history is None and not engine.knows(user):
        console.aside(stranger(user, chosen))
    if text.strip() and not engine.catalogue.has_text:
        if user is None and history is None:
            raise UsageError(
                "a wish is held against titles and descriptions, and these items have none: say --user ID."
            )
        console.aside(wordless(chosen))
    if wanted is not None or explain:
        engine.writer = _writer(engine_folder, config)
    if wanted is not None:
        answer = engine.pursue(
            user,
            count,
            history=options.listed(history),
            strategy=wanted,
            context=_context(context),
            explain=explain,
            language=chosen,
        )
    else:
        answer = engine.recommend(
            user,
            k=count,
            history=options.listed(history),
            text=text,
            filter=None if filter_ is None else _object(filter_, "--filter", '{"brand": "X"}'),
            exclude=options.listed(exclude) or (),
            diversity=diversity,
            context=_context(context),
            explain=explain,
            language=chosen,
        )
    if explain:
        answer = engine.narrate(answer, language=chosen)
    if as_json:
        console.write_json(asdict(answer))
    else:
        show_answer(answer, engine.catalogue, chosen)


def similar(
    engine_folder: options.EngineFolder,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id of an item.")],
    count: options.Count = 10,
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="any|complement|substitute", help="Like it, taken with it, or in its place."),
    ] = "any",
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Items most like one item, or what goes with it, or what could stand in its place."""
    from palate.cli.show import show_answer
    from palate.engine import Engine

    chosen = options.language(language)
    engine = Engine.load(engine_folder)
    answer = engine.similar(item, k=count, kind=kind, language=chosen)
    if as_json:
        console.write_json(asdict(answer))
    else:
        show_answer(answer, engine.catalogue, chosen)


def explain(
    engine_folder: options.EngineFolder,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id of an item.")],
    user: options.User = None,
    history: options.History = None,
    text: options.Text = "",
    config: options.Config = None,
    context: Context = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Why an item gets its score: which models, which events, which words, which features; and in a sentence or two."""
    from palate.cli.show import show_explanation
    from palate.engine import Engine

    chosen = options.language(language)
    engine = Engine.load(engine_folder)
    engine.writer = _writer(engine_folder, config)
    told = options.listed(history)
    explanation = engine.explain(item, user, history=told, text=text, context=_context(context), language=chosen)
    explanation = engine.narrate(explanation, language=chosen)
    if as_json:
        console.write_json(asdict(explanation))
    else:
        show_explanation(explanation, chosen)


def _writer(engine_folder: Path, config: Path | None) -> TextGenerator:
    """Who writes, as the settings have it."""
    from palate.cli.settings import settings_for
    from palate.language.generation_choice import text_generator

    return text_generator(settings_for(engine_folder, config).generation)


def _context(text: str | None) -> dict[str, Any] | None:
    return None if text is None else _object(text, "--context", _MOMENT)


def _object(text: str, option: str, example: str) -> dict[str, Any]:
    """A JSON object from the command line."""
    from palate.core.errors import UsageError

    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{option} is not JSON ({error}); write for instance '{example}'.") from None
    if not isinstance(value, dict):
        raise UsageError(f"{option} must be a JSON object, for instance '{example}'.")
    return value


def describe(
    engine_folder: options.EngineFolder, language: options.Language = None, as_json: options.Json = False
) -> None:
    """Say what a trained engine is: its models and their weights, and every feature its ranker looks at or leaves."""
    from palate.cli.show import show_description
    from palate.engine import Engine

    chosen = options.language(language)
    described = Engine.load(engine_folder).describe()
    if as_json:
        console.write_json(described)
    else:
        show_description(described, chosen)


def profile(
    engine_folder: options.EngineFolder,
    user: options.User = None,
    mute: Annotated[str | None, typer.Option("--mute", metavar="A,B", help="Try: never show these topics.")] = None,
    add: Annotated[str | None, typer.Option("--add", metavar="A,B", help="Try: show more of these topics.")] = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """What is known of a user: habits, interests, corrections. With --mute or --add also what would then be shown.

    A try changes nothing. To keep it, the person tells a running server: PATCH /v1/users/ID/profile.
    """
    from palate.cli.show import show_answer, show_portrait
    from palate.core.errors import UsageError
    from palate.engine import Engine

    chosen = options.language(language)
    if user is None:
        raise UsageError("say whose: --user ID.")
    engine = Engine.load(engine_folder)
    trying = {"mute": options.listed(mute) or (), "add": options.listed(add) or ()}
    tries = any(trying.values())
    if tries:
        engine.correct(user, lambda edits: edits.changed(**trying))
    portrait = engine.portrait(user, chosen)
    answer = engine.recommend(user, language=chosen) if tries else None
    if as_json:
        console.write_json(
            {**asdict(portrait), **({} if answer is None else {"then": [own.item for own in answer.items]})}
        )
        return
    show_portrait(portrait, chosen)
    if answer is not None:
        show_answer(answer, engine.catalogue, chosen)

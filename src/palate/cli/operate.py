"""Verbs about running: ``serve`` answers over HTTP, ``doctor`` says what this machine has and lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from palate.cli import console, options

_SERVE = """[bold]Examples[/bold]

palate serve shop.engine

palate serve shop.engine --port 9000

palate serve shop.engine --host 0.0.0.0    (open to the network; only behind a door you trust)"""

_DOCTOR = """[bold]Examples[/bold]

palate doctor

palate doctor --json"""


def register(app: typer.Typer) -> None:
    app.command(epilog=_SERVE)(serve)
    app.command(epilog=_DOCTOR)(doctor)


def serve(
    engine_folder: options.EngineFolder,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; 127.0.0.1 where not given: only this machine.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", min=0, max=65_535, help="8420 where not given.")] = None,
    log: Annotated[Path | None, typer.Option("--log", metavar="FILE", help="The event log's SQLite file.")] = None,
    config: options.Config = None,
) -> None:
    """Serve a trained engine: the page at /, the API at /v1, its description at /openapi.json. Ends on Ctrl-C."""
    from palate.cli.settings import settings_for
    from palate.language.generation_choice import text_generator
    from palate.serving.server import serve as run

    tree = settings_for(engine_folder, config)
    settings = tree.serving
    engine: Any = engine_folder
    if tree.generation.asks:
        from palate.engine import Engine

        engine = Engine.load(engine_folder)
        engine.writer = text_generator(tree.generation)
    run(
        engine,
        host=host or settings.host,
        port=settings.port if port is None else port,
        log=log or settings.log or None,
        vault=settings.vault or None,
        settings=settings,
        pricing=tree.pricing,
        ready=lambda url: console.say(f"{url}  (Ctrl-C ends)"),
    )


def doctor(language: options.Language = None, as_json: options.Json = False) -> None:
    """Check this machine: Python, torch, processor, memory, the language model's weights, the cache.

    Exit code 1 where something palate needs is missing.
    """
    from dataclasses import asdict

    from palate.cli.diagnosis import FAIL, diagnose, in_words

    findings = diagnose()
    if as_json:
        console.write_json([asdict(finding) for finding in findings])
    else:
        for line in in_words(findings, options.language(language)):
            console.say(line)
    if any(finding.state == FAIL for finding in findings):
        raise typer.Exit(1)

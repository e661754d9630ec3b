"""``palate forget``: somebody wants to be forgotten, and is: in the logs, in the vault, in engines on disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli import console, options
from palate.cli.logs import vault_beside

if TYPE_CHECKING:
    from palate.engine import Engine

_FORGET = """[bold]Examples[/bold]

palate forget u0100

palate forget u0100 --engine shop.engine --log demo/events.sqlite

A server that runs meanwhile is told by DELETE /v1/users/u0100, or knows it when it starts again."""

_WORDS = {
    "en": "{user} is forgotten in {where}.",
    "zh": "已在 {where} 中删除 {user}。",
}


def register(app: typer.Typer) -> None:
    app.command(epilog=_FORGET)(forget)


def forget(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whoever asked for it, by the id of your data.")],
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="The event log; the server's usual one where not given."),
    ] = None,
    engine: Annotated[
        list[Path] | None,
        typer.Option(
            "--engine", metavar="ENGINE", help="A trained engine to forget in too. May be given several times."
        ),
    ] = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Forget a person: destroy their key, unname what they did, hold nothing towards them.

    The log of prices beside the event log is included. Both stay whole: their chains of hashes hold.
    """
    from palate.core import UnknownIdError, UsageError
    from palate.data.event_log import EventLog
    from palate.data.forgetting import forget as forget_in
    from palate.engine import Engine
    from palate.pricing.quoting import LOG
    from palate.privacy import REMAINS, Vault, data_home

    chosen = options.language(language)
    file = log or data_home() / "events.sqlite"
    if log is not None and not log.is_file():
        raise UsageError(f"{log} is not there: name the event log of the server, or leave out --log.")
    logs = [each for each in (file, file.with_name(LOG)) if each.is_file()]
    engines = [(folder, Engine.load(folder)) for folder in engine or ()]
    if not logs and not engines:
        raise UsageError(f"there is nothing to forget in: {file} is not there. Name a --log or an --engine.")
    known = any(own.knows(user) for _, own in engines)
    done: list[Path] = []
    with closing(Vault(vault_beside(file))) as vault:
        person = vault.pseudonym(user)
        for each in logs:
            with EventLog(each, vault) as opened:
                if forget_in(opened, person, known):
                    done.append(each)
    done += [folder for folder, own in engines if _forgotten(own, user, folder)]
    if not done:
        raise UnknownIdError("nobody is known under this id there; nothing was changed")
    if as_json:
        console.write_json({"user": user, "forgotten_in": [str(each) for each in done], "remains": REMAINS[chosen]})
        return
    console.say(_WORDS[chosen].format(user=user, where=", ".join(map(str, done))))
    console.say(REMAINS[chosen])


def _forgotten(engine: Engine, user: str, folder: Path) -> bool:
    if not engine.knows(user):
        return False
    engine.forget(user)
    engine.save(folder)
    return True

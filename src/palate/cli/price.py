"""Verbs of prices: ``price`` quotes, ``price-replay`` does every logged decision again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from palate.cli import console, options

_PRICE = """[bold]Examples[/bold]

palate price shop.engine tea-01,pot-01 --config shop/palate.toml --jurisdiction DE

palate price shop.engine tea-01 --user u01 --consent --jurisdiction US-NY --input loyalty=0.4

palate price shop.engine tea-01 --explain --language zh"""

_REPLAY = """[bold]Examples[/bold]

palate price-replay

palate price-replay events/prices.sqlite

palate price-replay prices.sqlite --head 1204:9f86d081884c7d65... --json"""

_MOST_SHOWN = 10


def register(app: typer.Typer) -> None:
    app.command(epilog=_PRICE)(price)
    app.command("price-replay", epilog=_REPLAY)(price_replay)


def price(
    engine_folder: options.EngineFolder,
    items: Annotated[str, typer.Argument(metavar="ITEM,ITEM", help="Ids of items.")],
    user: Annotated[str | None, typer.Option("--user", "-u", metavar="ID", help="Who asks.")] = None,
    consent: Annotated[bool, typer.Option("--consent", help="They agreed to prices from personal data.")] = False,
    jurisdiction: Annotated[
        str, typer.Option("--jurisdiction", metavar="CODE", help="Whose law holds: CN, DE, US-NY ...")
    ] = "",
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=NUMBER", help="A declared input. May be given several times."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why, for every price.")] = False,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Quote prices as the server would: bounded, lawful, disclosed, and written into the log of decisions.

    Prices are off until palate.toml says otherwise under \\[pricing]: the one here, in the engine's folder, or the one
    that --config names.
    """
    from palate.cli.settings import settings_for
    from palate.engine import Engine
    from palate.engine.pricing import quoter_of
    from palate.pricing.asking import Question
    from palate.pricing.explaining import explained
    from palate.pricing.quoting import open_or_off
    from palate.privacy import Vault, data_home

    chosen = options.language(language)
    settings = settings_for(engine_folder, config)
    engine = Engine.load(engine_folder)
    open_or_off(settings.pricing)
    vault = Vault(settings.serving.vault or None)
    place = Path(settings.serving.log).parent if settings.serving.log else data_home()
    quoter = quoter_of(engine, settings.pricing, vault, place)
    try:
        question = Question(
            tuple(options.listed(items) or ()),
            person="" if user is None else vault.pseudonym(user),
            user=None if user is None else engine.known_as(user),
            told=_inputs(input_),
            jurisdiction=jurisdiction or None,
            consent=consent,
            language=chosen,
        )
        quote = quoter.quote(question)
        told = None
        decision = quoter.log.find(quote.decision_id) if explain else None
        if decision is not None:
            then, repeated = quoter.repeated(decision)
            told = explained(decision, then, repeated, quoter.packs.by_id.get(quote.pack), chosen)
        mistakes = list(quoter.shelf.book.mistakes())
    finally:
        quoter.close()
        vault.close()
    if as_json:
        console.write_json({**quote.as_json(), **({} if told is None else {"explanation": told})})
        return
    for mistake in mistakes:
        console.aside(mistake)
    rows = [
        [
            line.item,
            _money(line.price),
            _money(line.list_price),
            f"{_money(line.low)} - {_money(line.high)}",
            line.currency,
            ", ".join(line.clips),
        ]
        for line in quote.lines
    ]
    head = (
        ("商品", "价格", "标价", "范围", "货币", "调整")
        if chosen == "zh"
        else ("item", "price", "list", "bounds", "currency", "clips")
    )
    console.table(f"{quote.pack}  {quote.decision_id}", head, rows)
    for line in quote.lines:
        if line.disclosure:
            console.say(f"{line.item}: {line.disclosure}")
    for each in [] if told is None else told["prices"]:
        console.say(f"{each['item_id']}: {each['text']}")
    for name, why in quote.left_out.items():
        console.aside(f"{name}: {why}")


def price_replay(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The log of decisions, prices.sqlite; the usual one if left out."),
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", metavar="N:HASH", help="An end of the chain noted earlier, to hold it to.")
    ] = None,
    vault: Annotated[
        Path | None,
        typer.Option("--vault", metavar="FILE", help="Its key vault; beside the log, or the usual one."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Do every decision in the log again, bit for bit, after walking its chain of hashes.

    Exit code 1 where the log was changed or a decision comes out otherwise. Decisions whose personal inputs were erased
    are counted apart: they cannot be done again, and are as they were written.
    """
    from palate.cli.logs import log_at, noted, vault_beside, verdict_of
    from palate.pricing.beliefs import earlier
    from palate.pricing.decisions import replayed
    from palate.pricing.quoting import versions_beside
    from palate.privacy import Vault

    file = log_at(file, "prices.sqlite")
    verdict = verdict_of(file, noted(head))
    if not verdict.ok:
        told = {"ok": False, "rows": verdict.rows, "problem": verdict.problem}
        console.write_json(told) if as_json else console.say(f"{file}: after {verdict.rows:,} rows: {verdict.problem}")
        raise typer.Exit(1)
    keys = Vault(vault or vault_beside(file))
    try:
        same, erased, others = replayed(file, keys, earlier(versions_beside(file)))
    finally:
        keys.close()
    if as_json:
        console.write_json(
            {
                "ok": not others,
                "rows": verdict.rows,
                "head": f"{verdict.head.seq}:{verdict.head.hash}",
                "same": same,
                "erased": erased,
                "different": [{"decision_id": each.id, "problem": each.problem} for each in others],
            }
        )
    else:
        console.say(f"{file}: {verdict.rows:,} rows, all as written. Head {verdict.head.seq}:{verdict.head.hash}")
        console.say(f"{same:,} decisions the same to the bit, {erased:,} erased, {len(others):,} different")
        for each in others[:_MOST_SHOWN]:
            console.say(f"{each.id}: {each.problem}")
    if others:
        raise typer.Exit(1)


def _inputs(given: list[str] | None) -> dict[str, float]:
    from palate.core.errors import UsageError

    told: dict[str, float] = {}
    for text in given or []:
        name, equals, number = (part.strip() for part in text.partition("="))
        try:
            told[name] = float(number)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise UsageError(f"--input {text!r}: write NAME=NUMBER, for instance --input loyalty=0.4.")
    return told


def _money(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"

"""``palate predict``: what somebody will do next, how likely, on what evidence; and how well that proves true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.engine.foretelling import Predicted
    from palate.evaluation.foresight import KindReport

INPUTS = 5
"""Inputs named behind each probability."""

_PREDICT = """[bold]Examples[/bold]

palate predict shop --user u01 --items tea-01,pot-01

palate predict shop --history tea-01,cup-01 --items pot-01 --kinds purchase --prices 19.90

palate predict shop.engine --user u01 --items tea-01

palate predict shop --report --body auto

palate predict shop --report --body linear,trees,lstm --json report.json"""

_NOBODY = "nobody is named (--user ID or --history A,B): this is foreseen of somebody never seen before"
_WORDS = {
    "en": ("item", "what", "probability", "from", "to", "because of"),
    "zh": ("商品", "行为", "概率", "下界", "上界", "依据"),
}
_REPORT = {
    "en": ("what", "by", "occasions", "accuracy", "precision", "recall", "F1", "AUC", "log loss", "calibration"),
    "zh": ("行为", "方法", "样本", "准确率", "精确率", "召回率", "F1", "AUC", "对数损失", "校准误差"),
}
_KIND = {
    "en": {"view": "view", "click": "click", "purchase": "purchase", "rating": "high rating"},
    "zh": {"view": "浏览", "click": "点击", "purchase": "购买", "rating": "高评分"},
}


def register(app: typer.Typer) -> None:
    app.command(epilog=_PREDICT)(predict)


def predict(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Data, as for training, or a trained engine.", show_default=False)
    ],
    user: options.User = None,
    history: options.History = None,
    items: Annotated[str | None, typer.Option("--items", metavar="A,B", help="About these items.")] = None,
    kinds: Annotated[
        str | None, typer.Option("--kinds", metavar="A,B", help="view, click, purchase, rating; all where not given.")
    ] = None,
    prices: Annotated[
        str | None, typer.Option("--prices", metavar="A,B", help="Asked now, one an item; list prices if not given.")
    ] = None,
    when: Annotated[
        str | None, typer.Option("--when", metavar="TIME", help="Seconds since 1970, or ISO 8601 with a zone; now.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="How well the later part of the data is foreseen from the earlier.")
    ] = False,
    body: Annotated[
        str | None,
        typer.Option("--body", metavar="NAME", help="linear, forest, trees, lstm, gru or auto; several with --report."),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", metavar="NAME", help="Language model, as in the settings.")
    ] = None,
    seed: options.Seed = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help='Write JSON; "-" is standard output.')
    ] = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Foresee what somebody does next: probabilities with intervals, and what they rest on; or a prediction report.

    An engine trained with --foresee answers at once.
    """
    from palate.cli.settings import settings_for
    from palate.core import UsageError
    from palate.core.artefact import MANIFEST
    from palate.core.space import changed
    from palate.engine.assembly import reader

    chosen = options.language(language)
    bodies = options.listed(body) or []
    _check(report, bodies, items, user, history)
    wanted = options.listed(items) or []
    asked: dict[str, Any] = {"kinds": options.listed(kinds), "prices": _prices(prices), "when": _moment(when)}
    asked |= {"inputs": INPUTS, "language": chosen}
    if (folder / MANIFEST).is_file():
        data_only = {"--report": report, "--body": body, "--encoder": encoder, "--columns": columns, "--config": config}
        for option, value in (data_only | {"--seed": seed is not None}).items():
            if value:
                raise UsageError(f"{option} is for a folder of data; {folder} is an engine, which has learnt already.")
        _tell(*_by_engine(folder, user, options.listed(history), wanted, asked), json_file, chosen)
        return
    settings = settings_for(folder, config)
    own = settings.engine.models.next_behaviour
    given: dict[str, Any] = {"seed": seed, "body": bodies[0] if bodies else None}
    own = changed(own, {name: value for name, value in given.items() if value is not None})
    dataset = load(folder, settings.data, options.pairs(columns))
    engine = settings.engine
    if encoder is not None:
        engine = engine.model_copy(update={"encoder": engine.encoder.model_copy(update={"encoder": encoder})})
    notes: list[str] = []
    reads = reader(dataset, engine, notes)
    if report:
        from palate.evaluation.foresight import foresight_report

        reports, said = foresight_report(dataset, reads, own, bodies or [own.body])
        if json_file is not None:
            console.write_json({"reports": [asdict(one) for one in reports], "notes": [*notes, *said]}, json_file)
        if json_file != console.STDOUT:
            show_report(reports, chosen)
            for note in said:
                console.say(note)
        return

    from palate.core import Histories
    from palate.engine.foretelling import Foretelling, with_kinds

    if user is not None:
        if user not in dataset.user_ids:
            raise UsageError(
                f"nobody called {user!r} is among the {dataset.n_users:,} people of {folder}, such as "
                f"{dataset.user_ids[0]!r}; name one of them, or give a --history instead."
            )
        known = dataset.sequences.take(dataset.user_ids.positions([user]))
    else:
        told = options.listed(history)
        if not told:
            notes.append(_NOBODY)
        known = Histories.empty(1) if not told else with_kinds(dataset.catalogue, dataset, told)
    found = Foretelling(dataset, own, reads).predict(dataset.catalogue, known, wanted, **asked)
    _tell(found, notes, json_file, chosen)


def _by_engine(
    folder: Path, user: str | None, history: list[str] | None, items: list[str], asked: Mapping[str, Any]
) -> tuple[Predicted, list[str]]:
    from palate.cli.show import stranger
    from palate.engine import Engine

    engine, notes = Engine.load(folder), []
    if user is not None and not engine.knows(user):
        notes.append(stranger(user, asked["language"]))
    if user is None and not history:
        notes.append(_NOBODY)
    return engine.predict(items, user, history=history, **asked), notes


def _tell(found: Predicted, notes: list[str], json_file: str | None, language: str) -> None:
    if json_file is not None:
        console.write_json({**asdict(found), "notes": [*notes, *found.notes]}, json_file)
    if json_file != console.STDOUT:
        show_predictions(found, language)
        for note in notes:
            console.say(note)


def show_predictions(found: Predicted, language: str = "en") -> None:
    """Each probability on a line, what it means below."""
    rows = []
    for one in found.predictions:
        because = ", ".join(f"{own.name} {own.effect:+.2f}" for own in one.inputs)
        figures = (f"{value:.4f}" for value in (one.probability, one.low, one.high))
        rows.append([one.item, _KIND[language][one.kind], *figures, because])
    console.table("", _WORDS[language], rows)
    for kind, meaning in found.populations.items():
        console.say(f"{_KIND[language][kind]} ({found.bodies[kind]}): {meaning}")
    console.say(found.interval)
    for note in found.notes:
        console.say(note)


def show_report(reports: list[KindReport], language: str = "en") -> None:
    """One kind and body a line, every figure with its interval."""
    rows = [
        [
            _KIND[language][one.kind],
            one.body,
            f"{one.occasions:,} ({one.happened / one.occasions:.1%})",
            *(f"{own.estimate:.3f} [{own.low:.3f}, {own.high:.3f}]" for own in one.measures.values()),
        ]
        for one in reports
    ]
    console.table("", _REPORT[language], rows)


def _check(report: bool, bodies: list[str], items: str | None, user: str | None, history: str | None) -> None:
    from palate.core import UsageError
    from palate.models.foreseeing.settings import BODIES

    for name in bodies:
        if name not in (*BODIES, "auto"):
            raise UsageError(f"--body {name}: there are {', '.join(BODIES)} and auto.")
    if report and (items or user or history):
        raise UsageError("--report is about everybody; leave out --user, --history and --items.")
    if not report and len(bodies) > 1:
        raise UsageError("several bodies are compared by --report; name one.")
    if not report and not items:
        raise UsageError("say about what: --items A,B (and about whom: --user ID or --history A,B).")
    if user is not None and history is not None:
        raise UsageError("give --user or --history, not both.")


def _prices(text: str | None) -> list[float | None] | None:
    from palate.core import UsageError

    parts = options.listed(text)
    if parts is None:
        return None
    try:
        return [float(part) for part in parts]
    except ValueError:
        raise UsageError(f"--prices {text}: write numbers with a point, one an item, separated by commas.") from None


def _moment(text: str | None) -> float | None:
    from datetime import datetime

    from palate.core import UsageError

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise UsageError(
            f"--when {text}: neither seconds since 1970 nor ISO 8601 with a zone (2026-01-31T18:00+08:00)."
        )
    return when.timestamp()

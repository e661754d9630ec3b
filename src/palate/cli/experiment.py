"""``palate experiment``: power, create, start, status, stop, conclude. The server notices each step by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from palate.cli import console, options, power

if TYPE_CHECKING:
    from palate.experiments.loop import Loop
    from palate.experiments.store import Record

_CREATE = """[bold]Examples[/bold]

palate experiment create novel.toml

where novel.toml says

name = "novel"
hypothesis = "Lists with less-known items content people more"
\\[\\[arms]]
name = "today"
\\[\\[arms]]
name = "novel"
parameters = {mix = {objectives = {accuracy = 0.8, novelty = 0.2}}}
\\[plan]
planned_units = 20000
metrics = ["click_through", {name = "satisfaction", role = "guard-rail", margin = 0.02}]"""

_STATUS = """[bold]Examples[/bold]

palate experiment status

palate experiment status novel --look --language zh

palate experiment status novel --json | jq .latest.decision"""

_CONCLUDE = """[bold]Examples[/bold]

palate experiment conclude novel

palate experiment conclude novel --winner today      (keep what is)

palate experiment conclude novel --winner novel --even-so

The arm that won takes the place of what is in force, if people are no less content with it; a few people keep what was
served before, so that a breach of a guard-rail brings it back."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Experiments",
        "head": "name,state,days,units,looks,decision,in force",
        "none": "No experiment has been created yet: palate experiment create FILE",
        "draft": "draft",
        "running": "running",
        "stopped": "stopped",
        "concluded": "concluded",
        "created": "{name} is a draft. Let it run: palate experiment start {name}",
        "unchanged": "{name} says this already; it is {state}.",
        "started": "{name} runs. A server takes it up within seconds.",
        "ended": "{name} is stopped; everybody is served what is in force.",
        "switched": "{name}: {why} {winner} is in force now.",
        "kept": "{name}: {why} What was in force stays.",
        "facts": "{name}: {state}, {unit}, {design}; {units:,} of {planned:,} units, "
        "day {days:.1f} of {planned_days:g}.",
        "unseen": "It has not been looked at yet.",
        "seen": "Looked at {when}:",
        "refused": "no reading",
        "stop": "stop",
        "ship": "ship",
        "keep": "keep",
        "continue": "go on",
        "inconclusive": "inconclusive",
    },
    "zh": {
        "title": "实验",
        "head": "名称,状态,天数,单元数,查看次数,决定,正在采用",
        "none": "还没有创建任何实验：palate experiment create 文件",
        "draft": "草稿",
        "running": "进行中",
        "stopped": "已停止",
        "concluded": "已结束",
        "created": "{name} 已存为草稿。启动：palate experiment start {name}",
        "unchanged": "{name} 已是如此声明，当前状态：{state}。",
        "started": "{name} 已开始，服务器会在数秒内接手。",
        "ended": "{name} 已停止，所有人改用当前采用的方案。",
        "switched": "{name}：{why} 现已采用 {winner}。",
        "kept": "{name}：{why} 维持当前采用的方案。",
        "facts": "{name}：{state}，{unit}，{design}；{planned:,} 个计划单元中已有 {units:,} 个，"
        "第 {days:.1f} 天，共 {planned_days:g} 天。",
        "unseen": "尚未查看过。",
        "seen": "查看于 {when}：",
        "refused": "不可读取",
        "stop": "停止",
        "ship": "采用",
        "keep": "保留",
        "continue": "继续",
        "inconclusive": "无定论",
    },
}

Log: TypeAlias = Annotated[
    Path | None,
    typer.Option("--log", metavar="FILE", help="The server's event log; experiments are kept beside it."),
]
Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="The experiment's name.")]
By: TypeAlias = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does it; your login's name.")]

experiment = typer.Typer(help="Experiments: power, create, start, status, stop, conclude.")


def register(app: typer.Typer) -> None:
    power.register(experiment)
    experiment.command(epilog=_CREATE)(create)
    experiment.command()(start)
    experiment.command(epilog=_STATUS)(status)
    experiment.command()(stop)
    experiment.command(epilog=_CONCLUDE)(conclude)
    app.add_typer(experiment, name="experiment")


@experiment.callback()
def _experiment() -> None:
    """Experiments: who sees what, what came of it, and what is served from then on."""


def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The declaration, as TOML.")],
    log: Log = None,
    by: By = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Write an experiment down as a draft. A draft may be written anew; what was started is never edited."""
    from palate.experiments.definition import read_experiment

    words, declared = _words(language), read_experiment(file)
    with opened(log, config) as loop:
        steps = {record.name: len(record.steps) for record in loop.store.all()}
        record = loop.store.declare(declared, _actor(by))
        said = "unchanged" if len(record.steps) == steps.get(record.name) else "created"
        console.say(words[said].format(name=record.name, state=words[record.state]))


def start(
    name: Name, log: Log = None, by: By = None, config: options.Config = None, language: options.Language = None
) -> None:
    """Let a draft run. Refused where it could meet another running experiment in the same person."""
    words = _words(language)
    with opened(log, config) as loop:
        loop.store.start(name, _actor(by))
    console.say(words["started"].format(name=name))


def status(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One experiment; all where left out.")] = None,
    look: Annotated[bool, typer.Option("--look", help="Look now, where its design allows it.")] = False,
    log: Log = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Say what is tried and what was seen of it last. The server looks by itself when it is time."""
    chosen = options.language(language)
    words = _WORDS[chosen]
    with opened(log, config) as loop:
        if name is None:
            records = loop.store.all()
            if as_json:
                console.write_json([facts_of(loop, record) for record in records])
            elif not records:
                console.say(words["none"])
            else:
                rows = [_row(loop, record, words) for record in records[::-1]]
                console.table(words["title"], words["head"].split(","), rows, left=2)
            return
        if look:
            loop.look(name)
        record = loop.store.of(name)
        if as_json:
            console.write_json(facts_of(loop, record))
            return
        for line in _sentences(loop, record, chosen):
            console.say(line)


def stop(
    name: Name,
    because: Annotated[str, typer.Option("--because", metavar="WHY", help="Why, for those who read it later.")] = "",
    log: Log = None,
    by: By = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """End a running experiment at once; everybody is served what is in force."""
    words = _words(language)
    with opened(log, config) as loop:
        loop.store.stop(name, because, _actor(by))
    console.say(words["ended"].format(name=name))


def conclude(
    name: Name,
    winner: Annotated[
        str | None, typer.Option("--winner", metavar="ARM", help="The arm to serve; the one that won if left out.")
    ] = None,
    even_so: Annotated[
        bool, typer.Option("--even-so", help="Also if the data does not show that it is better.")
    ] = False,
    log: Log = None,
    by: By = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Take a last look, write down what it shows, and put the winner in force."""
    words = _words(language)
    with opened(log, config) as loop:
        found = loop.conclude(name, winner, by=_actor(by), even_so=even_so)
        report = loop.store.of(name).seen[-1].report
    spoken = found.why if found.why != report["words"]["en"][-1] else report["words"][options.language(language)][-1]
    said = "switched" if found.switched else "kept"
    console.say(words[said].format(name=name, why=spoken, winner=found.winner))


@contextmanager
def opened(log: Path | None, config: Path | None) -> Iterator[Loop]:
    """The experiments beside an event log, and the logs they are read from."""
    from contextlib import ExitStack, closing

    from palate.cli.logs import vault_beside
    from palate.cli.settings import settings_for
    from palate.data.event_log import EventLog
    from palate.experiments.exposures import ExposureLog
    from palate.experiments.loop import Loop
    from palate.experiments.store import Experiments
    from palate.privacy import Vault, data_home

    settings = settings_for(None, config).serving
    path = log or (Path(settings.log) if settings.log else data_home() / "events.sqlite")
    folder = path.parent / "experiments"
    with ExitStack() as stack:
        vault = stack.enter_context(closing(Vault(settings.vault or vault_beside(path))))
        events = stack.enter_context(EventLog(path, vault))
        store = stack.enter_context(Experiments(folder, vault))
        exposures = stack.enter_context(closing(ExposureLog(folder, vault)))
        yield Loop(store, exposures, events)


def facts_of(loop: Loop, record: Record) -> dict[str, Any]:
    """An experiment as plain values."""
    return {
        "name": record.name,
        "state": record.state,
        "started": record.started,
        "ended": record.ended,
        "days": record.days(record.ended or loop.store.now()),
        "exposures": loop.exposures.count(record.name),
        "winner": record.winner,
        "in_force": loop.store.policy.experiment == record.name,
        "looks": len(record.seen),
        "latest": record.seen[-1].report if record.seen else None,
        "steps": [{"what": step.what, "time": step.time, "by": step.by, "why": step.why} for step in record.steps],
        "declaration": record.experiment.model_dump(mode="json"),
    }


def _row(loop: Loop, record: Record, words: Mapping[str, str]) -> list[str]:
    decision = words[str(record.seen[-1].report["decision"])] if record.seen else "—"
    return [
        record.name,
        words[record.state],
        f"{record.days(record.ended or loop.store.now()):.1f}",
        f"{loop.exposures.count(record.name):,}",
        str(len(record.seen)),
        decision,
        record.winner if loop.store.policy.experiment == record.name else "",
    ]


def _sentences(loop: Loop, record: Record, language: options.Spoken) -> list[str]:
    words, own = _WORDS[language], record.experiment
    lines = [
        words["facts"].format(
            name=record.name,
            state=words[record.state],
            unit=own.unit,
            design=own.plan.design,
            units=loop.exposures.count(record.name),
            planned=own.plan.planned_units,
            days=record.days(record.ended or loop.store.now()),
            planned_days=own.days,
        )
    ]
    if not record.seen:
        return [*lines, words["unseen"]]
    report = record.seen[-1].report
    when = datetime.fromtimestamp(report["time"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    return [*lines, words["seen"].format(when=when), *(f"  {line}" for line in report["words"][language])]


def _words(language: str | None) -> Mapping[str, str]:
    return _WORDS[options.language(language)]


def _actor(by: str | None) -> str:
    if by is not None:
        return by
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""

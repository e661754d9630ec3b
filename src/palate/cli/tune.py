"""The verb that looks for better settings and says what mattered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.evaluation.components import Tuning
    from palate.evaluation.journal import Trial

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

SHOWN = 10
"""Trials in the table, the best ones; the JSON has all of them."""

_WORDS = {
    "en": {
        "trials": "best trials",
        "trial": "trial",
        "seconds": "seconds",
        "changed": "other than the start",
        "start": "start",
        "questions": "validation questions",
        "setting": "setting",
        "importance": "share of what varied that it explains",
        "few": "Fewer than {count} finished trials do not tell which settings mattered.",
        "best": "best: NDCG@10 {best:.4f}, start: {start:.4f} ({gain:+.1%}), after {count} trials in {seconds:.0f} s",
        "optimistic": "The questions that chose it flatter it: `palate evaluate` measures on others.",
        "resumed": "{count} trials were there from an earlier run.",
        "budget": "The budget is spent. With a larger one the same command goes on.",
        "exhausted": "There is nothing left to try.",
        "interrupted": "Stopped. The same command goes on from here.",
        "nothing": "No trial has ended yet.",
        "failed": "{count} trials failed, the last one: {failure}",
        "kept": "kept in {journal}",
    },
    "zh": {
        "trials": "最好的尝试",
        "trial": "尝试",
        "seconds": "秒",
        "changed": "与起点不同之处",
        "start": "起点",
        "questions": "个验证问题",
        "setting": "设置",
        "importance": "解释的差异比例",
        "few": "完成的尝试少于 {count} 次，还看不出哪些设置重要。",
        "best": "最好：NDCG@10 {best:.4f}，起点：{start:.4f}（{gain:+.1%}），共 {count} 次尝试，用时 {seconds:.0f} 秒",
        "optimistic": "用来挑选设置的问题会高估效果，请用 `palate evaluate` 在其他问题上度量。",
        "resumed": "其中 {count} 次尝试来自先前的运行。",
        "budget": "预算已用完。增大预算后运行同一条命令即可继续。",
        "exhausted": "已没有可以再试的设置。",
        "interrupted": "已停止。再次运行同一条命令即可继续。",
        "nothing": "还没有任何一次尝试完成。",
        "failed": "{count} 次尝试失败，最后一次：{failure}",
        "kept": "保存在 {journal}",
    },
}

_TUNE = """[bold]Examples[/bold]

palate tune transitions shop --protocol temporal --minutes 5

palate tune ranker shop --trials 30 --settings leaves,learning_rate --json tuned.json

palate tune palate shop --minutes 60 --write tuned.toml

What can be tuned: any model by its name; [bold]ranker[/bold], [bold]candidates[/bold], [bold]fusion[/bold]; the whole
engine, [bold]palate[/bold]. Only validation questions decide, never the test. Budgets are totals: the same command
again goes on where the last run stopped, and with the same seed tries what one long run would have tried."""


def register(app: typer.Typer) -> None:
    app.command(epilog=_TUNE)(tune)


def tune(
    component: Annotated[
        str, typer.Argument(metavar="COMPONENT", help="A model, ranker, candidates, fusion, or palate for the whole.")
    ],
    folder: options.DataFolder,
    protocol: Annotated[str | None, typer.Option("--protocol", metavar="NAME", help="loo-strict or temporal.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="For how long; 10 where neither this nor --trials is given.")
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", help="How many settings to try.")] = None,
    only: Annotated[
        str | None, typer.Option("--settings", metavar="A,B", help="Search these settings; all usual ones if left out.")
    ] = None,
    preset: options.Preset = None,
    seen: Annotated[
        str | None, typer.Option("--seen", metavar="auto|mask|keep", help="May items of the history come again?")
    ] = None,
    seed: options.Seed = None,
    state: Annotated[
        Path, typer.Option("--state", metavar="FOLDER", help="Where trials are kept, to go on from.")
    ] = Path("out/tune"),
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write the best settings as tables of palate.toml.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help='Write all as JSON; "-" is standard output.')
    ] = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
) -> None:
    """Look for better settings of a component on validation questions, and say which of them mattered.

    Ctrl-C ends it with the best found so far (exit code 130); the same command goes on from there.
    """
    from palate.cli.settings import settings_for
    from palate.core.artefact import write_text
    from palate.evaluation.components import tune_component
    from palate.evaluation.search import Budget
    from palate.evaluation.tuned import as_json, as_toml

    chosen = options.language(language)
    budget = Budget(trials, 10.0 if trials is None and minutes is None else minutes)
    if write is not None:
        _check_free(write)
    settings = settings_for(folder, config)
    dataset = load(folder, settings.data, options.pairs(columns))
    with console.progress() as progress:
        step = f"tune {component}"
        progress(step, 0.0)

        def heard(_trial: Trial, share: float) -> None:
            progress(step, share)

        tuning = tune_component(
            dataset,
            component,
            protocol=protocol or settings.evaluation.protocol,
            budget=budget,
            settings=settings.engine_of(preset or settings.training.preset),
            only=options.listed(only),
            seen=seen or settings.evaluation.seen,
            seed=settings.training.seed if seed is None else seed,
            state=state,
            heard=heard,
        )
    if write is not None and tuning.found.best is not None:
        write_text(write, as_toml(tuning))
    if json_file is not None:
        console.write_json(as_json(tuning), json_file)
    if json_file != console.STDOUT:
        _show(tuning, chosen)
    if tuning.found.ended == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _check_free(path: Path) -> None:
    """Somebody's own settings are not written over.

    Raises
    ------
    UsageError
        The file is there, and `palate tune` has not written it.
    """
    from palate.core.errors import UsageError
    from palate.evaluation.tuned import MARK

    if path.exists() and not (path.is_file() and path.read_bytes().startswith(MARK.encode())):
        raise UsageError(
            f"{path} is there already and holds more than `palate tune` wrote. Name another file and copy its tables."
        )


def _show(tuning: Tuning, language: str) -> None:
    from palate.evaluation.journal import TELLING
    from palate.evaluation.tuned import as_toml, short, varied

    words, found, ground = _WORDS[language], tuning.found, tuning.ground
    best = found.best
    if best is None:
        console.say(words["nothing"])
        console.say(words[found.ended])
        return
    numbered = [(number, trial) for number, trial in enumerate(found.trials) if trial.quality is not None]
    numbered.sort(key=lambda entry: -(entry[1].quality or 0.0))
    rows = []
    for number, trial in numbered[:SHOWN]:
        told = ", ".join(f"{name} {value}" for name, value in varied(tuning, trial).items())
        rows.append([told if number else words["start"], str(number), f"{trial.quality:.4f}", f"{trial.seconds:.1f}"])
    title = (
        f"{tuning.component} · {ground.train.name} · {ground.protocol} · seed {tuning.seed} · "
        f"{len(ground.asked):,} {words['questions']} · {words['trials']}"
    )
    console.table(title, [words["changed"], words["trial"], "ndcg@10", words["seconds"]], rows)
    if found.importance:
        shares = [[short(tuning, name), f"{share:.0%}"] for name, share in found.importance.items()]
        console.table("", [words["setting"], words["importance"]], shares)
    else:
        console.say(words["few"].format(count=TELLING))
    console.say(as_toml(tuning))
    start = found.trials[0].quality or 0.0
    gain = (best.quality or 0.0) / start - 1 if start else 0.0
    seconds = sum(trial.seconds for trial in found.trials)
    told = words["best"].format(best=best.quality, start=start, gain=gain, count=len(found.trials), seconds=seconds)
    console.say(f"{told}. {words['optimistic']}" if language == "en" else f"{told}。{words['optimistic']}")
    failures = [trial.failure for trial in found.trials if trial.failure]
    if failures:
        console.say(words["failed"].format(count=len(failures), failure=failures[-1]))
    if found.resumed:
        console.say(words["resumed"].format(count=found.resumed))
    console.say(words[found.ended])
    if tuning.journal is not None:
        console.say(words["kept"].format(journal=tuning.journal))

"""The verb that teaches the language model a shop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.data import Dataset
    from palate.language.tuning.shop import Adapted

_WORDS = {
    "en": {
        "wrote": "{out}: {source}, {method}, {dimensions} dimensions, {epochs} epochs in {seconds:.0f} s",
        "gain": "NDCG@10 by texts alone, events not learnt from: {before:.4f} before, {after:.4f} now ({gain:+.0%})",
        "others": "Learnt from besides: {count:,} texts in other words ({by})",
        "unset": "; no text generator is set up, so clauses were turned around",
        "blind": "Too few users to hold any out: nothing says whether it became better.",
        "use": "To use it, write into palate.toml:",
    },
    "zh": {
        "wrote": "{out}：{source}，{method}，{dimensions} 维，{epochs} 轮，用时 {seconds:.0f} 秒",
        "gain": "未参与学习的事件，仅凭文本的 NDCG@10：之前 {before:.4f}，现在 {after:.4f}（{gain:+.0%}）",
        "others": "另外学习了 {count:,} 条换种说法的文本（{by}）",
        "unset": "；未设置文本生成器，因此只调换了分句",
        "blind": "用户太少，没有留出数据，因此无法判断是否变好。",
        "use": "要使用它，请在 palate.toml 中写入：",
    },
}

_ADAPT = """[bold]Examples[/bold]

palate adapt shop --out shop.encoder

palate adapt shop --out shop.encoder --method lora --epochs 3

palate adapt shop --out shop.encoder --method full --reading 2 --whole

Then palate.toml says [bold]\\[engine.encoder] encoder = "shop.encoder"[/bold], and `palate train` reads with it.
[bold]frozen[/bold] teaches a head on top in minutes; [bold]lora[/bold], [bold]adalora[/bold], [bold]adapters[/bold] and
[bold]full[/bold] change the model itself and want a large machine, or patience. A run that was killed goes on where it
was with the same command."""


def register(app: typer.Typer) -> None:
    app.command(epilog=_ADAPT)(adapt)


def adapt(
    folder: options.DataFolder,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="ENCODER", help="Where the encoder goes, a folder.")],
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="minilm, or a model's folder or hub name.")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="frozen (a head only), lora, adalora, adapters or full.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option("--layers", min=0, help="Uppermost layers that learn; 0 is all of them.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the histories at most.")] = None,
    reading: Annotated[
        int | None, typer.Option("--reading", min=0, help="Passes over the texts alone, before.")
    ] = None,
    paraphrases: Annotated[
        int | None, typer.Option("--paraphrases", min=0, max=8, help="Other words for each text to learn from too.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Write the model too, so that the folder needs no other.")
    ] = False,
    protocol: Annotated[
        str | None, typer.Option("--protocol", metavar="NAME", help="Learn only what this protocol lets be learnt.")
    ] = None,
    seed: options.Seed = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Teach the language model a shop: what people take one after the other shall read alike."""
    from time import perf_counter

    from palate.cli.settings import settings_for
    from palate.core.space import changed

    chosen = options.language(language)
    settings = settings_for(folder, config)
    said: dict[str, Any] = {
        "model": model,
        "trunk.method": method,
        "trunk.layers": layers,
        "course.epochs": epochs,
        "reading": reading,
        "paraphrases": paraphrases,
        "course.seed": settings.training.seed if seed is None else seed,
    }
    how = changed(settings.adapt, {name: value for name, value in said.items() if value is not None})
    _check_free(out)
    dataset = load(folder, settings.data, options.pairs(columns))
    if protocol is not None:
        dataset = _learnable(dataset, protocol)

    from palate.language.generation_choice import text_generator
    from palate.language.tuning.shop import adapt as teach

    started = perf_counter()
    with console.progress() as progress:
        adapted = teach(dataset, how, progress, writer=text_generator(settings.generation))
    adapted.save(out, whole=whole)
    facts = _facts(adapted, out, perf_counter() - started)
    if as_json:
        console.write_json({**facts, "settings": how.model_dump(mode="json")})
        return
    words = _WORDS[chosen]
    console.say(words["wrote"].format(**facts))
    if adapted.others:
        by = ", ".join(f"{name} {count:,}" for name, count in adapted.others.items())
        line = words["others"].format(count=sum(adapted.others.values()), by=by)
        console.say(line + ("" if settings.generation.asks else words["unset"]))
    before, after = adapted.before, adapted.after
    if before and after is not None:
        console.say(words["gain"].format(before=before, after=after, gain=after / before - 1))
    else:
        console.say(words["blind"])
    console.say(words["use"])
    console.say(f'[engine.encoder]\nencoder = "{out}"')


def _facts(adapted: Adapted, out: Path, seconds: float) -> dict[str, Any]:
    trunk, course = adapted.trunk, adapted.course
    return {
        "out": str(out),
        "source": trunk.source,
        "method": trunk.settings.method,
        "dimensions": adapted.vectors.width,
        "epochs": course.epoch,
        "seconds": seconds,
        "before": adapted.before,
        "after": adapted.after,
        "history": [list(entry) for entry in course.history],
        "paraphrases": dict(adapted.others),
    }


def _learnable(dataset: Dataset, protocol: str) -> Dataset:
    """The part that a protocol lets be learnt."""
    from palate.evaluation.protocols import plan

    return plan(dataset, protocol).train


def _check_free(out: Path) -> None:
    """Nothing but an encoder is written over; said before hours of work, not after.

    Raises
    ------
    UsageError
        Something else stands there.
    """
    from palate.core.errors import UsageError
    from palate.language.registry import is_tuned

    if out.exists() and not is_tuned(out) and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and is no encoder. Choose another place.")

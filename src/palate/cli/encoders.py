"""Verbs about encoders: ``compress`` makes one smaller and says what that costs, ``advise`` compares those at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.evaluation.encoders import Probe
    from palate.language.advice import EncoderFacts
    from palate.measure import Interval

_WORDS = {
    "en": {
        "encoder": "encoder",
        "size": "MB",
        "rate": "texts/s",
        "p50": "p50 ms",
        "p99": "p99 ms",
        "cosine": "cosine",
        "agreement": "agreement",
        "change": "N@10 against the first",
        "questions": "questions",
        "kept": "chosen: {label}, the quickest that keeps {floor:.0%} of the N@10 of {first}: "
        "{times:.1f} times the texts/s, {size:.0%} of the size",
        "none": "None keeps {floor:.0%} of the N@10 of {first}: stay with it, or lower --floor.",
        "written": "written to {folder}; use it with [engine.encoder] encoder = {quoted} in palate.toml",
        "alone": "the semantic model alone; texts/s of one thread, by the processor's clock",
        "task": "taught",
        "reads": "reads",
        "pieces": "pieces a word",
        "unknown": "unknown",
        "sentences": "sentence likeness",
        "distilled": "another's vectors",
        "masked": "masked words",
        "next": "the next word",
        "counted": "counts, on this catalogue",
        "advice": "Take {label}: {reason}.",
        "best": "its N@10 is the best, {quality:.4f}",
        "quick": "its N@10, {quality:.4f}, is not measurably below the best ({best:.4f} of {other}), and it is the "
        "quickest of such, {times:.1f} times as quick",
        "language": "it reads {reads:.0%} of these texts; where it does not, its likeness means little",
        "foreign": "its words are not this shop's ({pieces:.1f} pieces a word): further training on its texts may pay",
        "untaught": "it was not taught to compare sentences: `palate` whitens its vectors, tuning would help more",
        "one": "There is nothing to compare it with; name others with --encoder.",
    },
    "zh": {
        "encoder": "编码器",
        "size": "MB",
        "rate": "文本/秒",
        "p50": "p50 毫秒",
        "p99": "p99 毫秒",
        "cosine": "余弦",
        "agreement": "一致性",
        "change": "N@10 相对第一个",
        "questions": "个问题",
        "kept": "选定：{label}，它是能保留 {first} 的 N@10 的 {floor:.0%} 的编码器中最快的："
        "速度为 {times:.1f} 倍，大小为 {size:.0%}",
        "none": "没有编码器能保留 {first} 的 N@10 的 {floor:.0%}：请继续使用它，或降低 --floor。",
        "written": "已写入 {folder}；在 palate.toml 中设置 [engine.encoder] encoder = {quoted} 即可使用",
        "alone": "仅语义模型；文本/秒按单线程的处理器时间计算",
        "task": "训练任务",
        "reads": "可读",
        "pieces": "每词片段数",
        "unknown": "未知",
        "sentences": "句子相似度",
        "distilled": "另一编码器的向量",
        "masked": "遮盖词",
        "next": "下一个词",
        "counted": "在本目录上计数",
        "advice": "推荐 {label}：{reason}。",
        "best": "它的 N@10 最高，为 {quality:.4f}",
        "quick": "它的 N@10 为 {quality:.4f}，与最好的（{other}，{best:.4f}）没有可测的差距，"
        "且在这些编码器中最快，速度为 {times:.1f} 倍",
        "language": "它能读 {reads:.0%} 的文本；读不了的部分，其相似度意义不大",
        "foreign": "它的词汇与本店不同（每词 {pieces:.1f} 个片段）：用本店文本继续训练可能有益",
        "untaught": "它没有学过比较句子：palate 会对向量作白化，微调会更有帮助",
        "one": "没有可比较的编码器；请用 --encoder 指定。",
    },
}
_UNKNOWN_TASK = "—"
_FOREIGN = 1.8
"""Pieces a word from which a tokenizer's words are not the shop's."""
_READS = 0.95

_COMPRESS = """[bold]Examples[/bold]

palate compress shop --out small.encoder

palate compress shop --methods int8,static --floor 0.95 --out small.encoder --json -

Methods: [bold]bf16[/bold] halves the file; [bold]int8[/bold] and [bold]int8-static[/bold] take products in eight bits;
[bold]pruned[/bold] takes heads and neurons out; [bold]magnitude[/bold] sets small numbers to zero;
[bold]student[/bold] has fewer layers; [bold]static[/bold] is a table of words, without a network."""

_ADVISE = """[bold]Examples[/bold]

palate advise shop

palate advise shop --encoder minilm --encoder lexical --encoder small.encoder --language zh"""


def register(app: typer.Typer) -> None:
    app.command(epilog=_COMPRESS)(compress)
    app.command(epilog=_ADVISE)(advise)


def compress(
    folder: options.DataFolder,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="What is made smaller: minilm, a folder or a hub name.")
    ] = "minilm",
    methods: Annotated[
        str, typer.Option("--methods", metavar="A,B", help="Which ways to try.")
    ] = "bf16,int8,int8-static,pruned,static",
    floor: Annotated[float, typer.Option("--floor", min=0, max=1, help="Share of N@10 that has to be kept.")] = 0.97,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="ENCODER", help="Write the chosen one here, a folder.")
    ] = None,
    questions: Annotated[int, typer.Option("--questions", min=0, help="Users asked; 0 asks all.")] = 2000,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Make an encoder smaller in several ways, measure size, speed and quality of each, and choose under a floor."""
    import tempfile
    from functools import partial

    from palate.cli.settings import settings_for
    from palate.core.artefact import check_place
    from palate.evaluation.encoders import Contestant, ProbeSettings, change, inner_questions, probe_encoders, within
    from palate.language import CachedEncoder, VectorCache, item_texts, load_encoder
    from palate.language.advice import size_of
    from palate.language.compression import compress as make
    from palate.language.compression import load_compressed, save_compressed

    words = _WORDS[options.language(language)]
    settings = settings_for(folder, config)
    if out is not None:
        check_place(out)
    dataset = load(folder, settings.data, options.pairs(columns))
    probing = ProbeSettings(questions=questions)
    fold = inner_questions(dataset, probing)
    texts = item_texts(dataset.catalogue)
    teacher = load_encoder(encoder, texts)
    remembering = CachedEncoder(teacher, VectorCache())
    contestants = [Contestant(encoder, teacher, size_of(encoder, teacher))]
    held_out: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place, console.progress() as progress:
        for method in options.listed(methods) or []:
            made = make(encoder, method, texts, teacher=remembering, progress=partial(_told, progress, method))
            size = save_compressed(made.what, Path(place) / method)
            held_out[method] = made.held_out
            contestants.append(Contestant(method, load_compressed(Path(place) / method), size))
        probes = probe_encoders(contestants, fold, probing, cache=VectorCache(), progress=progress)
        chosen = within(probes, floor)
        if out is not None and chosen is not probes[0]:
            _copy(Path(place) / chosen.label, out)
    if as_json:
        console.write_json(
            {
                "data": dataset.name,
                "questions": len(fold),
                "floor": floor,
                "chosen": chosen.label,
                "held_out_cosine": {name: None if math.isnan(value) else value for name, value in held_out.items()},
                "encoders": [{**probe.as_json(), "change": _bounds(change(probe, probes[0]))} for probe in probes],
            }
        )
        return
    _table(dataset.name, probes, len(fold), words)
    first = probes[0]
    if chosen is first:
        console.say(words["none"].format(floor=floor, first=first.label))
        return
    times, size_share = chosen.texts_per_second / first.texts_per_second, chosen.bytes / max(first.bytes, 1)
    console.say(words["kept"].format(label=chosen.label, floor=floor, first=first.label, times=times, size=size_share))
    if out is not None:
        console.say(words["written"].format(folder=out, quoted=f'"{out}"'))


def advise(
    folder: options.DataFolder,
    encoders: Annotated[
        list[str] | None,
        typer.Option("--encoder", metavar="NAME", help="minilm, lexical, a folder or a hub name; several times."),
    ] = None,
    questions: Annotated[int, typer.Option("--questions", min=0, help="Users asked; 0 asks all.")] = 2000,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Compare encoders on this data, by what they are and by a quick measurement, and recommend one with reasons."""
    from palate.cli.settings import settings_for
    from palate.evaluation.encoders import Contestant, ProbeSettings, inner_questions, probe_encoders, recommended
    from palate.language import VectorCache, item_texts, load_encoder
    from palate.language.advice import encoder_facts

    chosen = options.language(language)
    words = _WORDS[chosen]
    settings = settings_for(folder, config)
    dataset = load(folder, settings.data, options.pairs(columns))
    probing = ProbeSettings(questions=questions)
    fold = inner_questions(dataset, probing)
    texts = item_texts(dataset.catalogue)
    own = settings.engine_of(settings.training.preset).encoder
    named = encoders or [*dict.fromkeys(["minilm", "lexical", *filter(None, (own.multilingual,)), own.encoder])]
    facts: dict[str, EncoderFacts] = {}
    contestants = []
    for name in (name for name in dict.fromkeys(named) if name != "auto"):
        read = load_encoder(name, texts, own)
        facts[name] = encoder_facts(name, read, texts)
        contestants.append(Contestant(name, read, facts[name].bytes))
    with console.progress() as progress:
        probes = probe_encoders(contestants, fold, probing, cache=VectorCache(), progress=progress)
    found, even = recommended(probes)
    reasons = _reasons(found, probes, facts[found.label], words)
    if as_json:
        console.write_json(
            {
                "data": dataset.name,
                "questions": len(fold),
                "recommended": found.label,
                "reasons": reasons,
                "even": [probe.label for probe in even],
                "encoders": [{**probe.as_json(), **_plain(facts[probe.label])} for probe in probes],
            }
        )
        return
    _table(dataset.name, probes, len(fold), words)
    rows = [
        [name, words.get(own.task, _UNKNOWN_TASK), f"{own.reads:.0%}", _number(own.pieces, ".2f"), _number(own.unknown)]
        for name, own in facts.items()
    ]
    console.table("", [words[name] for name in ("encoder", "task", "reads", "pieces", "unknown")], rows, left=2)
    joined = ("; " if chosen == "en" else "；").join(reasons)
    console.say(words["advice"].format(label=found.label, reason=joined))


def _reasons(found: Probe, probes: Sequence[Probe], facts: EncoderFacts, words: dict[str, str]) -> list[str]:
    best = max(probes, key=lambda probe: probe.quality)
    if found is best:
        reasons = [words["best"].format(quality=found.quality)]
    else:
        times = found.texts_per_second / best.texts_per_second
        reasons = [words["quick"].format(quality=found.quality, best=best.quality, other=best.label, times=times)]
    if facts.reads < _READS:
        reasons.append(words["language"].format(reads=facts.reads))
    if facts.pieces > _FOREIGN:
        reasons.append(words["foreign"].format(pieces=facts.pieces))
    if facts.task in ("masked", "next"):
        reasons.append(words["untaught"])
    return reasons


def _table(name: str, probes: Sequence[Probe], questions: int, words: dict[str, str]) -> None:
    first = probes[0]
    rows = [
        [
            probe.label,
            f"{probe.bytes / 1e6:.1f}",
            f"{probe.texts_per_second:,.0f}",
            f"{probe.p50:.2f}",
            f"{probe.p99:.2f}",
            _number(probe.cosine, ".4f"),
            _number(probe.agreement, ".4f"),
            f"{probe.quality:.4f}",
            _change(probe, first),
        ]
        for probe in probes
    ]
    head = [words[key] for key in ("encoder", "size", "rate", "p50", "p99", "cosine", "agreement")]
    title = f"{name} · {questions:,} {words['questions']} · {words['alone']}"
    console.table(title, [*head, "ndcg@10", words["change"]], rows)


def _bounds(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else {"estimate": found.estimate, "low": found.low, "high": found.high}


def _change(probe: Probe, first: Probe) -> str:
    from palate.evaluation.encoders import change

    found = None if probe is first else change(probe, first)
    return _UNKNOWN_TASK if found is None else f"{found.estimate:+.1%} [{found.low:+.1%}, {found.high:+.1%}]"


def _number(value: float, form: str = ".1%") -> str:
    return _UNKNOWN_TASK if math.isnan(value) else format(value, form)


def _plain(facts: EncoderFacts) -> dict[str, Any]:
    return {
        "task": facts.task,
        "languages": list(facts.languages),
        "reads": facts.reads,
        "pieces_a_word": None if math.isnan(facts.pieces) else facts.pieces,
        "unknown": None if math.isnan(facts.unknown) else facts.unknown,
    }


def _told(progress: console.Report, method: str, what: str, share: float) -> None:
    progress(f"{method}: {what}", share)


def _copy(source: Path, target: Path) -> None:
    """Move an encoder to its place, through the one way in which artefacts are written."""
    from palate.core.artefact import read, write
    from palate.language.compression.saved import KIND

    write(read(source, KIND), target)

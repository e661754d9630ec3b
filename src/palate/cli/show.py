"""Results as a person reads them, in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from palate.cli import console

if TYPE_CHECKING:
    from palate.data import Catalogue
    from palate.engine import Answer, Explanation, Portrait
    from palate.engine.answers import Narration, Pursued, Story

METRICS = ("recall@10", "ndcg@10", "mrr", "coverage@10")
"""What the terminal shows; the JSON and the report hold all."""

SHOWN = 10
"""Features in the terminal's table of an evaluation; `palate describe` and the report show all."""

_WORDS = {
    "en": {
        "item": "item",
        "title": "title",
        "score": "score",
        "proposed": "proposed by",
        "base": "expected",
        "rest": "{count} other features together",
        "history": "history",
        "context": "context",
        "words": "words",
        "features": "features",
        "degraded": "degraded: answered by",
        "model": "model",
        "questions": "questions",
        "users": "users",
        "items": "items",
        "events": "events",
        "trees": "trees in the ranker",
        "weight": "weight in the average",
        "memory": "peak memory",
        "muted": "muted",
        "added": "added",
        "interest": "interest",
        "wishes": "wishes",
        "found": "items that answer them",
        "kept": "of these attract",
        "objectives": "objectives",
        "tokens": "tokens",
        "nothing": "nothing to show",
        "wordless": "The items have neither titles nor descriptions: the wish is not read.",
        "stranger": "Nobody called {user} is known here: only what else was said counts.",
        "told": "Reasons as they stand: {why}.",
        "unset": "no text generator is set up ([generation] in palate.toml)",
        "headline": "{model} against {baseline}, the best single collaborative model: "
        "NDCG@10 {relative:+.1%}, 95 % interval [{low:+.1%}, {high:+.1%}], p = {p:.2g}",
    },
    "zh": {
        "item": "商品",
        "title": "名称",
        "score": "得分",
        "proposed": "推荐来源",
        "base": "期望值",
        "rest": "其余 {count} 个特征合计",
        "history": "历史行为",
        "context": "情境",
        "words": "词语",
        "features": "特征",
        "degraded": "降级：由以下来源作答",
        "model": "模型",
        "questions": "个问题",
        "users": "位用户",
        "items": "件商品",
        "events": "条事件",
        "trees": "棵树（排序器）",
        "weight": "加权平均中的权重",
        "memory": "内存峰值",
        "muted": "已屏蔽",
        "added": "已添加",
        "interest": "兴趣",
        "wishes": "心愿",
        "found": "对应的商品",
        "kept": "其中有吸引力",
        "objectives": "目标",
        "tokens": "个词元",
        "nothing": "没有可展示的商品",
        "wordless": "商品没有标题和描述：无法理解愿望，已忽略。",
        "stranger": "没有名为 {user} 的用户：推荐仅依据其余信息。",
        "told": "理由按原样列出：{why}。",
        "unset": "未设置文本生成器（palate.toml 的 [generation]）",
        "headline": "{model} 相对最好的单个协同过滤模型 {baseline}：NDCG@10 {relative:+.1%}，"
        "95% 置信区间 [{low:+.1%}, {high:+.1%}]，p = {p:.2g}",
    },
}


_TABLE = {
    "events": "事件数",
    "items": "商品数",
    "categories": "类别",
    "kinds": "行为",
    "events_per_month": "每月事件数",
    "days_since_last": "距上次天数",
    "usual_price": "常见价位",
    "price_spread": "价格离散度",
    "spend": "消费额",
    "mean_dwell_seconds": "平均停留秒数",
    "mean_rating": "平均评分",
    "price_mix": "价位构成",
    "currency": "货币",
}
"""Lines of a profile's table in Chinese; in English they are named as in the JSON."""


def stranger(user: str, language: str = "en") -> str:
    """What to say where somebody is asked about who is not known."""
    return _WORDS[language]["stranger"].format(user=user)


def wordless(language: str = "en") -> str:
    """What to say of a wish where the catalogue has no text."""
    return _WORDS[language]["wordless"]


def title_of(catalogue: Catalogue, item: str, language: str) -> str:
    """An item's title, in the asked language where the catalogue has one; else its id."""
    properties = catalogue.properties(catalogue.ids.position(item))
    named = properties.get(f"title_{language}") or properties.get("title")
    return str(named or item)


def show_answer(answer: Answer, catalogue: Catalogue, language: str = "en") -> None:
    """A list of recommendations with its reasons."""
    words = _WORDS[language]
    if answer.degraded:
        console.say(f"{words['degraded']} {answer.source}")
    if answer.strategy is not None:
        show_pursuit(answer.strategy, language)
    if not answer.items:
        console.say(words["nothing"])
    width = len(str(len(answer.items)))
    for rank, found in enumerate(answer.items, 1):
        title = title_of(catalogue, found.item, language)
        console.say(f"{rank:>{width}}. {title}  [{found.item}]  {found.score:.3f}  {'+'.join(found.source)}")
        show_story(found.story, f"{'':>{width}}  ")
        for reason in found.reasons:
            console.say(f"{'':>{width}}  - {reason.text}")
    show_narration(answer.narration, language)


def show_story(story: Story | None, indent: str = "") -> None:
    """What a model wrote; a template's story is the reasons again, which stand there anyway."""
    if story is not None and story.written_by != "template":
        console.say(f"{indent}{story.text}")


def show_narration(narration: Narration | None, language: str = "en") -> None:
    """Who told the reasons and what that took; why templates did."""
    from palate.language.generation_reply import UNSET

    if narration is None:
        return
    words = _WORDS[language]
    if narration.prompt_tokens:
        tokens = narration.prompt_tokens + narration.completion_tokens
        console.say(f"{tokens:,} {words['tokens']}, {narration.seconds:.1f} s")
    for note in narration.notes:
        console.say(words["told"].format(why=words["unset"] if note == UNSET else note))


def show_pursuit(pursued: Pursued, language: str = "en") -> None:
    """How a list was come by, step by step."""
    words = _WORDS[language]
    interest = ", ".join(f"{word} {weight:.2f}" for word, weight in pursued.interest[:8])
    console.say(f"{words['interest']}: {interest or '—'}")
    console.say(f"{words['wishes']} ({pursued.written_by}): {'; '.join(pursued.wishes) or '—'}")
    bar = "" if pursued.threshold is None else f" (p >= {pursued.threshold:.3f})"
    console.say(f"{words['found']}: {pursued.found}; {words['kept']}: {pursued.kept}{bar}")
    objectives = ", ".join(f"{name} {weight:g}" for name, weight in pursued.objectives.items())
    console.say(f"{words['objectives']}: {objectives}")
    if pursued.prompt_tokens:
        tokens = pursued.prompt_tokens + pursued.completion_tokens
        console.say(f"{tokens:,} {words['tokens']}, {pursued.seconds:.1f} s")
    for note in pursued.notes:
        console.say(f"- {note}")


def show_explanation(explanation: Explanation, language: str = "en") -> None:
    """What made the score of one item, largest first."""
    words = _WORDS[language]
    console.say(
        f"{explanation.item}  {words['score']} {explanation.score:.4f} = {words['base']} {explanation.base:.4f}"
    )
    told = _largest(explanation.features, "contribution")
    for row in told:
        value = row["value"]
        shown = "—" if value is None else f"{value:.4g}" if isinstance(value, float) else value
        console.say(f"  {row['contribution']:+.4f}  {row['name']} = {shown}")
    if rest := [row for row in explanation.features if row["contribution"] and row not in told]:
        total = sum(row["contribution"] for row in rest)
        console.say(f"  {total:+.4f}  {words['rest'].format(count=len(rest))}")
    if explanation.context:
        console.say(words["context"])
        for part in explanation.context:
            console.say(f"  {part['contribution']:+.4f}  {part['text']}")
    if explanation.history:
        console.say(words["history"])
        for row in _largest(explanation.history, "contribution"):
            console.say(f"  {row['contribution']:+.4f}  {row.get('title') or row['item']}  ({row['source']})")
    if explanation.words:
        console.say(
            words["words"] + ": " + ", ".join(f"{row['word']} {row['weight']:.2f}" for row in explanation.words)
        )
    show_story(explanation.story)
    show_narration(explanation.narration, language)


def show_portrait(portrait: Portrait, language: str = "en") -> None:
    """What is known of somebody: the sentences, the table, the corrections and the branch."""
    words = _WORDS[language]
    console.say(portrait.sentence)
    console.say(portrait.summary)
    for name, value in portrait.table.items():
        told = ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, Mapping) else value
        console.say(f"  {_TABLE.get(name, name) if language == 'zh' else name}: {told}")
    for name in ("muted", "added"):
        if topics := getattr(portrait, name):
            console.say(f"{words[name]}: {', '.join(topics)}")
    console.say(portrait.branch)


def show_evaluation(result: Mapping[str, Any], language: str = "en") -> None:
    """A table with the interval beside each figure, the best model first, and the paired comparison under it."""
    words = _WORDS[language]
    models: Mapping[str, Mapping[str, Any]] = result["models"]
    order = sorted(models, key=lambda name: -float(models[name]["ndcg@10"] or 0.0))
    data = result["dataset"]
    title = (
        f"{result['data']} · {result['protocol']} · preset {result['preset']} · seed {result['seed']} · "
        f"{result['queries']:,} {words['questions']} · {data['users']:,} {words['users']}, "
        f"{data['items']:,} {words['items']}, {data['events']:,} {words['events']}"
    )
    rows = [[name, *(_figure(models[name], metric) for metric in METRICS)] for name in order]
    console.table(title, [words["model"], *METRICS], rows)
    if headline := _headline(result["comparisons"]):
        low, high = headline["relative_ci95"]
        console.say(
            words["headline"].format(
                model=headline["model"],
                baseline=headline["baseline"],
                relative=headline["relative"],
                low=low,
                high=high,
                p=headline["p_holm"],
            )
        )
    _show_cold(result["cold"], language)
    _show_pareto(result["pareto"], language)
    show_importance(result["importance"], language, most=SHOWN)
    for line in result["notes"]:
        console.say(line)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in result["seconds"].items())
    console.say(f"{seconds}; {words['memory']} {result['peak_rss_mb']:,.0f} MB")


def show_description(described: Mapping[str, Any], language: str = "en") -> None:
    """What an engine is."""
    words = _WORDS[language]
    console.say(f"{described['name']}: {described['version']}, {described['branch']}")
    counts = ", ".join(f"{described[name]:,} {words[name]}" for name in ("users", "items", "events"))
    console.say(f"{counts}; {described['trees']} {words['trees']}")
    weights = [[name, f"{weight:.4f}"] for name, weight in described["weights"].items()]
    console.table("", [words["model"], words["weight"]], weights)
    show_importance(described["importance"], language)
    for note in described["notes"]:
        console.say(note)


def show_importance(
    importance: Mapping[str, Mapping[str, float]], language: str = "en", most: int | None = None
) -> None:
    """What the ranker looks at, the most important first, and what it does not look at."""
    if not importance:
        return
    from palate.evaluation.report import importance_notes
    from palate.evaluation.words import WORDS

    words = WORDS[language]
    used = [[name, f"{own['share']:.2%}", f"{own['gain']:,.0f}"] for name, own in importance.items() if own["gain"]]
    console.table(words["importance"], [words["feature"], words["share"], words["gain"]], used[:most])
    for note in importance_notes(importance, words):
        console.say(note)


def _show_cold(cold: Mapping[str, Any], language: str) -> None:
    """What is found of items held out of every fit, and what the others' questions keep."""
    if not cold:
        return
    from palate.evaluation.report import cold_note
    from palate.evaluation.words import WORDS

    words = WORDS[language]
    columns = [(which, measure) for which in ("cold", "warm") for measure in ("recall@10", "ndcg@10")]
    head = [words["engine"], *(f"{measure} {words[f'{which}_questions']}" for which, measure in columns)]
    rows = [
        [
            words[record["engine"]],
            *(_figure(record[which] or {}, measure) for which, measure in columns),
            *(_kept(record["kept"].get(other)) for other in ("warm only", "whole")),
        ]
        for record in cold["engines"]
    ]
    console.table(words["cold"], [*head, words["kept warm only"], words["kept whole"]], rows)
    console.say(cold_note(cold, words))


def _kept(kept: Mapping[str, Any] | None) -> str:
    if kept is None or kept["share"] is None:
        return "—"
    low, high = ("—" if bound is None else f"{bound:.3f}" for bound in kept["ci95"])
    return f"{kept['share']:.3f} [{low}, {high}]"


def _show_pareto(pareto: Mapping[str, Any], language: str) -> None:
    """Accuracy alone, and the weightings that no other beats; the JSON and the report hold the rest, and intervals."""
    if not pareto:
        return
    from palate.evaluation.words import WORDS

    words, measures = WORDS[language], pareto["measures"]
    rows = []
    for place, point in enumerate(pareto["points"]):
        if place and not point["non_dominated"]:
            continue
        weights = ", ".join(f"{words[f'objective_{name}']} {value:g}" for name, value in point["weights"].items())
        star = "★" if point["non_dominated"] else ""
        rows.append([weights, star, *(_figure({**point, "ci95": {}}, measure) for measure in measures)])
    console.table(words["pareto"], [words["weights"], "", *measures], rows)
    count, queries = len(pareto["points"]), f"{pareto['queries']:,}"
    console.say(words["pareto_short"].format(count=count, queries=queries))


def _headline(comparisons: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The comparison with the best single collaborative model by N@10, where its figures are finite."""
    for record in comparisons:
        if record["best_single"] and record["measure"] == "ndcg@10":
            return record if None not in (record["relative"], *record["relative_ci95"]) else None
    return None


def _figure(scores: Mapping[str, Any], metric: str) -> str:
    if scores.get(metric) is None:
        return "—"
    interval = scores.get("ci95", {}).get(metric)
    between = f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
    return f"{scores[metric]:.4f}{between}"


def _largest(rows: Iterable[Mapping[str, Any]], name: str, count: int = 8) -> list[Mapping[str, Any]]:
    told = [row for row in rows if row[name]]
    return sorted(told, key=lambda row: -abs(float(row[name])))[:count]

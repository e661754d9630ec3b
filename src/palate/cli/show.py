"""Results as a person reads them, in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from palate.cli import console

if TYPE_CHECKING:
    from palate.data import Catalogue
    from palate.engine import Answer, Explanation

METRICS = ("recall@10", "ndcg@10", "hit@1", "mrr", "coverage@10")
"""What the terminal shows; the JSON and the report hold all."""

_WORDS = {
    "en": {
        "item": "item",
        "title": "title",
        "score": "score",
        "proposed": "proposed by",
        "base": "expected",
        "history": "history",
        "words": "words",
        "features": "features",
        "degraded": "degraded: answered by",
    },
    "zh": {
        "item": "商品",
        "title": "名称",
        "score": "得分",
        "proposed": "推荐来源",
        "base": "期望值",
        "history": "历史行为",
        "words": "词语",
        "features": "特征",
        "degraded": "降级：由以下来源作答",
    },
}


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
    width = len(str(len(answer.items)))
    for rank, found in enumerate(answer.items, 1):
        title = title_of(catalogue, found.item, language)
        console.say(f"{rank:>{width}}. {title}  [{found.item}]  {found.score:.3f}  {'+'.join(found.source)}")
        for reason in found.reasons:
            console.say(f"{'':>{width}}  - {reason.text}")


def show_explanation(explanation: Explanation, language: str = "en") -> None:
    """What made the score of one item, largest first."""
    words = _WORDS[language]
    console.say(
        f"{explanation.item}  {words['score']} {explanation.score:.4f} = {words['base']} {explanation.base:.4f}"
    )
    for row in _largest(explanation.features, "contribution"):
        console.say(f"  {row['contribution']:+.4f}  {row['name']} = {row['value']}")
    if explanation.history:
        console.say(words["history"])
        for row in _largest(explanation.history, "contribution"):
            console.say(f"  {row['contribution']:+.4f}  {row.get('title') or row['item']}  ({row['source']})")
    if explanation.words:
        console.say(
            words["words"] + ": " + ", ".join(f"{row['word']} {row['weight']:.2f}" for row in explanation.words)
        )


def show_evaluation(result: Mapping[str, Any]) -> None:
    """One table a protocol, the best first; the interval beside each figure."""
    models: Mapping[str, Mapping[str, Any]] = result["models"]
    metrics = [metric for metric in METRICS if any(metric in scores for scores in models.values())]
    order = sorted(models, key=lambda name: -float(models[name].get("ndcg@10", 0.0)))
    data = result["dataset"]
    title = (
        f"{result['protocol']} · preset {result['preset']} · seed {result['seed']} · {result['queries']:,} questions · "
        f"{data['users']:,} users, {data['items']:,} items, {data['events']:,} events"
    )
    rows = [[name, *(_figure(models[name], metric) for metric in metrics)] for name in order]
    console.table(title, ["model", *metrics], rows)
    for line in result.get("notes", ()):
        console.say(line)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in result["seconds"].items())
    console.say(f"{seconds}; peak memory {result['peak_rss_mb']:,.0f} MB")


def _figure(scores: Mapping[str, Any], metric: str) -> str:
    if metric not in scores:
        return ""
    interval = scores.get("ci95", {}).get(metric)
    between = f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
    return f"{scores[metric]:.4f}{between}"


def _largest(rows: Iterable[Mapping[str, Any]], name: str, count: int = 8) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: -abs(float(row[name])))[:count]

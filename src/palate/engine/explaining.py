"""Why this item: which models, which events, which words, which features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.core import ExplainsByHistory, FloatArray, IntArray, Queries, Rankings
from palate.core.rankings import NEVER
from palate.data import Catalogue
from palate.engine.answers import Explanation, Reason, Recommendation
from palate.ranking.candidates import Candidates, propose
from palate.ranking.pipeline import Pipeline
from palate.ranking.sources import ask

_MODELS = {
    "en": {
        "transitions": "what usually comes next",
        "item_knn": "what is chosen together",
        "ease": "what goes together",
        "als": "shared tastes",
        "bpr": "shared tastes",
        "user_knn": "people with the same choices",
        "semantic": "what it is about",
        "lexical": "its words",
        "popularity": "popular now",
    },
    "zh": {
        "transitions": "接下来常被选择",
        "item_knn": "常被一起选择",
        "ease": "搭配出现",
        "als": "相似的品味",
        "bpr": "相似的品味",
        "user_knn": "选择相近的人",
        "semantic": "内容相近",
        "lexical": "用词相同",
        "popularity": "近期热门",
    },
}


def title(catalogue: Catalogue, position: int, language: str) -> str:
    """What to call an item in a language."""
    own = catalogue.properties(position)
    return str(own.get(f"title_{language}") or own.get("title") or own["item_id"])


def recommendations(
    pipeline: Pipeline,
    catalogue: Catalogue,
    queries: Queries,
    rankings: Rankings,
    *,
    row: int = 0,
    language: str | None = None,
) -> tuple[Recommendation, ...]:
    """The list of one of the questions as the caller sees it, with reasons where a language for them is named."""
    items = rankings.row(row)
    proposers = {item: rankings.proposers(row, rank) for rank, item in enumerate(items.tolist())}
    told: list[tuple[Reason, ...]] = [()] * len(items)
    if language is not None and len(items):
        own = queries if len(queries) == 1 else queries.take(slice(row, row + 1))
        told = reasons(pipeline, catalogue, own, items, bits=proposers, language=language)
    return tuple(
        Recommendation(
            catalogue.ids[item],
            float(rankings.scores[row, rank]),
            proposers[item],
            told[rank],
            catalogue.properties(item),
        )
        for rank, item in enumerate(items.tolist())
    )


def answered_by(pipeline: Pipeline, queries: Queries, row: int, degraded: bool) -> str:
    """What made the order of one list: ``palate``, or the fallback that stood in."""
    if not queries.history.lengths[row] and not (queries.text and queries.text[row].strip()):
        return "popularity"
    return "weights" if degraded or pipeline.ranker is None else "palate"


def summary(pipeline: Pipeline) -> dict[str, Any]:
    """The models, what they weigh, and what the ranker goes by most."""
    ranker = pipeline.ranker
    return {
        "sources": list(pipeline.sources),
        "weights": {
            name: round(float(weight), 4) for name, weight in zip(pipeline.sources, pipeline.weights, strict=True)
        },
        "trees": 0 if ranker is None else ranker.trees,
        "importance": {} if ranker is None else dict(list(ranker.importance().items())[:10]),
    }


def reasons(
    pipeline: Pipeline,
    catalogue: Catalogue,
    queries: Queries,
    items: IntArray,
    *,
    bits: Mapping[int, tuple[str, ...]],
    language: str,
) -> list[tuple[Reason, ...]]:
    """Sentences for each of k items of one question, the strongest evidence first.

    Parameters
    ----------
    bits
        Names of the models that proposed each item.
    """
    carried = history_shares(pipeline, queries, items)
    history = queries.history.items
    told = []
    for column, item in enumerate(items.tolist()):
        found: list[Reason] = []
        shares = carried[:, column]
        for event in np.argsort(-shares, kind="stable")[:2]:
            if shares[event] >= 0.15:
                source = int(history[event])
                found.append(_because(catalogue, source, float(shares[event]), language))
        found += _words(pipeline, queries, item, language)
        if queries.text is not None and queries.text[0].strip():
            wish = "Matches what you asked for" if language == "en" else "符合你的描述"
            found.insert(0, Reason("wish", wish, 1.0))
        if not found:
            found.append(_by_models(bits.get(item, ()), language))
        told.append(tuple(_distinct(found)))
    return told


def history_shares(pipeline: Pipeline, queries: Queries, items: IntArray) -> FloatArray:
    """Share of each event in the linear models' evidence for each item; float32 (h, k), columns sum to 1 or are 0.

    Each model's contributions are weighed by the model's weight in the average and by its best score in the list.
    """
    total = np.zeros((len(queries.history.items), len(items)), dtype=np.float32)
    if not total.size:
        return total
    for (name, model), weight in zip(pipeline.sources.items(), pipeline.weights, strict=True):
        if isinstance(model, ExplainsByHistory) and name != "popularity":
            shares = model.contributions(queries, items)
            total += (float(weight) + 0.02) * shares / max(float(np.abs(shares.sum(axis=0)).max()), 1e-9)
    positive = np.maximum(total, 0)
    return np.asarray(positive / np.maximum(positive.sum(axis=0), 1e-9), dtype=np.float32)


def explain(pipeline: Pipeline, catalogue: Catalogue, queries: Queries, item: int, language: str) -> Explanation:
    """Everything behind one item's score for one question."""
    scores = ask(pipeline.sources, queries, pipeline.n_items)
    candidates = _with(propose(scores, pipeline.candidates), item)
    column = int(np.nonzero(candidates.items[0] == item)[0][0])
    values = scores.at(candidates.items)[:, 0, :]
    names = tuple(pipeline.sources)
    bits = int(candidates.sources[0, column])
    sources = {
        name: {
            "score": float(values[place, column]),
            "rank": float((values[place] > values[place, column]).sum()),
            "proposed": bool(bits >> place & 1),
        }
        for place, name in enumerate(names)
    }
    table = pipeline.features(queries, candidates, scores)[0, column]
    score, base, features = _features(pipeline, table)
    chosen = np.array([item], dtype=np.int32)
    proposers = {item: tuple(name for name in names if sources[name]["proposed"])}
    return Explanation(
        item=catalogue.ids[item],
        score=score,
        base=base,
        sources=sources,
        history=_history(pipeline, catalogue, queries, chosen, language),
        words=[{"word": word, "weight": weight} for word, weight in _shared_words(pipeline, queries, item)],
        features=features,
        reasons=reasons(pipeline, catalogue, queries, chosen, bits=proposers, language=language)[0],
    )


def _features(pipeline: Pipeline, table: FloatArray) -> tuple[float, float, list[dict[str, Any]]]:
    """Score, base and contributions; the weighted average's own where no ranker was learnt."""
    if pipeline.ranker is not None:
        shares = pipeline.ranker.contributions(table[None, :])[0]
        rows = list(zip(pipeline.names, table.tolist(), shares[:-1].tolist(), strict=True))
        base = float(shares[-1])
    else:
        by_name = dict(zip(pipeline.names, table.tolist(), strict=True))
        rows = [
            (f"{name}.share", by_name[f"{name}.share"], float(weight) * by_name[f"{name}.share"])
            for name, weight in zip(pipeline.sources, pipeline.weights, strict=True)
        ]
        base = 0.0
    rows.sort(key=lambda row: -abs(row[2]))
    told = [{"name": name, "value": _number(value), "contribution": share} for name, value, share in rows]
    return base + float(sum(row[2] for row in rows)), base, told


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _with(candidates: Candidates, item: int) -> Candidates:
    """The same candidates with one more in the last place, if it is not among them."""
    if (candidates.items[0] == item).any():
        return candidates
    items, fused, sources = candidates.items.copy(), candidates.fused.copy(), candidates.sources.copy()
    items[0, -1], fused[0, -1], sources[0, -1] = item, 0, 0
    return Candidates(items, fused, sources)


def _history(
    pipeline: Pipeline, catalogue: Catalogue, queries: Queries, chosen: IntArray, language: str
) -> list[dict[str, Any]]:
    rows = []
    for name, model in pipeline.sources.items():
        if not isinstance(model, ExplainsByHistory):
            continue
        shares = model.contributions(queries, chosen)[:, 0]
        for event in np.argsort(-np.abs(shares), kind="stable")[:10]:
            if shares[event] != 0:
                position = int(queries.history.items[event])
                rows.append(
                    {
                        "item": catalogue.ids[position],
                        "title": title(catalogue, position, language),
                        "source": name,
                        "contribution": float(shares[event]),
                    }
                )
    return rows


def _shared_words(pipeline: Pipeline, queries: Queries, item: int) -> list[tuple[str, float]]:
    lexical: Any = pipeline.sources.get("lexical")
    if lexical is None or item >= lexical.n_items:
        return []
    found: list[tuple[str, float]] = lexical.words(queries, item)
    return found


def _words(pipeline: Pipeline, queries: Queries, item: int, language: str) -> list[Reason]:
    found = _shared_words(pipeline, queries, item)
    if not found or found[0][1] < 0.05:
        return []
    words = [word for word, _ in found if " " not in word][:3]
    if not words:
        return []
    text = f"Shares the words {', '.join(words)}" if language == "en" else f"共同的词：{'、'.join(words)}"
    return [Reason("words", text, min(1.0, found[0][1]))]


def _because(catalogue: Catalogue, source: int, share: float, language: str) -> Reason:
    name = title(catalogue, source, language)
    text = f"Because you chose {name}" if language == "en" else f"因为你选择了“{name}”"
    return Reason("history", text, share, catalogue.ids[source])


def _by_models(names: tuple[str, ...], language: str) -> Reason:
    known = _MODELS[language]
    told = [known[name] for name in names if name in known]
    if not told or names == ("popularity",):
        return Reason("popular", "Popular with other people" if language == "en" else "许多人都在选", 0.1)
    return Reason(
        "model", ("By " if language == "en" else "依据：") + (", " if language == "en" else "、").join(told), 0.2
    )


def _distinct(found: list[Reason]) -> list[Reason]:
    return list({reason.text: reason for reason in found}.values())


def never(score: float) -> bool:
    """Whether a score says that the item must not be answered."""
    return bool(score == NEVER)

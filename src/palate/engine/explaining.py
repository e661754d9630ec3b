"""Why this item: which models, which events, which words, which features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.core import ExplainsByHistory, FloatArray, IntArray, Queries, Rankings
from palate.core.numbers import known
from palate.data import Catalogue
from palate.engine.answers import Explanation, Reason, Recommendation
from palate.engine.context_words import context_of_score, context_reasons
from palate.engine.shelf import Shelf
from palate.language.terms import is_cjk
from palate.language.vocabulary import text_terms
from palate.ranking.candidates import Candidates, propose
from palate.ranking.pipeline import Pipeline
from palate.ranking.sources import ask

_READERS = frozenset({"semantic", "lexical"})
"""Models that read a wish."""

MODELS = {
    "en": {
        "repeats": "what you come back to",
        "baskets": "what completes the basket",
        "knowledge": "what is known to go together",
        "transitions": "what usually comes next",
        "semantic_transitions": "what usually comes after such things",
        "item_knn": "what is chosen together",
        "ease": "what goes together",
        "als": "shared tastes",
        "bpr": "shared tastes",
        "user_knn": "people with the same choices",
        "semantic": "what it is about",
        "lexical": "its words",
        "interest": "the same kind of thing",
        "sequential": "the order of what you chose",
        "sasrec": "the order of what you chose",
        "gru4rec": "the order of what you chose",
        "lstm": "the order of what you chose",
        "transferred": "what follows such things in other shops too",
        "generative": "the kind of thing that comes next",
        "semantic_tuned": "what suits what you had",
        "bilinear": "your habits and its description",
        "places": "where you are, and when",
        "next_behaviour": "what you will probably do next",
        "popularity": "popular now",
    },
    "zh": {
        "repeats": "你常回来选的",
        "baskets": "与购物篮搭配",
        "knowledge": "已知的搭配关系",
        "transitions": "接下来常被选择",
        "semantic_transitions": "选了同类之后常被选择",
        "item_knn": "常被一起选择",
        "ease": "搭配出现",
        "als": "相似的品味",
        "bpr": "相似的品味",
        "user_knn": "选择相近的人",
        "semantic": "内容相近",
        "lexical": "用词相同",
        "interest": "同类商品",
        "sequential": "你选择的先后顺序",
        "sasrec": "你选择的先后顺序",
        "gru4rec": "你选择的先后顺序",
        "lstm": "你选择的先后顺序",
        "transferred": "在其他店铺也常随其后",
        "generative": "接下来会选的那类商品",
        "semantic_tuned": "与你已有的相配",
        "bilinear": "你的习惯与它的描述",
        "places": "你所在的地点和时间",
        "next_behaviour": "你接下来可能做的事",
        "popularity": "近期热门",
    },
}
"""What the proposal of a source rests on, to the person who is recommended something."""


def title(catalogue: Catalogue, position: int, language: str) -> str:
    """What to call an item in a language."""
    own = catalogue.properties(position)
    return str(own.get(f"title_{language}") or own.get("title") or own["item_id"])


def said(catalogue: Catalogue, position: int, language: str) -> set[str]:
    """Terms of an item's naming texts in a language; of the texts it has where there are none in that language."""
    own = catalogue.properties(position)
    texts = [own.get(f"{name}_{language}") or own.get(name) for name in ("title", "brand", "category")]
    if not texts[0]:
        texts.append(own.get("description"))
    return {term for text in texts if text for term in text_terms(str(text))}


def recommendations(
    shelf: Shelf, queries: Queries, rankings: Rankings, language: str | None, *, row: int = 0
) -> tuple[Recommendation, ...]:
    """The list of one of the questions in ids, with reasons in a language, without any where None."""
    items = rankings.row(row)
    sources = [rankings.proposers(row, rank) for rank in range(len(items))]
    told: Sequence[tuple[Reason, ...]] = [()] * len(items)
    if language is not None and len(items):
        proposers = dict(zip(items.tolist(), sources, strict=True))
        own = queries if len(queries) == 1 else queries.take(slice(row, row + 1))
        told = reasons(shelf.pipeline, shelf.catalogue, own, items, bits=proposers, language=language)
    return tuple(
        Recommendation(
            shelf.catalogue.ids[item],
            float(rankings.scores[row, rank]),
            sources[rank],
            told[rank],
            shelf.catalogue.properties(item),
        )
        for rank, item in enumerate(items.tolist())
    )


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
                found.append(_because(catalogue, source, item, float(shares[event]), language=language))
        found += _words(pipeline, catalogue, queries, item, language)
        if queries.text is not None and queries.text[0].strip() and _READERS.intersection(bits.get(item, ())):
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
    score, base, features = _features(pipeline, queries, table)
    chosen = np.array([item], dtype=np.int32)
    proposers = {item: tuple(name for name in names if sources[name]["proposed"])}
    told = reasons(pipeline, catalogue, queries, chosen, bits=proposers, language=language)[0]
    context = context_of_score(features, language)
    return Explanation(
        item=catalogue.ids[item],
        score=score,
        base=base,
        sources=sources,
        history=_history(pipeline, catalogue, queries, chosen, language),
        words=[
            {"word": word, "weight": weight}
            for word, weight in _shared_words(pipeline, catalogue, queries, item, language)[:8]
        ],
        features=features,
        reasons=told + context_reasons(context, features),
        context=context,
    )


def _features(pipeline: Pipeline, queries: Queries, table: FloatArray) -> tuple[float, float, list[dict[str, Any]]]:
    """Score, base and contributions; the weighted average's own where it ranks: without a ranker, without a history."""
    if pipeline.ranker is not None and len(queries.history.items):
        shares = pipeline.ranker.contributions(table[None, :])[0]
        rows = list(zip(pipeline.names, table.tolist(), shares[:-1].tolist(), strict=True))
        base = float(shares[-1])
    else:
        by_name = dict(zip(pipeline.names, table.tolist(), strict=True))
        rows = [
            (f"{name}.share", by_name[f"{name}.share"], weight * by_name[f"{name}.share"])
            for name, weight in zip(pipeline.sources, pipeline.weights_for(queries)[0].tolist(), strict=True)
        ]
        base = 0.0
    rows.sort(key=lambda row: -abs(row[2]))
    told = [{"name": name, "value": known(value), "contribution": share} for name, value, share in rows]
    return base + float(sum(row[2] for row in rows)), base, told


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


def _shared_words(
    pipeline: Pipeline, catalogue: Catalogue, queries: Queries, item: int, language: str
) -> list[tuple[str, float]]:
    """Terms shared with history and wish, those that the item's texts in this language hold; strongest first."""
    lexical: Any = pipeline.sources.get("lexical")
    if lexical is None or item >= lexical.n_items:
        return []
    own = said(catalogue, item, language)
    return [(word, weight) for word, weight in lexical.words(queries, item, 100) if word in own]


def _words(pipeline: Pipeline, catalogue: Catalogue, queries: Queries, item: int, language: str) -> list[Reason]:
    found = _shared_words(pipeline, catalogue, queries, item, language)
    if not found or found[0][1] < 0.05:
        return []
    single = [word for word, _ in found if " " not in word and not word.isdigit()]
    # A Chinese word stands for the shorter ones within it.
    words = [word for word in single if not any(word != other and is_cjk(word) and word in other for other in single)]
    if not words:
        return []
    english = f"Shares the word{'s' if len(words) > 1 else ''} {', '.join(words[:3])}"
    return [
        Reason("words", english if language == "en" else f"共同的词：{'、'.join(words[:3])}", min(1.0, found[0][1]))
    ]


def _because(catalogue: Catalogue, source: int, item: int, share: float, *, language: str) -> Reason:
    """A reason from the history; an item may speak for itself where people come back to things."""
    if source == item:
        again = "You have chosen it before" if language == "en" else "你之前选过它"
        return Reason("history", again, share, catalogue.ids[source])
    name = title(catalogue, source, language)
    text = f"Because you chose {name}" if language == "en" else f"因为你选择了“{name}”"
    return Reason("history", text, share, catalogue.ids[source])


def _by_models(names: tuple[str, ...], language: str) -> Reason:
    known = MODELS[language]
    told = list(dict.fromkeys(known[name] for name in names if name in known))
    if not told or names == ("popularity",):
        return Reason("popular", "Popular with other people" if language == "en" else "许多人都在选", 0.1)
    return Reason(
        "model", ("By " if language == "en" else "依据：") + (", " if language == "en" else "、").join(told), 0.2
    )


def _distinct(found: list[Reason]) -> list[Reason]:
    return list({reason.text: reason for reason in found}.values())

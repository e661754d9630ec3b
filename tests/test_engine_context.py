"""The moment and the visit change an answer at once, and the explanation says so in both languages."""

from __future__ import annotations

import pytest

from palate.engine.context_words import context_of_score, context_reasons
from palate.engine.explaining import MODELS
from palate.engine.settings import ModelSettings
from tests.engine_world import fitted


def items(**question: object) -> list[tuple[str, float]]:
    answer = fitted().recommend(k=20, **question)  # type: ignore[arg-type]
    return [(item.item, round(item.score, 6)) for item in answer.items]


def a_history() -> list[dict[str, object]]:
    names = fitted().catalogue.ids.names[:4]
    return [{"item_id": name, "timestamp": 1.766e9 + 60 * place} for place, name in enumerate(names)]


def test_the_visit_changes_the_answer_at_once() -> None:
    when = 1.766e9 + 300
    whole = items(history=a_history(), context={"session": 4, "when": when})
    last = items(history=a_history(), context={"session": 1, "when": when})
    assert whole != last


def test_the_moment_changes_the_answer_at_once() -> None:
    soon = items(history=a_history(), context={"when": 1.766e9 + 300})
    late = items(history=a_history(), context={"when": 1.766e9 + 90 * 86_400})
    assert soon != late


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_explanation_names_the_context(language: str) -> None:
    engine = fitted()
    user = engine.dataset.user_ids.names[0]
    item = engine.recommend(user).items[0].item
    explanation = engine.explain(item, user, language=language)
    assert explanation.context
    for part in explanation.context:
        own = [one["contribution"] for one in explanation.features if one["name"] in part["features"]]
        assert part["contribution"] == pytest.approx(sum(own))
        assert any("\u4e00" <= letter <= "\u9fff" for letter in part["text"]) == (language == "zh")
    strengths = [abs(part["contribution"]) for part in explanation.context]
    assert strengths == sorted(strengths, reverse=True)


def test_what_speaks_for_an_item_is_a_reason_and_what_speaks_against_it_is_none() -> None:
    features = [
        {"name": "session_category", "contribution": 0.6},
        {"name": "session_text", "contribution": -0.1},
        {"name": "popularity_trend", "contribution": -0.4},
        {"name": "transitions.score", "contribution": 0.5},
        {"name": "days_since_last", "contribution": 0.01},
    ]
    context = context_of_score(features, "en")
    assert [part["name"] for part in context] == ["visit", "moment", "since"]
    assert context[0]["contribution"] == pytest.approx(0.5)
    assert context[0]["text"] == "What you do in this visit speaks for it"
    assert context[1]["text"] == "What people choose these days speaks against it"
    [reason] = context_reasons(context, features)
    assert reason.kind == "context"
    assert reason.text == context[0]["text"]
    assert reason.weight == pytest.approx(0.5 / 1.11)


def test_without_a_context_nothing_is_said() -> None:
    features = [{"name": "transitions.score", "contribution": 0.5}, {"name": "session_length", "contribution": 0.0}]
    assert context_of_score(features, "zh") == []
    assert context_reasons([], features) == ()


def test_every_source_is_told_in_words() -> None:
    sources = set(ModelSettings.model_fields)
    assert [set(words) for words in MODELS.values()] == [sources, sources]

"""What an engine answers, and why."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from palate.core import Queries, UnknownIdError, UsageError
from palate.engine import Engine, EngineSettings
from palate.ranking.ranker import Ranker
from tests.engine_world import QUICK, busiest, dataset, fitted, fresh, ids, same, shop

WHEN = {"when": 1_767_000_000.0}


def test_a_known_user_gets_an_ordered_list() -> None:
    engine = fitted()
    for user in busiest(engine.dataset, 5):
        answer = engine.recommend(user, k=10)
        assert len(set(ids(answer))) == 10
        scores = [item.score for item in answer.items]
        assert scores == sorted(scores, reverse=True)
        assert (answer.source, answer.degraded, answer.model_version) == ("palate", False, engine.version)


def test_the_served_answer_is_the_evaluated_one() -> None:
    engine = fitted()
    users = np.array([engine.dataset.user_ids.position(user) for user in busiest(engine.dataset, 30)], dtype=np.int32)
    queries = engine.dataset.queries(users, k=12, mask_seen=engine.masks_seen)
    ranked = engine.rank(replace(queries, when=np.full(len(users), WHEN["when"])))
    for row, user in enumerate(users.tolist()):
        answer = engine.recommend(engine.dataset.user_ids[user], k=12, context=WHEN)
        assert ids(answer) == [engine.catalogue.ids[item] for item in ranked.row(row).tolist()]
        np.testing.assert_allclose([item.score for item in answer.items], ranked.scores[row], rtol=1e-5, atol=1e-6)


def test_questions_answered_together_are_answered_as_alone() -> None:
    engine = fitted()
    users = [*busiest(engine.dataset, 8), None, "nobody"]
    for user, answer in zip(users, engine.recommend_many(users, k=8), strict=True):
        alone = engine.recommend(user, k=8)
        assert ids(answer) == ids(alone)
        assert (answer.source, answer.degraded) == (alone.source, alone.degraded)


def test_scores_of_the_whole_catalogue_order_it_as_the_list_does() -> None:
    engine = fitted()
    queries = replace(engine.dataset.queries(k=20, mask_seen=engine.masks_seen).take(slice(0, 40)), when=None)
    order = np.argsort(-engine.score(queries), axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(order, engine.rank(queries).items)


def test_fitting_twice_gives_the_same_answers() -> None:
    again = Engine.fit(dataset(), settings=EngineSettings(encoder=QUICK), seed=5)
    assert again.version == fitted().version
    queries = replace(dataset().queries(k=20), when=None)
    first, second = fitted().rank(queries), again.rank(queries)
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_tree_contributions_and_base_are_the_score_of_the_answer() -> None:
    engine = fitted()
    assert engine.pipeline.ranker is not None
    for user in busiest(engine.dataset, 4):
        answer = engine.recommend(user, k=5)
        for item in answer.items:
            told = engine.explain(item.item, user)
            total = told.base + sum(feature["contribution"] for feature in told.features)
            assert total == pytest.approx(told.score, abs=1e-4)
            assert told.score == pytest.approx(item.score, abs=1e-4)
            assert {name for name, source in told.sources.items() if source["proposed"]} == set(item.source)


def test_where_seen_items_are_masked_an_explanation_keeps_to_the_same_candidates() -> None:
    engine = Engine.fit(dataset(), settings=EngineSettings(encoder=QUICK, seen="mask"), seed=5)
    user = busiest(engine.dataset)[0]
    for item in engine.recommend(user, k=5).items:
        assert engine.explain(item.item, user).score == pytest.approx(item.score, abs=1e-4)
    seen = engine.dataset.sequences.row(engine.dataset.user_ids.position(user))
    answered = engine.catalogue.ids.positions(ids(engine.recommend(user, k=50)))
    assert not set(seen.tolist()) & set(answered.tolist())
    assert engine.explain(engine.catalogue.ids[int(seen[0])], user).features


def test_the_average_explains_itself_where_nothing_is_known() -> None:
    answer = fitted().recommend("somebody new", k=3)
    told = fitted().explain(answer.items[0].item, "somebody new")
    assert told.base == 0
    assert sum(feature["contribution"] for feature in told.features) == pytest.approx(told.score, abs=1e-5)
    assert told.score == pytest.approx(answer.items[0].score, abs=1e-5)
    assert not told.history


def test_shares_of_the_history_add_up_to_each_linear_models_score() -> None:
    engine = fitted()
    user = busiest(engine.dataset)[0]
    told = engine.explain(ids(engine.recommend(user))[0], user)
    row = engine.dataset.user_ids.position(user)
    queries = Queries(engine.dataset.sequences.take(slice(row, row + 1)))
    item = np.array([engine.catalogue.ids.position(told.item)], dtype=np.int32)
    checked = 0
    for name in ("transitions", "item_knn", "ease", "semantic", "lexical"):
        model: Any = engine.sources[name]
        parts = model.contributions(queries, item)
        assert parts.sum() == pytest.approx(told.sources[name]["score"], rel=1e-3, abs=1e-4)
        rows = [entry for entry in told.history if entry["source"] == name]
        assert len(rows) == min(10, int((parts != 0).sum()))
        checked += len(rows)
    assert checked


def test_reasons_speak_the_language_asked_for() -> None:
    engine = fitted()
    chinese = shop().items["title_zh"].to_list()
    for user in busiest(engine.dataset, 6):
        for item in engine.recommend(user, k=6, explain=True, language="en").items:
            assert item.reasons
            assert all(reason.text.isascii() for reason in item.reasons)
            assert all(0 <= reason.weight <= 1 for reason in item.reasons)
        for item in engine.recommend(user, k=6, explain=True, language="zh").items:
            for reason in item.reasons:
                if reason.kind == "history" and reason.text != "你之前选过它":
                    assert reason.text.removeprefix("因为你选择了“").removesuffix("”") in chinese
                if reason.kind == "words":
                    own = item.properties
                    said = f"{own['title_zh']} {own['brand_zh']} {own['category_zh']}".lower()
                    words = reason.text.removeprefix("共同的词：").split("、")
                    assert all(word in said for word in words)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("wish", "words"), [("coffee", "coffee|咖啡"), ("咖啡", "coffee|咖啡"), ("帐篷", "tent|帐篷")])
def test_a_wish_in_either_language_finds_what_it_names(wish: str, words: str, language: str) -> None:
    engine = fitted()
    answer = engine.recommend(text=wish, k=3, explain=True, language=language)
    for item in answer.items[:2]:
        assert re.search(words, f"{item.properties['title']} {item.properties['title_zh']}".lower())
    assert answer.source == "palate"
    assert all(item.reasons[0].kind == "wish" for item in answer.items)
    texts = [reason.text for item in answer.items for reason in item.reasons]
    assert all(text.isascii() == (language == "en") for text in texts)
    assert not any(wish in text for text in texts if wish.isascii() and language == "zh")


def test_a_wish_nobody_can_read_leaves_the_order_as_it_was() -> None:
    engine = fitted()
    user = busiest(engine.dataset)[0]
    plain = engine.recommend(user, context=WHEN)
    assert ids(engine.recommend(user, text="zzzzqq", context=WHEN)) == ids(plain)
    assert ids(engine.recommend(text="zzzzqq")) == ids(engine.recommend())


def test_nothing_known_is_answered_by_what_is_popular() -> None:
    engine = fitted()
    answer = engine.recommend("somebody new", k=30)
    assert answer.source == "popularity"
    assert ids(answer) == ids(engine.recommend(k=30)) == ids(engine.recommend(history=[], k=30))
    scores = engine.sources["popularity"].score(Queries.of([[]]))[0, engine.catalogue.ids.positions(ids(answer))]
    assert (np.diff(scores) <= 0).all()


def test_similar_items_are_alike_and_never_the_item_itself() -> None:
    engine = fitted()
    sections = dict(engine.catalogue.frame.select("item_id", "category").iter_rows())
    alike = []
    for item in engine.catalogue.ids.names[:40]:
        answer = engine.similar(item, k=5)
        assert item not in ids(answer)
        assert len(set(ids(answer))) == 5
        alike += [sections[other] == sections[item] for other in ids(answer)]
    by_chance = 1 / len(set(sections.values()))
    assert np.mean(alike) > 5 * by_chance


def test_a_ranker_that_fails_is_replaced_by_the_average(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no trees today")

    engine, user = fresh(), busiest(dataset())[0]
    monkeypatch.setattr(Ranker, "score", broken)
    answer = engine.recommend(user, k=10, filter={"price": {"lte": 60}}, exclude=["nothing"], explain=True)
    assert (answer.degraded, answer.source) == (True, "weights")
    assert len(set(ids(answer))) == 10
    assert all(item.properties["price"] <= 60 and item.reasons for item in answer.items)


def test_a_source_that_fails_leaves_popularity(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no neighbours today")

    engine, user = fresh(), busiest(dataset())[0]
    monkeypatch.setattr(type(engine.sources["item_knn"]), "score", broken)
    answer = engine.recommend(user, k=10)
    assert (answer.degraded, answer.source) == (True, "popularity")
    counts = engine.dataset.popularity[engine.catalogue.ids.positions(ids(answer))]
    assert (np.diff(counts) <= 0).all()
    assert engine.similar(ids(answer)[0]).degraded


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"history": ["nope"]}, UnknownIdError, "history: unknown item 'nope'"),
        ({"candidates": ["nope"]}, UnknownIdError, "candidates: unknown item 'nope'"),
        ({"history": [{"id": 3}]}, UsageError, "names no item"),
        ({"history": [7]}, UsageError, "names no item"),
        ({"context": {"when": "noon"}}, UsageError, "context: when: 'noon' is neither seconds since 1970 nor"),
        ({"context": {"when": "2025-07-01T08:00"}}, UsageError, "a time without a zone"),
        ({"context": {"lat": 39.9}}, UsageError, "lon is missing"),
        ({"k": 0}, UsageError, "at least one item"),
        ({"language": "fr"}, UsageError, "language 'fr'"),
    ],
)
def test_questions_that_make_no_sense_are_refused_in_words(asked: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fitted().recommend(**asked)


def test_unknown_items_cannot_be_explained_or_compared() -> None:
    with pytest.raises(UnknownIdError, match="unknown item 'nope'"):
        fitted().similar("nope")
    with pytest.raises(UnknownIdError, match="unknown item 'nope'"):
        fitted().explain("nope")
    assert not same(fitted().recommend(busiest(dataset())[0]), fitted().recommend())

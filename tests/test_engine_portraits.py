"""What people are told of themselves, and what their corrections change."""

from __future__ import annotations

import pytest

from palate.behaviour import Edits, topic_items
from palate.core import UnknownIdError, UsageError
from tests.engine_world import busiest, fresh, ids, wordless


def topics_of(engine: object, items: list[str]) -> list[str]:
    catalogue = engine.catalogue  # type: ignore[attr-defined]
    return [str(catalogue.properties(catalogue.ids.position(item)).get("category", "")) for item in items]


def test_a_portrait_reads_as_a_table_a_sentence_and_interests() -> None:
    engine = fresh()
    user = busiest(engine.dataset)[0]
    english, chinese = engine.portrait(user), engine.portrait(user, "zh")
    assert english.sentence.endswith(".")
    assert english.summary.startswith("Interested in ")
    assert chinese.summary.startswith("感兴趣：")
    assert english.table["events"] == len(engine.dataset.sequences.row(engine.dataset.user_ids.position(user)))
    assert english.table["spend"] > 0
    assert sum(english.table["price_mix"].values()) == pytest.approx(1, abs=0.01)
    assert sum(own["share"] for own in english.interests) == pytest.approx(1, abs=0.02)
    shares = [own["share"] for own in english.interests]
    assert len(shares) > 1 and shares == sorted(shares, reverse=True)
    names = [own["name"] for own in english.interests]
    assert len(names) == len(set(names))
    assert "modelled from text" in english.branch
    with pytest.raises(UnknownIdError, match="unknown user"):
        engine.portrait("nobody at all")


def test_a_muted_topic_is_gone_from_the_next_answer_and_comes_back() -> None:
    engine = fresh()
    user = busiest(engine.dataset)[0]
    before = ids(engine.recommend(user, k=10))
    topic = topics_of(engine, before)[0].rpartition(" > ")[2]
    about = set(engine.catalogue.ids.externals(topic_items(engine.catalogue, topic)))
    assert about & set(before)
    engine.correct(user, lambda edits: edits.changed(mute=[topic]))
    after = ids(engine.recommend(user, k=10))
    assert len(after) == 10
    assert not about & set(after)
    assert not about & set(ids(engine.recommend_many([user, None], k=10)[0]))
    assert set(ids(engine.recommend_many([user, None], k=40)[1])) & about
    engine.correct(user, lambda edits: edits.changed(unmute=[topic.upper()]))
    assert ids(engine.recommend(user, k=10)) == before


def test_an_added_topic_draws_the_answer_to_it_and_leaves_room_for_the_rest() -> None:
    engine = fresh()
    user = busiest(engine.dataset)[0]
    before = ids(engine.recommend(user, k=10))
    seen = set(engine.dataset.sequences.row(engine.dataset.user_ids.position(user)).tolist())
    topics = {name.rpartition(" > ")[2] for name in engine.catalogue.categories[1]}
    of = {topic: set(topic_items(engine.catalogue, topic).tolist()) - seen for topic in topics}
    names = {topic: set(engine.catalogue.ids.externals(items)) for topic, items in of.items()}
    topic = max(topics, key=lambda one: (len(names[one]) >= 5 and not names[one] & set(before), one))
    assert not names[topic] & set(before)
    engine.correct(user, lambda edits: edits.changed(add=[topic]))
    after = ids(engine.recommend(user, k=10))
    assert names[topic] & set(after)
    assert set(after) - names[topic]
    assert engine.portrait(user).added == (topic,)


def test_somebody_new_may_begin_with_topics() -> None:
    engine = fresh()
    topic = engine.catalogue.categories[1][-1].rpartition(" > ")[2]
    engine.correct("newcomer", lambda edits: edits.changed(add=[topic]))
    found = set(ids(engine.recommend("newcomer", k=10)))
    assert found & set(engine.catalogue.ids.externals(topic_items(engine.catalogue, topic)))
    assert engine.portrait("newcomer").sentence == "Nothing known yet."


def test_live_events_move_interests_as_a_rebuild_would() -> None:
    engine = fresh()
    item = engine.catalogue.ids[5]
    event = {"user_id": "mover", "item_id": item, "kind": "purchase", "timestamp": 1.7e9, "text": "很好，非常喜欢"}
    engine.update(events=[event])
    first = engine.portrait("mover").interests
    assert first[0]["mood"] > 0.5
    engine.update(events=[{**event, "timestamp": 1.7e9 + 60, "value": None, "text": None}])
    kept = engine.portrait("mover").interests
    again = fresh()
    again.update(events=[event, {**event, "timestamp": 1.7e9 + 60, "text": None}])
    rebuilt = again.portrait("mover").interests
    assert kept == rebuilt
    assert kept[0]["events"] == 2


def test_without_text_the_portrait_says_so_and_still_has_interests() -> None:
    from palate.engine import Engine

    engine = Engine.fit(wordless(), preset="fast", seed=1)
    user = busiest(engine.dataset)[0]
    portrait = engine.portrait(user, "zh")
    assert "特征" in portrait.branch
    assert portrait.interests


def test_corrections_have_bounds_and_say_what_is_wrong() -> None:
    edits = Edits().changed(mute=["Tea", "  green   tea "], add=["咖啡"])
    assert edits.muted == ("Tea", "green tea")
    assert edits.changed(mute=["咖啡"]) == Edits(("Tea", "green tea", "咖啡"), ())
    assert edits.changed(add=["tea"]) == Edits(("green tea",), ("咖啡", "tea"))
    assert Edits.read(edits.written()) == edits
    for wrong, why in (([""], "says nothing"), (["!!"], "says nothing"), (["x" * 65], "at most 64")):
        with pytest.raises(UsageError, match=why):
            edits.changed(mute=wrong)
    with pytest.raises(UsageError, match="at once"):
        edits.changed(mute=["Milk"], add=["milk"])
    with pytest.raises(UsageError, match="at most 20"):
        edits.changed(add=[f"topic {number}" for number in range(20)])

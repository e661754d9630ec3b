"""What happens after training is in the very next answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, Histories, PalateError, Queries, widened
from palate.engine import Engine
from palate.engine.counting import Counting
from palate.engine.live import LiveEvent
from tests.engine_world import busiest, dataset, fitted, fresh, ids, same

NEW = {
    "item_id": "new-1",
    "title": "Zorbello Quokka Figurine, Teal",
    "title_zh": "佐贝罗 短尾矮袋鼠摆件 青色",
    "brand": "Zorbello",
    "price": 12.5,
}


def test_an_event_changes_the_very_next_answer() -> None:
    engine = fresh()
    user = busiest(engine.dataset)[0]
    before = engine.recommend(user)
    bought = ids(engine.recommend(user, k=60))[-1]
    updated = engine.update(events=[{"user_id": user, "item_id": bought, "kind": "purchase"}])
    assert (updated.events, updated.rejected) == (1, ())
    assert not same(engine.recommend(user), before)
    assert same(fitted().recommend(user), before)


def pair_bought(engine: Engine, first: str, then: str, times: int = 6) -> None:
    """Several people unknown so far choose one thing and then another, one call an event."""
    for person in range(times):
        for step, name in enumerate((first, then)):
            moment = 1.766e9 + 3_600 * step + person
            event = {"user_id": f"live-{person}", "item_id": name, "kind": "purchase", "timestamp": moment}
            assert engine.update(events=[event]).events == 1


@pytest.mark.parametrize("then_new", [False, True])
def test_what_one_person_did_next_others_are_told_of(then_new: bool) -> None:
    engine = fresh(counting=1.0)
    if then_new:
        engine.update(items=[NEW])
    first, then = engine.catalogue.ids[3], "new-1" if then_new else engine.catalogue.ids[40]
    asked = Queries.of([[3]], k=10)
    place = engine.catalogue.ids.position(then)
    before = widened(engine.sources["transitions"].score(asked), len(engine.catalogue))[0, place]
    answer = engine.recommend(history=[first], k=10)
    pair_bought(engine, first, then)
    assert engine.sources["transitions"].score(asked)[0, place] > before
    assert not same(engine.recommend(history=[first], k=10), answer)
    assert same(fresh().recommend(history=[first], k=10), fitted().recommend(history=[first], k=10))


def test_a_saved_engine_counts_what_is_told_again_once(tmp_path: Path) -> None:
    engine = fresh(counting=1.0)
    first, then = (engine.catalogue.ids[place] for place in (3, 40))
    pair_bought(engine, first, then)
    engine.save(tmp_path / "engine")
    loaded = Engine.load(tmp_path / "engine")
    asked = Queries.of([[3], [40]])
    before, counted = (own.sources["transitions"].score(asked) for own in (fitted(), engine))
    np.testing.assert_array_equal(loaded.sources["transitions"].score(asked), before)
    pair_bought(loaded, first, then)
    np.testing.assert_allclose(loaded.sources["transitions"].score(asked), counted, rtol=1e-6)


def test_counting_takes_no_more_than_its_share_of_the_time() -> None:
    ticks = iter([0.0, 1.0, 5.0, 9.9, 10.0, 11.0, 12.0])
    shelf = fresh()._shelf
    counting = Counting(shelf.pipeline.sources, 0.1, lambda: next(ticks))
    event = LiveEvent(5, 1.766e9, 0, 1.0)

    def shown() -> bool:
        counting.note(Histories.of([[3]]), [event])
        return counting.counted(shelf) is not shelf

    assert shown(), "at 0, for one second"
    assert not shown(), "at 5"
    assert not shown(), "at 9.9"
    assert shown(), "at 10, with all that waited"
    assert counting.counted(shelf) is shelf, "nothing waits"
    unwilling = Counting(shelf.pipeline.sources, 0.0)
    unwilling.note(Histories.of([[3]]), [event])
    assert unwilling.counted(shelf) is shelf


def test_events_of_somebody_new_begin_a_history() -> None:
    engine = fresh()
    stranger = engine.recommend("newcomer", k=10)
    item = engine.catalogue.ids[7]
    bought = {"item_id": item, "timestamp": 1.76e9}
    engine.update(events=[{"user_id": "newcomer", "kind": "purchase", **bought}])
    answer = engine.recommend("newcomer", k=10, context={"when": 1.77e9})
    assert (stranger.source, answer.source) == ("popularity", "palate")
    assert same(answer, engine.recommend(history=[bought], k=10, context={"when": 1.77e9}))
    assert engine.explain(ids(answer)[0], "newcomer").history


def test_events_without_interest_are_taken_and_change_nothing() -> None:
    engine = fresh()
    user = busiest(engine.dataset)[0]
    before = engine.recommend(user, context={"when": 1.767e9})
    disliked = {"user_id": user, "item_id": engine.catalogue.ids[3], "kind": "dislike"}
    assert engine.update(events=[disliked, {"user_id": user, "kind": "search", "text": "tea"}]).events == 2
    assert same(engine.recommend(user, context={"when": 1.767e9}), before)


def test_rows_that_cannot_be_are_left_out_and_named() -> None:
    engine = fresh()
    good = {"user_id": "a", "item_id": engine.catalogue.ids[0], "kind": "view"}
    rows = [{**good, "kind": "teleport"}, good, {**good, "item_id": "nope"}, {**good, "user_id": None}]
    updated = engine.update(events=rows)
    assert updated.events == 1
    assert {row["line"]: row["reason"] for row in updated.rejected} == {
        1: "unknown_kind",
        3: "unknown item 'nope'",
        4: "no_user",
    }


def test_live_histories_are_bounded_and_in_order_of_time() -> None:
    engine = fresh(history=3)
    names = engine.catalogue.ids.names[:5]
    seconds = [1.76e9 + 100 * place for place in range(5)]
    for name, second in zip(names, seconds, strict=True):
        engine.update(events=[{"user_id": "n", "item_id": name, "kind": "purchase", "timestamp": second}])
    engine.update(events=[{"user_id": "n", "item_id": names[0], "kind": "purchase", "timestamp": seconds[3] - 1}])
    kept = [(names[0], seconds[3] - 1), (names[3], seconds[3]), (names[4], seconds[4])]
    told = [{"item_id": name, "timestamp": second} for name, second in kept]
    when = {"when": 1.77e9}
    assert same(engine.recommend("n", context=when), engine.recommend(history=told, context=when))


def test_a_new_item_is_recommendable_at_once() -> None:
    engine = fresh()
    assert engine.update(items=[NEW]).items == 1
    assert ids(engine.recommend(text="Quokka figurine", k=3))[0] == "new-1"
    assert engine.similar("new-1", k=3).items
    assert engine.recommend(candidates=["new-1"], k=1).items[0].properties["brand"] == "Zorbello"
    twin = {**NEW, "item_id": "new-2"}
    engine.update(items=[twin])
    assert ids(engine.similar("new-1", k=1)) == ["new-2"]
    assert "new-2" in ids(engine.recommend(history=["new-1"], k=10, exclude=["new-1"]))
    assert "new-1" not in fitted().catalogue.ids


def test_a_new_item_like_a_known_one_stands_beside_it() -> None:
    engine = fresh()
    row = engine.catalogue.frame.row(5, named=True)
    engine.update(items=[{**row, "item_id": "again", "stock": 4.0}])
    assert "again" in ids(engine.similar(row["item_id"], k=10))
    assert "again" in ids(engine.recommend(text=row["title"], k=3))
    engine.update(events=[{"user_id": "fan", "item_id": "again", "kind": "purchase"}])
    reasons = [reason for item in engine.recommend("fan", k=5, explain=True).items for reason in item.reasons]
    assert any(reason.item == "again" for reason in reasons)


def test_a_changed_text_is_read_again() -> None:
    engine = fresh()
    name = engine.catalogue.ids[11]
    assert ids(engine.recommend(text="quokka teal", k=3))[0] != name
    fields = {key: value for key, value in NEW.items() if key != "price"}
    words = fitted().catalogue.strings("title")[12].split()[:2]
    updated = engine.update(items=[{**fields, "item_id": name, "title": " ".join(["Quokka", *words])}])
    assert updated.items == 1
    assert len(engine.catalogue) == len(fitted().catalogue)
    assert ids(engine.recommend(text=" ".join(words), k=10)).count(name) == 1
    assert fitted().catalogue.strings("title")[11] != engine.catalogue.strings("title")[11]


def test_a_sold_out_item_is_not_answered_any_more() -> None:
    engine = fresh()
    best = ids(engine.recommend(k=1))[0]
    engine.update(items=[{"item_id": best, "stock": 0}])
    assert best not in ids(engine.recommend(k=100))
    engine.update(items=[{"item_id": best, "stock": 3}])
    assert ids(engine.recommend(k=1)) == [best]


def test_items_are_taken_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the words ran out")

    engine, user = fresh(), busiest(dataset())[0]
    before = engine.recommend(user, context={"when": 1.767e9})
    with monkeypatch.context() as patch:
        patch.setattr(type(engine.sources["lexical"]), "extend", broken)
        with pytest.raises(PalateError, match=r"the words ran out.*goes on with the catalogue it had"):
            engine.update(items=[NEW])
    assert "new-1" not in engine.catalogue.ids
    assert len(engine.pipeline.facts.popularity) == len(engine.catalogue)
    assert same(engine.recommend(user, context={"when": 1.767e9}), before)
    assert engine.update(items=[NEW]).items == 1
    assert ids(engine.recommend(text="quokka", k=1)) == ["new-1"]


def test_nothing_is_taken_where_one_table_is_none_at_all() -> None:
    engine = fresh()
    with pytest.raises(DataError):
        engine.update(items=[NEW], events=[{"colour": "red"}])
    assert "new-1" not in engine.catalogue.ids


def test_growing_step_by_step_is_growing_at_once() -> None:
    rows = [{**NEW, "item_id": f"new-{place}", "title": f"Quokka Lamp {place}"} for place in range(4)]
    stepwise, at_once = fresh(), fresh()
    for row in rows:
        stepwise.update(items=[row])
        stepwise.update(items=[row])
    at_once.update(items=rows)
    for wish in ("quokka lamp", "lamp 2", "Zorbello"):
        first, second = stepwise.recommend(text=wish, k=4), at_once.recommend(text=wish, k=4)
        assert set(ids(first)) == set(ids(second)) == {row["item_id"] for row in rows}
        assert ids(first)[0] == ids(second)[0]
    assert set(ids(stepwise.similar("new-2", k=3))) == set(ids(at_once.similar("new-2", k=3)))


def test_attributes_of_users_are_checked_and_counted() -> None:
    updated = fresh().update(users=[{"user_id": "a", "city": "Ghent"}, {"user_id": None, "city": "Lyon"}])
    assert updated.users == 1
    assert [row["reason"] for row in updated.rejected] == ["no_user"]


def test_frames_do_as_well_as_mappings() -> None:
    engine: Engine = fresh()
    updated = engine.update(
        events=pl.DataFrame({"user_id": ["f"], "item_id": ["new-1"], "kind": ["like"]}), items=pl.DataFrame([NEW])
    )
    assert (updated.events, updated.items) == (1, 1)
    assert engine.recommend("f").source == "palate"
    assert engine.update(events=[], items=[], users=None).rejected == ()

"""Questions for newcomers: on a world where the best question is known, what answers do, and what is never asked."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from palate.core import UnknownIdError, UsageError
from palate.data import Dataset
from palate.data.event_log import EventLog
from palate.engine import Engine, EngineSettings
from palate.models.elicitation import ElicitationSettings, TasteClasses
from palate.privacy.vault import Vault
from palate.serving import create_app
from palate.testing import small_shop

CAMPS = 4
EVEN = 2
OWN = ElicitationSettings(classes=4, smoothing=5.0)


def world(n_users: int = 200, camps: int = CAMPS) -> Dataset:
    """Camps of equal size. Everybody has the bestseller, which tells nothing; everybody in a camp has its flag, which
    tells all of it, and five of its eight goods, each of which tells a part."""
    rng = np.random.default_rng(0)
    rows: list[tuple[str, str]] = []
    for user in range(n_users):
        camp = user % camps
        had = ["bestseller", f"flag-{camp}", *(f"good-{camp}-{n}" for n in rng.permutation(8)[:5])]
        rows += [(f"u{user:03d}", item) for item in had]
    frame = pl.DataFrame({"user_id": [u for u, _ in rows], "item_id": [i for _, i in rows]}).with_row_index("position")
    names = ["bestseller", "unknown", *(f"flag-{c}" for c in range(camps))]
    names += [f"good-{c}-{n}" for c in range(camps) for n in range(8)]
    return Dataset.from_frames(frame, pl.DataFrame({"item_id": names, "title": [f"The {name}" for name in names]}))


@pytest.fixture(scope="module")
def camps() -> tuple[Dataset, TasteClasses]:
    data = world()
    return data, TasteClasses.of(data, OWN)


def test_the_best_question_is_asked_first() -> None:
    data = world(camps=EVEN)
    classes = TasteClasses.of(data, OWN)
    may = np.ones(data.n_items, dtype=bool)
    assert data.item_ids[classes.ask([], 1, may)[0]] in {"flag-0", "flag-1"}
    # Without the flags a good is asked about: neither what everybody has nor what nobody has tells anything.
    may[data.item_ids.positions(["flag-0", "flag-1"])] = False
    assert data.item_ids[classes.ask([], 1, may)[0]].startswith("good")


def test_the_next_question_follows_from_the_answer(camps: tuple[Dataset, TasteClasses]) -> None:
    data, classes = camps
    may, flag = np.ones(data.n_items, dtype=bool), data.item_ids.position("flag-0")
    after_no = data.item_ids[classes.ask([(flag, False)], 1, may)[0]]
    assert after_no in {"flag-1", "flag-2", "flag-3"}
    beliefs = classes.after([(flag, True)])
    best = classes.expected(beliefs)[0].argsort()[::-1][:10]
    assert sum(data.item_ids[item].startswith("good-0") for item in best) == 8


def test_two_answers_tell_the_camp_where_popular_questions_tell_less(camps: tuple[Dataset, TasteClasses]) -> None:
    data, classes = camps
    may = np.ones(data.n_items, dtype=bool)
    popular = np.argsort(-data.popularity, kind="stable")[:2].tolist()

    def sure(camp: int, questions: list[int] | None) -> float:
        """How much of the expected attention goes to the camp's goods after two answers."""
        has = {data.item_ids.position(name) for name in ("bestseller", f"flag-{camp}")}
        answers: list[tuple[int, bool]] = []
        for step in range(2):
            item = questions[step] if questions else classes.ask(answers, 1, may)[0]
            answers.append((item, item in has))
        goods = data.item_ids.positions([f"good-{camp}-{n}" for n in range(8)])
        return float(classes.expected(classes.after(answers))[0, goods].sum())

    assert np.mean([sure(c, None) for c in range(CAMPS)]) > 1.1 * np.mean([sure(c, popular) for c in range(CAMPS)])


def test_nothing_is_asked_twice_and_nothing_that_may_not_be(camps: tuple[Dataset, TasteClasses]) -> None:
    data, classes = camps
    may = np.zeros(data.n_items, dtype=bool)
    may[[1, 5, 9]] = True
    asked = classes.ask([(5, True), (data.n_items + 7, True)], 10, may)
    assert sorted(asked) == [1, 9]
    assert classes.ask([], 3, np.zeros(data.n_items, dtype=bool)) == []


@cache
def small_classes() -> TasteClasses:
    """Learnt once for all examples."""
    return TasteClasses.of(world(60), OWN)


@given(st.lists(st.tuples(st.integers(0, 37), st.booleans()), max_size=12))
def test_beliefs_stay_beliefs_and_their_order_does_not_matter(answers: list[tuple[int, bool]]) -> None:
    classes = small_classes()
    beliefs = classes.after(list(dict(answers).items()))
    assert beliefs.sum() == pytest.approx(1, abs=1e-4)
    assert (beliefs >= 0).all()
    np.testing.assert_allclose(classes.after(list(dict(answers).items())[::-1]), beliefs, atol=1e-3)


def test_many_people_are_asked_as_each_alone(camps: tuple[Dataset, TasteClasses]) -> None:
    data, classes = camps
    rng = np.random.default_rng(0)
    may = np.ones((6, data.n_items), dtype=bool)
    beliefs = np.concatenate([classes.after([(int(rng.integers(38)), bool(row % 2))]) for row in range(6)])
    together = classes.next_question(beliefs, may)
    alone = [int(classes.next_question(beliefs[row : row + 1], may[row : row + 1])[0]) for row in range(6)]
    assert together.tolist() == alone


def test_classes_are_the_same_in_every_run_and_few_people_have_few() -> None:
    first, again = TasteClasses.of(world(), OWN), TasteClasses.of(world(), OWN)
    np.testing.assert_array_equal(first.tastes, again.tastes)
    np.testing.assert_allclose(first.tastes.sum(axis=1), 1, atol=1e-4)
    assert len(TasteClasses.of(world(25)).shares) == 2
    nobody = world(20).only(np.zeros(140, dtype=bool))
    assert TasteClasses.of(nobody).ask([], 2, np.ones(nobody.n_items, dtype=bool))


def test_an_engine_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_VAULT", str(tmp_path / "vault.sqlite"))
    data = small_shop()
    settings = EngineSettings(sources=("popularity", "transitions"))
    engine = Engine.fit(data, settings=settings)
    first = engine.ask()
    assert len(first) == 1
    assert 0 < first[0].chance < 1
    assert first[0].title == data.catalogue.titles[data.item_ids.position(first[0].item)]
    more = engine.ask(4, answered={first[0].item: False})
    assert len({question.item for question in more} | {first[0].item}) == 5
    cheap = engine.ask(3, filter={"price": {"lte": 10}})
    assert all(engine.catalogue.prices[engine.catalogue.ids.position(one.item)] <= 10 for one in cheap)
    had = {data.item_ids[item] for item in data.sequences.row(0)}
    assert not had & {question.item for question in engine.ask(20, user=data.user_ids[0])}
    guessed = engine.recommend_to_newcomer({one.item: True for one in more}, 5)
    assert len(guessed) == 5
    assert not {one.item for one in guessed} & {one.item for one in more}
    with pytest.raises(UnknownIdError, match="nothing-like-it"):
        engine.ask(answered={"nothing-like-it": True})
    with pytest.raises(UsageError, match="at least one"):
        engine.ask(0)
    engine.save(tmp_path / "engine")
    assert Engine.load(tmp_path / "engine").ask(2) == engine.ask(2)
    _over_http(engine, tmp_path)


def _over_http(engine: Engine, folder: Path) -> None:
    with (
        EventLog(folder / "log.sqlite", Vault(folder / "other.sqlite")) as log,
        TestClient(create_app(engine, log)) as web,
    ):
        first = web.post("/v1/questions", json={}).json()["questions"]
        assert [one["id"] for one in first] == [one.item for one in engine.ask()]
        told = {"answered": [{"item_id": first[0]["id"], "liked": True}], "count": 3, "recommend": 4}
        whole = web.post("/v1/questions", json=told).json()
        found = whole["questions"]
        assert [one["id"] for one in whole["items"]] == [
            one.item for one in engine.recommend_to_newcomer({first[0]["id"]: True}, 4)
        ]
        assert [one["id"] for one in found] == [one.item for one in engine.ask(3, answered={first[0]["id"]: True})]
        assert web.post("/v1/questions", json={"answered": [{"item_id": "nowhere"}]}).status_code == 404
        assert web.post("/v1/questions", json={"count": 0}).status_code == 422
        assert json.loads(web.get("/openapi.json").text)["paths"]["/v1/questions"]["post"]

"""Calibration on worlds whose odds are known, and reactions read from events as they come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from palate.core import Kinds
from palate.data import Dataset
from palate.measure.calibration import expected_calibration_error
from palate.measure.calibrators import Calibrator, chosen, isotonic, logistic_weights, platt
from palate.ranking.reactions import Habits, Reactions


def world(curve: str, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, their true probabilities and outcomes."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=n)
    odds = 1 / (1 + np.exp(2 - 1.5 * scores)) if curve == "logistic" else np.where(scores > 0.5, 0.6, 0.05)
    return scores, odds, rng.random(n) < odds


@pytest.mark.parametrize(("curve", "kind"), [("logistic", "platt"), ("step", "isotonic")])
def test_the_better_calibrator_is_chosen_and_tells_the_truth(curve: str, kind: str) -> None:
    scores, odds, liked = world(curve)
    found = chosen(scores, liked, np.arange(len(scores)) % 5)
    assert found.kind == kind
    assert expected_calibration_error(odds, found(scores)) < 0.01
    again = Calibrator.restore(found.kind, found.arrays())
    assert (again(scores) == found(scores)).all()


numbers = arrays.arrays(np.float64, st.integers(2, 60), elements=st.floats(-1e3, 1e3))


@given(numbers, st.integers(0, 2**32 - 1))
def test_probabilities_rise_with_scores_and_lie_between_none_and_all(scores: np.ndarray, seed: int) -> None:
    liked = np.random.default_rng(seed).random(len(scores)) < 0.4
    for fit in (platt, isotonic):
        probability = fit(scores, liked)(np.sort(scores))
        assert ((probability >= 0) & (probability <= 1)).all()
        assert (np.diff(probability) >= -1e-12).all()


def test_the_weights_of_a_logistic_world_are_found_again() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(3_000, 2)) * [1.0, 7.0] + [3.0, 0.0]
    truth = np.array([0.8, -0.2, -1.0])
    odds = 1 / (1 + np.exp(-(columns @ truth[:2] + truth[2])))
    assert np.allclose(logistic_weights(columns, odds), truth, atol=1e-2)


EVENTS = [
    ("u", "a", 100.0, "view", "s1", None, 12.0),
    ("u", "b", 110.0, "view", "s1", None, 40.0),
    ("u", "b", 120.0, "purchase", "s1", None, None),
    ("u", "c", 130.0, "purchase", "s1", None, None),  # bought without a look: nothing was held out to anybody
    ("u", "a", 200.0, "view", "s2", None, 9.0),
    ("u", "a", 210.0, "cart", "s2", None, None),
    ("u", "d", 220.0, "view", "s2", None, None),
    ("u", "d", 230.0, "purchase", "s2", None, None),
    ("u", "d", 900.0, "return", "s3", None, None),
    ("v", "d", 300.0, "view", "s4", None, 80.0),
    ("v", "d", 310.0, "purchase", "s4", None, None),
    ("v", "d", 990.0, "rating", "s5", 2.0, None),
    ("v", "b", 400.0, "view", "s6", None, 3.0),
    ("v", "b", 410.0, "purchase", "s6", None, None),
    ("v", "b", 980.0, "rating", "s7", 5.0, None),
    ("v", None, 395.0, "search", "s6", None, None),
]


def dataset(rows: Sequence[tuple[object, ...]] = EVENTS) -> Dataset:
    schema = ["user_id", "item_id", "timestamp", "kind", "session_id", "value", "dwell"]
    frame = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
    return Dataset.assemble(frame, kinds=Kinds())


def test_a_look_is_a_like_where_the_thing_was_taken_kept_and_not_rated_low() -> None:
    data = dataset()
    found = Reactions.of(data)
    told = {
        (data.user_ids[int(user)], data.item_ids[int(item)], int(order)): bool(liked)
        for user, item, order, liked in zip(found.users, found.items, found.order, found.liked, strict=True)
    }
    assert told == {
        ("u", "a", 0): False,
        ("u", "b", 1): True,
        ("u", "d", 1): False,
        ("v", "d", 0): False,
        ("v", "b", 0): True,
    } | {("u", "a", 0): False}
    assert len(found) == 6, "the second look at a is an occasion of its own"


def test_a_history_ends_where_the_visit_begins() -> None:
    data = dataset()
    found = Reactions.of(data)
    histories = found.histories(data)
    for row in range(len(found)):
        past = histories.times[histories.indptr[row] : histories.indptr[row + 1]]
        assert (past < data.events["time"].to_numpy()[found.begins[row]]).all()
    last = int(np.argmax(found.rows[found.users == data.user_ids.position("u")]))
    assert len(histories.row(last)) == 4, "a, b, b and c of the visit before"


def test_where_nobody_looks_ratings_tell() -> None:
    rows = [("u", f"i{stars}", 100.0 + stars, "rating", "s", float(stars), None) for stars in (1, 2, 3, 4, 5)]
    data = dataset(rows)
    found = Reactions.of(data)
    assert {data.item_ids[int(item)] for item in found.items[found.liked]} == {"i4", "i5"}


def test_habits_of_rare_items_are_those_of_their_category() -> None:
    rng = np.random.default_rng(1)
    n = 4_000
    items = rng.integers(0, 4, n).astype(np.int32)
    liked = rng.random(n) < np.array([0.4, 0.4, 0.1, 0.1])[items]
    nothing, dwell = np.zeros(n, np.int64), np.full(n, np.nan, np.float32)
    reactions = Reactions(items, items, nothing, nothing, items, dwell, liked)
    habits = Habits.of(reactions, np.array([0, 0, 1, 1, 0, -1], dtype=np.int32), strength=20.0)
    share = 1 / (1 + np.exp(-habits.liking - np.log(liked.mean() / (1 - liked.mean()))))
    assert np.allclose(share[:4], [0.4, 0.4, 0.1, 0.1], atol=0.03)
    assert share[4] == pytest.approx(0.4, abs=0.03), "an item nobody looked at"
    assert share[5] == pytest.approx(0.25, abs=0.03), "of no category"
    assert not habits.dwell.any()

"""Ids, ragged arrays, histories and queries keep their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import Histories, Ids, Kind, Kinds, Queries, Ragged, UnknownIdError, UsageError
from palate.core.ids import id_hash

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6)
NAMES = st.lists(st.text(min_size=1, max_size=4), max_size=20)


@given(ROWS, st.data())
def test_ragged_rows_are_what_was_given_and_take_is_indexing(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.of(rows)
    assert [ragged[i].tolist() for i in range(len(ragged))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.rows.tolist() == [i for i, row in enumerate(rows) for _ in row]
    if rows:
        picked = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
        taken = ragged.take(np.array(picked, dtype=np.int32))
        assert [taken[i].tolist() for i in range(len(taken))] == [rows[i] for i in picked]
    cut = data.draw(st.slices(len(rows)))
    sliced = ragged.take(cut)
    assert [sliced[i].tolist() for i in range(len(sliced))] == rows[cut]


@given(ROWS, st.integers(1, 4))
def test_histories_know_ages_and_their_newest_events(rows: list[list[int]], n: int) -> None:
    histories = Histories.of(rows)
    assert histories.ages.tolist() == [len(row) - 1 - i for row in rows for i in range(len(row))]
    newest = histories.last(n)
    assert [newest.row(i).tolist() for i in range(len(newest))] == [row[-n:] for row in rows]
    dense = histories.matrix(10).toarray()
    assert dense.tolist() == [[row.count(item) for item in range(10)] for row in rows]


def test_a_contiguous_slice_of_histories_copies_nothing() -> None:
    histories = Histories.of([[1, 2], [3], [4, 5, 6]])
    assert np.shares_memory(histories.take(slice(1, 3)).items, histories.items)


@given(NAMES)
def test_hashed_ids_do_not_depend_on_the_order_they_are_met_in(names: list[str]) -> None:
    ids = Ids.hashed(names)
    assert ids.names == Ids.hashed(reversed(names)).names
    assert set(ids.names) == set(names)
    assert [id_hash(name) for name in ids.names] == sorted(id_hash(name) for name in set(names))
    assert [ids[ids.position(name)] for name in names] == names


@given(NAMES, NAMES)
def test_extended_ids_keep_every_position_handed_out(names: list[str], more: list[str]) -> None:
    ids = Ids.hashed(names)
    longer = ids.extended(more)
    assert longer.names[: len(ids)] == ids.names
    assert set(longer.names) == {*names, *more}


def test_unknown_ids_are_minus_one_or_an_error_by_name() -> None:
    ids = Ids(["a", "b"], "user")
    assert ids.get("c") == -1
    assert ids.positions(["b", "c"]).tolist() == [1, -1]
    assert ids.externals([1, -1]) == ["b"]
    with pytest.raises(UnknownIdError, match="unknown user 'c'"):
        ids.position("c")
    with pytest.raises(ValueError, match="not unique"):
        Ids(["a", "a"])


def test_items_written_nearly_alike_are_named_and_people_never() -> None:
    names = ["tea-01", "tea-02", "cup-01"]
    with pytest.raises(UnknownIdError, match=r"unknown item 'Tea-1'; written nearly alike: tea-01$"):
        Ids(names).position("Tea-1")
    with pytest.raises(UnknownIdError, match=r"unknown item 'x'$"):
        Ids(names).position("x")
    with pytest.raises(UnknownIdError, match=r"unknown user 'tea-0'$"):
        Ids(names, "user").position("tea-0")


@given(ROWS, st.integers(1, 4))
def test_batches_put_together_are_the_questions(rows: list[list[int]], size: int) -> None:
    n = len(rows)
    queries = Queries(
        Histories.of(rows),
        k=3,
        candidates=Ragged.of([[i] for i in range(n)]),
        text=tuple(map(str, range(n))),
        when=np.arange(n, dtype=np.float64),
    )
    parts = list(queries.batches(size))
    assert sum(len(part) for part in parts) == n
    assert [text for part in parts for text in part.text or ()] == list(queries.text or ())
    assert [part.history.row(i).tolist() for part in parts for i in range(len(part))] == rows
    assert [when for part in parts for when in (part.when if part.when is not None else [])] == list(range(n))


def test_questions_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(UsageError, match="k = 0"):
        Queries.of([[1]], k=0)
    with pytest.raises(UsageError, match="excludes has 2 rows for 1 questions"):
        Queries(Histories.of([[1]]), excludes=Ragged.of([[1], [2]]))


def test_own_kinds_are_added_and_usual_ones_weighed_anew() -> None:
    kinds = Kinds([Kind("borrow", 0.8), Kind("view", 0.1)])
    assert kinds.weights[kinds.position("borrow")] == np.float32(0.8)
    assert kinds.weights[kinds.position("view")] == np.float32(0.1)
    with pytest.raises(UsageError, match="lower case"):
        Kinds([Kind("Borrow", 1.0)])
    with pytest.raises(UsageError, match="unknown kind 'lend'; known: view"):
        kinds.position("lend")

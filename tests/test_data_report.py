"""The report says in words why training would fail or be poor, and its counts add up."""

from __future__ import annotations

import json
from string import Formatter
from typing import Any

import pytest

from palate.core import UsageError
from palate.data import Dataset, Report
from palate.data.report_words import HEADINGS, REASONS, SENTENCES


def report(rows: list[dict[str, Any]], items: list[dict[str, Any]] | None = None, **options: Any) -> Report:
    found = Dataset.from_frames(rows, items, **options).report
    assert found is not None
    return found


def events(users: int, each: int, **more: Any) -> list[dict[str, Any]]:
    return [{"user": u, "item": n, "time": 1e9 + n * 9_999 + u, **more} for u in range(users) for n in range(each)]


@pytest.mark.parametrize(
    ("rows", "level", "sentence"),
    [
        (events(1, 5), "fail", "one user only"),
        (events(5, 1), "fail", "one item only"),
        (events(5, 1), "fail", "No user has more than one event"),
        (events(3, 3, kind="impression"), "fail", "No event is evidence of interest"),
        (events(3, 3), "poor", "9 events of interest are few"),
        ([{**row, "time": 1e9} for row in events(3, 3)], "poor", "All events have the same time"),
        (events(3, 3), "poor", "Items have no texts"),
        ([*events(9, 1), *events(1, 3)], "poor", "Only 11% of users"),
        ([{"user": 1, "item": n, "position": n} for n in range(3)], "note", "There are no times"),
        ([{"user": 1, "item": n, "position": n, "time": n or None} for n in range(3)], "note", "1 of 3 events have no"),
        ([{**row, "time": "2024-01-0" + str(row["item"] + 1)} for row in events(3, 3)], "note", "Times are whole days"),
    ],
)
def test_what_stands_in_the_way_is_said(rows: list[dict[str, Any]], level: Any, sentence: str) -> None:
    found = report(rows)
    assert any(sentence in said for said in found.sentences(level)), found.words()
    assert found.trainable == (not found.sentences("fail"))
    assert found.words("zh") != found.words("en")


def test_good_data_is_called_nothing_bad() -> None:
    items = [{"id": n, "title": f"thing {n}"} for n in range(40)]
    found = report([{**row, "kind": "view"} for row in events(40, 40)], items)
    assert found.trainable
    assert not found.sentences("poor")


def test_items_nobody_listed_are_counted() -> None:
    found = report(events(2, 3), [{"id": 0, "title": "x"}])
    assert any("no row among the items: 2" in said for said in found.sentences("note"))


def test_counts_and_examples_are_there_as_json_and_in_words() -> None:
    rows = [*events(3, 3), {"user": None, "item": 1, "time": 1e9}, {"user": 1, "item": 1, "time": "soon"}]
    found = report(rows + rows)
    data = json.loads(json.dumps(found.as_dict()))
    (table,) = data["tables"]
    counts = {part["reason"]: part["count"] for part in table["rejected"]}
    assert counts == {"no_user": 2, "bad_time": 2}
    assert table["read"] == 22 == table["kept"] + table["merged"] + sum(counts.values())
    assert table["rejected"][0]["examples"][0]["row"]["item"] == 1
    assert "22 rows read, 9 kept, 9 merged, 4 rejected" in found.words()
    assert "rejected 2: the time is not a time (first at line 11: 'soon')" in found.words()
    assert "读入 22 行，保留 9 行，合并 9 行，拒绝 4 行" in found.words("zh")


def test_columns_not_used_are_named() -> None:
    assert "not used: Description" in report([{"user": 1, "item": 2, "time": 3, "Description": "x"}]).words()


def test_the_report_speaks_two_languages() -> None:
    with pytest.raises(UsageError, match="speaks en and zh"):
        report(events(2, 2)).words("fr")  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [*SENTENCES, *REASONS, *HEADINGS])
def test_both_languages_say_the_same_of_the_same_values(code: str) -> None:
    english, chinese = {**{name: pair[1:] for name, pair in SENTENCES.items()}, **REASONS, **HEADINGS}[code]
    fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, chinese)]
    assert fields[0] == fields[1]
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese)

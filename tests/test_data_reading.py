"""Files of every format become the same dataset; what is broken in them is set apart with its line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.data import Dataset

EVENTS = pl.DataFrame(
    {
        "user_id": ["ann", "bob", "ann", "陈", "007", "7"],
        "item_id": ["x", "y", "y", "x", "007", "7"],
        "timestamp": [1_600_000_000, 1_600_000_100, 1_600_009_000, 1_600_000_200, 1_600_000_000, 1_600_000_001],
        "kind": ["view", "purchase", "cart", "view", "like", "rating"],
        "price": [1.5, None, 2.25, None, 3.0, 4.0],
        "session_id": ["1", "2", "1", "3", "4", "5"],
    }
)
ITEMS = pl.DataFrame(
    {
        "item_id": ["x", "y", "007", "7"],
        "title": ['A "quoted" title, with comma', "second\nline", "手机壳", "plain"],
        "price": [1.0, 2.5, None, 3.0],
        "colour": ["red", None, "blue", "green"],
        "size": [1, 2, 3, None],
    }
)
USERS = pl.DataFrame({"user_id": ["ann", "bob", "陈", "007", "7"], "age": [30, 40, 50, 60, None]})


def csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def jsonl(frame: pl.DataFrame) -> bytes:
    return frame.write_ndjson().encode()


WRITERS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "csv": csv,
    "tsv": lambda frame: frame.write_csv(separator="\t").encode(),
    "csv.gz": lambda frame: gzip.compress(csv(frame)),
    "jsonl": jsonl,
    "jsonl.gz": lambda frame: gzip.compress(jsonl(frame)),
}


def put(folder: Path, **files: bytes | str) -> Path:
    """Files by name, a double underscore for the dot."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(raw)
    return folder


def refused(folder: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        Dataset.load(folder, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_dataset(tmp_path: Path, ending: str) -> None:
    for name, frame in (("events", EVENTS), ("items", ITEMS), ("users", USERS)):
        put(tmp_path / "parquet")
        frame.write_parquet(tmp_path / "parquet" / f"{name}.parquet")
        put(tmp_path / "other", **{f"{name}__{ending}": WRITERS[ending](frame)})
    whole, other = Dataset.load(tmp_path / "parquet"), Dataset.load(tmp_path / "other")
    assert other.events.equals(whole.events)
    assert other.catalogue.frame.equals(whole.catalogue.frame)
    assert other.users is not None and whole.users is not None
    assert other.users.equals(whole.users)
    assert other.fingerprint == whole.fingerprint
    frames = Dataset.from_frames(EVENTS, ITEMS, USERS)
    assert frames.fingerprint == whole.fingerprint
    assert {"007", "7"} <= set(other.item_ids.names)


def test_rows_as_mappings_and_columns_are_frames_too() -> None:
    whole = Dataset.from_frames(EVENTS)
    assert Dataset.from_frames(EVENTS.to_dicts()).fingerprint == whole.fingerprint
    assert Dataset.from_frames(EVENTS.to_dict(as_series=False)).fingerprint == whole.fingerprint
    assert Dataset.from_frames(EVENTS.lazy()).fingerprint == whole.fingerprint
    assert Dataset.from_frames(EVENTS.to_arrow()).fingerprint == whole.fingerprint
    with pytest.raises(DataError, match="cannot be read as a table"):
        Dataset.from_frames(42)


def test_prices_are_told_as_they_were_written() -> None:
    events = [{"user_id": "u", "item_id": "a", "timestamp": 1.6e9}]
    items = [{"item_id": "a", "title": "Case", "price": 13.99, "stock": 3, "weight_kg": 0.1}]
    catalogue = Dataset.from_frames(events, items).catalogue
    told = catalogue.properties(0)
    assert (told["price"], told["stock"], told["weight_kg"]) == (13.99, 3.0, 0.1)


def test_events_alone_are_enough(tmp_path: Path) -> None:
    dataset = Dataset.load(put(tmp_path, events__csv="user,item,position\nu,a,1\nu,b,0\n"))
    assert dataset.item_ids.externals(dataset.sequences.row(0).tolist()) == ["b", "a"]
    assert not dataset.catalogue.has_text
    assert dataset.users is None


def test_broken_csv_rows_are_quarantined_with_their_line(tmp_path: Path) -> None:
    text = 'user,item,time\n1,a,100\n\n2,b\n3,"c\nd",300\n4,e,5" disk\n5,f,"600"\n6,g,7,8\n'
    folder = put(tmp_path / "shop", events__csv=text)
    dataset = Dataset.load(folder, quarantine=tmp_path / "bad.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["file"], row["line"]) for row in rows] == [("events.csv", 4), ("events.csv", 7), ("events.csv", 9)]
    assert rows[0]["row"] == {"text": "2,b"}
    assert "quotation mark" in rows[1]["reason"]
    assert set(dataset.item_ids.names) == {"a", "c\nd", "f"}
    assert dataset.report is not None
    table = dataset.report.table("events")
    assert table is not None
    assert (table.read, table.kept, table.rejected_rows) == (6, 3, 3)


def test_a_quote_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    text = "user,item,position\n" + "".join(f"{n},{'' if n != 3 else chr(34)}i{n},{n}\n" for n in range(8))
    dataset = Dataset.load(put(tmp_path, events__csv=text))
    assert dataset.n_events == 7


def test_broken_json_lines_are_quarantined_with_their_line(tmp_path: Path) -> None:
    text = '{"user":1,"item":"a","ts":100}\n{"user":2,\n[3]\n\n{"user":"2","item":7.0,"ts":200}\n'
    dataset = Dataset.load(put(tmp_path / "shop", events__jsonl=text), quarantine=tmp_path / "bad.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["line"], row["reason"]) for row in rows] == [(2, "not JSON"), (3, "JSON, but not an object")]
    assert set(dataset.user_ids.names) == {"1", "2"}
    assert set(dataset.item_ids.names) == {"a", "7"}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_marks_and_line_endings_do_not_matter(tmp_path: Path, mark: str, ending: str) -> None:
    text = mark + ending.join(["user_id;item_id;position", "u;a;0", "u;b;1", ""])
    dataset = Dataset.load(put(tmp_path, events__csv=text))
    assert dataset.n_events == 2
    assert set(dataset.item_ids.names) == {"a", "b"}


def test_gbk_is_read_and_said(tmp_path: Path) -> None:
    text = "用户,商品,时间,行为\n张三,手机壳,2024-01-03,购买\n李四,蓝牙耳机,2024-01-04,浏览\n"
    dataset = Dataset.load(put(tmp_path, events__csv=text.encode("gbk")))
    assert set(dataset.item_ids.names) == {"手机壳", "蓝牙耳机"}
    assert dataset.report is not None
    assert "read as GBK" in dataset.report.words()
    assert "按GBK读取" in dataset.report.words("zh")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("user,item,time\n1,2,3\n".encode("utf-16"), "UTF-16"),
        ("user,item,time\n1,2,3\n".encode("utf-16-be"), "UTF-16"),
        ("user,item,time\nJosé,Café,3\nMünchen,b,4\n".encode("latin-1"), "line 2: not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
    ],
)
def test_other_encodings_are_refused_with_advice(tmp_path: Path, content: bytes, found: str) -> None:
    message = refused(put(tmp_path, events__csv=content))
    assert found in message
    assert "iconv" in message
    assert "events.csv" in message
    assert message.endswith("Nothing was imported.")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, "has no events file; it holds nothing. Call the file of what happened events"),
        (
            {"orders__csv": "a", "ratings__csv": "a"},
            "several that could be it (orders.csv, ratings.csv). Call the right",
        ),
        ({"events__xlsx": b"PK"}, "events.xlsx cannot be read; formats are .parquet"),
        ({"events__csv": "a", "events__jsonl": "{}"}, "several events files"),
        ({"events__csv": b""}, "is empty"),
        ({"events__csv": "user,item,time\n"}, "has no rows"),
        ({"events__jsonl": "\n\n"}, "is empty"),
        ({"events__jsonl": "{}\n{}\n"}, "no column for user_id"),
        ({"events__parquet": b"PAR1 this is not one PAR1"}, "not a readable Parquet file"),
        ({"events__csv__gz": b"\x1f\x8b damaged"}, "damaged gzip"),
        ({"events__csv": "user,user,item,time\n1,2,3,4\n"}, "several columns are named 'user'"),
        (
            {"events__csv": "user,item,time\n,a,1\nu,,1\nu,a,2O24\n"},
            "none of 3 rows can be used: 1 no user id (line 2); 1 no",
        ),
        ({"events__csv": "user,item,time\nu,a,2O24-01-03\n"}, "the time is not a time (line 2: '2O24-01-03')"),
        ({"events__csv": "user,item,time\nu,a,1\n", "items__csv": "id,title\n,x\n"}, "items.csv: none of 1 rows"),
    ],
)
def test_folders_that_cannot_be_used_are_refused_in_words(
    tmp_path: Path, files: dict[str, bytes | str], found: str
) -> None:
    assert found in refused(put(tmp_path, **files))


def test_what_palate_made_is_told_from_data(tmp_path: Path) -> None:
    made = put(tmp_path / "made", manifest__json="{}", events__arrow=b"ARROW1")
    assert "something palate made" in refused(made)
    beside = put(tmp_path / "beside", manifest__json="{}", events__csv="user,item,time\nu,a,1\nu,b,2\n")
    assert Dataset.load(beside).n_events == 2


def test_places_that_are_no_folder_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    assert "is a file, not a folder" in refused(tmp_path / "file")


def test_rejected_rows_are_written_even_where_nothing_is_imported(tmp_path: Path) -> None:
    folder = put(tmp_path / "shop", events__csv="user,item,time\n,a,1\n")
    message = refused(folder, quarantine=tmp_path / "q" / "bad.jsonl")
    assert "bad.jsonl" in message
    written = json.loads((tmp_path / "q" / "bad.jsonl").read_text(encoding="utf-8"))
    assert written == {
        "file": "events.csv",
        "line": 2,
        "reason": "no user id",
        "row": {"user": None, "item": "a", "time": "1"},
    }


def test_the_quarantine_of_clean_data_is_empty(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("from the last run\n")
    Dataset.load(put(tmp_path / "shop", events__csv="user,item,time\nu,a,1\n"), quarantine=tmp_path / "bad.jsonl")
    assert (tmp_path / "bad.jsonl").read_text() == ""


def test_empty_items_and_users_are_as_none(tmp_path: Path) -> None:
    folder = put(tmp_path, events__csv="user,item,time\nu,a,1\n", items__csv="id,title\n", users__csv="id,age\n")
    assert Dataset.load(folder).n_items == 1


def test_files_go_by_other_usual_names_where_none_is_called_as_palate_calls_it(tmp_path: Path) -> None:
    rows = "user,item,time\nu,a,1\nu,b,2\n"
    for made, there in (("english", ("ratings", "products", "customers")), ("chinese", ("订单", "商品", "会员"))):
        events, items, users = (f"{name}__csv" for name in there)
        folder = put(tmp_path / made, **{events: rows, items: "id,title\na,Apple\n", users: "id,age\nu,7\n"})
        dataset = Dataset.load(folder)
        assert "Apple" in dataset.catalogue.titles
        assert dataset.report is not None
        assert [table.source for table in dataset.report.tables] == [f"{name}.csv" for name in there]
    beside = put(tmp_path / "both", events__csv=rows, orders__csv="not read", ratings__csv="neither")
    assert Dataset.load(beside).n_events == 2


def test_columns_are_passed_by_name_for_one_file_or_all(tmp_path: Path) -> None:
    folder = put(tmp_path, events__csv="who,what,time\nu,a,1\n", items__csv="what,label,cost\na,Apple,3\n")
    dataset = Dataset.load(
        folder, columns={"user_id": "who", "item_id": "what", "items.title": "label", "items.price": "cost"}
    )
    assert dataset.catalogue.titles == ["Apple"]
    assert dataset.catalogue.prices.tolist() == [3.0]
    with pytest.raises(UsageError, match="'itemid' is no column palate knows"):
        Dataset.load(folder, columns={"itemid": "what"})

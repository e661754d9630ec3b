"""Files as tables: Parquet, CSV and JSON lines, whatever is broken in them set apart with its line number."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from palate.core import DataError
from palate.data.tables import Note, Rejected, Table, frame_of_rows, plain

ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
"""What is read, by the end of the file's name."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATORS = (",", "\t", ";", "|")


OTHER_NAMES = {
    "events": "interactions orders purchases transactions sales ratings reviews checkins 事件 行为 订单 评分 评论",
    "items": "catalogue catalog products articles movies books venues places goods 商品 产品 物品",
    "users": "customers members visitors readers 用户 会员 顾客 客户",
}
"""What files are found by, in a folder that has none of the name that palate gives them."""


def find_file(folder: Path, name: str) -> Path | None:
    """The one file ``name.*`` of a folder, or the one that goes by another usual name; None where there is none.

    Raises
    ------
    DataError
        There are several, or only one of a format that is not read.
    """
    own = _named(folder, name)
    others = [] if own else [path for other in OTHER_NAMES[name].split() if (path := _named(folder, other))]
    if len(others) > 1:
        found = ", ".join(path.name for path in others)
        raise DataError(
            f"{folder} has no {name} file, and several that could be it ({found}). "
            f"Call the right one {name}{others[0].name[others[0].name.index('.') :]}. Nothing was imported."
        )
    return own or next(iter(others), None)


def _named(folder: Path, name: str) -> Path | None:
    """The one file ``name.*`` of a folder."""
    beside = sorted(path for path in folder.iterdir() if path.is_file() and path.name.split(".")[0] == name)
    usable = [path for path in beside if path.name[len(name) :].lower() in ENDINGS]
    if len(usable) > 1:
        found = ", ".join(path.name for path in usable)
        raise DataError(f"{folder} has several {name} files ({found}). Keep one of them. Nothing was imported.")
    if not usable and beside:
        found = ", ".join(path.name for path in beside)
        raise DataError(f"{folder}: {found} cannot be read; formats are {', '.join(ENDINGS)}. Nothing was imported.")
    return usable[0] if usable else None


def read_table(path: Path, name: str) -> Table:
    """Read one file.

    Parameters
    ----------
    name
        ``"events"``, ``"items"`` or ``"users"``.

    Raises
    ------
    DataError
        The file is damaged, empty or in an encoding that is not understood; the message says which.
    """
    ending = path.name.lower().removesuffix(".gz").rsplit(".", 1)[-1]
    if ending == "parquet":
        try:
            frame = pl.scan_parquet(path).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{path} is not a readable Parquet file ({error}). Nothing was imported.") from None
        return Table(name, path.name, plain(frame), pl.int_range(1, frame.height + 1, dtype=pl.Int64, eager=True))
    text, notes = decode(_content(path), path)
    lines = _lines(text)
    if not lines.height:
        raise DataError(f"{path} is empty. Nothing was imported.")
    return _read_csv(path, name, lines, notes) if ending in ("csv", "tsv") else _read_jsonl(path, name, lines, notes)


def decode(content: bytes, path: Path) -> tuple[str, tuple[Note, ...]]:
    """Text of a file in UTF-8, with or without a byte-order mark, or in GBK where nothing else fits.

    Raises
    ------
    DataError
        It is neither; the message says what it looks like and how to convert it.
    """
    advice = f"Save it as UTF-8 (iconv -f ENCODING -t UTF-8 {path.name}). Nothing was imported."
    if content.startswith(_UTF16) or content[:4096].count(b"\0"):
        raise DataError(f"{path} is not UTF-8; it looks like UTF-16 or binary. {advice}")
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        at = content[: error.start].count(b"\n") + 1
    if _is_chinese(content):
        return content.decode("gb18030"), (Note("decoded_gbk", {"file": path.name}),)
    raise DataError(
        f"{path} line {at}: not UTF-8, and no other encoding fits without doubt "
        f"(often GBK, Big5, Windows-1252 or Latin-1). {advice}"
    )


def _is_chinese(content: bytes) -> bool:
    """Whether bytes read as GBK are everyday simplified Chinese (GB 2312) almost throughout."""
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return False
    foreign = [character for character in text if ord(character) > 127]
    everyday = 0
    for character in foreign:
        try:
            everyday += len(character.encode("gb2312")) == 2
        except UnicodeEncodeError:
            continue
    return everyday >= 0.95 * len(foreign)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.name.lower().endswith(".gz") else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}). Nothing was imported.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Nothing was imported.") from None


def _lines(text: str) -> pl.DataFrame:
    """Lines that are not blank, and their numbers from 1."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    lines = pl.Series("text", [unix]).str.split("\n").explode(empty_as_null=True)
    numbered = lines.to_frame().with_row_index("line", offset=1).with_columns(pl.col("line").cast(pl.Int64))
    return numbered.filter(pl.col("text").str.len_bytes() > 0)


def _read_csv(path: Path, name: str, lines: pl.DataFrame, notes: tuple[Note, ...]) -> Table:
    head = lines["text"][0]
    separator = max(_SEPARATORS, key=head.count)
    header = [field.strip() for field in next(csv.reader([head], delimiter=separator))]
    if len(set(header)) < len(header):
        twice = sorted({field for field in header if header.count(field) > 1})
        raise DataError(
            f"{path} line 1: several columns are named {', '.join(map(repr, twice))}. Nothing was imported."
        )
    records = _records(lines[1:], separator, len(header))
    good = records.filter(pl.col("reason").is_null())
    bad = records.filter(pl.col("reason").is_not_null())
    frame = _parsed(good["text"], separator, header)
    broken = Rejected(name, path.name, bad["line"], bad["reason"], bad.select("text")) if bad.height else None
    return Table(name, path.name, frame, good["line"], broken, notes, untyped=True)


def _records(lines: pl.DataFrame, separator: str, width: int) -> pl.DataFrame:
    """Records of CSV lines: first line, text, and the reason why one is broken (null: it is whole).

    A record with a line break inside quotes is put together from its lines. Where that gives no record of the right
    width a stray quotation mark is at work, and the lines are judged one by one.
    """
    text = pl.col("text")
    lines = lines.with_columns((text.str.count_matches('"', literal=True) % 2 == 1).alias("odd"))
    if not bool(lines["odd"].any()):
        return lines.select("line", "text", _fault(separator, width).alias("reason"))
    opened = pl.col("odd").cum_sum().shift(1, fill_value=0) % 2 == 1
    joined = (
        lines.with_columns((~opened).cum_sum().alias("record"))
        .group_by("record", maintain_order=True)
        .agg(pl.col("line").first(), pl.col("line").alias("members"), pl.col("text").str.join("\n"))
        .with_columns((text.str.count_matches('"', literal=True) % 2 == 1).alias("odd"))
        .with_columns(_fault(separator, width).alias("reason"))
    )
    astray = joined.filter(pl.col("reason").is_not_null() & (pl.col("members").list.len() > 1))
    single = lines.filter(pl.col("line").is_in(astray["members"].explode(empty_as_null=True).implode()))
    columns = ["line", "text", "reason"]
    whole = joined.join(astray.select("record"), on="record", how="anti").select(columns)
    alone = single.with_columns(_fault(separator, width).alias("reason")).select(columns)
    return pl.concat([whole, alone]).sort("line")


def _fault(separator: str, width: int) -> pl.Expr:
    outside = pl.col("text").str.replace_all(r'"[^"]*"', "", literal=False)
    fields = outside.str.count_matches(separator, literal=True) + 1
    return pl.when(pl.col("odd")).then(pl.lit("open_quote")).when(fields != width).then(pl.lit("fields"))


def _parsed(records: pl.Series, separator: str, header: list[str]) -> pl.DataFrame:
    """Whole records as text columns, one row each."""
    schema = dict.fromkeys(header, pl.String)
    if not len(records):
        return pl.DataFrame(schema=schema)
    try:
        content = io.BytesIO(records.str.join("\n").item().encode())
        frame = pl.scan_csv(content, separator=separator, has_header=False, schema=schema).collect()
        if frame.height == len(records):
            return frame
    except pl.exceptions.PolarsError:
        pass  # a quotation mark inside an unquoted field: legal enough for the standard library
    rows = [next(csv.reader([record], delimiter=separator)) for record in records]
    padded = ([field or None for field in row[: len(header)]] + [None] * (len(header) - len(row)) for row in rows)
    return pl.DataFrame(list(padded), schema=schema, orient="row")


def _read_jsonl(path: Path, name: str, lines: pl.DataFrame, notes: tuple[Note, ...]) -> Table:
    rows = _objects(lines["text"])
    if rows is not None:
        return Table(name, path.name, frame_of_rows(rows), lines["line"], None, notes)
    parsed = [(number, line, *_object(line)) for number, line in lines.iter_rows()]
    good = [(number, row) for number, _, row, _ in parsed if row is not None]
    bad = [(number, reason, line) for number, line, _, reason in parsed if reason is not None]
    schema = {"line": pl.Int64, "reason": pl.String, "text": pl.String}
    faults = pl.DataFrame(bad, schema=schema, orient="row")
    broken = Rejected(name, path.name, faults["line"], faults["reason"], faults.select("text"))
    kept = pl.Series([number for number, _ in good], dtype=pl.Int64)
    return Table(name, path.name, frame_of_rows([row for _, row in good]), kept, broken, notes)


def _objects(lines: pl.Series) -> list[dict[str, Any]] | None:
    """All lines at once, which is several times faster; None where not each of them is an object."""
    try:
        rows = orjson.loads("[" + lines.str.join(",").item() + "]")
    except orjson.JSONDecodeError:
        return None
    return rows if len(rows) == len(lines) and set(map(type, rows)) == {dict} else None


def _object(line: str) -> tuple[dict[str, Any] | None, str | None]:
    """The object of one line, or the reason why there is none."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, "not_json"
    return (row, None) if isinstance(row, dict) else (None, "not_object")

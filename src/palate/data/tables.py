"""Rows as they were given, before anything is believed about them, with where each came from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import polars as pl

from palate.core import DataError

_INT64 = 2**63


@dataclass(frozen=True)
class Note:
    """Something worth saying; ``report_words`` turns it into a sentence of the reader's language.

    Parameters
    ----------
    code
        Name of the sentence in ``report_words.SENTENCES``.
    values
        What the sentence says it of.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejected:
    """m rows that are not used, and why.

    Parameters
    ----------
    table
        ``"events"``, ``"items"`` or ``"users"``.
    source
        File or frame they came from.
    lines
        Int64 (m,), line in the file (text) or row from 1 (Parquet and frames).
    reasons
        String (m,), a code of ``report_words.REASONS``.
    rows
        The rows as given; one column ``text`` for lines that could not be taken apart.
    """

    table: str
    source: str
    lines: pl.Series
    reasons: pl.Series
    rows: pl.DataFrame

    def __len__(self) -> int:
        return len(self.lines)

    def counts(self) -> dict[str, int]:
        """Rows per reason, most frequent first."""
        counted = self.reasons.rename("reason").value_counts(sort=True)
        return dict(zip(counted["reason"].to_list(), counted["count"].to_list(), strict=True))

    def records(self) -> Iterator[dict[str, Any]]:
        """Each row as a mapping of file, line, reason code and the row itself."""
        triples = zip(self.lines.to_list(), self.reasons.to_list(), self.rows.iter_rows(named=True), strict=True)
        for line, reason, row in triples:
            yield {"table": self.table, "file": self.source, "line": line, "reason": reason, "row": row}

    def examples(self, reason: str, n: int = 3) -> list[dict[str, Any]]:
        """The first rows rejected for a reason."""
        first = self.reasons.eq(reason).arg_true().head(n)
        part = Rejected(self.table, self.source, self.lines[first], self.reasons[first], self.rows[first])
        return list(part.records())


@dataclass(frozen=True)
class Table:
    """Rows as they were given.

    Parameters
    ----------
    name
        ``"events"``, ``"items"`` or ``"users"``.
    source
        File name, or what to call the frame in messages.
    frame
        n rows of columns as named by the user.
    lines
        Int64 (n,), see ``Rejected``.
    broken
        Lines that could not be taken apart; None where all could.
    notes
        What reading has to say.
    untyped
        Whether the format knows only text (CSV), so that numbers among the properties are still to be found.
    """

    name: str
    source: str
    frame: pl.DataFrame
    lines: pl.Series
    broken: Rejected | None = None
    notes: tuple[Note, ...] = ()
    untyped: bool = False

    @classmethod
    def of(cls, name: str, data: Any, source: str = "") -> Table:
        """From rows in memory: a polars, pandas or Arrow frame, a mapping of columns, or a sequence of mappings.

        Raises
        ------
        DataError
            It is none of these, or its columns differ in length.
        """
        source = source or f"{name} frame"
        frame = _frame_of(data, source)
        return cls(name, source, plain(frame), pl.int_range(1, frame.height + 1, dtype=pl.Int64, eager=True))

    @property
    def read(self) -> int:
        """Rows given, broken ones included."""
        return len(self.lines) + (len(self.broken) if self.broken is not None else 0)

    def reject(self, reasons: pl.Series) -> Rejected:
        """The rows with a reason (String, (n,), null: none)."""
        hit = reasons.is_not_null()
        return Rejected(self.name, self.source, self.lines.filter(hit), reasons.filter(hit), self.frame.filter(hit))


def frame_of_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A frame of mappings that need not have the same keys nor keep to one type a key.

    Numbers stay numbers where every row has one; anything mixed becomes text, lists of plain values are joined by
    "|", deeper values become JSON.
    """
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return pl.DataFrame([_series(name, [row.get(name) for row in rows]) for name in names])


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """The same frame with nested, binary, categorical and foreign columns as text, and vectors as vectors."""
    changed = [as_plain(series) for series in frame if series.dtype.is_nested() or series.dtype in _TEXTUAL]
    return frame.with_columns(changed) if changed else frame


def as_plain(series: pl.Series) -> pl.Series:
    """A nested, binary, categorical or foreign column as text; one of vectors as vectors."""
    dtype = series.dtype
    vectors = as_vectors(series)
    if vectors is not None:
        return vectors
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested() and dtype.inner not in (pl.Binary, pl.Object):
        return series.cast(pl.List(pl.String)).list.drop_nulls().list.join("|")
    if dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    if dtype == pl.Binary:
        values = [None if value is None else value.decode("utf-8", "replace") for value in series.to_list()]
        return pl.Series(series.name, values, dtype=pl.String)
    return pl.Series(series.name, [_text(value) for value in series.to_list()], dtype=pl.String)


def as_vectors(series: pl.Series) -> pl.Series | None:
    """A column of lists of fractions, all as long as each other, as ``Array(Float32, d)``; None where it is no such.

    Vectors with an entry that is no number are left out.
    """
    dtype = series.dtype
    if not isinstance(dtype, pl.List | pl.Array) or dtype.inner not in (pl.Float32, pl.Float64):
        return None
    lists = series if isinstance(dtype, pl.List) else series.arr.to_list()
    lengths = lists.list.len().drop_nulls().unique()
    if len(lengths) != 1 or lengths[0] < 2:
        return None
    finite = lists.list.eval(pl.element().is_finite().fill_null(False)).list.all()
    kept = pl.DataFrame({"vector": lists, "finite": finite}).select(pl.when("finite").then("vector"))["vector"]
    return kept.cast(pl.Array(pl.Float32, int(lengths[0]))).alias(series.name)


_TEXTUAL = (pl.Categorical, pl.Enum, pl.Binary, pl.Object)


def _frame_of(data: Any, source: str) -> pl.DataFrame:
    try:
        if isinstance(data, pl.DataFrame):
            return data
        if isinstance(data, pl.LazyFrame):
            return data.collect()
        if isinstance(data, Mapping):
            columns = {str(name): list(values) for name, values in data.items()}
            return pl.DataFrame([_series(name, values) for name, values in columns.items()])
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            if not all(isinstance(row, Mapping) for row in data):
                raise DataError(f"{source}: every row must be a mapping of column to value. Nothing was imported.")
            return frame_of_rows(data)
        if hasattr(data, "to_dict") and hasattr(data, "columns") and hasattr(data, "dtypes"):
            return _frame_of_pandas(data)
        return pl.DataFrame(data)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{source}: {type(data).__name__} cannot be read as a table ({_first_line(error)}). Give a polars, pandas "
            "or Arrow frame, a mapping of columns, or a list of mappings. Nothing was imported."
        ) from None


def _frame_of_pandas(data: Any) -> pl.DataFrame:
    """A pandas frame; columns that Arrow refuses (mixed types) value by value."""
    try:
        return pl.DataFrame(data)
    except Exception:  # the classes pandas and pyarrow raise here are many, and the second way takes them all
        return pl.DataFrame([_series(str(name), data[name].tolist()) for name in data.columns])


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    types = set(map(type, values)) - {type(None)}
    if types == {int} and all(-_INT64 <= value < _INT64 for value in values if value is not None):
        return pl.Series(name, values, dtype=pl.Int64)
    if types and types <= {int, float}:
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    if types <= {str}:
        return pl.Series(name, values, dtype=pl.String)
    if len(types) == 1 and types.isdisjoint({list, dict, tuple, set, bytes}):
        try:
            return pl.Series(name, values)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            pass  # a type polars does not know goes the way of mixed ones
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    match value:
        case None | str():
            text = value
        case bool():
            text = "true" if value else "false"
        case float():
            text = None if math.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
        case bytes():
            text = value.decode("utf-8", "replace")
        case pl.Series():
            text = _text(value.to_list())
        case list() | tuple() | set() if not any(isinstance(part, list | tuple | set | dict) for part in value):
            text = "|".join(part for part in map(_text, value) if part is not None)
        case dict() | list() | tuple():
            text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        case _:
            text = str(value)
    return text


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

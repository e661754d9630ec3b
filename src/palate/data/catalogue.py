"""What there is: items, their texts and properties, aligned with item positions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from palate.core import FloatArray, Ids, IntArray, Ragged

_PATH = re.compile(r"\s*[>›»]\s*")
_LIST = re.compile(r"\s*[|;,、，；]\s*")


@dataclass(frozen=True)
class Catalogue:
    """n items.

    Parameters
    ----------
    ids
        External ids; the position of an id is the row of its item.
    frame
        n rows in that order; ``item_id`` first, then canonical columns where the data has them, then other properties.
        An item that only events mention has a row of nulls.
    """

    ids: Ids
    frame: pl.DataFrame

    @classmethod
    def of(cls, frame: pl.DataFrame | None, mentioned: Sequence[str] = ()) -> Catalogue:
        """From an items frame with unique ``item_id`` and the ids that events mention beside it."""
        given = frame if frame is not None else pl.DataFrame({"item_id": []}, schema={"item_id": pl.String})
        ids = Ids.hashed([*given["item_id"].to_list(), *mentioned])
        return cls(ids, _aligned(ids, given))

    def __len__(self) -> int:
        return len(self.ids)

    def extended(self, frame: pl.DataFrame) -> Catalogue:
        """With new items after the old ones, and changed rows where the id was known.

        Columns this catalogue does not have are added; a null in a changed row keeps the old value.
        """
        ids = self.ids.extended(frame["item_id"].to_list())
        new = _aligned(ids, frame)
        old = _aligned(ids, self.frame)
        both = [name for name in new.columns if name in old.columns and name != "item_id"]
        merged = old.with_columns(
            *(pl.coalesce(new[name].cast(old[name].dtype, strict=False), old[name]).alias(name) for name in both),
            *(new[name] for name in new.columns if name not in old.columns),
        )
        return Catalogue(ids, merged)

    def column(self, name: str) -> pl.Series | None:
        """A column by name, None where the catalogue has none such."""
        return self.frame[name] if name in self.frame.columns else None

    def strings(self, name: str) -> list[str]:
        """A text column, "" for nulls and where the column is missing."""
        series = self.column(name)
        if series is None:
            return [""] * len(self)
        return series.cast(pl.String, strict=False).fill_null("").to_list()

    def properties(self, position: int) -> dict[str, Any]:
        """Non-null properties of one item, vectors aside; a dictionary of the caller's own."""
        known = self._asked_for.get(position)
        if known is None:
            row = self.frame.row(position, named=True)
            known = self._asked_for[position] = {
                name: _as_written(value) if name in self._short else value
                for name, value in row.items()
                if value is not None and name not in self.blocks
            }
        return known.copy()

    @cached_property
    def _asked_for(self) -> dict[int, dict[str, Any]]:
        """Rows asked for before: a data frame gives single ones slowly. Never more than there are items."""
        return {}

    @cached_property
    def _short(self) -> frozenset[str]:
        """Columns of numbers kept in four bytes."""
        return frozenset(name for name, kind in self.frame.schema.items() if kind == pl.Float32)

    @property
    def titles(self) -> list[str]:
        """Titles, the id where an item has none."""
        return [title or name for title, name in zip(self.strings("title"), self.ids.names, strict=True)]

    @cached_property
    def has_text(self) -> bool:
        """Whether at least one item in ten has a title or a description, the least a language model can work with."""
        columns = [name for name in ("title", "description") if name in self.frame.columns]
        if not columns or not len(self):
            return False
        filled = self.frame.select(pl.any_horizontal(pl.col(name).str.len_chars() > 0 for name in columns)).to_series()
        return bool(int(filled.fill_null(False).sum()) * 10 >= len(self))

    @cached_property
    def prices(self) -> FloatArray:
        """Prices, NaN where unknown; float32 (n,)."""
        series = self.column("price")
        if series is None:
            return np.full(len(self), np.nan, dtype=np.float32)
        return series.cast(pl.Float32, strict=False).fill_null(float("nan")).to_numpy()

    @cached_property
    def blocks(self) -> dict[str, FloatArray]:
        """Item vectors from elsewhere (of images, sound, a table) by column; float32 (n, d), zeros where missing."""
        return {
            name: _vectors(self.frame[name])
            for name, dtype in self.frame.schema.items()
            if isinstance(dtype, pl.Array) and dtype.inner == pl.Float32
        }

    @cached_property
    def innermost_categories(self) -> IntArray:
        """Position of each item's last category, -1 where it has none; int32 (n,)."""
        ragged, _ = self.categories
        innermost = np.full(len(self), -1, dtype=np.int32)
        has = ragged.lengths > 0
        innermost[has] = ragged.values[ragged.indptr[1:][has] - 1]
        return innermost

    @cached_property
    def categories(self) -> tuple[Ragged, tuple[str, ...]]:
        """Categories of each item as positions, and their names.

        A path "Beauty > Makeup > Nails" counts as all its prefixes, outermost first; "Action|Comedy" as both.
        Names are in alphabetical order.
        """
        series = self.column("category")
        if series is None:
            return Ragged.repeated([], len(self)), ()
        per_item = [category_names(value) for value in self.strings("category")]
        names = tuple(sorted({name for row in per_item for name in row}))
        index = {name: position for position, name in enumerate(names)}
        return Ragged.of([[index[name] for name in row] for row in per_item]), names


def category_names(value: str) -> list[str]:
    """Every category a value names, prefixes of paths included, outermost first."""
    names: dict[str, None] = {}
    if _PATH.search(value):
        parts = [part for part in _PATH.split(value.strip()) if part]
        names.update(dict.fromkeys(" > ".join(parts[: end + 1]) for end in range(len(parts))))
    else:
        names.update(dict.fromkeys(part for part in _LIST.split(value.strip()) if part))
    return list(names)


def _vectors(series: pl.Series) -> FloatArray:
    size = int(series.dtype.shape[0])  # type: ignore[attr-defined]
    flat = series.fill_null([0.0] * size).explode().to_numpy()
    return np.ascontiguousarray(flat.reshape(len(series), size), dtype=np.float32)


def _as_written(value: float) -> float:
    """13.99, which four bytes hold as 13.989999771118164, as it was written."""
    return float(str(np.float32(value)))


def _aligned(ids: Ids, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of a frame in the order of ids, nulls for ids it does not have."""
    spine = pl.DataFrame({"item_id": ids.names}, schema={"item_id": pl.String})
    return spine.join(frame, on="item_id", how="left", maintain_order="left")


def frame_of(items: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A frame of items given as mappings; ids become strings."""
    frame = pl.DataFrame(list(items), infer_schema_length=None)
    return frame.with_columns(pl.col("item_id").cast(pl.String))

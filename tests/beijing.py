"""Places in Beijing as a catalogue, and eighty questions with what answers them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.core import BoolArray, Float64Array, FloatArray, Ragged
from palate.data import Catalogue
from palate.measure.ranking import accuracy

_QUERIES = Path(__file__).with_name("beijing_queries.toml")
_SAID = ("推荐菜", "酒店设施", "营业时间", "地址", "地铁")


def places(folder: Path) -> list[dict[str, Any]]:
    """Every hotel, restaurant and attraction, as the files have them."""
    return [
        json.loads(text)
        for name in ("attraction", "hotel", "restaurant")
        for text in pl.read_parquet(folder / f"{name}.parquet")["json"].drop_nulls()
    ]


def catalogue_of(rows: list[dict[str, Any]]) -> Catalogue:
    """The places as a shop would describe them: name, category, price, and the rest as a description."""
    frame = pl.DataFrame(
        {
            "item_id": [row["名称"] for row in rows],
            "title": [row["名称"] for row in rows],
            "category": [" > ".join(part for part in (row["领域"], row.get("酒店类型")) if part) for row in rows],
            "price": [row.get("价格") or row.get("人均消费") or row.get("门票") for row in rows],
            "description": [" ".join(filter(None, (_words(row.get(name)) for name in _SAID))) for row in rows],
        },
        schema_overrides={"price": pl.Float32},
    )
    return Catalogue.of(frame)


def questions() -> list[dict[str, Any]]:
    """The questions: ``text`` with ``names`` or ``rules`` of what answers it; ``late``: after the list of words."""
    read: list[dict[str, Any]] = tomllib.loads(_QUERIES.read_text(encoding="utf-8"))["query"]
    return read


def relevant(question: dict[str, Any], rows: list[dict[str, Any]], catalogue: Catalogue) -> BoolArray:
    """Which items of the catalogue answer a question; bool (n_items,)."""
    found = np.zeros(len(catalogue), dtype=bool)
    names = set(question.get("names", ()))
    for row in rows:
        if row["名称"] in names or any(_holds(rule, row) for rule in question.get("rules", ())):
            found[catalogue.ids.position(row["名称"])] = True
    return found


def ndcg(scores: FloatArray, relevant: BoolArray) -> Float64Array:
    """N@10 of each question from scores (n, n_items), of which those at 0 are not answered; float64 (n,)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10].astype(np.int32)
    items = np.where(np.take_along_axis(scores, order, axis=1) > 0, order, -1).astype(np.int32)
    return accuracy(items, Ragged.of([np.nonzero(row)[0].astype(np.int32) for row in relevant]), (10,))["ndcg@10"]


def _holds(rule: dict[str, list[str]], row: dict[str, Any]) -> bool:
    return all(any(part in _words(row.get(field)) for part in parts) for field, parts in rule.items())


def _words(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else "" if value is None else str(value)

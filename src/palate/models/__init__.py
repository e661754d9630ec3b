"""Recommenders, one a file: fit on a dataset, answer queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

_HOMES: Mapping[str, tuple[str, str]] = {
    "popularity": ("popularity", "Popularity"),
    "repeats": ("repeats", "Repeats"),
    "transitions": ("transitions", "Transitions"),
    "item_knn": ("item_knn", "ItemKNN"),
    "user_knn": ("user_knn", "UserKNN"),
    "ease": ("ease", "EASE"),
    "als": ("als", "ALS"),
    "bpr": ("bpr", "BPR"),
    "semantic": ("semantic", "Semantic"),
    "lexical": ("lexical", "Lexical"),
}

NEED_ENCODER = frozenset({"semantic"})
"""Models built with a text encoder beside their settings."""


class _Classes(Mapping[str, Any]):
    """Model classes by the name of the method; a module is imported when its class is first looked up."""

    def __getitem__(self, name: str) -> Any:
        module, cls = _HOMES[name]
        return getattr(import_module(f"{__name__}.{module}"), cls)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


BY_NAME: Mapping[str, Any] = _Classes()
"""Every recommender by its name."""

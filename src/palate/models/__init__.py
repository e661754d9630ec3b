"""Recommenders, one a file: fit on a dataset, answer queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

_HOMES: Mapping[str, tuple[str, str]] = {
    "popularity": ("popularity", "Popularity"),
    "repeats": ("repeats", "Repeats"),
    "baskets": ("baskets", "BasketCompletion"),
    "knowledge": ("knowledge", "Knowledge"),
    "transitions": ("transitions", "Transitions"),
    "semantic_transitions": ("semantic_transitions", "SemanticTransitions"),
    "item_knn": ("item_knn", "ItemKNN"),
    "user_knn": ("user_knn", "UserKNN"),
    "ease": ("ease", "EASE"),
    "als": ("als", "ALS"),
    "bpr": ("bpr", "BPR"),
    "semantic": ("semantic", "Semantic"),
    "semantic_tuned": ("semantic_tuned", "SemanticTuned"),
    "lexical": ("lexical", "Lexical"),
    "bilinear": ("bilinear", "Bilinear"),
    "sequential": ("sequential", "Sequential"),
    "transferred": ("transfer", "Transferred"),
    "sasrec": ("sequential", "SASRec"),
    "gru4rec": ("sequential", "GRU4Rec"),
    "lstm": ("sequential", "LongShortTermMemory"),
    "generative": ("generative", "Generative"),
    "interest": ("interest", "Interest"),
    "places": ("places", "Places"),
    "next_behaviour": ("next_behaviour", "NextBehaviour"),
}

NEED_ENCODER = frozenset(
    {
        "semantic",
        "semantic_tuned",
        "semantic_transitions",
        "bilinear",
        "sequential",
        "transferred",
        "generative",
        "next_behaviour",
    }
)
"""Models built with a text encoder beside their settings."""

READ_CATALOGUE = NEED_ENCODER | {"lexical", "interest", "knowledge", "places"}
"""Models that learn from what items say or are."""


class _Classes(Mapping[str, Any]):
    """Model classes by the name of the method; a module is imported when its class is first looked up."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        module, cls = _HOMES[name]
        return getattr(import_module(f"{__name__}.{module}"), cls)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


BY_NAME: Mapping[str, Any] = _Classes(_HOMES)
"""Every recommender by its name."""

FROM_EVENTS: Mapping[str, Any] = _Classes(name for name in _HOMES if name not in READ_CATALOGUE)
"""Recommenders that learn from events alone: the collaborative ones."""

ALONE: Mapping[str, Any] = _Classes((*FROM_EVENTS, "places"))
"""Recommenders that can be measured, and tuned, without an engine around them."""

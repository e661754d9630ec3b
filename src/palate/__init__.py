"""palate: a recommendation engine built around a large language model.

import palate
data   = palate.Dataset.load("shop/")            # events.*, items.*, users.*
engine = palate.Engine.fit(data)                 # sensible everything
engine.recommend("u42", k=10, explain=True)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from palate.core import (
        Abilities,
        ArtefactError,
        DataError,
        Histories,
        PalateError,
        Queries,
        Rankings,
        UnknownIdError,
        UsageError,
    )
    from palate.data import Catalogue, Dataset
    from palate.engine import Engine

__version__ = "0.1.0"

_HOMES = {
    "Abilities": "palate.core",
    "ArtefactError": "palate.core",
    "Catalogue": "palate.data",
    "DataError": "palate.core",
    "Dataset": "palate.data",
    "Engine": "palate.engine",
    "Histories": "palate.core",
    "PalateError": "palate.core",
    "Queries": "palate.core",
    "Rankings": "palate.core",
    "UnknownIdError": "palate.core",
    "UsageError": "palate.core",
}

__all__ = [
    "Abilities",
    "ArtefactError",
    "Catalogue",
    "DataError",
    "Dataset",
    "Engine",
    "Histories",
    "PalateError",
    "Queries",
    "Rankings",
    "UnknownIdError",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that ``import palate`` stays instant."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'palate' has no attribute {name!r}")
    return getattr(import_module(home), name)

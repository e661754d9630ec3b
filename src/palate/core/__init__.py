"""The vocabulary every room speaks: queries, rankings, the recommender protocol, ids, errors, settings."""

from palate.core.abilities import Abilities
from palate.core.arrays import BoolArray, Float64Array, FloatArray, Int64Array, IntArray
from palate.core.errors import (
    ArtefactError,
    DataError,
    NotFittedError,
    PalateError,
    UnknownIdError,
    UsageError,
)
from palate.core.histories import Histories
from palate.core.ids import Ids
from palate.core.kinds import DEFAULT_KINDS, Kind, Kinds
from palate.core.queries import Queries
from palate.core.ragged import Ragged
from palate.core.rankings import Rankings, top_k
from palate.core.recommender import Continues, ExplainsByHistory, Grows, Recommender, Refits, Scorer, widened
from palate.core.settings import Settings

__all__ = [
    "DEFAULT_KINDS",
    "Abilities",
    "ArtefactError",
    "BoolArray",
    "Continues",
    "DataError",
    "ExplainsByHistory",
    "Float64Array",
    "FloatArray",
    "Grows",
    "Histories",
    "Ids",
    "Int64Array",
    "IntArray",
    "Kind",
    "Kinds",
    "NotFittedError",
    "PalateError",
    "Queries",
    "Ragged",
    "Rankings",
    "Recommender",
    "Refits",
    "Scorer",
    "Settings",
    "UnknownIdError",
    "UsageError",
    "top_k",
    "widened",
]

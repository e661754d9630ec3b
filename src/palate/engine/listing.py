"""Answering with a list that is shown: its own items in the order in which they are likely to be chosen, and why."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from palate.core import Float64Array, FloatArray, Queries
from palate.data import Dataset
from palate.engine.answering import Telling
from palate.engine.answers import Answer, Reason, Recommendation
from palate.engine.assembly import Assembled
from palate.engine.settings import EngineSettings
from palate.engine.shelf import Shelf
from palate.ranking.shown import ShownRanker, learn_shown
from palate.ranking.shown_features import NAMES

_SPEAKS = 0.1
"""What a reason must add to the log-odds to be told."""

_GROUPS: dict[str, tuple[str, ...]] = {
    "touched": ("touched", "touched_order", "touched_events_ago", "touched_seconds_ago", "touched_kind"),
    "chosen": ("clicked", "clicked_order", "clicked_seconds_ago", "touched_before"),
    "beside": ("places_after_touched", "places_after_clicked"),
    "place": ("place", "list_length"),
    "price": ("price", "price_rank", "price_gap", "price_gap_touched", "price_gap_last", "price_sorted"),
    "popular": ("item_shown", "item_chosen", "item_worth", "item_touched"),
    "visit": ("session_events", "seconds_since_last", "list_touched", "list_clicked"),
    "time": ("hour", "weekday"),
    "device": ("device",),
}
"""Columns that say one thing together; every column is in one of them."""

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "touched": "You looked at it a moment ago",
        "chosen": "You chose it before",
        "beside": "It stands by what you looked at last",
        "place": "It stands where people look first",
        "price": "Its price suits this list",
        "popular": "Often chosen where it is shown",
        "visit": "It suits what you do in this visit",
        "time": "It suits the time of day",
        "device": "It suits the device you use",
    },
    "zh": {
        "touched": "你刚看过它",
        "chosen": "你之前选过它",
        "beside": "它紧挨着你刚看过的",
        "place": "它在列表显眼的位置",
        "price": "价格在这个列表中合适",
        "popular": "展示时常被选中",
        "visit": "符合你这次浏览的情况",
        "time": "适合现在这个时段",
        "device": "适合你使用的设备",
    },
}
_NEEDS = {"touched": "touched_order", "chosen": "clicked_order", "beside": "places_after_touched"}
"""Columns without which a sentence would be untrue: where they are unknown it is not said."""


def taught_by_lists(
    dataset: Dataset, settings: EngineSettings, assembled: Assembled, seed: int
) -> tuple[Assembled, ShownRanker | None]:
    """What ranks lists that are shown, None where the data has too few; and the notes and seconds of it."""
    started, notes = time.perf_counter(), list(assembled.notes)
    ranker = learn_shown(dataset, settings.shown, seed, notes=notes)
    seconds = dict(assembled.seconds)
    if ranker is not None:
        seconds["shown"] = time.perf_counter() - started
    return replace(assembled, notes=tuple(notes), seconds=seconds), ranker


def listed(shelf: Shelf, ranker: ShownRanker, queries: Queries, telling: Telling) -> Answer:
    """The list of one question by the probability that each of its items is chosen, if one is."""
    rankings = ranker.rank(queries)
    items = rankings.row(0)
    told: list[tuple[Reason, ...]] = [()] * len(items)
    if telling.language is not None and len(items) and queries.candidates is not None:
        table, added = ranker.contributions(queries)
        cells = [int(np.flatnonzero(queries.candidates.values == item)[0]) for item in items]
        told = [_reasons(table[cell], added[cell], telling.language) for cell in cells]
    found = tuple(
        Recommendation(
            shelf.catalogue.ids[item],
            float(rankings.scores[0, rank]),
            rankings.names,
            told[rank],
            shelf.catalogue.properties(item),
        )
        for rank, item in enumerate(items.tolist())
    )
    return Answer(found, False, "palate", telling.version, (time.perf_counter() - telling.started) * 1000)


def _reasons(row: FloatArray, added: Float64Array, language: str) -> tuple[Reason, ...]:
    """What speaks most for an item, in words; at most three sentences."""
    at = {name: place for place, name in enumerate(NAMES)}
    sums = {group: float(sum(added[at[name]] for name in names)) for group, names in _GROUPS.items()}
    total = max(sum(max(value, 0.0) for value in sums.values()), 1e-9)
    true = [group for group in sums if group not in _NEEDS or not np.isnan(row[at[_NEEDS[group]]])]
    best = sorted((group for group in true if sums[group] >= _SPEAKS), key=lambda group: -sums[group])[:3]
    return tuple(Reason(f"shown_{group}", _WORDS[language][group], sums[group] / total) for group in best)

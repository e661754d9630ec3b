"""Every feature that a ranker sees, declared once: what it is, where it comes from, and when it is true of.

``feature_names`` gives the columns of a table from these declarations, ``page`` the text of ``docs/features.md``:

    python -m palate.ranking.feature_table > docs/features.md
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

Type = Literal["number", "count", "share", "rank", "cosine", "flag", "code"]
Needs = Literal[
    "text",
    "categories",
    "brands",
    "prices",
    "times",
    "comebacks",
    "demand",
    "hour",
    "weekday",
    "season",
    "device",
    "place",
]

FITTED = "what the models were fitted on; nothing later"
MOMENT = "events before the moment asked about, of those that were fitted on"
SEASONS_AGO = "events more than half a year before the moment asked about, of those that were fitted on"
HISTORY = "the asker's events before the question"
FORECAST = "the last forecast made before the moment asked about, from events before it"
VISIT = "the asker's events of the visit, before the question"
CATALOGUE = "the catalogue as it was when the models were fitted or last extended"
ASKED = "the question itself"
BEFORE = "lists and events before the moment asked about, of those that were fitted on"


@dataclass(frozen=True, slots=True)
class Feature:
    """A column.

    Parameters
    ----------
    name
        Its name; ``*`` stands for every source.
    type
        What kind of number it is.
    source
        What it is computed from.
    normalisation
        How the raw number becomes the column.
    missing
        What stands there where it is unknown, and when that is.
    known_at
        What it may have seen: its point in time.
    needs
        What the data must have for the column to be there.
    context
        Whether it says something of the moment asked about rather than of item and history: time, device, visit.
    """

    name: str
    type: Type
    source: str
    normalisation: str
    missing: str
    known_at: str
    needs: tuple[Needs, ...] = ()
    context: bool = False

    def record(self) -> dict[str, str]:
        """As text, by field."""
        return {
            "name": self.name,
            "type": self.type,
            "source": self.source,
            "normalisation": self.normalisation,
            "missing": self.missing,
            "known_at": self.known_at,
        }


NEVER = "never"
_NO_HISTORY = "NaN without a history"
_NO_TIME = "NaN where the moment or the event has no time"

OF_SOURCES: tuple[Feature, ...] = (
    Feature("*.score", "number", "score of the source", "none", "0: no evidence", FITTED),
    Feature("*.share", "share", "score of the source", "by the largest of the question's candidates", "0", FITTED),
    Feature("*.rank", "rank", "score of the source", "log(1 + rank), the best 0", NEVER, FITTED),
)
"""Of every source, in this order."""

OF_THE_NEWEST = Feature(
    "*.last", "number", "score of the source had only the newest event happened", "none", "0", FITTED
)
"""Of the sources that know what follows what."""

OF_ITEMS: tuple[Feature, ...] = (
    Feature("fused", "number", "ranks of all sources", "sum of 1 / (k + rank)", "0: nobody proposed it", FITTED),
    Feature("proposers", "count", "sources that proposed the item", "none", NEVER, FITTED),
    Feature("popularity", "count", "events of the item", "log(1 + n)", "0 for a new item", FITTED),
    Feature("history_length", "count", "events of the asker", "none", NEVER, HISTORY),
    Feature("days_since_last", "number", "the asker's newest event", "log(1 + days)", _NO_TIME, HISTORY, (), True),
    Feature("item_age", "number", "the item's first event", "log(1 + days), 0 if ahead", _NO_TIME, FITTED, (), True),
    Feature(
        "seen_count", "count", "the asker's events with the item", "none", "0 where seen items are masked", HISTORY
    ),
    Feature("seen_age", "rank", "events since the last with the item", "log(1 + n)", "NaN: never had it", HISTORY),
)
OF_TEXT: tuple[Feature, ...] = (
    Feature(
        "text_last", "cosine", "texts of the item and the newest one", "unit vectors", _NO_HISTORY, HISTORY, ("text",)
    ),
    Feature(
        "text_nearest",
        "cosine",
        "texts of the item and the newest five",
        "the largest",
        _NO_HISTORY,
        HISTORY,
        ("text",),
    ),
    Feature(
        "category_affinity",
        "share",
        "categories of the history",
        "share, each event worth .8 of the next",
        "0: none known",
        HISTORY,
        ("categories",),
    ),
    Feature("category_last", "flag", "innermost category of the newest", "0 or 1", "0", HISTORY, ("categories",)),
    Feature(
        "brand_affinity",
        "share",
        "brands of the history",
        "share, each event worth .8 of the next",
        "0",
        HISTORY,
        ("brands",),
    ),
    Feature("price", "number", "the catalogue's price", "log(1 + price)", "NaN: no price", CATALOGUE, ("prices",)),
    Feature(
        "price_gap",
        "number",
        "prices of item and history",
        "difference of logs",
        "NaN: no price known",
        HISTORY,
        ("prices",),
    ),
    Feature(
        "popularity_now",
        "number",
        "events of the item",
        "log(1 + n), halved each 90 days",
        _NO_TIME,
        MOMENT,
        ("times",),
        True,
    ),
    Feature(
        "popularity_trend",
        "number",
        "events of the item",
        "log of the last fortnight's rate over that of 90 days",
        _NO_TIME,
        MOMENT,
        ("times",),
        True,
    ),
    Feature(
        "demand_category",
        "number",
        "forecast of the item's outermost category",
        "log of four weeks ahead over the last four",
        "NaN where nothing was foreseen",
        FORECAST,
        ("demand",),
        True,
    ),
    Feature(
        "demand_item",
        "number",
        "`popularity_now` and `demand_category`",
        "their sum: log of expected events",
        "NaN where nothing was foreseen",
        FORECAST,
        ("demand",),
        True,
    ),
    Feature("session_length", "count", "events of the visit", "log(1 + n)", _NO_TIME, VISIT, ("times",), True),
    Feature("session_minutes", "number", "begin of the visit", "log(1 + minutes)", _NO_TIME, VISIT, ("times",), True),
    Feature(
        "session_text",
        "cosine",
        "texts of the item and of the visit",
        "unit vectors",
        "NaN without a visit",
        VISIT,
        ("times", "text"),
        True,
    ),
    Feature(
        "session_shift",
        "number",
        "texts of the visit and of before",
        "1 - cosine",
        "NaN where either is missing",
        VISIT,
        ("times", "text"),
        True,
    ),
    Feature(
        "session_category",
        "share",
        "categories of the visit",
        "share, each event worth .8 of the next",
        "NaN without a visit",
        VISIT,
        ("times", "categories"),
        True,
    ),
    Feature(
        "due",
        "number",
        "when the asker had the item, and how people come back to its like",
        "log of the rate a day",
        "NaN: never had it",
        HISTORY,
        ("comebacks",),
        True,
    ),
)


def _circumstance(kind: Needs, source: str, *, missing: str = _NO_TIME, known_at: str = MOMENT) -> tuple[Feature, ...]:
    """Of an item and of its category in one circumstance."""
    share = "log of the share over everything's, few events drawn to {}"
    return (
        Feature(
            f"{kind}_item",
            "number",
            f"events of the item {source}",
            share.format("the category's"),
            missing,
            known_at,
            (kind,),
            True,
        ),
        Feature(
            f"{kind}_category",
            "number",
            f"events of the category {source}",
            share.format("everything's"),
            missing,
            known_at,
            (kind, "categories"),
            True,
        ),
    )


OF_CIRCUMSTANCES: tuple[Feature, ...] = (
    *_circumstance("hour", "within an hour of the hour asked in"),
    *_circumstance("weekday", "on the weekday asked on"),
    *_circumstance("season", "within three weeks of the day of the year", known_at=SEASONS_AGO),
    *_circumstance("device", "on the device asked with", missing="NaN: unknown device"),
    *_circumstance("place", "at the place asked from", missing="NaN: unknown place"),
)
"""Of the hour, weekday, season, device and place of a question, in the order of ``circumstances.KINDS``."""

_UNTOUCHED = "NaN: never touched"
_NONE_TOUCHED = "NaN: nothing of the list was touched"

OF_LISTS: tuple[Feature, ...] = (
    Feature("place", "rank", "the list shown", "0 is first", NEVER, ASKED),
    Feature("list_length", "count", "the list shown", "none", NEVER, ASKED),
    Feature("price", "number", "the price shown, else the catalogue's", "log(1 + price)", "NaN", ASKED),
    Feature("price_rank", "rank", "prices of the list", "share of the list, the cheapest 0", "NaN", ASKED),
    Feature("price_gap", "number", "prices of the list", "log over the mean of logs", "NaN", ASKED),
    Feature("price_gap_touched", "number", "prices of what was touched", "log over their mean", _NONE_TOUCHED, HISTORY),
    Feature("price_gap_last", "number", "price of what was touched last", "difference of logs", _NONE_TOUCHED, HISTORY),
    Feature("price_sorted", "number", "places and prices", "correlation of place and rank", "NaN: no prices", ASKED),
    Feature("touched", "count", "events of the visit with the item", "none", "0", VISIT),
    Feature("touched_before", "count", "earlier events with the item", "none", "0", HISTORY),
    Feature("clicked", "count", "choices of the item in the visit", "none", "0", VISIT),
    Feature("touched_order", "rank", "newest events with items of the list", "0 was touched last", _UNTOUCHED, HISTORY),
    Feature("touched_events_ago", "rank", "newest event with the item", "log(1 + events since)", _UNTOUCHED, HISTORY),
    Feature("touched_seconds_ago", "number", "newest event with the item", "log(1 + seconds)", _UNTOUCHED, HISTORY),
    Feature("touched_kind", "code", "kind of the newest event with the item", "code of the kind", _UNTOUCHED, HISTORY),
    Feature("clicked_order", "rank", "choices among items of the list", "0 was chosen last", "NaN: never", HISTORY),
    Feature("clicked_seconds_ago", "number", "newest choice of the item", "log(1 + seconds)", "NaN: never", HISTORY),
    Feature(
        "places_after_touched", "number", "place less that of what was touched last", "none", _NONE_TOUCHED, HISTORY
    ),
    Feature(
        "places_after_clicked", "number", "place less that of what was chosen last", "none", "NaN: nothing", HISTORY
    ),
    Feature("list_touched", "count", "items of the list ever touched", "none", "0", HISTORY),
    Feature("list_clicked", "count", "items of the list ever chosen", "none", "0", HISTORY),
    Feature("item_shown", "count", "lists with the item", "log(1 + n)", "0", BEFORE),
    Feature("item_chosen", "count", "choices of the item from lists", "log(1 + n)", "0", BEFORE),
    Feature("item_worth", "number", "choices over what its places promised", "log, two of each added", "0", BEFORE),
    Feature("item_touched", "count", "events of the item", "log(1 + n)", "0", BEFORE),
    Feature("session_events", "count", "events of the visit", "none", "NaN: unknown", VISIT, (), True),
    Feature(
        "seconds_since_last", "number", "the asker's newest event", "log(1 + seconds)", _NO_TIME, HISTORY, (), True
    ),
    Feature("hour", "number", "the moment asked about", "hour of the day, UTC", _NO_TIME, ASKED, (), True),
    Feature("weekday", "number", "the moment asked about", "0 is Monday, UTC", _NO_TIME, ASKED, (), True),
    Feature("device", "code", "the device asked with", "the commonest 0", "NaN: unknown", ASKED, (), True),
)
"""Of an item in a list that is shown, in the order of ``shown_features.COLUMNS``."""


def feature_names(sources: Iterable[str], last_of: Collection[str], has: Collection[str]) -> tuple[str, ...]:
    """Columns of the ranker's table, in order.

    Parameters
    ----------
    last_of
        Sources that are asked of the newest event alone as well.
    has
        What the data has; see ``Feature.needs``.
    """
    own = tuple(sources)
    names = [feature.name.replace("*", source) for source in own for feature in OF_SOURCES]
    names += [feature.name for feature in OF_ITEMS]
    names += [OF_THE_NEWEST.name.replace("*", source) for source in own if source in last_of]
    names += [feature.name for feature in (*OF_TEXT, *OF_CIRCUMSTANCES) if set(feature.needs) <= set(has)]
    return tuple(names)


def declared(name: str) -> Feature:
    """The declaration behind a column of the ranker's table."""
    part = f"*.{name.rpartition('.')[2]}" if "." in name else name
    return _BY_NAME[part]


_BY_NAME = {feature.name: feature for feature in (*OF_SOURCES, *OF_ITEMS, OF_THE_NEWEST, *OF_TEXT, *OF_CIRCUMSTANCES)}


def page() -> str:
    """``docs/features.md``."""
    parts = [
        "# Features",
        "",
        "What the rankers see, declared once in `palate.ranking.feature_table`, from which this page is written:",
        "`python -m palate.ranking.feature_table > docs/features.md`. A test keeps both in step; another cuts the data",
        "at a moment, puts garbage after it, and finds every feature unchanged. Training and serving compute them by",
        "the same code. NaN goes to the trees as it is: they learn on which side of a split the unknown belongs.",
        "",
    ]
    tables = (
        (
            "The ranker, of a question and a candidate",
            (*OF_SOURCES, *OF_ITEMS, OF_THE_NEWEST, *OF_TEXT, *OF_CIRCUMSTANCES),
        ),
        ("A list that is shown, of each of its items", OF_LISTS),
    )
    for title, features in tables:
        parts += [f"## {title}", "", "| feature | type | from | normalised | missing | sees | needs | context |"]
        parts += ["|---|---|---|---|---|---|---|---|"]
        parts += [
            f"| `{one.name}` | {one.type} | {one.source} | {one.normalisation} | {one.missing} | {one.known_at} "
            f"| {', '.join(one.needs)} | {'yes' if one.context else ''} |"
            for one in features
        ]
        parts += [""]
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")

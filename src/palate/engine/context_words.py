"""The context that mattered: what of a score came from the moment, the visit and the time since, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palate.engine.answers import Reason
from palate.ranking.circumstances import KINDS
from palate.ranking.feature_table import declared

_PART_OF = {
    "popularity_now": "moment",
    "popularity_trend": "moment",
    "demand_category": "ahead",
    "demand_item": "ahead",
    "item_age": "moment",
    "session_length": "visit",
    "session_minutes": "visit",
    "session_text": "visit",
    "session_shift": "visit",
    "session_category": "visit",
    "days_since_last": "since",
    "due": "since",
    **{f"{kind}_{of}": kind for kind in KINDS for of in ("item", "category")},
}
"""What each feature of the context is part of."""

_CAUSES = {
    "en": {
        "moment": "what people choose these days",
        "visit": "what you do in this visit",
        "since": "the time since you were here or had it",
        "ahead": "what people are expected to want soon",
        "hour": "what people choose at this time of day",
        "weekday": "what people choose on this day of the week",
        "season": "what people choose at this time of year",
        "device": "what people choose on this device",
        "place": "what people choose where you are",
    },
    "zh": {
        "moment": "大家近来的选择",
        "visit": "你这次浏览的内容",
        "since": "距你上次来或上次选它的时间",
        "ahead": "预计大家近期的需求",
        "hour": "大家在这个时段的选择",
        "weekday": "大家在一周中这一天的选择",
        "season": "大家在这个季节的选择",
        "device": "大家在这种设备上的选择",
        "place": "当地人的选择",
    },
}
_SPEAKS = 0.1
"""Share of all that speaks for an item from which on a context is given as a reason."""


def context_of_score(features: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, Any]]:
    """What each part of the context adds to a score, the strongest first.

    Parameters
    ----------
    features
        ``name`` and ``contribution`` of every feature, as an explanation has them.

    Returns
    -------
    ``name`` (``moment``, ``visit``, ``since``, or a circumstance: ``hour``, ``device`` ...), ``text``,
    ``contribution``, and the ``features`` it sums.
    """
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for feature in features:
        if declared(str(feature["name"])).context and feature["contribution"]:
            parts.setdefault(_PART_OF[feature["name"]], []).append(feature)
    sums = {name: float(sum(one["contribution"] for one in own)) for name, own in parts.items()}
    return [
        {
            "name": name,
            "text": _sentence(name, sums[name], language),
            "contribution": sums[name],
            "features": [str(one["name"]) for one in parts[name]],
        }
        for name in sorted(sums, key=lambda name: -abs(sums[name]))
    ]


def context_reasons(context: Sequence[Mapping[str, Any]], features: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
    """Those parts of the context that carry a good share of what speaks for an item."""
    for_it = max(sum(max(float(feature["contribution"]), 0.0) for feature in features), 1e-9)
    shares = [(part, float(part["contribution"]) / for_it) for part in context]
    return tuple(Reason("context", str(part["text"]), share) for part, share in shares if share >= _SPEAKS)


def _sentence(name: str, contribution: float, language: str) -> str:
    cause = _CAUSES[language][name]
    if language == "zh":
        return f"{cause}：{'支持推荐它' if contribution > 0 else '不支持推荐它'}"
    return f"{cause[0].upper()}{cause[1:]} speaks {'for' if contribution > 0 else 'against'} it"

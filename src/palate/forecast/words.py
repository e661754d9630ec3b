"""What a forecast says of its data, in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from palate.core import UsageError
from palate.data.tables import Note

NOTES: Mapping[str, tuple[str, str]] = {
    "returns_ignore": (
        "{count:,} of {of:,} rows are returns: left out, since what came back was wanted when it was bought.",
        "{of:,} 行中有 {count:,} 行是退货：已略去，因为购买时确有需求。",
    ),
    "returns_subtract": (
        "{count:,} of {of:,} rows are returns: subtracted on the day they came back.",
        "{of:,} 行中有 {count:,} 行是退货：在退货当日扣减。",
    ),
    "begun": (
        "{day} is not in the record from its beginning, and is left out.",
        "{day} 的记录缺少开头部分，已略去。",
    ),
    "cut": (
        "{day} is not in the record to its end, and is left out.",
        "{day} 的记录在当日结束前中断，已略去。",
    ),
    "gap": (
        "{days} days, the first of them {first}, have no event at all though such days usually do: taken as unknown, "
        "not as days of no demand.",
        "自 {first} 起共有 {days} 天没有任何事件，而同类日子通常有：视为未知，不视为零需求。",
    ),
    "never": (
        "{count:,} of {of:,} never had any demand and have no forecast.",
        "{of:,} 个中有 {count:,} 个从未有过需求，因此没有预测。",
    ),
    "kind": (
        "Nothing was purchased here: demand is counted in {count:,} events of kind {kind}.",
        "数据中没有购买事件：需求按 {count:,} 条“{kind}”事件计算。",
    ),
    "recent": (
        "The last {days:,} days are used: with {count:,} series more would not fit.",
        "只用最近 {days:,} 天：序列有 {count:,} 条，再多则放不下。",
    ),
    "vectorised": (
        "{count:,} series: only forecasters that answer for all at once compete; ETS, ARIMA and the intermittent "
        "methods do up to {most:,}, or where they are named.",
        "共 {count:,} 条序列：只比较可一次计算全部序列的方法；ETS、ARIMA 与间歇需求方法用于不超过 {most:,} 条"
        "序列，或在指明时使用。",
    ),
    "origins": (
        "The days suffice for {count} past origins of the {wanted} wanted; choices and intervals rest on less.",
        "天数只够 {count} 个回测起点（原定 {wanted} 个），选择与区间的依据较少。",
    ),
}
"""Sentences by code of the note."""


def in_words(notes: Iterable[Note], language: str = "en") -> list[str]:
    """A sentence a note.

    Raises
    ------
    UsageError
        The language is neither "en" nor "zh".
    """
    if language not in ("en", "zh"):
        raise UsageError(f"notes can be in en or zh; not in {language!r}")
    return [NOTES[note.code][language == "zh"].format(**note.values) for note in notes]

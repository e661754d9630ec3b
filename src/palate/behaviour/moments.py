"""Moments: each thing somebody did as the language model reads it, V_u = [M(., t1) ... M(., tn)], beside its numbers.

A moment is told in two clauses, what was done ("viewed a steel pan") and when and where ("on a Saturday evening in
winter, in Berlin"). Both repeat from event to event and from person to person, so a clause is read once however often
it happened, and a new event costs the reading of itself at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from palate.core import Float64Array, FloatArray, Histories, IntArray, Settings
from palate.data import Dataset, clock
from palate.language.encoder import TextEncoder
from palate.language.verbalise import behaviour_text

NUMBERS = (
    "gap",
    "hour_sin",
    "hour_cos",
    "weekend",
    "season_sin",
    "season_cos",
    "price",
    "dwell",
    "value",
)
"""What a moment says in numbers: log hours since the one before, the clock, the calendar, logs of price and dwell."""

UNTOLD = -1
"""Of a clause that would say nothing."""

_YEAR = 365.2425
_HOURS = (6.0, 12.0, 18.0)
_PARTS = {
    "en": (("night", "morning", "afternoon", "evening"), ("working-day", "weekend")),
    "zh": (("夜里", "上午", "下午", "晚上"), ("工作日", "周末")),
}
_SEASONS = {"en": ("winter", "spring", "summer", "autumn"), "zh": ("冬天", "春天", "夏天", "秋天")}
_WEEKLY, _SEASONAL = 8, 4


class MomentSettings(Settings):
    """How moments are told.

    Parameters
    ----------
    language
        Of the clauses; titles stay as the catalogue has them, ``title_zh`` where it has that.
    zone
        Time zone of the clock on the wall, as in ``Asia/Shanghai``.
    """

    language: Literal["en", "zh"] = "en"
    zone: str = "UTC"


@dataclass(frozen=True)
class Told:
    """m events as they are known, in histories; what nobody told is NaN, or "" for a place.

    Parameters
    ----------
    histories
        Items, times and kinds.
    price, dwell, value
        float32 (m,): paid or asked, seconds, rating.
    places
        Name of the place of each event; None where no place is known.
    """

    histories: Histories
    price: FloatArray
    dwell: FloatArray
    value: FloatArray
    places: tuple[str, ...] | None = None

    @classmethod
    def of(cls, histories: Histories) -> Told:
        """Events of which nothing more is known."""
        unknown = np.full(len(histories.items), np.nan, dtype=np.float32)
        return cls(histories, unknown, unknown, unknown)

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> Told:
        """All events of interest of a dataset."""
        events = dataset.events[dataset.sequence_rows]
        price, dwell, value = (_numbers(events, name) for name in ("price", "dwell", "value"))
        places = None
        if "place" in events.columns:
            places = tuple(events["place"].cast(pl.String).fill_null("").to_list())
        return cls(dataset.sequences, price, dwell, value, places)


@dataclass(frozen=True)
class Moments:
    """m moments.

    Parameters
    ----------
    texts
        Clauses, each once.
    vectors
        float32 (n, d), what the language model makes of each clause.
    what, when
        int32 (m,), rows of the clauses of each moment; ``UNTOLD`` where there is none.
    numbers
        float32 (m, len(NUMBERS)), NaN where unknown.
    """

    texts: tuple[str, ...]
    vectors: FloatArray
    what: IntArray
    when: IntArray
    numbers: FloatArray

    def __len__(self) -> int:
        return len(self.what)

    @property
    def matrix(self) -> FloatArray:
        """V: float32 (m, 2 d), both clauses beside each other, zeros where one says nothing."""
        padded = np.concatenate([self.vectors, np.zeros((1, self.vectors.shape[1]), np.float32)])
        return np.concatenate([padded[self.what], padded[self.when]], axis=1)

    def take(self, rows: IntArray | slice) -> Moments:
        """Some of the moments, over the same clauses."""
        return replace(self, what=self.what[rows], when=self.when[rows], numbers=self.numbers[rows])


class MomentReader:
    """Reads moments through a language model.

    Parameters
    ----------
    encoder
        The language model; one that remembers (``CachedEncoder``) answers a second run from disk.
    titles
        What items are called, by position.
    kinds
        Names of kinds, by position.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        titles: list[str],
        kinds: tuple[str, ...],
        settings: MomentSettings | None = None,
    ) -> None:
        self.encoder, self.titles, self.kinds = encoder, titles, kinds
        self.settings = settings or MomentSettings()

    @classmethod
    def for_dataset(
        cls, encoder: TextEncoder, dataset: Dataset, settings: MomentSettings | None = None
    ) -> MomentReader:
        """For the items and kinds of a dataset."""
        settings = settings or MomentSettings()
        return cls(encoder, titles_of(dataset, settings.language), dataset.kinds.names, settings)

    def read(self, told: Told, before: Moments | None = None) -> Moments:
        """Moments of these events; clauses that ``before`` has are not read again.

        Parameters
        ----------
        before
            Moments read earlier, for instance of the same people; their clauses come first in the answer.
        """
        whats, what = self._whats(told.histories)
        whens, when = self._whens(told)
        known = {} if before is None else {text: row for row, text in enumerate(before.texts)}
        new = [text for text in dict.fromkeys((*whats, *whens)) if text and text not in known]
        rows = {**known, **{text: len(known) + place for place, text in enumerate(new)}, "": UNTOLD}
        parts = [] if before is None else [before.vectors]
        if new or not parts:
            parts.append(self.encoder.encode(new) if new else np.zeros((0, self.encoder.dimension), np.float32))
        return Moments(
            tuple(text for text in rows if text),
            np.concatenate(parts),
            _placed(whats, rows)[what],
            _placed(whens, rows)[when],
            numbers_of(told, self.settings.zone),
        )

    def extended(self, moments: Moments, told: Told, new: int) -> Moments:
        """The moments of one person and the ``new`` newest events of the same person, of which only these are read."""
        added = self.read(_tail(told, new), moments)
        # The first new event follows an old one, so its gap is not told by the tail alone.
        numbers = numbers_of(told, self.settings.zone)[len(told.histories.items) - new :]
        return Moments(
            added.texts,
            added.vectors,
            np.concatenate([moments.what, added.what]),
            np.concatenate([moments.when, added.when]),
            np.concatenate([moments.numbers, numbers]),
        )

    def what_text(self, item: int, kind: str) -> str:
        """The clause of one kind of event with one item; an item unknown here has none."""
        if item >= len(self.titles):
            return ""
        return behaviour_text([self.titles[item]], [kind], self.settings.language)

    def _whats(self, histories: Histories) -> tuple[list[str], IntArray]:
        """Distinct first clauses, and which each event has."""
        codes = histories.items.astype(np.int64) * len(self.kinds) + histories.kinds
        distinct, place = np.unique(codes, return_inverse=True)
        texts = [self.what_text(int(code) // len(self.kinds), self.kinds[code % len(self.kinds)]) for code in distinct]
        return texts, place.astype(np.int32)

    def _whens(self, told: Told) -> tuple[list[str], IntArray]:
        """Distinct second clauses, and which each event has."""
        names = told.places or ("",) * len(told.histories.items)
        places, place = np.unique(np.asarray(names, dtype=object), return_inverse=True)
        week = week_parts(told.histories.times, self.settings.zone)
        codes = place.astype(np.int64) * (_WEEKLY * _SEASONAL + 1) + week + 1
        distinct, which = np.unique(codes, return_inverse=True)
        width = _WEEKLY * _SEASONAL + 1
        texts = [
            when_text(int(code % width) - 1, str(places[code // width]), self.settings.language) for code in distinct
        ]
        return texts, which.astype(np.int32)


def week_parts(times: Float64Array, zone: str = "UTC") -> IntArray:
    """Which of 32 parts of the year and week each moment is in; int32 (m,), -1 where unknown.

    Seasons are those of the north; the words stand for a part of the calendar, not for the weather.
    """
    known = np.isfinite(times)
    wall = clock.local(np.where(known, times, 0.0), np.zeros(len(times)), zone)
    part = np.searchsorted(np.asarray(_HOURS), clock.hour_of_day(wall), side="right")
    weekend = clock.weekday(wall) >= 5
    # December to February is the first season of the four.
    season = (((wall / clock.DAY) % _YEAR + 31.0) // (_YEAR / 4)).astype(np.int64) % _SEASONAL
    code = (season * 2 + weekend) * 4 + part
    return np.where(known, code, -1).astype(np.int32)


def when_text(part: int, place: str, language: str = "en") -> str:
    """The clause of a part of the week and year (-1: unknown) at a place ("": unknown); "" where nothing is known."""
    chinese = language.startswith("zh")
    said = ""
    if part >= 0:
        hours, days = _PARTS["zh" if chinese else "en"]
        season = _SEASONS["zh" if chinese else "en"][part // _WEEKLY]
        hour, day = hours[part % 4], days[part // 4 % 2]
        said = f"{season}的{day}{hour}" if chinese else f"on a {day} {hour} in {season}"
    if place:
        where = f"在{place}" if chinese else f"in {place}"
        said = f"{said}，{where}" if said and chinese else f"{said}, {where}" if said else where
    return said


def numbers_of(told: Told, zone: str = "UTC") -> FloatArray:
    """Numbers of each moment, float32 (m, len(NUMBERS)), NaN where unknown."""
    times = told.histories.times
    gap = np.full(len(times), np.nan)
    gap[1:] = np.diff(times)
    starts = told.histories.indptr[:-1]
    gap[starts[starts < len(times)]] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(told.price > 0, np.log(told.price), np.nan)
        dwell = np.where(told.dwell >= 0, np.log1p(told.dwell), np.nan)
        hours = np.log1p(np.maximum(gap, 0.0) / clock.HOUR)
    return np.column_stack([hours, calendar(times, zone), price, dwell, told.value]).astype(np.float32)


def calendar(times: Float64Array, zone: str = "UTC") -> FloatArray:
    """Hour and season as points on circles, and the weekend; float32 (m, 5), NaN where the time is unknown."""
    wall = clock.local(times, np.zeros(len(times)), zone)
    day = 2 * np.pi * clock.hour_of_day(wall) / 24.0
    year = 2 * np.pi * ((wall / clock.DAY) % _YEAR) / _YEAR
    weekend = np.where(np.isnan(wall), np.nan, clock.weekday(wall) >= 5)
    return np.column_stack([np.sin(day), np.cos(day), weekend, np.sin(year), np.cos(year)]).astype(np.float32)


def titles_of(dataset: Dataset, language: str = "en") -> list[str]:
    """What items are called in a language, in another where they have no name in it."""
    titles = dataset.catalogue.titles
    if not language.startswith("zh"):
        return titles
    return [own or title for own, title in zip(dataset.catalogue.strings("title_zh"), titles, strict=True)]


def _numbers(events: pl.DataFrame, name: str) -> FloatArray:
    if name not in events.columns:
        return np.full(events.height, np.nan, dtype=np.float32)
    return events[name].cast(pl.Float32, strict=False).fill_null(float("nan")).to_numpy()


def _placed(texts: list[str], rows: dict[str, int]) -> IntArray:
    return np.array([rows[text] for text in texts], dtype=np.int32)


def _tail(told: Told, new: int) -> Told:
    """The newest events of one person."""
    whole: Any = slice(len(told.histories.items) - new, None)
    places = None if told.places is None else told.places[whole]
    return Told(told.histories.last(new), told.price[whole], told.dwell[whole], told.value[whole], places)

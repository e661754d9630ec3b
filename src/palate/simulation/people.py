"""Who shops in the demo shop and when: users, their tastes, and the moments they visit."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from palate.core import Float64Array, FloatArray, IntArray
from palate.simulation.assortment import DAY, HIDDEN
from palate.simulation.vocabulary import Vocabulary

_AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
_AGE_SHARES = (0.16, 0.27, 0.24, 0.16, 0.11, 0.06)
_WEEKDAY = np.array([0.95, 0.93, 0.95, 1.0, 1.05, 1.15, 1.2])
_HOUR = np.array(
    [1.2, 0.6, 0.3, 0.2, 0.2, 0.4, 1, 2, 3, 3.6, 4, 4.4, 5, 4.4, 4, 4, 4.2, 4.8, 5.6, 6.6, 7.6, 7.8, 5.6, 3]
)
_HOUR_WEEKEND = np.array(
    [2.2, 1.2, 0.6, 0.3, 0.2, 0.2, 0.4, 0.8, 2, 4, 5.6, 6, 5.8, 5.4, 5.4, 5.6, 5.8, 5.8, 5.6, 6, 6.4, 6.2, 5, 3.6]
)
_SALE_TRAFFIC = {"zh": {(11, 11): 6.0, (11, 10): 3.0, (6, 18): 3.5, (12, 12): 2.0}, "en": {(11, 11): 1.6}}


@dataclass(frozen=True, slots=True)
class People:
    """n users as a frame and as the arrays behind it.

    Parameters
    ----------
    frame
        n rows: ``user_id``, ``language``, ``city``, ``age_band``, ``lat``, ``lon``, ``joined``.
    chinese
        bool (n,).
    city
        int32 (n,), position in the vocabulary's cities.
    lifestyle, section_taste, look, price_sensitivity
        The arrays of ``Truth``.
    """

    frame: pl.DataFrame
    chinese: np.ndarray[tuple[int], np.dtype[np.bool_]]
    city: IntArray
    lifestyle: FloatArray
    section_taste: FloatArray
    look: FloatArray
    price_sensitivity: FloatArray


@dataclass(frozen=True, slots=True)
class Visits:
    """m visits, sorted by user, then by time.

    Parameters
    ----------
    user
        int32 (m,).
    time
        float64 (m,), seconds since 1970 UTC.
    turn
        int32 (m,), how many visits the user made before.
    sale
        bool (m,), whether the visit falls on one of the user's sale days.
    city
        int32 (m,), where the user is; now and then away from home.
    device
        int32 (m,), position in ``DEVICES``.
    """

    user: IntArray
    time: Float64Array
    turn: IntArray
    sale: np.ndarray[tuple[int], np.dtype[np.bool_]]
    city: IntArray
    device: IntArray


DEVICES = ("phone", "desktop", "tablet")


def make_people(words: Vocabulary, n_users: int, start: float, days: int, rng: np.random.Generator) -> People:
    """Users with a few strong interests each, which show in what they like across the whole shop."""
    names = [topic.words.en for topic in words.topics]
    age = rng.choice(len(_AGES), size=n_users, p=_AGE_SHARES)
    chinese = rng.random(n_users) < 0.45
    lean = rng.gamma(0.35, size=(n_users, len(names))) + 0.02
    lean[:, names.index("family")] *= np.where((age == 2) | (age == 1), 2.0, 0.7)
    lean[:, names.index("technology")] *= np.where(age <= 1, 1.6, 0.8)
    lifestyle = (lean / lean.sum(axis=1, keepdims=True)).astype(np.float32)
    homes = np.array([position for position, city in enumerate(words.cities) if city.language == "en"])
    chinese_homes = np.array([position for position, city in enumerate(words.cities) if city.language == "zh"])
    city = np.where(chinese, rng.choice(chinese_homes, n_users), rng.choice(homes, n_users)).astype(np.int32)
    thrift = lifestyle[:, names.index("value")] - 0.7 * lifestyle[:, names.index("luxury")]
    sensitivity = np.exp(rng.normal(0.35, 0.35, n_users) + 0.9 * thrift)
    joined = start + DAY * np.where(rng.random(n_users) < 0.45, 0.0, rng.uniform(0, days * 0.9, n_users))
    frame = pl.DataFrame(
        {
            "user_id": [f"u{number:04d}" for number in range(1, n_users + 1)],
            "language": np.where(chinese, "zh", "en").tolist(),
            "city": [words.cities[c].words.en for c in city],
            "age_band": [_AGES[a] for a in age],
            "lat": [words.cities[c].lat for c in city],
            "lon": [words.cities[c].lon for c in city],
            "joined": joined,
        }
    )
    return People(
        frame,
        chinese,
        city,
        lifestyle,
        _section_taste(words, lifestyle, rng),
        (1.3 * rng.normal(size=(n_users, HIDDEN))).astype(np.float32),
        np.clip(sensitivity, 0.4, 4.0).astype(np.float32),
    )


def _section_taste(words: Vocabulary, lifestyle: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Sections follow lifestyles through the topics of their flavours, departments and chance add the rest."""
    n, sections = len(lifestyle), words.sections
    speaks = np.zeros((len(sections), len(words.topics)))
    for position, section in enumerate(sections):
        for flavour in section.flavours:
            speaks[position, flavour.topic] += 1.0 / len(section.flavours)
    fit = lifestyle @ speaks.T
    fit = (fit - fit.mean(axis=0)) / fit.std()
    department = np.array([section.department for section in sections])
    floors = rng.normal(0, 1.25, size=(n, len(words.departments)))[:, department]
    taste = 0.6 * fit + floors + rng.normal(0, 0.9, (n, len(sections))) + rng.normal(0, 0.4, len(sections))
    keeps = rng.choice(["", "dog", "cat", "both"], size=n, p=[0.52, 0.22, 0.22, 0.04])
    for position, section in enumerate(sections):
        if section.species:
            owner = (keeps == section.species) | (keeps == "both")
            taste[:, position] = np.where(owner, np.abs(taste[:, position]) + 0.8, -4.0)
    return taste.astype(np.float32)


def make_visits(
    words: Vocabulary, people: People, *, start: float, days: int, mean: float, rng: np.random.Generator
) -> Visits:
    """Visits of all users: few come often, evenings and weekends are busy, sale days are busiest.

    Parameters
    ----------
    mean
        Visits per user, on average.
    """
    n = len(people.city)
    joined = people.frame["joined"].to_numpy()
    present = 1.0 - (joined - start) / (days * DAY)
    counts = 1 + rng.poisson(rng.gamma(0.9, (mean - 1) / 0.9 / present.mean(), n) * present)
    user = np.repeat(np.arange(n, dtype=np.int32), np.minimum(counts, 80))
    busy = np.stack([_traffic(start, days, language) for language in ("en", "zh")])
    running = np.concatenate([np.zeros((2, 1)), np.cumsum(busy, axis=1)], axis=1)
    speaks = people.chinese[user].astype(np.int32)
    first = ((joined[user] - start) // DAY).astype(np.int64)
    low, high = running[speaks, first], running[speaks, -1]
    aim = low + rng.random(len(user)) * (high - low)
    day = np.empty(len(user), dtype=np.int64)
    for language in (0, 1):
        rows = speaks == language
        day[rows] = np.searchsorted(running[language], aim[rows], side="right") - 1
    day = np.minimum(day, days - 1)
    weekend = (dt.datetime.fromtimestamp(start, dt.UTC).weekday() + day) % 7 >= 5
    hour = np.where(weekend, _draw(_HOUR_WEEKEND, len(user), rng), _draw(_HOUR, len(user), rng))
    away = rng.random(len(user)) < 0.04
    home = people.city[user]
    city = np.where(away, rng.permutation(home), home).astype(np.int32)
    offset = np.array([entry.offset for entry in words.cities])[city]
    time = np.round(start + DAY * day + 3600.0 * (hour - offset + rng.random(len(user))))
    time = np.clip(time, joined[user] + rng.random(len(user)) * 600, start + days * DAY - 3600.0)
    order = np.lexsort((time, user))
    user, time, day, city = user[order], time[order], day[order], city[order]
    turn = np.arange(len(user)) - np.searchsorted(user, user)
    mobile = np.where(people.chinese, 0.85, 0.6)[user]
    roll = rng.random(len(user))
    device = np.where(roll < mobile, 0, np.where(roll < mobile + (1 - mobile) * 0.8, 1, 2)).astype(np.int32)
    sale = busy[people.chinese[user].astype(np.int32), day] > 2.2
    return Visits(user, np.round(time), turn.astype(np.int32), sale, city, device)


def _traffic(start: float, days: int, language: str) -> Float64Array:
    """Visits each day attracts, relative to an ordinary one; float64 (days,)."""
    dates = [dt.datetime.fromtimestamp(start + DAY * day, dt.UTC).date() for day in range(days)]
    special = _SALE_TRAFFIC[language]
    traffic = np.array([_WEEKDAY[date.weekday()] * special.get((date.month, date.day), 1.0) for date in dates])
    traffic *= np.array([1.45 if date.month == 12 and date.day <= 20 else 1.0 for date in dates])
    if language == "en":
        # The day after the fourth Thursday of November, and the Monday that follows.
        traffic *= np.array([3.5 if _black_friday(date) else 1.0 for date in dates])
    return np.asarray(traffic * np.linspace(0.85, 1.2, days))


def _black_friday(date: dt.date) -> bool:
    return (date.month == 11 and date.weekday() == 4 and 23 <= date.day <= 29) or (
        date.weekday() == 0
        and (date - dt.timedelta(days=3)).month == 11
        and 23 <= (date - dt.timedelta(days=3)).day <= 29
    )


def _draw(weights: Float64Array, size: int, rng: np.random.Generator) -> Float64Array:
    return rng.choice(len(weights), size=size, p=weights / weights.sum()).astype(np.float64)

"""Days that are not like others: public holidays, Western and Chinese, and days on which shops sell."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from palate.core import Float64Array, UsageError
from palate.forecast.panel import WEEK, DayArray, Panel, mean_known

_TRADE = {
    "Valentine's Day": (2, 14),
    "618": (6, 18),
    "Halloween": (10, 31),
    "Singles' Day": (11, 11),
    "Double Twelve": (12, 12),
    "Christmas Eve": (12, 24),
    "New Year's Eve": (12, 31),
}
"""Days of trade with a fixed date, (month, day)."""

_SMALLEST = 0.05
"""Share of the usual demand that a closed day counts as, so that it has a logarithm."""
_NEAR = 6 * WEEK
"""Days on either side among which the same weekdays tell what is usual."""
_LEAST_NOISE = 1e-4
"""Variance of logarithms that is taken for chance where there seems to be none."""


@dataclass(frozen=True)
class Effects:
    """What the calendar does to demand, learnt from all series together.

    Parameters
    ----------
    names
        Days of the calendar by name, beside the mean of each calendar, which serves a day never seen.
    """

    names: dict[str, float]
    countries: tuple[str, ...]

    def factors(self, days: DayArray) -> Float64Array:
        """What demand of each day is multiplied by; float64 (T,)."""
        product = np.ones(len(days))
        for place, own in marked(days, self.countries).items():
            # Two calendars that mark the same day tell of one effect; the one furthest from none is it.
            logs = [np.log(self.names.get(name, self.names.get(calendar, 1.0))) for calendar, name in own]
            product[place] = np.exp(max(logs, key=abs))
        return product


def marked(days: DayArray, countries: Sequence[str]) -> dict[int, list[tuple[str, str]]]:
    """Calendar and name of what each day is, by the day's place; ordinary days are left out."""
    found: dict[int, list[tuple[str, str]]] = {}
    if not len(days):
        return found
    first, last = days[0].astype(date).year, days[-1].astype(date).year
    table: dict[date, list[tuple[str, str]]] = {}
    for year in range(first, last + 1):
        for country in countries:
            for day, name in _public(country, year):
                table.setdefault(day, []).append((country, f"{country} {name}"))
        for day, name in _trade(year):
            table.setdefault(day, []).append(("trade", name))
    for place, day in enumerate(days.astype(date).tolist()):
        if day in table:
            found[place] = table[day]
    return found


def effects(panel: Panel, countries: Sequence[str]) -> Effects:
    """Learn what days of the calendar do, from all series together, shrunk by what chance does on ordinary days.

    Demand of each day over all series, each divided by its own mean, is compared with its usual size: the median of
    that weekday in the weeks around. A calendar is kept where its days differ from the usual more than chance allows
    (chi-square, three standard deviations), and explains its days before weaker calendars do. The effect of a day is
    the mean logarithm of that ratio, drawn towards the mean of its calendar, and that towards none, as far as their
    spread asks for (empirical Bayes; Efron & Morris 1975).
    """
    own = marked(panel.days, countries)
    logs = np.log(np.maximum(_against_usual(panel), _SMALLEST))
    known = ~np.isnan(logs)
    ordinary = np.array([place not in own for place in range(panel.length)], dtype=np.bool_) & known
    noise = float(np.var(logs[ordinary])) if ordinary.sum() > WEEK else 1.0
    noise = max(noise, _LEAST_NOISE)
    days_of: dict[str, dict[int, str]] = {}
    for place, days in own.items():
        for calendar, name in days if known[place] else ():
            days_of.setdefault(calendar, {})[place] = name
    strength = {name: float(np.mean([logs[place] ** 2 for place in days])) for name, days in days_of.items()}
    names: dict[str, float] = {}
    explained: set[int] = set()
    for calendar in sorted(strength, key=lambda name: -strength[name]):
        seen: dict[str, list[float]] = {}
        for place, name in days_of[calendar].items():
            if place not in explained:
                seen.setdefault(name, []).append(float(logs[place]))
        values = np.concatenate([*seen.values(), []])
        if not len(values) or np.sum(values**2) / noise < len(values) + 3 * np.sqrt(2 * len(values)):
            continue
        explained |= days_of[calendar].keys()
        names |= _calendar_effects(calendar, seen, noise)
    return Effects(names, tuple(countries))


def _calendar_effects(calendar: str, seen: dict[str, list[float]], noise: float) -> dict[str, float]:
    """Effects of one calendar's days by name, and under its own name that of a day never seen."""
    means = {name: (float(np.mean(logs)), len(logs)) for name, logs in seen.items()}
    center, spread = _shrunk([mean for mean, _ in means.values()], noise)
    found = {calendar: float(np.exp(center))}
    for name, (mean, count) in means.items():
        weight = spread / (spread + noise / count) if spread else 0.0
        found[name] = float(np.exp(center + weight * (mean - center)))
    return found


def _shrunk(means: Sequence[float], noise: float) -> tuple[float, float]:
    """The mean of a calendar's effects, drawn towards none, and how much they truly differ."""
    values = np.array(means)
    spread = max(float(np.mean(values**2)) - noise, 0.0)
    center = float(np.median(values)) * (spread / (spread + noise / len(values)) if spread else 0.0)
    return center, spread


def _against_usual(panel: Panel) -> Float64Array:
    """Demand of all series over the running median of the same weekday; NaN where the shop is usually closed."""
    size = mean_known(np.abs(panel.values))[:, None]
    share = panel.values / np.maximum(size, 1e-12)
    known = ~np.isnan(share)
    whole = np.where(known, share, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    whole[~known.any(axis=0)] = np.nan
    usual = np.full(panel.length, np.nan)
    for place in range(panel.length):
        alike = np.arange(place % WEEK, panel.length, WEEK)
        near = alike[(np.abs(alike - place) <= _NEAR) & (alike != place)]
        values = whole[near]
        values = values[~np.isnan(values)]
        if len(values) >= 2:
            usual[place] = np.median(values)
    level = np.nanmean(whole) if (~np.isnan(whole)).any() else 0.0
    open_days = usual > _SMALLEST * level
    return np.where(open_days, whole / np.where(open_days, usual, 1.0), np.nan)


@lru_cache(maxsize=256)
def _public(country: str, year: int) -> tuple[tuple[date, str], ...]:
    import holidays

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = holidays.country_holidays(country, years=year)
    except NotImplementedError:
        raise UsageError(f"{country!r} has no calendar of holidays; give an ISO 3166 code such as CN or GB.") from None
    return tuple((day, name.split(" (")[0]) for day, name in sorted(found.items()))


@lru_cache(maxsize=64)
def _trade(year: int) -> tuple[tuple[date, str], ...]:
    thursday = date(year, 11, 1) + timedelta((3 - date(year, 11, 1).weekday()) % WEEK + 3 * WEEK)
    mothers = date(year, 5, 1) + timedelta((6 - date(year, 5, 1).weekday()) % WEEK + WEEK)
    moving = ((thursday + timedelta(1), "Black Friday"), (thursday + timedelta(4), "Cyber Monday"))
    fixed = tuple((date(year, month, day), name) for name, (month, day) in _TRADE.items())
    return (*fixed, *moving, (mothers, "Mother's Day"))

"""Which inputs enter a price: declared by the merchant, allowed by the pack, agreed to by the person."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from palate.core import BoolArray, Float64Array, FloatArray, IntArray
from palate.data import Catalogue
from palate.data.clock import hour_of_day, local, weekday
from palate.pricing.book import PriceBook, numbers
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.packs import Pack, is_device, is_protected

Score = Callable[[str, Sequence[str]], Sequence[float]]
"""Of items for a user: how well they suit, or how dear a thing of the kind would be taken."""

Asked = Mapping[str, Callable[[], Sequence[float]]]
"""By source of an input, who is asked for its values; sources that nobody can be asked for are missing."""

_ZONE_SECONDS = 900.0


@dataclass(frozen=True)
class Gathered:
    """Inputs of n asks: float32 (n, f), NaN where an impersonal one is unknown; and why others were left out."""

    features: FloatArray
    left_out: Mapping[str, str]


class Inputs:
    """The declared inputs over one price book."""

    def __init__(self, settings: PricingSettings, book: PriceBook) -> None:
        self.declared = settings.inputs
        self.names = tuple(each.name for each in self.declared)
        self.personal = tuple(each.from_person for each in self.declared)
        self.from_people = np.array(self.personal, dtype=np.bool_)
        self._zone, self._willing = settings.zone, settings.willingness.enabled
        self._columns = {
            each.name: numbers(book.catalogue, each.name) for each in self.declared if each.source == "item"
        }
        with np.errstate(invalid="ignore", divide="ignore"):
            self._logarithms = np.log(np.where(book.list_price > 0, book.list_price, np.nan))
        self._clock: tuple[float, dict[str, float]] = (math.nan, {})
        self._wants = {each.name for each in self.declared if each.source == "request"}

    def gather(
        self,
        items: IntArray,
        told: Mapping[str, float],
        pack: Pack,
        *,
        allowed: BoolArray,
        refusal: str,
        now: float,
        asked: Asked,
    ) -> Gathered:
        """The inputs of these items.

        Parameters
        ----------
        items
            int32 (n,), -1 for unknown ones.
        allowed
            bool (n,): whether personal inputs may enter the price of each.
        refusal
            Why none may, "" where some may.
        asked
            Who knows what this person would take; it is asked only where the answer may enter.
        """
        left_out = {name: self._unused(name) for name in told if name not in self._wants}
        features = np.zeros((len(items), len(self.declared)), dtype=np.float32)
        for place, each in enumerate(self.declared):
            if not each.from_person:
                features[:, place] = self._impersonal(each, items, told, now)
                continue
            reason = refusal or self._barred(each, pack)
            if reason or not allowed.any():
                if each.name in told or each.tells_willingness:
                    left_out[each.name] = reason or "not allowed for these categories"
                continue
            values: float | Float64Array = float(told.get(each.name, 0.0))
            if each.tells_willingness:
                ask = asked.get(each.source)
                values = np.zeros(len(items)) if ask is None else np.asarray(ask(), dtype=np.float64)
            features[:, place] = np.where(allowed, values, 0.0)
        return Gathered(features, left_out)

    def _barred(self, each: Input, pack: Pack) -> str:
        """Why an input of somebody who agreed may not enter all the same, "" where it may."""
        if not pack.permits(each.name, True) or (each.tells_willingness and not pack.willingness):
            return f"not allowed by the pack {pack.id!r}"
        if each.tells_willingness and not self._willing:
            return "switched off by the shop"
        return ""

    def _impersonal(self, each: Input, items: IntArray, told: Mapping[str, float], now: float) -> float | Float64Array:
        match each.source:
            case "item":
                return np.where(items >= 0, self._columns[each.name][items], np.nan)
            case "list":
                return np.where(items >= 0, self._logarithms[items], np.nan)
            case "clock":
                return self._time(now)[each.name]
            case _:
                return float(told.get(each.name, math.nan))

    def _time(self, now: float) -> Mapping[str, float]:
        """What the clock tells, the same for a quarter of an hour: prices do not follow seconds."""
        quarter = now // _ZONE_SECONDS * _ZONE_SECONDS
        if self._clock[0] != quarter:
            wall = local(np.array([quarter]), np.zeros(1), self._zone)
            angle = float(hour_of_day(wall)[0]) * math.tau / 24.0
            told = {
                "hour_sin": math.sin(angle),
                "hour_cos": math.cos(angle),
                "weekend": float(weekday(wall)[0] >= 5),
            }
            self._clock = (quarter, told)
        return self._clock[1]

    @staticmethod
    def _unused(name: str) -> str:
        if is_protected(name):
            return "a protected attribute, which never enters a price"
        return "a device's attribute, which is no declared input" if is_device(name) else "no declared input"


def banned(catalogue: Catalogue, pack: Pack) -> BoolArray:
    """Whether each item is of a category whose prices never take personal inputs; bool (n_items,)."""
    return np.array([pack.bans(category) for category in catalogue.strings("category")], dtype=np.bool_)

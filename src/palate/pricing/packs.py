"""Policy packs: what the law of a place asks of prices, as data. Configuration, not legal advice.

A pack is a TOML file that says where each rule comes from and since when. Rules apply from the day the pack is
installed, also where the law starts later: being early harms nobody. Places that no pack knows get the neutral one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from palate.core import Settings, UsageError
from palate.core.configuration import read_settings

NEUTRAL = "neutral"
LANGUAGES = ("en", "zh")
NOTICE = {"en": "Configuration, not legal advice.", "zh": "这是配置，不是法律意见。"}

PROTECTED = frozenset(
    """
    age ancestry birth birthday birthdate caste citizenship colour color creed disability ethnicity faith gender genetic
    genetics health hiv ideology marital marriage military nation nationality orientation origin party political
    politics pregnancy pregnant race racial religion religious sex sexual sexuality union veteran
    年龄 生日 出生 种族 民族 族裔 国籍 籍贯 性别 性取向 宗教 信仰 残疾 残障 健康 疾病 婚姻 婚育 怀孕 政治 党派 工会
    """.split()  # noqa: SIM905 - a page of words reads better as one
)
"""Words that mark an attribute as protected: it never enters a price, whatever a pack or a merchant says."""

DEVICE = frozenset(
    "device os browser agent phone handset battery screen platform 设备 手机 机型 浏览器 系统".split()  # noqa: SIM905
)
"""Words that mark an attribute of a device."""


class Law(Settings):
    """One source of a pack.

    Parameters
    ----------
    title
        As it is cited.
    since
        When it began to apply; None where that is not known.
    asks
        What it asks, in a sentence, by language.
    checked
        Whether counsel has compared the pack with the text.
    """

    title: str
    since: date | None = None
    asks: dict[str, str]
    checked: bool = False


class Disclosure(Settings):
    """What must be said beside a price.

    Parameters
    ----------
    personal
        Where personal inputs entered it, by language.
    verbatim
        A sentence the law prescribes word for word; stands first, whatever the language.
    dynamic
        Where it moved without them, by language; empty: nothing is due.
    """

    personal: dict[str, str]
    verbatim: str = ""
    dynamic: dict[str, str] = Field(default_factory=dict)

    @field_validator("personal")
    @classmethod
    def _in_both_languages(cls, personal: dict[str, str]) -> dict[str, str]:
        missing = [language for language in LANGUAGES if not personal.get(language, "").strip()]
        if missing:
            raise ValueError(f"the disclosure of personal prices is missing in {', '.join(missing)}")
        return personal

    def of(self, personal: bool, moved: bool, language: str) -> str:
        """The text due beside a price, "" where none is."""
        if not personal:
            return self.dynamic.get(language, self.dynamic.get("en", "")) if moved else ""
        told = self.personal.get(language, self.personal["en"])
        return told if not self.verbatim or self.verbatim == told else f"{self.verbatim} {told}"


class Pack(Settings):
    """What one place asks. Explanations, refusals and the page of rules are offered everywhere, asked for or not.

    Parameters
    ----------
    id, name, jurisdictions
        What it is called, by language, and the codes it answers for (ISO 3166, ``US-NY``); none: for the rest.
    laws
        Where its rules come from.
    personal
        ``consent``: personal inputs enter a price only with recorded consent; ``never``: not at all.
    device
        Whether attributes of the device may enter, with that consent.
    willingness
        Whether guesses at what somebody would take may enter, with that consent.
    above_list
        Who may be asked more than the list price: ``nobody``, or ``everybody`` alike (``public``). Personal inputs
        never raise a price above it.
    banned
        Words of categories whose prices never take personal inputs; an item without a category counts as banned.
    lowest_days
        A price below the list price is shown beside the lowest one of so many days before; 0: not due.
    keep_days
        How long decisions are kept at least.
    """

    id: str
    name: dict[str, str]
    jurisdictions: tuple[str, ...] = ()
    laws: tuple[Law, ...] = ()
    personal: Literal["consent", "never"] = "consent"
    device: bool = False
    willingness: bool = True
    above_list: Literal["nobody", "public"] = "nobody"
    banned: tuple[str, ...] = ()
    lowest_days: int = Field(default=0, ge=0, le=365)
    keep_days: int = Field(default=365, ge=30)
    disclosure: Disclosure

    def bans(self, categories: str) -> bool:
        """Whether prices of an item with this category path never take personal inputs."""
        if not self.banned:
            return False
        text = categories.casefold()
        return not text.strip() or any(word.casefold() in text for word in self.banned)

    def permits(self, name: str, consent: bool) -> bool:
        """Whether an input that comes from a person may enter a price."""
        return (
            self.personal == "consent" and consent and (self.device or not is_device(name)) and not is_protected(name)
        )


class Packs:
    """All packs, found by place."""

    def __init__(self, packs: Sequence[Pack]) -> None:
        self.by_id: Mapping[str, Pack] = {pack.id: pack for pack in packs}
        if NEUTRAL not in self.by_id:
            raise UsageError(f"no pack is called {NEUTRAL!r}; it is what places without a pack of their own get.")
        self._by_place: dict[str, Pack] = {}
        for pack in packs:
            for place in pack.jurisdictions:
                other = self._by_place.setdefault(place, pack)
                if other is not pack:
                    raise UsageError(f"the packs {other.id!r} and {pack.id!r} both answer for {place}. Keep one.")

    def of(self, jurisdiction: str | None) -> Pack:
        """The pack of a place: its own, its country's (``US-NY``, then ``US``), or the neutral one."""
        place = (jurisdiction or "").strip().upper()
        return self._by_place.get(place) or self._by_place.get(place.split("-")[0]) or self.by_id[NEUTRAL]


def read_pack(path: Path) -> Pack:
    """A pack from a file.

    Raises
    ------
    UsageError
        The file is not there, or says something that is no rule; the message names it.
    """
    return read_settings(Pack, path)


def packs(folder: Path | None = None) -> Packs:
    """The packs that come with palate, and those of a folder, which replace packs of the same id."""
    own = {pack.id: pack for pack in _shipped()}
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder of policy packs.")
        own |= {pack.id: pack for pack in map(read_pack, sorted(folder.glob("*.toml")))}
    return Packs(tuple(own.values()))


@lru_cache(maxsize=4_096)
def is_protected(name: str) -> bool:
    """Whether an attribute of this name is one that the law protects; rather one too many."""
    return _named(name, PROTECTED)


@lru_cache(maxsize=4_096)
def is_device(name: str) -> bool:
    """Whether an attribute of this name tells of a device."""
    return _named(name, DEVICE)


def rules(pack: Pack, language: str) -> dict[str, Any]:
    """A pack as a page shows it, in one language."""

    def told(texts: Mapping[str, str]) -> str:
        return texts.get(language, texts.get("en", ""))

    return {
        "id": pack.id,
        "name": told(pack.name),
        "notice": NOTICE[language],
        "jurisdictions": list(pack.jurisdictions),
        "laws": [
            {
                "title": law.title,
                "since": law.since.isoformat() if law.since else None,
                "asks": told(law.asks),
                "checked_by_counsel": law.checked,
            }
            for law in pack.laws
        ],
        "personal_inputs": pack.personal,
        "device_inputs": pack.device,
        "willingness_inputs": pack.willingness,
        "above_list": pack.above_list,
        "banned_categories": list(pack.banned),
        "lowest_price_days": pack.lowest_days,
        "kept_days": pack.keep_days,
        "disclosure": {
            "personal": pack.disclosure.of(True, True, language),
            "dynamic": pack.disclosure.of(False, True, language),
        },
    }


@cache
def _shipped() -> tuple[Pack, ...]:
    folder = resources.files("palate.pricing") / "packs"
    with resources.as_file(folder) as path:
        return tuple(map(read_pack, sorted(path.glob("*.toml"))))


def _named(name: str, words: frozenset[str]) -> bool:
    """Whether one of the words stands in a name: by itself in one with separators or capitals, anywhere in Chinese."""
    lowered = name.casefold()
    split = "".join(f" {letter}" if letter.isupper() else letter for letter in name)
    parts = {part.casefold() for part in "".join(c if c.isalnum() else " " for c in split).split()}
    parts |= set("".join(c if c.isalnum() else " " for c in lowered).split())
    return bool(parts & words) or any(not word.isascii() and word in lowered for word in words)

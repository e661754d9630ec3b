"""Policy packs: what each place asks, and that nothing else gets in."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import UsageError
from palate.pricing.packs import NOTICE, PROTECTED, Packs, is_device, is_protected, packs, read_pack, rules

NEW_YORK = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA"


@pytest.mark.parametrize(
    ("place", "pack"),
    [
        ("CN", "cn"), ("cn", "cn"), ("CN-SH", "cn"), ("EU", "eu"), ("DE", "eu"), ("FR-75", "eu"), ("US-NY", "us-ny"),
        ("us-ny", "us-ny"), ("US-MD", "us-md"), ("US-CT", "us-ct"), ("US", "neutral"), ("US-TX", "neutral"),
        ("", "neutral"), (None, "neutral"), ("nowhere at all", "neutral"), ("GB", "neutral"),
    ],
)  # fmt: skip
def test_each_place_gets_its_pack(place: str | None, pack: str) -> None:
    assert packs().of(place).id == pack


def test_every_pack_says_where_it_comes_from_and_that_it_is_no_advice() -> None:
    for pack in packs().by_id.values():
        for language in ("en", "zh"):
            told = rules(pack, language)
            assert told["notice"] == NOTICE[language] and told["name"]
            assert told["disclosure"]["personal"]
            assert all(law["title"] and law["asks"] for law in told["laws"])
            assert not any(law["checked_by_counsel"] for law in told["laws"]), "nobody has checked these yet"
        assert pack.laws or pack.id == "neutral"
        assert pack.personal == "consent" and not pack.device


def test_new_york_hears_the_prescribed_sentence_word_for_word() -> None:
    disclosure = packs().of("US-NY").disclosure
    assert disclosure.of(True, True, "en") == NEW_YORK
    assert disclosure.of(True, False, "en") == NEW_YORK, "it is due wherever personal data entered, moved or not"
    assert disclosure.of(True, True, "zh").startswith(NEW_YORK)
    assert disclosure.of(False, True, "en") == ""


def test_europe_shows_the_lowest_price_of_thirty_days() -> None:
    assert packs().of("FR").lowest_days == 30
    assert packs().of("FR").above_list == "public"
    assert "automated decision" in packs().of("FR").disclosure.of(True, True, "en")


def test_china_keeps_three_years_and_tells_in_chinese() -> None:
    pack = packs().of("CN")
    assert pack.keep_days >= 1_095
    assert "自动化决策" in pack.disclosure.of(True, True, "zh")
    assert "定价规则" in pack.disclosure.of(False, True, "zh")
    assert pack.disclosure.of(False, False, "zh") == ""


@pytest.mark.parametrize(
    ("category", "banned"),
    [
        ("Food > Tea", True), ("GROCERIES", True), ("食品 > 零食", True), ("", True), ("  ", True), ("Phones", False),
        ("Books > Novels", False),
    ],
)  # fmt: skip
def test_maryland_bans_personal_prices_of_food(category: str, banned: bool) -> None:
    assert packs().of("US-MD").bans(category) is banned
    assert packs().of("US-NY").bans(category) is False


def test_personal_inputs_need_consent_and_devices_are_off() -> None:
    for pack in packs().by_id.values():
        assert pack.permits("loyalty", True)
        assert not pack.permits("loyalty", False)
        assert not pack.permits("device_price", True)
        assert not pack.permits("gender", True)


@given(word=st.sampled_from(sorted(PROTECTED)), around=st.text(string.ascii_lowercase, min_size=1, max_size=6))
def test_protected_words_are_seen_in_any_dress(word: str, around: str) -> None:
    for name in (
        word,
        word.upper(),
        f"{around}_{word}",
        f"user.{word}",
        f"{around}-{word}-x",
        f"{around}{word.title()}",
    ):
        assert is_protected(name), name


@pytest.mark.parametrize("name", ["loyalty", "stock", "average_basket", "message", "engagement", "page", "sessions"])
def test_other_words_are_not(name: str) -> None:
    assert not is_protected(name)


def test_devices_are_seen_too() -> None:
    assert is_device("device_price") and is_device("deviceModel") is True and is_device("手机型号")
    assert not is_device("loyalty")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_shop_may_bring_packs_of_its_own(tmp_path: Path) -> None:
    written(
        tmp_path,
        "gb.toml",
        'id = "gb"\nname = {en = "Britain", zh = "英国"}\njurisdictions = ["GB"]\npersonal = "never"\n'
        '[disclosure]\npersonal = {en = "Personal.", zh = "个性化。"}\n',
    )
    pack = packs(tmp_path).of("GB")
    assert pack.id == "gb" and not pack.permits("loyalty", True)
    assert packs(tmp_path).of("CN").id == "cn"
    assert packs().of("GB").id == "neutral"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('id = "x"\nname = {}\n', "disclosure"),
        ('id = "x"\nname = {}\n[disclosure]\npersonal = {en = "a"}\n', "missing in zh"),
        ('id = "x"\nname = {}\nfree = true\n[disclosure]\npersonal = {en = "a", zh = "b"}\n', "free is not a setting"),
        ('id = "x"\nname = {}\npersonal = "always"\n[disclosure]\npersonal = {en = "a", zh = "b"}\n', "personal"),
        ("id = ", "not valid TOML"),
    ],
)
def test_a_pack_that_makes_no_sense_is_refused_in_words(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path, "x.toml", text)
    with pytest.raises(UsageError, match=problem):
        read_pack(path)


def test_two_packs_for_one_place_are_refused() -> None:
    known = packs().by_id
    twin = known["cn"].model_copy(update={"id": "cn2"})
    with pytest.raises(UsageError, match="both answer for CN"):
        Packs([*known.values(), twin])
    with pytest.raises(UsageError, match="neutral"):
        Packs([known["cn"]])


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        packs(tmp_path / "missing")

"""On the page people see what is known of them, mute a topic, add one, and watch the list follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from palate.serving import running
from tests.serving_fake import FakeEngine
from tests.test_serving_page import Page, browser, needs_browser

__all__ = ["browser"]


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("profile-page")
    with running(FakeEngine(), log=folder / "events.sqlite", vault=folder / "vault.sqlite") as own:
        yield own


@pytest.fixture
def page(browser: Any, url: str) -> Page:
    return Page(browser, url)


def titles(page: Page) -> list[str]:
    return page.texts(".card .title")


@needs_browser
def test_what_is_known_stands_there_as_a_sentence_and_as_a_table(page: Page) -> None:
    page.until(lambda: page.text("#portrait") == "Did 6 things.")
    names = page.texts("#interests .name")
    assert names and page.texts("#interests .value")[0].endswith(" %")
    page.click("#table summary")
    page.until(lambda: page.texts("#table-body th")[:1] == ["events"])
    assert page.texts("#table-body td")[0] == "6"
    assert names[0] in page.texts("#table-body td")[1]
    page.all(".person")[0].click()
    page.until(lambda: page.text("#portrait").startswith("Nothing is known yet"))
    assert not page.one("#table").is_displayed()
    assert page.complaints == []


@needs_browser
def test_a_muted_topic_is_gone_from_the_next_list_and_comes_back(page: Page) -> None:
    page.until(lambda: bool(page.texts("#interests .name")))
    topic = page.texts("#interests .name")[0]
    page.until(lambda: any(topic in title for title in titles(page)))
    page.click("#interests .undo")
    page.until(lambda: bool(titles(page)) and not any(topic in title for title in titles(page)))
    assert topic in page.text("#topics .muted")
    assert topic not in page.texts("#interests .name")
    page.click("#topics .muted .undo")
    page.until(lambda: any(topic in title for title in titles(page)) and not page.all("#topics .chip"))
    assert page.complaints == []


@needs_browser
def test_an_added_topic_counts_for_a_newcomer_too_and_a_typed_one_can_be_muted(page: Page) -> None:
    page.all(".person")[0].click()
    page.until(lambda: page.text("#answers-title") == "For you")
    page.one("#topic").send_keys("Perfume\n")
    page.until(lambda: all("Perfume" in title for title in titles(page)[:5]))
    assert "Perfume" in page.text("#topics .added")
    page.one("#topic").send_keys("Perfume")
    page.click("#never")
    page.until(lambda: bool(titles(page)) and not any("Perfume" in title for title in titles(page)))
    page.one("#topic").send_keys("!!\n")
    page.until(lambda: "says nothing" in page.text("#trouble"))
    assert all("422" in said for said in page.complaints), "what was refused, and nothing else"


@needs_browser
def test_the_profile_speaks_chinese(page: Page) -> None:
    page.click("[data-language=zh]")
    page.until(lambda: page.text("#portrait") == "做了 6 件事。")
    assert page.text("#never") == "不再显示"
    page.click("#table summary")
    page.until(lambda: page.texts("#table-body th")[:1] == ["行为次数"])
    page.click("[data-language=en]")
    page.until(lambda: page.text("#portrait") == "Did 6 things.")
    assert page.complaints == []

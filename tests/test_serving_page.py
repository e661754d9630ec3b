"""The page in a real browser against a real server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from palate.serving import running
from tests.serving_fake import XSS, FakeEngine

T = TypeVar("T")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="CHROMIUM MISSING: the page was not opened in a browser; install chromium and chromedriver",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FakeEngine]]:
    folder, engine = tmp_path_factory.mktemp("page"), FakeEngine()
    with running(engine, log=folder / "events.sqlite", vault=folder / "vault.sqlite") as url:
        yield url, engine


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(CHROMIUM)
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.add_argument("--disable-background-networking")
    options.add_argument("--force-prefers-reduced-motion")
    options.add_argument("--lang=en-GB")
    options.add_argument("--window-size=1280,900")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """The open page, in the words of somebody who looks at it."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        driver.get(url)
        self.settled()

    def until(self, fulfilled: Callable[[], bool]) -> None:
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.wait import WebDriverWait

        def check(_: Any) -> bool:
            try:
                return fulfilled()
            except StaleElementReferenceException:
                return False

        WebDriverWait(self.driver, 20, poll_frequency=0.05).until(check)

    def settled(self) -> None:
        self.until(lambda: bool(self.all("#cards[aria-busy=false] .card")))

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """Of everything that fits."""
        return self._steady(lambda: [node.text for node in self.all(selector)])

    def text(self, selector: str) -> str:
        """Of the first that fits, once it is there."""
        self.until(lambda: bool(self.all(selector)))
        return self._steady(lambda: str(self.one(selector).text))

    def _steady(self, read: Callable[[], T]) -> T:
        """What is read, anew where the page was drawn again meanwhile."""
        found: list[T] = []

        def keep() -> bool:
            found.append(read())
            return True

        self.until(keep)
        return found[-1]

    def click(self, selector: str) -> None:
        """Click on the first that fits, once it is there and stays."""

        def try_to() -> bool:
            for node in self.all(selector)[:1]:
                node.click()
                return True
            return False

        self.until(try_to)

    @property
    def cards(self) -> list[str]:
        return [node.get_attribute("data-id") for node in self.all("#cards .card")]

    @property
    def complaints(self) -> list[str]:
        """What the browser's console says of errors, refused scripts and styles."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture
def page(browser: Any, server: tuple[str, FakeEngine]) -> Page:
    return Page(browser, server[0])


@needs_browser
def test_pick_somebody_click_and_watch_the_list_change(page: Page) -> None:
    people = page.all(".person")
    assert len(people) > 5
    people[3].click()
    page.until(lambda: page.all(".person")[3].get_attribute("aria-pressed") == "true")
    name = page.all(".person")[3].get_attribute("data-user")
    page.until(lambda: name in page.text("#answers-title"))
    page.settled()
    before, trail = page.cards, page.texts("#trail .title")
    assert len(before) == 12
    assert page.texts(".card .reason")[0] == "Because you looked at things like it"
    last = page.all("#cards .card")[-1]
    chosen, title = last.get_attribute("data-id"), last.find_element("css selector", ".title").text
    last.find_element("css selector", ".act").click()
    page.until(lambda: page.cards != before and chosen not in page.cards)
    assert page.texts("#trail .title")[0] == title
    assert page.texts("#trail .title")[1:] == trail[:7]
    assert page.texts(".move.fresh")
    assert page.complaints == []


@needs_browser
def test_a_newcomer_tells_a_history_and_a_wish(page: Page) -> None:
    page.all(".person")[0].click()
    page.until(lambda: page.text("#answers-title") == "For you" and bool(page.all(".chip.warn")))
    page.one("#add").send_keys("perfume")
    page.until(lambda: len(page.all("#found [role=option]")) == 6)
    page.all("#found [role=option]")[0].click()
    page.until(lambda: bool(page.texts("#trail .title")) and not page.all(".chip.warn"))
    page.until(lambda: all("Perfume" in title for title in page.texts(".card .title")[:5]))
    page.one("#wish-text").send_keys("shampoo\n")
    page.until(lambda: all("Shampoo" in title for title in page.texts(".card .title")[:5]))
    assert "shampoo" in page.text("#answers-title")
    page.click("#wish-clear")
    page.until(lambda: "Perfume" in page.texts(".card .title")[0])
    assert page.complaints == []


@needs_browser
def test_the_page_speaks_chinese_and_remembers_it(page: Page) -> None:
    page.click("[data-language=zh]")
    page.until(lambda: page.texts(".card .reason")[:1] == ["因为您看过同类商品"])
    assert page.text("h1") == "接下来，想遇见什么？"
    page.driver.refresh()
    page.settled()
    assert page.driver.find_element("css selector", "html").get_attribute("lang") == "zh-CN"
    page.click("[data-language=en]")
    page.until(lambda: page.text("h1") == "What would you like next?")
    assert page.complaints == []


@needs_browser
def test_why_takes_a_recommendation_apart(page: Page) -> None:
    page.all(".why")[0].click()
    page.until(lambda: page.one("#why").get_attribute("open") is not None)
    assert "0.250" in page.text(".sum") and "1.00" in page.text(".sum")
    assert page.texts(".bars .name") == ["category"]
    assert page.texts(".bars .value") == ["+0.750"]


@needs_browser
def test_a_title_that_is_a_script_is_shown_as_text(page: Page) -> None:
    page.all(".person")[0].click()
    page.one("#wish-text").send_keys("onerror\n")
    page.until(lambda: bool(page.cards) and page.cards[0] == "i0")
    assert page.texts(".card .title")[0].startswith(XSS[:12])
    assert page.driver.title == "palate"
    assert not page.all("#cards img, #cards script")
    assert page.complaints == []


@needs_browser
def test_a_server_that_goes_away_is_said_in_words(browser: Any, tmp_path: Path) -> None:
    with running(FakeEngine(), log=tmp_path / "events.sqlite", vault=tmp_path / "vault.sqlite") as url:
        page = Page(browser, url)
    page.all(".person")[2].click()
    page.until(lambda: "does not answer" in page.text("#trouble"))

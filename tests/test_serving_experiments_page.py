"""The page of experiments in a real browser against a real server, over experiments that really ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palate.experiments.definition import Policy
from palate.serving import running
from tests.experiment_world import declared, world
from tests.serving_fake import FakeEngine
from tests.test_serving_page import Page, browser, needs_browser

__all__ = ["browser"]

HYPOTHESIS = "<b>Lists</b> with less-known items content people more"


def staged(folder: Path) -> None:
    """Three experiments: one that runs and is seen five times, one with a mismatch, one that did harm."""
    with world(folder) as shop:
        name = {"name": "lists", "low": 0.0, "high": 0.5}
        metrics = ["conversion", "revenue", {"name": "satisfaction", "role": "guard-rail", "margin": 0.05}]
        shop.store.declare(declared("harmful"), "ann")
        shop.store.start("harmful", "ann")
        shop.people_come("harmful", 900, {"today": 0.3, "novel": 0.4}, {"today": 4.2, "novel": 3.0})
        shop.pass_days(1)
        shop.loop.turn()
        shop.store.put_in_force(Policy(), "nothing was better", "ann")
        shop.store.declare(declared("broken", namespace=name), "bob")
        shop.store.start("broken", "bob")
        for number in range(900):
            shop.exposures.expose("broken", f"q_{number}", "today" if number % 3 else "novel")
        other = {**name, "low": 0.5, "high": 1.0}
        plan = {"planned_units": 3_000, "metrics": metrics}
        shop.store.declare(declared("novel", hypothesis=HYPOTHESIS, namespace=other, plan=plan), "ann")
        shop.store.start("novel", "ann")
        for day in range(5):
            shop.pass_days(1)
            free = shop.store.of("novel").experiment.model_copy(update={"namespace": None}).allocation()
            buys, content = {"today": 0.25, "novel": 0.38}, {"today": 4.0, "novel": 4.05}
            shop.people_come("novel", 350, buys, content, seed=day, allocation=free)
            shop.loop.turn()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("experiments-page")
    staged(folder)
    with running(FakeEngine(), log=folder / "events.sqlite", vault=folder / "vault.sqlite") as own:
        yield own


class ExperimentsPage(Page):
    """The open page of experiments."""

    def settled(self) -> None:
        self.until(lambda: bool(self.all("#study[aria-busy=false] .panel")))

    def choose(self, name: str) -> None:
        self.one(f"[data-name={name}]").click()
        self.until(lambda: self.texts(".headline h2") == [name])


@pytest.fixture
def page(browser: Any, url: str) -> ExperimentsPage:
    return ExperimentsPage(browser, f"{url}/experiments.html")


@needs_browser
def test_what_runs_is_drawn(page: ExperimentsPage) -> None:
    assert page.texts("#list .name") == ["novel", "broken", "harmful"]
    page.choose("novel")
    assert page.texts(".hypothesis") == [HYPOTHESIS]
    assert page.texts(".metric h2") == ["Conversion", "Revenue", "Satisfaction"]
    plots = page.all(".metric figure")
    assert len(plots) == 6
    assert page.all(".metric[data-metric=satisfaction] .plot .floor")
    low, estimate, high = (
        float(page.one(f".metric[data-metric=conversion] {which}").get_attribute(name))
        for which, name in ((".span:not(.end)", "x1"), (".point", "cx"), (".span:not(.end)", "x2"))
    )
    assert low < estimate < high
    # Of the first of five looks the ratio had no upper bound yet.
    assert len(page.one(".metric[data-metric=conversion] .course").get_attribute("points").split()) == 4
    assert page.text(".decision") == "novel has won; it may take the place of today."
    assert "1,750 of 3,000 units" in page.text(".panel .meta")
    assert page.complaints == []


@needs_browser
def test_a_mismatch_raises_an_alarm_and_shows_nothing(page: ExperimentsPage) -> None:
    page.choose("broken")
    assert "Sample-ratio mismatch" in page.text(".alarm[role=alert]")
    assert not page.all(".metric")
    assert page.texts(".arms .count") == ["600 (450 due)", "300 (450 due)"]
    assert page.all("[data-name=broken] .chip.warn")


@needs_browser
def test_harm_and_what_was_done_about_it(page: ExperimentsPage) -> None:
    page.choose("harmful")
    assert "broken" in page.texts(".metric[data-metric=satisfaction] .chip")
    steps = page.text(".study .steps")
    assert "a guard-rail broke in novel" in steps
    assert "by ann" in steps
    assert "nothing was better" in page.text("#policies")


@needs_browser
def test_the_page_speaks_chinese(page: ExperimentsPage) -> None:
    page.choose("novel")
    page.click("[data-language=zh]")
    page.until(lambda: page.texts(".metric h2") == ["转化率", "收入", "满意度"])
    assert "胜出" in page.text(".decision")
    page.click("[data-language=en]")
    page.until(lambda: page.texts(".metric h2")[:1] == ["Conversion"])
    assert page.complaints == []


@needs_browser
def test_pages_lead_to_each_other(page: ExperimentsPage) -> None:
    page.click(".pages a")
    page.until(lambda: bool(page.all("#cards[aria-busy=false] .card")))
    page.all(".pages a")[1].click()
    page.settled()
    assert page.text(".pages [aria-current]") == "Experiments"


@needs_browser
def test_a_shop_without_experiments(browser: Any, tmp_path: Path) -> None:
    with running(FakeEngine(), log=tmp_path / "events.sqlite", vault=tmp_path / "vault.sqlite") as own:
        page = ExperimentsPage(browser, f"{own}/experiments.html")
        assert "palate experiment create" in page.text(".empty")
        assert page.complaints == []

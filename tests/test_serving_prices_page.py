"""The page of prices in a real browser against a real server that prices, and the routes behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import httpx
import polars as pl
import pytest

from palate.data import Dataset
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.guardrails import Clip, GuardSettings, names_of
from palate.pricing.settings import PolicySettings
from palate.serving import running
from tests.serving_fake import FakeEngine
from tests.test_serving_page import Page, browser, needs_browser

__all__ = ["browser"]

SETTINGS = PricingSettings(
    enabled=True,
    inputs=(Input(name="loyalty"), Input(name="list", source="list")),
    policy=PolicySettings(kind="thompson"),
    guard=GuardSettings(session_seconds=0, cool_down_seconds=0, step=1.0),
)


def engine() -> FakeEngine:
    """Thirty lamps and cups that cost four tenths of their list prices."""
    items = [
        {
            "item_id": f"i{number}",
            "title": f"{('Lamp', 'Cup')[number % 2]} {number}",
            "title_zh": f"{'灯杯'[number % 2]} {number}",
            "category": ("Home > Lamps", "Kitchen > Cups")[number % 2],
            "price": 20.0 + number,
            "cost": 8.0 + number * 0.4,
        }
        for number in range(30)
    ]
    events = [{"user_id": f"user-{row % 9}", "item_id": f"i{row % 30}", "timestamp": 1.6e9 + row} for row in range(90)]
    return FakeEngine(Dataset.assemble(pl.DataFrame(events), pl.DataFrame(items), name="lamps"))


def elasticity(mean: float | None, source: str = "item") -> dict[str, Any]:
    low, high = (None, None) if mean is None else (mean - 0.4, mean + 0.4)
    return {"elasticity": mean, "low": low, "high": high, "from": source}


def measured() -> dict[str, Any]:
    """What a sales history said: lamps answer to prices, of cups nothing is known but what the shop is like."""
    lamps = {"name": "Lamps", **elasticity(-2.1), "reason": "estimated", "periods": 900}
    cups = {"name": "Cups", **elasticity(None), "reason": "never_moved", "periods": 700}
    own = {"name": "i4", "used": elasticity(-1.9), "price": 25.0, "sales": 12.5, "reason": "estimated"}
    still = {"name": "i1", "used": elasticity(-2.0, "shop"), "price": 21.0, "sales": 0.4, "reason": "never_moved"}
    shop = {"name": "all", **elasticity(-2.0), "reason": "estimated", "periods": 1_600}
    facts = {"level": 0.95, "days": 7, "counted": "units", "overall": shop, "of_new_items": elasticity(-2.0, "shop")}
    return {**facts, "categories": [lamps, cups], "items": [own, still], "notes": ["Season was taken out."]}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prices-page")
    log, vault = folder / "events.sqlite", folder / "vault.sqlite"
    written = folder / "elasticities.json"
    written.write_text(json.dumps(measured()), encoding="utf-8")
    settings = SETTINGS.model_copy(update={"elasticities": str(written)})
    with running(engine(), log=log, vault=vault, pricing=settings) as own, httpx.Client(base_url=own) as http:
        for number in range(12):
            asked = {"items": ["i4"], "user_id": f"u{number}", "consent": True, "jurisdiction": "US-NY"}
            context = {"session": f"s{number}", "inputs": {"loyalty": 0.7}}
            assert http.post("/v1/price", json={**asked, "context": context}).status_code == 200
        assert http.post("/v1/price", json={"items": ["i1", "i2"], "jurisdiction": "DE"}).status_code == 200
        yield own


class PricesPage(Page):
    """The open page of prices."""

    def settled(self) -> None:
        self.until(lambda: bool(self.all("#study[aria-busy=false] .panel")))

    def choose(self, item: str) -> None:
        self.click(f"[data-item={item}]")
        self.until(lambda: self.texts("#what-if h2") == [f"What if it cost something else: Lamp {item[1:]}"])


@pytest.fixture
def page(browser: Any, url: str) -> PricesPage:
    return PricesPage(browser, f"{url}/prices.html")


def get(url: str, path: str, **values: Any) -> Any:
    response = httpx.get(f"{url}{path}", params=values)
    assert response.status_code == 200, response.text
    return response.json()


def test_decisions_are_listed_without_their_askers(url: str) -> None:
    found = get(url, "/v1/price/decisions", item="i4")["decisions"]
    assert len(found) == 12
    assert all(own["pack"] and own["prices"][0]["item_id"] == "i4" for own in found)
    assert found[0]["at"] >= found[-1]["at"]
    assert "p_" not in str([own["prices"] for own in found])
    assert len(get(url, "/v1/price/decisions", count=3)["decisions"]) == 3
    assert get(url, "/v1/price/decisions", item="i")["decisions"] == []


def test_what_other_prices_would_bring(url: str) -> None:
    found = get(url, "/v1/price/what-if", item="i4")
    assert (
        found["titles"]
        == {"i4": {"title": "Lamp 4", "title_zh": "灯 4"}}
        == get(url, "/v1/price/decisions", item="i4")["titles"]
    )
    assert found["believed"] is True
    assert (found["list_price"], found["cost"]) == (24.0, pytest.approx(9.6))
    chances = [rung["chance"] for rung in found["rungs"]]
    assert all(low <= mean <= high for mean, low, high in chances)
    assert [mean for mean, _, _ in chances] == sorted((mean for mean, _, _ in chances), reverse=True)
    rung = found["rungs"][0]
    assert rung["revenue"] == pytest.approx(rung["price"] * rung["chance"][0])
    assert rung["margin"] == pytest.approx((rung["price"] - 9.6) * rung["chance"][0], rel=1e-5)
    mean, low, high = found["elasticity"]
    assert low < mean < high < 0
    assert httpx.get(f"{url}/v1/price/what-if", params={"item": "nothing"}).status_code == 404


def test_elasticities_by_category(url: str) -> None:
    found = get(url, "/v1/price/elasticities")
    assert [own["category"] for own in found["categories"]] == ["Cups", "Lamps"]
    assert all(own["items"] == 15 and own["elasticity"][1] < 0 for own in found["categories"])
    lamps, cups = found["measured"]["categories"]
    assert lamps["elasticity"] == pytest.approx([-2.1, -2.5, -1.7])
    assert cups["elasticity"] is None and "never moved" in cups["why"]["en"] and cups["why"]["zh"]


def test_what_sales_say_other_prices_would_bring(url: str) -> None:
    found = get(url, "/v1/price/what-if", item="i4")["measured"]
    assert (found["from"], found["price"], found["days"], found["counted"]) == ("item", 25.0, 7, "units")
    middle = found["rungs"][len(found["rungs"]) // 2]
    assert middle["sales"] == pytest.approx([12.5] * 3)
    assert middle["revenue"][0] == pytest.approx(312.5)
    assert middle["margin"][0] == pytest.approx((25.0 - 9.6) * 12.5)
    assert get(url, "/v1/price/what-if", item="i7")["measured"]["rungs"] == [], "it never sold"


def test_what_changed_a_price_has_words_in_both_languages() -> None:
    words = resources.files("palate.serving").joinpath("page/price-words.js").read_text(encoding="utf-8")
    for clip in Clip:
        assert words.count(f"    clip_{names_of(clip)[0]}: ") == 2


@needs_browser
def test_prices_are_drawn_and_explained(page: PricesPage) -> None:
    page.choose("i4")
    assert len(page.all("#what-if svg")) == 4
    assert "Measured from sales: elasticity -1.90 (between -2.30 and -1.50), from its own sales." in page.texts(
        "#what-if .measured"
    )
    assert len(page.all("#elasticities svg")) == 2
    assert any("Cups: no elasticity, its price never moved" in text for text in page.texts("#elasticities .note"))
    assert "no price below 16.80" in page.text("#what-if .meta")
    assert "Lamp 4" in page.texts("#list .name") and "Lamp 4\ni4" in page.texts("#audit td")
    assert page.all("#history svg") and page.all("#elasticities svg")
    assert len(page.all("#audit tr")) == 15  # a head, twelve prices of one item, two of one decision
    page.click("#audit .link")
    page.until(lambda: page.one("#why").get_attribute("open") is not None)
    assert "the same to the bit" in page.text("#why-body")
    assert page.complaints == []


@needs_browser
def test_the_page_speaks_chinese(page: PricesPage) -> None:
    page.click("[data-language=zh]")
    page.until(lambda: page.texts("#audit h2") == ["定价记录"])
    assert any("由销售记录测得" in text for text in page.texts("#elasticities figcaption"))
    assert "灯 4" in page.texts("#list .name")
    page.click("[data-language=en]")
    page.until(lambda: page.texts("#audit h2") == ["Decisions"])


@needs_browser
def test_an_item_is_found_by_its_words(page: PricesPage) -> None:
    page.one("#add").send_keys("Lamp 8")
    page.until(lambda: page.texts("#found [role=option]") == ["Lamp 8"])
    page.click("#found [role=option]")
    page.until(lambda: "Lamp 8" in page.texts("#what-if h2")[0])


@needs_browser
def test_prices_that_are_off_are_said_to_be(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("off")
    with running(engine(), log=folder / "events.sqlite", vault=folder / "vault.sqlite") as own:
        page = PricesPage(browser, f"{own}/prices.html")
        assert "every item costs its list price" in page.text(".empty")
        assert httpx.get(f"{own}/v1/price/decisions").status_code == 422

"""Quoters over the small shop, opened and closed for a test, and somebody to ask them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from palate.data import Catalogue
from palate.pricing.asking import Line, Question
from palate.pricing.beliefs import Believed
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.guardrails import GuardSettings
from palate.pricing.quoting import Quoter, opened
from palate.privacy import Vault
from tests.pricing_world import Clock, Nearest, shop

INPUTS = (Input(name="loyalty"), Input(name="device_price"), Input(name="stock", source="item"))
FREE = GuardSettings(session_seconds=0, cool_down_seconds=0, step=1.0, parity=1.0)
Open = Callable[..., Quoter]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = Vault(tmp_path / "vault.sqlite")
    yield vault
    vault.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_shop(tmp_path: Path, vault: Vault, clock: Clock) -> Iterator[Open]:
    """Opens quoters over the small shop, and closes them."""
    opened_here: list[Quoter] = []

    def open_one(policy: Any = None, catalogue: Catalogue | None = None, score: Any = None, **changes: Any) -> Quoter:
        own = catalogue or shop()
        values = {"enabled": True, "inputs": INPUTS, "guard": FREE, "rungs": 31, **changes}
        believed = Believed(policy or Nearest(pull=-0.1), "m1")
        quoter = opened(lambda: own, PricingSettings(**values), believed, vault, tmp_path, score=score, clock=clock)
        opened_here.append(quoter)
        return quoter

    yield open_one
    for quoter in opened_here:
        quoter.close()


@pytest.fixture
def ann(vault: Vault) -> str:
    return vault.pseudonym("ann")


def line(quoter: Quoter, item: str = "i91", **question: Any) -> Line:
    """The price of one item; i91 is a phone at 101.00."""
    return quoter.quote(Question((item,), **question)).lines[0]


def personal(quoter: Quoter, person: str, item: str = "i91", loyalty: float = 0.5, **question: Any) -> Line:
    told = {"loyalty": loyalty, **question.pop("told", {})}
    values = {"jurisdiction": "US-NY", "consent": True, **question}
    return line(quoter, item, person=person, told=told, **values)

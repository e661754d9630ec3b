"""A running server with a small engine behind it, and how tests speak with it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from palate.serving import ServingSettings, running
from tests.serving_fake import FakeEngine

_numbers = itertools.count()


@dataclass(frozen=True)
class Shop:
    """A running server and what stands behind it."""

    http: httpx.Client
    engine: FakeEngine
    folder: Path


@contextlib.contextmanager
def opened(folder: Path, **limits: Any) -> Iterator[Shop]:
    engine = FakeEngine()
    with (
        running(
            engine, log=folder / "events.sqlite", vault=folder / "vault.sqlite", settings=ServingSettings(**limits)
        ) as url,
        httpx.Client(base_url=url) as http,
    ):
        yield Shop(http, engine, folder)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def user() -> str:
    """Somebody no other test knows."""
    return f"somebody-{next(_numbers)}@example.com"


def ask(shop: Shop, **question: Any) -> Any:
    response = shop.http.post("/v1/recommend", json=question)
    assert response.status_code == 200, response.text
    return response.json()


def names(answer: Any) -> list[str]:
    return [item["id"] for item in answer["items"]]


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of a refusal."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    assert "Traceback" not in response.text
    return body

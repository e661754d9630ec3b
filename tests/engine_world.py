"""Engines to prove: the demo shop, events without a catalogue, and what tells their answers apart."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from palate.data import Dataset
from palate.engine import Answer, Engine, EngineSettings
from palate.language import EncoderSettings
from palate.simulation import make_shop
from palate.simulation.shop import Shop, ShopSettings

QUICK = EncoderSettings(encoder="lexical")
"""Reads without a neural network."""


@cache
def shop() -> Shop:
    return make_shop(ShopSettings(users=220, items=140, days=120), seed=3)


@cache
def dataset() -> Dataset:
    world = shop()
    return Dataset.from_frames(world.events, world.items, world.users, name="demo")


@cache
def fitted() -> Engine:
    """The demo shop's engine; ask it, but change only what ``fresh`` gives."""
    return Engine.fit(dataset(), settings=EngineSettings(encoder=QUICK), seed=5)


def fresh(**settings: object) -> Engine:
    """The same fitted engine with a memory of its own, under other settings if given."""
    engine = fitted()
    return Engine(engine.dataset, engine.settings.model_copy(update=settings), engine.assembled)


@cache
def wordless(users: int = 130, items: int = 40, seed: int = 0) -> Dataset:
    """Events alone: no catalogue, everybody walks through the items of one half in a loose order."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        position = int(random.integers(items // 2)) + (user % 2) * (items // 2)
        for step in range(int(random.integers(3, 8))):
            rows.append((f"u{user}", f"i{position}", 1.7e9 + 86_400.0 * (user + step) + 60.0 * user, "purchase"))
            position = (position + int(random.integers(1, 3))) % (items // 2) + (user % 2) * (items // 2)
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "kind"], orient="row")
    return Dataset.from_frames(frame, name="wordless")


def ids(answer: Answer) -> list[str]:
    return [item.item for item in answer.items]


def same(first: Answer, second: Answer) -> bool:
    """The same items with the same scores, sources and reasons."""
    return first.items == second.items


def busiest(data: Dataset, most: int = 1) -> list[str]:
    """Users with the longest histories."""
    return [data.user_ids[int(row)] for row in np.argsort(-data.sequences.lengths, kind="stable")[:most]]

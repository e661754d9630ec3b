"""A shop with a rhythm: breakfast is for mornings, dinner for evenings, sport for weekends, games for phones."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from palate.data import Dataset
from palate.data.dataset import DAY
from palate.engine import Engine, EngineSettings

START = 1_704_067_200.0
"""A Monday, midnight UTC."""
HOUR = 3_600.0
MORNING, EVENING = 8 * HOUR, 20 * HOUR
CATEGORIES = ("breakfast", "dinner", "sport", "games", "harbour", "lamps")
EACH = 8
"""Items of a category."""


@cache
def shop(users: int = 260, events: int = 12, seed: int = 0) -> Dataset:
    """Everybody comes at all hours, on all days, with both devices; what they take follows from it.

    People stay in a town for four visits: where they were last says where they are.
    """
    rng = np.random.default_rng(seed)
    n = users * events
    day, morning = np.sort(rng.integers(0, 120, (users, events)), axis=1).ravel(), rng.random(n) < 0.5
    time = START + DAY * day + np.where(morning, MORNING, EVENING) + rng.uniform(-HOUR, HOUR, n)
    weekend = ((time - START) // DAY % 7) >= 5
    phone, coast = rng.random(n) < 0.5, np.arange(n) // 4 % 2 == 0
    lean = np.stack(
        [
            2.0 * morning,
            2.0 * ~morning,
            2.0 * weekend - 1.0,
            2.0 * phone - 1.0,
            2.0 * coast - 1.0,
            np.zeros(n),
        ],
        axis=1,
    )
    category = np.argmax(lean + 0.7 * rng.gumbel(size=lean.shape), axis=1)
    item = category * EACH + rng.integers(0, EACH, n)
    frame = pl.DataFrame(
        {
            "user_id": [f"u{row // events}" for row in range(n)],
            "item_id": [f"{CATEGORIES[own // EACH]}{own % EACH}" for own in item.tolist()],
            "timestamp": time,
            "kind": "purchase",
            "device": np.where(phone, "phone", "desktop").tolist(),
            "place": np.where(coast, "Qingdao", "Xi'an").tolist(),
        }
    )
    goods = pl.DataFrame(
        {
            "item_id": [f"{name}{place}" for name in CATEGORIES for place in range(EACH)],
            "category": [name for name in CATEGORIES for _ in range(EACH)],
        }
    )
    return Dataset.from_frames(frame, goods, name="rhythm", keep_duplicates=True)


@cache
def fitted() -> Engine:
    """Its engine; ask it, but do not change it."""
    settings = EngineSettings(sources=("popularity", "item_knn", "transitions"), seen="keep")
    return Engine.fit(shop(), settings=settings, seed=1)

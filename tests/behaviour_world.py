"""A shop in which who buys what after a look is known: those who like a topic buy its things, and cheap ones more."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from palate.data import Dataset

TOPICS = (("kitchen", "pan pot knife whisk"), ("garden", "rose hose spade seed"), ("sound", "drum cable horn bass"))
DAY = 86_400.0


@cache
def shop(users: int = 90, seed: int = 0) -> tuple[Dataset, dict[str, float]]:
    """The data, and the true probability of a purchase after each look by the look's event id."""
    rng = np.random.default_rng(seed)
    items = [
        {"item_id": f"{topic}{number}", "title": f"{word} {topic}", "category": topic, "price": 10.0 + 5 * (number % 3)}
        for topic, words in TOPICS
        for number, word in enumerate(words.split())
    ]
    rows: list[dict[str, object]] = []
    truth: dict[str, float] = {}
    for user in range(users):
        likes = user % len(TOPICS)
        for visit in range(int(rng.integers(3, 8))):
            moment = 1.7e9 + DAY * (6 * visit + rng.random()) + 60 * user
            for look in range(int(rng.integers(1, 5))):
                topic = likes if rng.random() < 0.6 else int(rng.integers(len(TOPICS)))
                item = items[topic * 4 + int(rng.integers(4))]
                price = float(item["price"]) * (0.7 if rng.random() < 0.3 else 1.0)  # type: ignore[arg-type]
                chance = (0.6 if topic == likes else 0.08) * (1.4 if price < 9 else 1.0)
                name = f"e{len(rows)}"
                truth[name] = chance
                common = {"user_id": f"u{user:02d}", "item_id": item["item_id"], "price": price}
                at = moment + 300 * look
                rows.append({**common, "kind": "view", "timestamp": at, "event_id": name, "dwell": 20.0 + 40 * chance})
                if rng.random() < chance:
                    rows.append({**common, "kind": "purchase", "timestamp": at + 100, "event_id": f"p{name}"})
                    stars = 5.0 if topic == likes or rng.random() < 0.2 else 2.0
                    rows.append({**common, "kind": "rating", "timestamp": at + 2e5, "value": stars, "price": None})
    events = pl.DataFrame(rows, infer_schema_length=None)
    return Dataset.assemble(events.sort("timestamp"), pl.DataFrame(items), name="known shop"), truth

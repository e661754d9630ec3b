"""What wishes find in the demo shop, what of it attracts, and whether the shop's truth agrees.

    python bench/attractiveness.py [--users 1500] [--items 800] [--days 426] [--asked 400] [--seed 0]
    python bench/attractiveness.py --json out/attractiveness.json

An item is truly liked with the shop's own probability that somebody who looks at it buys it, keeps it and does not rate
it low. Prints one JSON object: the calibration error over everything that wishes found, the share truly liked before
and after the filter, seconds, and about how many tokens each use of a generator would send.
"""

from __future__ import annotations

import argparse
import json
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from palate.core import Float64Array, IntArray, Queries, clock
from palate.data import Dataset
from palate.engine import Engine, EngineSettings
from palate.engine.strategy import Chain, Strategy
from palate.language import EncoderSettings
from palate.language.completing import CompletingSettings, complete
from palate.language.generation import Completion, Prompt, TemplateGenerator, estimated_tokens
from palate.language.narrating import narrate
from palate.language.paraphrasing import paraphrase
from palate.measure.calibration import reliability
from palate.simulation import Shop, ShopSettings, make_shop


def truly_liked(shop: Shop, dataset: Dataset, users: IntArray, items: IntArray) -> Float64Array:
    """Probability at the end of the shop's time; users and items are positions of the dataset."""
    from scipy.stats import norm

    rows = {name: row for row, name in enumerate(shop.users["user_id"])}
    people = np.array([rows[name] for name in dataset.user_ids.names])[users]
    shelf = {name: row for row, name in enumerate(shop.items["item_id"])}
    goods = np.array([shelf[name] for name in dataset.item_ids.names])[items]
    when = float(shop.events["timestamp"].max())  # type: ignore[arg-type]
    price = shop.truth.price(goods, when)
    content = shop.truth.satisfaction(people, goods, price)
    sent_back = 0.3 * (1 - content) ** 1.5
    rated_low = 0.34 * norm.cdf((3.5 - (1 + 4 * content)) / 0.45)
    taken = shop.truth.purchase_probability(people, goods, when, price)
    return np.asarray(taken * (1 - sent_back) * (1 - rated_low))


class Weighing(TemplateGenerator):
    """Templates, with a note of how many tokens a model would have been sent."""

    def __init__(self) -> None:
        self.sent: dict[str, list[int]] = {}
        self.said: dict[str, list[int]] = {}

    def generate(self, prompts: Any) -> list[Completion]:
        for prompt in prompts:
            self.note(prompt)
        return super().generate(prompts)

    def note(self, prompt: Prompt) -> None:
        tokens = sum(map(estimated_tokens, prompt.messages())) + estimated_tokens(json.dumps(prompt.schema or {}))
        self.sent.setdefault(prompt.task, []).append(tokens)
        self.said.setdefault(prompt.task, []).append(estimated_tokens(prompt.template))

    def tokens(self) -> dict[str, dict[str, float]]:
        return {
            task: {
                "prompts": len(self.sent[task]),
                "prompt_tokens": round(float(np.mean(self.sent[task])), 1),
                "reply_tokens": round(float(np.mean(self.said[task])), 1),
            }
            for task in sorted(self.sent)
        }


def bench(settings: ShopSettings, asked: int, own: EngineSettings, seed: int) -> dict[str, Any]:
    """All of it."""
    shop = make_shop(settings, seed)
    dataset = Dataset.from_frames(shop.events, shop.items, shop.users, name="demo")
    started = perf_counter()
    engine = Engine.fit(dataset, settings=own, seed=seed)
    fitted = perf_counter() - started
    judge, writer = engine._shelf.judge, Weighing()
    assert judge is not None, engine.notes
    chain = Chain(engine._shelf, engine.mixing, writer, engine.masks_seen, threading.RLock())
    strategy = Strategy()
    people = np.random.default_rng(seed).permutation(dataset.n_users)[:asked].astype(np.int32)
    users, items, chances = [], [], []
    seconds = {"wish": 0.0, "find": 0.0, "judge": 0.0}
    for user in people:
        history = dataset.sequences.take(np.array([user], dtype=np.int32))
        began = perf_counter()
        _, wishes = chain.wishes(history, strategy, "en", [])
        wished = perf_counter()
        found, _ = chain.found(history, strategy, wishes.phrases, [])
        there = perf_counter()
        chance, _ = chain.attraction(Queries(history, when=np.array([clock.now()])), found, strategy, [])
        ended = perf_counter()
        for name, took in zip(seconds, (wished - began, there - wished, ended - there), strict=True):
            seconds[name] += took / len(people)
        assert chance is not None
        users.append(np.full(len(found), user))
        items.append(found)
        chances.append(chance)
    who, what, chance = np.concatenate(users), np.concatenate(items), np.concatenate(chances)
    truth = truly_liked(shop, dataset, who, what)
    kept = judge.keeps(chance)
    table = reliability(truth, chance)
    return {
        "shop": settings.model_dump(include={"users", "items", "days"}),
        "seed": seed,
        "encoder": own.encoder.encoder,
        "sources": list(engine.sources),
        "asked": len(people),
        "found": len(what),
        "found_each": round(len(what) / len(people), 1),
        "calibration_error": round(table.expected_calibration_error, 4),
        "calibration": [
            {"predicted": round(p, 4), "truth": round(t, 4), "pairs": int(n)}
            for p, t, n in zip(table.predicted, table.observed, table.counts, strict=True)
        ],
        "share_unfiltered": round(float(truth.mean()), 4),
        "share_kept": round(float(truth[kept].mean()), 4),
        "times_unfiltered": round(float(truth[kept].mean() / truth.mean()), 2),
        "kept": round(float(kept.mean()), 4),
        "times_best_possible": round(float(np.sort(truth)[-int(kept.sum()) :].mean() / truth.mean()), 2),
        "judge": judge.describe(),
        "seconds": {
            "fit": round(fitted, 1),
            "fit_judge": round(engine.timings["attractiveness"], 1),
            **{name: round(took, 4) for name, took in seconds.items()},
        },
        "tokens": uses(engine, people, writer),
    }


def uses(engine: Engine, people: IntArray, writer: Weighing) -> dict[str, dict[str, float]]:
    """Tokens of each use: wishes, which are noted already, descriptions, reasons and paraphrases."""
    names = engine.dataset.user_ids.names
    complete(engine.catalogue, writer, CompletingSettings(thin=10_000, most=100))
    for user in people[:20]:
        answer = engine.recommend(names[int(user)], k=5, explain=True)
        titles = [str(item.properties["title"]) for item in answer.items]
        narrate(writer, titles, [[reason.text for reason in item.reasons] for item in answer.items])
    paraphrase(writer, engine.catalogue.titles[:100])
    return writer.tokens()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    for name, default in (("users", 1500), ("items", 800), ("days", 426), ("asked", 400), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--encoder", default="lexical")
    parser.add_argument("--questions", type=int, default=6_000, help="teach the ranker, which the judge does not ask")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    settings = ShopSettings(users=given.users, items=given.items, days=given.days)
    preset = EngineSettings.preset(given.preset)
    changed = {
        "encoder": EncoderSettings(encoder=given.encoder),
        "ranker": preset.ranker.model_copy(update={"examples": given.questions}),
    }
    found = json.dumps(bench(settings, given.asked, preset.model_copy(update=changed), given.seed), indent=1)
    print(found)
    if given.json:
        from palate.core.artefact import write_text

        write_text(given.json, found + "\n")


if __name__ == "__main__":
    main()

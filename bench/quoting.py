"""What prices promise, counted: bounds, protected attributes, disclosures, replay, tampering.

    python bench/quoting.py cases [--cases 1000000]
    python bench/quoting.py replay [--decisions 100000] [--flips 20000]

Each prints one JSON object. ``cases`` asks whole questions of real quoters over a generated shop with mistakes in
it, and judges the answers by rules written down here a second time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.data import Catalogue
from palate.data.event_log import EventLog
from palate.data.log_rows import SCHEMA, check
from palate.pricing.asking import Question, Quote
from palate.pricing.beliefs import earlier, kept
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.decisions import replayed
from palate.pricing.demand import DemandSettings, LogitDemand
from palate.pricing.guardrails import GuardSettings
from palate.pricing.packs import PROTECTED
from palate.pricing.quoting import Quoter, opened, versions_beside
from palate.pricing.settings import PolicySettings
from palate.privacy import Vault

LINES = 200
"""Items a question."""

ITEMS = 5_000
PLACES = ("CN", "DE", "FR", "US-NY", "US-MD", "US-CT", "US-TX", "", "nowhere")
CATEGORIES = ("Food > Tea", "Groceries", "食品 > 零食", "", "Phones", "Books > Novels")
FOOD = frozenset(CATEGORIES[:4])
NEW_YORK = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA"
DUE = {
    "CN": "自动",
    "DE": "personalised on the basis of automated decision-making",
    "FR": "personalised on the basis of automated decision-making",
    "US-NY": NEW_YORK,
    "US-MD": "personal data",
    "US-CT": "Personal data",
}
"""Words that must stand beside a personal price, by place; in the language of the question for China."""

INPUTS = (
    Input(name="loyalty"),
    Input(name="visits"),
    Input(name="stock", source="item"),
    Input(name="hour_sin", source="clock"),
)
KINDS = ("fixed", "cost_plus", "greedy", "thompson", "ucb")


class Clock:
    """A clock that moves when told, sometimes back."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def shop(generator: np.random.Generator) -> Catalogue:
    """Items of which one in ten has a mistake: no price, a negative or absurd one, a cost above it, crossed bounds."""
    price = np.round(np.exp(generator.normal(3.0, 1.0, ITEMS)), 2)
    cost = np.round(price * generator.uniform(0.2, 0.95, ITEMS), 2)
    floor = np.where(generator.random(ITEMS) < 0.2, np.round(price * generator.uniform(0.5, 1.0, ITEMS), 2), np.nan)
    ceiling = np.where(generator.random(ITEMS) < 0.2, np.round(price * generator.uniform(1.0, 1.5, ITEMS), 2), np.nan)
    bad = generator.integers(0, 80, ITEMS)
    price[bad == 0], price[bad == 1], price[bad == 2], price[bad == 3] = np.nan, -4.0, 0.0, 1e13
    cost[bad == 4], cost[bad == 5], cost[bad == 6] = np.nan, -1.0, 1e6
    floor[bad == 7], ceiling[bad == 7] = 1e5, 1.0
    return Catalogue.of(
        pl.DataFrame(
            {
                "item_id": [f"i{row}" for row in range(ITEMS)],
                "category": [CATEGORIES[row % len(CATEGORIES)] for row in range(ITEMS)],
                "price": price,
                "cost": cost,
                "floor": floor,
                "ceiling": ceiling,
                "stock": generator.integers(0, 9, ITEMS).astype(float),
                "currency": np.where(bad == 8, "USD", "EUR"),
            }
        )
    )


def policy_of(kind: str, generator: np.random.Generator) -> Any:
    """A policy, over a demand learnt from a few sales where it goes by demand."""
    names = tuple(each.name for each in INPUTS)
    features = generator.normal(size=(300, len(names))).astype(np.float32)
    bought = (generator.random(300) < 0.3).astype(np.float32)
    demand = LogitDemand.prior(names, DemandSettings(), features)
    learnt = demand.learn(features, generator.uniform(0.7, 1.0, 300), bought)
    return kept(PolicySettings(kind=kind, factor=0.9), learnt if kind in ("greedy", "thompson", "ucb") else None)


def worlds(folder: Path, catalogue: Catalogue, seed: int) -> Iterator[tuple[Quoter, Quoter, Clock]]:
    """Twin quoters under one setting after the other: the same but for what their questions will say."""
    generator = np.random.default_rng(seed)
    for number in itertools.count():
        clock = Clock()
        guard = GuardSettings(
            lowest=float(generator.uniform(0.4, 1.0)),
            highest=float(generator.uniform(1.0, 1.5)),
            least_margin=float(generator.uniform(0.0, 0.2)),
            step=float(generator.uniform(0.01, 0.5)),
            parity=float(generator.uniform(0.0, 0.3)),
            ending=(".99", ".90", "integer", "none")[number % 4],
            session_seconds=600.0,
            cool_down_seconds=float(generator.choice([0.0, 300.0])),
        )
        settings = PricingSettings(enabled=True, inputs=INPUTS, guard=guard, keep_days=400)
        believed = policy_of(KINDS[number % len(KINDS)], generator)
        vault = Vault(folder / "vault.sqlite")
        pair = [
            opened(lambda: catalogue, settings, believed, vault, folder / f"{number}{side}", clock=clock, seed=number)
            for side in "ab"
        ]
        yield pair[0], pair[1], clock
        for quoter in pair:
            quoter.close()
        vault.close()


def cases(count: int, seed: int) -> dict[str, Any]:
    """Judge that many prices."""
    generator = np.random.default_rng(seed)
    catalogue = shop(generator)
    found: Counter[str] = Counter()
    protected = sorted(PROTECTED)
    asked_in_all, started = 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        for plain, flipped, clock in worlds(Path(scratch), catalogue, seed):
            refused = {f"p_{person}" for person in range(3)}
            for person in refused:
                plain.refuse(person)
                flipped.refuse(person)
            for _ in range(40):
                clock.now += float(generator.choice([1.0, 400.0, 90_000.0, -500.0]))
                rows = generator.choice(ITEMS, LINES, replace=False)
                told = {"loyalty": float(generator.uniform(0, 1)), "visits": float(generator.integers(0, 9))}
                place = str(generator.choice(PLACES))
                question = Question(
                    tuple(f"i{row}" for row in rows),
                    str(generator.choice(["", *(f"p_{person}" for person in range(9))])),
                    None,
                    told if generator.random() < 0.8 else {},
                    str(generator.choice(["", "s1", "s2"])),
                    "",
                    place,
                    bool(generator.random() < 0.7),
                    language="zh" if place == "CN" else "en",
                )
                names = generator.choice(protected, 3, replace=False).tolist()
                other = {name: float(generator.normal()) for name in names}
                quote = plain.quote(question)
                twin = flipped.quote(replace(question, told={**question.told, **other}))
                found.update(judged(quote, twin, question, plain, refused))
                asked_in_all += LINES
            if asked_in_all >= count:
                break
    names = (
        "outside bounds",
        "changed by a protected attribute",
        "without required disclosure",
        "personal where forbidden",
    )
    return {
        "cases": asked_in_all,
        **{name: found[name] for name in names},
        "moved from the list price": found["moved"],
        "personal": found["personal"],
        "at list because unknown or contradictory": found["at list"],
        "without a price": found["no price"],
        "seconds": round(time.perf_counter() - started, 1),
    }


def judged(quote: Quote, twin: Quote, question: Question, quoter: Quoter, refused: set[str]) -> Counter[str]:
    """What is wrong with a quote, by the law written a second time; and what there was of everything."""
    found: Counter[str] = Counter()
    book, guard, place = quoter.shelf.book, quoter.settings.guard, question.jurisdiction or ""
    agreed = bool(question.person) and question.consent and question.person not in refused
    may = agreed and bool(question.told)
    for line, other in zip(quote.lines, twin.lines, strict=True):
        found["changed by a protected attribute"] += line != other
        row = book.catalogue.ids.position(line.item)
        listed, cost = float(book.list_price[row]), float(book.cost[row])
        if not 0 < listed <= 1e9:
            found["no price"] += 1
            found["outside bounds"] += line.price is not None
            continue
        price = line.price if line.price is not None else math.nan
        low, high = listed * guard.lowest, listed * guard.highest
        if place not in ("DE", "FR") or line.personal:
            high = listed
        floor, ceiling = float(book.floor[row]), float(book.ceiling[row])
        low = max(low, cost * (1 + guard.least_margin), 0.0 if math.isnan(floor) else floor)
        high = min(high, math.inf if math.isnan(ceiling) else ceiling)
        only = not (cost >= 0 and low <= listed <= high) or not book.same_currency[row]
        found["at list"] += only
        found["outside bounds"] += not (price == listed if only else low - 1e-6 <= price <= high + 1e-6)
        found["moved"] += price != listed
        found["personal"] += line.personal
        banned = place == "US-MD" and CATEGORIES[int(line.item[1:]) % len(CATEGORIES)] in FOOD
        found["personal where forbidden"] += line.personal and (banned or not agreed)
        if may and not banned and price != listed and not only:
            due = DUE.get(place, "using your personal data")
            found["without required disclosure"] += due not in line.disclosure or due not in quote.disclosure
        if place in ("DE", "FR") and price < listed:
            found["without required disclosure"] += line.lowest_before is None or line.lowest_before > listed
    return found


def replay(count: int, flips: int, seed: int) -> dict[str, Any]:
    """Log that many decisions, do them again, and change single bits."""
    generator = np.random.default_rng(seed)
    catalogue, clock = shop(generator), Clock()
    with tempfile.TemporaryDirectory() as scratch:
        folder, path = Path(scratch), Path(scratch) / "prices.sqlite"
        vault = Vault(folder / "vault.sqlite")
        settings = PricingSettings(enabled=True, inputs=INPUTS)
        quoter = opened(
            lambda: catalogue, settings, policy_of(KINDS[0], generator), vault, folder, clock=clock, seed=seed
        )
        people = [vault.pseudonym(f"u{number}") for number in range(500)]
        for number in range(count):
            if number % max(1, count // 10) == 0:  # policies and beliefs change while a log grows
                quoter.change(policy_of(KINDS[(10 * number // count) % len(KINDS)], generator))
            clock.now += 30.0
            told = {"loyalty": float(generator.random())}
            quoter.quote(
                Question(
                    (f"i{generator.integers(ITEMS)}",),
                    people[number % 500],
                    told=told,
                    jurisdiction="US-NY",
                    consent=number % 3 > 0,
                )
            )
            if quoter.log.log.waiting > 20_000:
                quoter.log.log.flush()
        quoter.close()
        started = time.perf_counter()
        same, erased, others = replayed(path, vault, earlier(versions_beside(path)))
        seconds = time.perf_counter() - started
        tampered = tampering(path, flips, generator)
        with EventLog(path, vault) as log:
            begun = time.perf_counter()
            verdict = log.verify()
            verified = time.perf_counter() - begun
        vault.close()
    return {
        "decisions": count,
        "identical": same,
        "erased": erased,
        "different": len(others),
        "replay_seconds": round(seconds, 1),
        "chain_holds": verdict.ok,
        "verify_seconds": round(verified, 2),
        "flips": flips,
        "flips_found": tampered,
    }


def tampering(path: Path, flips: int, generator: np.random.Generator) -> int:
    """How many of so many single bits, changed one at a time anywhere in the log, are found.

    Each is looked for in a piece of the chain: the row before as its anchor, the row itself, and the next.
    """
    found = 0
    with closing(sqlite3.connect(path)) as log, closing(sqlite3.connect(":memory:", isolation_level=None)) as piece:
        piece.executescript(SCHEMA)
        piece.execute("DROP TRIGGER log_keeps_its_rows")
        (last,) = log.execute("SELECT max(seq) FROM log").fetchone()
        for _ in range(flips):
            seq = int(generator.integers(2, last))
            before, row, after = log.execute(
                "SELECT * FROM log WHERE seq BETWEEN ? AND ? ORDER BY seq", (seq - 1, seq + 1)
            )
            column = int(generator.choice([3, 4, 6, 7, 8] if row[7] else [3, 6, 8]))
            value = row[column]
            data = bytearray(value.encode() if isinstance(value, str) else value)
            bit = int(generator.integers(8 * len(data) if not isinstance(value, str) else 7 * len(data)))
            width = 8 if not isinstance(value, str) else 7  # the eighth bit would make it no text at all
            data[bit // width] ^= 1 << bit % width
            damaged = [*row]
            damaged[column] = bytes(data).decode() if isinstance(value, str) else bytes(data)
            piece.execute("BEGIN")
            piece.execute("INSERT OR REPLACE INTO anchor VALUES (1, ?, ?)", (before[0], before[8]))
            piece.executemany("INSERT INTO log VALUES (?,?,?,?,?,?,?,?,?)", [damaged, after])
            found += not check(piece, None).ok
            piece.execute("ROLLBACK")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cases", "replay"))
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--flips", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    result = {
        "cases": lambda: cases(asked.cases, asked.seed),
        "replay": lambda: replay(asked.decisions, asked.flips, asked.seed),
    }[asked.what]()
    print(json.dumps({**result, "processors": os.cpu_count()}, indent=2))


if __name__ == "__main__":
    main()

"""How long a price takes, its decision logged: in one process by policy, and over HTTP beside an empty endpoint.

    python bench/quoting_speed.py latency [--quotes 20000]
    python bench/quoting_speed.py http ENGINE_FOLDER [--seconds 10] [--connections 16]

Each prints one JSON object; a quiet machine tells more. ``http`` needs ``wrk``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from palate.pricing.asking import Question
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.quoting import opened
from palate.pricing.settings import PolicySettings
from palate.privacy import Vault
from quoting import INPUTS, ITEMS, KINDS, policy_of, shop
from serving import EMPTY, measure, started, timed, written


def latency(quotes: int, seed: int) -> dict[str, Any]:
    """Milliseconds of one price in this process, its decision logged, by policy: as fast as they come, and paced."""
    answer: dict[str, Any] = {"quotes": quotes}
    for kind in KINDS:
        generator = np.random.default_rng(seed)
        catalogue = shop(generator)
        with tempfile.TemporaryDirectory() as scratch:
            vault = Vault(Path(scratch) / "vault.sqlite")
            settings = PricingSettings(enabled=True, inputs=INPUTS, remembered_quotes=0)
            quoter = opened(lambda: catalogue, settings, policy_of(kind, generator), vault, Path(scratch))  # noqa: B023
            people = [vault.pseudonym(f"u{number}") for number in range(500)]
            for pause in (0.0, 0.002):
                took, used = [], []
                for number in range(quotes if not pause else quotes // 4):
                    told = {"loyalty": (number % 7) / 10, "visits": 2.0}
                    question = Question(
                        (f"i{(number * 37) % ITEMS}",),
                        people[number % 500],
                        told=told,
                        jurisdiction="US-NY",
                        consent=True,
                    )
                    begun, own = time.perf_counter(), time.thread_time()
                    quoter.quote(question)
                    took.append(time.perf_counter() - begun)
                    used.append(time.thread_time() - own)
                    if pause:
                        time.sleep(pause)
                name = "paced" if pause else "at once"
                answer[f"{kind}, {name}"] = {
                    **{f"p{p}_ms": round(float(np.percentile(took[200:], p)) * 1e3, 3) for p in (50, 95, 99)},
                    "p99_processor_ms": round(float(np.percentile(used[200:], 99)) * 1e3, 3),
                }
            quoter.close()
            vault.close()
    return answer


SERVER = """
import json, sys
from palate.pricing.configuration import PricingSettings
from palate.serving import serve
engine, log, vault, pricing = sys.argv[1:]
serve(engine, port=0, log=log, vault=vault, pricing=PricingSettings.model_validate_json(pricing),
      ready=lambda url: print(url, flush=True))
"""


def http(engine: Path, seconds: int, connections: int, kind: str, remembered: int) -> dict[str, Any]:
    """Requests a second of ``POST /v1/price`` beside those of an empty endpoint of the same server, in turns."""
    from palate.engine import Engine

    items = Engine.load(engine).catalogue.ids.names
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prices = folder / "prices.csv"
        prices.write_text(
            "item_id,list_price,cost\n" + "".join(f"{item},{10 + row % 90},4\n" for row, item in enumerate(items))
        )
        pricing = PricingSettings(
            enabled=True,
            prices=str(prices),
            inputs=(Input(name="loyalty"),),
            policy=PolicySettings(kind=kind),
            remembered_quotes=remembered,
        )
        bodies = [
            json.dumps(
                {
                    "user_id": f"u{row}",
                    "items": [items[row % len(items)]],
                    "jurisdiction": "US-NY",
                    "consent": True,
                }
                | {"context": {"inputs": {"loyalty": row % 10 / 10}}}
            )
            for row in range(1_000)
        ]
        scripts = written(folder, {"empty": EMPTY, "price": ("POST", "/v1/price")}, bodies)
        files = [str(folder / name) for name in ("events.sqlite", "vault.sqlite")]
        command = [sys.executable, "-c", SERVER, str(engine), *files, pricing.model_dump_json()]
        with started(command) as (url, process):
            measure(url, scripts["price"], max(2, seconds), connections)  # warm, on both sides
            results: dict[str, Any] = {
                f"{name} {turn // 2 + 1}": timed(url, process, scripts[name], seconds, connections)
                for turn, name in enumerate(("empty", "price", "empty", "price"))
            }
    rates = {name: each["requests_per_second"] for name, each in results.items()}
    ratio = (rates["price 1"] + rates["price 2"]) / (rates["empty 1"] + rates["empty 2"])
    return {
        "policy": kind,
        "remembered": remembered,
        "connections": connections,
        "seconds": seconds,
        **results,
        "ratio": round(ratio, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("latency", "http"))
    parser.add_argument("engine", type=Path, nargs="?")
    parser.add_argument("--quotes", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--policy", choices=KINDS, default="fixed", help="of the HTTP run")
    parser.add_argument("--remembered", type=int, default=20_000, help="quotes the server gives again; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.what == "http" and asked.engine is None:
        parser.error("http needs the folder of an engine")
    result = {
        "latency": lambda: latency(asked.quotes, asked.seed),
        "http": lambda: http(asked.engine, asked.seconds, asked.connections, asked.policy, asked.remembered),
    }[asked.what]()
    print(json.dumps({**result, "processors": os.cpu_count()}, indent=2))


if __name__ == "__main__":
    main()

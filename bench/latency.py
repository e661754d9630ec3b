"""How long one question takes in this process: known users, a wish in words, a list with reasons, and many at once.

    python bench/latency.py ENGINE_FOLDER [--questions 300]

Prints one JSON object: milliseconds a question (p50, p99) by the clock, and of the processor. BLAS has one thread, as
in the server.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

WISHES = ("something red", "a gift for a friend who travels", "for dry skin in winter", "cheap and good", "洗发水")
TOGETHER = 16


def times(work: Callable[[Any], object], asked: list[Any]) -> dict[str, float]:
    """Milliseconds of each call, in the middle and at the slow end, and the processor's share."""
    taken = []
    used = process_time()
    for one in asked:
        started = perf_counter()
        work(one)
        taken.append((perf_counter() - started) * 1e3)
    used = (process_time() - used) * 1e3 / len(asked)
    worst = statistics.quantiles(taken, n=100, method="inclusive")[98]
    return {"p50_ms": round(statistics.median(taken), 3), "p99_ms": round(worst, 3), "cpu_ms": round(used, 3)}


def bench(folder: Path, questions: int, seed: int) -> dict[str, Any]:
    """All of it."""
    import numpy as np

    from palate.core.threads import one_blas_thread
    from palate.engine import Engine

    started = perf_counter()
    engine = Engine.load(folder)
    loaded = perf_counter()
    engine.warm()
    warmed = perf_counter()
    names = engine.dataset.user_ids.names
    users = [names[place] for place in np.random.default_rng(seed).integers(0, len(names), questions)]
    wishes = [f"{wish} {number}" for number in range(max(1, questions // 20)) for wish in WISHES]
    crowds = [users[start : start + TOGETHER] for start in range(0, len(users), TOGETHER)]
    with one_blas_thread():
        times(engine.recommend, users[:20])
        together = times(engine.recommend_many, crowds)
        return {
            "load_s": round(loaded - started, 2),
            "warm_s": round(warmed - loaded, 2),
            "user": times(engine.recommend, users),
            "user_explained": times(lambda user: engine.recommend(user, explain=True), users),
            "wish": times(lambda wish: engine.recommend(text=wish), wishes),
            f"user_of_{TOGETHER}_together": {name: round(value / TOGETHER, 3) for name, value in together.items()},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(bench(given.engine, given.questions, given.seed), indent=2))


if __name__ == "__main__":
    main()

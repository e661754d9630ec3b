"""How long one event takes to reach a user's interests, and how long a rebuild from the whole history takes.

python bench/interest.py --json out/interest.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from palate.behaviour import Branch, InterestMap, InterestModel, RecencySettings
from palate.core import Histories
from palate.core.artefact import write_text


def measured(items: int = 12_000, width: int = 384, events: int = 2_000) -> dict[str, Any]:
    """Microseconds an event in a stream over 40 themes, and milliseconds a rebuild."""
    rng = np.random.default_rng(0)
    themes = rng.normal(size=(40, width))
    vectors = (themes[rng.integers(0, 40, items)] + rng.normal(size=(items, width))).astype(np.float32)
    model = InterestModel(vectors, Branch("text", "bench", "bench"), RecencySettings())
    own, stream = InterestMap(model), rng.integers(0, items, events).tolist()
    own.update(own.begin(), 0, 0.0)
    interests, single, taken = own.begin(), model.begin(), np.empty((2, events))
    for step, item in enumerate(stream):
        started = time.perf_counter_ns()
        interests = own.update(interests, item, 60.0 * step, 1.0, 0.5)
        middle = time.perf_counter_ns()
        single = model.update(single, item, 60.0 * step)
        taken[:, step] = middle - started, time.perf_counter_ns() - middle
    history = Histories.of([stream[-300:]], [np.arange(300, dtype=np.float64) * 60.0])
    began = time.perf_counter()
    for _ in range(20):
        own.build(history)
    rebuild = (time.perf_counter() - began) / 20 * 1e3
    figures = {}
    for name, values in zip(("interests", "one_vector"), taken / 1e3, strict=True):
        figures[name] = {f"p{q}": round(float(np.quantile(values, q / 100)), 1) for q in (50, 95, 99)}
    return {"microseconds_an_event": figures, "milliseconds_a_rebuild_of_300": round(rebuild, 2), "width": width}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    figures = json.dumps(measured(), indent=2)
    print(figures)
    if arguments.json:
        write_text(arguments.json, figures + "\n")


if __name__ == "__main__":
    main()

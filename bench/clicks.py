"""Which item of a list is clicked: the last click-outs of hotel searches (RecSys Challenge 2019, sample of trivago).

    python bench/clicks.py ../shared/data/trivago [--seeds 0 1 2] [--json out/clicks.json]

Sessions are cut in time: those whose last click-out lies in the last fifth are asked, those that ended before are
learnt from. Prints one JSON object: the mean reciprocal rank with 95 % intervals over sessions, paired differences to
the rule "latest touched first, then as shown" and to popularity, log loss, calibration error, accuracy, precision,
recall, F1 and AUC with intervals, the same differences for every seed, and what the trees look at.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter
from typing import Any

from palate.core.artefact import write_text
from palate.data.trivago import trivago
from palate.evaluation.shown import judged, last_choices
from palate.ranking.shown import ShownSettings, learn_shown


def bench(folder: Path, seeds: list[int], settings: ShownSettings) -> dict[str, Any]:
    """All of it."""
    started = perf_counter()
    trial = last_choices(trivago(folder))
    read = perf_counter() - started
    each = []
    for seed in seeds:
        began = perf_counter()
        ranker = learn_shown(trial.train, settings, seed)
        assert ranker is not None
        fitted = perf_counter() - began
        found = judged(trial, ranker, seed)
        own = {"seconds_fit": round(fitted, 1), "importance": ranker.importance(), **ranker.describe()}
        each.append({"seed": seed, **own, **found})
    return {
        "protocol": "sessions cut in time at 80 %; last click-out of each later session",
        "seconds_read": round(read, 1),
        "settings": settings.model_dump(),
        **each[0],
        "seeds": [{"seed": own["seed"], "mrr": own["mrr"]["shown"], "paired": own["paired"]} for own in each],
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    own = parser.parse_args()
    text = json.dumps(bench(own.data, own.seeds, ShownSettings()), ensure_ascii=False, indent=2)
    print(text)
    if own.json is not None:
        write_text(own.json, text + "\n")


if __name__ == "__main__":
    main()

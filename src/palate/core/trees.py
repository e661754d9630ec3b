"""What every boosted ensemble here has in common, whatever it learns."""

from __future__ import annotations

from typing import Any


def repeatable(seed: int, threads: int = 1) -> dict[str, Any]:
    """Parameters of LightGBM under which the same data gives the same trees in every run, for one number of threads."""
    return {
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }

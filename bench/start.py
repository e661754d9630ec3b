"""How long until palate is ready to do something: ``import palate`` and ``palate --help``, against Python alone.

python bench/start.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from time import perf_counter

PROGRAMS = {
    "python alone": "pass",
    "import palate": "import palate",
    "palate --help": "from palate.cli import main; main(['--help'])",
    "palate.Dataset": "import palate; palate.Dataset",
}


def seconds(program: str) -> float:
    """Wall time of one fresh interpreter."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def main(runs: int = 7) -> None:
    """Print the median of several runs of each, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(runs):
        for name, program in PROGRAMS.items():
            taken[name].append(seconds(program))
    for name, times in taken.items():
        print(f"{name:<16} {statistics.median(times):.3f} s (median of {runs})")


if __name__ == "__main__":
    main()

"""How many threads palate works with: one number, told to every library that has threads of its own.

``PALATE_THREADS`` says it; without it ``OMP_NUM_THREADS`` does, which most libraries know; without both, every
processor that this process may use. Threads that wait for each other at the end of each small matrix product are slower
than one where other programs keep the processors busy: a network then trains several times faster with
``PALATE_THREADS=1``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from palate.core.errors import UsageError

VARIABLE = "PALATE_THREADS"
_OPENMP = "OMP_NUM_THREADS"
_LIBRARIES = (
    _OPENMP,
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
"""What libraries read when they are loaded: torch, LightGBM and implicit the first, BLAS the next three, then polars
and tokenizers."""

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def threads(environment: Mapping[str, str] = os.environ) -> int:
    """Threads to work with, at least 1.

    Raises
    ------
    UsageError
        ``PALATE_THREADS`` is no whole number above 0.
    """
    told = environment.get(VARIABLE, "").strip()
    if told:
        if not told.isascii() or not told.isdigit() or int(told) < 1:
            raise UsageError(f"{VARIABLE}={told}: say how many threads, a whole number above 0; unset it for all.")
        return int(told)
    # OpenMP allows a list, one number a level of nesting; the first is that of the outermost.
    first = environment.get(_OPENMP, "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) > 0 else available()


def available() -> int:
    """Processors that this process may use: those it is bound to, and no more than a container's quota pays for."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Rounded down: one thread more than the quota is stopped half-way, and all the others wait for it.
    return max(1, int(min(bound, _quota(_GROUPS, _OWN_GROUP))))


def limit_threads(*, only_if_told: bool = False) -> None:
    """Hold this process to ``threads()``: libraries loaded from now on by the environment, the others by a call.

    polars takes its number when it is loaded and keeps it.

    Parameters
    ----------
    only_if_told
        Change nothing unless ``PALATE_THREADS`` is set, as is right inside somebody else's program.

    Raises
    ------
    UsageError
        ``PALATE_THREADS`` is no whole number above 0.
    """
    told = bool(os.environ.get(VARIABLE, "").strip())
    if only_if_told and not told:
        return
    count = threads()
    for name in _LIBRARIES:
        if told:
            os.environ[name] = str(count)
        else:
            os.environ.setdefault(name, str(count))
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Work too small for several threads of BLAS, or parallel by itself; only libraries that are loaded are held."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def _quota(groups: Path, own: Path) -> float:
    """Processors' worth of time that control groups grant, the least of all that hold this process; else infinite."""
    place = _line(own, "0::")
    nested = groups / place.strip("/")
    # Inside a container the own group is often the root of what is mounted, whatever it is called outside.
    granted = [
        _share(_line(folder / "cpu.max").split()) for folder in (nested, *nested.parents) if _within(folder, groups)
    ]
    first_version = groups / "cpu"
    granted.append(_share([_line(first_version / f"cpu.cfs_{part}_us") for part in ("quota", "period")]))
    return min(granted)


def _within(folder: Path, groups: Path) -> bool:
    return folder == groups or groups in folder.parents


def _share(words: list[str]) -> float:
    """A quota over a period, e.g. ``["150000", "100000"]``; infinite where there is none (``max`` or -1)."""
    if len(words) != 2 or not all(word.isdigit() for word in words) or not int(words[1]):
        return float("inf")
    return int(words[0]) / int(words[1])


def _line(path: Path, start: str = "") -> str:
    """The first line that starts so, without its start; "" where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), "")

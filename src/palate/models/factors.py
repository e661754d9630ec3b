"""What the factorisation models share: a quiet, single-threaded BLAS around ``implicit``, and their vectors."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from palate.core import FloatArray, NotFittedError


@contextmanager
def quiet_implicit() -> Iterator[None]:
    """Run ``implicit`` as it wants to be run: its own threads, one BLAS thread, and no remark about it."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning, message=".*BLAS.*")
        warnings.filterwarnings("ignore", category=RuntimeWarning, message=".*threadpool.*")
        yield


def threads() -> int:
    """Threads for a fit that gives the same result with any number of them."""
    return int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count() or 1


def need_vectors(vectors: FloatArray | None, name: str) -> FloatArray:
    """The fitted vectors, or an error in words."""
    if vectors is None:
        raise NotFittedError(f"{name} was asked before it was fitted; call fit(dataset) or restore(arrays) first")
    return vectors

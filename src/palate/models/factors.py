"""What the factorisation models share: the threads of ``implicit``, and their vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy import sparse

from palate.core import FloatArray, Histories, IntArray
from palate.core.threads import one_blas_thread
from palate.models.linear import event_weights, known_events


@contextmanager
def own_threads() -> Iterator[None]:
    """Run ``implicit`` as it wants to be run: with threads of its own and none of BLAS (it warns otherwise)."""
    # Only libraries that are loaded by now are limited, and these bring their own BLAS.
    import implicit.cpu.als
    import implicit.cpu.bpr  # noqa: F401

    with one_blas_thread():
        yield


def mean_vectors(vectors: FloatArray, history: Histories, decay: float) -> FloatArray:
    """Weighted mean of the vectors of each history's items, newer events weighing more; float32 (n, d)."""
    history = known_events(history, len(vectors))
    weights = event_weights(history, decay)
    sums = np.bincount(history.rows, weights=weights, minlength=len(history))
    weights = (weights / np.maximum(sums, np.finfo(np.float32).tiny)[history.rows]).astype(np.float32)
    mean = sparse.csr_matrix((weights, history.items, history.indptr), shape=(len(history), len(vectors)))
    return np.asarray(mean @ vectors, dtype=np.float32)


def shares(
    vectors: FloatArray, history: Histories, decay: float, items: IntArray, offered: FloatArray | None = None
) -> FloatArray:
    """What each event of one history adds to ``mean_vectors(...) @ offered.T`` at some items; float32 (h, k).

    Parameters
    ----------
    offered
        float32 (n, d), vectors of what is scored; ``vectors`` where None.
    """
    answer = np.zeros((len(history.items), len(items)), dtype=np.float32)
    known = np.nonzero(history.items < len(vectors))[0]
    weights = event_weights(known_events(history, len(vectors)), decay)
    weights = weights / max(float(weights.sum()), 1e-30)
    columns = np.nonzero((items >= 0) & (items < len(vectors)))[0]
    block = vectors[history.items[known]] @ (vectors if offered is None else offered)[items[columns]].T
    answer[np.ix_(known, columns)] = weights[:, None] * block
    return answer

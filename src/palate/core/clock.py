"""The moment at which an answer is worked out, in one place, so that two answers can be asked for at one moment."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds since 1970 UTC. Call it as ``clock.now()``, so that one who stops the clock stops it for everybody."""
    return time.time()

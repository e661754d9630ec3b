"""The same data gives the same trees, with one thread and with more."""

from __future__ import annotations

import numpy as np
import pytest

from palate.core.threads import VARIABLE
from palate.ranking.ranker import Examples, RankerSettings, learn


def test_a_ranker_is_the_same_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(3)
    features = drawn.normal(size=(300, 60, 12)).astype(np.float32)
    relevant = drawn.random((300, 60)) < 0.05
    features[..., 0] += relevant
    # Questions of unequal length: where whole ones were drawn, threads decided how what they drew was summed.
    valid = np.arange(60) < drawn.integers(20, 61, 300)[:, None]
    examples = Examples(features, relevant & valid, valid)
    names = tuple(f"feature {number}" for number in range(12))

    def grown(threads: str) -> tuple[str, ...]:
        monkeypatch.setenv(VARIABLE, threads)
        return learn(examples, None, names, RankerSettings(trees=20), 5).models

    assert len({grown("1") for _ in range(2)}) == 1
    assert len({grown("2") for _ in range(4)}) == 1

"""Selecting the highest scores is sorting, only faster."""

from __future__ import annotations

import numpy as np
import pytest

from palate.core.rankings import select


@pytest.mark.parametrize("k", [1, 7, 20])
@pytest.mark.parametrize("width", [5, 100, 1279, 1280, 3000])
@pytest.mark.parametrize("kind", ["different", "tied", "sparse", "constant", "forbidden", "one block"])
def test_select_is_a_stable_sort(kind: str, width: int, k: int) -> None:
    rng = np.random.default_rng(width + k)
    scores = rng.normal(size=(9, width)).astype(np.float32)
    match kind:
        case "tied":
            scores = np.round(scores * 3)
        case "sparse":
            scores[rng.random(scores.shape) < 0.97] = 0
        case "constant":
            scores[:] = 1
        case "forbidden":
            scores[rng.random(scores.shape) < 0.995] = -np.inf
        case "one block":
            scores[:, : min(width, 64)] += 100
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(select(scores, k), expected)

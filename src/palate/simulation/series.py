"""Series with known dynamics that no linear model follows."""

from __future__ import annotations

import numpy as np

from palate.core import Float64Array

_DELAY = 17
_STEP = 0.1
_WARM = 500


def mackey_glass(n: int, length: int, seed: int, *, every: float = 3.0, noise: float = 0.0) -> Float64Array:
    """n chaotic series x' = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t), each from a start of its own.

    Mackey & Glass 1977, solved by Euler steps of 0.1 and read every ``every`` units of time.

    Returns
    -------
    float64 (n, length)
    """
    rng = np.random.default_rng(seed)
    back, apart = round(_DELAY / _STEP), round(every / _STEP)
    steps = back + _WARM * apart // 5 + length * apart
    path = np.empty((steps + 1, n))
    path[: back + 1] = 1.2 + 0.2 * rng.standard_normal(n)
    for step in range(back, steps):
        delayed = path[step - back]
        path[step + 1] = path[step] + _STEP * (0.2 * delayed / (1 + delayed**10) - 0.1 * path[step])
    read = path[-length * apart :: apart].T
    return np.asarray(read + noise * rng.standard_normal(read.shape))


def setar(n: int, length: int, seed: int, *, noise: float = 0.05) -> Float64Array:
    """n self-exciting threshold autoregressions with a limit cycle, as fitted to the lynx of Canada (Tong & Lim 1980).

    x(t) = 0.62 + 1.25 x(t - 1) - 0.43 x(t - 2) where x(t - 2) <= 3.25, else 2.25 + 1.52 x(t - 1) - 1.24 x(t - 2).

    Returns
    -------
    float64 (n, length)
    """
    rng = np.random.default_rng(seed)
    path = np.empty((_WARM + length, n))
    path[:2] = 3.0 + 0.3 * rng.standard_normal((2, n))
    shocks = noise * rng.standard_normal(path.shape)
    for step in range(2, len(path)):
        one, two = path[step - 1], path[step - 2]
        low, high = 0.62 + 1.25 * one - 0.43 * two, 2.25 + 1.52 * one - 1.24 * two
        path[step] = np.where(two <= 3.25, low, high) + shocks[step]
    return np.ascontiguousarray(path[_WARM:].T)

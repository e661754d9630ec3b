"""From odds to probabilities that mean what they say, and how sure that meaning is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from palate.core import BoolArray, Float64Array, IntArray
from palate.core.numbers import log_odds
from palate.core.recommender import Arrays
from palate.measure.calibrators import Calibrator, chosen, isotonic, platt

LEVEL = 0.9
"""Of the intervals."""

_RESAMPLES = 100
_GRID = 41
_PARTS = 5
_EDGE = 1e-6

INTERVAL = {
    "en": "90 % interval: bootstrap over people of the validation that calibrates; how sure the probability of people "
    "with such odds is, not how one person differs from them",
    "zh": "90% 区间：对用于校准的验证人群做自助抽样；说明同类人的概率有多确定，而非个人之间的差异",
}


@dataclass(frozen=True)
class Certainty:
    """A calibrator with its spread.

    Parameters
    ----------
    grid
        float64 (g,), log-odds, rising.
    down, up
        float64 (g,): by how much calibrated log-odds may be lower, and higher.
    """

    calibrator: Calibrator
    grid: Float64Array
    down: Float64Array
    up: Float64Array

    @classmethod
    def of(cls, odds: Float64Array, happened: BoolArray, users: IntArray, *, straight: bool, seed: int) -> Self:
        """Learnt from occasions that the odds did not learn from.

        Parameters
        ----------
        users
            int32 (n,); resampled whole.
        straight
            Platt's curve alone: a staircase has no odds to put into a softmax.
        """
        people, place = np.unique(users, return_inverse=True)
        if straight or len(people) < 2:
            own = platt(odds, happened)
        else:
            own = chosen(odds, happened, np.random.default_rng(seed).permutation(len(people))[place] % _PARTS)
        fit = platt if own.kind == "platt" else isotonic
        grid = np.unique(np.quantile(odds, np.linspace(0, 1, _GRID)))
        rng, drawn = np.random.default_rng([seed, 7]), []
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(people) + 1))
        for _ in range(_RESAMPLES):
            sample = rng.integers(0, len(people), len(people))
            lengths = starts[sample + 1] - starts[sample]
            rows = order[np.repeat(starts[sample] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())]
            if 0 < int(happened[rows].sum()) < len(rows):
                drawn.append(log_odds(fit(odds[rows], happened[rows])(grid), _EDGE))
        middle = log_odds(own(grid), _EDGE)
        if not drawn:
            return cls(own, grid, np.zeros(len(grid)), np.zeros(len(grid)))
        low, high = np.quantile(np.stack(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        return cls(own, grid, np.minimum(low - middle, 0.0), np.maximum(high - middle, 0.0))

    def straight(self, odds: Float64Array) -> Float64Array:
        """Calibrated log-odds."""
        if self.calibrator.kind == "isotonic":
            return log_odds(self.calibrator(odds), _EDGE)
        slope, intercept = self.calibrator.y
        return np.asarray(slope * odds + intercept)

    def bounds(self, odds: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Probability, lower and upper bound of log-odds; all of their shape."""
        return self.around(self.calibrator(odds), odds)

    def around(self, probability: Float64Array, odds: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """A probability that came of these log-odds, and its bounds."""
        middle = log_odds(probability, _EDGE)
        down, up = np.interp(odds, self.grid, self.down), np.interp(odds, self.grid, self.up)
        return probability, np.minimum(_share(middle + down), probability), np.maximum(_share(middle + up), probability)

    def arrays(self, kind: str) -> dict[str, Any]:
        """The state."""
        whole = {**self.calibrator.arrays(), "grid": self.grid, "down": self.down, "up": self.up}
        whole["isotonic"] = np.array([self.calibrator.kind == "isotonic"])
        return {f"certainty.{kind}.{name}": value for name, value in whole.items()}

    @classmethod
    def restore(cls, kind: str, arrays: Arrays) -> Self:
        """What ``arrays`` gave."""
        start = f"certainty.{kind}."
        own = {name.removeprefix(start): np.asarray(value) for name, value in arrays.items() if name.startswith(start)}
        calibrator = Calibrator.restore("isotonic" if bool(own["isotonic"][0]) else "platt", own)
        return cls(calibrator, own["grid"], own["down"], own["up"])


def _share(odds: Float64Array) -> Float64Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * odds)))

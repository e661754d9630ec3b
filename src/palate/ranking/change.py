"""Whether what is believed of an arm still holds: a watch over rewards that raises an alarm when their mean has moved.

An e-detector (Shin, Ramdas and Rinaldo, 2023): bets against the belief, in several sizes, upwards and downwards. A bet
whose capital falls below its stake is begun anew, so that a change is found however long all was well before. Each arm
is watched alone, and all together, since a world mostly changes for several at once. Rewards need only lie within 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.core import Float64Array

_ODDS = np.array([0.25, 0.5, 0.75, 4 / 3, 2.0, 4.0])
"""By how much the odds of a reward may have moved: what each bet hopes for."""

_NEVER, _EVER = 0.002, 0.998
"""Beliefs are held off the ends, where a single surprise would decide."""


@dataclass(frozen=True)
class Watch:
    """Capitals of the bets against what is believed of K arms.

    Parameters
    ----------
    capital
        float64 (K + 1, bets), natural logarithms; the last row bets on the lists of all arms.
    """

    capital: Float64Array

    @classmethod
    def over(cls, arms: int) -> Watch:
        """Nothing was seen yet."""
        return cls(np.zeros((arms + 1, len(_ODDS))))

    def judged(self, arm: int, low: float, high: float, reward: float) -> Watch:
        """After a list of this arm earned so much, where between ``low`` and ``high`` was believed."""
        believed = np.clip(np.where(_ODDS < 1, low, high), _NEVER, _EVER)
        hoped = _ODDS * believed / (1 - believed + _ODDS * believed)
        capital = self.capital.copy()
        odds = reward * hoped / believed + (1 - reward) * (1 - hoped) / (1 - believed)
        capital[[arm, -1]] = np.maximum(capital[[arm, -1]], 0.0) + np.log(odds)
        return replace(self, capital=capital)

    def alarmed(self, lists: float) -> bool:
        """Whether worths have moved; where none has, so many lists pass on average until an arm, or all, seem to."""
        return bool(np.exp(np.minimum(self.capital, 700.0)).mean(axis=1).max() >= lists)
